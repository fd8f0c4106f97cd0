"""Late error against the learning rate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ... import plot
from ...data import HiddenManifold
from ...dynamics import OnlineSGD
from ...experiments.phenomena import late_error_against_learning_rate
from ...networks.two_layer import TwoLayer
from ..card import Card, Scale
from ..finite_size import orthogonal_teacher
from ..panels import panels
from ..reproduction import Parts
from .late import late_errors, late_rows, mark_equations

__all__ = ["CARD", "make"]

_DELTA = 0.1


def make(scale: str | Scale = "small") -> Parts:
    """Return late errors over the learning rate at D/N = .1: D = 50 ("small") or 100 ("paper"), 5 seeds."""
    scale = Scale.of(scale)
    D = scale.pick(small=50, paper=100)
    return _made(scale, lrs=(0.1, 0.2, 0.5, 1.0, 1.5), D=D, steps=100.0, seeds=5)


def _made(scale: Scale, *, lrs: Sequence[float], D: int, steps: float, seeds: int) -> Parts:
    N = round(D / _DELTA)

    def engine(lr: float, seed: int) -> tuple[OnlineSGD, float]:
        model, student = HiddenManifold(N, D, f="sign", seed=[seed, 1]), TwoLayer.random(2, N, seed=[seed, 2])
        return OnlineSGD(
            model, orthogonal_teacher(2, D, seed), student=student, lr=lr, seed=[seed, 3]
        ), steps / lr

    runs = late_errors(scale, engine, lrs, dim="lr", label="learning rate", seeds=seeds)
    theory = late_error_against_learning_rate(np.geomspace(min(lrs) / 2, max(lrs), 25), delta=_DELTA)
    figure, axes = panels(1, 1)
    plot.learning_curve(
        runs, theory, ax=axes[0, 0], labels=[f"SGD, N = {N}, D = {D}", "equations"], bars=True
    )
    mark_equations(axes[0, 0], runs, "lr")
    axes[0, 0].legend(frameon=False, fontsize="small")
    table = late_rows(runs, "lr", "lr", paper="named in the abstract; published values not at hand (medium)")
    return {"simulation": runs, "theory": theory}, figure, table


CARD = Card(
    "hidden-manifold-learning-rate",
    "hidden manifold",
    "Late error against the learning rate",
    "Late generalisation error over the learning rate; line: N, D to infinity; points: one-pass SGD, mean and spread "
    "over seeds of features, teacher, student and samples.",
    "K = M = 2, sign data, erf units; ours: D/N = .1, D = 50 (100 at paper scale), orthogonal teacher, t = 100/lr.",
    "medium",
    make,
    "The number of the published figure and its parameters are not known: the abstract names the learning rate.",
)
