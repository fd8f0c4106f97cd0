"""The store of a sweep: what is in it is never computed again, never mixed, never lost."""

import errno
import hashlib
import json
import os
import pathlib
import pickle
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import xarray as xr

import hmm_rs as hr

zarr = pytest.importorskip("zarr")


def total(calls):
    """How many calls left a letter."""
    return sum(len(file.read_text()) for file in calls.iterdir())


def test_what_is_in_the_store_is_not_computed_again(toy, calls, tmp_path):
    out = tmp_path / "sweep.zarr"
    first = hr.sweep(toy.line, {"x": [1.0, 2.0]}, seeds=2, executor="here", out=out)
    again = hr.sweep(toy.line, {"x": [1.0, 2.0]}, seeds=2, executor="here", out=out)
    assert first.identical(again)
    assert total(calls) == 4
    larger = hr.sweep(toy.line, {"x": [2.0, 3.0, 1.0]}, seeds=[1, 5], executor="here", out=out)
    assert total(calls) == 8
    assert larger.eg.sel(x=2.0, seed=1).values.tobytes() == first.eg.sel(x=2.0, seed=1).values.tobytes()
    assert hr.sweep(toy.line, [{"x": 3.0, "seed": 5}], executor="here", out=out).eg.shape == (1, 3)
    assert total(calls) == 8


def test_the_table_is_in_the_store_too(toy, tmp_path):
    with pytest.warns(hr.SweepWarning):
        table = hr.sweep(toy.picky, {"x": [1, 2, 3]}, seeds=2, executor="here", out=tmp_path / "s.zarr")
    read = xr.open_zarr(tmp_path / "s.zarr", group="table").load()
    xr.testing.assert_equal(read, table)
    assert read.attrs == table.attrs


def test_points_that_failed_are_tried_again(toy, calls, tmp_path, monkeypatch):
    out = tmp_path / "s.zarr"

    def fn(x):
        toy.called(x)
        if x == 2 and len((calls / "2").read_text()) == 1:
            raise OSError("a file server is asleep")
        return x

    with pytest.warns(hr.SweepWarning, match="asleep"):
        hr.sweep(fn, {"x": [1, 2]}, executor="here", out=out)
    group = zarr.open_group(str(out), mode="r")["points"]
    assert [array.attrs["error"] for _, array in group.arrays() if "error" in array.attrs] == [
        "OSError: a file server is asleep"
    ]
    assert hr.sweep(fn, {"x": [1, 2]}, executor="here", out=out).value.values.tolist() == [1, 2]
    assert (calls / "1").read_text() == "x"


def test_every_kind_of_result_comes_back_bit_for_bit(tmp_path):
    def fn(x):
        return xr.Dataset(
            {
                "a": ("t", np.array([x, np.nan, -0.0, np.inf])),
                "b": ("t", np.arange(4, dtype=np.int32)),
                "c": ((), np.float32(1) / 3),
                "d": ("t", np.array([True, False, True, True])),
                "e": ("t", np.array(["a", "bc", "", "é"], dtype=object)),
            },
            coords={"t": np.arange(4.0), "u": ("t", np.arange(4) ** 2)},
            attrs={"number": np.float64(x), "nan": float("nan"), "text": "é"},
        )

    first = hr.sweep(fn, {"x": [1.0, 2.0]}, executor="here", out=tmp_path / "s.zarr")
    again = hr.sweep(fn, {"x": [1.0, 2.0]}, executor="here", out=tmp_path / "s.zarr")
    for name in first.variables:
        assert first[name].dtype == again[name].dtype
        assert first[name].values.tobytes() == again[name].values.tobytes()
    assert first.a.values[1].tobytes() == fn(2.0).a.values.tobytes()
    assert first.b.dtype == np.int32
    assert first.u.dims == ("t",)
    assert again.attrs["text"] == "é"


def test_the_store_of_another_sweep_is_refused_and_left_as_it_is(toy, calls, tmp_path):
    out = tmp_path / "s.zarr"
    hr.sweep(toy.line, {"x": [1.0]}, executor="here", out=out)
    for other, options in ((toy.picky, {}), (toy.line, {"at": [0.0, 1.0]})):
        with pytest.raises(hr.InvalidParameterError, match=r"store of another sweep .*resume=False"):
            hr.sweep(other, {"x": [1.0]}, executor="here", out=out, **options)
    before = total(calls)
    hr.sweep(toy.line, {"x": [1.0]}, executor="here", out=out)
    assert total(calls) == before


