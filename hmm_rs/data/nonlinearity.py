"""Nonlinearity f of the data: a name or a user's function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..ground.activations import DATA, activation
from ..ground.arguments import shown
from ..ground.errors import DtypeError, InvalidParameterError, ShapeError

__all__ = ["Nonlinearity", "check_nonlinearity"]

#: A name or a vectorised function.
Nonlinearity = str | Callable[[Any], Any]


def check_nonlinearity(f: Any, name: str = "f") -> Nonlinearity:
    """Return `f` if it is a known name or a vectorised function of real numbers.

    A function is called with arrays of two axes, samples by inputs, here as in sampling.
    """
    if not callable(f):
        return activation(name, f, DATA)
    try:
        hash(f)
    except TypeError:
        raise DtypeError(
            f"{name} = {shown(f)}: must be hashable, for what is computed of it is kept; pass a plain function"
        ) from None
    for shape in ((2, 3), (1, 1), (3, 1)):
        probe = np.linspace(-2.0, 2.0, shape[0] * shape[1]).reshape(shape)
        try:
            result = np.asarray(f(probe.copy()))
        except ValueError as error:
            if "inhomogeneous" not in str(error):
                raise
            raise ShapeError(
                f"{name} returned rows of different lengths: it must be elementwise; write it with numpy "
                f"operations over whole arrays"
            ) from None
        if result.shape != shape:
            raise ShapeError(
                f"{name} returned shape {result.shape} for an argument of shape {shape}: "
                f"it must be elementwise; write it with numpy operations over whole arrays"
            )
        if result.dtype.kind not in "fiub":
            raise DtypeError(f"{name} returned dtype {result.dtype}: must be real numbers; return floats")
        if not np.isfinite(result).all():
            raise InvalidParameterError(
                f"{name} returned non-finite values on [-2, 2]: must be finite on real numbers; check its domain"
            )
    return f  # type: ignore[no-any-return]
