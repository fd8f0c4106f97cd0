"""Panels of a figure at paper width, with their letters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["panels"]


def panels(
    rows: int, columns: int, *, letters: bool = True, **options: Any
) -> tuple[Figure, npt.NDArray[Any]]:
    """Return a new figure and its axes, shape (rows, columns), lettered (a), (b), ...

    Parameters
    ----------
    rows, columns
        Of panels, each 4.6 by 3.7 inches.
    letters
        Whether to write them.
    options
        Those of ``matplotlib.pyplot.subplots``.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        rows, columns, figsize=(4.6 * columns, 3.7 * rows), layout="constrained", squeeze=False, **options
    )
    if letters and axes.size > 1:
        for letter, ax in zip("abcdefghijklmnop", axes.ravel(), strict=False):
            ax.set_title(f"({letter})", loc="left", fontsize="medium", fontweight="bold")
    return figure, axes
