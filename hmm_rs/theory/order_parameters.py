"""Order parameters of given weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..data.nonlinearity import Nonlinearity, gaussian_moments
from ..ground.arguments import array, number
from ..ground.errors import InvalidParameterError

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["centred_moments", "feature_matrix", "order_parameters"]

#: A nonlinearity, or its moments (a, b, c).
NonlinearityOrMoments = Nonlinearity | tuple[float, float, float]


def feature_matrix(F: Any) -> npt.NDArray[np.float64]:
    """Return F as an (N, D) array; a model with an attribute ``F`` will do."""
    return array("F", getattr(F, "F", F), (None, None), rule="= (N, D)")


def moments(f: NonlinearityOrMoments) -> tuple[float, float, float]:
    """Return (a, b, c) of a nonlinearity, or of itself."""
    if isinstance(f, str) or callable(f):
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

    F = feature_matrix(F)
    N, D = F.shape
    w = array("w", w, (None, N), rule="= (K, N) with N rows of F")
    w_teacher = array("w_teacher", w_teacher, (None, D), rule="= (M, D) with D columns of F")
    b, _, zeta = centred_moments(f)
    S = w @ F / math.sqrt(N)
    W, sigma = w @ w.T / N, S @ S.T / D
    return xr.Dataset(
        {
            "Q": (("k", "k2"), zeta * W + b * b * sigma),
            "R": (("k", "m"), (b / D) * (S @ w_teacher.T)),
            "T": (("m", "m2"), w_teacher @ w_teacher.T / D),
            "W": (("k", "k2"), W),
            "Sigma": (("k", "k2"), sigma),
        },
        attrs={"number_of_inputs": number("N", N), "number_of_latents": number("D", D)},
    )
