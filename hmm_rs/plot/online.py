"""Learning curves and order parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ..ground.arguments import choice, flag, items, number
from ..ground.errors import InvalidParameterError
from ..ground.results import VARIABLES, leading, numbers_of, variable_of
from .axes import (
    COLOURS,
    after_start,
    axes_of,
    distinct_colours,
    in_words,
    readable_log,
    source_of,
    split,
    style_of,
)
from .marks import error_bars

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = ["learning_curve", "order_parameters"]


def learning_curve(
    *results: xr.Dataset,
    labels: tuple[str, ...] | list[str] | None = None,
    variable: str = "eg",
    band: Literal["std", "sem"] = "std",
    bars: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Draw the error against time (or alpha, or p): simulations as circles, theory as lines.

    A theory that knows the spread of single runs (``solve(..., fluctuations=True)``) has a band, one standard
    deviation to each side.
    A dimension `seed` is drawn as mean and band; another one (K, lr, ...) as one colour a value, the same for
    simulation and theory. Anything more is refused.

    Parameters
    ----------
    *results
        Datasets of runs and solvers. A simulation followed by its theory share their colours if they
        come in such pairs.
    labels
        Legend entries, one a result; None: "simulation" and "theory".
    variable
        What to draw.
    band
        Half width of the band over seeds: "std", the spread of single runs, or "sem", the standard error
        of their mean. On a logarithmic axis it reaches as far down, by a factor, as up.
    bars
        Draw simulations over seeds with error bars in the place of a band: for a few points along a parameter.
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
    choice("band", band, ("std", "sem"))
    flag("bars", bars)
    drawn = [variable_of("result", result, variable) for result in results]
    if labels is not None:
        listed = items("labels", labels, "legend entries, one a result")
        labels = [entry if isinstance(entry, str) else f"{number('labels', entry):g}" for entry in listed]
    if labels is not None and len(labels) != len(results):
        raise InvalidParameterError(
            f"labels has {len(labels)} entries for {len(results)} results: must be one each; pass as many"
        )
    along, swept = split(drawn[0])
    for values in drawn[1:]:
        if split(values) != (along, swept):
            raise InvalidParameterError(
                f"results have {variable} over {tuple(values.dims)} and over "
                f"{tuple(drawn[0].dims)}: must be over the same dimensions; draw them apart"
            )
    spreads = [_own_spread(result, variable) for result in results]
    # Zero has no place on a logarithmic axis.
    drawn = [
        after_start("result", numbers_of(f"result.{variable}", values, axis=along), along) for values in drawn
    ]
    ax = axes_of(ax)
    # Marks that have no place on the axes must know them; what is nowhere positive has no logarithm at all.
    logarithmic = any(bool((values.mean(_seeds(values)) > 0.0).any()) for values in drawn)
    ax.set(xscale="log", yscale="log" if logarithmic else "linear")
    first = 0
    colours = list(COLOURS) if swept is None else distinct_colours(drawn[0].sizes[swept])
    for i, result in enumerate(results):
        source = source_of(result)
        paired = i > 0 and source == "theory" and source_of(results[i - 1]) != "theory"
        name = labels[i] if labels is not None else source
        curves = _curves(drawn[i], swept)
        if i > 0 and not paired and swept is None:
            first += 1
        for which, (value, curve) in enumerate(curves):
            told = name if value is None else f"{swept} = {value}"
            if value is None and labels is None and spreads[i] is not None:
                told += " ± one standard deviation"
            # Of a sweep the legend names the values once; the shapes say what is simulation.
            _draw(
                ax, curve, along, colours[(first + which) % len(colours)], result, spreads[i], band, bars=bars,
                label=told if value is None or i == 0 else None,
            )  # fmt: skip
    readable_log(ax, "x")
    if logarithmic:
        readable_log(ax, "y")
    ax.set_xlabel(in_words(drawn[0][along], along))
    ax.set_ylabel(in_words(drawn[0], variable))
    ax.grid(visible=True, which="major", alpha=0.25, linewidth=0.5)
    if swept is not None:
        _name_the_shapes(ax, results, labels)
    ax.legend(frameon=False, fontsize="small" if swept is not None else None)
    return ax


def _curves(values: xr.DataArray, swept: str | None) -> list[tuple[str | None, xr.DataArray]]:
    """Return (value of the swept dimension, curve) for every curve; None without a sweep."""
    if swept is None:
        return [(None, values)]
    return [
        (f"{value:g}" if values[swept].dtype.kind in "biuf" else str(value), values.isel({swept: which}))
        for which, value in enumerate(values[swept].values)
    ]


def _seeds(values: xr.DataArray) -> list[str]:
    """Return the dimension to average over, if there is one."""
    return ["seed"] if "seed" in values.dims else []


def _draw(
    ax: Axes,
    curve: xr.DataArray,
    along: str,
    colour: str,
    result: xr.Dataset,
    own: xr.DataArray | None,
    band: str,
    *,
    bars: bool,
    label: str | None,
) -> None:
    """Draw one curve, with its band if there are seeds."""
    middle = curve.mean(_seeds(curve))
    theory = source_of(result) == "theory"
    seeds = curve.sizes.get("seed", 1)
    spread = curve.std("seed", ddof=1) if seeds > 1 else own
    if spread is not None and spread.dims != middle.dims:
        spread = None
    if spread is not None:
        spread = spread.where(spread[along] > 0, drop=True)
    if spread is not None and band == "sem" and seeds > 1:
        spread = spread / seeds**0.5
    if spread is not None and bars and not theory:
        error_bars(ax, middle[along], middle, spread, colour=colour, label=label)
        return
    ax.plot(middle[along], middle, color=colour, label=label, zorder=3 if theory else 2, **style_of(result))
    if spread is not None:
        # On a logarithmic axis a band that is as wide as its curve is high has no lower edge; by a factor it has.
        logarithmic = float(middle.min()) > 0.0
        low = middle / (1.0 + spread / middle) if logarithmic else middle - spread
        ax.fill_between(
            middle[along].values,
            low.values,
            (middle + spread).values,
            color=colour,
            alpha=0.2 if seeds > 1 else 0.35,
            linewidth=0,
            zorder=1,
        )


def _own_spread(result: xr.Dataset, variable: str) -> xr.DataArray | None:
    """Return the spread of single runs that a theory knows."""
    name = f"{variable}_std"
    return (
        variable_of("result", result, name, known=False)
        if "spread" in result.attrs and name in result
        else None
    )


def _name_the_shapes(
    ax: Axes, results: tuple[xr.Dataset, ...], labels: tuple[str, ...] | list[str] | None
) -> None:
    """Add legend entries that say which shape is simulation and which theory."""
    told = [source_of(result) for result in results]
    seen: set[str] = set()
    for i, result in enumerate(results):
        name = labels[i] if labels is not None else told[i]
        if name not in seen and len(set(told)) > 1:
            ax.plot([], [], color="0.4", label=name, **style_of(result))
        seen.add(name)


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
    names = items("variables", variables, "names of order parameters, ('Q', 'R')")
    if not names:
        raise InvalidParameterError("variables is empty: must name an order parameter; pass ('Q', 'R')")
    drawn = [[_entries(result, name) for name in names] for result in results]
    ax = axes_of(ax)
    for which, result in enumerate(results):
        colour = 0
        for name, values in zip(names, drawn[which], strict=True):
            rows, columns = values.shape[1], values.shape[2] if values.ndim > 2 else 1
            symmetric = name in ("Q", "W", "Sigma", "T")
            for k in range(rows):
                for m in range(k if symmetric else 0, columns):
                    curve = values[:, k, m] if values.ndim > 2 else values[:, k]
                    index = f"{k + 1}{m + 1}" if values.ndim > 2 else f"{k + 1}"
                    ax.plot(
                        values[values.dims[0]],
                        curve,
                        color=COLOURS[colour % len(COLOURS)],
                        label=f"${name}_{{{index}}}$" if which == 0 else None,
                        **style_of(result),
                    )
                    colour += 1
    readable_log(ax, "x")
    first = drawn[0][-1]
    ax.set_xlabel(in_words(first[first.dims[0]], str(first.dims[0])))
    ax.set_ylabel("order parameters")
    ax.grid(visible=True, which="major", alpha=0.25, linewidth=0.5)
    ax.legend(frameon=False, ncols=2, fontsize="small")
    return ax


def _entries(result: xr.Dataset, name: str) -> xr.DataArray:
    """Return an order parameter over its axis and the indices of its entries."""
    values = variable_of("result", result, name)
    inner = VARIABLES[name][0] if name in VARIABLES else ()
    axis = leading([dim for dim in values.dims if dim not in inner])
    if axis is None or not inner or set(values.dims) != {axis, *inner}:
        raise InvalidParameterError(
            f"{name} has the dimensions {tuple(values.dims)}: must be one axis and {inner or '(k,)'}; "
            f"choose with .sel(...), or average with .mean('seed')"
        )
    return after_start("result", numbers_of(f"result.{name}", values, (axis, *inner), axis=axis), axis)
