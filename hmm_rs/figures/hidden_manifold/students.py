"""Figure 7: late error against the numbers of hidden units, K/M."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ... import plot
from ...data import HiddenManifold
from ...dynamics import OnlineSGD
from ...experiments.phenomena import late_error_against_students
from ...networks.two_layer import TwoLayer
from ...plot.axes import COLOURS, readable_log
from ..card import Card, Scale
from ..finite_size import orthogonal_teacher
from ..panels import panels
from ..reproduction import Parts, Row
from .late import late_errors, late_rows, mark_equations

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = ["CARD", "make"]


def make(scale: str | Scale = "small") -> Parts:
    """Return late errors over K/M for M = 1, 2, 4: every seed of the equations, and simulations with error bars.

    D/N = .05, D = 50 and simulations of M = 2 at "small"; D/N = .01, D = 50 and simulations of all M at "paper".
    """
    scale = Scale.of(scale)
    delta, D, t_max, seeds = scale.pick(small=(0.05, 50, 300.0, 4), paper=(0.01, 50, 1000.0, 6))
    students = scale.pick(
        small={1: (1, 2, 3, 4), 2: (1, 2, 3, 4, 5), 4: (1, 2, 3, 4, 6)},
        paper={1: (1, 2, 3, 4), 2: (1, 2, 3, 4, 6, 8), 4: (1, 2, 3, 4, 6, 8, 12)},
    )
    simulated: Mapping[int, Sequence[int]] = (
        {2: (1, 2, 3, 4)} if scale.name == "small" else {1: (1, 2, 4), 2: (1, 2, 3, 4), 4: (2, 4, 8)}
    )
    return _made(scale, delta=delta, D=D, t_max=t_max, seeds=seeds, students=students, simulated=simulated)


def _made(
    scale: Scale,
    *,
    delta: float,
    D: int,
    t_max: float,
    seeds: int,
    students: Mapping[int, Sequence[int]],
    simulated: Mapping[int, Sequence[int]],
) -> Parts:
    figure, axes = panels(1, 1, width=5.6, height=4.2)
    ax = axes[0, 0]
    data: dict[str, xr.Dataset] = {}
    table: list[Row] = []
    for colour, (M, Ks) in zip(COLOURS, students.items(), strict=False):
        theory = late_error_against_students(Ks, M=M, delta=delta, seeds=range(seeds), nodes=15)
        _draw(ax, theory, M, colour)
        data[f"equations M={M}"] = theory
        if M in simulated:
            runs = _simulated(scale, M, simulated[M], delta=delta, D=D, t_max=t_max, seeds=seeds)
            over = runs.assign_coords(K=runs.K / M)
            plot.mean_over_seeds(over, "eg", band="std", colour=colour, log="y", ax=ax)
            mark_equations(ax, runs, "K", over=M, colour=colour)
            data[f"simulation M={M}"] = runs
            table += late_rows(
                runs, "K", f"M = {M}, K", paper="high for K < M, low for K >= M (high); values not at hand"
            )
    _finish(ax)
    return data, figure, table


def _simulated(
    scale: Scale, M: int, Ks: Sequence[int], *, delta: float, D: int, t_max: float, seeds: int
) -> xr.Dataset:
    N = round(D / delta)

    def engine(K: float, seed: int) -> tuple[OnlineSGD, float]:
        model, student = (
            HiddenManifold(N, D, f="sign", seed=[seed, 1]),
            TwoLayer.random(int(K), N, seed=[seed, 2]),
        )
        return OnlineSGD(
            model, orthogonal_teacher(M, D, seed), student=student, lr=0.2, seed=[seed, 3]
        ), t_max

    return late_errors(scale, engine, Ks, dim="K", label="student units K", seeds=seeds)


def _draw(ax: Axes, theory: xr.Dataset, M: int, colour: str) -> None:
    """Draw every seed of the equations: a dash where it has come to rest, a cross where it still moves."""
    ax.plot([], [], color=colour, linewidth=4, label=f"M = {M}")
    for rests, marker in ((True, "_"), (False, "x")):
        seen = theory.eg.where(theory.stationary == rests)
        x = (theory.K / M + 0.0 * theory.eg).values
        ax.plot(
            x.ravel(), seen.values.ravel(), color=colour, marker=marker, markersize=9, linestyle="", zorder=1
        )
    # The dotted line guides the eye through the lowest end states.
    ax.plot(theory.K / M, theory.eg.min("seed"), color=colour, linewidth=0.7, linestyle=":")


def _colours_first(entry: tuple[str, object]) -> bool:
    """Order entries of the legend: what colours mean, then what marks mean."""
    return not entry[0].startswith("M = ")


def _finish(ax: Axes) -> None:
    marks = {"equations, each seed": "_", "equations, still moving": "x", "SGD": "o"}
    for label, marker in marks.items():
        ax.plot(
            [],
            [],
            color="0.3",
            marker=marker,
            markerfacecolor="none",
            markersize=7,
            linestyle="",
            label=label,
        )
    readable_log(ax, "y")
    ax.set(xlabel="units of student over units of teacher, K/M", ylabel="late generalisation error")
    ax.grid(visible=True, which="major", alpha=0.25, linewidth=0.5)
    # One entry for each label, in grey where colours mean M.
    told = dict(sorted(zip(*reversed(ax.get_legend_handles_labels()), strict=True), key=_colours_first))
    ax.figure.legend(
        told.values(), told.keys(), frameon=False, fontsize="small", ncols=2, loc="outside lower center"
    )


CARD = Card(
    "hidden-manifold-7",
    "hidden manifold",
    "Late error against the size of the student",
    "Late generalisation error over K/M for M = 1, 2, 4. Dashes: end states of the equations, one a seed of the "
    "initial overlaps, so that several end states show; crosses: still moving by over one percent since half the time; "
    "circles: one-pass SGD, mean and spread over seeds.",
    "D/N = .01, D = 50 and 100 (here 50), lr = .2, sign data, erf units, second layer fixed at 1; D/N = .05 at "
    "small scale.",
    "medium",
    make,
)
