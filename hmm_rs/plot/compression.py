"""Geometric compression: scaling, regimes, neurons, kernels."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..ground.arguments import count, items, number, shown
from ..ground.errors import DtypeError, InvalidParameterError, ShapeError
from ..ground.results import attribute_of, numbers_of, variable_of
from .axes import COLOURS, after_start, axes_of, readable_log, style_of
from .marks import power_law
from .seeds import mean_over_seeds

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = ["compression", "compression_curve", "error_curves", "kernel_spectrum", "neuron_points"]


def compression(
    result: xr.Dataset,
    *,
    law: float | None = None,
    theory: xr.DataArray | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the compression at the first fit against the number of examples, each data set as a point.

    Parameters
    ----------
    result
        What :func:`hmm_rs.experiments.compression.compression_scaling` returned.
    law
        Prefactor of the line prefactor sqrt p, for instance ``lambda_over_sqrtp`` of the fastest attractor.
    theory
        Compressions of the one-neuron equations over ``p`` and ``seed``, as
        :func:`hmm_rs.experiments.compression.single_neurons` gives them: averaged like the runs.
    ax
        Axes to draw on; None makes a figure.
    """
    seen = variable_of("result", result, "lambda_star", ("p", "seed"), axis="p")
    p = seen["p"]
    if theory is not None:
        theory = numbers_of("theory", theory, ("p", "seed"), axis="p")
    ax = axes_of(ax)
    ax.loglog(p, seen, ".", color=COLOURS[5], markersize=3, alpha=0.5)
    average = (seen**-2.0).mean("seed") ** -0.5
    ax.loglog(
        p, average, color=COLOURS[0], label=r"$[\langle\Lambda^{-2}\rangle]^{-1/2}$", **style_of(result)
    )
    if theory is not None:
        solved = (theory**-2.0).mean("seed") ** -0.5
        ax.loglog(theory["p"], solved, color=COLOURS[2], linewidth=1.4, label="one-neuron equations")
    if law is not None:
        law = number("law", law, minimum=0.0)
        ax.loglog(
            p, law * p**0.5, color=COLOURS[1], linewidth=1.4, label=rf"attractor, ${law:.2f}\,\sqrt{{p}}$"
        )
    ax.set_xticks(p.values, [f"{int(size)}" for size in p.values])
    ax.minorticks_off()
    readable_log(ax, "y")
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
    values = variable_of("result", result, "compression", ("t",), axis="t")
    seen = after_start("result", values)
    ax = axes_of(ax)
    ax.loglog(seen.t, seen, color=COLOURS[0], linewidth=1.4)
    marks = {"t_star": r"$t^*$", "t_margin_0": "all signs right", "t_margin_half": r"margin $\frac{1}{2}$"}
    for (key, label), colour in zip(marks.items(), COLOURS[1:], strict=False):
        if key in result.attrs:
            ax.axvline(
                attribute_of("result", result, key), color=colour, linewidth=1.0, linestyle="--", label=label
            )
    ax.set_xlabel(str(values["t"].attrs.get("long_name", "t")))
    ax.set_ylabel(r"compression $\Lambda$")
    # A run that reached none of these moments has nothing to name.
    if any(key in result.attrs for key in marks):
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
    shares = variable_of("result", result, "omega2", ("stage", "r", "seed")).mean("seed")
    ax = axes_of(ax)
    ranks = range(1, shares.sizes["r"] + 1)
    for stage, label, colour in ((0, "start", COLOURS[0]), (-1, "end of training", COLOURS[1])):
        ax.plot(ranks, shares[stage].cumsum("r"), "o-", color=colour, markersize=4.0, label=label)
    ax.set_xlabel("number of leading eigenvectors")
    ax.set_ylabel("share of the labels they hold")
    ax.set_ylim(0.0, 1.0)
    ax.legend(frameon=False)
    return ax


