"""One variable of several runs: mean and error over seeds, theory over it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from ..ground.arguments import choice, flag
from ..ground.errors import InvalidParameterError
from ..ground.results import numbers_of, variable_of
from .axes import COLOURS, axes_of, readable_log
from .marks import error_bars

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = ["mean_over_seeds"]


def mean_over_seeds(
    result: xr.Dataset,
    variable: str,
    *,
    theory: xr.Dataset | None = None,
    expected: str | None = None,
    label: str | None = None,
    theory_label: str | None = None,
    band: Literal["sem", "std"] = "sem",
    average: Literal["arithmetic", "geometric"] = "arithmetic",
    log: Literal["", "x", "y", "xy"] = "",
    connected: bool = False,
    colour: str = COLOURS[0],
    marker: str = "o",
    face: str = "none",
    ax: Axes | None = None,
) -> Axes:
    """Draw one variable over its axis: mean over seeds with error bars as marks, the theory as a line.

    A mean that is zero or below has no place on a logarithmic axis: it is marked at the lower edge, and the legend says
    so. (A start at time zero has none on a logarithmic time axis and is left out.)

    Parameters
    ----------
    result
        Runs along a dimension ``seed``, as :func:`hmm_rs.ensemble` returns them.
    variable
        What to draw, over one dimension besides ``seed``.
    theory
        A solution over the same dimension; None for no line.
    expected
        Its variable; None: `variable`.
    label, theory_label
        Legend entries of the marks and of the line.
    band
        What the error bars are: "sem", the standard error of the mean, or "std", the spread of single runs.
    average
        "geometric" for what fluctuates by factors, with the error of the mean logarithm.
    log
        Which axes to make logarithmic, before anything is drawn; axes that are so already stay so.
    connected
        Join the marks by a line, for a course without a theory over it.
    colour, marker, face
        Of the marks and what fills them; the line has the same colour.
    ax
        Axes to draw on; None makes a figure.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> network = hr.MeanFieldNetwork.random(100, 20, seed=1)
    >>> def make(seed):
    ...     run = hr.Particles(network, data=hr.LinearlySeparable(20), batch=200, test_size=200, seed=seed)
    ...     return run.run(20, save_at=[1, 5, 20])
    >>> theory = hr.theory.HingeMeanField(20).gd(20)
    >>> ax = hr.plot.mean_over_seeds(hr.ensemble(make, seeds=2), "gamma", theory=theory, label="training")
    >>> len(ax.lines) > 1
    True
    """
    values = variable_of("result", result, variable)
    choice("band", band, ("sem", "std"))
    choice("average", average, ("arithmetic", "geometric"))
    choice("log", log, ("", "x", "y", "xy"))
    flag("connected", connected)
    if "seed" not in values.dims or values.ndim != 2:
        raise InvalidParameterError(
            f"{variable} has the dimensions {tuple(values.dims)}: must be seed and one more; pass what hr.ensemble "
            "returned, and choose with .sel(...)"
        )
    dim = str(next(name for name in values.dims if name != "seed"))
    values = numbers_of(f"result.{variable}", values, axis=dim)
    line = None
    if theory is not None:
        line = variable_of("theory", theory, variable if expected is None else expected, (dim,), axis=dim)
    if average == "geometric" and bool((values <= 0.0).any()):
        raise InvalidParameterError(
            f"average = 'geometric': {variable} must be positive, its smallest value is {float(values.min()):g}; pass "
            "average='arithmetic'"
        )
    ax = axes_of(ax)
    for axis in log:
        ax.set(**{f"{axis}scale": "log"})
    geometric = average == "geometric"
    seen = values.copy(data=np.log(values.values)) if geometric else values
    mean = seen.mean("seed")
    error = seen.std("seed", ddof=1)
    if band == "sem":
        error = error / values.count("seed") ** 0.5
    if geometric:
        mean = mean.copy(data=np.exp(mean.values))
        error = mean * error
    error_bars(
        ax,
        mean[dim].values,
        mean.values,
        error.values,
        colour=colour,
        label=label,
        marker=marker,
        connected=connected,
        face=face,
    )
    if line is not None:
        kept = np.ones(line.shape, dtype=bool)
        if ax.get_xscale() == "log":
            kept &= (line[dim] > 0.0).values
        if ax.get_yscale() == "log":
            kept &= (line > 0.0).values
        ax.plot(line[dim].values[kept], line.values[kept], color=colour, linewidth=1.4, label=theory_label)
    if "x" in log:
        readable_log(ax, "x")
    if "y" in log:
        readable_log(ax, "y")
    return ax
