"""Activations of the equations: closed averages, or a table for quadrature."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .. import _lib
from ..data.nonlinearity import check_nonlinearity
from ..ground.activations import EQUATIONS, activation
from ..ground.errors import DtypeError

__all__ = ["Activation", "described", "resolve"]

#: A name, or a smooth vectorised function of real numbers.
Activation = Literal["erf", "relu", "linear", "identity", "tanh", "sigmoid"] | Callable[[Any], Any]

#: The table covers |x| <= 40 at steps of 1/32: fields have unit variance or so.
_REACH, _STEP = 40.0, 1.0 / 32.0

#: Central differences of order 8 with this spacing: truncation and round-off below 1e-10.
_SPACING = 0.03
_FIRST = np.array([4 / 5, -1 / 5, 4 / 105, -1 / 280])
_SECOND = np.array([8 / 5, -1 / 5, 8 / 315, -1 / 560])


def resolve(name: str, unit: Any) -> str | _lib.TabulatedUnit:
    """Return what the compiled equations take for the activation `unit`."""
    if callable(unit):
        return _table(check_nonlinearity(unit, name))
    if not isinstance(unit, str):
        raise DtypeError(f"{name} = {unit!r:.60}: must be a name or a smooth function; pass 'erf', say")
    return activation(name, unit, EQUATIONS)


def described(unit: Activation) -> str:
    """Return the name of an activation for a result's attributes."""
    return unit if isinstance(unit, str) else getattr(unit, "__name__", repr(unit))


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
    return _lib.TabulatedUnit(
        start=-_REACH, step=float(x[1] - x[0]), values=value, slopes=slope, curvatures=curvature
    )
