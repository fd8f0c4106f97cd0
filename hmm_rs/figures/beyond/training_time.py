"""Least squares along training: over-fitting in time, and what early stopping is worth."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ... import plot
from ...data.features import GaussianFeatures
from ...experiments.full_batch import least_squares_runs
from ...plot.axes import COLOURS, readable_log
from ...theory import least_squares_flow, replica
from ..card import Card, Scale
from ..reproduction import Parts, Row
from .power_law import WORK, power_law

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = ["CARDS", "training_time"]

#: Share of the teacher's field that is linear in the features; the rest is noise to them.
_SEEN = 0.75


def training_time(scale: str | Scale = "small") -> Parts:
    """Return test and training error over time at three alphas, and the best stopping beside the best penalty."""
    import xarray as xr
    from matplotlib import pyplot

    scale = Scale.of(scale)
    p, repeats = scale.pick(small=(200, 12), paper=(1000, 16))
    spectrum = power_law(p, seen=_SEEN)
    features = GaussianFeatures(spectrum.omega, np.sqrt(spectrum.t), spectrum.rho)
    figure, axes = pyplot.subplots(1, 3, figsize=(12.0, 3.8), layout="constrained")
    times, marks = np.geomspace(0.02, 200.0, 80), np.geomspace(0.05, 100.0, 9)
    data: dict[str, xr.Dataset] = {}
    table: list[Row] = []
    for colour, alpha in zip(COLOURS, (0.5, 1.2, 3.0), strict=False):
        theory = least_squares_flow(spectrum, alpha=alpha, t=times)
        runs = least_squares_runs(features, alpha=alpha, t=marks, repeats=repeats, seed=1)
        at = least_squares_flow(spectrum, alpha=alpha, t=marks)
        assert isinstance(theory, xr.Dataset)
        assert isinstance(at, xr.Dataset)
        data |= {f"theory-{alpha:g}": theory, f"runs-{alpha:g}": runs}
        for ax, name, words in zip(axes, ("test_mse", "train_mse"), ("test", "training"), strict=False):
            values = runs[name].values
            spread = values.std(axis=1, ddof=1) / math.sqrt(repeats)
            plot.mean_over_seeds(
                runs, name, theory=theory, theory_label=f"α = {alpha:g}", colour=colour, log="x", ax=ax
            )
            for index in (2, 4, 7):
                expected = float(at[name][index])
                table.append(
                    Row(
                        f"{words} error, alpha = {alpha:g}, t = {marks[index]:.2g}",
                        expected,
                        float(values[index].mean()),
                        max(0.02 * expected, 4.0 * float(spread[index])),
                        f"2 %, or four standard errors of {repeats} draws at p = {p}",
                        chance=4.0 * float(spread[index]),
                    )
                )
        axes[0].plot(
            theory.attrs["t_stop"], theory.attrs["test_mse_stop"], marker="*", markersize=11, color=colour
        )
    # What the marks are, in grey: they have the colour of their alpha.
    axes[0].plot([], [], linestyle="", marker="*", markersize=9, color="0.4", label="best time to stop")
    for ax in axes[:2]:
        ax.plot(
            [], [], linestyle="", marker="o", markerfacecolor="none", color="0.4", label=f"draws, p = {p}"
        )
    axes[0].set(ylabel="test mean squared error")
    axes[1].set(ylabel="training mean squared error")
    for ax in axes[:2]:
        ax.set(xlabel="time t")
        ax.legend(frameon=False, fontsize="small")
    data["stopping"] = _stopping(axes[2], spectrum)
    return data, figure, table


def _stopping(ax: Axes, spectrum: replica.Spectrum) -> xr.Dataset:
    """Draw the best error of four estimators over alpha and return them."""
    import xarray as xr

    # The peak at alpha = 1 lies between two points.
    alphas = np.geomspace(0.06, 8.0, 34)
    flow = least_squares_flow(spectrum, alpha=alphas, t=[math.inf])
    best = replica.bayes_optimal(spectrum, alpha=alphas, teacher="linear")
    ridge = [replica.optimal_ridge(spectrum, loss="ridge", alpha=float(alpha)).test_mse for alpha in alphas]
    assert isinstance(flow, xr.Dataset)
    lines: dict[str, tuple[npt.NDArray[np.float64], dict[str, Any]]] = {
        "trained to the end": (flow.test_mse.values[:, 0], {"color": COLOURS[1], "linestyle": ":"}),
        "stopped in time": (flow.test_mse_stop.values, {"color": COLOURS[0]}),
        "ridge, best penalty": (np.array(ridge), {"color": COLOURS[2], "linestyle": "--"}),
        "Bayes-optimal": (np.asarray(best["test_mse"]), {"color": "black"}),
    }
    for name, (values, style) in lines.items():
        ax.plot(alphas, values, label=name, **style)
    readable_log(ax, "x")
    ax.set(xlabel="examples per feature  α = n/p", ylabel="test mean squared error", ylim=(0.2, 1.8))
    ax.legend(frameon=False, fontsize="small", loc="upper left")
    return xr.Dataset(
        {name.replace(",", "").replace(" ", "_"): ("alpha", values) for name, (values, _) in lines.items()},
        coords={"alpha": alphas},
        attrs={"source": "theory"},
    )


CARDS = (
    Card(
        "training-time",
        WORK,
        "Least squares in time, and when to stop",
        "Test and training error over time at alpha = 0.5, 1.2, 3, the best stopping time as a star; the best error "
        "over alpha beside ridge, the end of training and the optimum.",
        "Ours: eigenvalues j^-0.6, teacher j^-0.3 over them, a quarter of the field unseen; p = 200 (1000 at paper "
        "scale).",
        "none",
        training_time,
    ),
)
