"""Figure 5: late error against the dimension of the manifold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ... import plot
from ...data import HiddenManifold
from ...dynamics import OnlineSGD
from ...experiments.phenomena import late_error_against_delta
from ...networks.two_layer import TwoLayer
from ..allowance import over_seeds
from ..card import Card, Scale
from ..finite_size import NEGLECTED, orthogonal_teacher
from ..panels import panels
from ..reproduction import Parts
from .late import late_errors, late_rows, mark_equations

__all__ = ["CARD", "make"]

#: Up to here the late error is proportional to D/N.
_LINEAR = 0.2


def make(scale: str | Scale = "small") -> Parts:
    """Return late errors over D/N: line, N and D to infinity; points, D = 50 ("small") or 100 ("paper"), 5 seeds."""
    scale = Scale.of(scale)
    deltas, D, t_max = scale.pick(
        small=((0.05, 0.1, 0.2, 0.5, 1.0), 50, 400.0),
        paper=((0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0), 100, 1000.0),
    )
    return _made(scale, deltas=deltas, D=D, t_max=t_max, seeds=5)


def _made(scale: Scale, *, deltas: Sequence[float], D: int, t_max: float, seeds: int) -> Parts:
    def engine(delta: float, seed: int) -> tuple[OnlineSGD, float]:
        N = round(D / delta)
        model, student = HiddenManifold(N, D, f="sign", seed=[seed, 1]), TwoLayer.random(2, N, seed=[seed, 2])
        return OnlineSGD(
            model, orthogonal_teacher(2, D, seed), student=student, lr=0.2, seed=[seed, 3]
        ), t_max

    runs = late_errors(
        scale, engine, deltas, dim="delta", label="manifold dimension over inputs, D/N", seeds=seeds
    )
    line = np.geomspace(min(deltas) / 2, max(deltas), 25)
    theory = late_error_against_delta(line)
    figure, axes = panels(1, 1)
    plot.learning_curve(runs, theory, ax=axes[0, 0], labels=[f"SGD, D = {D}", "equations"], bars=True)
    mark_equations(axes[0, 0], runs, "delta")
    axes[0, 0].legend(frameon=False, fontsize="small")
    table = late_rows(runs, "delta", "D/N", paper="falls with D/N (high); published values not at hand")
    small = [delta for delta in deltas if delta <= _LINEAR]
    table.append(
        over_seeds(
            f"slope of log eps_g in log D/N up to {max(small):g}",
            _slope(small, late_error_against_delta(small).eg.values),
            _slope(small, runs.eg.sel(delta=small).values),
            neglected=float((runs.neglected / runs.eg_equations.mean("seed")).sel(delta=small).max())
            / float(np.log(max(small) / min(small))),
            because=NEGLECTED,
            paper="a straight line on logarithmic axes (medium)",
        )
    )
    return {"simulation": runs, "theory": theory}, figure, table


def _slope(deltas: Sequence[float], errors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the slope of each row of errors on logarithmic axes."""
    x = np.log(deltas) - np.log(deltas).mean()
    return np.asarray((np.log(errors) * x).sum(axis=-1) / (x * x).sum())


CARD = Card(
    "hidden-manifold-5",
    "hidden manifold",
    "Late error against the dimension of the manifold",
    "Late generalisation error over D/N on logarithmic axes; line: N, D to infinity; points: one-pass SGD, mean and "
    "spread over seeds of features, teacher, student and samples.",
    "K = M = 2, lr = .2, sign data, erf units, orthogonal teacher. D = 25, 50, 100 in an independent reproduction; "
    "here 100 at paper scale, 50 at small scale, five seeds.",
    "medium",
    make,
    "Marks of MNIST and CIFAR10 at their intrinsic dimensions: the published values are not at hand.",
)
