"""Kernel principal components and their information on the labels, through training."""

from __future__ import annotations

import numpy as np

from ... import kernels, plot
from ...data import Stripe
from ...experiments import compression
from ...plot.axes import COLOURS
from ..allowance import paired_row
from ..card import Card, Scale
from ..panels import panels
from ..reproduction import Parts
from .setting import ALPHA, WORK

__all__ = ["CARD", "kernel_principal_components"]


def kernel_principal_components(scale: str | Scale = "small") -> Parts:
    """Return eigenvalues, label projections and mutual information of the tangent kernel from start to end.

    They are looked at on fresh points, which did not shape the kernel; the published code stores training points too.
    """
    scale = Scale.of(scale)
    d, p, seeds, h, steps = scale.pick(small=(5, 256, 6, 200, 12_000), paper=(5, 1000, 10, 10_000, 200_000))
    data = Stripe(d)
    runs = compression.kernel_evolution(
        data,
        p,
        seeds=seeds,
        h=h,
        alpha=ALPHA,
        max_steps=steps,
        points="kernel",
        test_size=2000,
        checkpoints=scale.folder,
    )
    # Infinite width, on the same points.
    wide: dict[str, list[float]] = {
        name: [] for name in ("eigenvalue 1", "eigenvalue 2", "C_10", "information")
    }
    for seed in range(seeds):
        X, y = data.sample(p, seed=seed, stream="kernel")
        found = kernels.label_projections(kernels.ntk(X), y)
        wide["eigenvalue 1"].append(float(found["eigenvalues"][0] / p))
        wide["eigenvalue 2"].append(float(found["eigenvalues"][1] / p))
        wide["C_10"].append(float(found["cumulative"][9]))
        wide["information"].append(
            max(kernels.mutual_information(found["eigenvectors"][:, r], y) for r in range(10))
        )

    figure, axes = panels(1, 3)
    shares = (runs.eigenvalues / runs.eigenvalues.sum("r")).assign_coords(r=np.arange(1, runs.sizes["r"] + 1))
    for stage, label, colour in ((0, "start", COLOURS[0]), (1, "$t^*$", COLOURS[2]), (-1, "end", COLOURS[1])):
        plot.mean_over_seeds(
            shares.isel(stage=stage).to_dataset(name="share"),
            "share",
            connected=True,
            log="y",
            label=label,
            colour=colour,
            ax=axes[0, 0],
        )
    axes[0, 0].set(xlabel="rank $r$", ylabel=r"$\lambda_r$ over the sum of the first ten")
    axes[0, 0].legend(frameon=False)
    plot.kernel_spectrum(runs, ax=axes[0, 1])
    plot.kernel_information(runs, ax=axes[0, 2])

    first = runs.isel(stage=0)
    seen = {
        "eigenvalue 1": first.eigenvalues.isel(r=0).values,
        "eigenvalue 2": first.eigenvalues.isel(r=1).values,
        "C_10": first["cumulative"].values,
        "information": first.mutual_information.max("r").values,
    }
    words = {
        "eigenvalue 1": "first eigenvalue over p at the start",
        "eigenvalue 2": "second eigenvalue over p at the start",
        "C_10": "share of the labels in ten eigenvectors at the start",
        "information": "best mutual information at the start [bits]",
    }
    # Fluctuations of a kernel of width h push the leading eigenvalues apart and mix in what is not there: second order.
    table = [
        paired_row(
            f"{words[name]}, against infinite width",
            wide[name],
            values,
            more=_second_order(h, name, wide),
            because=f"and {_second_order(h, name, wide):.3f}: second order in 1/sqrt h",
            paper="rises through training (content high)" if name in ("C_10", "information") else "",
        )
        for name, values in seen.items()
    ]
    return {"simulation": runs}, figure, table


def _second_order(h: int, name: str, wide: dict[str, list[float]]) -> float:
    """Return the shift of second order in the fluctuations of a finite kernel.

    A kernel of width h fluctuates by about lambda_1/sqrt h, all in all; perturbation theory shifts an eigenvalue by the
    square of this over the gap to its neighbour, and an eigenvector's share by the shift over the gap.
    """
    gap = abs(float(np.mean(wide["eigenvalue 1"])) - float(np.mean(wide["eigenvalue 2"])))
    shift = float(np.mean(wide["eigenvalue 1"])) ** 2 / (h * gap)
    return shift if name.startswith("eigenvalue") else shift / gap


CARD = Card(
    "compression-kernel-pca",
    WORK,
    "Kernel principal components through training",
    "Eigenvalues of the tangent kernel's Gram matrix, cumulated share of the labels in the leading eigenvectors, "
    "and mutual "
    "information of eigenvectors with the labels (k = 5 neighbours, r <= 10), from start over t* to the end; mean and "
    "standard error. On fresh points (the kernel set); pass points='train' to kernel_evolution for the training set.",
    "r <= 10, k = 5 (published code); d = 5, p = 1000, h = 10^4 (p = 256, h = 200 at small scale) are ours.",
    "high",
    kernel_principal_components,
    "There is no theory of the trained kernel; the table compares its start with infinite width.",
)
