"""Generators that are a user's function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ... import _lib
from ...ground.arguments import count, flag
from ...ground.errors import DtypeError, ShapeError
from ...ground.memory import require
from .base import Generator

__all__ = ["CallableGenerator", "from_callable"]

Vector = npt.NDArray[np.float64]


# --- functions of the user ----------------------------------------------------------------------


class CallableGenerator(Generator):
    """A generator that calls Python; made by :func:`from_callable` and its relatives."""

    fn: Callable[[Any], Any]

    def __init__(self, fn: Callable[[Any], Any], D: int, *, center: bool = True) -> None:
        if not callable(fn):
            raise DtypeError(f"fn = {fn!r:.80}: must be callable; pass a function of a (rows, D) array")
        latents = count("D", D)
        require(16 * latents, f"latents of D={latents}", "lower D")
        try:
            probe = np.asarray(fn(np.zeros((2, latents))))
        except ValueError as error:
            if "inhomogeneous" not in str(error):
                raise
            raise ShapeError(
                "fn returned rows of different lengths: must be (rows, N); return one array"
            ) from None
        if probe.ndim != 2 or probe.shape[0] != 2 or probe.shape[1] == 0:
            raise ShapeError(
                f"fn returned shape {probe.shape} for 2 latents: must be (2, N) with N >= 1; map (rows, D) to (rows, N)"
            )
        if probe.dtype.kind not in "fiub":
            raise DtypeError(f"fn returned dtype {probe.dtype}: must be real numbers; return floats")
        self._describe(fn=fn, D=latents, center=flag("center", center))
        object.__setattr__(self, "N", int(probe.shape[1]))

    def _raw_source(self, dtype: str, mean: Vector | None) -> _lib.Source:
        return _lib.Source.from_callable(
            self.fn, self.N, self.D, mean=np.zeros(self.N) if mean is None else mean, dtype=dtype
        )


def from_callable(fn: Callable[[Any], Any], D: int, *, center: bool = True) -> CallableGenerator:
    """Return a generator from a function of a (rows, D) array that gives (rows, N).

    Parameters
    ----------
    fn
        Deterministic, acts on every row by itself; called from several threads, and may itself call this package.
    D
        Number of latents.
    center
        Subtract the mean of the outputs (estimated from 65 536 samples).

    Examples
    --------
    >>> model = from_callable(lambda c: np.tanh(c @ np.ones((3, 5))), 3)
    >>> model.N
    5
    """
    return CallableGenerator(fn, D, center=center)
