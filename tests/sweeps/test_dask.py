"""A sweep on a Dask cluster of two worker processes, of which one dies and the client restarts."""

import os
import signal
import threading
import time

import numpy as np
import pytest

import hmm_rs as hr

distributed = pytest.importorskip("distributed")

#: What two processes on one machine have to say of it.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture
def cluster(tmp_path):
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        dashboard_address=None,
        local_directory=str(tmp_path / "dask"),
    ) as made:
        yield made


def grid():
    """200 points over rate, D/N and seeds."""
    return {"lr": [0.05, 0.1, 0.2, 0.3, 0.5], "D": [6, 12, 24, 60]}, 10


def counted(toy, pause):
    """Return a function that leaves a letter a call."""

    def fn(lr, D, seed):
        toy.called(lr, D, seed)
        time.sleep(pause)
        return toy.student(lr, D, seed)

    return fn


def same(one, other):
    return all(one[name].values.tobytes() == other[name].values.tobytes() for name in other.data_vars)


def stored(out):
    """Names of the points that are in the store."""
    return {path.parents[1].name for path in out.glob("points/*/c/0")}


def test_200_points_with_a_worker_killed_and_the_client_restarted_are_the_serial_ones(
    toy, calls, tmp_path, cluster
):
    values, seeds = grid()
    at = [0.0, 0.5, 1.0]
    fn = counted(toy, 0.05)
    out = tmp_path / "sweep.zarr"
    done = []

    def disturb(client):
        while len(stored(out)) < 40:
            time.sleep(0.02)
        worker = next(iter(cluster.workers.values()))
        os.kill(worker.pid, signal.SIGKILL)
        done.append("killed")
        while len(stored(out)) < 90:
            time.sleep(0.02)
        client.restart()
        done.append("restarted")

    with distributed.Client(cluster) as client:
        troublemaker = threading.Thread(target=disturb, args=(client,), daemon=True)
        troublemaker.start()
        began = time.monotonic()
        table = hr.sweep(fn, values, seeds=seeds, at=at, executor=client.get_executor(), out=out)
        seconds = time.monotonic() - began
        troublemaker.join(60)
    assert done == ["killed", "restarted"]
    assert table.attrs["failed"] == 0
    made = {file.name: len(file.read_text()) for file in calls.iterdir()}
    assert len(made) == 200
    # Lost with their workers, on the way or not handed over yet: never a point that was stored.
    again = sum(made.values()) - 200
    print(f"{seconds:.1f} s, {again} points computed twice")
    assert again <= 10

    before = sum(made.values())
    serial = hr.sweep(toy.student, values, seeds=seeds, at=at, executor="here")
    assert same(table, serial)
    assert same(hr.sweep(fn, values, seeds=seeds, at=at, executor="here", out=out), serial)
    assert sum(len(file.read_text()) for file in calls.iterdir()) == before


def test_a_second_client_goes_on_with_the_store_of_the_first(toy, calls, tmp_path, cluster):
    values, seeds = grid()
    at = [0.0, 0.5]
    fn = counted(toy, 0.02)
    out = tmp_path / "sweep.zarr"
    with distributed.Client(cluster) as client:

        def leave():
            while len(stored(out)) < 50:
                time.sleep(0.02)
            client.close()

        thread = threading.Thread(target=leave, daemon=True)
        thread.start()
        with pytest.raises(hr.SweepError, match="takes no more points") as seen:
            hr.sweep(fn, values, seeds=seeds, at=at, executor=client.get_executor(), out=out)
        thread.join(60)
    there = stored(out)
    assert 50 <= len(there) < 200
    assert int(np.isfinite(seen.value.result.eg.isel(t=0)).sum()) == len(there)
    before = sum(len(file.read_text()) for file in calls.iterdir())
    with distributed.Client(cluster) as client:
        table = hr.sweep(fn, values, seeds=seeds, at=at, executor=client.get_executor(), out=out)
    assert sum(len(file.read_text()) for file in calls.iterdir()) == before + 200 - len(there)
    assert same(table, hr.sweep(toy.student, values, seeds=seeds, at=at, executor="here"))
