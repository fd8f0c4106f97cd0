"""What all pictures share: axes, colours, and how simulation and theory are told apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from ..ground.errors import InvalidParameterError
from ..ground.extras import extra
from ..ground.results import leading

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

__all__ = [
    "COLOURS",
    "after_start",
    "axes_of",
    "distinct_colours",
    "in_words",
    "readable_log",
    "source_of",
    "split",
    "style_of",
]

#: Colours of a sequence of curves: distinguishable in print and to the colour-blind (Okabe-Ito).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def distinct_colours(count: int) -> list[Any]:
    """Return `count` colours, no two alike: the usual ones as far as they go, then a scale from dark to bright."""
    if count <= len(COLOURS):
        return list(COLOURS[:count])
    colormap = extra("matplotlib", of="plot", needed_by="hr.plot").colormaps["turbo"]
    return [colormap(0.03 + 0.94 * i / (count - 1)) for i in range(count)]


def axes_of(ax: Axes | None) -> Axes:
    """Return `ax`, or the Axes of a new figure of one column's width."""
    pyplot = extra("matplotlib.pyplot", of="plot", needed_by="hr.plot")
    if ax is not None:
        return ax
    made: Axes = pyplot.subplots(figsize=(4.8, 3.6), layout="constrained")[1]
    return made


def after_start(name: str, values: xr.DataArray, along: str = "t") -> xr.DataArray:
    """Return what was measured after `along` = 0, which has no place on a logarithmic axis."""
    seen = values.where(values[along] > 0, drop=True)
    if seen.size == 0:
        raise InvalidParameterError(f"{name} has no {along} > 0: nothing to draw; run longer")
    return seen


def source_of(result: xr.Dataset) -> str:
    """Return "simulation" or "theory", or what else the result says of itself."""
    return str(result.attrs.get("source", "simulation"))


def style_of(result: xr.Dataset) -> dict[str, Any]:
    """Return points for simulations and a line for theory."""
    if source_of(result) == "theory":
        return {"linestyle": "-", "linewidth": 1.4}
    return {"linestyle": "", "marker": "o", "markersize": 4.0, "markerfacecolor": "none"}


def readable_log(ax: Axes, which: Literal["x", "y"]) -> None:
    """Make an axis logarithmic, with labels that do not run into each other.

    Over less than a factor of 2.5 the labels are round numbers at equal steps, over less than two decades 1, 2, 5 times
    powers of ten as plain numbers; beyond, powers of ten.
    """
    from matplotlib.ticker import (
        FuncFormatter,
        LogFormatterMathtext,
        LogLocator,
        MaxNLocator,
        NullFormatter,
        NullLocator,
    )

    axis: Axis = ax.xaxis if which == "x" else ax.yaxis
    ax.set(**{f"{which}scale": "log"})
    low, high = sorted(axis.get_view_interval())
    if low > 0 and high < 2.5 * low:
        # Hardly bent: round numbers at equal steps.
        axis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10]))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_locator(NullLocator())
    elif low > 0 and high < 100.0 * low:
        subs = (1.0, 2.0, 5.0) if high > 4.0 * low else tuple(range(1, 10))
        axis.set_major_locator(LogLocator(subs=subs, numticks=12))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    else:
        axis.set_major_locator(LogLocator(numticks=7))
        axis.set_major_formatter(LogFormatterMathtext())
    axis.set_minor_formatter(NullFormatter())


def split(values: xr.DataArray) -> tuple[str, str | None]:
    """Return the dimension of the horizontal axis and the swept one (None without), `seed` apart.

    Time-like dimensions (t, step, alpha, p) come before any other; what is left must be a single swept
    dimension with a coordinate.
    """
    dims = [str(dim) for dim in values.dims if dim != "seed"]
    first = leading(dims)
    rest = [dim for dim in dims if dim != first]
    if first is None:
        raise InvalidParameterError(
            f"{values.name} is one number: a curve needs a dimension; pass a result over t, alpha, ..."
        )
    for dim in (first, *rest):
        if dim not in values.coords:
            raise InvalidParameterError(
                f"{values.name} has a dimension {dim!r} without values: it cannot be an axis or a legend; "
                f"draw one of its entries, .isel({dim}=0), or use hr.plot.order_parameters"
            )
    if len(rest) > 1:
        raise InvalidParameterError(
            f"{values.name} has the dimensions {', '.join(dims)}: a picture holds one axis and one swept "
            f"dimension; choose with .sel({rest[-1]}=...)"
        )
    return first, rest[0] if rest else None


def in_words(values: xr.DataArray, fallback: str) -> str:
    """Return the plain-words label of a variable or coordinate, with its unit."""
    words, units = str(values.attrs.get("long_name", fallback)), values.attrs.get("units")
    return f"{words} [{units}]" if units else words
