"""Learning curves and order parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..ground.errors import InvalidParameterError
from .axes import COLOURS, axes_of, check_result, style_of, time_axis

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = ["learning_curve", "order_parameters"]


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
        check_result(result, variable)
    if labels is not None and len(labels) != len(results):
        raise InvalidParameterError(
            f"labels has {len(labels)} entries for {len(results)} results: must be one each; pass as many"
        )
    ax = axes_of(ax)
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
            color=COLOURS[colour % len(COLOURS)],
            label=labels[i] if labels is not None else source,
            zorder=3 if source == "theory" else 2,
            **style_of(result),
        )
    time_axis(ax, results[0])
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
        check_result(result, *variables)
    ax = axes_of(ax)
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
                        color=COLOURS[colour % len(COLOURS)],
                        label=f"${name}_{{{index}}}$" if which == 0 else None,
                        **style_of(result),
                    )
                    colour += 1
    time_axis(ax, results[0])
    ax.set_ylabel("order parameters")
    ax.grid(visible=True, which="major", alpha=0.25, linewidth=0.5)
    ax.legend(frameon=False, ncols=2, fontsize="small")
    return ax
