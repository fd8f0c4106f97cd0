"""The plateau of a learning curve, where the student has not chosen yet which unit learns what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..ground.errors import ConvergenceError, InvalidParameterError, ShapeError
from ..ground.results import numbers_of

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["plateau"]


def plateau(result: xr.Dataset) -> dict[str, float]:
    r"""Return the plateau of a learning curve and when specialisation ends it.

    The plateau is where -d ln ε_g/d ln t is smallest between two falls of the curve.

    Parameters
    ----------
    result
        Solution or simulation with eg over t, densely spaced in log t.

    Returns
    -------
    dict
        ``error``: ε_g on the plateau; ``start``, ``end``: first times at which ε_g is below 1.1 and
        0.9 of it; ``specialisation``: first time below one half of it. A level that the curve does not
        reach has no entry.

    Raises
    ------
    ShapeError
        If eg lies along other dimensions than t.
    InvalidParameterError
        If it holds no finite number, or its times do not increase.
    ConvergenceError
        If there is no plateau: the curve has no second fall (yet), or too few points to tell.

    Notes
    -----
    Saad and Solla (1995); HMM paper, Fig. 3.

    Examples
    --------
    >>> import numpy as np
    >>> from hmm_rs.theory.phenomena import plateau, random_start
    >>> times = np.geomspace(0.1, 1000.0, 200)
    >>> found = plateau(random_start(2, 2, delta=0.01).solve(times))
    >>> bool(found["start"] < found["end"] < found["specialisation"])
    True
    """
    eg_of = getattr(result, "eg", None)
    if eg_of is None or getattr(eg_of, "dims", None) != ("t",):
        raise ShapeError(
            f"result = {result!r:.60}: must have eg over t alone; pass one solution or run, "
            f"of several select one first (.sel(K=...))"
        )
    curve = numbers_of("result.eg", eg_of, ("t",), axis="t")
    positive = (curve.t.values > 0.0) & (curve.values > 0.0) & np.isfinite(curve.values)
    t, eg = curve.t.values[positive], curve.values[positive]
    if (np.diff(t) <= 0.0).any():
        raise InvalidParameterError(
            "result.t does not increase: a slope needs times in order, none twice; pass result.sortby('t'), or "
            "result.drop_duplicates('t')"
        )
    if t.size < 5:
        raise ConvergenceError(
            f"result has {t.size} times t > 0 with eg > 0: a plateau needs 5 at least, and 50 to be seen well; "
            f"solve at numpy.geomspace(0.1, t_max, 200), say"
        )
    slope = -np.gradient(np.log(eg), np.log(t))
    # Largest slopes before and after each point: a plateau is low against the lesser of the two.
    before, after = np.maximum.accumulate(slope), np.maximum.accumulate(slope[::-1])[::-1]
    depth = np.minimum(before, after) - slope
    at = int(np.argmax(depth))
    if depth[at] <= 0.05:
        raise ConvergenceError(
            f"result has no plateau up to t = {t[-1]:g}: eg falls only once, or has not fallen again yet; "
            f"go on to later times, or see whether there are two falls to lie between"
        )
    error = float(eg[at])
    found = {"error": error}
    for name, level, start in (
        ("start", 1.1 * error, 0),
        ("end", 0.9 * error, at),
        ("specialisation", 0.5 * error, at),
    ):
        below = np.flatnonzero(eg[start:] < level)
        if below.size:
            found[name] = float(t[start + below[0]])
    return found
