"""What measured points and laws look like: marks with error bars, and power laws with their exponent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .axes import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["error_bars", "power_law"]

#: Marks below a logarithmic axis carry this name, so that the legend names them once.
_BELOW = "not positive"


def error_bars(
    ax: Axes,
    x: npt.ArrayLike,
    mean: npt.ArrayLike,
    error: npt.ArrayLike,
    *,
    colour: str = COLOURS[0],
    label: str | None = None,
    marker: str = "o",
    connected: bool = False,
    face: str = "none",
) -> None:
    """Draw marks with error bars; what has no place on a logarithmic axis is marked at its lower edge.

    Parameters
    ----------
    ax
        Where to; logarithmic axes must be so already.
    x, mean, error
        Shape (n,); an error that is no number (a single seed) is drawn as none, an x that is not positive has no place
        on a logarithmic axis.
    colour, label, marker, face
        Of the marks; `face` fills them.
    connected
        Join the marks by a line: for what is a course without a theory over it.
    """
    x, mean = np.asarray(x, dtype=np.float64), np.asarray(mean, dtype=np.float64)
    error = np.nan_to_num(np.asarray(error, dtype=np.float64))
    placed = x > 0.0 if ax.get_xscale() == "log" else np.isfinite(x)
    below = placed & (mean <= 0.0) if ax.get_yscale() == "log" else np.zeros_like(placed)
    kept = placed & ~below
    drawn = ax.errorbar(
        x[kept],
        mean[kept],
        yerr=error[kept],
        linestyle="-" if connected else "",
        linewidth=1.2,
        marker=marker,
        markersize=4.0,
        markerfacecolor=colour if connected else face,
        capsize=2.0,
        elinewidth=0.8,
        color=colour,
    )
    # The marks carry the label, not their bars: so the legend keeps the order in which things were drawn.
    if label is not None:
        drawn.lines[0].set_label(label)
    if below.any():
        known = any(line.get_gid() == _BELOW for line in ax.lines)
        ax.plot(
            x[below],
            np.full(int(below.sum()), 0.02),
            linestyle="",
            marker=7,
            markersize=5.0,
            color=colour,
            label=None if known else "zero, below the axis",
            transform=ax.get_xaxis_transform(),
            clip_on=False,
            gid=_BELOW,
        )


def power_law(
    ax: Axes,
    x: npt.ArrayLike,
    exponent: float,
    *,
    through: tuple[float, float],
    colour: str = "0.4",
    words: str | None = None,
    **style: Any,
) -> None:
    """Draw a power law through a point as a dashed line, with its slope written beside the frame, at its end.

    Parameters
    ----------
    ax
        Where to.
    x
        From where to where, shape (n,).
    exponent
        Of x.
    through
        A point of the line.
    colour, style
        Of the line.
    words
        What is written; None: "slope" and the exponent.
    """
    ends = np.array([np.min(x), np.max(x)], dtype=np.float64)
    line = through[1] * (ends / through[0]) ** exponent
    ax.plot(ends, line, **{"color": colour, "linestyle": "--", "linewidth": 1.2, **style})
    ax.annotate(
        # A sign of its own width, as numbers of axes have it.
        f"slope {exponent:.2f}".replace("-", "\N{MINUS SIGN}") if words is None else words,
        (1.0, line[1]),
        xytext=(4.0, 0.0),
        xycoords=ax.get_yaxis_transform(),
        textcoords="offset points",
        color=colour,
        fontsize="small",
        va="center",
        annotation_clip=False,
    )
