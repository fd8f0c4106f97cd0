"""Late errors of simulations along a parameter, each beside the equations of its own weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...dynamics import OnlineSGD
from ...experiments import ensemble
from ...ground.results import dataset
from ...plot.axes import COLOURS
from ...theory import HiddenManifoldODE
from ..allowance import over_seeds
from ..card import Scale
from ..finite_size import NEGLECTED, neglected
from ..reproduction import Row

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = ["late_errors", "late_rows", "mark_equations"]


def late_errors(
    scale: Scale,
    engines: Callable[[float, int], tuple[OnlineSGD, float]],
    values: Sequence[float],
    *,
    dim: str,
    label: str,
    seeds: int,
) -> xr.Dataset:
    """Return late errors over (seed, dim): the mean over five log-spaced times of the run's second half.

    Parameters
    ----------
    scale
        Keeps checkpoints.
    engines
        Returns the simulation of a value and a seed, and its end.
    values, dim, label
        The parameter.
    seeds
        How many, of everything random: features, teacher, student, samples.

    Returns
    -------
    xarray.Dataset
        ``eg``; ``eg_equations``, what the equations say from the same initial weights at the same times; and over dim
        alone ``neglected``, the size of what they leave out.
    """
    left_out = []

    def of_seed(seed: int) -> xr.Dataset:
        found: dict[str, list[float]] = {"eg": [], "eg_equations": []}
        for value in values:
            sim, t_max = engines(value, seed)
            times = np.geomspace(t_max / 2, t_max, 5)
            if seed == 0:
                left_out.append(float(neglected(sim, [t_max]).eg[0]))
            equations = HiddenManifoldODE.from_simulation(sim).solve(times)
            run = scale.run(f"{dim}-{value:g}-seed-{seed}", sim, t_max, save_at=times)
            found["eg"].append(float(run.eg.mean()))
            found["eg_equations"].append(float(equations.eg.mean()))
        settings = {"figure": "late errors", "seed": seed}
        return dataset(
            found,
            along=values,
            dim=dim,
            label=label,
            source="simulation",
            settings=settings,
            cite=("hidden-manifold",),
        )

    runs = ensemble(of_seed, seeds=seeds)
    return runs.assign(neglected=(dim, left_out, {"long_name": "what the equations leave out"}))


def mark_equations(
    ax: Axes, runs: xr.Dataset, dim: str, *, over: float = 1.0, colour: str = COLOURS[0]
) -> None:
    """Mark what the equations say at the runs' own sizes, starts and times, which need not be those of the line.

    `over` divides the parameter.
    """
    ax.plot(
        runs[dim] / over,
        runs.eg_equations.mean("seed"),
        color=colour,
        marker="+",
        markersize=7,
        linestyle="",
        label="equations at the runs' size and time",
    )


def late_rows(runs: xr.Dataset, dim: str, name: str, *, paper: str) -> list[Row]:
    """Return one line for each value: simulations against the equations of their own weights."""
    return [
        over_seeds(
            f"late eps_g at {name} = {float(value):g}",
            runs.eg_equations.sel({dim: value}),
            runs.eg.sel({dim: value}),
            neglected=float(runs.neglected.sel({dim: value})),
            because=NEGLECTED,
            paper=paper,
        )
        for value in runs[dim]
    ]
