"""Order parameters of given weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .. import _lib
from ..data.covariances import mean_squares, one_layer_covariances
from ..data.hidden_manifold import HiddenManifold, rows_are_alike
from ..data.moments import gaussian_moments
from ..data.nonlinearity import Nonlinearity, check_nonlinearity
from ..ground.activations import DATA, EXACT, UNITS, activation
from ..ground.arguments import array, number
from ..ground.errors import InvalidParameterError
from ..ground.overflow import finite, within_range
from ..provenance.recording import recorded

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "centred_moments",
    "check_rows",
    "feature_matrix",
    "neglected_covariance",
    "order_parameters",
]

Array = npt.NDArray[np.float64]

#: A nonlinearity, or its moments (a, b, c).
NonlinearityOrMoments = Nonlinearity | tuple[float, float, float]


def feature_matrix(F: Any) -> npt.NDArray[np.float64]:
    """Return F as an (N, D) array; a model with an attribute ``F`` will do."""
    return array("F", getattr(F, "F", F), (None, None), rule="= (N, D)")


def moments(f: NonlinearityOrMoments) -> tuple[float, float, float]:
    """Return (a, b, c) of a nonlinearity, or of itself."""
    if isinstance(f, str):
        known = _lib.activation_moments(activation("f", f, DATA))
        return known["a"], known["b"], known["c"]
    if callable(f):
        return gaussian_moments(f)
    a, b, c = array("f", f, (3,), rule="= (a, b, c)").tolist()
    return a, b, c


def centred_moments(f: NonlinearityOrMoments, *, center: bool = True) -> tuple[float, float, float]:
    """Return b, c - a² and ζ = c - a² - b² of a centred nonlinearity."""
    a, b, c = moments(f)
    if not center and abs(a) > 1e-12:
        raise InvalidParameterError(
            f"f has the mean a = {a:.6g}: the theory holds for centred inputs only; use center=True"
        )
    zeta = c - a * a - b * b
    if zeta < -1e-9 * abs(c):
        raise InvalidParameterError(
            f"f = {f!r}: c - a² - b² = {zeta:.3g} < 0, but c >= a² + b² always; pass (a, b, c) in this order"
        )
    return b, c - a * a, max(zeta, 0.0)


def check_rows(F: Any, f: NonlinearityOrMoments) -> None:
    """Refuse rows of F of unlike norms, unless f is linear."""
    b, _, zeta = centred_moments(f, center=True)
    if zeta <= 1e-12 * b * b or rows_are_alike(F if isinstance(F, HiddenManifold) else feature_matrix(F)):
        return
    variances = mean_squares(feature_matrix(F))
    raise InvalidParameterError(
        f"F has rows of squared norm {variances.min():.3g} D to {variances.max():.3g} D: these equations take one "
        f"set of moments (a, b, c) of f for all inputs, which needs D; scale the rows "
        f"(HiddenManifold(normalise_rows=True)), or use CovarianceODE, which keeps every input's own"
    )


#: Inputs whose covariances are looked at, nodes and reach of the quadrature, and powers of the correlation kept.
_INPUTS, _NODES, _REACH, _DEGREES = 256, 2001, 9.0, 24


def neglected_covariance(F: Array, f: Nonlinearity) -> float:
    r"""Return the share of the inputs' covariances that their linear part b² u_i u_j leaves out.

    .. math:: \Big(\sum_{i \ne j} (\Omega_{ij} - b^2 G_{ij})^2 \Big/ \sum_{i \ne j} \Omega_{ij}^2\Big)^{1/2},
              \qquad G = F F^T / D, \quad \Omega_{ij} = \sum_{n \ge 1} \alpha_n(i) \alpha_n(j)\, \rho_{ij}^n

    over the first 256 inputs, with the Hermite coefficients α_n(i) of f on the field u_i and the correlations ρ_ij of
    the fields. Of order 1/D for odd f and 1/√D for others, and 0 for linear ones.
    """
    F = F[:_INPUTS]
    variances = mean_squares(F)
    if len(F) < 2 or not (variances > 0.0).all():
        return 0.0
    root = np.sqrt(variances)
    correlation = np.einsum("ir,jr->ij", F, F, optimize=False) / F.shape[1] / np.outer(root, root)
    np.clip(correlation, -1.0, 1.0, out=correlation)
    f = check_nonlinearity(f)
    if isinstance(f, str) and f in EXACT:
        omega = one_layer_covariances(F, f)[0]
    else:
        omega = _hermite_sum(UNITS[f].value if isinstance(f, str) else f, root, correlation)
    b = moments(f)[1]
    off = ~np.eye(len(F), dtype=bool)
    rest = omega - b * b * correlation * np.outer(root, root)
    total = float(np.sum(omega[off] ** 2))
    return math.sqrt(float(np.sum(rest[off] ** 2)) / total) if total > 0.0 else 0.0


def _hermite_sum(f: Callable[[Any], Any], root: Array, correlation: Array) -> Array:
    """Return Σ_n α_n(i) α_n(j) ρ_ij^n for fields of standard deviations `root`."""
    u = np.linspace(-_REACH, _REACH, _NODES)
    weight = np.exp(-0.5 * u * u)
    weight /= weight.sum()
    y = np.asarray(f(root[:, None] * u), dtype=np.float64) * weight
    # Orthonormal Hermite polynomials by their recursion.
    before, polynomial = np.zeros_like(u), np.ones_like(u)
    power, omega = np.ones_like(correlation), np.zeros_like(correlation)
    for n in range(1, _DEGREES + 1):
        before, polynomial = polynomial, (u * polynomial - math.sqrt(n - 1) * before) / math.sqrt(n)
        power = power * correlation
        alpha = np.sum(y * polynomial, axis=1)
        omega += np.outer(alpha, alpha) * power
    return omega


@recorded("order_parameters")
def order_parameters(
    F: Any, w: npt.ArrayLike, w_teacher: npt.ArrayLike, *, f: NonlinearityOrMoments
) -> xr.Dataset:
    r"""Return Q, R, T, W and Sigma of given weights on a hidden manifold.

    .. math:: S^k_r = \frac{1}{\sqrt N} \sum_i w^k_i F_{ir}, \quad W = \frac{w w^T}{N}, \quad
              \Sigma = \frac{S S^T}{D}, \quad Q = \zeta W + b^2 \Sigma, \quad
              R = \frac{b}{D} S \tilde w^T, \quad T = \frac{\tilde w \tilde w^T}{D}

    Parameters
    ----------
    F
        Feature matrix, shape (N, D), or a model that has one.
    w
        First layer of the student, shape (K, N).
    w_teacher
        First layer of the teacher on the latents, shape (M, D).
    f
        Name or function of the data's nonlinearity, or its moments (a, b, c). Inputs are centred.

    Returns
    -------
    xarray.Dataset
        Q, W, Sigma (k, k2), R (k, m), T (m, m2).

    Raises
    ------
    InvalidParameterError
        If the rows of F have unlike norms: one set of moments then does not serve all inputs.

    Notes
    -----
    HMM paper, eqs. (20)-(24).

    Examples
    --------
    >>> import numpy as np
    >>> from hmm_rs.theory import order_parameters
    >>> F = np.eye(4) * 2.0
    >>> overlaps = order_parameters(F, np.eye(4)[:1], np.eye(4)[:1], f="identity")
    >>> float(overlaps.T[0, 0]), float(overlaps.R[0, 0])
    (0.25, 0.25)
    """
    import xarray as xr

    check_rows(F, f)
    F = feature_matrix(F)
    N, D = F.shape
    w = array("w", w, (None, N), rule="= (K, N) with N rows of F")
    w_teacher = array("w_teacher", w_teacher, (None, D), rule="= (M, D) with D columns of F")
    b, _, zeta = centred_moments(f)
    # _lib.weight_overlaps divides by the length of the rows.
    with within_range("F and w"):
        S = math.sqrt(N) * finite("F and w", _lib.weight_overlaps(w, np.ascontiguousarray(F.T)))
    W, sigma = _lib.weight_overlaps(w, w), _lib.weight_overlaps(S, S)
    finite("F and w", {"W": W, "Sigma": sigma})
    overlaps = {
        "Q": zeta * W + b * b * sigma,
        "R": b * _lib.weight_overlaps(S, w_teacher),
        "T": _lib.weight_overlaps(w_teacher, w_teacher),
        "W": W,
        "Sigma": sigma,
    }
    finite("F, w and w_teacher", overlaps)
    dims = {"R": ("k", "m"), "T": ("m", "m2")}
    return xr.Dataset(
        {name: (dims.get(name, ("k", "k2")), values) for name, values in overlaps.items()},
        attrs={"number_of_inputs": number("N", N), "number_of_latents": number("D", D)},
    )
