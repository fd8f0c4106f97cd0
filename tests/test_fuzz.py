"""Damaged and foreign files: every reader answers, or refuses in our words; whatever stands in the file.

Sound files are damaged in ways that are drawn: bits, bytes, pieces left out, doubled, moved, joined with other files,
numbers replaced by odd ones. Some damage goes past the checksums: it is done first, and they are made right afterwards.
As a program, this file tries so many files of a kind, in a process that may hang or die.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import itertools
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hmm_rs as hr
from hmm_rs.cli.build import prepare
from hmm_rs.cli.config import read as read_config
from hmm_rs.data.files import numpy_arrays
from hmm_rs.data.images import read_idx

Random = np.random.Generator

#: What stands in place of a number or a word.
ODD_TEXTS = [
    *(
        b"-1",
        b"0",
        b"1e999",
        b"-1e999",
        b"nan",
        b"inf",
        b"1e-320",
        b"18446744073709551616",
        b"9223372036854775807",
    ),
    *(
        b"4294967296",
        b"1" * 400,
        b"1" * 5000,
        b"true",
        b"null",
        b"[]",
        b"{}",
        b'""',
        b"[[",
        b"[" * 5000,
        b'{"a":' * 2000,
    ),
    *(
        b"1.5",
        b"0x10",
        b"\xff\xfe",
        b"\0",
        b"'",
        b'"""',
        b"__import__('os')",
        b"\xed\xa0\x80",
        "ℝ".encode(),
        b"1" + b"_0" * 9,
    ),
    *(
        b"1979-05-27",
        b"{ full = [[99999, 99999], 1] }",
        b"{ linspace = [0, 1, 999999999999] }",
        b"{ eye = 999999 }",
    ),
]


def damaged(data: bytes, random: Random, others: list[bytes]) -> bytes:
    """Return data damaged a few times."""
    for _ in range(int(random.integers(1, 4))):
        data = HARM[random.integers(len(HARM))](data, random, others)
    return data


def place(data: bytes, random: Random) -> int:
    # Beginnings and ends are where sizes stand.
    if random.random() < 0.5:
        return int(random.integers(len(data) + 1))
    return (
        min(len(data), abs(int(random.integers(-64, 256))))
        if random.random() < 0.7
        else max(0, len(data) - int(random.integers(200)))
    )


def piece(data: bytes, random: Random) -> slice:
    start = place(data, random)
    return slice(start, start + int(random.choice([1, 2, 4, 8, 64, 1000])))


def flip(data: bytes, random: Random, _: list[bytes]) -> bytes:
    changed = bytearray(data)
    for _ in range(int(random.integers(1, 4)) if data else 0):
        changed[min(place(data, random), len(data) - 1)] ^= 1 << int(random.integers(8))
    return bytes(changed)


def overwrite(data: bytes, random: Random, _: list[bytes]) -> bytes:
    at = piece(data, random)
    length = at.stop - at.start
    kinds = (bytes(length), b"\xff" * length, random.bytes(length), struct.pack("<Q", 2**63 - 1)[:length])
    return data[: at.start] + kinds[random.integers(len(kinds))] + data[at.stop :]


def cut(data: bytes, random: Random, _: list[bytes]) -> bytes:
    return data[: place(data, random)] if random.random() < 0.7 else data[place(data, random) :]


def leave_out(data: bytes, random: Random, _: list[bytes]) -> bytes:
    at = piece(data, random)
    return data[: at.start] + data[at.stop :]


def insert(data: bytes, random: Random, others: list[bytes]) -> bytes:
    at, source = place(data, random), others[random.integers(len(others))]
    return data[:at] + source[piece(source, random)] + data[at:]


def join(data: bytes, random: Random, others: list[bytes]) -> bytes:
    source = others[random.integers(len(others))]
    return data[: place(data, random)] + source[place(source, random) :]


