"""Shards on a Dask cluster of two worker processes, of which one dies."""

import os
import signal

import pytest

import hmm_rs as hr
from hmm_rs.testing import difference

distributed = pytest.importorskip("distributed")

#: What two processes on one machine have to say of it.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def run_of(**options):
    law = hr.GaussianMixture(8, mu=1.0)
    return hr.Particles(
        hr.RandomNodes(100, 8, seed=3),
        data=law,
        batch=30,
        test_size=30,
        subtract_init=True,
        shards=6,
        **options,
    )


def test_shards_on_dask_with_a_worker_killed_are_those_of_one_process(tmp_path):
    expected = run_of()
    kept = expected.run(30, save_at=[0, 10, 20, 30])
    killed = []
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            local_directory=str(tmp_path / "dask"),
        ) as cluster,
        distributed.Client(cluster) as client,
    ):

        def kill(run, seen):
            if run.step == 10:
                worker = next(iter(cluster.workers.values()))
                os.kill(worker.pid, signal.SIGKILL)
                killed.append(worker.pid)

        run = run_of(executor=client)
        found = run.run(
            30,
            save_at=[0, 10, 20, 30],
            callbacks=[kill],
            checkpoint=tmp_path / "run.npz",
            checkpoint_every=0.0,
        )
        assert killed
        assert not difference(found, kept)
        assert run.network == expected.network
        run.close()
        # The workers are free again, for the next run and for everything else.
        assert client.submit(int, "3").result(timeout=30) == 3
        again = hr.resume(tmp_path / "run.npz", executor=client)
        assert not difference(again, kept)
