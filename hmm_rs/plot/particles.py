"""Hinge-loss learning: node trajectories, rotation, satisfaction times, over-fitting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..ground import arguments
from ..ground.errors import InvalidParameterError, ShapeError
from ..ground.results import numbers_of, variable_of
from ..theory import HingeMeanField
from .axes import COLOURS, after_start, axes_of, distinct_colours, readable_log, source_of, style_of
from .marks import error_bars

if TYPE_CHECKING:
    import numpy.typing as npt
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = ["overfitting", "particles", "rotation", "satisfaction", "trajectories"]


def tell_apart(ax: Axes, *, simulation: dict[str, Any], theory: bool) -> None:
    """Say in a legend what marks and lines are, where colours mean something else."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color="0.3", label="simulation", **simulation)]
    if theory:
        handles.append(Line2D([], [], color="0.3", linewidth=1.4, label="theory"))
    ax.legend(handles=handles, frameon=False, fontsize="small")


def curve(ax: Axes, seen: xr.DataArray, result: xr.Dataset, **style: Any) -> None:
    """Draw a curve over t; several seeds as their mean with the standard deviation as error bars."""
    if "seed" in seen.dims:
        mean, spread = seen.mean("seed"), seen.std("seed", ddof=1)
        error_bars(ax, seen.t, mean, spread, colour=style["color"], label=style["label"])
        return
    ax.plot(seen.t, seen, **style, **style_of(result))


def _mean_field(theory: HingeMeanField | None) -> HingeMeanField | None:
    return (
        None if theory is None else arguments.instance("theory", theory, HingeMeanField, "HingeMeanField(d)")
    )


def late_law_holds(theory: HingeMeanField) -> bool:
    """Return whether the late-time law of separable Gaussian data is that of `theory`."""
    separable = theory.law == "gaussian" and theory.flip == 0.0
    return separable and abs(theory.C0) < theory.C1 and not theory.subtract_init


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
    out = variable_of("result", result, "a", ("t", "i"), axis="t")
    along = variable_of("result", result, "w_par", ("t", "i"))
    theory = _mean_field(theory)
    count = min(arguments.count("nodes", nodes), out.sizes["i"])
    a, w = out.values[:, :count], along.values[:, :count]
    # Values beyond all bounds have no place on the plane.
    reach = 1.05 * max(float(abs(part[np.isfinite(part)]).max(initial=0.0)) for part in (a, w))
    if not 0.0 < reach < 1e300:
        raise InvalidParameterError(
            f"result.a and result.w_par reach {reach / 1.05:.3g} in their first {count} nodes: must be numbers that an "
            "axis shows; pass a run that did not diverge"
        )
    ax = axes_of(ax)
    colours = distinct_colours(count)
    for i, colour in enumerate(colours):
        ax.plot(a[:, i], w[:, i], color=colour, alpha=0.7, **style_of(result))
        ax.plot(a[0, i], w[0, i], color=colour, marker="o", markersize=4.0)
    if theory is not None:
        lines_a, lines_w = theory.nodes(np.linspace(float(out.t[0]), float(out.t[-1]), 400), a[0], w[0])
        for i, colour in enumerate(colours):
            ax.plot(lines_a[:, i], lines_w[:, i], color=colour, linewidth=1.2, zorder=3)
    tell_apart(ax, simulation=style_of(result), theory=theory is not None)
    for slope in (1.0, -1.0):
        ax.plot([-reach, reach], [-slope * reach, slope * reach], color="0.6", linewidth=0.7, linestyle=":")
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    ax.set_xlabel("output weight $a$")
    ax.set_ylabel(r"input weight along the teacher, $w_\parallel$")
    return ax


