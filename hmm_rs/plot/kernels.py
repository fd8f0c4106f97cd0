"""Tangent kernels: on a circle, and their information on the labels through training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..ground.arguments import count, number
from ..ground.errors import ShapeError
from ..ground.results import result_of, variable_of
from .axes import COLOURS, axes_of
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
    origin = number("origin", origin)
    kernels = {name: _on_a_circle("result", result, name) for name in _STAGES}
    phi = kernels["initial"]["phi"].values
    at = int(np.argmin(np.abs(phi - origin)))
    lines = {}
    if theory is not None:
        result_of("theory", theory)
        lines = {name: _on_a_circle("theory", theory, name) for name in _STAGES if name in theory}
        for name, line in lines.items():
            if line.sizes["phi"] != len(phi):
                raise ShapeError(
                    f"theory.{name} has {line.sizes['phi']} angles: must have the {len(phi)} of the result; pass the "
                    "theory of the same points"
                )
    ax = axes_of(ax)
    for (name, label), colour in zip(_STAGES.items(), COLOURS, strict=False):
        row = kernels[name].isel(phi=at)
        mean = row.mean("seed") if "seed" in row.dims else row
        error = row.std("seed", ddof=1) / row.sizes["seed"] ** 0.5 if "seed" in row.dims else 0.0 * row
        every = max(1, len(mean) // 50)
        error_bars(ax, phi[::every], mean[::every], error[::every], colour=colour, label=label)
        if name in lines:
            ax.plot(lines[name]["phi"], lines[name].isel(phi=at), color=colour, linewidth=1.4)
    ax.set_xticks(np.pi * np.arange(5) / 2, ["0", r"$\pi/2$", r"$\pi$", r"$3\pi/2$", r"$2\pi$"])
    ax.set_xlabel(r"angle $\varphi$ from the informative axis")
    named = {0: "0", 1: r"\pi/2", 2: r"\pi"}
    quarter = 2.0 * float(phi[at]) / np.pi
    place = named.get(round(quarter), "") if abs(quarter - round(quarter)) < 1e-9 else ""
    ax.set_ylabel(rf"$\Theta({place or f'{origin:.2g}'}, \varphi)$ over its mean diagonal")
    ax.legend(frameon=False, fontsize="small")
    return ax


def _on_a_circle(name: str, result: xr.Dataset, variable: str) -> xr.DataArray:
    """Return a kernel between all pairs of points of a circle, which may be one a seed."""
    kernel = variable_of(name, result, variable, ("phi", "phi2"), axis="phi", either=("seed",), known=False)
    if kernel.sizes["phi"] != kernel.sizes["phi2"]:
        raise ShapeError(
            f"{name}.{variable} has {kernel.sizes['phi']} angles phi and {kernel.sizes['phi2']} phi2: must be the same "
            "points twice; pass the whole result"
        )
    return kernel


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
    information = variable_of("result", result, "mutual_information", ("stage", "r", "seed"))
    fitted = variable_of("result", result, "satisfied", ("stage", "seed"))
    vectors = count("vectors", vectors, minimum=0, maximum=information.sizes["r"])
    ax = axes_of(ax)
    stages = np.arange(information.sizes["stage"])
    curves = [(f"eigenvector {r + 1}", information.isel(r=r), COLOURS[r % 6]) for r in range(vectors)]
    for label, values, colour in (*curves, ("best of all", information.max("r"), "black")):
        error = values.std("seed", ddof=1) / values.sizes["seed"] ** 0.5
        error_bars(ax, stages, values.mean("seed"), error, connected=True, colour=colour, label=label)
    words = ["start", *(f"{share:.0%}" for share in fitted.mean("seed").values[1:-1]), "end"]
    ax.set_xticks(stages, words[: len(stages)])
    ax.set(ylim=(0.0, 1.0), xlabel="examples fitted", ylabel="mutual information with the labels [bits]")
    ax.legend(frameon=False, fontsize="small")
    return ax
