"""Tangent kernels: on a circle, and their information on the labels through training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .axes import COLOURS, axes_of, check_result
from .marks import error_bars

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = ["circle_kernel", "kernel_information"]

_STAGES = {"initial": "start", "first_fit": "first fit, $t^*$", "final": "end of training"}


def circle_kernel(
    result: xr.Dataset, *, theory: xr.Dataset | None = None, origin: float = 0.0, ax: Axes | None = None
) -> Axes:
    r"""Draw the tangent kernel between one point of a circle and all others: marks, and the theory as lines.

    Parameters
    ----------
    result
        What :func:`hmm_rs.experiments.compression.circle_kernel` returned; along ``seed``, mean and standard error.
    theory
        The same variables, as far as there is a theory of them.
    origin
        Angle of the one point.
    ax
        Axes to draw on; None makes a figure.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> result = hr.experiments.compression.circle_kernel(32, points=16, h=32, max_steps=50)
    >>> len(hr.plot.circle_kernel(result).containers)
    3
    """
    check_result(result, *_STAGES)
    ax = axes_of(ax)
    at = int(np.argmin(np.abs(result["phi"].values - origin)))
    for (name, label), colour in zip(_STAGES.items(), COLOURS, strict=False):
        row = result[name].isel(phi=at)
        mean = row.mean("seed") if "seed" in row.dims else row
        error = row.std("seed", ddof=1) / row.sizes["seed"] ** 0.5 if "seed" in row.dims else 0.0 * row
        every = max(1, len(mean) // 50)
        error_bars(ax, result["phi"][::every], mean[::every], error[::every], colour=colour, label=label)
        if theory is not None and name in theory:
            ax.plot(theory["phi"], theory[name].isel(phi=at), color=colour, linewidth=1.4)
    ax.set_xticks(np.pi * np.arange(5) / 2, ["0", r"$\pi/2$", r"$\pi$", r"$3\pi/2$", r"$2\pi$"])
    ax.set_xlabel(r"angle $\varphi$ from the informative axis")
    named = {0: "0", 1: r"\pi/2", 2: r"\pi"}
    quarter = 2.0 * float(result["phi"][at]) / np.pi
    place = named.get(round(quarter), "") if abs(quarter - round(quarter)) < 1e-9 else ""
    ax.set_ylabel(rf"$\Theta({place or f'{origin:.2g}'}, \varphi)$ over its mean diagonal")
    ax.legend(frameon=False, fontsize="small")
    return ax


def kernel_information(result: xr.Dataset, *, vectors: int = 3, ax: Axes | None = None) -> Axes:
    """Draw what the leading kernel eigenvectors know of the labels through training, against the fitted fraction.

    Parameters
    ----------
    result
        What :func:`hmm_rs.experiments.compression.kernel_evolution` returned: means and standard errors over seeds.
    vectors
        Leading eigenvectors to draw one by one; the best of all is drawn in black.
    ax
        Axes to draw on; None makes a figure.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> result = hr.experiments.compression.kernel_evolution(
    ...     hr.Stripe(3), 64, seeds=2, h=32, fractions=(0.1,), max_steps=100, test_size=100)
    >>> tuple(map(float, hr.plot.kernel_information(result).get_ylim()))
    (0.0, 1.0)
    """
    check_result(result, "mutual_information")
    ax = axes_of(ax)
    information = result["mutual_information"]
    stages = np.arange(result.sizes["stage"])
    curves = [(f"eigenvector {r + 1}", information.isel(r=r), COLOURS[r % 6]) for r in range(vectors)]
    for label, values, colour in (*curves, ("best of all", information.max("r"), "black")):
        error = values.std("seed", ddof=1) / values.sizes["seed"] ** 0.5
        error_bars(ax, stages, values.mean("seed"), error, connected=True, colour=colour, label=label)
    middle = result["satisfied"].mean("seed").values
    words = ["start", *(f"{share:.0%}" for share in middle[1:-1]), "end"]
    ax.set_xticks(stages, words)
    ax.set(ylim=(0.0, 1.0), xlabel="examples fitted", ylabel="mutual information with the labels [bits]")
    ax.legend(frameon=False, fontsize="small")
    return ax
