"""The Bayes-optimal error below the learning curves of other losses, and the algorithm that reaches it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ... import plot
from ...experiments.full_batch import amp_curve
from ...plot.axes import COLOURS
from ...theory import replica
from ..card import Card, Scale
from ..reproduction import Parts, Row
from .power_law import WORK, power_law

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = ["CARDS", "optimal_errors"]

Vector = npt.NDArray[np.float64]

#: Share of labels that are flipped, and of the teacher's field that is linear in the features.
_FLIP, _SEEN = 0.05, 0.85


def optimal_errors(scale: str | Scale = "small") -> Parts:
    """Return learning curves of several losses over the Bayes-optimal one, with message passing on samples.

    Left a sign teacher with 5 % of the labels flipped, right a linear one; the features see 85 % of either's field.
    """
    import xarray as xr
    from matplotlib import pyplot

    scale = Scale.of(scale)
    p, seeds = scale.pick(small=(500, 6), paper=(2000, 12))
    spectrum = power_law(p, seen=_SEEN)
    alphas = np.geomspace(0.1, 10.0, 41)
    measured = np.array([0.3, 1.0, 3.0]) if scale.name == "small" else np.array([0.2, 0.5, 1.0, 2.0, 5.0])
    figure, axes = pyplot.subplots(1, 2, figsize=(9.0, 3.8), layout="constrained")
    data: dict[str, xr.Dataset] = {}
    table: list[Row] = []
    for ax, teacher in zip(axes, ("sign", "linear"), strict=True):
        known: dict[str, Any] = {"teacher": teacher, "flip": _FLIP if teacher == "sign" else 0.0}
        error = "test_error" if teacher == "sign" else "test_mse"
        best = replica.bayes_optimal(spectrum, alpha=alphas, **known)
        assert isinstance(best, xr.Dataset)
        others = _classifiers(spectrum, alphas) if teacher == "sign" else _regressions(spectrum, alphas)
        runs = amp_curve(spectrum, measured, p=p, repeats=seeds, **known)
        data |= {f"{teacher}-optimal": best, f"{teacher}-amp": runs} | {
            f"{teacher}-{name.replace(' ', '-')}": curve for name, curve in others.items()
        }
        _draw(ax, best, others, runs, error)
        at = replica.bayes_optimal(spectrum, alpha=runs.alpha.values, **known)
        for index, alpha in enumerate(runs.alpha.values):
            found = runs[error].values[index]
            spread = float(found.std(ddof=1) / math.sqrt(seeds))
            table.append(
                Row(
                    f"amp, {teacher} teacher, alpha = {alpha:g}",
                    float(at[error][index]),
                    float(found.mean()),
                    3.0 * spread,
                    f"three standard errors of {seeds} draws at p = {p}",
                )
            )
    axes[0].set(ylabel="test error (0/1)", title=f"sign teacher, {_FLIP:.0%} flipped")
    axes[1].set(
        ylabel="test mean squared error", title=f"linear teacher, {1 - _SEEN:.0%} unseen", ylim=(0.1, 1.3)
    )
    return data, figure, table


def _classifiers(spectrum: replica.Spectrum, alphas: Vector) -> dict[str, xr.Dataset]:
    """Return curves of losses on labels, by name."""
    return {
        "logistic, best penalty": _tuned(spectrum, alphas, loss="logistic", flip=_FLIP),
        "hinge, λ = 0.1": replica.learning_curve(spectrum, alphas, loss="hinge", lam=0.1, flip=_FLIP),
        "square, λ = 0.01": replica.learning_curve(spectrum, alphas, loss="square", lam=0.01, flip=_FLIP),
    }


def _regressions(spectrum: replica.Spectrum, alphas: Vector) -> dict[str, xr.Dataset]:
    """Return curves of least squares, by name."""
    return {
        "ridge, best penalty": _tuned(spectrum, alphas, loss="ridge"),
        "ridge, λ = 0.01": replica.learning_curve(spectrum, alphas, loss="ridge", lam=0.01),
    }


def _tuned(spectrum: replica.Spectrum, alphas: Vector, **options: Any) -> xr.Dataset:
    """Return the curve of the penalty that is best at each alpha."""
    import xarray as xr

    points = [replica.optimal_ridge(spectrum, alpha=float(alpha), **options) for alpha in alphas]
    return xr.concat([point.to_dataset() for point in points], dim="alpha", combine_attrs="drop_conflicts")


def _draw(ax: Axes, best: xr.Dataset, others: dict[str, xr.Dataset], runs: xr.Dataset, error: str) -> None:
    for (name, curve), colour in zip(others.items(), COLOURS, strict=False):
        ax.plot(curve.alpha, curve[error], color=colour, linewidth=1.2, label=name)
    ax.plot(best.alpha, best[error], color="black", linewidth=1.8, label="Bayes-optimal")
    plot.mean_over_seeds(
        runs,
        error,
        label=f"message passing, p = {runs.attrs['p']}",
        colour="black",
        face="white",
        log="x",
        ax=ax,
    )
    ax.set(xlabel="examples per feature  α = n/p")
    ax.legend(frameon=False, fontsize="small")


CARDS = (
    Card(
        "optimal-errors",
        WORK,
        "Optimal errors below every loss",
        "Test error over alpha of several losses, the Bayes-optimal one, and message passing on samples, which reaches "
        "it.",
        "Ours: eigenvalues j^-0.6, teacher j^-0.3 over them, 15 % of the field unseen; sign with 5 % of the labels "
        "flipped, and linear; p = 500 (2000 at paper scale).",
        "none",
        optimal_errors,
    ),
)