def test_a_function_that_was_changed_is_another_one(tmp_path):
    out = tmp_path / "s.zarr"
    space = {"__name__": "notebook", "N": 1}
    exec("def fn(x):\n    return N * x", space)
    assert hr.sweep(space["fn"], {"x": [3]}, executor="here", out=out).value == 3
    space["N"] = 2
    with pytest.raises(hr.InvalidParameterError, match="another sweep"):
        hr.sweep(space["fn"], {"x": [3]}, executor="here", out=out)
    assert hr.sweep(space["fn"], {"x": [3]}, executor="here", out=out, resume=False).value == 6


@pytest.mark.parametrize("resume", [True, False])
def test_what_is_no_store_is_refused_and_left_as_it_is(toy, tmp_path, resume):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "thesis.tex").write_text("x")
    (tmp_path / "file").write_text("x")
    zarr.create_group(str(tmp_path / "other.zarr"), attributes={"mine": 1})
    for name, match in (("notes", "something else"), ("file", "is a file"), ("other.zarr", "something else")):
        with pytest.raises(hr.InvalidParameterError, match=match):
            hr.sweep(toy.line, {"x": [1]}, executor="here", out=tmp_path / name, resume=resume)
    assert (tmp_path / "notes" / "thesis.tex").read_text() == "x"
    assert zarr.open_group(str(tmp_path / "other.zarr"), mode="r").attrs["mine"] == 1


def test_a_torn_point_is_computed_again(toy, calls, tmp_path):
    out = tmp_path / "s.zarr"
    first = hr.sweep(toy.line, {"x": [1.0, 2.0, 3.0]}, executor="here", out=out)
    chunks = sorted(out.glob("points/*/c/0"))
    chunks[0].write_bytes(chunks[0].read_bytes()[:-8])
    chunks[1].unlink()
    again = hr.sweep(toy.line, {"x": [1.0, 2.0, 3.0]}, executor="here", out=out)
    assert total(calls) == 5
    assert first.identical(again)


def test_two_sweeps_do_not_write_to_one_store(toy, calls, tmp_path):
    out = tmp_path / "s.zarr"

    def fn(x):
        with pytest.raises(
            hr.ResourceError, match=rf"another sweep is writing to it \(process {os.getpid()} on"
        ):
            hr.sweep(toy.line, {"x": [1.0]}, executor="here", out=out)
        return x

    hr.sweep(fn, {"x": [1.0, 2.0]}, executor="here", out=out)
    assert not total(calls)


def test_a_place_without_locks_is_said_and_used(toy, calls, tmp_path, monkeypatch):
    from hmm_rs.sweeps import store

    def none(descriptor):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(store, "_lock", none)
    with pytest.warns(
        hr.SweepWarning, match=r"file system without locks: take care that no second sweep writes"
    ):
        first = hr.sweep(toy.line, {"x": [1.0, 2.0]}, executor="here", out=tmp_path / "s.zarr")
    monkeypatch.undo()
    assert hr.sweep(toy.line, {"x": [1.0, 2.0]}, executor="here", out=tmp_path / "s.zarr").identical(first)
    assert total(calls) == 2


def test_a_file_is_no_place_for_a_store(toy, tmp_path):
    (tmp_path / "words").write_text("words")
    with pytest.raises(
        hr.InvalidParameterError, match=r"out = .*words'?: is a file; pass the folder of a store"
    ):
        hr.sweep(toy.line, {"x": [1]}, executor="here", out=tmp_path / "words")
    assert (tmp_path / "words").read_text() == "words"


