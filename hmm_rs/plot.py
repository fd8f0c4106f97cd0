"""Pictures: functions that take and return matplotlib Axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import DtypeError, HmmError, InvalidParameterError

if TYPE_CHECKING:
    import numpy.typing as npt
    import xarray as xr
    from matplotlib.axes import Axes

    from .theory import HingeMeanField

__all__ = [
    "equivalence_rates",
    "gaussian_equivalence",
    "learning_curve",
    "order_parameters",
    "overfitting",
    "particles",
    "rotation",
    "satisfaction",
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


def particles(
    result: xr.Dataset, theory: HingeMeanField | None = None, *, nodes: int = 10, ax: Axes | None = None
) -> Axes:
    """Draw trajectories of nodes on the plane of a and w_par: training as circles, theory as lines.

    Parameters
    ----------
    result
        What a run of ``hmm_rs.Particles`` returned, its start included.
    theory
        The mean field of the run; its nodes start where those of the run do.
    nodes
        Number of nodes to draw, from the first on.
    ax
        Axes to draw on; None makes a figure.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> network = hr.MeanFieldNetwork.random(100, 20, seed=1)
    >>> run = hr.Particles(network, data=hr.LinearlySeparable(20), batch=200, test_size=200)
    >>> ax = hr.plot.particles(run.run(20), hr.theory.HingeMeanField(20))
    >>> ax.get_xlabel()
    'output weight $a$'
    """
    _check(result, "a", "w_par")
    ax = _axes(ax)
    count = min(nodes, result.sizes["i"])
    a, w = result.a.values[:, :count], result.w_par.values[:, :count]
    for i in range(count):
        colour = _COLOURS[i % len(_COLOURS)]
        ax.plot(a[:, i], w[:, i], color=colour, alpha=0.7, **_style(result))
        ax.plot(a[0, i], w[0, i], color=colour, marker="o", markersize=4.0)
    if theory is not None:
        lines_a, lines_w = theory.nodes(np.linspace(float(result.t[0]), float(result.t[-1]), 400), a[0], w[0])
        for i in range(count):
            ax.plot(lines_a[:, i], lines_w[:, i], color=_COLOURS[i % len(_COLOURS)], linewidth=1.2, zorder=3)
    reach = 1.05 * float(max(abs(a).max(), abs(w).max()))
    for slope in (1.0, -1.0):
        ax.plot([-reach, reach], [-slope * reach, slope * reach], color="0.6", linewidth=0.7, linestyle=":")
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    ax.set_xlabel("output weight $a$")
    ax.set_ylabel(r"input weight along the teacher, $w_\parallel$")
    return ax


def rotation(
    *results: xr.Dataset,
    theory: HingeMeanField | None = None,
    asymptotes: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw gamma(t): runs as circles, the mean field as a line, its linear start and logarithmic end.

    Parameters
    ----------
    *results
        Datasets with ``gamma``.
    theory
        The mean field of the runs.
    asymptotes
        Whether to draw gamma = R t and, for separable Gaussian data, gamma = log(16 A R t)/4.
    ax
        Axes to draw on; None makes a figure.
    """
    if not results:
        raise InvalidParameterError("results: none given; pass at least one dataset")
    ax = _axes(ax)
    last, top = 1.0, 0.0
    for i, result in enumerate(results):
        _check(result, "gamma")
        seen = result.gamma.where(result.t > 0, drop=True)
        label = str(result.attrs.get("source", "simulation"))
        ax.plot(seen.t, seen, color=_COLOURS[i % len(_COLOURS)], label=label, **_style(result))
        last, top = max(last, float(seen.t[-1])), max(top, float(seen.max()))
    if theory is not None:
        t = np.geomspace(min(1.0, last / 1e3), last, 300)
        gamma = theory.gamma(t)
        top = max(top, float(gamma.max()))
        ax.plot(t, gamma, color="black", linewidth=1.4, label="mean field", zorder=3)
        if asymptotes:
            start = float(theory.gamma_dot(0.0)) * t
            ax.plot(
                t[start < top], start[start < top], color="0.4", linestyle="--", linewidth=1.0, label="$Rt$"
            )
            if theory.law == "gaussian" and theory.flip == 0.0 and theory.C0 == 0.0:
                late = theory.late_time(t).log_law.values
                shown = late > 0.6 * top
                label = r"$\frac{1}{4}\log(16ARt)$"
                ax.plot(t[shown], late[shown], color="0.4", linestyle=":", linewidth=1.4, label=label)
    ax.set_xscale("log")
    ax.set(ylim=(0.0, 1.08 * top), xlabel="time t = steps × dt", ylabel=r"rotation $\gamma$")
    ax.grid(visible=True, which="major", alpha=0.25, linewidth=0.5)
    ax.legend(frameon=False)
    return ax


