"""Pictures: functions that take and return matplotlib Axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import DtypeError, HmmError, InvalidParameterError

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = [
    "compression",
    "compression_curve",
    "equivalence_rates",
    "gaussian_equivalence",
    "kernel_spectrum",
    "learning_curve",
    "neuron_points",
    "order_parameters",
]

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


def compression(result: xr.Dataset, *, law: float | None = None, ax: Axes | None = None) -> Axes:
    """Draw the compression at the first fit against the number of examples, each data set as a point.

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


        What :func:`hmm_rs.experiments.compression.compression_scaling` returned.
    law
        Prefactor of the line prefactor sqrt p, for instance ``lambda_over_sqrtp`` of the fastest attractor.
    ax
        Axes to draw on; None makes a figure.
    """
    _check(result, "lambda_star")
    ax = _axes(ax)
    p, seen = result["p"], result["lambda_star"]
    ax.loglog(p, seen, ".", color=_COLOURS[5], markersize=3, alpha=0.5)
    average = (seen**-2.0).mean("seed") ** -0.5
    ax.loglog(p, average, color=_COLOURS[0], label=r"$[\langle\Lambda^{-2}\rangle]^{-1/2}$", **_style(result))
    if law is not None:
        ax.loglog(
            p, law * p**0.5, color=_COLOURS[1], linewidth=1.4, label=rf"theory, ${law:.2f}\,\sqrt{{p}}$"
        )
    ax.set_xticks(p.values, [f"{int(size)}" for size in p.values])
    ax.minorticks_off()
    ax.set_xlabel("training examples $p$")
    ax.set_ylabel(r"compression $\Lambda^*$")
    ax.legend(frameon=False)
    return ax


def compression_curve(result: xr.Dataset, *, ax: Axes | None = None) -> Axes:
    """Draw the compression of one run against time, with t* and the ends of the regimes.

    Parameters
    ----------
    result
        What :meth:`hmm_rs.GradientFlow.run` returned.
    ax
        Axes to draw on; None makes a figure.
    """
    _check(result, "compression", "satisfied")
    ax = _axes(ax)
    seen = result.isel(t=result.t.values > 0)
    ax.loglog(seen.t, seen["compression"], color=_COLOURS[0], linewidth=1.4)
    marks = {"t_star": r"$t^*$", "t_margin_0": "all signs right", "t_margin_half": r"margin $\frac{1}{2}$"}
    for (key, label), colour in zip(marks.items(), _COLOURS[1:], strict=False):
        if key in result.attrs:
            ax.axvline(result.attrs[key], color=colour, linewidth=1.0, linestyle="--", label=label)
    ax.set_xlabel(str(result["t"].attrs.get("long_name", "t")))
    ax.set_ylabel(r"compression $\Lambda$")
    ax.legend(frameon=False)
    return ax


def kernel_spectrum(result: xr.Dataset, *, ax: Axes | None = None) -> Axes:
    """Draw how much of the labels each leading kernel eigenvector holds, before and after training.

    Parameters
    ----------
    result
        What :func:`hmm_rs.experiments.compression.kernel_evolution` returned.
    ax
        Axes to draw on; None makes a figure.
    """
    _check(result, "omega2")
    ax = _axes(ax)
    shares = result["omega2"].mean("seed")
    ranks = range(1, shares.sizes["r"] + 1)
    for stage, label, colour in ((0, "start", _COLOURS[0]), (-1, "end of training", _COLOURS[1])):
        ax.plot(ranks, shares[stage].cumsum("r"), "o-", color=colour, markersize=4.0, label=label)
    ax.set_xlabel("number of leading eigenvectors")
    ax.set_ylabel("share of the labels they hold")
    ax.set_ylim(0.0, 1.0)
    ax.legend(frameon=False)
    return ax


def neuron_points(result: xr.Dataset, *, time: int = -1, ax: Axes | None = None) -> Axes:
    """Draw where the neurons' hyperplanes are, coloured by the sign of their output weight.

    Parameters
    ----------
    result
        What :func:`hmm_rs.experiments.compression.neuron_trajectories` returned.
    time
        Which of its times.
    ax
        Axes to draw on; None makes a figure.
    """
    _check(result, "z", "a")
    ax = _axes(ax)
    z, a = result["z"].isel(t=time).values, result["a"].isel(t=time).values
    size = 2.0 + 40.0 * abs(a) / abs(a).max()
    for sign, colour in ((1, _COLOURS[0]), (-1, _COLOURS[1])):
        chosen = sign * a > 0
        label = rf"$\beta {'>' if sign > 0 else '<'} 0$"
        ax.scatter(z[chosen, 0], z[chosen, 1], s=size[chosen], color=colour, alpha=0.6, label=label)
    ax.set_xlabel(r"$z_\parallel$")
    ax.set_ylabel(r"$z_\perp$ (one component)")
    ax.set_xlim(-3.0, 3.0)
    ax.set_ylim(-3.0, 3.0)
    ax.legend(frameon=False)
    return ax
