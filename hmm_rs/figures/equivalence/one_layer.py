"""One random layer: error and order parameters beside the equations with the exact covariances."""

from __future__ import annotations

import numpy as np

from ...data import HiddenManifold
from ...theory import CovarianceODE
from ..card import Card, Scale
from ..finite_size import NEGLECTED, neglected
from ..panels import panels
from ..reproduction import Parts
from .online import draw, engine_of, rows, streams

__all__ = ["CARD", "make"]


def make(scale: str | Scale = "small") -> Parts:
    """Return eps_g(t), Q(t) and R(t) of K = M = 2, both layers trained, on x = sign(F c/sqrt(D)), D = 100.

    N = 1000 and t <= 100 at "small", N = 3072 and t <= 500 at "paper"; 6 sample streams.
    """
    scale = Scale.of(scale)
    N, t_max = scale.pick(small=(1000, 100.0), paper=(3072, 500.0))
    return _made(scale, N=N, D=100, t_max=t_max, seeds=6)


def _made(scale: Scale, *, N: int, D: int, t_max: float, seeds: int) -> Parts:
    model = HiddenManifold(N, D, f="sign", seed=1)
    runs = streams(scale, "one-layer", model, t_max=t_max, seeds=seeds)
    equations = CovarianceODE.from_simulation(engine_of(model, 0))
    theory = equations.solve(np.geomspace(0.1, t_max, 200))
    figure, axes = panels(1, 2)
    draw(runs, theory, axes[0])
    table = rows("", runs, equations, neglected(engine_of(model, 0), runs.t).eg, NEGLECTED)
    return {"simulation": runs, "theory": theory}, figure, table


CARD = Card(
    "gaussian-equivalence-one-layer",
    "Gaussian equivalence",
    "Learning from one random layer",
    "Generalisation error over time, and Q and R over time; points: one-pass SGD, mean and spread over sample streams; "
    "lines: the equations with the exact covariances of inputs and latents.",
    "K = M = 2, lr = .2, erf units, both layers trained, D = 100, N = 3072, 10^4 test samples; N = 1000 at small "
    "scale. Nonlinearity of the layer, ours: sign.",
    "high",
    make,
    "The number of the published figure is not known.",
)
