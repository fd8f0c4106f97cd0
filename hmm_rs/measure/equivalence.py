r"""Gaussian equivalence as numbers: when the fields of a network on structured data are Gaussian.

For inputs :math:`x = f(Fz)`, latents :math:`z \sim N(0, 1_D)` and weights w, the fields are

.. math:: \lambda^k = \frac{1}{\sqrt N} \sum_i w^k_i \big(f(u_i) - \kappa_0\big), \quad u = Fz,
   \qquad \nu^m = h^m\cdot z/\sqrt D .

The Gaussian equivalence says that :math:`(\lambda, \nu)` may be replaced by the Gaussian vector with the same
first two moments. Here are the conditions under which it does, a bound on the error that can be computed for
one given F and w, and the measured distance.

Unless a model is given, rows of F have unit norm: pass ``model.F / np.sqrt(model.D)``.

Sources: Goldt et al., "The Gaussian equivalence of generative models for learning with shallow neural
networks" (2020) for the statement; Nourdin and Peccati, "Stein's method and Malliavin calculus" for the bound,
which is not the one of that paper.
"""

# An experiment of users has a name that begins with "test_".
# ruff: noqa: PT028

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy.interpolate import CubicSpline
from scipy.special import erf, ndtr

from ..data.covariances import one_layer_covariances
from ..data.hidden_manifold import HiddenManifold
from ..data.latent import LatentModel
from ..data.nonlinearity import Nonlinearity, check_nonlinearity, gaussian_moments
from ..ground.arguments import array, choice, count, number, seed_words
from ..ground.errors import InvalidParameterError, ShapeError
from ..ground.results import dataset
from ..theory.replica.learning import Spectrum, separability_threshold

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "conditions",
    "crude_bound",
    "diagnose",
    "excess_kurtosis",
    "kappas",
    "kernel",
    "kolmogorov_distance",
    "mmd2",
    "rates",
    "skewness",
    "stein_bound",
    "stein_kernel",
    "test_gaussian_equivalence",
]

Vector = npt.NDArray[np.float64]

#: Kolmogorov distance of n Gaussian samples from their own law: 0.87 / sqrt(n) on average.
FLOOR = 0.87
#: Samples of one block: bounds the memory of a sample of any size.
BLOCK = 1 << 22
#: Nonlinearities with a computable bound.
SMOOTH = ("erf", "relu", "tanh", "identity")
#: Suprema of |f'| and |f''|.
_SUPREMA = {
    "erf": (math.sqrt(2 / math.pi), math.sqrt(2 / math.pi) * math.exp(-0.5)),
    "tanh": (1.0, 4.0 / (3.0 * math.sqrt(3.0))),
    "identity": (1.0, 0.0),
}


def kappas(f: Nonlinearity, *, gain: float = 1.0) -> tuple[float, float, float]:
    r"""Return :math:`\kappa_0, \kappa_1, \kappa_*` of :math:`\xi \mapsto f(\mathrm{gain}\,\xi)`.

    :math:`\kappa_0 = E f`, :math:`\kappa_1 = E\,\xi f`, :math:`\kappa_*^2 = E f^2 - \kappa_0^2 - \kappa_1^2`.

    Examples
    --------
    >>> [round(k, 6) for k in kappas("sign")]
    [0.0, 0.797885, 0.60281]
    """
    scale = number("gain", gain, minimum=0.0, exclusive=True)
    a, b, c = gaussian_moments(_scaled(check_nonlinearity(f), scale))
    return a, b, math.sqrt(max(c - a * a - b * b, 0.0))


def _scaled(f: Nonlinearity, gain: float) -> Nonlinearity:
    if gain == 1.0 or f == "sign":
        return f
    function = _value(f) if isinstance(f, str) else f
    return lambda u: function(gain * u)


def kernel(r: npt.ArrayLike, f: str) -> Vector:
    r"""Return the covariance of :math:`f(u), f(u')` for unit Gaussians with correlation r.

    sign: :math:`\frac2\pi\arcsin r`; erf: :math:`\frac2\pi\arcsin\frac r2`;
    relu: :math:`\frac{\sqrt{1-r^2}+r(\pi-\arccos r)-1}{2\pi}`.

    Examples
    --------
    >>> float(kernel(0.0, "relu"))
    0.0
    """
    choice("f", f, ("sign", "erf", "relu"))
    values = np.asarray(r, dtype=np.float64)
    if not (np.abs(values) <= 1.0).all():
        raise InvalidParameterError(
            "r holds values outside [-1, 1]: must be correlations; divide by the variances"
        )
    if f == "relu":
        return np.asarray(
            (np.sqrt(1 - values**2) + values * (math.pi - np.arccos(values)) - 1) / (2 * math.pi)
        )
    return np.asarray(2 / math.pi * np.arcsin(values if f == "sign" else values / 2))


# --- conditions ---------------------------------------------------------------------------------