def test_a_full_disk_is_told_and_nothing_is_lost(toy, tmp_path, monkeypatch):
    out = tmp_path / "s.zarr"
    from hmm_rs.sweeps.store import Store

    put, room = Store._put, [2]

    def full(self, key, data, attributes):
        if room[0] == 0:
            put(self, key, data[: len(data) // 2], attributes)
            raise OSError(28, "No space left on device")
        room[0] -= 1
        put(self, key, data, attributes)

    monkeypatch.setattr(Store, "_put", full)
    with pytest.raises(hr.SweepError, match=r"No space left on device.*make room") as seen:
        hr.sweep(toy.line, {"x": [1.0, 2.0, 3.0, 4.0]}, executor="here", out=out)
    kept = seen.value.result
    assert np.isfinite(kept.eg.isel(t=0)).values.tolist() == [True, True, True, False]
    assert "3 of 4 points are done" in seen.value.__notes__[0]
    monkeypatch.undo()
    whole = hr.sweep(toy.line, {"x": [1.0, 2.0, 3.0, 4.0]}, executor="here", out=out)
    assert whole.eg[:3].values.tobytes() == kept.eg[:3].values.tobytes()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser writes anywhere")
def test_a_place_that_cannot_be_written_is_told(toy, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(hr.ResourceError, match="cannot be written"):
        hr.sweep(toy.line, {"x": [1]}, executor="here", out=tmp_path / "s.zarr")
    tmp_path.chmod(0o700)


def described(point, **entries):
    """Change what the description of a point says."""
    path = point / "zarr.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def resealed(point, harm):
    """Change what a point says of its first variable, and make its checksum right again."""
    attributes = json.loads((point / "zarr.json").read_text())["attributes"]
    table = json.loads(attributes["table"])
    harm(table["variables"][0])
    made = hashlib.sha256(json.dumps(table).encode() + (point / "c" / "0").read_bytes()).hexdigest()
    described(point, attributes={"table": json.dumps(table), "checksum": made})


@pytest.mark.parametrize(
    "harm",
    [
        lambda out, point: (out / "points" / "zarr.json").write_text("{"),
        lambda out, point: (out / "points" / "zarr.json").write_bytes((point / "zarr.json").read_bytes()),
        lambda out, point: (point / "zarr.json").write_bytes(b"\xff"),
        lambda out, point: ((out / "points" / "zarr.json").unlink(), (out / "points" / "zarr.json").mkdir()),
        lambda out, point: ((point / "zarr.json").unlink(), (point / "zarr.json").mkdir()),
        lambda out, point: (shutil.rmtree(out / "points"), (out / "points").write_text("a file")),
        lambda out, point: (shutil.rmtree(point), point.write_text("a file")),
        lambda out, point: (shutil.rmtree(out / "table"), (out / "table").write_text("a file")),
        lambda out, point: (out / "table" / "zarr.json").write_text("[]"),
        lambda out, point: ((out / "points" / "zarr.json").unlink(), os.mkfifo(out / "points" / "zarr.json")),
        lambda out, point: ((point / "zarr.json").unlink(), os.mkfifo(point / "zarr.json")),
        lambda out, point: ((point / "c" / "0").unlink(), os.mkfifo(point / "c" / "0")),
        lambda out, point: ((point / "c" / "0").unlink(), (point / "c" / "0").symlink_to("/dev/zero")),
        lambda out, point: os.truncate(point / "c" / "0", 1 << 40),
        lambda out, point: os.truncate(point / "zarr.json", 1 << 40),
        lambda out, point: described(point, shape=[1 << 40]),
        lambda out, point: described(
            point, codecs=[{"name": "bytes"}, {"name": "gzip", "configuration": {"level": 1}}]
        ),
        lambda out, point: resealed(point, lambda entry: entry.update(dtype="|O")),
        lambda out, point: resealed(point, lambda entry: entry.update(dtype=[["a", "<f8"]])),
        lambda out, point: resealed(point, lambda entry: entry.update(name=5)),
        lambda out, point: resealed(point, lambda entry: entry.update(shape=[-1])),
        lambda out, point: resealed(point, lambda entry: entry.update(shape=[1 << 62])),
        lambda out, point: resealed(point, lambda entry: entry.pop("dims")),
        lambda out, point: (
            shutil.copytree(point, out / "points" / "another").joinpath("zarr.json").write_text("{")
        ),
    ],
)
def test_a_damaged_store_is_mended(toy, calls, tmp_path, harm):
    """What cannot be read is computed again, and what can is not."""
    out = tmp_path / "s.zarr"
    grid = {"x": [1.0, 2.0, 3.0]}
    whole = hr.sweep(toy.line, grid, executor="here", out=out)
    point = sorted(path for path in (out / "points").iterdir() if path.is_dir())[0]
    harm(out, point)
    left = 1 if (out / "points").is_dir() else 3
    again = hr.sweep(toy.line, grid, executor="here", out=out)
    assert again.equals(whole)
    assert total(calls) <= 3 + left
    assert xr.open_zarr(out, group="table").load().equals(whole)


def test_filters_of_another_format_are_never_run(toy, calls, tmp_path):
    """Format 2 knows a codec that unpickles, which is code: what says it is of that format is no store."""
    pytest.importorskip("numcodecs")
    out, marker = tmp_path / "s.zarr", tmp_path / "was run"
    hr.sweep(toy.line, {"x": [1.0]}, executor="here", out=out)
    (point,) = (path for path in (out / "points").iterdir() if path.is_dir())
    attributes = json.loads((out / "zarr.json").read_text())["attributes"]

    class Code:
        def __reduce__(self):
            return pathlib.Path.touch, (marker,)

    shutil.rmtree(out)
    point.mkdir(parents=True)
    for place, text in [
        (out / ".zgroup", {"zarr_format": 2}),
        (out / ".zattrs", attributes),
        (out / "points" / ".zgroup", {"zarr_format": 2}),
        (point / "zarr.json", {}),
        (point / ".zattrs", {"table": "{}", "checksum": ""}),
        (
            point / ".zarray",
            {
                "zarr_format": 2,
                "shape": [1],
                "chunks": [1],
                "dtype": "|O",
                "order": "C",
                "fill_value": "",
                "filters": [{"id": "vlen-utf8"}],
                "compressor": {"id": "pickle", "protocol": 5},
            },
        ),
    ]:
        place.write_text(json.dumps(text))
    (point / "0").write_bytes(pickle.dumps(Code()))
    with pytest.MonkeyPatch.context() as patch:
        # Newer versions of numcodecs ask for this first.
        patch.setattr("numcodecs.pickles.ALLOW_UNSAFE_PICKLE_DECODE", True, raising=False)
        with pytest.raises(hr.InvalidParameterError, match="something else than a sweep"):
            hr.sweep(toy.line, {"x": [1.0]}, executor="here", out=out)
    assert not marker.exists()


#: A script without a guard, of which Ctrl-C stops a sweep.
SCRIPT = """
import sys; sys.path[:] = {path!r}
import hmm_rs as hr
import toy_of_a_user as toy

def fn(x):
    return toy.gated(x)

hr.sweep(fn, {{"x": range(40)}}, workers=2, out={out!r})
"""


@pytest.mark.parametrize("how", ["SIGINT", "SIGKILL"])
def test_a_stopped_sweep_goes_on_where_it_was(toy, calls, tmp_path, how):
    """Ctrl-C, or the end of the process itself: stored points stay, and workers do not outlive it.

    However slowly a loaded machine stores points, the sweep waits at the seventh until it is stopped.
    """
    out, script = tmp_path / "s.zarr", tmp_path / "script.py"
    script.write_text(SCRIPT.format(path=sys.path, out=str(out)))
    program = subprocess.Popen([sys.executable, "-P", str(script)], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while len(list(out.glob("points/*/c/0"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    program.send_signal(getattr(signal, how))
    said = program.communicate(timeout=60)[1]
    if how == "SIGINT":
        assert "of 40 points are done; they are in" in said
    stored = len(list(out.glob("points/*/c/0")))
    assert 3 <= stored <= 6
    time.sleep(0.8)
    before = total(calls)
    if how == "SIGINT":
        # Each of two workers had one point in hand; what else was computed is kept.
        assert before <= stored + 2
    time.sleep(0.8)
    assert total(calls) == before

    (tmp_path / "open").touch()
    subprocess.run([sys.executable, "-P", str(script)], check=True)
    assert total(calls) == before + 40 - stored
    assert np.isfinite(xr.open_zarr(out, group="table").eg).all()
