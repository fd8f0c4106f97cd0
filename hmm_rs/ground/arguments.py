"""Checks of what a user passes: one place, one wording.

Each function returns the argument in its canonical type or raises an error that names the
argument, the value, the rule and the remedy.
"""

from __future__ import annotations

import difflib
import math
import operator
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

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
    "function",
    "instance",
    "items",
    "iterable",
    "number",
    "reals",
    "seed",
    "seed_words",
    "shown",
    "threads",
    "whole_numbers",
]

_T = TypeVar("_T")

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


def told(error: BaseException, width: int = 200) -> str:
    """Return what a library says in an error, for a message: one line that can be printed."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)[:width]


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


def iterable(name: str, value: Any, what: str) -> Iterable[Any]:
    """Return `value` if it has entries to go through: a list, a generator; no text, no mapping, no single number.

    Parameters
    ----------
    name, value
        The argument.
    what
        What its entries are, and an example, for the message: "whole numbers, for example [50, 100]".
    """
    no_list = isinstance(value, (str, bytes, bytearray, Mapping, np.generic)) or np.ma.is_masked(value)
    if not no_list and isinstance(value, Iterable) and getattr(value, "ndim", None) != 0:
        return value
    raise DtypeError(f"{name} = {shown(value)}: must be a list; pass {what}")


def items(name: str, value: Any, what: str) -> list[Any]:
    """Return a list of the entries of `value`, which :func:`iterable` has looked at."""
    return list(iterable(name, value, what))


def instance(name: str, value: Any, kind: type[_T], remedy: str) -> _T:
    """Return `value` if it is of a class of the package; `remedy` is what to pass instead."""
    if isinstance(value, kind):
        return value
    article = "an" if kind.__name__[0] in "AEIOU" else "a"
    raise DtypeError(f"{name} = {shown(value)}: must be {article} {kind.__name__}; pass {remedy}")


def function(name: str, value: Any, what: str) -> Callable[..., Any]:
    """Return `value` if it can be called; `what` says of what it is a function."""
    if callable(value):
        return value  # type: ignore[no-any-return]
    raise DtypeError(f"{name} = {shown(value)}: must be a function {what}; pass one")


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
        empty = given.ndim == len(shape) and 0 in given.shape
        remedy = "pass at least one entry along each axis" if empty else "pass an array of that shape"
        raise ShapeError(
            f"{name} has shape {given.shape}: must be {wanted}{' ' + rule if rule else ''}; {remedy}"
        )
    result = _converted(name, value, given, np.dtype(dtype))
    finite = np.isfinite(result)
    if not finite.all():
        lost = given.dtype.kind in "iuf" and np.isfinite(given[~finite]).all()
        what = f"numbers beyond the range of {result.dtype.name}" if lost else "non-finite values"
        remedy = "rescale them" if lost else f"remove NaN and infinity before you pass {name}"
        raise InvalidParameterError(
            f"{name} holds {np.count_nonzero(~finite)} {what}: all entries must be finite; {remedy}"
        )
    return result


def reals(name: str, value: Any, *, infinite: bool = False, missing: bool = False) -> npt.NDArray[np.float64]:
    """Return `value` as a C-contiguous array of numbers in its own shape, which may be () and may hold nothing.

    Infinity is refused unless `infinite`, and NaN unless `missing`.
    """
    given = _real_array(name, value)
    result = _converted(name, value, given, np.dtype(np.float64)).reshape(given.shape)
    wrong = (np.isinf(result) & (not infinite)) | (np.isnan(result) & (not missing))
    if wrong.any():
        allowed = " or infinite" * infinite + " or NaN" * missing
        raise InvalidParameterError(
            f"{name} holds {np.count_nonzero(wrong)} values such as {result[wrong][0]}: all entries must be "
            f"finite{allowed}; remove them"
        )
    return result


def whole_numbers(name: str, value: Any) -> npt.NDArray[np.int64]:
    """Return `value` as an array of integers in its own shape."""
    numbers = reals(name, value)
    if (numbers != np.round(numbers)).any() or (np.abs(numbers) > LARGEST_COUNT).any():
        raise DtypeError(f"{name} = {shown(value)}: must be whole numbers; pass integers")
    return numbers.astype(np.int64)


def _converted(name: str, value: Any, given: npt.NDArray[Any], target: np.dtype[Any]) -> npt.NDArray[Any]:
    """Return `given`, made of `value`, as a contiguous array of `target`."""
    needed = given.size * target.itemsize
    # A broadcast array may stand for far more numbers than it holds. Small copies are made unasked.
    if needed > _UNASKED and (given.dtype != target or not given.flags.c_contiguous):
        require(needed, f"{name} of shape {given.shape}", "pass a smaller array")
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            return np.ascontiguousarray(given, dtype=target)
    except (TypeError, ValueError, ArithmeticError) as error:
        if isinstance(error, OverflowError):
            raise InvalidParameterError(
                f"{name} holds numbers beyond the range of {target.name}: all entries must be finite; rescale them"
            ) from None
        raise _not_real(name, value) from None


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


#: 32-bit words drawn from a user's generator, the entropy of numpy's own fresh seeds.
_DRAWN = 4


def seed(value: Any, name: str = "seed") -> int | list[int] | np.random.SeedSequence:
    """Return a seed in the form that is kept: the same words whenever it is used, and shown as what they are.

    Integers of any size, lists of them and :class:`numpy.random.SeedSequence` stand for themselves. From a
    :class:`numpy.random.Generator` four 32-bit words are drawn, once: what it names is kept, copied and saved as these
    words, and the next use of the generator names something else. None is refused: nothing here is random by accident.

    Examples
    --------
    >>> import numpy as np
    >>> from hmm_rs.ground.arguments import seed
    >>> rng = np.random.default_rng(1)
    >>> seed(rng) == seed(rng), seed(np.random.default_rng(1)) == seed(np.random.default_rng(1))
    (False, True)
    """
    if isinstance(value, np.random.SeedSequence):
        return value
    if isinstance(value, np.random.Generator):
        return [int(word) for word in value.integers(1 << 32, size=_DRAWN, dtype=np.uint32)]
    if isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim == 1):
        if not len(value):
            raise InvalidParameterError(f"{name} = {shown(value)}: must hold a number; pass {name}=[0], say")
        return [count(name, word, minimum=0, maximum=None) for word in value]
    try:
        return count(name, value, minimum=0, maximum=None)
    except DtypeError:
        raise DtypeError(
            f"{name} = {shown(value)}: must be an integer >= 0, a list of them, or numpy's SeedSequence or Generator; "
            f"pass {name}=0, or {name}=numpy.random.default_rng() for another one at every call"
        ) from None


def seed_words(value: Any, name: str = "seed") -> npt.NDArray[np.uint32]:
    """Return the eight 32-bit words that numpy's SeedSequence makes of a seed."""
    kept = seed(value, name)
    sequence = kept if isinstance(kept, np.random.SeedSequence) else np.random.SeedSequence(kept)
    return sequence.generate_state(8, np.uint32).astype(np.uint32, copy=False)
