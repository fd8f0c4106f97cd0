r"""The covariate side of the fixed point of a mixture: Gaussian weights under the forces of every cluster.

With :math:`A = \lambda + \sum_c\hat V_c\Omega_c` and the force
:math:`d = \sum_c(\hat m_c b_c + \hat s_c\mu_c)` the weights are Gaussian with

.. math:: V_c = \tfrac1p\mathrm{tr}\,\Omega_c A^{-1}, \qquad
   q_c = \tfrac1p\sum_{c'}\hat q_{c'}\,\mathrm{tr}\,\Omega_c A^{-1}\Omega_{c'}A^{-1} + d^TA^{-1}\Omega_c A^{-1}d, \qquad
   m_c = b_c^TA^{-1}d, \qquad s_c = \mu_c^TA^{-1}d .

Everything is linear or quadratic in the forces once :math:`\hat V` is given: a handful of numbers, the
:class:`Response`. Covariances that commute have one eigenbasis, in which it costs a sum over p; others need matrices.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ...ground import linear_algebra

__all__ = ["Covariate", "Dense", "Diagonal", "Response", "covariate"]

Array = npt.NDArray[np.float64]

#: Covariances whose common eigenbasis leaves less than this beside their diagonals commute.
_COMMUTE = 1e-12
#: Largest change of log V that is extrapolated.
_NEAR = 0.5
#: Size of a block that is inverted by its eigenvalues.
_BLOCK = 128


def _eigh(matrix: Array) -> tuple[Array, Array]:
    """Return eigenvalues and eigenvectors in double precision."""
    values, vectors = linear_algebra.eigh(matrix)
    return np.asarray(values, np.float64), np.asarray(vectors, np.float64)


def _product(a: Array, b: Array) -> Array:
    """Return a product in double precision."""
    return np.asarray(linear_algebra.product(a, b), np.float64)


@dataclass(frozen=True)
class Response:
    r"""How the weights answer forces at given :math:`\hat V`; C clusters, 2C directions (b first, then the means).

    Attributes
    ----------
    V : array, shape (C,)
    spread : array, shape (C, C)
        What a unit of :math:`\hat q_{c'}` adds to :math:`q_c`.
    along : array, shape (2C, 2C)
        Directions over :math:`A^{-1}`.
    variance : array, shape (C, 2C, 2C)
        Directions over :math:`A^{-1}\Omega_c A^{-1}`.
    length, length_along : arrays, shapes (C,) and (2C, 2C)
        The same two for :math:`|w|^2/p`.
    """

    V: Array
    spread: Array
    along: Array
    variance: Array
    length: Array
    length_along: Array

    def nearby(self, change: Array) -> Response:
        r"""Return the response where :math:`\hat V` has changed a little.

        V and `along` are right to first order, whose derivatives are known, :math:`dA^{-1} = -A^{-1}\Omega_c
        A^{-1}\,d\hat V_c`; what is quadratic in :math:`A^{-1}` follows the square of V, as it does for one eigenvalue.
        """
        # As a logarithm, so that V stays positive, and no further than first order is good for.
        fall = (self.spread * change).sum(axis=1) / self.V
        nearer = min(1.0, _NEAR / max(float(np.abs(fall).max()), _NEAR))
        share, change = np.exp(-nearer * fall), nearer * change
        return replace(
            self,
            V=self.V * share,
            along=self.along - np.einsum("c,ckl->kl", change, self.variance),
            spread=self.spread * share * share[:, None],
            variance=self.variance * (share**2)[:, None, None],
        )

    def fields(self, force: Array) -> tuple[Array, Array]:
        """Return m and s, shape (C,) each, for forces along the directions, shape (2C,)."""
        moved = (self.along * force).sum(axis=1)
        clusters = self.V.size
        return moved[:clusters], moved[clusters:]

    def drift(self, force: Array) -> Array:
        """Return the part of q that the force makes, shape (C,)."""
        return np.asarray(np.einsum("i,cij,j->c", force, self.variance, force))

    def variances(self, q_hat: Array, force: Array) -> Array:
        """Return q, shape (C,)."""
        return np.asarray((self.spread * q_hat).sum(axis=1) + self.drift(force))

    def norm2(self, q_hat: Array, force: Array) -> float:
        """Return the mean square of a weight."""
        return float((self.length * q_hat).sum() + np.einsum("i,ij,j->", force, self.length_along, force))


class Covariate(Protocol):
    """Covariances and directions of a mixture, ready to answer."""

    #: Mean eigenvalue of each cluster's covariance, shape (C,).
    scale: Array
    #: Steps of the cheap side that are worth one answer.
    inner: int

    def response(self, V_hat: Array, lam: float) -> Response:
        """Return the response at these conjugates, shape (C,)."""


class Diagonal:
    """Covariances with one eigenbasis.

    Parameters
    ----------
    omega
        Eigenvalues, shape (C, p).
    directions
        b and means in the eigenbasis, shape (2C, p).
    """

    inner = 0

    def __init__(self, omega: Array, directions: Array) -> None:
        self.omega = omega
        self.directions = directions
        self.scale = omega.mean(axis=1)

    def response(self, V_hat: Array, lam: float) -> Response:
        """Return the response at these conjugates."""
        omega, directions = self.omega, self.directions
        p = omega.shape[1]
        inverse = 1.0 / (lam + (V_hat[:, None] * omega).sum(axis=0))
        seen, moved = omega * inverse, directions * inverse
        return Response(
            V=seen.sum(axis=1) / p,
            spread=np.einsum("ci,di->cd", seen, seen) / p,
            along=np.einsum("ki,li->kl", moved, directions),
            variance=np.einsum("ki,ci,li->ckl", moved, omega, moved),
            length=(seen * inverse).sum(axis=1) / p,
            length_along=np.einsum("ki,li->kl", moved, moved),
        )


class Dense:
    """Covariances without a common eigenbasis: one inverse and C products of matrices an answer.

    Parameters
    ----------
    omega
        Covariances, shape (C, p, p).
    directions
        b and means, shape (2C, p).
    """

    inner = 8

    def __init__(self, omega: Array, directions: Array) -> None:
        self.omega = omega
        self.directions = directions
        self.scale = np.trace(omega, axis1=1, axis2=2) / omega.shape[1]

    def response(self, V_hat: Array, lam: float) -> Response:
        """Return the response at these conjugates."""
        omega, directions = self.omega, self.directions
        clusters, p = omega.shape[:2]
        total = np.einsum("c,cij->ij", V_hat, omega)
        total[np.diag_indices(p)] += lam
        inverse = _inverse(total)
        seen = [_product(inverse, one) for one in omega]
        moved = _product(directions, inverse)
        spread = np.empty((clusters, clusters))
        for c in range(clusters):
            for other in range(c + 1):
                spread[c, other] = spread[other, c] = (seen[c] * seen[other].T).sum() / p
        return Response(
            V=np.array([np.trace(one) for one in seen]) / p,
            spread=spread,
            along=_product(moved, directions.T),
            variance=np.array([_product(_product(moved, one), moved.T) for one in omega]),
            length=np.array([(one * inverse).sum() for one in seen]) / p,
            length_along=_product(moved, moved.T),
        )


def _inverse(matrix: Array) -> Array:
    """Return the inverse of a symmetric positive definite matrix, block by block: almost all of it is products."""
    size = len(matrix)
    if size <= _BLOCK:
        values, vectors = _eigh(matrix)
        return _product(vectors / values, vectors.T)
    half = size // 2
    upper, side = matrix[:half, :half], matrix[:half, half:]
    first = _inverse(upper)
    turned = _product(first, side)
    rest = _inverse(matrix[half:, half:] - _product(side.T, turned))
    cross = _product(turned, rest)
    return np.block([[first + _product(cross, turned.T), -cross], [-cross.T, rest]])


def covariate(omega: Array, directions: Array) -> Covariate:
    """Return the covariate side of covariances (C, p, p), or (p, p) for one of all clusters, and directions (2C, p)."""
    clusters = len(directions) // 2
    if omega.ndim == 2:
        values, vectors = _eigh(omega)
        shared = np.broadcast_to(np.maximum(values, 0.0), (clusters, values.size))
        return Diagonal(shared, _product(directions, vectors))
    eigenvalues = _common(omega)
    if eigenvalues is None:
        return Dense(omega, directions)
    values, vectors = eigenvalues
    return Diagonal(values, _product(directions, vectors))


def _common(omega: Sequence[Array] | Array) -> tuple[Array, Array] | None:
    """Return the eigenvalues (C, p) and the eigenbasis that the covariances have in common, if they have one."""
    # Irrational ratios: two eigenvalues that differ in one of them differ in the sum.
    mixed = sum(math.sqrt(c + 2.0) * one for c, one in enumerate(omega))
    vectors = _eigh(np.asarray(mixed, np.float64))[1]
    diagonals = []
    for one in omega:
        turned = _product(_product(vectors.T, one), vectors)
        diagonal = np.diag(turned).copy()
        turned[np.diag_indices(diagonal.size)] = 0.0
        if float(np.abs(turned).max()) > _COMMUTE * float(diagonal.max()) * diagonal.size:
            return None
        diagonals.append(np.maximum(diagonal, 0.0))
    return np.array(diagonals), vectors