def odd_word(data: bytes, random: Random, _: list[bytes]) -> bytes:
    """Replace a number or a word of a text."""
    words = list(re.finditer(rb"-?\d[\d.e+-]*|\"[^\"\n]{0,40}\"|\b[a-z_]+\b", data[:20_000]))
    if not words:
        return data
    word = words[random.integers(len(words))]
    return data[: word.start()] + ODD_TEXTS[random.integers(len(ODD_TEXTS))] + data[word.end() :]


def swap_words(data: bytes, random: Random, others: list[bytes]) -> bytes:
    """Replace a number or a text by another one of the file."""
    words = list(re.finditer(rb"-?\d[\d.e+-]*|\"[^\"\n]{0,40}\"", data[:20_000]))
    if len(words) < 2:
        return join(data, random, others)
    into, source = words[random.integers(len(words))], words[random.integers(len(words))]
    return data[: into.start()] + source[0] + data[into.end() :]


HARM = [flip, overwrite, cut, leave_out, insert, join, odd_word, odd_word, odd_word, swap_words]


# -- sound files -----------------------------------------------------------------------------------


def checkpoint_files(folder: Path) -> list[bytes]:
    """Checkpoints of each engine, unfinished."""
    network = hr.MeanFieldNetwork.random(6, 3, seed=1)
    X, y = hr.LinearlySeparable(3).sample(8)
    runs: list[tuple[Any, dict[str, Any]]] = [
        (
            hr.OnlineSGD(
                hr.HiddenManifold(12, 4),
                hr.TwoLayer.random(2, 4),
                student=hr.TwoLayer.random(2, 12),
                lr=hr.schedules.Step([0.2, 0.1], at=[0.5]),
                test_size=20,
                seed=np.random.SeedSequence(5).spawn(2)[1],
            ),
            {"t_max": 2.0, "save_at": [0, 1, 2]},
        ),
        (hr.Particles(network, X, y), {"steps": 4}),
        (hr.Particles(network, data=hr.LinearlySeparable(3), batch=5, test_size=9), {"steps": 4}),
        (hr.GradientFlow(hr.MeanFieldNetwork.random(6, 3, std_b=1.0, seed=1), X, y), {"max_steps": 6}),
        (hr.KernelFlow(hr.kernels.ntk(X), y), {"max_steps": 6}),
    ]
    found = []
    for number, (engine, run) in enumerate(runs):
        path = folder / f"{number}.npz"
        left = itertools.count(2, -1)

        def stop(*_: Any, left: Iterator[int] = left) -> None:
            if next(left) == 0:
                raise hr.StopRun

        engine.run(**run, checkpoint=path, callbacks=(stop,))
        found.append(path.read_bytes())
        path.unlink()
    return found


def sealed(body: bytes) -> bytes:
    """Return a checkpoint with its checksum made right."""
    return body[:-64] + hashlib.sha256(body[:-64]).hexdigest().encode()


