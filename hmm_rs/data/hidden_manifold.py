"""The hidden manifold model: inputs on a low-dimensional manifold."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _lib
from ..ground.arguments import array, choice, count, seed_words
from ..ground.errors import InvalidParameterError
from .latent import LatentModel
from .nonlinearity import Nonlinearity, check_nonlinearity, gaussian_moments

__all__ = ["HiddenManifold"]

_FEATURES = ("gaussian", "orthogonal", "hadamard", "dct")


class HiddenManifold(LatentModel):
    r"""Inputs on a hidden manifold, x = f(C Fᵀ/√D) - a.

    .. math:: x_{\mu i} = f\Big(\frac{1}{\sqrt D} \sum_{r=1}^{D} c_{\mu r} F_{ir}\Big) - a,
              \qquad c_{\mu r} \sim N(0, 1)

    Parameters
    ----------
    N
        Number of inputs.
    D
        Number of latents, the dimension of the manifold.
    f
        "sign", "erf" (of u/√2), "relu", "tanh", "identity" or a vectorised function.
    F
        "gaussian": independent N(0, 1). "orthogonal": Haar columns, FᵀF = N 1 (D <= N).
        "hadamard": D random columns of the N x N Hadamard matrix with random row signs (N a power
        of two). "dct": the same of √N times the orthonormal cosine transform. The last two are
        applied by fast transforms and never stored. Or an (N, D) array.
    center
        Subtract the mean a = E f(u); the equations of the theory need it.
    normalise_rows
        Scale every row of F to squared norm D, so that every u_i has unit variance exactly.
    seed
        Seed of F.

    Attributes
    ----------
    moments : tuple of float
        (a, b, c) = E f(u), E u f(u), E f(u)² for u ~ N(0, 1).
    F : ndarray
        The feature matrix, shape (N, D), made when asked for.

    Notes
    -----
    HMM paper (Goldt, Mézard, Krzakala, Zdeborová, PRX 10, 041044), section II.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> model = hr.HiddenManifold(N=500, D=50, f="sign")
    >>> X, C = model.sample(10)
    >>> X.shape, C.shape
    ((10, 500), (10, 50))
    """

    f: Nonlinearity
    center: bool
    normalise_rows: bool
    seed: Any

    def __init__(
        self,
        N: int,
        D: int,
        *,
        f: Nonlinearity = "sign",
        F: str | npt.ArrayLike = "gaussian",
        center: bool = True,
        normalise_rows: bool = False,
        seed: Any = 0,
    ) -> None:
        N, D = count("N", N), count("D", D)
        seed_words(seed)
        if isinstance(F, str):
            choice("F", F, _FEATURES)
            if F != "gaussian" and D > N:
                raise InvalidParameterError(
                    f"D = {D}: orthogonal columns (F={F!r}) need D <= N = {N}; lower D, or use F='gaussian'"
                )
            if F == "hadamard" and N & (N - 1):
                raise InvalidParameterError(
                    f"N = {N}: F='hadamard' needs a power of two; take N={1 << N.bit_length()} or F='dct'"
                )
        else:
            F = array("F", F, (N, D), rule="= (N, D)")
            if normalise_rows and not F.any(axis=1).all():
                raise InvalidParameterError(
                    "F has a row of zeros: normalise_rows=True needs rows of positive norm; drop that row"
                )
        self._describe(
            N=N,
            D=D,
            f=check_nonlinearity(f),
            F=F,
            center=bool(center),
            normalise_rows=bool(normalise_rows),
            seed=seed,
        )

    @property
    def moments(self) -> tuple[float, float, float]:
        """(a, b, c) = E f(u), E u f(u), E f(u)² for u ~ N(0, 1)."""
        return gaussian_moments(self.f)

    @property
    def features(self) -> str:
        """Kind of F: "gaussian", "orthogonal", "hadamard", "dct" or "array"."""
        kind = self._arguments["F"]
        return kind if isinstance(kind, str) else "array"

    @property
    def F(self) -> npt.NDArray[np.float64]:
        """Feature matrix, shape (N, D)."""
        cached: npt.NDArray[np.float64] | None = self.__dict__.get("_F")
        if cached is None:
            cached = self.source().features()
            assert cached is not None  # a hidden manifold always has features
            cached.flags.writeable = False
            object.__setattr__(self, "_F", cached)
        return cached

    def _source_bytes(self) -> int:
        # The matrix, and a second copy while it is drawn; structured kinds store none.
        return 0 if self.features in ("hadamard", "dct") else 2 * self.N * self.D * 8

    def _make_source(self, dtype: str) -> _lib.Source:
        given = self._arguments["F"]
        mean = self.moments[0] if self.center else 0.0
        return _lib.Source.hidden_manifold(
            self.N,
            self.D,
            f=self.f if isinstance(self.f, str) else "custom",
            function=None if isinstance(self.f, str) else self.f,
            features_kind=self.features,
            matrix=None if isinstance(given, str) else given,
            normalise_rows=self.normalise_rows,
            mean=mean,
            seed=seed_words(self.seed),
            dtype=dtype,
        )

    def covariances(self, *, method: str = "auto") -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return Ω = E x xᵀ, shape (N, N), and Φ = E x cᵀ, shape (N, D), of the centred inputs.

        Parameters
        ----------
        method
            "exact": closed forms for given F (sign, erf, relu). "linearised": Ω = ζ 1 + b² F Fᵀ/D,
            Φ = b F/√D with ζ = c - a² - b². "auto": exact where it exists.

        Notes
        -----
        HMM note 1.2 and 4.3. For relu each input is centred with its own mean.
        """
        choice("method", method, ("auto", "exact", "linearised"))
        exact = self.f in ("sign", "erf", "relu") if isinstance(self.f, str) else False
        if method == "exact" and not exact:
            raise InvalidParameterError(
                "method = 'exact': closed forms exist for f='sign', 'erf', 'relu'; use method='linearised'"
            )
        if exact and method != "linearised":
            assert isinstance(self.f, str)  # implied by `exact`
            return one_layer_covariances(self.F, self.f)
        a, b, c = self.moments
        F = self.F
        omega = (b * b / self.D) * (F @ F.T)
        omega[np.diag_indices(self.N)] += c - a * a - b * b
        return omega, (b / math.sqrt(self.D)) * F


