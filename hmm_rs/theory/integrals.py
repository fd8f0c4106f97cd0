"""Gaussian averages of a unit's activation, and the generalisation error they make."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .. import _lib
from ..ground.activations import CLOSED
from ..ground.activations import activation as activation_name
from ..ground.arguments import array, items, reals
from ..ground.errors import ShapeError
from ..ground.memory import require
from ..ground.overflow import finite
from .units import Activation, resolve

__all__ = ["generalisation_error", "i2", "i3", "i4"]

#: A unit with closed averages.
ClosedUnit = Literal["erf", "relu", "linear", "identity"]
#: One unit for all fields, or one per field.
Units = ClosedUnit | Sequence[ClosedUnit]


def _average(C: npt.ArrayLike, n: int, units: Units) -> npt.NDArray[np.float64]:
    """Return the average of n fields of covariances C, shape (..., n, n)."""
    covariances = reals("C", C)
    given = covariances.shape
    if len(given) < 2 or given[-2:] != (n, n):
        raise ShapeError(
            f"C has shape {given}: must be (..., {n}, {n}), the covariance of {n} fields; pass such an array"
        )
    names: list[str] = (
        [units] * n if isinstance(units, str) else items("activation", units, "one name, or one per field")
    )
    if len(names) != n:
        raise ShapeError(
            f"activation has {len(names)} entries: must be one name or {n} (one per field); pass 'erf', say"
        )
    names = [activation_name("activation", name, CLOSED) for name in names]
    require(
        8 * (n * n + 1) * math.prod(given[:-2]), "averages of so many covariances", "pass fewer at a time"
    )
    if math.prod(given) == 0:
        return np.zeros(given[:-2])
    averages = _lib.gaussian_average(covariances.reshape(-1, n, n), names).reshape(given[:-2])
    return finite("C", averages)


def i2(C: npt.ArrayLike, activation: Units = "erf") -> npt.NDArray[np.float64]:
    r"""Return I2 = E[g(x₁) g(x₂)] for Gaussian fields of covariance C.

    Parameters
    ----------
    C
        Covariances, shape (..., 2, 2).
    activation
        "erf" (g(x) = erf(x/√2)), "relu" or "linear"; or one name per field.

    Returns
    -------
    ndarray
        Shape (...,).

    Notes
    -----
    erf: (2/π) arcsin(C₁₂/√((1+C₁₁)(1+C₂₂))), Saad and Solla (1995). relu: Cho and Saul (2009).

    Examples
    --------
    >>> from hmm_rs.theory import i2
    >>> round(float(i2([[1.0, 0.5], [0.5, 1.0]], "erf")), 6)
    0.160861
    """
    return _average(C, 2, activation)


def i3(C: npt.ArrayLike, activation: Units = "erf") -> npt.NDArray[np.float64]:
    r"""Return I3 = E[g'(x₁) x₂ g(x₃)] for Gaussian fields of covariance C.

    .. math:: I_3 = C_{12} E[g''(x_1) g(x_3)] + C_{23} E[g'(x_1) g'(x_3)]

    Parameters
    ----------
    C
        Covariances, shape (..., 3, 3).
    activation
        "erf", "relu" or "linear"; or one name per field (the second plays no role).

    Returns
    -------
    ndarray
        Shape (...,).

    Examples
    --------
    >>> import numpy as np
    >>> from hmm_rs.theory import i3
    >>> float(i3(np.ones((3, 3)), "relu"))
    0.5
    """
    return _average(C, 3, activation)


def i4(C: npt.ArrayLike, activation: Units = "erf") -> npt.NDArray[np.float64]:
    r"""Return I4 = E[g'(x₁) g'(x₂) g(x₃) g(x₄)] for Gaussian fields of covariance C.

    Parameters
    ----------
    C
        Covariances, shape (..., 4, 4); degenerate ones are fine.
    activation
        "erf", "relu" or "linear"; or one name per field, where the first two must agree.

    Returns
    -------
    ndarray
        Shape (...,).

    Notes
    -----
    erf: the two gates are a Gaussian weight, which leaves I2 of a tilted covariance. relu: moments
    of Gaussian orthants, down to one integral over an angle where all four fields differ; its error
    is about 1e-12, and below 1e-7 while 1 - |correlation| > 1e-8.

    Examples
    --------
    >>> import numpy as np
    >>> from hmm_rs.theory import i4
    >>> float(i4(np.ones((4, 4)), "relu"))
    0.5
    """
    return _average(C, 4, activation)


def generalisation_error(
    Q: npt.ArrayLike,
    R: npt.ArrayLike,
    T: npt.ArrayLike,
    v: npt.ArrayLike,
    v_teacher: npt.ArrayLike,
    *,
    activation: Activation = "erf",
    teacher_activation: Activation | None = None,
) -> Any:
    r"""Return the generalisation error of a student with overlaps Q, R on a teacher with overlaps T.

    .. math:: \epsilon_g = \tfrac12 E\Big[\Big(\sum_k v_k g(\lambda^k)
              - \sum_m \tilde v_m \tilde g(\nu^m)\Big)^2\Big]

    Parameters
    ----------
    Q, R, T
        Covariances of the local fields, shapes (..., K, K), (..., K, M) and (M, M) or (..., M, M).
    v, v_teacher
        Second layers, shapes (..., K) or (K,), and (M,).
    activation, teacher_activation
        "erf", "relu" or "linear"; the teacher's is the student's unless given. For K + M <= 4 also
        "tanh" or any smooth vectorised function, by quadrature.

    Returns
    -------
    float or ndarray
        A number, or an array of shape (...,) for leading dimensions.

    Notes
    -----
    No division by K or M; the factor 1/2 is included. HMM paper, eq. (38).

    Examples
    --------
    >>> import numpy as np
    >>> from hmm_rs.theory import generalisation_error
    >>> float(generalisation_error(np.eye(2), np.eye(2), np.eye(2), [1, 1], [1, 1]))
    0.0
    """
    Q, R, T, v = reals("Q", Q), reals("R", R), reals("T", T), reals("v", v)
    shape, teacher = Q.shape, T.shape
    if len(shape) < 2:
        raise ShapeError(f"Q has shape {shape}: must be (..., K, K); pass the student's overlaps")
    if len(teacher) < 2 or teacher[-1] != teacher[-2]:
        raise ShapeError(f"T has shape {teacher}: must be (..., M, M); pass the teacher's overlaps")
    K, M, lead = shape[-1], teacher[-1], shape[:-2]
    T = array("T", T, teacher, rule="= (..., M, M)")
    v_teacher = array("v_teacher", v_teacher, (M,), rule="= (M,)")
    Q = array("Q", Q, (*lead, K, K), rule="= (..., K, K)").reshape(-1, K, K)
    R = array("R", R, (*lead, K, M), rule="= (..., K, M)").reshape(-1, K, M)
    v = array("v", v, (K,) if v.ndim == 1 else (*lead, K), rule="= (..., K)")
    v = np.ascontiguousarray(np.broadcast_to(v, (*lead, K))).reshape(-1, K)
    setting = _lib.OnlineSetting(
        v0=np.ones(K),
        v_teacher=v_teacher,
        student=resolve("activation", activation),
        teacher=resolve("teacher_activation", teacher_activation or activation),
        lr=0.0,
        lr_v=0.0,
        noise=0.0,
        weight_decay=0.0,
        batch=1,
    )
    try:
        teachers = np.broadcast_to(T, (*lead, M, M)).reshape(-1, M, M)
    except ValueError:
        raise ShapeError(
            f"T has shape {teacher}: must be (M, M), or have the leading dimensions {lead} of Q; pass such an array"
        ) from None
    # A teacher does not move, so that runs and solutions repeat one T.
    result = np.empty(len(Q))
    start = 0
    while start < len(Q):
        same = (teachers[start:] == teachers[start]).all(axis=(1, 2))
        stop = start + (len(same) if same.all() else int(np.argmin(same)))
        part = slice(start, stop)
        result[part] = _lib.generalisation_error(
            Q[part], R[part], np.ascontiguousarray(teachers[start]), v[part], setting
        )
        start = stop
    finite("Q, R, T, v and v_teacher", result)
    return result.reshape(lead) if lead else float(result[0])
