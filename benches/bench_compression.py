"""Speed of the compression study beside rivals: one gradient, one tangent kernel, one sweep."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rivals.compression import JaxGradient, NumpyGradient, network_ntk
from threadpoolctl import threadpool_limits

import hmm_rs as hr
from hmm_rs.experiments import compression as experiments


def seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def gradient(p: int, d: int, h: int, repeats: int) -> None:
    """One evaluation of outputs and gradient in single precision on one core, interleaved."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else None
    if allowed:
        # Threads that the rivals start inherit it: everybody has this one core.
        os.sched_setaffinity(0, {max(allowed)})
    X, y = hr.Stripe(d).sample(p)
    network = hr.MeanFieldNetwork.random(h, d, std_b=1.0, activation="sqrt2_relu", dtype="float32")
    flow = hr.GradientFlow(network, X, y)
    # Forward: product and sum; backward: pre-activation again and the force.
    flops = p * h * (2 * d + 2 + 4 * d + 1)
    # Rival by rival, each interleaved with ours: the threads that a library keeps go on working on this core
    # (with JAX loaded ours takes 11 ms instead of 7), so numpy comes before JAX is imported.
    for name, make in (("numpy", NumpyGradient), ("jax", JaxGradient)):
        try:
            rival = make(network.w, network.b, network.a, X, y)
        except ImportError as error:
            print(f"  {name:<8} skipped: {error}")
            continue
        best = {"hmm_rs": np.inf, name: np.inf}
        with threadpool_limits(1):
            rival()
            for _ in range(repeats):
                best["hmm_rs"] = min(
                    best["hmm_rs"], seconds(lambda: flow._engine.query("evaluate", threads=1))
                )
                best[name] = min(best[name], seconds(rival))
        print(f"  hmm_rs   {1e3 * best['hmm_rs']:7.2f} ms   {1e-9 * flops / best['hmm_rs']:.0f} GFLOP/s")
        print(f"  {name:<8} {1e3 * best[name]:7.2f} ms   ratio {best[name] / best['hmm_rs']:5.2f}")
    if allowed:
        os.sched_setaffinity(0, allowed)


def memory(field: str) -> float:
    """Return a figure of this process's memory in MiB (Linux)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{field}:")[1].split()[0]) / 1024


def kernel_in_a_process(name: str, P: int, h: int, pipe: multiprocessing.connection.Connection) -> None:
    """Send seconds and growth of the process's peak memory."""
    network = hr.MeanFieldNetwork.random(h, 10, std_b=1.0, activation="sqrt2_relu")
    X, _ = hr.Stripe(10).sample(P)
    b = network.b
    assert b is not None  # made with biases
    small = X[:50]
    calls = {
        "hmm_rs": lambda x: hr.kernels.network_ntk(network, x),
        "numpy": lambda x: network_ntk(network.w, b, network.a, x),
    }
    calls[name](small)
    before = memory("VmRSS")
    best = min(seconds(lambda: calls[name](X)) for _ in range(3))
    pipe.send((best, memory("VmHWM") - before))


def kernel(P: int, h: int) -> None:
    """The finite tangent kernel on all cores, each in a process of its own for its memory."""
    context = multiprocessing.get_context("spawn")
    results = {}
    for name in ("hmm_rs", "numpy"):
        ours, theirs = context.Pipe()
        process = context.Process(target=kernel_in_a_process, args=(name, P, h, theirs))
        process.start()
        results[name] = ours.recv()
        process.join()
    for name, (time_, growth) in results.items():
        print(
            f"  {name:<8} {time_:6.2f} s   ratio {time_ / results['hmm_rs'][0]:.2f}   "
            f"{growth:6.0f} MiB   share of numpy's {growth / results['numpy'][1]:.2f}"
        )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=20)
    repeats = parser.parse_args().repeats
    print("Gradient evaluation, p=4096, d=10, h=4096, float32, one core")
    gradient(4096, 10, 4096, repeats)
    print("Finite-network tangent kernel, P=2000, h=10000, d=10, float64, all cores")
    kernel(2000, 10_000)
    print("Compression at t*, d=5, p=256...4096, h=200, 20 data seeds")
    print(f"  {seconds(lambda: experiments.compression_scaling(5, seeds=20)):6.1f} s")


if __name__ == "__main__":
    main()
