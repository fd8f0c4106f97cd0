"""Checks of what a user passes: one place, one wording.

Each function returns the argument in its canonical type or raises an error that names the
argument, the value, the rule and the remedy.
"""

from __future__ import annotations

import difflib
import math
import operator
import os
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import DtypeError, InvalidParameterError, ShapeError
from .memory import require

__all__ = [
    "LARGEST_COUNT",
    "array",
    "choice",
    "count",
    "dtype_name",
    "flag",
    "number",
    "seed_words",
    "shown",
    "threads",
]

#: Largest count: beyond it counts are not exact as double-precision numbers, which times and
#: checkpoints are made of; at a million steps a second it takes 285 years.
LARGEST_COUNT = 2**53
#: Bytes below which an array is copied without asking for memory: asking takes longer.
_UNASKED = 1 << 20


def shown(value: Any, width: int = 80) -> str:
    """Return `value` for a message: its repr, cut to `width`, whatever the object does."""
    try:
        text = " ".join(repr(value).split())
    except Exception:
        # Integers of more than 4300 digits have no repr; an object's own may fail too.
        text = f"<{type(value).__name__}>"
    return text if len(text) <= width else text[: width - 3] + "..."


def count(name: str, value: Any, *, minimum: int = 1, maximum: int | None = LARGEST_COUNT) -> int:
    """Return `value` as an int within [minimum, maximum] (None: no upper bound)."""
    try:
        result = operator.index(value)
    except TypeError:
        raise DtypeError(
            f"{name} = {shown(value)}: must be an integer; pass an int, for example {name}={max(minimum, 1)}"
        ) from None
    if isinstance(value, bool) or result < minimum:
        raise InvalidParameterError(
            f"{name} = {shown(value)}: must be an integer >= {minimum}; pass {name}={minimum} or more"
        )
    if maximum is not None and result > maximum:
        limit = "2**53" if maximum == LARGEST_COUNT else str(maximum)
        raise InvalidParameterError(
            f"{name} = {shown(value)}: must be an integer <= {limit}; pass a smaller one"
        )
    return result


def threads(name: str, value: Any) -> int | None:
    """Return a number of threads, or None for the default.

    More than four per core (64 are always allowed, more than 1024 never) only take the machine down.
    """
    if value is None:
        return None
    cores = os.cpu_count() or 1
    most = min(max(4 * cores, 64), 1024)
    asked = count(name, value, maximum=None)
    if asked > most:
        raise InvalidParameterError(
            f"{name} = {shown(value)}: must be <= {most} on this machine of {cores} cores; "
            f"pass {name}={cores}, or leave it out"
        )
    return asked


