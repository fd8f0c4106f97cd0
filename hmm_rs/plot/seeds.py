"""One variable of several runs: mean and standard error over seeds, theory over it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..ground.errors import InvalidParameterError
from .axes import COLOURS, axes_of, check_result

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
    colour: str = COLOURS[0],
    marker: str = "o",
    ax: Axes | None = None,
) -> Axes:
    """Draw one variable over its axis: mean over seeds with standard errors as marks, the theory as a line.

    Points at zero or below are left out, so that the axes may be made logarithmic.

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
    label, colour, marker
        Of the marks; the line has the same colour.
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
    check_result(result, variable)
    values = result[variable]
    if "seed" not in values.dims or values.ndim != 2:
        raise InvalidParameterError(
            f"{variable} has the dimensions {tuple(values.dims)}: must be seed and one more; pass what hr.ensemble "
            "returned, and choose with .sel(...)"
        )
    ax = axes_of(ax)
    mean = values.mean("seed")
    (dim,) = (str(name) for name in mean.dims)
    error = values.std("seed", ddof=1) / values.count("seed") ** 0.5
    shown = ((mean > 0.0) & (mean[dim] > 0.0)).values
    ax.errorbar(
        mean[dim].values[shown],
        mean.values[shown],
        yerr=np.nan_to_num(error.values[shown]),
        linestyle="",
        marker=marker,
        markersize=4.0,
        markerfacecolor="none",
        capsize=2.0,
        elinewidth=0.8,
        color=colour,
        label=label,
    )
    if theory is not None:
        check_result(theory, expected or variable)
        line = theory[expected or variable]
        kept = ((line > 0.0) & (line[dim] > 0.0)).values
        ax.plot(line[dim].values[kept], line.values[kept], color=colour, linewidth=1.4)
    return ax