def one_layer_covariances(
    F: npt.ArrayLike, f: str
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    r"""Return the exact (Ω, Φ) of the centred one-layer model x = f(F c/√D).

    .. math:: G = F F^T / D, \qquad
        \Omega^{\rm sign}_{ij} = \tfrac{2}{\pi} \arcsin \frac{G_{ij}}{\sqrt{G_{ii} G_{jj}}}, \qquad
        \Omega^{\rm erf}_{ij} = \tfrac{2}{\pi} \arcsin \frac{G_{ij}}{\sqrt{(1+G_{ii})(1+G_{jj})}}

    Parameters
    ----------
    F
        Feature matrix, shape (N, D); it enters as F/√D.
    f
        "sign", "erf" or "relu".

    Returns
    -------
    Omega, Phi
        Shapes (N, N) and (N, D); each input is centred with its own mean.

    Examples
    --------
    >>> import numpy as np
    >>> from hmm_rs.theory import one_layer_covariances
    >>> omega, phi = one_layer_covariances(np.ones((2, 1)), "sign")
    >>> bool(np.allclose(omega, 1.0))
    True
    """
    F = array("F", F, (None, None), rule="= (N, D)")
    choice("f", f, ("sign", "erf", "relu"))
    D = F.shape[1]
    G = F @ F.T / D
    g = np.diag(G)
    if not (g > 0).all():
        raise InvalidParameterError("F has a row of zeros: its input has no variance; drop that row")
    if f == "erf":
        scale = np.sqrt(1.0 + g)
        omega = (2.0 / math.pi) * np.arcsin(np.clip(G / np.outer(scale, scale), -1.0, 1.0))
        phi = math.sqrt(2.0 / math.pi) * F / (math.sqrt(D) * scale[:, None])
        return omega, phi
    scale = np.sqrt(g)
    rho = np.clip(G / np.outer(scale, scale), -1.0, 1.0)
    np.fill_diagonal(rho, 1.0)
    if f == "sign":
        return (2.0 / math.pi) * np.arcsin(rho), math.sqrt(2.0 / math.pi) * F / (
            math.sqrt(D) * scale[:, None]
        )
    # relu: E[relu relu] minus the product of the two means √(G_ii/2π).
    second = np.sqrt(1.0 - rho * rho) + rho * (0.5 * math.pi + np.arcsin(rho))
    omega = np.outer(scale, scale) * (second - 1.0) / (2.0 * math.pi)
    return omega, F / (2.0 * math.sqrt(D))
