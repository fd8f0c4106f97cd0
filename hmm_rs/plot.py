"""Pictures: functions that take and return matplotlib Axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import DtypeError, HmmError, InvalidParameterError

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = ["equivalence_rates", "gaussian_equivalence", "learning_curve", "order_parameters"]

#: Colours of a sequence of curves: distinguishable in print and to the colour-blind (Okabe-Ito).
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def _axes(ax: Axes | None) -> Axes:
    """Return `ax`, or the Axes of a new figure of one column's width."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise HmmError("hr.plot needs matplotlib; pip install 'hmm_rs[plot]'") from None
    if ax is not None:
        return ax
    return plt.subplots(figsize=(4.8, 3.6), layout="constrained")[1]


def _check(result: Any, *variables: str) -> None:
    import xarray as xr

    if not isinstance(result, xr.Dataset):
        raise DtypeError(
            f"result = {result!r:.60}: must be an xarray.Dataset that a run or a solver returned"
        )
    for name in variables:
        if name not in result:
            listed = ", ".join(map(repr, result.data_vars))
            raise InvalidParameterError(
                f"result has no variable {name!r}: it holds {listed}; pass another one"
            )


def _style(result: xr.Dataset) -> dict[str, Any]:
    """Return points for simulations and a line for theory."""
    if result.attrs.get("source") == "theory":
        return {"linestyle": "-", "linewidth": 1.4}
    return {"linestyle": "", "marker": "o", "markersize": 4.0, "markerfacecolor": "none"}


def _time_axis(ax: Axes, result: xr.Dataset) -> None:
    dim = str(next(iter(result["eg"].dims)) if "eg" in result else next(iter(result.dims)))
    ax.set_xscale("log")
    ax.set_xlabel(str(result[dim].attrs.get("long_name", dim)))


def learning_curve(
    *results: xr.Dataset,
    labels: tuple[str, ...] | list[str] | None = None,
    variable: str = "eg",
    ax: Axes | None = None,
) -> Axes:
    """Draw the error against time: simulations as circles, theory as lines.

    Parameters
    ----------
    *results
        Datasets of runs and solvers. A simulation followed by its theory share a colour if they
        come in such pairs.
    labels
        Legend entries; None: "simulation" and "theory".
    variable
        What to draw.
    ax
        Axes to draw on; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import hmm_rs as hr
    >>> model = hr.HiddenManifold(N=200, D=20)
    >>> sim = hr.OnlineSGD(model, hr.TwoLayer.random(1, 20), student=hr.TwoLayer.random(1, 200, seed=1),
    ...                    lr=0.2, test_size=200)
    >>> ax = hr.plot.learning_curve(sim.run(1.0))
    >>> ax.get_ylabel()
    'generalisation error'
    """
    if not results:
        raise InvalidParameterError("results: none given; pass at least one dataset")
    for result in results:
        _check(result, variable)
    if labels is not None and len(labels) != len(results):
        raise InvalidParameterError(
            f"labels has {len(labels)} entries for {len(results)} results: must be one each; pass as many"
        )
    ax = _axes(ax)
    colour = -1
    for i, result in enumerate(results):
        source = str(result.attrs.get("source", "simulation"))
        paired = i > 0 and source == "theory" and results[i - 1].attrs.get("source") != "theory"
        colour += 0 if paired else 1
        values = result[variable]
        dim = str(values.dims[0])
        # t = 0 has no place on a logarithmic axis.
        seen = values.where(values[dim] > 0, drop=True)
        ax.plot(
            seen[dim],
            seen,
            color=_COLOURS[colour % len(_COLOURS)],
            label=labels[i] if labels is not None else source,
            zorder=3 if source == "theory" else 2,
            **_style(result),
        )
    _time_axis(ax, results[0])
    ax.set_yscale("log")
    ax.set_ylabel(str(results[0][variable].attrs.get("long_name", variable)))
    ax.grid(visible=True, which="major", alpha=0.25, linewidth=0.5)
    ax.legend(frameon=False)
    return ax


def order_parameters(
    *results: xr.Dataset, variables: tuple[str, ...] = ("Q", "R"), ax: Axes | None = None
) -> Axes:
    """Draw order parameters against time: simulations as circles, theory as lines.

    Each entry has its colour; symmetric matrices are drawn once per pair.

    Parameters
    ----------
    *results
        Datasets of runs and solvers.
    variables
        Names of order parameters to draw.
    ax
        Axes to draw on; None makes a figure.
    """
    if not results:
        raise InvalidParameterError("results: none given; pass at least one dataset")
    for result in results:
        _check(result, *variables)
    ax = _axes(ax)
    for which, result in enumerate(results):
        colour = 0
        for name in variables:
            values = result[name]
            dim = str(values.dims[0])
            seen = values.where(values[dim] > 0, drop=True)
            rows, columns = seen.shape[1], seen.shape[2] if seen.ndim > 2 else 1
            symmetric = name in ("Q", "W", "Sigma", "T")
            for k in range(rows):
                for m in range(k if symmetric else 0, columns):
                    curve = seen[:, k, m] if seen.ndim > 2 else seen[:, k]
                    index = f"{k + 1}{m + 1}" if seen.ndim > 2 else f"{k + 1}"
                    ax.plot(
                        seen[dim],
                        curve,
                        color=_COLOURS[colour % len(_COLOURS)],
                        label=f"${name}_{{{index}}}$" if which == 0 else None,
                        **_style(result),
                    )
                    colour += 1
    _time_axis(ax, results[0])
    ax.set_ylabel("order parameters")
    ax.grid(visible=True, which="major", alpha=0.25, linewidth=0.5)
    ax.legend(frameon=False, ncols=2, fontsize="small")
    return ax


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
    _check(result, "cdf", "ks")
    ax = _axes(ax)
    floor = float(result.attrs["ks_floor"])
    ax.axhspan(-floor, floor, color="0.9", label="Gaussian samples")
    for i, name in enumerate(result["name"].values):
        colour = _COLOURS[i % len(_COLOURS)]
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
    _check(result, "ks", "excess_kurtosis")
    ax = _axes(ax)
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
        ax.plot(result["N"], size, marker="o", markersize=4, color=_COLOURS[i], label=label)
        if name in noise:
            ax.axhline(noise[name], color=_COLOURS[i], linestyle=":", linewidth=1)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xticks(result["N"].values, [f"{n:g}" for n in result["N"].values])
    ax.minorticks_off()
    ax.set_xlabel("number of inputs N")
    ax.set_ylabel("rms over weights (dotted: noise)")
    ax.legend(frameon=False, fontsize="small")
    return ax