def trajectories(
    result: xr.Dataset,
    lines: xr.DataArray | None = None,
    *,
    variable: Literal["a", "w_par"] = "a",
    nodes: int = 10,
    ax: Axes | None = None,
) -> Axes:
    """Draw a weight of single nodes over time: training as circles, theory as lines.

    Parameters
    ----------
    result
        What a run of ``hmm_rs.Particles`` returned.
    lines
        The theory's weights of the same nodes over (t, i).
    variable
        Which weight: "a" (output) or "w_par" (input, along the teacher).
    nodes
        Number of nodes to draw, from the first on.
    ax
        Axes to draw on; None makes a figure.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> network = hr.MeanFieldNetwork.random(100, 20, seed=1)
    >>> run = hr.Particles(network, data=hr.LinearlySeparable(20), batch=200, test_size=200)
    >>> hr.plot.trajectories(run.run(20), variable="w_par").get_xscale()
    'log'
    """
    arguments.choice("variable", variable, ("a", "w_par"))
    seen = after_start("result", variable_of("result", result, variable, ("t", "i"), axis="t"))
    count = min(arguments.count("nodes", nodes), seen.sizes["i"])
    if lines is not None:
        lines = after_start("lines", numbers_of("lines", lines, ("t", "i"), axis="t"))
        if lines.sizes["i"] < count:
            raise ShapeError(
                f"lines has {lines.sizes['i']} nodes: must have the {count} that are drawn; pass "
                f"nodes={lines.sizes['i']}"
            )
    ax = axes_of(ax)
    for i, colour in enumerate(distinct_colours(count)):
        ax.plot(seen.t, seen[:, i], color=colour, **{**style_of(result), "markersize": 3.0})
        if lines is not None:
            ax.plot(lines.t, lines[:, i], color=colour, linewidth=1.2)
    ax.set_xlim(float(seen.t[0]), float(seen.t[-1]))
    readable_log(ax, "x")
    ax.set_xlabel("time t = steps × dt")
    ax.set_ylabel("output weight $a$" if variable == "a" else r"input weight $w_\parallel$")
    tell_apart(ax, simulation=style_of(result), theory=lines is not None)
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
        Datasets with ``gamma``. One with a dimension ``seed`` is drawn as mean and standard deviation.
    theory
        The mean field of the runs.
    asymptotes
        Whether to draw gamma = R t and, for separable Gaussian data, the late law gamma = log(16 A R t)/4 (less
        artanh(C0/C1)/2 where initial weights are correlated).
    ax
        Axes to draw on; None makes a figure.
    """
    if not results:
        raise InvalidParameterError("results: none given; pass at least one dataset")
    theory, asymptotes = _mean_field(theory), arguments.flag("asymptotes", asymptotes)
    curves = [
        after_start("result", variable_of("result", result, "gamma", ("t",), axis="t", either=("seed",)))
        for result in results
    ]
    ax = axes_of(ax)
    last, top = 1.0, 0.0
    for i, (result, seen) in enumerate(zip(results, curves, strict=True)):
        label = source_of(result) + (f" {i + 1}" if len(results) > 1 else "")
        curve(ax, seen, result, color=COLOURS[i % len(COLOURS)], label=label)
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
            if late_law_holds(theory):
                late = theory.late_time(t).log_law.values
                shown = late > 0.6 * top
                label = r"$\frac{1}{4}\log(16ARt)$"
                ax.plot(t[shown], late[shown], color="0.4", linestyle=":", linewidth=1.4, label=label)
    readable_log(ax, "x")
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
    first = variable_of("result", result, "first_satisfied", ("example",)).values
    theory = arguments.instance("theory", theory, HingeMeanField, "HingeMeanField(d)")
    dt = arguments.number("dt", dt, minimum=1e-100, maximum=1e100)
    most = arguments.count("most", most)
    projection = np.abs(arguments.reals("x_par", x_par))
    if (projection > 1e100).any():
        raise InvalidParameterError(
            f"x_par reaches {projection.max():.3g}: no axis shows it; pass X[:, 0] of the run"
        )
    if projection.shape != first.shape:
        raise InvalidParameterError(
            f"x_par has shape {projection.shape}: the run has {first.shape[0]} examples; pass X[:, 0] of the run"
        )
    seen = np.flatnonzero(first >= 0)[:most]
    if not seen.size:
        raise InvalidParameterError("result has no satisfied example: there is nothing to draw; run longer")
    ax = axes_of(ax)
    ax.plot(first[seen] * dt, projection[seen], ".", color=COLOURS[5], markersize=2.5, label="examples (run)")
    gamma = theory.gamma(np.geomspace(1.0, 1.5 * max(float(first.max()) * dt, 2.0), 500))
    gamma = gamma[theory.alignment(gamma) > 0.0]
    t = theory.time_of_gamma(gamma)
    chi = theory.observables(t).chi.values
    ax.plot(t, chi, color=COLOURS[1], linewidth=1.6, label="mean field")
    if M is not None:
        for edge, label in zip(theory.satisfaction_band(gamma, M), (f"± 1 sd at M = {M}", None), strict=True):
            shown = edge > 0
            ax.plot(t[shown], edge[shown], color=COLOURS[1], linestyle="--", linewidth=1.0, label=label)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set(xlabel="time of first satisfaction", ylabel=r"projection $|x_\parallel|$")
    ax.set(
        ylim=(max(projection[seen].min(), 1e-3), 1.3 * projection.max()),
        xlim=(0.7 * max(float(first[seen].min()) * dt, 1.0), None),
    )
    readable_log(ax, "x")
    readable_log(ax, "y")
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
    names = ("unsatisfied", "test_unsatisfied", "train_error", "test_error")
    drawn = {name: variable_of("result", result, name, ("t",), axis="t", either=("seed",)) for name in names}
    lines = {}
    if theory is not None:
        known = ("train_unsatisfied", "test_unsatisfied")
        lines = {name: variable_of("theory", theory, name, ("t",), axis="t") for name in known}
    ax = axes_of(ax)
    curves = [
        ("unsatisfied", COLOURS[0], "train, unsatisfied"),
        ("test_unsatisfied", COLOURS[1], "test, unsatisfied"),
    ]
    if arguments.flag("errors", errors):
        curves += [("train_error", COLOURS[5], "train, error"), ("test_error", COLOURS[4], "test, error")]
    for name, colour, label in curves:
        seen = drawn[name].where((drawn[name].t > 0) & (drawn[name] > 0), drop=True)
        curve(ax, seen, result, color=colour, label=label)
    for (name, values), colour in zip(lines.items(), COLOURS, strict=False):
        seen = values.where((values.t > 0) & (values > 0), drop=True)
        label = name.replace("_", ", ") + " (theory)"
        ax.plot(seen.t, seen, color=colour, linewidth=1.4, label=label)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set(xlabel="time t = steps × dt", ylabel="fraction of examples")
    readable_log(ax, "x")
    readable_log(ax, "y")
    ax.grid(visible=True, which="major", alpha=0.25, linewidth=0.5)
    ax.legend(frameon=False, fontsize="small")
    return ax
