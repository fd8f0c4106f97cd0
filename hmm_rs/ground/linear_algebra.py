"""Products of large matrices whose bits do not depend on how many threads numpy's BLAS or the package has."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _lib
from .errors import ShapeError
from .memory import require

__all__ = ["gram", "product"]

Array = npt.NDArray[np.floating[Any]]


def product(a: npt.ArrayLike, b: npt.ArrayLike, *, threads: int | None = None) -> Array:
    """Return a @ b of matrices or vectors, the same bits on any number of threads.

    Parameters
    ----------
    a : array, shape (m, k) or (k,)
    b : array, shape (k, n) or (k,)
        float32 if both are, else float64. Views in row or column order are not copied.
    threads : int, optional
        Threads of the package's pool; all by default.

    Returns
    -------
    array
        The shape that ``numpy.matmul`` gives; a number of shape () for two vectors.

    Raises
    ------
    ShapeError
        Shapes that do not fit.
    ResourceError
        A result that does not fit into memory.

    Examples
    --------
    >>> from hmm_rs.ground.linear_algebra import product
    >>> product([[1.0, 2.0], [3.0, 4.0]], [1.0, -1.0])
    array([-1., -1.])
    """
    left, right = _operands(a, b)
    if left.ndim not in (1, 2) or right.ndim not in (1, 2) or left.shape[-1] != right.shape[0]:
        raise ShapeError(
            f"a has shape {left.shape} and b {right.shape}: must be matrices or vectors whose inner lengths agree; "
            "pass arrays of such shapes"
        )
    rows = left if left.ndim == 2 else left[None, :]
    columns = right if right.ndim == 2 else right[:, None]
    out = _result((rows.shape[0], columns.shape[1]), left.dtype)
    _lib.matmul(rows, columns, out=out, threads=threads)
    return out.reshape(left.shape[:-1] + right.shape[1:])


def gram(a: npt.ArrayLike, *, threads: int | None = None) -> Array:
    """Return a @ a.T, exactly symmetric, in half the work and the same bits on any number of threads.

    Parameters
    ----------
    a : array, shape (m, k)
        float32 stays; anything else becomes float64.
    threads : int, optional
        Threads of the package's pool; all by default.

    Returns
    -------
    array, shape (m, m)

    Raises
    ------
    ShapeError
        An array that is no matrix.
    ResourceError
        A result that does not fit into memory.

    Examples
    --------
    >>> from hmm_rs.ground.linear_algebra import gram
    >>> gram([[1.0, 2.0], [3.0, 4.0]])
    array([[ 5., 11.],
           [11., 25.]])
    """
    (matrix,) = _operands(a)
    if matrix.ndim != 2:
        raise ShapeError(f"a has shape {matrix.shape}: must be a matrix; pass an array of shape (m, k)")
    out = _result((matrix.shape[0], matrix.shape[0]), matrix.dtype)
    _lib.matmul(matrix, None, out=out, threads=threads)
    return out


def _operands(*values: npt.ArrayLike) -> list[Array]:
    """Return the values as arrays of one precision."""
    arrays = [np.asarray(value) for value in values]
    single = all(array.dtype == np.float32 for array in arrays)
    return [array.astype(np.float32 if single else np.float64, copy=False) for array in arrays]


def _result(shape: tuple[int, int], dtype: np.dtype[Any]) -> Array:
    require(
        shape[0] * shape[1] * dtype.itemsize,
        f"a matrix of shape {shape}",
        "multiply in blocks of rows, or by vectors",
    )
    return np.empty(shape, dtype)
