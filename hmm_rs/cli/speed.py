"""How fast this machine is: small runs of each kind, on one thread and on all."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _lib
from ..data import HiddenManifold, LinearlySeparable
from ..dynamics import OnlineSGD, Particles
from ..networks.mean_field import MeanFieldNetwork
from ..networks.two_layer import TwoLayer
from ..theory import SaadSolla, replica, solve_many

__all__ = ["report"]

#: Seconds that each measurement takes at least.
_LONG_ENOUGH = 0.4


def report(threads: int) -> str:
    """Return a table of speeds on one thread and on `threads`."""
    columns = sorted({1, threads})
    head = ["", "unit", *(f"{n} thread{'s' if n > 1 else ''}" for n in columns)]
    rows = [head]
    for name, unit, make in _WORK:
        rows.append([name, unit, *(f"{_speed(make(), n):.3g}" for n in columns)])
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = [
        "  ".join(
            cell.ljust(w) if i < 2 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    lines.append("")
    lines.append(f"hmm_rs {_lib.__version__}, instruction set {_lib.instruction_set()}.")
    lines.append("Results do not depend on the number of threads. To compare with what one would")
    lines.append("write in numpy, Numba and JAX: make bench, in a clone of the repository.")
    return "\n".join(line.rstrip() for line in lines)


def _speed(work: Callable[[int], float], threads: int) -> float:
    """Return how much work is done in a second: the best of three rounds."""
    work(threads)
    best, spent = 0.0, 0.0
    for _ in range(3):
        begun = time.perf_counter()
        done = 0.0
        while (taken := time.perf_counter() - begun) < _LONG_ENOUGH / 3 or not done:
            done += work(threads)
        taken = time.perf_counter() - begun
        best = max(best, done / taken)
        spent += taken
    return best


def _online() -> Callable[[int], float]:
    sim = OnlineSGD(
        HiddenManifold(1000, 100),
        TwoLayer.random(2, 100, seed=1),
        student=TwoLayer.random(2, 1000, seed=2),
        lr=0.1,
        test_size=100,
    )

    def work(threads: int) -> float:
        sim.advance(2000, threads=threads)
        return 2000.0

    return work


def _particles() -> Callable[[int], float]:
    run = Particles(
        MeanFieldNetwork.random(1000, 50, seed=1), data=LinearlySeparable(50), batch=2000, test_size=100
    )

    def work(threads: int) -> float:
        run.advance(2, threads=threads)
        return 2.0 * 1000 * 2000 / 1e6

    return work


def _equations() -> Callable[[int], float]:
    systems = [
        SaadSolla(
            0.1 * np.eye(2), 0.01 * np.eye(2), T=np.eye(2), v0=[1, 1], v_teacher=[1, 1], lr=0.1 * (i + 1)
        )
        for i in range(8)
    ]

    def work(threads: int) -> float:
        solve_many(systems, [0.0, 100.0], threads=threads)
        return float(len(systems))

    return work


def _replica() -> Callable[[int], float]:
    spectrum = replica.Spectrum.random_features(1.5, (0.8, 0.6), nodes=100)
    alphas = np.linspace(0.5, 3.0, 40)

    def work(threads: int) -> float:
        replica.learning_curve(spectrum, alphas, loss="logistic", lam=0.1, threads=threads)
        return float(alphas.size)

    return work


_WORK: tuple[tuple[str, str, Callable[[], Any]], ...] = (
    ("one-pass SGD, N=1000, D=100, K=2", "steps/s", _online),
    ("particles, 1000 nodes, d=50", "Mnode-examples/s", _particles),
    ("equations, K=M=2, to t=100", "solutions/s", _equations),
    ("replica curve, logistic", "points/s", _replica),
)
