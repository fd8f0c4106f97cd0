"""How far single runs stray from the equations: the band of the theory, and ensembles over data streams."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np

from ...data import HiddenManifold, TeacherStudent
from ...dynamics import OnlineSGD
from ...networks.two_layer import TwoLayer
from ...plot import learning_curve
from ...plot.axes import COLOURS, readable_log
from ...theory import HiddenManifoldODE, SaadSolla
from ..card import Card, Scale
from ..finite_size import orthogonal_teacher
from ..panels import panels
from ..reproduction import Parts, Row
from .power_law import WORK

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = ["CARDS", "fluctuations"]

#: D/N of the hidden manifold, and the end of the runs.
_DELTA, _END = 0.3, 20.0
#: Times at which the table compares.
_TIMES = (1.0, 3.0, 10.0, 20.0)


def _simulation(kind: str, unit: Literal["erf", "relu"], N: int, seed: int) -> OnlineSGD:
    """Return a run from given initial weights that lean a little to the teacher; `seed` is that of the data.

    For i.i.d. inputs the overlaps are the same at every N, so that the spreads are one curve over √N.
    """
    model: HiddenManifold | TeacherStudent
    if kind == "vanilla":
        model, vectors = TeacherStudent(N), orthogonal_teacher(4, N, seed=1).w
        w_teacher, w = vectors[:2], 0.4 * vectors[:2] + 0.8 * vectors[2:]
    else:
        D = round(_DELTA * N)
        model, w_teacher = HiddenManifold(N, D, seed=7), TwoLayer.random(2, D, seed=1).w
        lead = np.einsum("mr,ir->mi", w_teacher, model.F) / math.sqrt(D)
        w = 0.3 * lead + 0.8 * TwoLayer.random(2, N, seed=2).w
    teacher, student = (TwoLayer(x, np.ones(2), activation=unit) for x in (w_teacher, w))
    lr = {"erf": 0.3, "relu": 0.1}[unit]
    return OnlineSGD(model, teacher, student=student, lr=lr, test_size=1, dtype="float32", seed=1000 + seed)


def _equations(sim: OnlineSGD) -> SaadSolla | HiddenManifoldODE:
    if isinstance(sim.model, TeacherStudent):
        return SaadSolla.from_simulation(sim)
    return HiddenManifoldODE.from_simulation(sim)


def fluctuations(scale: str | Scale = "small") -> Parts:
    """Return single runs in the band of the theory, and the spread of ensembles beside it at two sizes.

    Initial weights and features are given; only the stream of samples differs from run to run.
    """
    import xarray as xr

    scale = Scale.of(scale)
    sizes, runs = scale.pick(small=((150, 600), 150), paper=((300, 1000), 200))
    saved = np.unique(np.concatenate([[0.0], np.geomspace(0.05, 0.9 * _END, 22), _TIMES]))
    figure, axes = panels(1, 3, width=3.9, height=3.5)
    data: dict[str, xr.Dataset] = {}
    table: list[Row] = []
    problems: tuple[tuple[str, Literal["erf", "relu"], Axes], ...] = (
        ("manifold", "erf", axes[0, 1]),
        ("vanilla", "relu", axes[0, 2]),
    )
    for kind, unit, ax in problems:
        for N, colour in zip(sizes, COLOURS, strict=False):
            found = [_simulation(kind, unit, N, seed).run(_END, save_at=saved) for seed in range(runs)]
            measured = xr.concat([run.eg_analytic for run in found], dim="seed")
            theory = _equations(_simulation(kind, unit, N, 0)).solve(measured.t, fluctuations=True)
            data |= {f"{kind}-{unit}-{N}": measured.to_dataset(), f"{kind}-{unit}-{N}-theory": theory}
            seen = slice(1, None)
            root = math.sqrt(N)
            spread = measured.std("seed", ddof=1)
            style = "-" if sizes[0] == N else "--"
            ax.plot(theory.t[seen], root * theory.eg_std[seen], style, color=colour, label=f"theory, N = {N}")
            ax.plot(
                theory.t[seen], root * spread[seen], "o", color=colour, markersize=4, markerfacecolor="none",
                label=f"{runs} runs, N = {N}",
            )  # fmt: skip
            for t in _TIMES:
                expected = float(theory.eg_std.sel(t=t, method="nearest"))
                chance = 3.0 / math.sqrt(2.0 * (runs - 1))
                table.append(
                    Row(
                        f"spread of eg, {kind}, {unit}, N = {N}, t = {t:g}",
                        expected,
                        float(spread.sel(t=t, method="nearest")),
                        (chance + 2.0 / math.sqrt(N)) * expected,
                        f"three sampling errors of a spread over {runs} runs ({chance:.0%}), next order in 1/sqrt(N)",
                    )
                )
            if kind == "manifold" and sizes[0] == N:
                _band(axes[0, 0], found[:6], theory, N)
        readable_log(ax, "x")
        # Room for the legend above the curves.
        ax.set(xlabel="time t = steps / N", ylabel="√N × spread of eg", ylim=(0.0, 1.6 * ax.get_ylim()[1]))
        ax.legend(frameon=False, fontsize="small", title=f"{kind}, {unit}", loc="upper left")
    return data, figure, table


def _band(ax: Axes, runs: list[xr.Dataset], theory: xr.Dataset, N: int) -> None:
    """Draw the theory with its band, and single runs."""
    learning_curve(theory, ax=ax)
    for which, run in enumerate(runs):
        label = f"single runs, N = {N}" if which == 0 else None
        ax.plot(run.t[1:], run.eg_analytic[1:], color="0.35", linewidth=0.7, zorder=2, label=label)
    ax.legend(frameon=False, fontsize="small")


CARDS = (
    Card(
        "finite-size-spread",
        WORK,
        "The theory's own error bars: how far single runs stray at finite N",
        "Learning curve with its band and single runs; spread of the error over data streams times the root of N, "
        "beside the linear-noise equations, at two sizes.",
        "Ours: K = M = 2; hidden manifold D/N = 0.3, sign, erf, lr 0.3; i.i.d. inputs, relu, lr 0.1; initial weights "
        "lean to the teacher; N = 150 and 600 with 150 runs (300 and 1000 with 200 at paper scale).",
        "none",
        fluctuations,
    ),
)
