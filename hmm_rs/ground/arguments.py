"""Checks of what a user passes: one place, one wording.

Each function returns the argument in its canonical type or raises an error that names the
argument, the value, the rule and the remedy.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import DtypeError, InvalidParameterError, ShapeError

__all__ = ["array", "choice", "count", "dtype_name", "number", "seed_words"]


def count(name: str, value: Any, *, minimum: int = 1) -> int:
    """Return `value` as an int that is at least `minimum`."""
    try:
        result = operator.index(value)
    except TypeError:
        raise DtypeError(
            f"{name} = {value!r}: must be an integer; pass an int, for example {name}={max(minimum, 1)}"
        ) from None
    if isinstance(value, bool) or result < minimum:
        raise InvalidParameterError(
            f"{name} = {value!r}: must be an integer >= {minimum}; pass {name}={minimum} or more"
        )
    return result


def number(
    name: str,
    value: Any,
    *,
    minimum: float = -math.inf,
    maximum: float = math.inf,
    exclusive: bool = False,
) -> float:
    """Return `value` as a finite float within [minimum, maximum] (open below if `exclusive`)."""
    try:
        result = float(value)
    except (TypeError, ValueError):
        raise DtypeError(f"{name} = {value!r}: must be a number; pass a float") from None
    below = result <= minimum if exclusive else result < minimum
    if not math.isfinite(result) or below or result > maximum:
        bounds = []
        if minimum > -math.inf:
            bounds.append(f"{'>' if exclusive else '>='} {minimum:g}")
        if maximum < math.inf:
            bounds.append(f"<= {maximum:g}")
        rule = " and ".join(["finite", *bounds])
        raise InvalidParameterError(f"{name} = {value!r}: must be {rule}; pass such a number")
    return result


def choice(name: str, value: Any, choices: Iterable[str]) -> str:
    """Return `value` if it is one of `choices`."""
    allowed = list(choices)
    if not isinstance(value, str) or value not in allowed:
        listed = ", ".join(repr(c) for c in allowed)
        raise InvalidParameterError(f"{name} = {value!r}: unknown choice; pass one of {listed}")
    return value


def dtype_name(value: Any, name: str = "dtype") -> str:
    """Return "float32" or "float64"."""
    try:
        result = str(np.dtype(value).name)
    except TypeError:
        result = str(value)
    if result not in ("float32", "float64"):
        raise DtypeError(f'{name} = {value!r}: must be "float64" or "float32"; pass one of them')
    return result


def array(
    name: str,
    value: Any,
    shape: tuple[int | None, ...],
    *,
    rule: str = "",
    dtype: npt.DTypeLike = np.float64,
) -> npt.NDArray[Any]:
    """Return `value` as a finite C-contiguous array of `shape` (None: any length >= 1)."""
    try:
        result = np.ascontiguousarray(value, dtype=dtype)
    except (TypeError, ValueError):
        raise DtypeError(f"{name} = {value!r:.80}: must be an array of real numbers; pass floats") from None
    wrong = np.ndim(value) != len(shape) or any(
        (n != want) if want is not None else n < 1 for n, want in zip(result.shape, shape, strict=False)
    )
    if wrong:
        wanted = "(" + ", ".join("any" if n is None else str(n) for n in shape) + ")"
        raise ShapeError(
            f"{name} has shape {np.shape(value)}: must be {wanted}{' ' + rule if rule else ''}; "
            f"pass an array of that shape"
        )
    if not np.isfinite(result).all():
        raise InvalidParameterError(
            f"{name} holds {np.count_nonzero(~np.isfinite(result))} non-finite values: "
            f"all entries must be finite; remove NaN and infinity before you pass {name}"
        )
    return result


def seed_words(seed: Any, name: str = "seed") -> npt.NDArray[np.uint32]:
    """Return the eight 32-bit words that numpy's SeedSequence makes of `seed`."""
    if isinstance(seed, np.random.SeedSequence):
        sequence = seed
    elif isinstance(seed, (list, tuple)):
        sequence = np.random.SeedSequence([count(name, s, minimum=0) for s in seed])
    else:
        sequence = np.random.SeedSequence(count(name, seed, minimum=0))
    return sequence.generate_state(8, np.uint32).astype(np.uint32, copy=False)
