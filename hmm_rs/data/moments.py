"""Gaussian moments of the data's nonlinearity: of a unit field, and of fields of any variance."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..ground.activations import UNITS
from ..ground.arguments import array, items, number
from ..ground.errors import InvalidParameterError
from ..ground.overflow import within_range
from .nonlinearity import check_nonlinearity
from .quadrature import Resolved, resolve

__all__ = ["gaussian_moments", "hermite_coefficients", "row_moments"]

Array = npt.NDArray[np.float64]

#: Closed forms of (a, b, c) by the variance q of the field; b is the slope E u f(u)/q.
_CLOSED: dict[str, Callable[[Array], tuple[Array, Array, Array]]] = {
    "sign": lambda q: (0.0 * q, np.sqrt(2.0 / (math.pi * q)), np.ones_like(q)),
    "erf": lambda q: (
        0.0 * q,
        np.sqrt(2.0 / (math.pi * (1.0 + q))),
        (2.0 / math.pi) * np.arcsin(q / (1.0 + q)),
    ),
    "relu": lambda q: (np.sqrt(q / (2.0 * math.pi)), np.full_like(q, 0.5), 0.5 * q),
    "identity": lambda q: (0.0 * q, np.ones_like(q), q.copy()),
}

#: Entries of the table of Gaussian densities at all points that are held at a time.
_BLOCK = 1 << 22


def gaussian_moments(f: Any, *, kinks: Sequence[float] = ()) -> tuple[float, float, float]:
    """Return a = E f(u), b = E u f(u), c = E f(u)² for u ~ N(0, 1).

    Closed forms for the named functions; adaptive quadrature for a function (to 1e-10 of the size of f, 1e-5 where f
    returns single precision). Jumps and peaks are found where they are at least 1e-4 wide.

    Parameters
    ----------
    f
        "sign", "erf" (of u/√2), "relu", "tanh", "identity" or a vectorised function.
    kinks
        Points where f or its slope jumps.

    Raises
    ------
    ConvergenceError
        If f cannot be resolved, or has no moments.

    Notes
    -----
    These three numbers are all that the theory of the hidden manifold needs of f, where every field has variance 1
    (HMM paper, section III); ``HiddenManifold(F=...).row_moments`` has them for other variances.

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
        return UNITS[f].moments
    listed = items("kinks", kinks, "numbers, or [] if there are none")
    points = tuple(sorted({number("kinks", k) for k in listed}))
    a, b, c = _by_quadrature(resolve(f, kinks=points), np.ones(1))
    return float(a[0]), float(b[0]), float(c[0])


def row_moments(f: Any, variances: npt.ArrayLike) -> tuple[Array, Array, Array]:
    """Return the moments of f(u_i) for fields u_i ~ N(0, q_i): each row of F has its own.

    Parameters
    ----------
    f
        A nonlinearity of the data.
    variances
        q, shape (N,): |F_i|²/D of the rows of F.

    Returns
    -------
    a, b, c
        Shapes (N,): a_i = E f(u_i), the slope b_i = E u_i f(u_i)/q_i and c_i = E f(u_i)². To leading order
        x_i = a_i + b_i u_i + √ζ_i ξ_i with ζ_i = c_i - a_i² - b_i² q_i. Where q_i = 1 they are
        :func:`gaussian_moments`.

    Raises
    ------
    InvalidParameterError
        If a variance is not positive.

    Examples
    --------
    >>> from hmm_rs.data.moments import row_moments
    >>> a, b, c = row_moments("relu", [1.0, 4.0])
    >>> b.tolist(), c.tolist()
    ([0.5, 0.5], [0.5, 2.0])
    """
    f = check_nonlinearity(f)
    q = array("variances", variances, (None,))
    if not (q > 0.0).all():
        raise InvalidParameterError(
            f"variances: the smallest is {q.min()}: must be > 0; drop rows of zeros from F"
        )
    if isinstance(f, str):
        closed = _CLOSED.get(f)
        a, b, c = closed(q) if closed else _by_quadrature(_resolved(UNITS[f].value, q), q)
        unit = q == 1.0
        for values, known in zip((a, b, c), UNITS[f].moments, strict=True):
            values[unit] = known
        return a, b, c
    return _by_quadrature(_resolved(f, q), q)


def hermite_coefficients(f: Any, variances: Array) -> Iterator[Array]:
    """Yield h_k of f(√q_i z) = Σ_k h_k He_k(z)/√k! for k = 0, 1, ..., shape (N,) each.

    Parameters
    ----------
    f
        A checked nonlinearity.
    variances
        q, shape (N,), positive.
    """
    rule = _resolved(UNITS[f].value if isinstance(f, str) else f, variances)
    # Rows of equal variance have equal coefficients.
    distinct, place = np.unique(variances, return_inverse=True)
    z = rule.u / np.sqrt(distinct)[:, None]
    # Hermite functions: the root of the density goes with the polynomial, so that neither overflows.
    root = np.exp(-0.25 * z * z)
    weighted = root * (rule.weights * rule.values) / np.sqrt(2.0 * math.pi * distinct)[:, None]
    before, now = np.zeros_like(z), root
    k = 0
    while True:
        yield np.einsum("in,in->i", weighted, now)[place]
        before, now = now, (z * now - math.sqrt(k) * before) / math.sqrt(k + 1.0)
        k += 1


def hermite_bytes(f: Any, variances: Array) -> int:
    """Return the bytes that :func:`hermite_coefficients` holds."""
    rule = _resolved(UNITS[f].value if isinstance(f, str) else f, variances)
    return 5 * 8 * len(rule.u) * len(np.unique(variances))


def _resolved(f: Callable[[Any], Any], q: Array) -> Resolved:
    # Rounded outwards to powers of two, so that like variances share their points.
    low, high = np.sqrt(q.min()), np.sqrt(q.max())
    if low != 1.0 or high != 1.0:
        low, high = 2.0 ** math.floor(math.log2(low)), 2.0 ** math.ceil(math.log2(high))
    return resolve(f, float(low), float(high))


def _by_quadrature(rule: Resolved, q: Array) -> tuple[Array, Array, Array]:
    """Return a, b and c for fields of variances `q`, in blocks of rows that differ."""
    q, place = np.unique(q, return_inverse=True)
    moments = np.empty((3, len(q)))
    with within_range("f", "scale it down"):
        shares = np.stack([rule.values, rule.u * rule.values, rule.values**2]) * rule.weights
    step = max(1, _BLOCK // len(rule.u))
    for start in range(0, len(q), step):
        part = q[start : start + step, None]
        density = np.exp(-0.5 * rule.u**2 / part) / np.sqrt(2.0 * math.pi * part)
        moments[:, start : start + step] = np.einsum("in,mn->mi", density, shares)
    moments[1] /= q
    return moments[0, place], moments[1, place], moments[2, place]
