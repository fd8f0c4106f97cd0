"""Speed of the equations of online learning, beside numpy and scipy, in one process.

The rival is a numpy right-hand side with every index vectorised, under scipy's LSODA and DOP853, at
the same tolerances (rtol 1e-8, atol 1e-10). Times are the best of several interleaved repeats.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from rivals.online_theory import HiddenManifold

import hmm_rs as hr
from hmm_rs import theory


def best(function: Callable[[], object], repeats: int) -> float:
    """Return the smallest of several timings, in seconds."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        function()
        times.append(time.perf_counter() - started)
    return min(times)


def pair(K: int, M: int, delta: float, nodes: int = 30) -> tuple[theory.HiddenManifoldODE, HiddenManifold]:
    """Return the same continuum problem in both languages."""
    rng = np.random.default_rng(0)
    rho, weights = theory.marchenko_pastur(delta, nodes)
    W0 = np.eye(K) + 0.01
    arrays = {
        "rho": rho,
        "weights": weights,
        "sigma0": rho[:, None, None] * W0,
        "r0": np.sqrt(rho)[:, None, None] * 0.05 * rng.standard_normal((K, M)),
        "W0": W0,
        "v0": np.ones(K),
        "v_teacher": np.ones(M),
        "delta": delta,
        "lr": 0.2,
    }
    t_modes = np.broadcast_to(np.eye(M), (rho.size, M, M))
    ours = theory.HiddenManifoldODE(**arrays, t_modes=t_modes, f="sign")
    return ours, HiddenManifold(**arrays, t=t_modes, moments=theory.gaussian_moments("sign"))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats

    print("Right-hand side, 30 nodes and the atom, erf units (microseconds; target ratios 50 and 20)")
    for K, M in ((2, 2), (8, 4)):
        ours, rival = pair(K, M, 0.1)
        y, count = rival.initial(), 2000
        us = best(lambda ours=ours, count=count: ours._equations.velocity(count), repeats + 2) / count
        them = best(lambda rival=rival, y=y: [rival.velocity(0.0, y) for _ in range(50)], repeats) / 50
        print(f"  K={K} M={M}   hmm_rs {us * 1e6:8.2f}   numpy {them * 1e6:8.1f}   ratio {them / us:6.0f}")

    print("Full solve, 30 nodes, 40 output times (milliseconds; target ratios 50 and 20)")
    for K, M, delta, end in ((2, 2, 0.1, 100.0), (8, 4, 0.1, 100.0), (2, 2, 0.01, 50.0)):
        ours, rival = pair(K, M, delta)
        times = np.concatenate([[0.0], np.geomspace(0.1, end, 40)])
        us = best(lambda ours=ours, times=times: ours.solve(times), repeats + 2)
        ours_eg = ours.solve(times).eg.values
        for method in ("LSODA", "DOP853"):
            started = time.perf_counter()
            eg = rival.solve(times, method=method)[0]
            them = time.perf_counter() - started
            print(
                f"  K={K} M={M} delta={delta:<5} t={end:<5g} hmm_rs {us * 1e3:8.2f}   {method:<6} "
                f"{them * 1e3:9.1f}   ratio {them / us:6.0f}   max |gap of eg| {abs(eg - ours_eg).max():.1e}"
            )

    print("Stiff and long, rtol 1e-8, one core (milliseconds)")
    for delta, end, target in ((0.01, 1000.0, 100.0), (0.1, 100.0, 5.0)):
        ours, _ = pair(2, 2, delta)
        times = np.concatenate([[0.0], np.geomspace(0.1, end, 100)])
        us = best(lambda ours=ours, times=times: ours.solve(times), repeats + 2)
        attrs = ours.solve(times).attrs
        print(
            f"  delta={delta:<5} t={end:<6g} {us * 1e3:7.2f} (target {target:g})   {attrs['method']}, "
            f"{attrs['steps']} steps, {attrs['rejections']} rejected"
        )

    print("Sweep of 100 learning rates (delta=0.1, t=100)")
    systems = [
        theory.HiddenManifoldODE.continuum(
            delta=0.1,
            W0=np.eye(2),
            R0=[[0.05, -0.02], [-0.03, 0.04]],
            T=np.eye(2),
            v0=[1, 1],
            v_teacher=[1, 1],
            f="sign",
            lr=lr,
        )
        for lr in np.linspace(0.05, 1.0, 100)
    ]
    for threads in (1, hr.get_num_threads()):
        seconds = best(
            lambda threads=threads: theory.solve_many(systems, [0.0, 10.0, 100.0], threads=threads), repeats
        )
        print(f"  {threads} threads {seconds * 1e3:8.1f} ms")


if __name__ == "__main__":
    main()
