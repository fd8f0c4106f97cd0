"""Points and weights for averages over a few standard normal variables. No number is drawn."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from ..order_parameters import Array

__all__ = ["Rule", "normal_rules"]

#: Points (P, n) and weights (P,).
Rule = tuple[Array, Array]

#: Spacing of the trapezoidal rule over so many variables, and the ball it covers: beyond lies 1e-3 of E|z|⁴.
_SPACING = {1: 0.2, 2: 0.3, 3: 0.5, 4: 0.75}
_REACH = 5.0
#: Points of a lattice rule, and its shifts, one for each of the two estimates.
_POINTS = 1 << 13
_SHIFTS = (0.0, 0.5)


def normal_rules(fields: int, *, variance: float, even: bool) -> tuple[Rule, ...]:
    """Return rules for averages of what a step adds: one that is as good as exact, or two whose spread tells the error.

    Parameters
    ----------
    fields
        K + M. Up to 4 of them the trapezoidal rule on a grid that avoids the axes, where a rectifier steps; beyond, a
        lattice (multiples of the roots of primes, folded, through the inverse normal distribution) at two shifts.
    variance
        Largest variance of a field: the fourth power of an erf's slope is exp(-2 λ²), of width 1/√(1 + 4 Q) in z.
    even
        Whether the averaged functions are even in z, as for odd units: half the points then do.
    """
    if fields > 4:
        return tuple(_lattice(fields, shift) for shift in _SHIFTS)
    # The rule's error on a Gaussian of that width is 2 exp(-2π²/(h² (1 + 4 Q))): here 6 %, of the smallest term. The
    # spread then errs by 2e-3 (measured against half the spacing).
    width = 2.0 * math.pi / math.sqrt(7.0 * (1.0 + 4.0 * variance))
    widest = _SPACING[fields] if even else 0.8 * _SPACING[fields]
    return (_grid(fields, max(min(widest, round(width, 2)), 0.4 * widest), even),)


@lru_cache(maxsize=16)
def _grid(fields: int, spacing: float, even: bool) -> Rule:
    half = math.ceil(_REACH / spacing)
    axis = (np.arange(-half, half) + 0.5) * spacing
    points = np.stack(np.meshgrid(*[axis] * fields, indexing="ij"), axis=-1).reshape(-1, fields)
    squares = np.einsum("pi,pi->p", points, points)
    kept = squares <= _REACH**2
    if even:
        kept &= points[:, 0] > 0.0
    weights = np.exp(-0.5 * squares[kept])
    return np.ascontiguousarray(points[kept]), weights / weights.sum()


@lru_cache(maxsize=4)
def _lattice(fields: int, shift: float) -> Rule:
    from scipy.special import ndtri

    primes: list[int] = []
    candidate = 2
    while len(primes) < fields:
        if all(candidate % p for p in primes):
            primes.append(candidate)
        candidate += 1
    place = (np.arange(_POINTS)[:, None] + 0.5) * np.sqrt(np.array(primes, dtype=np.float64)) + shift * (
        1.0 + np.arange(fields) / fields
    )
    folded = 1.0 - np.abs(2.0 * (place % 1.0) - 1.0)
    inside = np.clip(folded, 0.25 / _POINTS, 1.0 - 0.25 / _POINTS)
    return np.ascontiguousarray(ndtri(inside)), np.full(_POINTS, 1.0 / _POINTS)
