"""Points that resolve a user's function wherever a Gaussian looks at it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ..ground.errors import ConvergenceError, DtypeError, InvalidParameterError, ShapeError

__all__ = ["Resolved", "resolve"]

Array = npt.NDArray[np.float64]

#: Legendre points of a panel, and points between them where the interpolation is tried.
_POINTS = 16
_TRIES = 256
#: Tries in a panel of the first grid: what is narrower than 1e-4 standard deviations may stay unseen.
_FIRST_TRIES = 4096
#: Half-range of the first grid, in standard deviations of the widest Gaussian, and the last one tried.
_RANGE, _FARTHEST = 12.0, 38.0
#: Panels before a function counts as one that cannot be resolved.
_MOST_PANELS = 1 << 15

_X, _W = np.polynomial.legendre.leggauss(_POINTS)
# Coefficients of the polynomial through the points: Legendre polynomials are orthogonal under the rule's sum.
_TO_COEFFICIENTS = (
    (np.arange(_POINTS) + 0.5)[:, None] * np.polynomial.legendre.legvander(_X, _POINTS - 1).T * _W
)


@dataclass(frozen=True)
class Resolved:
    """A function at the points of a quadrature rule.

    Attributes
    ----------
    u, weights
        Points and their weights, shape (n,): sums are integrals over du.
    values
        f(u), shape (n,).
    """

    u: Array
    weights: Array
    values: Array


@lru_cache(maxsize=64)
def resolve(
    f: Callable[[Any], Any],
    narrowest: float = 1.0,
    widest: float = 1.0,
    kinks: tuple[float, ...] = (),
) -> Resolved:
    """Return `f` at points that resolve it for every centred Gaussian of standard deviation in a range.

    Panels of 16 Legendre points are halved until polynomials through them foretell the function between them to
    1e-11 (to rounding for a function in single precision), or a jump is caught within 1e-13; the range grows until
    f(u)² times the widest Gaussian has died away.

    Parameters
    ----------
    f
        Called with arrays of two axes.
    narrowest, widest
        The range of standard deviations.
    kinks
        Points where f or its slope jumps; they save halving, no more.

    Raises
    ------
    ConvergenceError
        If f grows too fast for its moments to exist, or is rough everywhere.
    InvalidParameterError
        If f is not finite where the Gaussians look.
    """
    edges = _edges(narrowest, _RANGE * widest)
    cuts = sorted({*edges, *(k for k in (0.0, *kinks) if abs(k) < edges[-1])})
    panels = np.stack([cuts[:-1], cuts[1:]], axis=1)
    accepted: list[tuple[Array, Array]] = []
    tries = _FIRST_TRIES
    scale = 0.0
    reach = edges[-1]
    total = 0
    while len(panels):
        total += len(panels)
        if total > _MOST_PANELS:
            raise ConvergenceError(
                "f cannot be resolved: must be smooth but for some jumps, and in double precision (or say so by "
                "returning float32); return floats computed in doubles, or declare where f jumps with kinks=",
                None,
            )
        middle, half = panels.mean(axis=1), 0.5 * (panels[:, 1] - panels[:, 0])
        values, precision = _call(f, middle[:, None] + half[:, None] * _X)
        between = (np.arange(tries) + 0.5) * (2.0 / tries) - 1.0
        foretell = np.einsum(
            "tk,kp->tp", np.polynomial.legendre.legvander(between, _POINTS - 1), _TO_COEFFICIENTS
        )
        found, _ = _call(f, middle[:, None] + half[:, None] * between)
        gap = np.abs(found - np.einsum("tp,np->nt", foretell, values)).max(axis=1)
        size = np.maximum(np.abs(found).max(axis=1), np.abs(values).max(axis=1))
        nearest = np.where(panels[:, 0] * panels[:, 1] < 0.0, 0.0, np.abs(panels).min(axis=1))
        # The square root of the widest Gaussian: a panel's share of E f² is the square of size times this.
        weight = np.exp(-0.25 * (nearest / widest) ** 2)
        scale = max(scale, float((size * weight).max()))
        tolerance = 1e-11 if precision < 1e-14 else 64.0 * precision
        good = (gap <= tolerance * size) | (gap * weight <= 1e-3 * tolerance * scale)
        good |= 2.0 * half <= 1e-13 * np.maximum(1.0, np.abs(middle))
        accepted.append((panels[good], values[good]))
        bad = panels[~good]
        cut = bad.mean(axis=1)
        panels = np.concatenate([np.stack([bad[:, 0], cut], axis=1), np.stack([cut, bad[:, 1]], axis=1)])
        tries = _TRIES
        if not len(panels):
            trace = 1e-9 * scale * math.exp(0.25 * (reach / widest) ** 2)
            if _size_at(reach, accepted) > trace:
                if reach >= _FARTHEST * widest:
                    raise ConvergenceError(
                        "f(u)² grows as fast as a Gaussian falls: must have Gaussian moments; pass another function",
                        None,
                    )
                further = min(reach + 2.0 * widest, _FARTHEST * widest)
                grid = np.linspace(reach, further, 5)
                right = np.stack([grid[:-1], grid[1:]], axis=1)
                panels = np.concatenate([right, -right[:, ::-1]])
                reach = further
    bounds = np.concatenate([panel for panel, _ in accepted])
    values = np.concatenate([value for _, value in accepted])
    order = np.argsort(bounds[:, 0], kind="stable")
    bounds, values = bounds[order], values[order]
    middle, half = bounds.mean(axis=1), 0.5 * (bounds[:, 1] - bounds[:, 0])
    return Resolved(
        (middle[:, None] + half[:, None] * _X).ravel(), (half[:, None] * _W).ravel(), values.ravel()
    )


def _size_at(reach: float, accepted: list[tuple[Array, Array]]) -> float:
    """Return the largest |f| in the outermost panels."""
    ends = [
        float(np.abs(values[outer]).max())
        for panels, values in accepted
        if (outer := np.abs(panels).max(axis=1) >= reach * (1.0 - 1e-12)).any()
    ]
    return max(ends, default=0.0)


def _edges(narrowest: float, reach: float) -> list[float]:
    """Return ends of panels: half the narrowest Gaussian near 0, a 24th of the distance beyond."""
    ends = [0.0]
    while ends[-1] < reach:
        ends.append(min(ends[-1] + max(0.5 * narrowest, ends[-1] / 24.0), reach))
    return [-end for end in reversed(ends[1:])] + ends


def _call(f: Callable[[Any], Any], u: Array) -> tuple[Array, float]:
    """Return f(u) in double precision, and the precision f works in."""
    with np.errstate(all="ignore"):
        result = np.asarray(f(u.copy()))
    if result.shape != u.shape:
        raise ShapeError(
            f"f returned shape {result.shape} for an argument of shape {u.shape}: it must be elementwise; "
            f"write it with numpy operations over whole arrays"
        )
    if result.dtype.kind not in "fiub":
        raise DtypeError(f"f returned dtype {result.dtype}: must be real numbers; return floats")
    precision = float(np.finfo(result.dtype).eps) if result.dtype.kind == "f" else 0.0
    values = result.astype(np.float64)
    if not np.isfinite(values).all():
        where = u[~np.isfinite(values)]
        raise InvalidParameterError(
            f"f({float(where[np.argmin(np.abs(where))]):.6g}) is not finite: must be finite on all real numbers that "
            f"a Gaussian reaches; check its domain, or clip its argument"
        )
    return values, precision
