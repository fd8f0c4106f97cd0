"""Strategies for rates that change along a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

import hmm_rs as hr

__all__ = ["falling_rate", "schedules"]


def falling_rate(t: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return 0.1/(2 + t), a rate that falls as a user would write it.

    Examples
    --------
    >>> falling_rate([0.0, 8.0])
    array([0.05, 0.01])
    """
    return np.asarray(0.1 / (2.0 + np.asarray(t, dtype=np.float64)))


@st.composite
def _steps(draw: st.DrawFn, largest: float, t_max: float) -> Any:
    times = st.floats(0.0, t_max, exclude_min=True, allow_subnormal=False)
    at = sorted(draw(st.sets(times, max_size=3)))
    rates = st.floats(0.0, largest)
    values = draw(st.lists(rates, min_size=len(at) + 1, max_size=len(at) + 1))
    return hr.schedules.Step(values, at)


def schedules(
    *, largest: float = 0.1, t_max: float = 2.0, custom: bool = True
) -> st.SearchStrategy[float | Callable[[Any], Any]]:
    """Rates of every accepted form: numbers, named schedules, and functions as a user would write them.

    Parameters
    ----------
    largest
        Largest rate.
    t_max
        Time until which jumps occur.
    custom
        Whether a user's function may come too.

    Examples
    --------
    >>> import numpy as np
    >>> from hypothesis import given
    >>> @given(rate=schedules(largest=0.5, custom=False).filter(callable))
    ... def test_rates_are_rates(rate):
    ...     found = rate(np.linspace(0.0, 5.0, 11))
    ...     assert (found >= 0.0).all() and (found <= 0.5 * (1 + 1e-12)).all()
    >>> test_rates_are_rates()
    """
    rates = st.floats(0.0, largest)
    times = st.floats(0.01, 10.0)
    found: list[st.SearchStrategy[Any]] = [
        rates,
        st.builds(hr.schedules.Constant, rates),
        _steps(largest, t_max),
        st.builds(hr.schedules.Power, rates, times, st.floats(0.0, 2.0)),
        st.builds(hr.schedules.Cosine, rates, times, rates),
    ]
    if custom and largest >= falling_rate(0.0):
        found.append(st.just(falling_rate))
    return st.one_of(found)
