"""The hidden manifold model: inputs on a low-dimensional manifold."""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from .. import _lib
from ..ground.activations import EXACT
from ..ground.arguments import array, choice, count, flag, seed_words
from ..ground.arguments import seed as checked_seed
from ..ground.errors import InvalidParameterError
from ..ground.memory import require
from ..ground.overflow import within_range
from .covariances import linearised_covariances, mean_squares, one_layer_covariances, row_variances
from .latent import LatentModel
from .moments import gaussian_moments, row_moments
from .nonlinearity import Nonlinearity, check_nonlinearity

__all__ = ["HiddenManifold", "rows_are_alike"]

#: Kinds of F that are drawn.
FeatureKind = Literal["gaussian", "orthogonal", "hadamard", "dct"]


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
        applied by fast transforms and never stored. Or an (N, D) array, whose rows may have any norm.
    center
        Subtract the mean a = E f(u); the equations of the theory need it. With an array F each input loses its own
        mean E f(u_i), u_i ~ N(0, \|F_i\|²/D).
    normalise_rows
        Scale every row of F to squared norm D, so that every u_i has unit variance exactly.
    seed
        Seed of F.

    Attributes
    ----------
    moments : tuple of float
        (a, b, c) = E f(u), E u f(u), E f(u)² for u ~ N(0, 1): the moments of unit rows.
    F : ndarray
        The feature matrix, shape (N, D), made when asked for.

    Raises
    ------
    InvalidParameterError
        If D > N where columns are orthogonal, N is no power of two where that is needed, or F has a row of zeros.
    ResourceError
        When F is made (at first use), if it does not fit into memory.

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
        F: FeatureKind | npt.ArrayLike = "gaussian",
        center: bool = True,
        normalise_rows: bool = False,
        seed: Any = 0,
    ) -> None:
        N, D = count("N", N), count("D", D)
        if isinstance(F, str):
            choice("F", F, get_args(FeatureKind))
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
            if not F.any(axis=1).all():
                raise InvalidParameterError(
                    "F has a row of zeros: its input would be constant; drop that row"
                )
        self._describe(
            N=N,
            D=D,
            f=check_nonlinearity(f),
            F=F,
            center=flag("center", center),
            normalise_rows=flag("normalise_rows", normalise_rows),
            seed=checked_seed(seed),
        )

    @property
    def moments(self) -> tuple[float, float, float]:
        """(a, b, c) = E f(u), E u f(u), E f(u)² for u ~ N(0, 1): the moments of unit rows.

        Rows of a given F that are no unit rows have moments of their own, :attr:`row_moments`.
        """
        return gaussian_moments(self.f)

    @property
    def row_moments(self) -> tuple[npt.NDArray[np.float64], ...] | None:
        """(a, b, c) of each input, shapes (N,), for a given F of unequal row norms; None where rows count as unit rows.

        a_i = E f(u_i), b_i = E u_i f(u_i)/q_i, c_i = E f(u_i)² with u_i ~ N(0, q_i), q_i = |F_i|²/D. An F that is
        drawn has rows of norm √D up to fluctuations, which the theory leaves out.
        """
        given = self._arguments["F"]
        if isinstance(given, str) or self.normalise_rows:
            return None
        cached: tuple[npt.NDArray[np.float64], ...] | None = self.__dict__.get("_row_moments")
        if cached is None:
            q = row_variances(given)
            if (q == 1.0).all():
                return None
            cached = row_moments(self.f, q)
            for values in cached:
                values.flags.writeable = False
            object.__setattr__(self, "_row_moments", cached)
        return cached

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
        rows = self.row_moments if self.center else None
        return _lib.Source.hidden_manifold(
            self.N,
            self.D,
            f=self.f,
            features=self._arguments["F"],
            normalise_rows=self.normalise_rows,
            mean=rows[0] if rows is not None else self.moments[0] if self.center else 0.0,
            seed=seed_words(self.seed),
            dtype=dtype,
        )

    def covariances(
        self, *, method: Literal["auto", "exact", "linearised"] = "auto"
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return Ω = E x xᵀ, shape (N, N), and Φ = E x cᵀ, shape (N, D), of the centred inputs.

        Parameters
        ----------
        method
            "exact": those of the given F, whatever its row norms and f
            (:func:`hmm_rs.theory.one_layer_covariances`). "linearised": Ω = ζ 1 + b² F Fᵀ/D, Φ = b F/√D with
            ζ = c - a² - b²; an array F has its rows' own moments. "auto": exact where there is a closed form (sign,
            erf, relu) or rows of F have unequal norms, else linearised.

        Raises
        ------
        ResourceError
            If the matrices do not fit into memory.

        Notes
        -----
        HMM note 1.2 and 4.3. Each input is centred with its own mean.
        """
        choice("method", method, ("auto", "exact", "linearised"))
        rows = self.row_moments
        closed = isinstance(self.f, str) and self.f in EXACT
        require(3 * 8 * self.N * (self.N + self.D), f"covariances of N={self.N} inputs", "lower N or D")
        if method == "exact" or (method == "auto" and (closed or rows is not None)):
            return one_layer_covariances(self.F, self.f)
        a, b, c = self.moments if rows is None else rows
        return linearised_covariances(self.F, a, b, c)


#: Rows count as alike while their variances spread no more than this many times as those of Gaussian rows, √(2/D).
_SPREAD = 3.0


def rows_are_alike(F: HiddenManifold | npt.NDArray[np.float64]) -> bool:
    """Return whether all fields u_i have unit variance, within what chance makes of Gaussian rows of F.

    One set of moments (a, b, c) of f then serves all inputs.
    """
    if isinstance(F, HiddenManifold):
        if F.features != "array" or F.normalise_rows:
            return True
        F = F.F
    with within_range("F"):
        deviation = math.sqrt(float(np.mean((mean_squares(F) - 1.0) ** 2)))
    return deviation <= _SPREAD * math.sqrt(2.0 / F.shape[1]) + 1e-8
