"""What the hinge theories take as numbers, times and initial weights."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...ground.arguments import array, reals
from ...ground.errors import ShapeError

__all__ = ["Floats", "flat", "pair", "times"]

Floats = npt.NDArray[np.float64]


def flat(name: str, value: npt.ArrayLike) -> tuple[Floats, tuple[int, ...]]:
    """Return `value` as a one-dimensional array without NaN, and its shape."""
    full = reals(name, value, infinite=True)
    return full.ravel(), full.shape


def times(name: str, value: npt.ArrayLike) -> Floats:
    """Return `value` as a one-dimensional array of times."""
    return array(name, np.atleast_1d(reals(name, value)), (None,), rule="(times)")


def pair(a0: npt.ArrayLike, w0: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Return initial weights as arrays of one shape."""
    a, w = reals("a0", a0), reals("w0", w0)
    if a.shape != w.shape:
        raise ShapeError(f"w0 has shape {w.shape}: must be that of a0, {a.shape}; pass one w_par per a")
    return a, w
