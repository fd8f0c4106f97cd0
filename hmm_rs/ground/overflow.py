"""Numbers that leave the range of floating point on the way: refused in our words, with the arguments to blame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

import numpy as np

from .errors import InvalidParameterError

__all__ = ["finite", "within_range"]

_T = TypeVar("_T")


def _refusal(arguments: str, why: str, remedy: str) -> InvalidParameterError:
    return InvalidParameterError(
        f"{arguments}: what is computed from them must be floating-point numbers ({why}); {remedy}"
    )


@contextmanager
def within_range(arguments: str, remedy: str = "rescale them to numbers of order one") -> Iterator[None]:
    """Refuse `arguments` whose products overflow, divide by zero, or have no value on the way.

    Around numpy's arithmetic, as a context or a decorator. What the compiled core computes is looked at by
    :func:`finite`; a function of the user inside is held to the same.

    Examples
    --------
    >>> import numpy as np
    >>> from hmm_rs.ground.overflow import within_range
    >>> with within_range("w"):
    ...     np.array([1e200]) ** 2
    Traceback (most recent call last):
    ...
    hmm_rs.ground.errors.InvalidParameterError: w: what is computed from them must be floating-point numbers (overflow \
encountered in square); rescale them to numbers of order one
    """
    try:
        with np.errstate(over="raise", divide="raise", invalid="raise"):
            yield
    except FloatingPointError as error:
        # One of the package's own errors is one of these too, and says more.
        if type(error) is not FloatingPointError:
            raise
        raise _refusal(arguments, str(error), remedy) from None


def finite(arguments: str, value: _T, remedy: str = "rescale them to numbers of order one") -> _T:
    """Return `value`, a number, an array or a mapping of these, if all of it is finite.

    Examples
    --------
    >>> from hmm_rs.ground.overflow import finite
    >>> finite("w", 2.0)
    2.0
    """
    for name, part in value.items() if isinstance(value, Mapping) else [("a result", value)]:
        numbers = np.asarray(part)
        if numbers.dtype.kind in "fc" and not np.isfinite(numbers).all():
            raise _refusal(arguments, f"{name} is not finite", remedy)
    return value