def _features(F: npt.ArrayLike | LatentModel) -> Vector:
    """Return the feature matrix with unit rows in the mean, (N, D)."""
    if isinstance(F, HiddenManifold):
        return F.F / math.sqrt(F.D)
    if isinstance(F, LatentModel):
        raise InvalidParameterError(
            f"F = {type(F).__name__}: conditions are stated for one-layer models; pass a HiddenManifold or a matrix"
        )
    matrix = array("F", F, (None, None))
    if not matrix.any(axis=1).all():
        raise InvalidParameterError("F has a row of zeros: its input does not vary; drop that row")
    return matrix


def _weights(name: str, w: npt.ArrayLike, size: int) -> Vector:
    """Return weights as (units, size)."""
    return array(name, np.atleast_2d(np.asarray(w, dtype=np.float64)), (None, size), rule="= (units, size)")


def conditions(
    F: npt.ArrayLike | HiddenManifold,
    w: npt.ArrayLike,
    *,
    f: Nonlinearity | None = None,
    teacher: npt.ArrayLike | None = None,
) -> dict[str, Any]:
    r"""Return the conditions of the equivalence theorem as numbers.

    Parameters
    ----------
    F
        Features with unit rows, shape (N, D), or a hidden manifold.
    w
        Weights, shape (N,) or (K, N); :math:`a = w/\sqrt N`.
    f
        Nonlinearity, for the variance of the fields (that of the model if one is given).
    teacher
        Teacher weights on the latents, shape (D,) or (M, D).

    Returns
    -------
    dict
        ``row_norm`` (C1): :math:`\max_i ||f_i|-1|`, 0 is best, gains enter row by row otherwise.
        ``incoherence`` (C2): :math:`\max_{i\ne j}|f_i\cdot f_j|/(|f_i||f_j|)`, about
        :math:`\sqrt{4\log N/D}` for random rows. ``operator_norm`` (C3), with ``operator_norm_random``
        :math:`1+\sqrt{N/D}`. ``delocalisation`` (C4), shape (K,): :math:`|a|_\infty/|a|_2`, 1 for a single unit,
        with ``delocalisation_random`` :math:`\sqrt{2\log N/N}`. ``tensor`` (C5), (K,):
        :math:`|F^T\mathrm{diag}(a)F|_{op}`, and ``linear``:
        :math:`|F^Ta|_2`. With f, ``variance`` (C6), (K,): that of the fields, and
        ``tensor_over_sd``. With a teacher, ``teacher_norm`` :math:`|h|^2/D`.

    Notes
    -----
    No yes or no: the theorem is asymptotic, and numbers at one N decide nothing by themselves.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> model = hr.HiddenManifold(200, 100, f="erf", normalise_rows=True)
    >>> round(conditions(model, np.eye(200)[0])["delocalisation"].item(), 6)  # a single unit
    1.0
    """
    if f is None and isinstance(F, HiddenManifold):
        f = F.f
    matrix = _features(F)
    N, D = matrix.shape
    a = _weights("w", w, N) / math.sqrt(N)
    norms = np.linalg.norm(matrix, axis=1)
    correlation = (matrix / norms[:, None]) @ (matrix / norms[:, None]).T
    np.fill_diagonal(correlation, 0.0)
    lengths = np.linalg.norm(a, axis=1)
    if not (lengths > 0).all():
        raise InvalidParameterError("w has a row of zeros: its field does not vary; drop that row")
    tensor = np.array([np.abs(np.linalg.eigvalsh((matrix.T * row) @ matrix)).max() for row in a])
    result: dict[str, Any] = {
        "row_norm": float(np.abs(norms - 1).max()),
        "incoherence": float(np.abs(correlation).max()),
        "operator_norm": float(np.linalg.norm(matrix, 2)),
        "operator_norm_random": 1 + math.sqrt(N / D),
        "delocalisation": np.abs(a).max(axis=1) / lengths,
        "delocalisation_random": math.sqrt(2 * math.log(max(N, 2)) / N),
        "tensor": tensor,
        "linear": np.linalg.norm(a @ matrix, axis=1),
    }
    if f is not None:
        omega = _covariances(matrix, check_nonlinearity(f))[0]
        result["variance"] = np.einsum("ki,ij,kj->k", a, omega, a)
        result["tensor_over_sd"] = tensor / np.sqrt(result["variance"])
    if teacher is not None:
        h = _weights("teacher", teacher, D)
        result["teacher_norm"] = (h**2).sum(axis=1) / D
    return result


def _covariances(matrix: Vector, f: Nonlinearity) -> tuple[Vector, Vector]:
    """Return (Omega, Phi) of x = f(F z) for unit rows: exact where known, else linearised."""
    D = matrix.shape[1]
    if f in ("sign", "erf", "relu"):
        return one_layer_covariances(matrix * math.sqrt(D), str(f))
    norms = np.linalg.norm(matrix, axis=1)
    moments = np.array([kappas(f, gain=float(s))[1:] for s in norms])
    if np.ptp(norms) < 1e-12:
        moments = np.tile(moments[:1], (len(norms), 1))
    slopes = (moments[:, 0] / norms)[:, None] * matrix
    return slopes @ slopes.T + np.diag(moments[:, 1] ** 2), slopes


