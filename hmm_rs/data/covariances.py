"""Covariances Ω = E x xᵀ and Φ = E x cᵀ of generated inputs, without a sample."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..ground.activations import EXACT
from ..ground.arguments import array, items, shown
from ..ground.errors import ConvergenceError, DtypeError, InvalidParameterError, ShapeError
from ..ground.linear_algebra import gram, product
from ..ground.memory import require
from .moments import gaussian_moments, hermite_bytes, hermite_coefficients, row_moments
from .nonlinearity import Nonlinearity, check_nonlinearity

__all__ = [
    "linearised_covariances",
    "mean_squares",
    "nonlinear_covariances",
    "one_layer_covariances",
    "recursive_covariances",
    "row_variances",
]

Array = npt.NDArray[np.float64]

#: Orders of the Hermite expansion that are tried, and what may be left of it (in standard deviations squared).
_ORDERS = 512
_LEFT = 1e-10
#: Largest entry of F, and inverse of the smallest of a row.
_LARGEST = 1e140


def mean_squares(F: Array) -> Array:
    """Return |F_i|²/D, the variances of the fields u_i = F_i·c/√D, shape (N,)."""
    return np.asarray(np.einsum("ir,ir->i", F, F, optimize=False) / F.shape[1])


def row_variances(F: Array) -> Array:
    """Return :func:`mean_squares` of rows that have one, and one that is a floating-point number."""
    sizes = np.abs(F).max(axis=1)
    if not (sizes > 0.0).all():
        raise InvalidParameterError("F has a row of zeros: its input has no variance; drop that row")
    if not (sizes.min() > 1.0 / _LARGEST and sizes.max() < _LARGEST):
        raise InvalidParameterError(
            f"F has rows whose entries reach {sizes.min():.3g} to {sizes.max():.3g}: must lie between "
            f"{1.0 / _LARGEST:g} and {_LARGEST:g}, for their squares are taken; rescale them"
        )
    return mean_squares(F)


def one_layer_covariances(F: npt.ArrayLike, f: Nonlinearity) -> tuple[Array, Array]:
    r"""Return the exact (Ω, Φ) of the centred one-layer model x = f(F c/√D).

    .. math:: G = F F^T / D, \qquad
        \Omega^{\rm sign}_{ij} = \tfrac{2}{\pi} \arcsin \frac{G_{ij}}{\sqrt{G_{ii} G_{jj}}}, \qquad
        \Omega^{\rm erf}_{ij} = \tfrac{2}{\pi} \arcsin \frac{G_{ij}}{\sqrt{(1+G_{ii})(1+G_{jj})}}

    Parameters
    ----------
    F
        Feature matrix, shape (N, D); it enters as F/√D. Rows may have any norm.
    f
        Any nonlinearity: closed forms for "sign", "erf", "relu" and "identity"; otherwise the expansion in Hermite
        polynomials, :math:`\Omega_{ij} = \sum_{k \ge 1} h_{ik} h_{jk} \rho_{ij}^k` with the correlations
        :math:`\rho` of the fields, to 1e-10.

    Returns
    -------
    Omega, Phi
        Shapes (N, N) and (N, D); each input is centred with its own mean.

    Raises
    ------
    InvalidParameterError
        If a row of F is zero.
    ConvergenceError
        If two rows are so nearly parallel that the expansion of a function with jumps does not converge.
    ResourceError
        If the matrices do not fit into memory.

    Examples
    --------
    >>> import numpy as np
    >>> from hmm_rs.theory import one_layer_covariances
    >>> omega, phi = one_layer_covariances(np.ones((2, 1)), "sign")
    >>> bool(np.allclose(omega, 1.0))
    True
    """
    F = array("F", F, (None, None), rule="= (N, D)")
    row_variances(F)
    f = check_nonlinearity(f)
    if f not in (*EXACT, "identity"):
        return nonlinear_covariances(F, f)
    N, D = F.shape
    _room(4, N)
    G = gram(F) / D
    g = np.diag(G).copy()
    if f == "identity":
        return G, F / math.sqrt(D)
    if f == "erf":
        scale = np.sqrt(1.0 + g)
        omega = (2.0 / math.pi) * np.arcsin(np.clip(G / np.outer(scale, scale), -1.0, 1.0))
        phi = math.sqrt(2.0 / math.pi) * F / (math.sqrt(D) * scale[:, None])
        return omega, phi
    scale = np.sqrt(g)
    rho = _correlations(G, scale)
    if f == "sign":
        return (2.0 / math.pi) * np.arcsin(rho), math.sqrt(2.0 / math.pi) * F / (
            math.sqrt(D) * scale[:, None]
        )
    # relu: E[relu relu] minus the product of the two means √(G_ii/2π).
    second = np.sqrt(1.0 - rho * rho) + rho * (0.5 * math.pi + np.arcsin(rho))
    omega = np.outer(scale, scale) * (second - 1.0) / (2.0 * math.pi)
    return omega, F / (2.0 * math.sqrt(D))


def nonlinear_covariances(F: Array, f: Nonlinearity) -> tuple[Array, Array]:
    """Return (Ω, Φ) of any nonlinearity by its Hermite expansion; see :func:`one_layer_covariances`."""
    N, D = F.shape
    _room(4, N)
    q = row_variances(F)
    a, b, c = row_moments(f, q)
    require(
        4 * 8 * N * N + hermite_bytes(f, q), f"an expansion for N={N} inputs", "lower N, or use 'linearised'"
    )
    rho = _correlations(gram(F) / D, np.sqrt(q))
    np.fill_diagonal(rho, 0.0)
    variance = c - a * a
    largest = float(np.abs(rho).max())
    omega, power = np.zeros((N, N)), np.ones((N, N))
    # What the orders so far leave of each variance bounds what they leave of a covariance.
    rest = variance.copy()
    for k, h in enumerate(hermite_coefficients(f, q)):
        if k == 0:
            continue
        power *= rho
        omega += np.multiply.outer(h, h) * power
        rest -= h * h
        left = largest ** (k + 1) * max(float((rest / variance).max()), 0.0)
        if left <= _LEFT:
            break
        if k == _ORDERS:
            raise ConvergenceError(
                f"the expansion of f leaves up to {left:.1e} of a covariance after {k} orders: two rows of F have the "
                f"correlation {largest:.6f} and f jumps or bends; drop nearly parallel rows, or take "
                f"method='linearised'",
                omega,
            )
    np.fill_diagonal(omega, variance)
    return omega, b[:, None] * F / math.sqrt(D)


def linearised_covariances(
    F: Array, a: float | Array, b: float | Array, c: float | Array
) -> tuple[Array, Array]:
    """Return Ω = diag(ζ) + diag(b) F Fᵀ diag(b)/D and Φ = diag(b) F/√D, ζ = c - a² - b² q.

    Parameters
    ----------
    F
        Feature matrix, shape (N, D).
    a, b, c
        Moments of each row, shape (N,), as :func:`hmm_rs.data.moments.row_moments` gives them; numbers where all
        rows count as unit rows (q = 1).
    """
    N, D = F.shape
    _room(3, N)
    G = gram(F) / D
    unit = np.ndim(b) == 0
    slope = np.broadcast_to(np.asarray(b, dtype=np.float64), (N,))
    omega = np.outer(slope, slope) * G
    omega[np.diag_indices(N)] += c - a * a - b * b * (1.0 if unit else np.diag(G))
    return omega, (slope / math.sqrt(D))[:, None] * F


def _correlations(G: Array, scale: Array) -> Array:
    rho: Array = np.clip(G / np.outer(scale, scale), -1.0, 1.0)
    np.fill_diagonal(rho, 1.0)
    return rho


def _room(matrices: int, N: int) -> None:
    require(matrices * 8 * N * N, f"a covariance of N={N} inputs", "lower N, or estimate products of it")


def recursive_covariances(
    layers: Sequence[npt.ArrayLike], f: Nonlinearity | Sequence[Nonlinearity]
) -> tuple[Array, Array]:
    r"""Return (Ω, Φ) of a random fully connected generator by the Gaussian equivalence recursion.

    .. math:: \Omega_\ell = b_\ell^2 F_\ell \Omega_{\ell-1} F_\ell^T / n_{\ell-1}
              \;\text{(diagonal set to } c_\ell), \qquad
              \Phi_\ell = b_\ell F_\ell \Phi_{\ell-1} / \sqrt{n_{\ell-1}}

    starting from Ω = Φ = 1, with the variance of the pre-activations q₁ = 1, q_{ℓ+1} = c_ℓ,
    b_ℓ = E[z f(√q z)]/√q and c_ℓ = E f(√q z)².

    Parameters
    ----------
    layers
        Weights with independent standard normal entries, shapes (n₁, D), (n₂, n₁), ...; they enter
        as F/√fan-in.
    f
        Nonlinearity of all layers, or one per layer; without a mean (odd functions have none).

    Returns
    -------
    Omega, Phi
        Shapes (N, N) and (N, D) of the last layer's outputs.

    Raises
    ------
    ResourceError
        If the covariances of a layer do not fit into memory.

    Notes
    -----
    Goldt et al., arXiv:2006.14709, section 4. Exact for wide layers only.

    Examples
    --------
    >>> import numpy as np
    >>> from hmm_rs.theory import recursive_covariances
    >>> rng = np.random.default_rng(0)
    >>> layers = [rng.standard_normal((40, 20)), rng.standard_normal((60, 40))]
    >>> Omega, Phi = recursive_covariances(layers, "sign")
    >>> Omega.shape, Phi.shape
    ((60, 60), (60, 20))
    """
    given = items("layers", layers, "matrices, for example [F]")
    if not (isinstance(f, (str, list, tuple)) or callable(f)):
        raise DtypeError(f"f = {shown(f)}: must be a nonlinearity or a list of them; pass one for all layers")
    weights = [array(f"layers[{i}]", layer, (None, None)) for i, layer in enumerate(given)]
    if not weights:
        raise ShapeError("layers is empty: a generator has at least one layer; pass [F]")
    functions: list[Any] = [f] * len(weights) if isinstance(f, str) or callable(f) else list(f)
    if len(functions) != len(weights):
        raise ShapeError(
            f"f has {len(functions)} entries: must be one or {len(weights)} (one per layer); pass so many"
        )
    D = weights[0].shape[1]
    _room(2, max(D, *(len(F) for F in weights)))
    Omega: Array = np.eye(D)
    Phi: Array = np.eye(D)
    q = 1.0
    for i, (F, function) in enumerate(zip(weights, functions, strict=True)):
        if F.shape[1] != Omega.shape[0]:
            raise ShapeError(
                f"layers[{i}] has shape {F.shape}: must have {Omega.shape[0]} columns, one per unit below; "
                f"pass layers from latents to inputs"
            )
        a, b, c = _scaled_moments(function, q)
        if abs(a) > 1e-9:
            raise InvalidParameterError(
                f"f = {function!r} has the mean {a:.6g}: the recursion holds for functions without a mean; "
                f"estimate the covariances by sampling, or use one_layer_covariances for one layer"
            )
        Omega = np.asarray((b * b / F.shape[1]) * product(product(F, Omega), F.T), dtype=np.float64)
        np.fill_diagonal(Omega, c)
        Phi = np.asarray((b / math.sqrt(F.shape[1])) * product(F, Phi), dtype=np.float64)
        q = c
    return Omega, Phi


def _scaled_moments(f: Nonlinearity, q: float) -> tuple[float, float, float]:
    """Return E f(√q z), E[z f(√q z)]/√q and E f(√q z)²."""
    if q == 1.0:
        return gaussian_moments(f)
    a, b, c = row_moments(f, [q])
    return float(a[0]), float(b[0]), float(c[0])
