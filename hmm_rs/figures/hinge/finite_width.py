"""Finite width: the error that an infinite network does not have."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ... import plot
from ...data import LinearlySeparable
from ...dynamics import Particles
from ...experiments import ensemble
from ...networks.mean_field import MeanFieldNetwork
from ...plot.axes import COLOURS
from ...theory import HingeMeanField
from ..allowance import paired_row
from ..card import Card, Scale
from ..panels import panels
from ..reproduction import Parts
from .setting import WORK, second_harmonic_left

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["CARD", "error_of_finite_width"]

_D = 50
#: A tenth of a radian of rotation a step at first.
_BETA = 0.1 * math.sqrt(2.0 * math.pi * _D)
#: Steps with the initial fluctuations still there, and one when only harmonics of degree >= 2 are left.
_EARLY, _LATE = (2, 10), 50
#: Share of the constant mode in a node's initial variance, that of 1/(2 pi) in 1/2.
_CONSTANT = 1.0 / math.pi
#: Share of degree 2 in what is left late: 1/pi of 1 - 2/pi.
_SECOND = 1.0 / (math.pi - 2.0)


def error_of_finite_width(scale: str | Scale = "small") -> Parts:
    """Return the test error against the width M early and late, with the formulas of both stages.

    A new batch at every step: the training set is infinite.
    """
    import xarray as xr

    scale = Scale.of(scale)
    widths = scale.pick(small=(50, 100, 200, 400, 800), paper=(50, 100, 200, 400, 800, 1600, 3200))
    seeds, batch, tests = scale.pick(small=(12, 4000, 5000), paper=(40, 20_000, 20_000))
    law = LinearlySeparable(_D)
    steps = (*_EARLY, _LATE)

    def make(M: int, seed: int) -> xr.Dataset:
        network = MeanFieldNetwork.random(M, _D, seed=seed)
        engine = Particles(
            network,
            data=law,
            batch=batch,
            beta=_BETA,
            dtype="float32",
            test_size=tests,
            seed=seed,
            record_nodes=0,
        )
        return scale.run(f"width-{M}-{seed}", engine, _LATE, save_at=steps)[["test_error", "gamma"]]

    found = [ensemble(partial(make, M), seeds=seeds) for M in widths]
    runs = xr.concat(found, dim="M", combine_attrs="drop_conflicts").assign_coords(M=list(widths))
    theory = HingeMeanField(_D, beta=_BETA)
    gammas = theory.gd(_LATE).gamma.values
    kept = second_harmonic_left(theory, _LATE)
    lines = np.unique(np.geomspace(widths[0], widths[-1], 40).round()).astype(int)
    expected = xr.concat(
        [theory.fluctuations(gammas[list(steps)], int(M)) for M in lines], dim="M"
    ).assign_coords(M=lines)

    figure, axes = panels(1, 1)
    ax = axes[0, 0]
    table = []
    for i, (step, colour) in enumerate(zip(steps, COLOURS, strict=False)):
        name = "residual" if step == _LATE else "frozen"
        errors = runs.test_error.sel(t=step)
        formula = f"test_error_{name}"
        line = expected[formula].isel(gamma=i)
        plot.mean_over_seeds(
            runs.sel(t=step),
            "test_error",
            theory=expected.isel(gamma=i),
            expected=formula,
            label=f"step {step}, {name} fluctuations",
            colour=colour,
            log="xy",
            ax=ax,
        )
        for M in (widths[0], widths[-1]):
            value = float(line.sel(M=M))
            if step == _LATE:
                tangent = math.tan(math.pi * value)
                left = math.atan(tangent * math.sqrt(1.0 - _SECOND * (1.0 - kept**2))) / math.pi
                more, because = (
                    value - left,
                    "that training has removed of degree 2 meanwhile (linear response); the noise of "
                    "finite batches, which works the other way at the largest M, is not estimated",
                )
            else:
                more = 0.25 * _CONSTANT**2 * value
                because = (
                    "the mean of a root: the constant mode, a third of the variance, is one number a network"
                )
            table.append(
                paired_row(
                    f"test error at step {step}, M = {M}",
                    value,
                    errors.sel(M=M).values,
                    more=more,
                    because=f"and {more:.2g}: {because}",
                    paper="falls with M (abstract: finite size; the formula is ours)"
                    if widths[0] == M
                    else "",
                )
            )
    ax.set(xlabel="width $M$", ylabel="test error")
    ax.plot([], [], color="0.3", linewidth=1.4, label="theory")
    ax.legend(frameon=False, fontsize="small")
    return {"simulation": runs, "theory": expected}, figure, table


CARD = Card(
    "hinge-finite-width",
    WORK,
    "Error of a finite network",
    "Test error against the width M at two early steps and a late one, mean and standard error over networks, with the "
    "formulas for initial fluctuations (early) and for what training leaves of them (late).",
    "Ours: d = 50, beta = 1.77 (gamma = .1 a step at first), new batches of 2 10^4 examples (4000 at small scale), 40 "
    "networks each (12).",
    "medium",
    error_of_finite_width,
    "The published parameters and formula are not known. Batches of finite size leave a noise of their own, seen "
    "late at the "
    "largest M.",
)