def members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def archived(parts: dict[str, bytes]) -> bytes:
    """Return a checkpoint of raw members, every checksum right."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, part in parts.items():
            archive.writestr(name, part)
        archive.comment = b"sha256 " + b"0" * 64
    return sealed(file.getvalue())


def with_header(text: bytes) -> bytes:
    """Return a JSON header as the array that a checkpoint holds it in."""
    file = io.BytesIO()
    np.lib.format.write_array(file, np.frombuffer(text, np.uint8), (1, 0))
    return file.getvalue()


def damaged_checkpoint(data: bytes, random: Random, others: list[bytes]) -> bytes:
    kind = random.integers(4)
    if kind == 0:
        return damaged(data, random, others)
    if kind == 1:
        return sealed(damaged(data, random, others))
    parts, lent = members(data), members(others[random.integers(len(others))])
    if kind == 2:
        text = json.dumps(json.loads(parts["header.npy"][128:].lstrip(b" \n") or b"{}")).encode()
        return archived({**parts, "header.npy": with_header(damaged(text, random, others))})
    for _ in range(int(random.integers(1, 3))):
        name = list(parts)[random.integers(len(parts))]
        other = list(lent)[random.integers(len(lent))]
        choice = random.integers(4)
        if choice == 0:
            parts[name] = damaged(parts[name], random, others)
        elif choice == 1:
            parts[name] = lent[other]
        elif choice == 2 and len(parts[name]) > 128:
            # The numbers alone, so that the array is sound and its values are not.
            at = 128 + 8 * int(random.integers((len(parts[name]) - 128) // 8 + 1))
            value = random.choice([np.nan, np.inf, -1.0, 0.0, 1e300, 5e-324, -(2.0**62)])
            parts[name] = (
                parts[name][:at] + struct.pack("<d", value)[: len(parts[name]) - at] + parts[name][at + 8 :]
            )
        else:
            parts[other] = lent[other]
    return archived(parts)


def safetensors_files(_: Path) -> list[bytes]:
    weights = np.arange(24.0).reshape(4, 6) / 10
    kernel = np.ones((1, 1, 2, 2), "<f4")
    layers = [
        {"type": "dense", "weight": "w"},
        {"type": "activation", "f": "leaky_relu", "slope": 0.1},
        {"type": "conv2d", "weight": "k", "input": [1, 2, 2], "stride": 1, "padding": 1},
    ]
    header = {
        "__metadata__": {"hmm_rs": json.dumps({"latents": 6, "layers": layers})},
        "w": {"dtype": "F64", "shape": [4, 6], "data_offsets": [0, 192]},
        "k": {"dtype": "F32", "shape": [1, 1, 2, 2], "data_offsets": [192, 208]},
        "n": {"dtype": "I64", "shape": [], "data_offsets": [208, 216]},
    }
    data = weights.tobytes() + kernel.tobytes() + bytes(8)
    text = json.dumps(header).encode()
    plain = {"b": {"dtype": "BF16", "shape": [3], "data_offsets": [0, 6]}}
    short = json.dumps(plain).encode()
    return [
        struct.pack("<Q", len(text)) + text + data,
        struct.pack("<Q", len(short)) + short + bytes(6),
    ]


def damaged_safetensors(data: bytes, random: Random, others: list[bytes]) -> bytes:
    if random.integers(2):
        return damaged(data, random, others)
    # The header alone, with the length that it has then.
    (length,) = struct.unpack("<Q", data[:8])
    text = damaged(data[8 : 8 + length], random, others)
    return struct.pack("<Q", len(text)) + text + data[8 + length :]


def idx_files(_: Path) -> list[bytes]:
    header = bytes([0, 0, 8, 3]) + struct.pack(">3I", 5, 3, 2)
    return [
        header + bytes(range(30)),
        bytes([0, 0, 0x0E, 1]) + struct.pack(">I", 4) + np.arange(4.0).astype(">f8").tobytes(),
        gzip.compress(header + bytes(30)),
    ]


CONFIGS = Path(__file__).parents[1] / "examples" / "configs"


def config_files(_: Path) -> list[bytes]:
    # Of all but the engine that takes seconds to import.
    paths = sorted(set(CONFIGS.glob("*.toml")) - {CONFIGS / "cnn-flow.toml"})
    assert paths
    return [path.read_bytes() for path in paths]


def check_config(path: Path) -> None:
    prepare(read_config(path))


def read_tensors(path: Path) -> None:
    hr.generators.read_safetensors(path)
    hr.generators.from_safetensors(path)


def story_files(_: Path) -> list[bytes]:
    network = hr.MeanFieldNetwork.random(6, 3, seed=1)
    run = hr.Particles(network, data=hr.LinearlySeparable(3), batch=5, test_size=9).run(2)
    theory = hr.theory.SaadSolla(
        np.eye(2), 0.1 * np.eye(2), T=np.eye(2), v0=[1, 1], v_teacher=[1, 1], lr=0.1
    ).solve([0, 1])
    return [result.attrs["provenance"].encode() for result in (run, theory)]


def make_again(path: Path) -> None:
    """Make a result again from its story; what it says then is another result."""
    import xarray as xr

    text = path.read_bytes().decode("utf-8", "replace")
    hr.rerun(xr.Dataset(attrs={"provenance": text, "hmm_rs_version": hr.__version__}), threads=1)


def netcdf_files(folder: Path) -> list[bytes]:
    """Results as both libraries write them."""
    theory = hr.theory.SaadSolla(
        np.eye(2), 0.1 * np.eye(2), T=np.eye(2), v0=[1, 1], v_teacher=[1, 1], lr=0.1
    ).solve([0, 1])
    run = hr.KernelFlow(np.eye(3) + 0.1, [1.0, -1.0, 1.0]).run(max_steps=3)
    found = []
    for number, (result, engine) in enumerate(itertools.product((theory, run), ("h5netcdf", "scipy"))):
        path = folder / f"{number}.nc"
        result.to_netcdf(path, engine=engine)
        found.append(path.read_bytes())
        path.unlink()
    return found


def odd_result(result: Any, random: Random, others: list[bytes]) -> None:
    """Make a result one that nobody wrote: its attributes, its sizes, its names."""
    names = list(result.attrs)
    name = names[random.integers(len(names))]
    text = str(result.attrs["provenance"]).encode()
    choice = random.integers(6)
    if choice == 0:
        del result.attrs[name]
    elif choice == 1:
        values = [np.nan, -1.0, 1e12, np.arange(3.0), "", "{", "[]", result.attrs[names[0]]]
        result.attrs[name] = values[random.integers(len(values))]
    elif choice == 2:
        result.attrs["provenance"] = random.choice([-1.5, 7.0])
    else:
        told = damaged(text, random, others).decode("utf-8", "replace").replace("\0", "")
        result.attrs["provenance"] = told


def damaged_netcdf(data: bytes, random: Random, others: list[bytes]) -> bytes:
    import xarray as xr

    if random.integers(3):
        return damaged(data, random, others)
    result = xr.load_dataset(io.BytesIO(data))
    odd_result(result, random, others)
    if random.integers(3) == 0:
        dim = list(result.sizes)[random.integers(len(result.sizes))]
        result = xr.concat([result, result], dim) if random.integers(2) else result.isel({dim: slice(0)})
    return bytes(result.to_netcdf(engine="scipy"))


def make_file_again(path: Path) -> None:
    hr.rerun(path, threads=1)


def line(x: float) -> Any:
    """One point of a sweep."""
    import xarray as xr

    t = np.array([0.0, 1.0])
    return xr.Dataset({"eg": ("t", x + t)}, coords={"t": t}, attrs={"source": "theory"})


def swept(out: Path) -> Any:
    return hr.sweep(line, {"x": [1.0, 2.0, 4.0]}, executor="here", out=out)


def store_files(folder: Path) -> list[bytes]:
    """A store of a sweep, whole, and one that was stopped: folders as archives of their files."""
    out = folder / "sound.zarr"
    swept(out)
    whole = {
        str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()
    }
    assert len(whole) > 6
    points = sorted(
        {name.split("/")[1] for name in whole if name.count("/") > 1 and name.startswith("points")}
    )
    stopped = {
        name: part for name, part in whole.items() if points[0] not in name and not name.startswith("table")
    }
    return [archived(whole), archived(stopped)]


#: Part of an archive that says: a point of this store is whole and tells other numbers.
FORGED = "forged"


def resealed_points(parts: dict[str, bytes]) -> None:
    """Make the checksums of points right again, so that what stands behind them is tried too."""
    for name in [name for name in parts if name.startswith("points/") and name.endswith("/zarr.json")]:
        try:
            said = json.loads(parts[name])
            made = hashlib.sha256(said["attributes"]["table"].encode())
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
        made.update(parts.get(name.replace("zarr.json", "c/0"), b""))
        said["attributes"]["checksum"] = made.hexdigest()
        parts[name] = json.dumps(said).encode()


def odd_point(parts: dict[str, bytes], random: Random, others: list[bytes]) -> None:
    """Make what a point says of its variables something that nobody wrote; its numbers stay."""
    names = [
        name for name in parts if name.startswith("points/") and name.count("/") == 2 and "c/0" not in name
    ]
    name = names[random.integers(len(names))]
    said = json.loads(parts[name])
    if "table" in said["attributes"]:
        table = damaged(said["attributes"]["table"].encode(), random, others)
        said["attributes"]["table"] = table.decode("utf-8", "replace")
        parts[name] = json.dumps(said).encode()
        resealed_points(parts)


def damaged_store(data: bytes, random: Random, others: list[bytes]) -> bytes:
    parts = members(data)
    if random.integers(4) == 0:
        odd_point(parts, random, others)
        return archived({**parts, FORGED: b""})
    lent = [members(other) for other in others]
    for _ in range(int(random.integers(1, 4))):
        names = list(parts)
        if not names:
            break
        name, other = names[random.integers(len(names))], names[random.integers(len(names))]
        choice = random.integers(8)
        if choice == 0:
            del parts[name]
        elif choice == 1:
            parts[name] = parts[other]
        elif choice == 2:
            # A file where a folder was.
            folder = name.rpartition("/")[0]
            parts = {key: part for key, part in parts.items() if not key.startswith(f"{folder}/")}
            parts[folder or "zarr.json"] = b"{}"
        elif choice == 3:
            parts[f"{name}/zarr.json"] = parts.pop(name)
        else:
            parts[name] = damaged(parts[name], random, [part for each in lent for part in each.values()])
    return archived(parts)


def sweep_again(path: Path) -> None:
    """Go on with a sweep; whatever is damaged is computed again, to the same numbers."""
    out, forged = path, False
    if path.read_bytes()[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        out = path.with_name("damaged.zarr")
        shutil.rmtree(out, ignore_errors=True)
        parts = members(path.read_bytes())
        forged = parts.pop(FORGED, None) is not None
        for name, part in parts.items():
            file = out / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(part)
    table = swept(out)
    assert forged or table.eg.values.tolist() == [[1.0, 2.0], [2.0, 3.0], [4.0, 5.0]], table.eg.values


def numpy_files(_: Path) -> list[bytes]:
    """Files of numpy's: one array, several, several packed."""
    arrays = {"X": np.arange(12.0).reshape(3, 4), "y": np.array([1, -1, 1]), "names": np.array(["a", "bc"])}
    found = []
    for write in (
        lambda file: np.save(file, arrays["X"]),
        lambda file: np.savez(file, **arrays),
        lambda file: np.savez_compressed(file, **arrays),
    ):
        file = io.BytesIO()
        write(file)
        found.append(file.getvalue())
    return found