def flag(name: str, value: Any) -> bool:
    """Return `value` as a bool; strings, which would all count as true, are refused."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)) and value in (0, 1):
        return bool(value)
    raise DtypeError(f"{name} = {shown(value)}: must be True or False; pass one of them")


def number(
    name: str,
    value: Any,
    *,
    minimum: float = -math.inf,
    maximum: float = math.inf,
    exclusive: bool = False,
) -> float:
    """Return `value` as a finite float within [minimum, maximum] (open below if `exclusive`)."""
    result = _real(name, value)
    below = result <= minimum if exclusive else result < minimum
    if not math.isfinite(result) or below or result > maximum:
        bounds = []
        if minimum > -math.inf:
            bounds.append(f"{'>' if exclusive else '>='} {minimum:g}")
        if maximum < math.inf:
            bounds.append(f"<= {maximum:g}")
        rule = " and ".join(["finite", *bounds])
        raise InvalidParameterError(f"{name} = {shown(value)}: must be {rule}; pass such a number")
    return result


def _real(name: str, value: Any) -> float:
    """Return `value` as a float, infinite where it is beyond the range of one."""
    # A string, an array of one entry and a complex number all turn into floats with no more than a warning.
    text = isinstance(value, (str, bytes, bytearray))
    try:
        if type(value) is float:
            return value
        if not text and value is not np.ma.masked and np.ndim(value) == 0 and not np.iscomplexobj(value):
            return float(value)
    except OverflowError:
        return math.inf
    except (TypeError, ValueError, ArithmeticError):
        pass
    raise DtypeError(f"{name} = {shown(value)}: must be a number; pass a float")


def choice(name: str, value: Any, choices: Iterable[str]) -> str:
    """Return `value` if it is one of `choices`."""
    allowed = list(choices)
    if isinstance(value, str) and value in allowed:
        return value
    near = difflib.get_close_matches(value, allowed, n=1) if isinstance(value, str) else []
    guess = f" (did you mean {near[0]!r}?)" if near else ""
    listed = ", ".join(repr(c) for c in allowed)
    raise InvalidParameterError(f"{name} = {shown(value)}: unknown choice{guess}; pass one of {listed}")


def dtype_name(value: Any, name: str = "dtype") -> str:
    """Return "float32" or "float64"."""
    try:
        result = str(np.dtype(value).name)
    except (TypeError, ValueError):
        result = ""
    if result not in ("float32", "float64"):
        raise DtypeError(f'{name} = {shown(value)}: must be "float64" or "float32"; pass one of them')
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
    given = _real_array(name, value)
    wrong = given.ndim != len(shape) or any(
        (n != want) if want is not None else n < 1 for n, want in zip(given.shape, shape, strict=False)
    )
    if wrong:
        wanted = "(" + ", ".join("any" if n is None else str(n) for n in shape) + ")"
        raise ShapeError(
            f"{name} has shape {given.shape}: must be {wanted}{' ' + rule if rule else ''}; "
            f"pass an array of that shape"
        )
    target = np.dtype(dtype)
    needed = given.size * target.itemsize
    # A broadcast array may stand for far more numbers than it holds. Small copies are made unasked.
    if needed > _UNASKED and (given.dtype != target or not given.flags.c_contiguous):
        require(needed, f"{name} of shape {given.shape}", "pass a smaller array")
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            result = np.ascontiguousarray(given, dtype=target)
    except (TypeError, ValueError):
        raise _not_real(name, value) from None
    except OverflowError:
        raise InvalidParameterError(
            f"{name} holds numbers beyond the range of {target.name}: all entries must be finite; rescale them"
        ) from None
    finite = np.isfinite(result)
    if not finite.all():
        lost = given.dtype.kind in "iuf" and np.isfinite(given[~finite]).all()
        what = f"numbers beyond the range of {target.name}" if lost else "non-finite values"
        remedy = "rescale them" if lost else f"remove NaN and infinity before you pass {name}"
        raise InvalidParameterError(
            f"{name} holds {np.count_nonzero(~finite)} {what}: all entries must be finite; {remedy}"
        )
    return result


def _real_array(name: str, value: Any) -> npt.NDArray[Any]:
    """Return `value` as an array of numbers (or of objects that may be), uncopied where it is one."""
    if hasattr(value, "toarray") and hasattr(value, "nnz"):
        raise DtypeError(f"{name} is a sparse matrix: must be a dense array; pass {name}.toarray()")
    parts = value if isinstance(value, (list, tuple)) else (value,)
    if any(isinstance(part, np.ma.MaskedArray) and np.ma.is_masked(part) for part in parts):
        raise DtypeError(
            f"{name} has masked entries: every entry must be a number; fill them ({name}.filled(...)) or drop "
            f"their rows"
        )
    try:
        given = np.asarray(value)
    except (TypeError, ValueError, OverflowError):
        raise _not_real(name, value) from None
    if given.dtype.kind == "c":
        raise DtypeError(
            f"{name} is complex: must be an array of real numbers; pass its real part, {name}.real, if that is meant"
        )
    if given.dtype.kind not in "biufO":
        raise _not_real(name, value)
    return given


def _not_real(name: str, value: Any) -> DtypeError:
    return DtypeError(f"{name} = {shown(value)}: must be an array of real numbers; pass floats")


def seed_words(seed: Any, name: str = "seed") -> npt.NDArray[np.uint32]:
    """Return the eight 32-bit words that numpy's SeedSequence makes of `seed`."""
    if isinstance(seed, np.random.SeedSequence):
        sequence = seed
    elif isinstance(seed, (list, tuple)):
        sequence = np.random.SeedSequence([count(name, s, minimum=0, maximum=None) for s in seed])
    else:
        sequence = np.random.SeedSequence(count(name, seed, minimum=0, maximum=None))
    return sequence.generate_state(8, np.uint32).astype(np.uint32, copy=False)
