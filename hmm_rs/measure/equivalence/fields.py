"""Features and weights of a one-layer model, and the second moments of its fields."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ...data.covariances import one_layer_covariances
from ...data.hidden_manifold import HiddenManifold
from ...data.latent import LatentModel
from ...data.moments import gaussian_moments
from ...data.nonlinearity import Nonlinearity, check_nonlinearity
from ...ground.activations import EXACT, UNITS
from ...ground.arguments import array, number, reals
from ...ground.errors import InvalidParameterError
from ...ground.linear_algebra import eigvalsh, gram, product
from ...ground.memory import require
from ...ground.overflow import finite, within_range

__all__ = [
    "covariances",
    "feature_matrix",
    "field_covariance",
    "kappas",
    "operator_norm",
    "weight_rows",
    "whitening",
]

Vector = npt.NDArray[np.float64]

#: Share of a field's variance that must be its own: below it is rounding.
_INDEPENDENT = 1e-12


@within_range("f and gain")
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
    function = UNITS[f].value if isinstance(f, str) else f
    return lambda u: np.asarray(function(gain * np.asarray(u)))


def feature_matrix(F: npt.ArrayLike | LatentModel) -> Vector:
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


def weight_rows(name: str, w: npt.ArrayLike, size: int) -> Vector:
    """Return weights as (units, size)."""
    return array(name, np.atleast_2d(reals(name, w)), (None, size), rule="= (units, size)")


def covariances(matrix: Vector, f: Nonlinearity) -> tuple[Vector, Vector]:
    """Return (Omega, Phi) of x = f(F z) for unit rows: exact where known, else linearised."""
    N, D = matrix.shape
    require(8 * N * N * 8, f"the covariance of {N} inputs", "use fewer inputs")
    if f in EXACT:
        return one_layer_covariances(matrix * math.sqrt(D), str(f))
    norms = np.linalg.norm(matrix, axis=1)
    moments = np.array([kappas(f, gain=float(s))[1:] for s in norms])
    if np.ptp(norms) < 1e-12:
        moments = np.tile(moments[:1], (len(norms), 1))
    slopes = (moments[:, 0] / norms)[:, None] * matrix
    omega = np.asarray(gram(slopes), np.float64)
    omega[np.diag_indices(N)] += moments[:, 1] ** 2
    return omega, slopes


def field_covariance(a: Vector, h: Vector, omega: Vector, phi: Vector) -> Vector:
    """Return the covariance of (lambda, nu) for a = w/sqrt N and h/sqrt D."""
    own = product(product(a, omega), a.T)
    cross = product(product(a, phi), h.T) if len(h) else np.zeros((len(a), 0))
    other = gram(h) if len(h) else np.zeros((0, 0))
    return np.block([[own, cross], [cross.T, other]])


def operator_norm(matrix: Vector) -> float:
    """Return the largest singular value of `matrix`."""
    side = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    return math.sqrt(max(float(eigvalsh(finite("F", gram(side)))[-1]), 0.0))


def whitening(covariance: Vector) -> tuple[Vector, Vector]:
    """Return the Cholesky factor L of a covariance of a few fields, and its inverse.

    Row by row in plain sums: LAPACK's bits depend on the number of its threads.
    """
    size = len(covariance)
    root, inverse = np.zeros((size, size)), np.zeros((size, size))
    for i in range(size):
        for j in range(i):
            root[i, j] = (covariance[i, j] - (root[i, :j] * root[j, :j]).sum()) / root[j, j]
        rest = covariance[i, i] - (root[i, :i] ** 2).sum()
        if not rest > _INDEPENDENT * covariance[i, i]:
            raise InvalidParameterError(
                f"field {i} is a combination of those before it: fields must be linearly independent to be whitened; "
                "leave out weights that repeat"
            )
        root[i, i] = math.sqrt(rest)
        inverse[i, i] = 1.0 / root[i, i]
        inverse[i, :i] = -(root[i, :i, None] * inverse[:i, :i]).sum(axis=0) / root[i, i]
    return root, inverse