def damaged_numpy(data: bytes, random: Random, others: list[bytes]) -> bytes:
    if random.integers(2) or data[:2] != b"PK":
        return damaged(data, random, others)
    parts = members(data)
    name = list(parts)[random.integers(len(parts))]
    return archived({**parts, name: damaged(parts[name], random, others)})


def onnx_files(_: Path) -> list[bytes]:
    """Graphs of a layer, of two for one sample at a time, and of some fixed sizes."""
    from onnx import TensorProto, helper, numpy_helper

    weight = np.linspace(-1.0, 1.0, 20).reshape(4, 5).astype(np.float32)
    layer = [helper.make_node("MatMul", ["z", "w"], ["h"]), helper.make_node("Tanh", ["h"], ["x"])]
    found = []
    for given, made in ((["n", 4], ["n", 5]), ([4], [5]), ([2, 4], [2, 5])):
        graph = helper.make_graph(
            layer,
            "graph",
            [helper.make_tensor_value_info("z", TensorProto.FLOAT, given)],
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, made)],
            [numpy_helper.from_array(weight, "w")],
        )
        opset = [helper.make_opsetid("", 17)]
        found.append(helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString())
    return found


def draw_from_graph(path: Path) -> None:
    hr.generators.from_onnx(path, center=False).sample(3)


