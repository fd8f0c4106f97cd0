"""Nonlinearity f of the data and its three Gaussian moments (a, b, c)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ..ground.arguments import choice, number
from ..ground.errors import ConvergenceError, DtypeError, InvalidParameterError, ShapeError

__all__ = ["NAMES", "Nonlinearity", "check_nonlinearity", "gaussian_moments"]

#: A name or a vectorised function.
Nonlinearity = str | Callable[[Any], Any]

#: Closed forms of (a, b, c); tanh by quadrature to 30 digits (its c is 1 - b).
NAMES: dict[str, tuple[float, float, float]] = {
    "sign": (0.0, math.sqrt(2.0 / math.pi), 1.0),
    "erf": (0.0, 1.0 / math.sqrt(math.pi), 1.0 / 3.0),
    "relu": (1.0 / math.sqrt(2.0 * math.pi), 0.5, 0.5),
    "tanh": (0.0, 0.6057055096021588, 0.3942944903978412),
    "identity": (0.0, 1.0, 1.0),
}


def check_nonlinearity(f: Any, name: str = "f") -> Nonlinearity:
    """Return `f` if it is a known name or a vectorised function of real numbers."""
    if not callable(f):
        return choice(name, f, NAMES)
    probe = np.linspace(-2.0, 2.0, 6).reshape(2, 3)
    result = np.asarray(f(probe))
    if result.shape != probe.shape:
        raise ShapeError(
            f"{name} returned shape {result.shape} for an argument of shape {probe.shape}: "
            f"it must be elementwise; write it with numpy operations over whole arrays"
        )
    if result.dtype.kind not in "fiub":
        raise DtypeError(f"{name} returned dtype {result.dtype}: must be real numbers; return floats")
    if not np.isfinite(result).all():
        raise InvalidParameterError(
            f"{name} returned non-finite values on [-2, 2]: must be finite on real numbers; check its domain"
        )
    return f  # type: ignore[no-any-return]


def gaussian_moments(f: Nonlinearity, *, kinks: Sequence[float] = ()) -> tuple[float, float, float]:
    """Return a = E f(u), b = E u f(u), c = E f(u)² for u ~ N(0, 1).

    Closed forms for the named functions; adaptive quadrature, split at 0 and at `kinks`, for a
    function (absolute error at most 1e-10).

    Parameters
    ----------
    f
        "sign", "erf" (of u/√2), "relu", "tanh", "identity" or a vectorised function.
    kinks
        Further points where f or its slope jumps.

    Raises
    ------
    ConvergenceError
        If the quadrature does not reach 1e-10.

    Notes
    -----
    These three numbers are all that the theory of the hidden manifold needs of f
    (HMM paper, section III).

    Examples
    --------
    >>> import numpy as np
    >>> from hmm_rs.theory import gaussian_moments
    >>> a, b, c = gaussian_moments("sign")
    >>> round(b, 6), c
    (0.797885, 1.0)
    >>> a, b, c = gaussian_moments(np.cos)
    >>> bool(abs(a - np.exp(-0.5)) < 1e-10)
    True
    """
    f = check_nonlinearity(f)
    if isinstance(f, str):
        return NAMES[f]
    points = tuple(sorted({0.0, *(number("kinks", k) for k in kinks)}))
    return _moments_by_quadrature(f, points)


@lru_cache(maxsize=64)
def _moments_by_quadrature(f: Callable[[Any], Any], points: tuple[float, ...]) -> tuple[float, float, float]:
    from scipy.integrate import quad

    edges = [-12.0, *(p for p in points if abs(p) < 12.0), 12.0]
    norm = 1.0 / math.sqrt(2.0 * math.pi)

    def average(weight: Callable[[float, float], float]) -> float:
        total, error = 0.0, 0.0
        for low, high in itertools.pairwise(edges):
            value, estimate = quad(
                lambda u: norm * math.exp(-0.5 * u * u) * weight(u, float(f(np.asarray(u)))),
                low,
                high,
                epsabs=1e-13,
                epsrel=1e-12,
                limit=500,
            )[:2]
            total += value
            error += estimate
        # quad's own estimate is pessimistic by orders of magnitude for smooth integrands.
        if not math.isfinite(total) or error > 1e-10 * max(1.0, abs(total)):
            raise ConvergenceError(
                f"the Gaussian moments of f reach only {error:.1e}: must be 1e-10; declare where f jumps with kinks=",
                total,
            )
        return total

    return average(lambda _, y: y), average(lambda u, y: u * y), average(lambda _, y: y * y)
