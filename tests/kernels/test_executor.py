"""Kernels in pieces that an executor computes: the bits of the whole."""

import os
import platform
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest

import hmm_rs as hr
from hmm_rs.ground import workers as doors
from hmm_rs.sweeps.local import LocalWorkers


def points(rows, seed=0, dtype="float64"):
    return np.random.default_rng(seed).standard_normal((rows, 5)).astype(dtype)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("part", ["full", "last"])
@pytest.mark.parametrize("block", [7, 256, 5000])
def test_a_kernel_in_pieces_is_the_whole_to_the_bit(monkeypatch, dtype, part, block):
    monkeypatch.setattr("hmm_rs.kernels.finite._SIDE", 20)
    network = hr.MeanFieldNetwork.random(300, 5, std_b=1.0, dtype=dtype, seed=1)
    X, Y = points(90, dtype=dtype), points(50, seed=1, dtype=dtype)
    with ThreadPoolExecutor(2) as pool:
        for other in (None, Y):
            whole = hr.kernels.network_ntk(network, X, other, part=part, block=block)
            pieces = hr.kernels.network_ntk(network, X, other, part=part, block=block, executor=pool)
            assert pieces.tobytes() == whole.tobytes()


def test_a_kernel_comes_from_other_processes(monkeypatch):
    monkeypatch.setattr("hmm_rs.kernels.finite._SIDE", 8)
    network = hr.MeanFieldNetwork.random(50, 5, seed=1)
    pool = LocalWorkers(2)
    try:
        found = hr.kernels.network_ntk(network, points(30), block=8, executor=pool)
    finally:
        pool.shutdown(cancel_futures=True)
    assert found.tobytes() == hr.kernels.network_ntk(network, points(30), block=8).tobytes()


class Forgetful(ThreadPoolExecutor):
    """Loses every task the first times it is asked for it."""

    def __init__(self, times):
        super().__init__(1)
        self.times, self.lost = times, {}

    def submit(self, fn, /, *args):
        key = str(args[-1])[:2000]
        self.lost[key] = self.lost.get(key, 0) + 1
        if self.lost[key] <= self.times:
            future = Future()
            future.set_exception(RuntimeError("the worker died"))
            return future
        return super().submit(fn, *args)


def test_a_lost_piece_is_computed_again():
    network = hr.MeanFieldNetwork.random(50, 5, seed=1)
    whole = hr.kernels.network_ntk(network, points(30))
    with Forgetful(2) as pool:
        assert hr.kernels.network_ntk(network, points(30), executor=pool).tobytes() == whole.tobytes()
    with Forgetful(9) as pool, pytest.raises(hr.ResourceError, match="lost 3 times"):
        hr.kernels.network_ntk(network, points(30), executor=pool)


def test_what_cannot_compute_is_refused(monkeypatch):
    network = hr.MeanFieldNetwork.random(50, 5, seed=1)
    with pytest.raises(hr.DtypeError, match="executor = 3: must be an executor"):
        hr.kernels.network_ntk(network, points(3), executor=3)
    with ThreadPoolExecutor(1) as pool:
        pool.shutdown()
        with pytest.raises(hr.ResourceError, match="takes no more tasks"):
            hr.kernels.network_ntk(network, points(3), executor=pool)
    assert doors.other_version("0.0.0").startswith(
        f"the worker {platform.node()} has hmm_rs {hr.__version__}"
    )
    assert doors._task("0.0.0", ("", os.getpid()), 0, len, ()) == (doors.other_version("0.0.0"), None, None)
