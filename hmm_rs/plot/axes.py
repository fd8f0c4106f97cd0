"""What all pictures share: axes, colours, and how simulation and theory are told apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..ground.errors import DtypeError, HmmError, InvalidParameterError

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = ["COLOURS", "axes_of", "check_result", "style_of", "time_axis"]

#: Colours of a sequence of curves: distinguishable in print and to the colour-blind (Okabe-Ito).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def axes_of(ax: Axes | None) -> Axes:
    """Return `ax`, or the Axes of a new figure of one column's width."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise HmmError("hr.plot needs matplotlib; pip install 'hmm_rs[plot]'") from None
    if ax is not None:
        return ax
    return plt.subplots(figsize=(4.8, 3.6), layout="constrained")[1]


def check_result(result: Any, *variables: str) -> None:
    """Refuse what is not a dataset or lacks one of `variables`."""
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


def style_of(result: xr.Dataset) -> dict[str, Any]:
    """Return points for simulations and a line for theory."""
    if result.attrs.get("source") == "theory":
        return {"linestyle": "-", "linewidth": 1.4}
    return {"linestyle": "", "marker": "o", "markersize": 4.0, "markerfacecolor": "none"}


def time_axis(ax: Axes, result: xr.Dataset) -> None:
    """Make the horizontal axis logarithmic and label it with the name of the leading dimension."""
    dim = str(next(iter(result["eg"].dims)) if "eg" in result else next(iter(result.dims)))
    ax.set_xscale("log")
    ax.set_xlabel(str(result[dim].attrs.get("long_name", dim)))