def neuron_points(
    result: xr.Dataset,
    *,
    time: int = -1,
    attractors: Sequence[Mapping[str, Any]] = (),
    ax: Axes | None = None,
) -> Axes:
    """Draw where the neurons' hyperplanes are, coloured by the sign of their output weight.

    Parameters
    ----------
    result
        What :func:`hmm_rs.experiments.compression.neuron_trajectories` returned.
    time
        Which of its times.
    attractors
        What :func:`hmm_rs.theory.attractors` returned: stars, in the colour of the sign of their output weights.
    ax
        Axes to draw on; None makes a figure.
    """
    places = variable_of("result", result, "z", ("t", "i", "j"))
    weights = variable_of("result", result, "a", ("t", "i"))
    if places.sizes["j"] < 2:
        raise ShapeError(
            "result.z has one component: must have two to be points of a plane; pass the whole result"
        )
    last = result.sizes["t"] - 1
    time = count("time", time, minimum=-1 - last, maximum=last)
    marks = [_mark(point) for point in items("attractors", attractors, "what theory.attractors returned")]
    ax = axes_of(ax)
    z, a = places.isel(t=time).values, weights.isel(t=time).values
    size = 2.0 + 40.0 * abs(a) / abs(a).max()
    for sign, colour in ((1, COLOURS[0]), (-1, COLOURS[1])):
        chosen = sign * a > 0
        label = rf"$\beta {'>' if sign > 0 else '<'} 0$"
        ax.scatter(z[chosen, 0], z[chosen, 1], s=size[chosen], color=colour, alpha=0.6, label=label)
    for beta, place in marks:
        colour = COLOURS[0] if beta > 0 else COLOURS[1]
        ax.plot(place, 0.0, "*", markersize=15.0, color=colour, markeredgecolor="black", zorder=4)
    ax.set_xlabel(r"$z_\parallel$")
    ax.set_ylabel(r"$z_\perp$ (one component)")
    ax.set_xlim(-3.0, 3.0)
    ax.set_ylim(-3.0, 3.0)
    ax.legend(frameon=False)
    return ax


def _mark(point: Any) -> tuple[float, float]:
    """Return the sign of the output weights and the place of an attractor."""
    if not isinstance(point, Mapping) or not {"beta_sign", "z"} <= set(point):
        raise DtypeError(
            f"attractors holds {shown(point)}: must be mappings with beta_sign and z; pass what "
            "theory.attractors returned"
        )
    return number("attractors", point["beta_sign"]), number("attractors", point["z"])


def error_curves(
    result: xr.Dataset, *, exponents: Mapping[str, float] | None = None, ax: Axes | None = None
) -> Axes:
    """Draw test errors against the number of examples: mean and standard error over seeds, one colour for each learner.

    Parameters
    ----------
    result
        What :func:`hmm_rs.experiments.compression.learning_curves` returned.
    exponents
        What :func:`hmm_rs.theory.learning_curve_exponents` returned: its power laws are drawn as dashed lines with
        their exponents, from the first size on: "feature" through the network's error, "lazy" through those of the
        kernels that did not learn.
    ax
        Axes to draw on; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes
    """
    sizes = variable_of("result", result, "p", ("p",), axis="p")
    if exponents is not None and not isinstance(exponents, Mapping):
        raise DtypeError(
            f"exponents = {shown(exponents)}: must be a mapping; pass what theory.learning_curve_exponents returned"
        )
    names = [
        str(name) for name in result.data_vars if "test error" in str(result[name].attrs.get("long_name", ""))
    ]
    if not names:
        raise InvalidParameterError(
            "result holds no test errors; pass what experiments.compression.learning_curves returned"
        )
    errors = {name: variable_of("result", result, name, ("p", "seed"), axis="p") for name in names}
    ax = axes_of(ax)
    p = sizes.values
    theory = {"network": "feature", "initial_ntk": "lazy", "closed_ntk": "lazy", "laplace": "lazy"}
    for (name, values), colour in zip(errors.items(), itertools.cycle(COLOURS)):
        label = values.attrs["long_name"].removeprefix("test error, ")
        mean_over_seeds(result, name, log="xy", label=label, colour=colour, ax=ax)
        law = theory.get(name, "")
        start = float(values.isel(p=0).mean())
        if exponents is not None and law in exponents and start > 0.0:
            power_law(ax, p, -number("exponents", exponents[law]), through=(p[0], start), colour=colour)
    ax.set_xticks(p, [f"{int(size)}" for size in p])
    ax.minorticks_off()
    readable_log(ax, "y")
    ax.set_xlabel("training examples $p$")
    ax.set_ylabel("test error")
    ax.legend(frameon=False, fontsize="small")
    return ax
