"""Speed of data generation and one-pass SGD, beside rivals, in one run.

Rates are best of several repeats, interleaved, so that a slow spell of the machine hits all alike.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from rivals.online_sgd import RIVALS

import hmm_rs as hr


def best(function: Callable[[], float], repeats: int) -> float:
    """Return the smallest of several timings."""
    return min(function() for _ in range(repeats))


def gemm_rate(dtype: str, size: int = 2048) -> float:
    """Return GFLOP/s of numpy's own matrix product (OpenBLAS, all threads)."""
    a = np.ones((size, size), dtype)
    out = np.empty_like(a)

    def once() -> float:
        started = time.perf_counter()
        np.dot(a, a, out=out)
        return time.perf_counter() - started

    return 2e-9 * size**3 / best(once, 5)


def generation_rate(f: str, dtype: str, N: int = 4096, D: int = 1024, P: int = 4096) -> float:
    """Return GFLOP/s of the product inside data generation, random numbers and f included."""
    model = hr.HiddenManifold(N, D, f=f)
    model.sample(16, dtype=dtype)

    def once() -> float:
        started = time.perf_counter()
        model.sample(P, dtype=dtype)
        return time.perf_counter() - started

    return 2e-9 * P * N * D / best(once, 5)


def our_step(
    N: int, D: int, K: int, M: int, *, lr: float, steps: int, dtype: str, threads: int | None
) -> float:
    """Return seconds per step of hmm_rs."""
    student = hr.TwoLayer.random(K, N, seed=1)
    sim = hr.OnlineSGD(hr.HiddenManifold(N, D), hr.TwoLayer.random(M, D), student=student, lr=lr, dtype=dtype)
    sim.advance(steps // 4, threads=threads)
    started = time.perf_counter()
    sim.advance(steps, threads=threads)
    return (time.perf_counter() - started) / steps


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats

    print("Data generation, N=4096, D=1024 (share of numpy's own GEMM rate on all threads)")
    for dtype in ("float64", "float32"):
        peak = gemm_rate(dtype)
        for f in ("sign", "erf"):
            rate = generation_rate(f, dtype)
            print(
                f"  {dtype} f={f:<5} {rate:7.1f} GFLOP/s   GEMM {peak:7.1f} GFLOP/s   share {rate / peak:.2f}"
            )

    print("One-pass SGD, N=1000, D=100, K=4, M=2, sign/erf (microseconds a step)")
    size = {"N": 1000, "D": 100, "K": 4, "M": 2, "lr": 0.2}
    for dtype in ("float64", "float32"):
        ours = dict.fromkeys((1, None), np.inf)
        rivals = dict.fromkeys(RIVALS, np.inf)
        missing = {}
        for _ in range(repeats):
            for threads in ours:
                ours[threads] = min(
                    ours[threads], our_step(**size, steps=40_000, dtype=dtype, threads=threads)
                )
            for name, rival in RIVALS.items():
                try:
                    rivals[name] = min(rivals[name], rival(**size, blocks=8, size=1024, dtype=dtype))
                except ImportError as error:
                    missing[name] = str(error)
        flops = 2 * 1000 * 100 + 4 * 4 * 1000
        for threads, seconds in ours.items():
            label = f"hmm_rs, {threads or hr.get_num_threads()} threads"
            print(f"  {dtype} {label:<18} {1e6 * seconds:7.2f}   {1e-9 * flops / seconds:6.1f} GFLOP/s")
        for name, seconds in rivals.items():
            if name in missing:
                print(f"  {dtype} {name:<18} skipped: {missing[name]}")
            else:
                print(f"  {dtype} {name:<18} {1e6 * seconds:7.2f}   ratio {seconds / ours[None]:.2f}")


if __name__ == "__main__":
    main()
