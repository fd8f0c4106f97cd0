"""The conditions of the equivalence theorem as numbers."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ...data.hidden_manifold import HiddenManifold
from ...data.nonlinearity import Nonlinearity, check_nonlinearity
from ...ground.activations import EXACT, activation
from ...ground.arguments import reals
from ...ground.errors import InvalidParameterError
from ...ground.linear_algebra import eigvalsh, gram, product
from ...ground.memory import require
from ...ground.overflow import finite, within_range
from ...ground.record import Record
from .fields import covariances, feature_matrix, kappas, operator_norm, weight_rows

__all__ = ["conditions", "kappas", "kernel"]

Vector = npt.NDArray[np.float64]


def kernel(r: npt.ArrayLike, f: Literal["sign", "erf", "relu"]) -> Vector:
    r"""Return the covariance of :math:`f(u), f(u')` for unit Gaussians with correlation r.

    sign: :math:`\frac2\pi\arcsin r`; erf: :math:`\frac2\pi\arcsin\frac r2`;
    relu: :math:`\frac{\sqrt{1-r^2}+r(\pi-\arccos r)-1}{2\pi}`.

    Examples
    --------
    >>> float(kernel(0.0, "relu"))
    0.0
    """
    name = activation("f", f, EXACT)
    values = reals("r", r)
    if not (np.abs(values) <= 1.0).all():
        raise InvalidParameterError(
            "r holds values outside [-1, 1]: must be correlations; divide by the variances"
        )
    if name == "relu":
        return np.asarray(
            (np.sqrt(1 - values**2) + values * (math.pi - np.arccos(values)) - 1) / (2 * math.pi)
        )
    return np.asarray(2 / math.pi * np.arcsin(values if name == "sign" else values / 2))


@within_range("F, w and teacher")
def conditions(
    F: npt.ArrayLike | HiddenManifold,
    w: npt.ArrayLike,
    *,
    f: Nonlinearity | None = None,
    teacher: npt.ArrayLike | None = None,
) -> Record:
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
    Record
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
    matrix = feature_matrix(F)
    N, D = matrix.shape
    a = weight_rows("w", w, N) / math.sqrt(N)
    require((3 * N * N + 3 * D * D) * 8, f"conditions of {N} inputs and {D} latents", "use fewer inputs")
    lengths = np.sqrt((a * a).sum(axis=1))
    if not (lengths > 0).all():
        raise InvalidParameterError("w has a row of zeros: its field does not vary; drop that row")
    norms = np.sqrt((matrix * matrix).sum(axis=1))
    correlation = gram(matrix / norms[:, None])
    np.fill_diagonal(correlation, 0.0)
    tensor = np.array([_spectral_radius(product((matrix * row[:, None]).T, matrix)) for row in a])
    result: dict[str, Any] = {
        "row_norm": float(np.abs(norms - 1).max()),
        "incoherence": float(max(correlation.max(), -correlation.min())),
        "operator_norm": operator_norm(matrix),
        "operator_norm_random": 1 + math.sqrt(N / D),
        "delocalisation": np.abs(a).max(axis=1) / lengths,
        "delocalisation_random": math.sqrt(2 * math.log(max(N, 2)) / N),
        "tensor": tensor,
        "linear": np.sqrt((product(a, matrix) ** 2).sum(axis=1)),
    }
    if f is not None:
        omega = covariances(matrix, check_nonlinearity(f))[0]
        result["variance"] = (product(a, omega) * a).sum(axis=1)
        result["tensor_over_sd"] = tensor / np.sqrt(result["variance"])
    if teacher is not None:
        h = weight_rows("teacher", teacher, D)
        result["teacher_norm"] = (h**2).sum(axis=1) / D
    return Record(
        finite("F, w and teacher", result),
        source="theory",
        dim="unit",
        along=np.arange(len(a)),
        cite=("gaussian-equivalence",),
    )


def _spectral_radius(matrix: npt.NDArray[np.floating[Any]]) -> float:
    values = eigvalsh(finite("F and w", matrix))
    return float(max(values[-1], -values[0]))