STORE = "store of a sweep"

#: Sound files of a kind, how they are damaged, and their reader.
KINDS: dict[str, tuple[Callable[[Path], list[bytes]], Callable[..., bytes], Callable[[Path], Any]]] = {
    "checkpoint": (checkpoint_files, damaged_checkpoint, hr.load),
    "safetensors": (safetensors_files, damaged_safetensors, read_tensors),
    "idx": (idx_files, damaged, read_idx),
    "configuration": (config_files, damaged, check_config),
    "story": (story_files, damaged, make_again),
    "netCDF": (netcdf_files, damaged_netcdf, make_file_again),
    STORE: (store_files, damaged_store, sweep_again),
    "ONNX": (onnx_files, damaged, draw_from_graph),
    "numpy": (numpy_files, damaged_numpy, numpy_arrays),
}

#: Libraries that a kind needs beside those that everybody has.
NEEDS = {
    "netCDF": ("xarray", "h5netcdf", "scipy"),
    STORE: ("zarr",),
    "ONNX": ("onnx", "onnxruntime"),
}

#: Seconds of the processor that one file may take, and bytes.
SECONDS, MEMORY = 60, 4 << 30


def attempts(kind: str, number: int) -> Iterator[str]:
    """Try damaged files of a kind and yield what is wrong with what their reader does."""
    make, damage, reader = KINDS[kind]
    folder = Path(tempfile.mkdtemp())
    os.chdir(folder)
    sound = make(folder)
    path = folder / "file"
    for data in sound:
        path.write_bytes(data)
        if kind != "safetensors" or b"hmm_rs" in data:
            reader(path)
    for k in range(number):
        random = np.random.default_rng([zlib.crc32(kind.encode()), k])
        data = random.bytes(int(random.integers(300)))
        if random.random() > 0.03:
            data = damage(sound[random.integers(len(sound))], random, sound)
        path.write_bytes(data)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            reader(path)
        except hr.HmmError as error:
            if not str(error).isprintable() and "\n" not in str(error):
                yield f"{k}: a message that cannot be printed: {error!r}"
        except BaseException as error:
            yield f"{k}: {type(error).__name__}: {error}"
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        print(end=".", flush=True)


