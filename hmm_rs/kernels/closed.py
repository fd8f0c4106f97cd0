"""Kernels in closed form.

Conventions: networks f(x) = (1/h) sum_n a_n g(w_n.x/sqrt d + b_n); tangent kernels are returned as
h Theta, which has a limit at infinite width.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from .. import _lib
from ..ground import arguments
from ..ground.errors import InvalidParameterError
from ..ground.memory import require

__all__ = ["Bias", "laplace", "ntk", "points_of"]

Array = npt.NDArray[Any]
Bias = Literal["normal", "zero", "none"]


def points_of(
    X: npt.ArrayLike, Y: npt.ArrayLike | None, dtype: str = "float64"
) -> tuple[Array, Array | None]:
    """Return points of one dimension whose squared lengths are floating-point numbers."""
    x = arguments.array("X", X, (None, None), rule="(points, inputs)", dtype=dtype)
    y = None
    if Y is not None:
        y = arguments.array("Y", Y, (None, x.shape[1]), rule="(points, inputs of X)", dtype=dtype)
    # Sums of two points are squared.
    largest = float(np.sqrt(np.finfo(dtype).max / (4.0 * x.shape[1])))
    for name, points in (("X", x), ("Y", y)):
        if points is not None and (size := float(np.abs(points).max())) > largest:
            raise InvalidParameterError(
                f"{name}: entries reach {size:.1e}, their squares leave the range of {dtype}; "
                f"rescale the points to below {largest:.1e}"
            )
    return x, y


def _result(x: Array, y: Array | None) -> Array:
    shape = (len(x), len(x if y is None else y))
    # Beside the kernel: a direction and a length for each point.
    points = x.size + len(x) + (0 if y is None else y.size + len(y))
    require(
        8 * (shape[0] * shape[1] + 2 * points), f"a kernel of shape {shape}", "pass fewer points at a time"
    )
    return np.empty(shape)


def ntk(
    X: npt.ArrayLike, Y: npt.ArrayLike | None = None, *, bias: Bias = "normal", threads: int | None = None
) -> Array:
    r"""Return the neural tangent kernel of an infinitely wide network at its start, h Theta (P, Q).

    .. math::
        h\Theta = \tfrac1\pi [a a' (\sin\theta + (\pi-\theta)\cos\theta)
                  + (x\cdot x'/d + \gamma)(\pi-\theta)], \quad a = \sqrt{|x|^2/d + v_b}

    for f(x) = (1/h) sum_n beta_n sigma(omega_n.x/sqrt d + b_n), sigma(u) = sqrt2 max(0, u), weights of unit
    variance, cos th = (x.x'/d + v_b)/(a a').

    Parameters
    ----------
    X, Y
        Points, shapes (P, d) and (Q, d); `Y=None` stands for `X` (half the work, exactly symmetric).
    bias
        "normal": drawn from N(0, 1) and trained (v_b = gamma = 1); "zero": zero at the start and trained
        (v_b = 0, gamma = 1); "none": absent (v_b = gamma = 0).
    threads
        Number of threads; None for the default. The result does not depend on it.

    Raises
    ------
    ResourceError
        A kernel that does not fit into memory.

    Notes
    -----
    The angle is 2 atan2(\|u - v\|, \|u + v\|) of the unit vectors, so the diagonal is exact:
    a^2 + \|x\|^2/d + gamma. Without biases a point at the origin has kernel 0.

    References
    ----------
    Jacot, Gabriel & Hongler, NeurIPS 2018; Paccolat et al., J. Stat. Mech. 2021, 044001.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> hr.kernels.ntk([[1.0, 1.0], [-1.0, 1.0]]).round(4)
    array([[4.    , 1.8847],
           [1.8847, 4.    ]])
    """
    arguments.choice("bias", bias, get_args(Bias))
    workers = arguments.threads("threads", threads)
    x, y = points_of(X, Y)
    out = _result(x, y)
    _lib.ntk(x, y, bias=bias, out=out, threads=workers)
    return out


def laplace(
    X: npt.ArrayLike, Y: npt.ArrayLike | None = None, *, scale: float, threads: int | None = None
) -> Array:
    r"""Return the isotropic kernel K(x, y) = exp(-\|x - y\|/scale), shape (P, Q).

    Examples
    --------
    >>> import hmm_rs as hr
    >>> hr.kernels.laplace([[0.0, 0.0]], [[3.0, 4.0]], scale=5.0).round(6)
    array([[0.367879]])
    """
    scale = arguments.number("scale", scale, minimum=0.0, exclusive=True)
    workers = arguments.threads("threads", threads)
    x, y = points_of(X, Y)
    out = _result(x, y)
    _lib.laplace(x, y, scale=scale, out=out, threads=workers)
    return out
