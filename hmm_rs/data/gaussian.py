"""Gaussian inputs: the vanilla teacher-student model and the conjugate data of any model."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _lib
from ..ground.arguments import count
from ..ground.arguments import seed as checked_seed
from ..ground.errors import DtypeError, InvalidParameterError
from ..ground.memory import require
from .covariances import row_variances
from .hidden_manifold import HiddenManifold
from .latent import LatentModel

__all__ = ["GaussianEquivalent", "TeacherStudent"]


class TeacherStudent(LatentModel):
    """Independent Gaussian inputs, x = c ~ N(0, 1) in N dimensions.

    The vanilla teacher-student model: the hidden manifold with D = N, F = √N 1, f = identity.

    Parameters
    ----------
    N
        Number of inputs (and of latents: D = N).
    seed
        Kept for symmetry with other models; there is no quenched disorder.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> X, C = hr.TeacherStudent(20).sample(3)
    >>> bool((X == C).all())
    True
    """

    seed: Any

    def __init__(self, N: int, *, seed: Any = 0) -> None:
        self._describe(N=count("N", N), seed=checked_seed(seed))
        object.__setattr__(self, "D", self.N)

    @property
    def moments(self) -> tuple[float, float, float]:
        """(a, b, c) = (0, 1, 1), those of the identity."""
        return 0.0, 1.0, 1.0

    def covariances(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return Ω = Φ = 1, shapes (N, N)."""
        require(2 * 8 * self.N * self.N, f"covariances of N={self.N} inputs", "lower N")
        return np.eye(self.N), np.eye(self.N)

    def _make_source(self, dtype: str) -> _lib.Source:
        return _lib.Source.gaussian(self.N, dtype=dtype)


class GaussianEquivalent(LatentModel):
    """Conjugate Gaussian data of a model: the same first two moments of (x, c), nothing else.

    For a hidden manifold x = b u + √ζ ξ with the model's own fields u and fresh noise ξ (plus the
    mean a where the model is not centred). For other models x = Φ c + B ξ with B Bᵀ = Ω - Φ Φᵀ.
    The Gaussian Equivalence Property says that learning curves are the same.

    Parameters
    ----------
    model
        A hidden manifold, or any model with ``covariances()``.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> model = hr.GaussianEquivalent(hr.HiddenManifold(N=100, D=10, f="sign"))
    >>> X, C = model.sample(5)
    >>> X.shape
    (5, 100)
    """

    model: Any

    def __init__(self, model: Any) -> None:
        if not isinstance(model, LatentModel):
            raise DtypeError(
                f"model = {model!r:.80}: must be a model of data; pass HiddenManifold(...) or a generator"
            )
        if not isinstance(model, HiddenManifold) and not hasattr(model, "covariances"):
            raise InvalidParameterError(
                f"model = {model!r:.80}: has no covariances, so no conjugate Gaussian data; "
                f"pass HiddenManifold(...) or a generator"
            )
        self._describe(model=model)
        object.__setattr__(self, "N", model.N)
        object.__setattr__(self, "D", model.D)

    def covariances(self, **options: Any) -> Any:
        """Return (Ω, Φ) of the underlying model; see its own method."""
        return self.model.covariances(**options)

    def _source_bytes(self) -> int:
        if isinstance(self.model, HiddenManifold):
            return self.model._source_bytes()
        return 8 * 8 * self.N * (self.N + self.D)

    def _make_source(self, dtype: str) -> _lib.Source:
        if isinstance(self.model, HiddenManifold):
            rows = self.model.row_moments
            if rows is None:
                a, b, c = (np.full(self.N, moment) for moment in self.model.moments)
                q = np.ones(self.N)
            else:
                a, b, c = rows
                q = row_variances(self.model.F)
            return _lib.Source.conjugate(
                self.model.source(dtype),
                mean=np.zeros(self.N) if self.model.center else a,
                slope=b,
                noise=np.sqrt(np.maximum(c - a * a - b * b * q, 0.0)),
            )
        omega, phi = self.model.covariances()
        return _lib.Source.correlated(np.ascontiguousarray(omega), np.ascontiguousarray(phi), dtype=dtype)
