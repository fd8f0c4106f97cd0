"""Bounds on the distance of fields from Gaussian, for one given F and w."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ...data.draws import generator
from ...data.hidden_manifold import HiddenManifold
from ...data.nonlinearity import Nonlinearity
from ...ground.activations import UNITS, activation
from ...ground.arguments import array, count, number, reals
from ...ground.arguments import seed as checked_seed
from ...ground.errors import InvalidParameterError
from ...ground.linear_algebra import product
from ...ground.memory import require
from ...ground.overflow import finite, within_range
from ...ground.record import Record
from .fields import covariances, feature_matrix, field_covariance, operator_norm, weight_rows, whitening

__all__ = ["SMOOTH", "crude_bound", "stein_bound", "stein_kernel"]

Vector = npt.NDArray[np.float64]

#: Numbers of one block of samples: bounds the memory of a sample of any size.
BLOCK = 1 << 22
#: Nonlinearities with a computable bound.
SMOOTH = ("erf", "relu", "tanh", "identity")
#: Suprema of |f'| and |f''|.
_SUPREMA = {
    "erf": (math.sqrt(2 / math.pi), math.sqrt(2 / math.pi) * math.exp(-0.5)),
    "tanh": (1.0, 4.0 / (3.0 * math.sqrt(3.0))),
    "identity": (1.0, 0.0),
}


def _check_smooth(f: Nonlinearity) -> str:
    if isinstance(f, str) and f == "sign":
        raise InvalidParameterError(
            "f = 'sign': its derivative is no function and the bound is infinite; "
            "use test_gaussian_equivalence, which measures the distance"
        )
    if callable(f):
        raise InvalidParameterError(
            "f is a function: the bound needs its derivative in closed form; pass one of "
            + ", ".join(repr(name) for name in SMOOTH)
        )
    return activation("f", f, SMOOTH)


@within_range("u and gain")
def stein_kernel(u: npt.ArrayLike, f: str, *, gain: float = 1.0) -> Vector:
    r"""Return :math:`S(u) = \int_0^1 E_\xi\, g'(tu + \sqrt{1-t^2}\,\xi)\, dt` for :math:`g(u) = f(\mathrm{gain}\,u)`.

    :math:`-DL^{-1}g` of Malliavin calculus. Closed forms in the inner average for erf and relu.

    Examples
    --------
    >>> round(float(stein_kernel(0.0, "relu")), 12)
    0.5
    """
    name = _check_smooth(f)
    points = reals("u", u)
    s = number("gain", gain, minimum=0.0, exclusive=True)
    if name == "identity":
        return np.full(points.shape, s)
    nodes, weights = np.polynomial.legendre.leggauss(64)
    nodes, weights = (nodes + 1) / 2, weights / 2
    total = np.zeros(points.shape)
    if name == "relu":
        from scipy.special import ndtr

        # Positively homogeneous: g = gain relu; t = sin(angle).
        for angle, weight in zip(nodes * math.pi / 2, weights * math.pi / 2, strict=True):
            total += s * weight * math.cos(angle) * ndtr(points * math.tan(angle))
        return total
    if name == "erf":
        for t, weight in zip(nodes, weights, strict=True):
            width = 1 + s * s * (1 - t * t)
            total += (
                weight * s * math.sqrt(2 / (math.pi * width)) * np.exp(-((s * t * points) ** 2) / (2 * width))
            )
        return total
    xi, mass = np.polynomial.hermite_e.hermegauss(100)
    mass = mass / mass.sum()
    slope = UNITS[name].slope
    for t, weight in zip(nodes, weights, strict=True):
        inner = slope(s * (t * points[..., None] + math.sqrt(1 - t * t) * xi))
        total += weight * s * (inner * mass).sum(axis=-1)
    return total


class _Table:
    """The Stein kernel by interpolation: evaluated on millions of fields."""

    def __init__(self, f: str, gain: float) -> None:
        self.f, self.gain = f, gain
        # Beyond 12 standard deviations no sample falls; 4000 knots give 1e-11.
        from scipy.interpolate import CubicSpline

        knots = np.linspace(-12.0, 12.0, 4001)
        self.spline = CubicSpline(knots, stein_kernel(knots, f, gain=gain))

    def __call__(self, u: Vector) -> Vector:
        return np.asarray(self.spline(np.clip(u, -12.0, 12.0)))


@within_range("F, w and teacher")
def stein_bound(
    F: npt.ArrayLike | HiddenManifold,
    w: npt.ArrayLike,
    f: Nonlinearity | None = None,
    *,
    teacher: npt.ArrayLike | None = None,
    directions: npt.ArrayLike | None = None,
    n_samples: int = 5000,
    seed: Any = 0,
) -> Record:
    r"""Bound the distance of the fields from Gaussian for one given F and w.

    With :math:`T = \langle DG, -DL^{-1}G\rangle` of a field (or slice) G of variance :math:`s^2`,
    :math:`E\,T = s^2` and

    .. math:: d_{\rm Kolmogorov} \le \beta, \qquad d_{\rm TV} \le 2\beta, \qquad
       d_{\rm Wasserstein} \le \sqrt{2/\pi}\, s\beta, \qquad \beta = \sqrt{\mathrm{Var}\,T}/s^2 .

    Parameters
    ----------
    F
        Features with rows of any norm (gains enter row by row), shape (N, D), or a hidden manifold.
    w
        Weights, shape (N,) or (K, N).
    f
        "erf", "relu", "tanh" or "identity". Not "sign", whose Var T is infinite.
    teacher
        Teacher weights on the latents, (D,) or (M, D): slices of teacher and student fields together.
    directions
        Slices of the *whitened* fields (students, then teachers), shape (S, K + M). Default: every student
        field by itself (unwhitened), and with a teacher 6 angles of every pair.
    n_samples
        Samples of the Monte Carlo estimate of Var T.
    seed
        Names them.

    Returns
    -------
    Record
        ``beta``, ``beta_error`` (one standard error), ``kolmogorov``, ``total_variation``, ``wasserstein``,
        ``variance`` and ``self_check`` = E T / s^2 (1 up to ``self_check_error``), arrays over slices.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> model = hr.HiddenManifold(200, 100, f="erf", normalise_rows=True)
    >>> bound = stein_bound(model, np.ones(200))
    >>> bool(0 < bound["kolmogorov"][0] < 1)
    True
    """
    if f is None:
        if not isinstance(F, HiddenManifold):
            raise InvalidParameterError('f is missing: a matrix has none; pass f="erf" or another name')
        f = F.f
    name = _check_smooth(f)
    matrix = feature_matrix(F)
    N, D = matrix.shape
    a = weight_rows("w", w, N) / math.sqrt(N)
    h = np.zeros((0, D)) if teacher is None else weight_rows("teacher", teacher, D) / math.sqrt(D)
    samples = count("n_samples", n_samples, minimum=2)
    seed = checked_seed(seed)
    pairs = (len(a) + len(h)) ** 2
    require(
        (3 * samples * pairs + 3 * BLOCK + 8 * N * N) * 8,
        f"the bound of {N} inputs from {samples} samples",
        "use fewer samples",
    )
    omega, phi = covariances(matrix, name)
    covariance = finite("F, w and teacher", field_covariance(a, h, omega, phi))
    slices = _slices(covariance, len(a), len(h), directions)
    products = finite("F, w and teacher", _malliavin_products(matrix, a, h, name, samples, seed))
    T = np.einsum("sk,nkl,sl->ns", slices, products, slices)
    exact = np.einsum("sk,kl,sl->s", slices, covariance, slices)
    # The linearised covariance (tanh) is an approximation: the sample mean of T is the exact variance.
    variance = exact if name in ("erf", "relu", "identity") else T.mean(axis=0)
    spread = T.std(axis=0, ddof=1)
    beta = spread / variance
    fourth = ((T - T.mean(axis=0)) ** 4).mean(axis=0)
    # Standard error of a standard deviation: sqrt((m4 - s^4)/n)/(2 s).
    error = np.sqrt(np.maximum(fourth - spread**4, 0) / samples) / (2 * np.maximum(spread, 1e-300)) / variance
    values = {
        "beta": beta,
        "beta_error": error,
        "kolmogorov": beta,
        "total_variation": 2 * beta,
        "wasserstein": math.sqrt(2 / math.pi) * np.sqrt(variance) * beta,
        "variance": variance,
        "self_check": T.mean(axis=0) / exact,
        "self_check_error": spread / math.sqrt(samples) / exact,
        "directions": slices,
    }
    finite("F, w, teacher and directions", values)
    return Record(
        values,
        source="theory",
        dim="slice",
        along=np.arange(len(slices)),
        settings={"f": name, "n_samples": samples, "seed": repr(seed)},
        cite=("gaussian-equivalence",),
    )


def _slices(covariance: Vector, K: int, M: int, directions: npt.ArrayLike | None) -> Vector:
    """Return coefficients of the slices in the fields themselves, shape (S, K + M)."""
    if directions is not None:
        whitened = array("directions", directions, (None, K + M), rule="= (slices, fields)")
        return np.asarray(product(whitened, whitening(covariance)[1]))
    alone = np.eye(K, K + M)
    if M == 0:
        return alone
    angles = np.linspace(0, math.pi, 6, endpoint=False)
    pairs = []
    for k in range(K):
        for m in range(M):
            index = [k, K + m]
            inverse = whitening(covariance[np.ix_(index, index)])[1]
            unit = np.stack([np.cos(angles), np.sin(angles)], axis=1)
            rows = np.zeros((len(angles), K + M))
            rows[:, index] = product(unit, inverse)
            pairs.append(rows)
    return np.vstack([alone, *pairs])


def _malliavin_products(matrix: Vector, a: Vector, h: Vector, f: str, samples: int, seed: Any) -> Vector:
    """Return D G_k . D~ G_l of all pairs of fields at every sample, shape (n, K + M, K + M)."""
    N, D = matrix.shape
    norms = np.sqrt((matrix * matrix).sum(axis=1))
    unit = matrix / norms[:, None]
    equal = np.ptp(norms) < 1e-12
    tables = [_Table(f, float(norms[0]))] if equal else [_Table(f, float(s)) for s in norms]
    slope = UNITS[f].slope
    draws = generator(seed)
    fields = len(a) + len(h)
    products = np.empty((samples, fields, fields))
    step = max(1, BLOCK // (8 * max(N, D)))
    for start in range(0, samples, step):
        stop = min(start + step, samples)
        u = np.asarray(product(draws.standard_normal((stop - start, D)), unit.T), np.float64)
        derivative = slope(u * norms) * norms
        smoothed = tables[0](u) if equal else np.column_stack([t(u[:, i]) for i, t in enumerate(tables)])
        left = np.empty((stop - start, fields, D))
        right = np.empty_like(left)
        for k, weights in enumerate(a):
            left[:, k] = product(derivative * weights, unit)
            right[:, k] = product(smoothed * weights, unit)
        left[:, len(a) :] = right[:, len(a) :] = h
        products[start:stop] = np.einsum("nkd,nld->nkl", left, right)
    return products


@within_range("F and w")
def crude_bound(F: npt.ArrayLike | HiddenManifold, w: npt.ArrayLike, f: str | None = None) -> Vector:
    r"""Return a closed-form bound on the Kolmogorov distance for twice differentiable f.

    .. math:: \frac{\sqrt{10}}{2} \frac{|f''|_\infty |f'|_\infty |F|_{op}^3 |a|_\infty |a|_2}{s^2}

    (second-order Poincaré). Right in its scaling :math:`N^{-1/2}\sqrt{\log N}`, and larger than 1 at every size that
    fits a computer: for orientation only.

    Examples
    --------
    >>> round(crude_bound(np.eye(4), np.ones(4), "erf").item(), 3)
    0.916
    """
    if f is None:
        if not isinstance(F, HiddenManifold) or not isinstance(F.f, str):
            raise InvalidParameterError('f is missing: the bound needs a named function; pass f="erf"')
        f = F.f
    f = activation("f", f, tuple(_SUPREMA))
    matrix = feature_matrix(F)
    a = weight_rows("w", w, matrix.shape[0]) / math.sqrt(matrix.shape[0])
    first, second = _SUPREMA[f]
    omega = covariances(matrix, f)[0]
    variance = finite("F and w", (product(a, omega) * a).sum(axis=1))
    if not (variance > 0.0).all():
        raise InvalidParameterError(
            "w has a row whose field does not vary: its bound needs a variance; drop that row"
        )
    size = np.abs(a).max(axis=1) * np.sqrt((a * a).sum(axis=1))
    return np.asarray(math.sqrt(10) / 2 * second * first * operator_norm(matrix) ** 3 * size / variance)
