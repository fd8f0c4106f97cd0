"""Gaussian equivalence: distance from Gaussian and its rates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..ground.errors import ShapeError
from ..ground.results import attribute_of, result_of, variable_of
from .axes import COLOURS, axes_of

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = ["equivalence_rates", "gaussian_equivalence"]


def gaussian_equivalence(result: xr.Dataset, *, ax: Axes | None = None) -> Axes:
    """Draw how far the distribution of every field is from Gaussian.

    Parameters
    ----------
    result
        What ``hr.theory.equivalence.test_gaussian_equivalence`` returned.
    ax
        Where to draw; a new figure by default.

    Examples
    --------
    >>> import numpy as np
    >>> import hmm_rs as hr
    >>> model = hr.HiddenManifold(50, 25, f="erf")
    >>> test = hr.theory.equivalence.test_gaussian_equivalence(model, np.ones(50), n_samples=2000)
    >>> ax = hr.plot.gaussian_equivalence(test)
    """
    curves = variable_of("result", result, "cdf", ("field", "level"), axis="level")
    floor = attribute_of("result", result, "ks_floor")
    if "name" not in curves.coords or curves["name"].dims != ("field",):
        raise ShapeError(
            "result.cdf has no names along field: every curve must have one; pass the whole result, or "
            ".assign_coords(name=('field', [...]))"
        )
    ax = axes_of(ax)
    ax.axhspan(-floor, floor, color="0.9", label="Gaussian samples")
    for i, name in enumerate(curves["name"].values):
        colour = COLOURS[i % len(COLOURS)]
        ax.plot(curves["level"], curves.isel(field=i), color=colour, linewidth=1.4, label=str(name))
    ax.set_xlabel("standardised field")
    ax.set_ylabel("distribution function minus Gaussian")
    ax.legend(frameon=False, fontsize="small")
    return ax


def equivalence_rates(result: xr.Dataset, *, ax: Axes | None = None) -> Axes:
    """Draw how fast fields become Gaussian with the number of inputs.

    Parameters
    ----------
    result
        What ``hr.theory.equivalence.rates`` returned.
    ax
        Where to draw; a new figure by default.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> rates = hr.theory.equivalence.rates([20, 40], f="erf", n_samples=2000, draws=2)
    >>> ax = hr.plot.equivalence_rates(rates)
    """
    words = {
        "beta": "Stein bound",
        "excess_kurtosis": "|excess kurtosis|",
        "ks": "Kolmogorov distance",
    }
    result_of("result", result)
    # The bound is not known of all fields.
    curves = {
        name: variable_of("result", result, name, ("N", "draw"), axis="N")
        for name in words
        if name in result or name != "beta"
    }
    noise = {
        "excess_kurtosis": attribute_of("result", result, "kurtosis_error"),
        "ks": attribute_of("result", result, "ks_floor"),
    }
    sizes = curves["ks"]["N"].values
    ax = axes_of(ax)
    for i, (name, label) in enumerate(words.items()):
        if name not in curves:
            continue
        size = (curves[name] ** 2).mean("draw") ** 0.5
        ax.plot(sizes, size, marker="o", markersize=4, color=COLOURS[i], label=label)
        if name in noise:
            ax.axhline(noise[name], color=COLOURS[i], linestyle=":", linewidth=1)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xticks(sizes, [f"{n:g}" for n in sizes])
    ax.minorticks_off()
    ax.set_xlabel("number of inputs N")
    ax.set_ylabel("rms over weights (dotted: noise)")
    # The dotted lines run everywhere: they must not strike the words through.
    ax.legend(fontsize="small", facecolor="white", edgecolor="none", framealpha=0.9)
    return ax
