"""The sheet a figure is drawn on: panels side by side, lettered as in print."""

from __future__ import annotations

from string import ascii_lowercase
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from ..ground.extras import extra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["beside", "panels"]


def panels(
    rows: int,
    columns: int,
    *,
    width: float = 4.6,
    height: float = 3.6,
    letters: bool = True,
    **options: Any,
) -> tuple[Figure, npt.NDArray[Any]]:
    """Return a figure of `rows` times `columns` panels, and its Axes of that shape.

    Parameters
    ----------
    rows, columns
        Panels.
    width, height
        Size of one panel in inches.
    letters
        Whether several panels are lettered (a), (b), ...
    options
        Those of ``matplotlib.pyplot.subplots``.
    """
    pyplot = extra("matplotlib.pyplot", of="plot", needed_by="hr.figures")
    figure, axes = pyplot.subplots(
        rows,
        columns,
        figsize=(width * columns, height * rows),
        layout="constrained",
        squeeze=False,
        **options,
    )
    if letters and axes.size > 1:
        for letter, ax in zip(ascii_lowercase, axes.flat, strict=False):
            ax.set_title(f"({letter})", loc="left", fontsize="medium")
    return figure, axes


def beside(figure: Figure, ax: Axes) -> None:
    """Put the legend of the only panel beside it: for more entries than it has room for."""
    legend = ax.get_legend()
    if legend is not None:
        legend.remove()
    figure.set_size_inches(8.0, 3.9)
    figure.legend(
        *ax.get_legend_handles_labels(), frameon=False, fontsize="small", loc="outside right center"
    )