def satisfaction(
    result: xr.Dataset,
    x_par: npt.ArrayLike,
    theory: HingeMeanField,
    *,
    M: int | None = None,
    dt: float = 1.0,
    most: int = 3000,
    ax: Axes | None = None,
) -> Axes:
    """Draw the projection of examples against the time at which they were first satisfied.

    Parameters
    ----------
    result
        What a run on fixed examples returned.
    x_par
        Projections x_1 of the examples of the run.
    theory
        The mean field of the run: the line.
    M
        Width of the network: one standard deviation of finite width around the line (dashed, the
        residual formula).
    dt
        Size of the run's steps.
    most
        Most examples to draw.
    ax
        Axes to draw on; None makes a figure.
    """
    _check(result, "first_satisfied")
    projection = np.abs(np.asarray(x_par, dtype=np.float64))
    first = result.first_satisfied.values
    if projection.shape != first.shape:
        raise InvalidParameterError(
            f"x_par has shape {projection.shape}: the run has {first.shape[0]} examples; pass X[:, 0] of the run"
        )
    ax = _axes(ax)
    seen = np.flatnonzero(first >= 0)[:most]
    ax.plot(first[seen] * dt, projection[seen], ".", color=_COLOURS[5], markersize=2.5, label="examples")
    gamma = theory.gamma(np.geomspace(1.0, 1.5 * max(float(first.max()) * dt, 2.0), 500))
    gamma = gamma[theory.alignment(gamma) > 0.0]
    t = theory.time_of_gamma(gamma)
    chi = theory.observables(t).chi.values
    ax.plot(t, chi, color=_COLOURS[1], linewidth=1.6, label="mean field")
    if M is not None:
        for edge, label in zip(theory.satisfaction_band(gamma, M), (f"± 1 sd at M = {M}", None), strict=True):
            shown = edge > 0
            ax.plot(t[shown], edge[shown], color=_COLOURS[1], linestyle="--", linewidth=1.0, label=label)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set(xlabel="time of first satisfaction", ylabel=r"projection $|x_\parallel|$")
    ax.set(
        ylim=(max(projection[seen].min(), 1e-3), 1.3 * projection.max()),
        xlim=(0.7 * max(float(first[seen].min()) * dt, 1.0), None),
    )
    ax.legend(frameon=False, markerscale=3)
    return ax


def overfitting(
    result: xr.Dataset, theory: xr.Dataset | None = None, *, errors: bool = True, ax: Axes | None = None
) -> Axes:
    """Draw training against test: errors, and unsatisfied fractions with the memorisation theory.

    Parameters
    ----------
    result
        What a run with a test set returned.
    theory
        What ``HingeMeanField.memorisation`` returned for it: lines.
    errors
        Whether to draw the classification errors too.
    ax
        Axes to draw on; None makes a figure.
    """
    _check(result, "unsatisfied", "test_unsatisfied", "train_error", "test_error")
    ax = _axes(ax)
    curves = [
        ("unsatisfied", _COLOURS[0], "train, unsatisfied"),
        ("test_unsatisfied", _COLOURS[1], "test, unsatisfied"),
    ]
    if errors:
        curves += [("train_error", _COLOURS[5], "train, error"), ("test_error", _COLOURS[4], "test, error")]
    for name, colour, label in curves:
        seen = result[name].where((result.t > 0) & (result[name] > 0), drop=True)
        ax.plot(seen.t, seen, color=colour, label=label, **_style(result))
    if theory is not None:
        for name, colour in (("train_unsatisfied", _COLOURS[0]), ("test_unsatisfied", _COLOURS[1])):
            _check(theory, name)
            seen = theory[name].where((theory.t > 0) & (theory[name] > 0), drop=True)
            ax.plot(seen.t, seen, color=colour, linewidth=1.4)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set(xlabel="time t = steps × dt", ylabel="fraction of examples")
    ax.grid(visible=True, which="major", alpha=0.25, linewidth=0.5)
    ax.legend(frameon=False, fontsize="small")
    return ax
