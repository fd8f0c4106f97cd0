"""Hinge-loss learning: node trajectories, rotation, satisfaction times, over-fitting."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..ground.errors import InvalidParameterError
from .axes import COLOURS, axes_of, check_result, style_of

if TYPE_CHECKING:
    import numpy.typing as npt
    import xarray as xr
    from matplotlib.axes import Axes

    from ..theory import HingeMeanField

__all__ = ["overfitting", "particles", "rotation", "satisfaction"]


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
    check_result(result, "a", "w_par")
    ax = axes_of(ax)
    count = min(nodes, result.sizes["i"])
    a, w = result.a.values[:, :count], result.w_par.values[:, :count]
    for i in range(count):
        colour = COLOURS[i % len(COLOURS)]
        ax.plot(a[:, i], w[:, i], color=colour, alpha=0.7, **style_of(result))
        ax.plot(a[0, i], w[0, i], color=colour, marker="o", markersize=4.0)
    if theory is not None:
        lines_a, lines_w = theory.nodes(np.linspace(float(result.t[0]), float(result.t[-1]), 400), a[0], w[0])
        for i in range(count):
            ax.plot(lines_a[:, i], lines_w[:, i], color=COLOURS[i % len(COLOURS)], linewidth=1.2, zorder=3)
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
    ax = axes_of(ax)
    last, top = 1.0, 0.0
    for i, result in enumerate(results):
        check_result(result, "gamma")
        seen = result.gamma.where(result.t > 0, drop=True)
        label = str(result.attrs.get("source", "simulation"))
        ax.plot(seen.t, seen, color=COLOURS[i % len(COLOURS)], label=label, **style_of(result))
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
    check_result(result, "first_satisfied")
    projection = np.abs(np.asarray(x_par, dtype=np.float64))
    first = result.first_satisfied.values
    if projection.shape != first.shape:
        raise InvalidParameterError(
            f"x_par has shape {projection.shape}: the run has {first.shape[0]} examples; pass X[:, 0] of the run"
        )
    ax = axes_of(ax)
    seen = np.flatnonzero(first >= 0)[:most]
    ax.plot(first[seen] * dt, projection[seen], ".", color=COLOURS[5], markersize=2.5, label="examples")
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
    check_result(result, "unsatisfied", "test_unsatisfied", "train_error", "test_error")
    ax = axes_of(ax)
    curves = [
        ("unsatisfied", COLOURS[0], "train, unsatisfied"),
        ("test_unsatisfied", COLOURS[1], "test, unsatisfied"),
    ]
    if errors:
        curves += [("train_error", COLOURS[5], "train, error"), ("test_error", COLOURS[4], "test, error")]
    for name, colour, label in curves:
        seen = result[name].where((result.t > 0) & (result[name] > 0), drop=True)
        ax.plot(seen.t, seen, color=colour, label=label, **style_of(result))
    if theory is not None:
        for name, colour in (("train_unsatisfied", COLOURS[0]), ("test_unsatisfied", COLOURS[1])):
            check_result(theory, name)
            seen = theory[name].where((theory.t > 0) & (theory[name] > 0), drop=True)
            ax.plot(seen.t, seen, color=colour, linewidth=1.4)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set(xlabel="time t = steps × dt", ylabel="fraction of examples")
    ax.grid(visible=True, which="major", alpha=0.25, linewidth=0.5)
    ax.legend(frameon=False, fontsize="small")
    return ax
