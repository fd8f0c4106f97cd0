"""Gaussian averages of a unit's activation, and the generalisation error they make."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _lib
from ..ground.activations import CLOSED as UNITS
from ..ground.arguments import array, choice
from ..ground.errors import InvalidParameterError, ShapeError
from .units import Activation, resolve

__all__ = ["generalisation_error", "i2", "i3", "i4"]

#: One unit for all fields, or one per field.
Units = str | Sequence[str]

#: Asymmetry and negative eigenvalues up to this fraction of the largest entry are round-off.
_TOLERANCE = 1e-8


def _units(activation: Units, fields: Sequence[int], n: int) -> list[str]:
    """Return the units of `fields` out of one name or one name per field."""
    names = [activation] * n if isinstance(activation, str) else list(activation)
    if len(names) != n:
        raise ShapeError(
            f"activation has {len(names)} entries: must be one name or {n} (one per field); pass 'erf', say"
        )
    return [choice("activation", names[field], UNITS) for field in fields]


def _covariances(C: npt.ArrayLike, n: int) -> npt.NDArray[np.float64]:
    """Return C as covariances of n fields, shape (..., n, n)."""
    given = np.shape(C)
    if len(given) < 2 or given[-2:] != (n, n):
        raise ShapeError(
            f"C has shape {given}: must be (..., {n}, {n}), the covariance of {n} fields; pass such an array"
        )
    result = array("C", C, given)
    scale = np.abs(result).max(axis=(-2, -1), initial=0.0)
    if (np.abs(result - np.swapaxes(result, -1, -2)).max(axis=(-2, -1)) > _TOLERANCE * scale).any():
        raise InvalidParameterError("C is not symmetric: a covariance is; symmetrise it")
    smallest = np.linalg.eigvalsh(result)[..., 0]
    if (smallest < -_TOLERANCE * scale).any():
        raise InvalidParameterError(
            f"C has the eigenvalue {smallest.min():.3g}: a covariance has none below 0 (tolerance 1e-8 of "
            f"its largest entry); pass the covariance of {n} fields"
        )
    return result


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
    C = _covariances(C, 2)
    return _lib.i2(C, _units(activation, (0, 1), 2)).reshape(C.shape[:-2])


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
    C = _covariances(C, 3)
    return _lib.i3(C, _units(activation, (0, 2), 3)).reshape(C.shape[:-2])


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
    C = _covariances(C, 4)
    first, second, third, fourth = _units(activation, (0, 1, 2, 3), 4)
    if first != second:
        raise InvalidParameterError(
            f"activation = {activation!r}: the two gates x1, x2 must be of one unit; name it twice"
        )
    return _lib.i4(C, [first, third, fourth]).reshape(C.shape[:-2])


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
        Covariances of the local fields, shapes (..., K, K), (..., K, M) and (M, M).
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
    T = array("T", T, (None, None), rule="= (M, M)")
    v_teacher = array("v_teacher", v_teacher, (T.shape[0],), rule="= (M,)")
    shape = np.shape(Q)
    if len(shape) < 2:
        raise ShapeError(f"Q has shape {shape}: must be (..., K, K); pass the student's overlaps")
    K, M, lead = shape[-1], T.shape[0], shape[:-2]
    Q = array("Q", Q, (*lead, K, K), rule="= (..., K, K)")
    R = array("R", R, (*lead, K, M), rule="= (..., K, M)")
    v = array("v", v, (K,) if np.ndim(v) == 1 else (*lead, K), rule="= (..., K)")
    v = np.ascontiguousarray(np.broadcast_to(v, (*lead, K)))
    setting = _lib.OnlineSetting(
        [1.0] * K,
        v_teacher.tolist(),
        resolve("activation", activation),
        resolve("teacher_activation", teacher_activation or activation),
        lr=0.0,
        lr_v=0.0,
        noise=0.0,
        weight_decay=0.0,
        batch=1,
    )
    result = _lib.generalisation_error(Q, R, T, v, setting).reshape(lead)
    return result if lead else float(result)