# --- the bounds -------------------------------------------------------------------------------


def _value(f: str) -> Callable[[Any], Any]:
    """Return the named function on arrays."""
    named: dict[str, Callable[[Any], Any]] = {
        "sign": np.sign,
        "erf": lambda u: erf(u / math.sqrt(2)),
        "relu": lambda u: np.maximum(u, 0.0),
        "tanh": np.tanh,
        "identity": lambda u: u,
    }
    return named[f]


def _derivative(f: str) -> Callable[[Any], Any]:
    """Return f' on arrays."""
    named: dict[str, Callable[[Any], Any]] = {
        "erf": lambda u: math.sqrt(2 / math.pi) * np.exp(-u * u / 2),
        "relu": lambda u: (u > 0).astype(np.float64),
        "tanh": lambda u: 1 / np.cosh(np.clip(u, -300, 300)) ** 2,
        "identity": np.ones_like,
    }
    return named[f]


def _check_smooth(f: Nonlinearity) -> str:
    if f == "sign":
        raise InvalidParameterError(
            "f = 'sign': its derivative is no function and the bound is infinite; "
            "use test_gaussian_equivalence, which measures the distance"
        )
    if not isinstance(f, str):
        raise InvalidParameterError(
            "f is a function: the bound needs its derivative in closed form; pass one of "
            + ", ".join(repr(name) for name in SMOOTH)
        )
    return choice("f", f, SMOOTH)


def stein_kernel(u: npt.ArrayLike, f: str, *, gain: float = 1.0) -> Vector:
    r"""Return :math:`S(u) = \int_0^1 E_\xi\, g'(tu + \sqrt{1-t^2}\,\xi)\, dt` for :math:`g(u) = f(\mathrm{gain}\,u)`.

    :math:`-DL^{-1}g` of Malliavin calculus. Closed forms in the inner average for erf and relu.

    Examples
    --------
    >>> round(float(stein_kernel(0.0, "relu")), 12)
    0.5
    """
    name = _check_smooth(f)
    points = np.asarray(u, dtype=np.float64)
    s = number("gain", gain, minimum=0.0, exclusive=True)
    if name == "identity":
        return np.full(points.shape, s)
    nodes, weights = np.polynomial.legendre.leggauss(64)
    nodes, weights = (nodes + 1) / 2, weights / 2
    total = np.zeros(points.shape)
    if name == "relu":
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
    slope = _derivative(name)
    for t, weight in zip(nodes, weights, strict=True):
        inner = slope(s * (t * points[..., None] + math.sqrt(1 - t * t) * xi))
        total += weight * s * (inner @ mass)
    return total


class _Table:
    """The Stein kernel by interpolation: evaluated on millions of fields."""

    def __init__(self, f: str, gain: float) -> None:
        self.f, self.gain = f, gain
        # Beyond 12 standard deviations no sample falls; 4000 knots give 1e-11.
        knots = np.linspace(-12.0, 12.0, 4001)
        self.spline = CubicSpline(knots, stein_kernel(knots, f, gain=gain))

    def __call__(self, u: Vector) -> Vector:
        return np.asarray(self.spline(np.clip(u, -12.0, 12.0)))


