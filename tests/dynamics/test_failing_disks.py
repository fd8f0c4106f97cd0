"""Places that fail while a run is saved there: a full disk, one that is shut, a file that others write too."""

import contextlib
import os
import subprocess
import sys

import pytest

import hmm_rs as hr
from hmm_rs.dynamics import checkpoint as checkpoints
from hmm_rs.testing import difference

resource = pytest.importorskip("resource", reason="needs the limits of POSIX")

SETUP = """
import os, sys, time, warnings
import numpy as np, hmm_rs as hr
def make(seed=4):
    model = hr.HiddenManifold(400, 40, f="erf", seed=1)
    return hr.OnlineSGD(model, hr.TwoLayer.random(2, 40, seed=2), student=hr.TwoLayer.random(3, 400, seed=3),
                        lr=0.3, test_size=100, seed=seed)
TIMES = np.linspace(0.0, 4.0, 9)
"""
namespace = {}
exec(SETUP, namespace)
make, TIMES = namespace["make"], namespace["TIMES"]


@pytest.fixture(scope="module")
def whole():
    return make().run(4.0, save_at=TIMES)


def child(script, *arguments):
    return subprocess.Popen([sys.executable, "-P", "-c", SETUP + script, *map(str, arguments)])


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_disk_that_fills_up_costs_neither_run_nor_last_save(tmp_path, whole, share):
    path, kept = tmp_path / "run.npz", []

    def fill(driver, seen):
        if seen["t"] == 2.0:
            kept.append(path.read_bytes())
            # Every write past this size of a file fails.
            before = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(share * len(kept[0])), before[1]))
            filled.callback(resource.setrlimit, resource.RLIMIT_FSIZE, before)

    with contextlib.ExitStack() as filled, pytest.warns(hr.errors.CheckpointWarning, match="File too large"):
        result = make().run(4.0, save_at=TIMES, checkpoint=path, checkpoint_every=0.0, callbacks=[fill])
    assert difference(result, whole) == ""
    # The file is the last that fitted, nothing is beside it, and it is continued to the same bits.
    assert path.read_bytes() == kept[0]
    assert list(tmp_path.iterdir()) == [path]
    assert difference(hr.resume(path), whole) == ""


@pytest.fixture
def disk(tmp_path):
    """A file system of 100 KiB: two checkpoints of 41 kB fit into it, the last good one and the next."""
    if (
        os.geteuid() != 0
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=100k", "none", tmp_path], check=False, capture_output=True
        ).returncode
    ):
        pytest.skip("cannot mount a file system")
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


def test_a_file_system_without_room_costs_neither_run_nor_last_save(disk, whole):
    path, kept = disk / "run.npz", []

    def fill(driver, seen):
        if seen["t"] == 2.0:
            kept.append(path.read_bytes())
            with open(disk / "data", "wb", buffering=0) as file, contextlib.suppress(OSError):
                while file.write(bytes(1 << 12)):
                    pass

    with pytest.warns(hr.errors.CheckpointWarning, match="No space left on device"):
        result = make().run(4.0, save_at=TIMES, checkpoint=path, checkpoint_every=0.0, callbacks=[fill])
    assert difference(result, whole) == ""
    assert path.read_bytes() == kept[0]
    with pytest.raises(hr.InvalidParameterError, match="No space left on device"):
        make().run(4.0, checkpoint=disk / "other.npz")
    (disk / "data").unlink()
    assert difference(hr.resume(path), whole) == ""
    assert list(disk.iterdir()) == [path]


def test_a_disk_that_becomes_read_only_costs_neither_run_nor_last_save(disk, whole):
    path, kept = disk / "run.npz", []

    def shut(driver, seen):
        if seen["t"] == 2.0:
            kept.append(path.read_bytes())
            subprocess.run(["mount", "-o", "remount,ro", disk], check=True)

    with pytest.warns(hr.errors.CheckpointWarning, match="Read-only file system"):
        result = make().run(4.0, save_at=TIMES, checkpoint=path, checkpoint_every=0.0, callbacks=[shut])
    assert difference(result, whole) == ""
    assert path.read_bytes() == kept[0]
    with pytest.raises(hr.InvalidParameterError, match="Read-only file system"):
        make().run(4.0, checkpoint=disk / "other.npz")
    subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
    assert difference(hr.resume(path), whole) == ""
    assert list(disk.iterdir()) == [path]


#: A process that runs into a file, once the starting sign is given.
RACER = """
seed, path, sign = int(sys.argv[1]), sys.argv[2], sys.argv[3]
sim = make(seed)
while not os.path.exists(sign):
    time.sleep(0.001)
warnings.simplefilter("ignore")
try:
    sim.run(4.0, save_at=TIMES, checkpoint=path, checkpoint_every=0.0, overwrite=sys.argv[4] == "overwrite")
except hr.InvalidParameterError as error:
    assert "another run" in str(error), error
    sys.exit(78)
"""


@pytest.mark.parametrize("how", ["overwrite", "keep"])
def test_processes_that_share_a_file_do_not_mix(tmp_path, how):
    """Three runs begin at one moment: the file is one of theirs, whole, at any time and in the end."""
    path, sign = tmp_path / "run.npz", tmp_path / "sign"
    racers = [child(RACER, seed, path, sign, how) for seed in range(3)]
    sign.touch()
    reads = 0
    while any(racer.poll() is None for racer in racers):
        if path.exists():
            _, arrays = checkpoints.read(path)
            assert len(arrays["record:t"]) <= len(TIMES)
            reads += 1
    assert reads > 0
    assert {racer.returncode for racer in racers} <= ({0} if how == "overwrite" else {0, 78})
    seed = hr.load(path).seed
    assert difference(hr.resume(path), make(seed).run(4.0, save_at=TIMES)) == ""
    assert sorted(tmp_path.iterdir()) == [path, sign]


def test_a_file_that_appears_after_the_beginning_is_not_written_over(tmp_path, whole):
    path = tmp_path / "run.npz"
    theirs = []

    def other(driver, seen):
        if not theirs:
            make(seed=9).run(1.0, checkpoint=path)
            theirs.append(path.read_bytes())

    with pytest.warns(hr.errors.CheckpointWarning, match=r"another run.*there is none yet"):
        result = make().run(4.0, save_at=TIMES, checkpoint=path, checkpoint_every=0.0, callbacks=[other])
    assert difference(result, whole) == ""
    assert path.read_bytes() == theirs[0]
