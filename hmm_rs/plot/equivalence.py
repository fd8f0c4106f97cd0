"""Gaussian equivalence: distance from Gaussian and its rates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .axes import COLOURS, axes_of, check_result

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
    check_result(result, "cdf", "ks")
    ax = axes_of(ax)
    floor = float(result.attrs["ks_floor"])
    ax.axhspan(-floor, floor, color="0.9", label="Gaussian samples")
    for i, name in enumerate(result["name"].values):
        colour = COLOURS[i % len(COLOURS)]
        ax.plot(result["level"], result["cdf"].isel(field=i), color=colour, linewidth=1.4, label=str(name))
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
    check_result(result, "ks", "excess_kurtosis")
    ax = axes_of(ax)
    curves = {
        "beta": "Stein bound",
        "excess_kurtosis": "|excess kurtosis|",
        "ks": "Kolmogorov distance",
    }
    noise = {"excess_kurtosis": result.attrs["kurtosis_error"], "ks": result.attrs["ks_floor"]}
    for i, (name, label) in enumerate(curves.items()):
        if name not in result:
            continue
        size = (result[name] ** 2).mean("draw") ** 0.5
        ax.plot(result["N"], size, marker="o", markersize=4, color=COLOURS[i], label=label)
        if name in noise:
            ax.axhline(noise[name], color=COLOURS[i], linestyle=":", linewidth=1)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xticks(result["N"].values, [f"{n:g}" for n in result["N"].values])
    ax.minorticks_off()
    ax.set_xlabel("number of inputs N")
    ax.set_ylabel("rms over weights (dotted: noise)")
    # The dotted lines run everywhere: they must not strike the words through.
    ax.legend(fontsize="small", facecolor="white", edgecolor="none", framealpha=0.9)
    return ax
