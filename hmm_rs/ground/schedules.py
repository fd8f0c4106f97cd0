"""Rates that change along a run: numbers, named schedules, functions of the time t = steps / N."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _lib
from .arguments import array, number, reals, shown
from .description import Description
from .display import spelled
from .errors import DtypeError, HmmError, InvalidParameterError, ShapeError

__all__ = ["Constant", "Cosine", "Power", "Rate", "Schedule", "Step", "compiled", "rate", "told"]


class Schedule(Description, ABC):
    """Base of the named schedules: rates as functions of the time t = steps / N.

    A schedule is called with times and gives the rates there. It is frozen, compared by content, and kept in
    checkpoints and results.
    """

    @abstractmethod
    def _compiled(self) -> float | _lib.Schedule:
        """Return what the compiled engines and equations take."""

    def __call__(self, t: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the rates at times `t` >= 0, in their shape."""
        times = reals("t", t)
        if (times < 0.0).any():
            raise InvalidParameterError(
                f"t = {shown(t)}: a run starts at t = 0, times must be >= 0; pass such times"
            )
        made = self._compiled()
        if isinstance(made, float):
            return np.full(times.shape, made)
        return made.at(times.reshape(-1)).reshape(times.shape)


class Constant(Schedule):
    """The same rate at all times, as a number is.

    Parameters
    ----------
    value
        The rate, >= 0.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> hr.schedules.Constant(0.2)([0.0, 10.0])
    array([0.2, 0.2])
    """

    value: float

    def __init__(self, value: float) -> None:
        self._describe(value=number("value", value, minimum=0.0))

    def _compiled(self) -> float:
        return self.value


class Step(Schedule):
    """A rate that jumps: values[i] from at[i - 1] on and before at[i].

    The first step of a run at or after a jump has the new rate; the equations start anew there.

    Parameters
    ----------
    values
        Rates >= 0, one more than jumps.
    at
        Times of the jumps, > 0 and ascending.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> hr.schedules.Step([0.5, 0.1], at=[20.0])([0.0, 19.9, 20.0])
    array([0.5, 0.5, 0.1])
    """

    values: tuple[float, ...]
    at: tuple[float, ...]

    def __init__(self, values: npt.ArrayLike, at: npt.ArrayLike) -> None:
        jumps = reals("at", at)
        if jumps.ndim != 1:
            raise ShapeError(f"at = {shown(at)}: must list the times of the jumps; pass at=[20.0], say")
        if (jumps <= 0.0).any() or (np.diff(jumps) <= 0.0).any():
            raise InvalidParameterError(
                f"at = {shown(jumps.tolist())}: jumps must be at times > 0 in ascending order; sort them"
            )
        rates = array("values", values, (jumps.size + 1,), rule="= (jumps + 1,)")
        if (rates < 0.0).any():
            raise InvalidParameterError(
                f"values = {shown(rates.tolist())}: rates must be >= 0; pass such numbers"
            )
        self._describe(values=tuple(rates.tolist()), at=tuple(jumps.tolist()))

    def _compiled(self) -> _lib.Schedule:
        return _lib.Schedule.step(self.values, self.at)


class Power(Schedule):
    r"""A power law, :math:`a/(1 + t/b)^c`.

    With 1/2 < c <= 1 the noise of the steps dies out while the sum of the rates still diverges, so that
    learning goes on (Robbins and Monro 1951).

    Parameters
    ----------
    a
        Rate at t = 0, >= 0.
    b
        Time at which the fall sets in, > 0.
    c
        Exponent, >= 0.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> hr.schedules.Power(0.5, b=10.0, c=1.0)([0.0, 10.0, 40.0])
    array([0.5 , 0.25, 0.1 ])
    """

    a: float
    b: float
    c: float

    def __init__(self, a: float, b: float, c: float = 1.0) -> None:
        self._describe(
            a=number("a", a, minimum=0.0),
            b=number("b", b, minimum=0.0, exclusive=True),
            c=number("c", c, minimum=0.0),
        )

    def _compiled(self) -> _lib.Schedule:
        return _lib.Schedule.power(self.a, self.b, self.c)


class Cosine(Schedule):
    r"""Half a cosine from `start` to `end`, which it keeps: end + (start - end)(1 + cos(π t/duration))/2.

    Parameters
    ----------
    start, end
        Rates at t = 0 and from t = duration on, >= 0.
    duration
        Time it takes, > 0.

    Notes
    -----
    Loshchilov and Hutter, arXiv:1608.03983, without restarts.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> hr.schedules.Cosine(0.5, duration=100.0, end=0.1)([0.0, 50.0, 200.0])
    array([0.5, 0.3, 0.1])
    """

    start: float
    duration: float
    end: float

    def __init__(self, start: float, duration: float, end: float = 0.0) -> None:
        self._describe(
            start=number("start", start, minimum=0.0),
            duration=number("duration", duration, minimum=0.0, exclusive=True),
            end=number("end", end, minimum=0.0),
        )

    def _compiled(self) -> _lib.Schedule:
        return _lib.Schedule.cosine(self.start, self.end, self.duration)


#: A number >= 0, a schedule, or a vectorised function of times.
Rate = float | Schedule | Callable[[Any], Any]

#: Times at which a function is tried lie this close to t = 0, where every run begins.
_TRIED = 10**9


def rate(name: str, value: Any) -> Rate:
    """Return a user's rate if it can be one; numbers become floats.

    A function is called with an array of times and must return as many rates, finite and >= 0: with blocks of 1024
    steps in a simulation, with single times in the equations.
    """
    if isinstance(value, Schedule):
        return value
    if not callable(value):
        try:
            return number(name, value, minimum=0.0)
        except DtypeError:
            raise DtypeError(
                f"{name} = {shown(value)}: must be a number, a schedule or a function of times; pass a float, or "
                f"hr.schedules.Power(0.5, b=10.0), say"
            ) from None
    made = _lib.Schedule.function(name, value)
    try:
        made.of_steps(0, _TRIED, 1)
        made.at(np.zeros(1))
    except HmmError:
        raise
    except Exception as error:
        error.add_note(
            f"hmm_rs: {name} is called with an array of times and must return as many rates; write it with numpy "
            f"operations over the whole array, np.where(t < 20, 0.5, 0.1) instead of an if"
        )
        raise
    return value  # type: ignore[no-any-return]


def compiled(name: str, value: Rate) -> float | _lib.Schedule:
    """Return what the compiled engines and equations take for a rate that :func:`rate` has looked at."""
    if isinstance(value, Schedule):
        return value._compiled()
    return _lib.Schedule.function(name, value) if callable(value) else value


def told(value: Rate) -> float | str:
    """Return a rate for a result's attributes: a number, or a schedule in words."""
    return spelled(value) if callable(value) else value
