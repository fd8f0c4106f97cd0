"""Activations of the equations: closed averages, or a table for quadrature."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _lib
from ..data.nonlinearity import check_nonlinearity
from ..ground.activations import CLOSED as UNITS
from ..ground.arguments import choice
from ..ground.errors import DtypeError

__all__ = ["Activation", "described", "resolve"]

#: A name, or a smooth vectorised function of real numbers.
Activation = str | Callable[[Any], Any]

#: The table covers |x| <= 40 at steps of 1/32: fields have unit variance or so.
_REACH, _STEP = 40.0, 1.0 / 32.0

#: Central differences of order 8 with this spacing: truncation and round-off below 1e-10.
_SPACING = 0.03
_FIRST = np.array([4 / 5, -1 / 5, 4 / 105, -1 / 280])
_SECOND = np.array([8 / 5, -1 / 5, 8 / 315, -1 / 560])


def resolve(name: str, activation: Any) -> str | _lib.TabulatedUnit:
    """Return what the compiled equations take for `activation`."""
    if callable(activation):
        return _table(check_nonlinearity(activation, name))
    if not isinstance(activation, str):
        raise DtypeError(f"{name} = {activation!r:.60}: must be a name or a smooth function; pass 'erf', say")
    if activation == "tanh":
        return _table(np.tanh)
    return choice(name, activation, (*UNITS, "tanh"))


def described(activation: Activation) -> str:
    """Return the name of an activation for a result's attributes."""
    return activation if isinstance(activation, str) else getattr(activation, "__name__", repr(activation))


@lru_cache(maxsize=64)
def _table(g: Callable[[Any], Any]) -> _lib.TabulatedUnit:
    """Return g, g' and g'' on the grid."""
    x = np.linspace(-_REACH, _REACH, 1 + math.ceil(2 * _REACH / _STEP))

    def at(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.asarray(g(points), dtype=np.float64)

    value = at(x)
    slope, curvature = np.zeros_like(x), np.zeros_like(x)
    for i, (first, second) in enumerate(zip(_FIRST, _SECOND, strict=True), start=1):
        up, down = at(x + i * _SPACING), at(x - i * _SPACING)
        slope += first * (up - down) / _SPACING
        curvature += second * (up + down - 2.0 * value) / _SPACING**2
    return _lib.TabulatedUnit(-_REACH, float(x[1] - x[0]), value.tolist(), slope.tolist(), curvature.tolist())
