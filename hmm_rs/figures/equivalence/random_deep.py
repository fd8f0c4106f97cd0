"""A random deep generator beside the equations with its sampled covariances."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...data.generators import random_layers
from ...theory import CovarianceODE
from ..card import Card, Scale
from ..panels import panels
from ..reproduction import Parts
from .online import draw, engine_of, rows, streams

__all__ = ["CARD", "make"]

_BECAUSE = "gap between the equations with sampled covariances and with those of infinitely wide layers"


def make(scale: str | Scale = "small") -> Parts:
    """Return eps_g(t), Q(t) and R(t) of K = M = 2 on three random layers of sign units, D = 100.

    Widths 100, 400, 400, 500 and t <= 100 at "small"; 100, 1000, 1000, 3072 and t <= 500 at "paper"; 6 sample streams.
    """
    scale = Scale.of(scale)
    widths, samples, t_max = scale.pick(
        small=((100, 400, 400, 500), 100_000, 100.0), paper=((100, 1000, 1000, 3072), 1_000_000, 500.0)
    )
    return _made(scale, widths=widths, samples=samples, t_max=t_max, seeds=6)


def _made(scale: Scale, *, widths: Sequence[int], samples: int, t_max: float, seeds: int) -> Parts:
    model = random_layers(widths, "sign", seed=1)
    runs = streams(scale, "random-deep", model, t_max=t_max, seeds=seeds)
    sim = engine_of(model, 0)
    equations = CovarianceODE.from_simulation(sim, covariances=model.covariances(samples, seed=2))
    wide = CovarianceODE.from_simulation(sim, covariances=model.covariances(method="recursion"))
    left_out = abs(wide.solve(runs.t).eg - equations.solve(runs.t).eg)
    theory = equations.solve(np.geomspace(0.1, t_max, 200))
    figure, axes = panels(1, 2)
    draw(runs, theory, axes[0])
    table = rows("", runs, equations, left_out, _BECAUSE)
    return {"simulation": runs, "theory": theory}, figure, table


CARD = Card(
    "gaussian-equivalence-random-deep",
    "Gaussian equivalence",
    "Learning from a random deep generator",
    "Generalisation error over time, and Q and R over time; points: one-pass SGD, mean and spread over sample streams; "
    "lines: the equations with covariances estimated from samples.",
    "K = M = 2, lr = .2, erf units, both layers trained, D = 100. Published: a DCGAN of random weights, N = 3072; "
    "ours: three fully connected layers of sign units, widths 100, 1000, 1000, 3072 (400, 400, 500 at small scale).",
    "high",
    make,
    "The random weights of the published DCGAN are not at hand.",
)
