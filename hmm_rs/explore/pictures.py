"""What a picture of the explorer shows, in numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

__all__ = ["Line", "Panel"]

Style = Literal["solid", "dashed", "dotted", "marks"]


@dataclass(frozen=True)
class Panel:
    """Axes.

    Parameters
    ----------
    name
        Key of its lines.
    title, x, y
        Words above and along the axes, units included.
    log_x, log_y
        Logarithmic axes; what is not positive is then left out.
    between
        Ends of the y axis; None: those of the lines.
    """

    name: str
    title: str
    x: str
    y: str
    log_x: bool = False
    log_y: bool = False
    between: tuple[float, float] | None = None


@dataclass(frozen=True)
class Line:
    """A line, or marks.

    Parameters
    ----------
    x, y
        Its points, of one shape (n,).
    label
        In the legend; lines of one label share an entry.
    colour
        Number in the list of colours.
    style
        "marks" for what was simulated.
    """

    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]
    label: str
    colour: int = 0
    style: Style = "solid"
