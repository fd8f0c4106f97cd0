"""Finite training set, early: how far a sample turns the common direction away."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ... import plot
from ...data import LinearlySeparable
from ...dynamics import Particles
from ...experiments import ensemble
from ...ground.results import dataset
from ...networks.mean_field import MeanFieldNetwork
from ..allowance import paired_row
from ..card import Card, Scale
from ..panels import panels
from ..reproduction import Parts
from .setting import WORK

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["CARD", "early_error_of_finite_sets"]

_D = 20
_STEPS = 2


def early_error_of_finite_sets(scale: str | Scale = "small") -> Parts:
    """Return misalignment and test error of wide networks after two steps, against the size of the training set."""
    import xarray as xr

    scale = Scale.of(scale)
    sizes = (250, 500, 1000, 2000, 4000)
    M, seeds, tests = scale.pick(small=(4000, 16, 10_000), paper=(40_000, 64, 100_000))
    law = LinearlySeparable(_D)
    beta = 0.01 * math.sqrt(2.0 * math.pi * _D)

    def make(N: int, seed: int) -> xr.Dataset:
        X, y = law.sample(N, seed=seed)
        network = MeanFieldNetwork.random(M, _D, paired="even", seed=seed)
        engine = Particles(
            network, X, y, data=law, beta=beta, test_size=tests, dtype="float32", seed=seed, record_nodes=0
        )
        engine.advance(_STEPS)
        after = engine.network
        mean = (after.a.astype(float)[:, None] * after.w).mean(axis=0)
        return dataset(
            {
                "tangent2": [float((mean[1:] ** 2).sum() / mean[0] ** 2)],
                "test_error": [engine.observe()["test_error"]],
            },
            along=[_STEPS],
            source="simulation",
            settings={"N": N, "M": M, "d": _D, "seed": seed, "test_size": tests},
            cite=("hinge-mean-field",),
        )

    found = [ensemble(partial(make, N), seeds=seeds).isel(t=0) for N in sizes]
    runs = xr.concat(found, dim="N", combine_attrs="drop_conflicts").assign_coords(N=list(sizes))
    N = np.geomspace(sizes[0], sizes[-1], 60)
    # Nodes in finite number, M/2 pairs, see the drive through the second moments of their own weights.
    of_width = 0.5 * (_D - 1) / M
    lines = dataset(
        {
            "tangent2": np.pi * (_D - 1) / (2 * N) + of_width,
            "test_error": np.arctan(np.sqrt(np.pi * (_D - 1) / (2 * N) + _D**2 / (2 * np.pi * N))) / np.pi,
        },
        along=N,
        dim="N",
        label="training examples",
        source="theory",
        settings={"d": _D, "M": M},
        cite=("hinge-mean-field",),
    )
    figure, axes = panels(1, 2)
    table = []
    for ax, name, words in zip(
        axes[0],
        ("tangent2", "test_error"),
        (r"$\tan^2$ of the angle to the teacher", f"test error after {_STEPS} steps"),
        strict=True,
    ):
        seen = runs[name]
        plot.mean_over_seeds(
            runs,
            name,
            theory=lines,
            label=f"training, {seeds} sets",
            theory_label="theory",
            log="xy",
            ax=ax,
        )
        ax.set(xlabel="training examples $N$", ylabel=words)
        ax.legend(frameon=False)
        for size in (sizes[0], sizes[2], sizes[-1]):
            expected = float(lines[name].interp(N=size))
            # Corrections of relative order 1/N times d: the length of the drive fluctuates too.
            more = expected * _D / size
            table.append(
                paired_row(
                    f"{'tan^2 of the angle' if name == 'tangent2' else 'test error'} at N = {size}",
                    expected,
                    seen.sel(N=size).values,
                    more=more,
                    because=f"and {more:.2g}: the next order, d/N of it",
                )
            )
    return {"simulation": runs, "theory": lines}, figure, table


CARD = Card(
    "hinge-finite-sample",
    WORK,
    "Early error of a finite training set",
    "Angle between the network's linear part and the teacher, and test error, after two steps against the number N of "
    "examples: mean and standard error over training sets, with tan^2 = pi (d-1)/(2N) and the offset that unequal "
    "numbers of labels drive.",
    "Ours: d = 20, M = 4 10^4 (4000 at small scale); the published ones are not known.",
    "low",
    early_error_of_finite_sets,
    "Over-fitting at late times is in hinge-3.",
)
