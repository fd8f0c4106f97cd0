"""When a run is measured."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ..ground.arguments import LARGEST_COUNT, array, count, number, reals, shown
from ..ground.errors import InvalidParameterError
from ..ground.memory import require

__all__ = ["Times", "log_linear_steps", "logtimes", "save_steps", "save_times", "whole_steps"]

Times = npt.NDArray[np.float64]

#: Relative distance of two times that is rounding, not meant.
_ROUNDING = 1e-12


def logtimes(t0: float, t1: float, n: int) -> Times:
    """Return `n` times from `t0` to `t1`, evenly spaced in log t.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> hr.logtimes(0.1, 10, 3)
    array([ 0.1,  1. , 10. ])
    """
    t0 = number("t0", t0, minimum=0.0, exclusive=True)
    t1 = number("t1", t1, minimum=t0)
    n = count("n", n)
    times = np.geomspace(t0, t1, n)
    times[-1] = t1 if n > 1 else t0
    return times


def log_linear_steps(last: int, *, spacing: float = 100.0, bend: float = 1e4) -> npt.NDArray[np.int64]:
    """Return the published schedule of step numbers up to `last`: dense at first, then `spacing` apart.

    n_{k+1} = int(n_k + 1 + S (1 - exp(-n_k/T))), S = `spacing`, T = `bend`.

    Raises
    ------
    ResourceError
        A schedule too long for memory.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> hr.dynamics.log_linear_steps(1000)[-3:]
    array([ 987,  997, 1000])
    """
    last = count("last", last, minimum=0)
    spacing = number("spacing", spacing, minimum=0.0)
    bend = number("bend", bend, minimum=0.0, exclusive=True)
    # Steps are at least max(1, S (1 - exp(-n/T))) apart; past T that is half of S or more.
    fewest_apart = max(1.0, 0.5 * spacing)
    longest = min(last, bend) + last / fewest_apart
    require(
        int(min(40.0 * longest, 2.0**62)),
        f"a schedule of up to {longest:.3g} steps",
        "pass a larger spacing or a smaller last step",
    )
    steps, n = [0], 0
    while n < last:
        n = min(int(n + 1 + spacing * (1.0 - math.exp(-n / bend))), last)
        steps.append(n)
    return np.array(steps, dtype=np.int64)


def save_times(t_max: float | None, save_at: npt.ArrayLike | None, now: float, first: float) -> Times:
    """Return the save times of a run from `now` to `t_max`: checked, or evenly spaced in log t.

    `first` is the earliest time worth a measurement after the start; without `t_max` the last of `save_at`
    ends the run. Times that overstep `now` or `t_max` by rounding are moved there, times that agree are one.
    """
    if t_max is not None:
        t_max = number("t_max", t_max, minimum=0.0)
    if save_at is None:
        t_max = _not_past(0.0 if t_max is None else t_max, now)
        if t_max <= now + first:
            return np.unique([now, t_max])
        return np.unique(np.concatenate([[now], now + logtimes(first, t_max - now, 60), [t_max]]))
    times = _in_order("save_at", save_at, "hr.logtimes(0.1, 100, 50)")
    t_max = _not_past(float(times[-1]) if t_max is None else t_max, now)
    slack = _ROUNDING * t_max
    if times[-1] > t_max + slack:
        raise InvalidParameterError(
            f"save_at[-1] = {times[-1]}: must be <= t_max = {t_max}; raise t_max or drop it"
        )
    if times[0] < now - slack:
        raise InvalidParameterError(
            f"save_at[0] = {times[0]}: the run is at t = {now:g} already; pass later times"
        )
    return np.unique(np.clip(times, now, t_max))


def _not_past(t_max: float, now: float) -> float:
    if t_max < now * (1.0 - _ROUNDING):
        raise InvalidParameterError(
            f"t_max = {t_max}: the run is at t = {now:g} already; pass a later time or make a new driver"
        )
    return max(t_max, now)


def save_steps(steps: int, save_at: npt.ArrayLike | None, now: int) -> npt.NDArray[np.int64]:
    """Return the step numbers to measure at, from `now` to `steps`: checked, or evenly spaced in log step."""
    if steps < now:
        raise InvalidParameterError(
            f"steps = {steps}: the run is at step {now} already; pass a later step or make a new driver"
        )
    if save_at is None:
        ahead = np.round(logtimes(1.0, max(steps - now, 1), 60)).astype(np.int64)
        return np.unique(np.minimum(np.concatenate([[0], ahead]), steps - now) + now)
    whole = whole_steps("save_at", save_at)
    if whole[0] < now or whole[-1] > steps:
        raise InvalidParameterError(
            f"save_at = {shown(whole.tolist())}: must lie between the present step {now} and the last, {steps}; pass "
            f"such steps"
        )
    return whole


def whole_steps(name: str, values: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return a user's step numbers, increasing; those that agree are one."""
    given = _in_order(name, values, "[0, 10, 100]")
    whole = np.round(given)
    if (np.abs(given - whole) > _ROUNDING * np.maximum(whole, 1.0)).any() or whole[-1] > LARGEST_COUNT:
        raise InvalidParameterError(
            f"{name} = {shown(given.tolist())}: must be whole numbers of steps; pass such steps"
        )
    return np.unique(whole.astype(np.int64))


def _in_order(name: str, values: npt.ArrayLike, example: str) -> Times:
    """Return times or steps of a user if they are a list in increasing order."""
    given = reals(name, values)
    if given.ndim == 0:
        raise InvalidParameterError(
            f"{name} = {shown(values)}: must list where to measure, not say how many times or how often; pass a "
            f"list, for example {name}={example}"
        )
    times = array(name, given, (None,))
    if (np.diff(times) < 0).any() or times[0] < 0:
        raise InvalidParameterError(
            f"{name} = {shown(times.tolist())}: must be >= 0 and increasing; sort them"
        )
    return times