def main() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    kind, number = sys.argv[1], int(sys.argv[2])
    for told in attempts(kind, number):
        print("\n" + " ".join(told.split())[:300], flush=True)


def fuzzed(kind: str, number: int) -> int:
    """Try so many files of a kind in a child; return how many it read or refused."""
    for library in NEEDS.get(kind, ()):
        pytest.importorskip(library)
    done = subprocess.run(
        [sys.executable, "-P", __file__, kind, str(number)], capture_output=True, text=True, check=False
    )
    tried = re.sub(r"[^.\n]|(?<=[^.\n])\.", "", done.stdout).count(".")
    complaints = [line.strip(".") for line in done.stdout.splitlines() if line.strip(".")]
    assert not complaints, f"{len(complaints)} of {number}:\n" + "\n".join(complaints[:50])
    assert done.returncode == 0, f"it died by {done.returncode} at the {tried}th: {done.stderr[-1000:]}"
    return tried


#: How many are tried in the quick suite and in the slow one; a store has a dozen files of which each is read.
FEW, MANY = 100, 4000
OF_STORES = 30, 2000


@pytest.mark.skipif(sys.platform != "linux", reason="needs limits on memory")
@pytest.mark.parametrize("kind", KINDS)
def test_some_damaged_files_are_read_or_refused(kind: str) -> None:
    number = OF_STORES[0] if kind == STORE else FEW
    assert fuzzed(kind, number) == number


@pytest.mark.slow
@pytest.mark.counted
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_are_read_or_refused(kind: str, tried: Any) -> None:
    number = OF_STORES[1] if kind == STORE else MANY
    count = fuzzed(kind, number)
    tried(f"files, damaged or foreign: {kind}", count, {"not answered": number - count})


if __name__ == "__main__":
    main()