def stein_bound(
    F: npt.ArrayLike | HiddenManifold,
    w: npt.ArrayLike,
    f: Nonlinearity | None = None,
    *,
    teacher: npt.ArrayLike | None = None,
    directions: npt.ArrayLike | None = None,
    n_samples: int = 5000,
    seed: Any = 0,
) -> dict[str, Any]:
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
    dict
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
    matrix = _features(F)
    N, D = matrix.shape
    a = _weights("w", w, N) / math.sqrt(N)
    h = np.zeros((0, D)) if teacher is None else _weights("teacher", teacher, D) / math.sqrt(D)
    samples = count("n_samples", n_samples, minimum=2)
    omega, phi = _covariances(matrix, name)
    covariance = _field_covariance(a, h, omega, phi)
    slices = _slices(covariance, len(a), len(h), directions)
    products = _malliavin_products(matrix, a, h, name, samples, seed)
    T = np.einsum("sk,nkl,sl->ns", slices, products, slices)
    exact = np.einsum("sk,kl,sl->s", slices, covariance, slices)
    # The linearised covariance (tanh) is an approximation: the sample mean of T is the exact variance.
    variance = exact if name in ("erf", "relu", "identity") else T.mean(axis=0)
    spread = T.std(axis=0, ddof=1)
    beta = spread / variance
    fourth = ((T - T.mean(axis=0)) ** 4).mean(axis=0)
    # Standard error of a standard deviation: sqrt((m4 - s^4)/n)/(2 s).
    error = np.sqrt(np.maximum(fourth - spread**4, 0) / samples) / (2 * np.maximum(spread, 1e-300)) / variance
    return {
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


def _field_covariance(a: Vector, h: Vector, omega: Vector, phi: Vector) -> Vector:
    """Return the covariance of (lambda, nu) for a = w/sqrt N and h/sqrt D."""
    cross = a @ phi @ h.T
    return np.block([[a @ omega @ a.T, cross], [cross.T, h @ h.T]])


def _slices(covariance: Vector, K: int, M: int, directions: npt.ArrayLike | None) -> Vector:
    """Return coefficients of the slices in the fields themselves, shape (S, K + M)."""
    if directions is not None:
        whitened = array("directions", directions, (None, K + M), rule="= (slices, fields)")
        return np.asarray(np.linalg.solve(np.linalg.cholesky(covariance).T, whitened.T).T)
    alone = np.eye(K, K + M)
    if M == 0:
        return alone
    angles = np.linspace(0, math.pi, 6, endpoint=False)
    pairs = []
    for k in range(K):
        for m in range(M):
            index = [k, K + m]
            root = np.linalg.cholesky(covariance[np.ix_(index, index)])
            unit = np.stack([np.cos(angles), np.sin(angles)])
            rows = np.zeros((len(angles), K + M))
            rows[:, index] = np.linalg.solve(root.T, unit).T
            pairs.append(rows)
    return np.vstack([alone, *pairs])


def _malliavin_products(matrix: Vector, a: Vector, h: Vector, f: str, samples: int, seed: Any) -> Vector:
    """Return D G_k . D~ G_l of all pairs of fields at every sample, shape (n, K + M, K + M)."""
    N, D = matrix.shape
    norms = np.linalg.norm(matrix, axis=1)
    unit = matrix / norms[:, None]
    equal = np.ptp(norms) < 1e-12
    tables = [_Table(f, float(norms[0]))] if equal else [_Table(f, float(s)) for s in norms]
    slope = _derivative(f)
    generator = np.random.default_rng(seed_words(seed))
    fields = len(a) + len(h)
    products = np.empty((samples, fields, fields))
    step = max(1, BLOCK // (8 * max(N, D)))
    for start in range(0, samples, step):
        stop = min(start + step, samples)
        u = generator.standard_normal((stop - start, D)) @ unit.T
        derivative = slope(u * norms) * norms
        smoothed = tables[0](u) if equal else np.column_stack([t(u[:, i]) for i, t in enumerate(tables)])
        left = np.empty((stop - start, fields, D))
        right = np.empty_like(left)
        for k, weights in enumerate(a):
            left[:, k] = (derivative * weights) @ unit
            right[:, k] = (smoothed * weights) @ unit
        left[:, len(a) :] = right[:, len(a) :] = h
        products[start:stop] = left @ right.transpose(0, 2, 1)
    return products


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
    choice("f", f, _SUPREMA)
    matrix = _features(F)
    a = _weights("w", w, matrix.shape[0]) / math.sqrt(matrix.shape[0])
    first, second = _SUPREMA[f]
    omega = _covariances(matrix, f)[0]
    variance = np.einsum("ki,ij,kj->k", a, omega, a)
    size = np.abs(a).max(axis=1) * np.linalg.norm(a, axis=1)
    return np.asarray(math.sqrt(10) / 2 * second * first * np.linalg.norm(matrix, 2) ** 3 * size / variance)


# --- measured distances -------------------------------------------------------------------------


def _standardised(x: npt.ArrayLike) -> Vector:
    values = array("x", x, (None,))
    spread = values.std()
    if values.size < 2 or spread == 0:
        raise InvalidParameterError(
            "x does not vary: a distance from a Gaussian needs a variance; pass more samples"
        )
    return np.asarray((values - values.mean()) / spread)


def kolmogorov_distance(x: npt.ArrayLike) -> float:
    """Return the Kolmogorov distance of standardised samples (n,) from N(0, 1).

    Standardised with the population standard deviation. Gaussian samples give 0.87/sqrt(n) on average.

    Examples
    --------
    >>> round(kolmogorov_distance([0.1, 1.2, -0.7, 0.5, -1.9]), 6)
    0.196428
    """
    z = np.sort(_standardised(x))
    cdf = ndtr(z)
    steps = np.arange(z.size + 1) / z.size
    return float(max((steps[1:] - cdf).max(), (cdf - steps[:-1]).max()))


def skewness(x: npt.ArrayLike) -> float:
    """Return the skewness of samples (n,); its sampling error is sqrt(6/n)."""
    return float((_standardised(x) ** 3).mean())


def excess_kurtosis(x: npt.ArrayLike) -> float:
    """Return the excess kurtosis of samples (n,); its sampling error is sqrt(24/n)."""
    return float((_standardised(x) ** 4).mean() - 3.0)


def mmd2(x: npt.ArrayLike, *, bandwidth: float = 1.0) -> float:
    r"""Return the unbiased squared maximum mean discrepancy of samples (n, d) from :math:`N(0, 1_d)`.

    Gaussian kernel :math:`e^{-|x-y|^2/2h^2}`; the Gaussian's own averages in closed form. May be negative. At 4000
    samples its noise is about 5e-5: cumulants and the Kolmogorov distance resolve rates better.

    Examples
    --------
    >>> points = [[0.1, -0.4], [1.2, 0.3], [-0.7, 0.9], [0.5, -1.6], [-1.9, 0.2]]
    >>> round(mmd2(points), 9)
    -0.119708915
    """
    points = array("x", x, (None, None), rule="= (samples, dimensions)")
    h2 = number("bandwidth", bandwidth, minimum=0.0, exclusive=True) ** 2
    n, d = points.shape
    if n < 2:
        raise ShapeError("x has one row: the estimate needs two; pass more samples")
    squares = (points**2).sum(axis=1)
    total = 0.0
    step = max(1, BLOCK // n)
    for start in range(0, n, step):
        block = slice(start, start + step)
        distance = squares[block, None] + squares[None] - 2 * points[block] @ points.T
        total += float(np.exp(-np.maximum(distance, 0) / (2 * h2)).sum())
    own = (total - n) / (n * (n - 1))
    cross = (h2 / (1 + h2)) ** (d / 2) * float(np.exp(-squares / (2 * (1 + h2))).mean())
    both = (h2 / (2 + h2)) ** (d / 2)
    return float(own - 2 * cross + both)


def _fields(model: LatentModel, w: Vector, h: Vector, n: int, seed: Any) -> Vector:
    """Return samples of (lambda, nu), shape (n, K + M), drawn block by block."""
    N, D = model.N, model.D
    out = np.empty((n, len(w) + len(h)))
    step = max(1, BLOCK // (N + D))
    for start in range(0, n, step):
        size = min(step, n - start)
        X, C = model.sample(size, seed=seed, start=start)
        out[start : start + size, : len(w)] = X @ w.T / math.sqrt(N)
        out[start : start + size, len(w) :] = C @ h.T / math.sqrt(D)
    return out


def test_gaussian_equivalence(
    model: LatentModel,
    w: npt.ArrayLike,
    *,
    teacher: npt.ArrayLike | None = None,
    n_samples: int = 100_000,
    directions: int = 64,
    mmd_samples: int = 4000,
    bound_samples: int = 4000,
    seed: Any = 0,
) -> xr.Dataset:
    r"""Measure how far the fields of given weights are from their Gaussian equivalent.

    Parameters
    ----------
    model
        A model of data or a generator.
    w
        Student weights, shape (N,) or (K, N).
    teacher
        Teacher weights on the latents, shape (D,) or (M, D).
    n_samples
        Samples of the fields.
    directions
        Random unit directions of the whitened fields (beside the fields themselves and 8 angles of every
        student-teacher pair) over which the largest Kolmogorov distance is taken.
    mmd_samples
        Samples for the maximum mean discrepancy (its cost is quadratic).
    bound_samples
        Samples for :func:`stein_bound`; skipped for models without one.
    seed
        Names the samples and directions.

    Returns
    -------
    xarray.Dataset
        ``covariance`` and ``covariance_theory`` (field, field2) with ``covariance_error`` (sampling);
        ``skewness`` and ``excess_kurtosis`` (field), sampling errors ``skewness_error``, ``excess_kurtosis_error``;
        ``ks`` (direction) with ``direction_vector``, and where the bound exists ``beta`` (direction);
        ``cdf`` (field, level): empirical minus Gaussian distribution function at standardised levels.
        Attributes: ``ks_max`` (the maximum-sliced Kolmogorov distance), ``ks_floor`` (what Gaussian samples
        would give), ``mmd2``, the conditions C1 to C5, and ``gaussian``: 1 if skewness and kurtosis stay
        within five sampling errors and ``ks_max`` within 2.5 floors.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> model = hr.HiddenManifold(400, 200, f="erf", normalise_rows=True)
    >>> rng = np.random.default_rng(0)
    >>> result = test_gaussian_equivalence(model, rng.standard_normal(400), n_samples=20_000)
    >>> bool(result.attrs["ks_max"] < 3 * result.attrs["ks_floor"])
    True
    """
    if not isinstance(model, LatentModel):
        raise InvalidParameterError(
            f"model = {model!r:.80}: must be a model of data; pass HiddenManifold(...) or a generator"
        )
    students = _weights("w", w, model.N)
    h = np.zeros((0, model.D)) if teacher is None else _weights("teacher", teacher, model.D)
    n = count("n_samples", n_samples, minimum=100)
    K, M = len(students), len(h)
    fields = _fields(model, students, h, n, seed)
    fields -= fields.mean(axis=0)
    measured = fields.T @ fields / n
    theory = _theory_covariance(model, students, h)
    root = np.linalg.cholesky(measured)
    whitened = np.linalg.solve(root, fields.T).T
    unit = _directions(root, K, M, count("directions", directions, minimum=0), seed)
    ks = np.array([kolmogorov_distance(whitened @ direction) for direction in unit])
    names = [f"student {k}" for k in range(K)] + [f"teacher {m}" for m in range(M)]
    variance = np.diag(measured)
    levels = np.linspace(-3.0, 3.0, 61)
    ordered = np.sort(fields / np.sqrt(variance), axis=0)
    deviation = np.array([np.searchsorted(column, levels) / n for column in ordered.T]) - ndtr(levels)
    values: dict[str, Any] = {
        "covariance": measured,
        "covariance_error": np.sqrt((np.outer(variance, variance) + measured**2) / n),
        "skewness": [skewness(column) for column in fields.T],
        "excess_kurtosis": [excess_kurtosis(column) for column in fields.T],
        "cdf": deviation,
    }
    dims = {
        "covariance": ("field", "field2"),
        "covariance_error": ("field", "field2"),
        "covariance_theory": ("field", "field2"),
        "cdf": ("field", "level"),
    }
    if theory is not None:
        values["covariance_theory"] = theory
    floor = FLOOR / math.sqrt(n)
    errors = {"skewness_error": math.sqrt(6 / n), "excess_kurtosis_error": math.sqrt(24 / n)}
    # The maximum over many directions of pure noise is larger than its mean: 5 errors, twice the floor.
    gaussian = (
        np.abs(values["skewness"]).max() < 5 * errors["skewness_error"]
        and np.abs(values["excess_kurtosis"]).max() < 5 * errors["excess_kurtosis_error"]
        and ks.max() < 2.5 * floor
    )
    attributes: dict[str, Any] = {
        "ks_max": float(ks.max()),
        "ks_floor": floor,
        "mmd2": mmd2(whitened[: count("mmd_samples", mmd_samples, minimum=2)]),
        "gaussian": bool(gaussian),
        **errors,
    }
    if isinstance(model, HiddenManifold):
        attributes.update(_condition_attributes(model, students))
    result = dataset(
        values,
        along=np.arange(K + M),
        dim="field",
        label="field",
        source="simulation",
        settings={"n_samples": n, "directions": len(unit), "seed": repr(seed), "model": repr(model)},
        cite=("gaussian-equivalence",),
        dims=dims,
        **attributes,
    )
    result = result.assign_coords(name=("field", names), level=levels)
    result["ks"] = ("direction", ks, {"long_name": "Kolmogorov distance"})
    result["direction_vector"] = (("direction", "field"), unit)
    if isinstance(model, HiddenManifold) and model.f in SMOOTH and model.center:
        bound = stein_bound(
            model,
            students,
            teacher=h if M else None,
            directions=unit,
            n_samples=bound_samples,
            seed=seed,
        )
        result["beta"] = ("direction", bound["beta"], {"long_name": "Stein bound"})
        result.attrs["beta_max"] = float(bound["beta"].max())
    return result


def _theory_covariance(model: LatentModel, w: Vector, h: Vector) -> Vector | None:
    """Return the covariance of (lambda, nu) that the model predicts, or None if it has no closed form."""
    covariances = getattr(model, "covariances", None)
    if covariances is None:
        return None
    omega, phi = covariances()
    return _field_covariance(w / math.sqrt(model.N), h / math.sqrt(model.D), omega, phi)


def _directions(root: npt.NDArray[Any], K: int, M: int, random: int, seed: Any) -> Vector:
    """Return unit directions in whitened coordinates: fields, angles of pairs, random ones."""
    alone = root / np.linalg.norm(root, axis=1, keepdims=True)
    groups = [alone]
    angles = np.linspace(0, math.pi, 8, endpoint=False)
    for k in range(K):
        for m in range(M):
            plane = np.linalg.qr(root[[k, K + m]].T)[0]
            groups.append(np.stack([np.cos(angles), np.sin(angles)], axis=1) @ plane.T)
    if random and K + M > 1:
        generator = np.random.default_rng([*seed_words(seed).tolist(), 1])
        draws = generator.standard_normal((random, K + M))
        groups.append(draws / np.linalg.norm(draws, axis=1, keepdims=True))
    return np.vstack(groups)


def _condition_attributes(model: HiddenManifold, w: Vector) -> dict[str, float]:
    """Return the conditions as plain numbers, the worst student for those that depend on it."""
    return {name: float(np.max(value)) for name, value in conditions(model, w).items()}


# pytest would collect a function of this name.
test_gaussian_equivalence.__test__ = False  # type: ignore[attr-defined]


#: Weight vectors of :func:`rates`.
WEIGHTS = ("gaussian", "equal", "localised")


def rates(
    N: Sequence[int],
    *,
    ratio: float = 2.0,
    f: str = "erf",
    weights: str = "gaussian",
    n_samples: int = 200_000,
    draws: int = 8,
    bound_samples: int = 3000,
    seed: Any = 0,
) -> xr.Dataset:
    r"""Measure how fast fields become Gaussian with N.

    Parameters
    ----------
    N
        Numbers of inputs.
    ratio
        N/D.
    f
        Nonlinearity.
    weights
        "gaussian": independent. "equal": all 1, the slowest generic case: skewness and Kolmogorov distance
        fall like :math:`N^{-1/2}`. "localised": a single unit, for which the equivalence fails at every N.
    n_samples
        Samples at each N.
    draws
        Weight vectors at each N (1 suffices for "equal" and "localised").
    bound_samples
        Samples of :func:`stein_bound`.
    seed
        Names everything.

    Returns
    -------
    xarray.Dataset
        Over (N, draw): ``ks, skewness, excess_kurtosis`` and, except for sign, ``beta``. Attributes:
        ``ks_floor``, ``kurtosis_slope``, ``skewness_slope`` (fitted exponents of the root mean square, sampling noise
        subtracted) and ``beta_slope``.

    Examples
    --------
    >>> result = rates([50, 100, 200], f="erf", n_samples=20_000, draws=4)
    >>> bool((result.beta > result.ks - 2 * result.attrs["ks_floor"]).all())
    True
    """
    choice("weights", weights, WEIGHTS)
    choice("f", f, ("sign", *SMOOTH))
    sizes = [count("N", n, minimum=2) for n in N]
    columns = count("draws", draws)
    samples = count("n_samples", n_samples, minimum=100)
    number("ratio", ratio, minimum=0.0, exclusive=True)
    words = seed_words(seed).tolist()
    names = ["ks", "skewness", "excess_kurtosis", *(["beta"] if f in SMOOTH else [])]
    table: dict[str, list[Vector]] = {name: [] for name in names}
    for size in sizes:
        D = max(1, round(size / ratio))
        model = HiddenManifold(size, D, f=f, normalise_rows=True, seed=[*words, size])
        if weights == "gaussian":
            w = np.random.default_rng([*words, size]).standard_normal((columns, size))
        else:
            w = np.ones((1, size)) if weights == "equal" else math.sqrt(size) * np.eye(1, size)
        fields = _fields(model, w, np.zeros((0, D)), samples, [*words, size, 1])
        table["ks"].append(np.array([kolmogorov_distance(x) for x in fields.T]))
        table["skewness"].append(np.array([skewness(x) for x in fields.T]))
        table["excess_kurtosis"].append(np.array([excess_kurtosis(x) for x in fields.T]))
        if "beta" in table:
            bound = stein_bound(model, w, n_samples=bound_samples, seed=[*words, size, 2])
            table["beta"].append(bound["beta"])
    stacked = {name: np.array(rows) for name, rows in table.items()}
    attributes: dict[str, Any] = {
        "ks_floor": FLOOR / math.sqrt(samples),
        "kurtosis_error": math.sqrt(24 / samples),
        "kurtosis_slope": _slope(sizes, stacked["excess_kurtosis"], 24 / samples),
        "skewness_slope": _slope(sizes, stacked["skewness"], 6 / samples),
    }
    if "beta" in stacked:
        attributes["beta_slope"] = _slope(sizes, stacked["beta"], 0.0)
    return dataset(
        stacked,
        along=np.array(sizes),
        dim="N",
        label="number of inputs",
        source="simulation",
        settings={"ratio": ratio, "f": f, "weights": weights, "n_samples": samples, "seed": repr(seed)},
        cite=("gaussian-equivalence",),
        dims=dict.fromkeys(stacked, ("N", "draw")),
        f=f,
        weights=weights,
        **attributes,
    )


def _slope(sizes: Sequence[int], values: Vector, noise: float) -> float:
    """Return the exponent of the root mean square against N; NaN where noise hides it."""
    squares = (values**2).mean(axis=1) - noise
    seen = squares > noise
    if np.count_nonzero(seen) < 2:
        return math.nan
    return float(np.polyfit(np.log(np.array(sizes)[seen]), 0.5 * np.log(squares[seen]), 1)[0])


#: Below and above these excess kurtoses of the teacher field a classification prediction is off: at -0.34 the
#: 0/1 error is off by 8 %, at -1 by more than half. A rule of thumb, not a theorem.
KURTOSIS_RANGE = (-0.2, 1.0)
#: Latent dimension below which corrections of order 1/D show.
SMALL_LATENT = 50
#: Monte Carlo samples per feature below which small eigenvalues are biased.
SAMPLES_PER_FEATURE = 100


def diagnose(
    spectrum: Spectrum | None = None,
    *,
    loss: str | None = None,
    alpha: float | None = None,
    lam: float | None = None,
    flip: float = 0.0,
    nu: npt.ArrayLike | None = None,
    w: npt.ArrayLike | None = None,
    latents: int | None = None,
    n_samples: int | None = None,
    p: int | None = None,
) -> dict[str, Any]:
    r"""Say when a prediction of the Gaussian model cannot be trusted, and why.

    Every argument is optional; what is given is looked at.

    Parameters
    ----------
    spectrum
        The problem: :math:`\rho_{lin}\pi/2 > \rho` on labels means that no Gaussian teacher makes them.
    loss
        Classification losses need a Gaussian teacher field; "ridge" depends on second moments only.
    alpha, lam, flip
        Where the prediction is made: near the separability threshold at small penalty it is delicate.
    nu
        Samples of the teacher field: a bimodal one (negative excess kurtosis) breaks classification.
    w
        Weights: localised ones break the equivalence.
    latents
        Latent dimension D.
    n_samples, p
        Monte Carlo samples behind a covariance of p features.

    Returns
    -------
    dict
        ``trustworthy`` (bool), ``findings`` (sentences), and the numbers looked at.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> bimodal = np.sign(rng.standard_normal(10_000)) + 0.3 * rng.standard_normal(10_000)
    >>> diagnose(nu=bimodal, loss="logistic")["trustworthy"]
    False
    >>> diagnose(nu=bimodal, loss="ridge")["trustworthy"]
    True
    """
    if loss is not None:
        choice("loss", loss, ("ridge", "square", "logistic", "hinge"))
    labels = loss != "ridge"
    findings: list[str] = []
    numbers: dict[str, float] = {}
    if nu is not None:
        _diagnose_field(array("nu", nu, (None,)), labels, numbers, findings)
    if spectrum is not None:
        _diagnose_spectrum(spectrum, labels, alpha, lam, flip, numbers, findings)
    if w is not None:
        vector = array("w", w, (None,))
        numbers["delocalisation"] = float(np.abs(vector).max() / max(np.linalg.norm(vector), 1e-300))
        random = math.sqrt(2 * math.log(max(vector.size, 2)) / vector.size)
        if numbers["delocalisation"] > 3 * random:
            findings.append(
                f"one weight carries {numbers['delocalisation']:.2g} of the norm (random weights: {random:.2g}): "
                "its field is as far from Gaussian as a single input"
            )
    if latents is not None and count("latents", latents) < SMALL_LATENT:
        findings.append(f"latent dimension {latents} < {SMALL_LATENT}: corrections of order 1/D show")
    if n_samples is not None and p is not None:
        numbers["samples_per_feature"] = count("n_samples", n_samples) / count("p", p)
        if numbers["samples_per_feature"] < SAMPLES_PER_FEATURE:
            findings.append(
                f"covariance from {numbers['samples_per_feature']:.3g} samples per feature: at least "
                f"{SAMPLES_PER_FEATURE} are needed, small eigenvalues are biased down"
            )
        if lam is not None and lam < math.sqrt(p / n_samples) * 1e-2:
            findings.append(
                f"lam = {lam:g} is below the error of the sampled covariance: vanishing penalties amplify it"
            )
    return {"trustworthy": not findings, "findings": findings, **numbers}


def _diagnose_field(nu: Vector, labels: bool, numbers: dict[str, float], findings: list[str]) -> None:
    """Look at the kurtosis of the teacher field."""
    numbers["kurtosis"] = excess_kurtosis(nu)
    numbers["kurtosis_error"] = math.sqrt(24 / nu.size)
    low, high = KURTOSIS_RANGE
    if labels and not low <= numbers["kurtosis"] <= high:
        shape = "bimodal" if numbers["kurtosis"] < low else "heavy-tailed"
        findings.append(
            f"the teacher field has excess kurtosis {numbers['kurtosis']:.3g}, outside [{low}, {high}] ({shape}): "
            "predictions of classification errors are off; those of ridge regression hold"
        )


def _diagnose_spectrum(
    spectrum: Spectrum,
    labels: bool,
    alpha: float | None,
    lam: float | None,
    flip: float,
    numbers: dict[str, float],
    findings: list[str],
) -> None:
    """Look at the labels' covariance and at the distance from the separability threshold."""
    numbers["rho_lin"] = spectrum.rho_lin
    numbers["label_bound"] = spectrum.rho_lin * math.pi / 2 / spectrum.rho
    if labels and spectrum.from_labels and numbers["label_bound"] > 1:
        findings.append(
            f"rho_lin pi/2 is {numbers['label_bound']:.3g} times the mean square of the labels: "
            "no Gaussian teacher makes them; only ridge regression is predicted"
        )
    if labels and alpha is not None and lam is not None:
        numbers["separability_threshold"] = separability_threshold(spectrum, flip=flip)
        distance = abs(alpha / numbers["separability_threshold"] - 1)
        if distance < 0.05 and lam < 1e-3:
            findings.append(
                f"alpha = {alpha:g} is within 5 % of the separability threshold "
                f"{numbers['separability_threshold']:.4g} at lam = {lam:g}: finite sizes differ strongly there"
            )
