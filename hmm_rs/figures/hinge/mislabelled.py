"""Mislabelled examples: they slow the rotation and hasten over-fitting."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ... import plot
from ...plot.axes import COLOURS
from ...theory import HingeMeanField
from ..card import Card, Scale
from ..panels import panels
from ..reproduction import Parts
from .overfitting import memory_rows, runs_on_finite_sets
from .setting import WORK

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["CARD", "mislabelled_examples"]


def mislabelled_examples(scale: str | Scale = "small") -> Parts:
    """Return rotation, unsatisfied fractions and errors for 0, 2 and 5 % of flipped labels.

    Lines are ``HingeMeanField(flip=...).memorisation``.
    """
    scale = Scale.of(scale)
    d, N, M, beta, steps = scale.pick(small=(40, 12_000, 250, 2.0, 600), paper=(100, 100_000, 400, 2.5, 4000))
    figure, axes = panels(1, 3)
    data: dict[str, xr.Dataset] = {}
    table = []
    for flip, colour in zip((0.0, 0.02, 0.05), COLOURS, strict=False):
        runs = runs_on_finite_sets(scale, flip=flip, d=d, N=N, M=M, beta=beta, steps=steps)
        theory = HingeMeanField(d, beta=beta, flip=flip)
        course = theory.memorisation(N, np.unique(np.r_[runs.t.values, np.geomspace(1, steps, 150)]))
        data |= {f"simulation, flip={flip:g}": runs, f"theory, flip={flip:g}": course}
        label = f"{flip:.0%} mislabelled"
        plot.mean_over_seeds(runs, "gamma", theory=course, label=label, colour=colour, log="x", ax=axes[0, 0])
        for name, expected, marker in (
            ("unsatisfied", "train_unsatisfied", "o"),
            ("test_unsatisfied", "test_unsatisfied", "^"),
        ):
            plot.mean_over_seeds(
                runs,
                name,
                theory=course,
                expected=expected,
                colour=colour,
                marker=marker,
                log="xy",
                ax=axes[0, 1],
            )
        plot.mean_over_seeds(
            runs, "train_error", colour=colour, theory=course if flip else None, log="xy", ax=axes[0, 2]
        )
        plot.mean_over_seeds(runs, "test_error", colour=colour, marker="^", log="xy", ax=axes[0, 2])
        table += memory_rows(runs, theory, N, (50, 300), f", {label}")
    for ax, words in zip(axes[0], (r"rotation $\gamma$", "unsatisfied fraction", "error"), strict=True):
        ax.set(xlabel="time t = steps × dt", ylabel=words, xlim=(1, steps))
    if axes[0, 2].get_legend_handles_labels()[1]:
        axes[0, 2].legend(frameon=False, fontsize="small")
    axes[0, 0].legend(frameon=False, fontsize="small")
    for marker, words in (("o", "training set"), ("^", "fresh examples")):
        axes[0, 1].plot([], [], color="0.3", linestyle="", marker=marker, markerfacecolor="none", label=words)
    axes[0, 1].plot([], [], color="0.3", linewidth=1.4, label="theory")
    axes[0, 1].legend(frameon=False, fontsize="small", loc="lower left")
    return data, figure, table


CARD = Card(
    "hinge-mislabelled",
    WORK,
    "Mislabelled examples",
    "Rotation, unsatisfied fractions and errors (circles: training set, triangles: fresh examples, clean labels) "
    "with none, 2 % and 5 % of the labels flipped; lines: memorisation theory with flips.",
    "Ours: M = 400, d = 100, N = 10^5, beta = 2.5 (M = 250, d = 40, N = 1.2 10^4, beta = 2 at small scale); the "
    "published one is 'a small fraction'.",
    "high",
    mislabelled_examples,
    "The published curves' parameters are not known.",
)
