"""Linear algebra whose bits do not depend on how many threads numpy's BLAS or the package has."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _lib
from . import arguments
from .errors import InvalidParameterError, ShapeError
from .memory import require

__all__ = [
    "Reflection",
    "eigh",
    "eigvalsh",
    "frobenius",
    "gram",
    "is_positive_definite",
    "product",
    "scale_of",
    "solve",
]

Array = npt.NDArray[np.floating[Any]]

#: Matrices whose largest entry lies beyond this, or below its inverse, are scaled before they are decomposed.
_FAR = 1e140


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


def eigh(a: npt.ArrayLike) -> tuple[Array, Array]:
    """Return eigenvalues, ascending, and eigenvectors, columns, of a symmetric matrix (its lower half is read).

    Parameters
    ----------
    a : array, shape (n, n)

    Returns
    -------
    values : array, shape (n,)
    vectors : array, shape (n, n)

    Raises
    ------
    ShapeError
        A matrix that is not square.
    InvalidParameterError
        Entries that are not finite.
    ResourceError
        A matrix too large for memory.

    Examples
    --------
    >>> from hmm_rs.ground.linear_algebra import eigh
    >>> eigh([[2.0, 1.0], [1.0, 2.0]])[0].round(12)
    array([1., 3.])
    """
    matrix, scale = _near(_square(a))
    found = _lib.symmetric_eigen(matrix)
    with np.errstate(over="ignore"):
        return found["values"] * scale, found["vectors"]


def _near(matrix: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], float]:
    """Return a matrix in units of the second result: near the ends of the range of floats rotations would leave it."""
    scale = scale_of(matrix)
    return (matrix, 1.0) if 1.0 / _FAR < scale < _FAR else (matrix / scale, scale)


def eigvalsh(a: npt.ArrayLike) -> Array:
    """Return the eigenvalues, ascending, of a symmetric matrix (its lower half is read): faster than `eigh`.

    Parameters
    ----------
    a : array, shape (n, n)

    Returns
    -------
    array, shape (n,)

    Raises
    ------
    ShapeError, InvalidParameterError, ResourceError
        As `eigh`.

    Examples
    --------
    >>> from hmm_rs.ground.linear_algebra import eigvalsh
    >>> eigvalsh([[2.0, 1.0], [1.0, 2.0]]).round(12)
    array([1., 3.])
    """
    matrix, scale = _near(_square(a))
    with np.errstate(over="ignore"):
        return _lib.symmetric_eigenvalues(matrix) * scale


def is_positive_definite(a: npt.ArrayLike) -> bool:
    """Return whether a symmetric matrix (its lower half is read) is positive definite.

    Examples
    --------
    >>> from hmm_rs.ground.linear_algebra import is_positive_definite
    >>> is_positive_definite([[1.0, 2.0], [2.0, 1.0]])
    False
    """
    return _lib.is_positive_definite(_square(a))


def solve(a: npt.ArrayLike, b: npt.ArrayLike) -> Array:
    """Return x with a x = b, in least squares where elimination meets an exact zero.

    Parameters
    ----------
    a : array, shape (n, n)
    b : array, shape (n,)

    Examples
    --------
    >>> from hmm_rs.ground.linear_algebra import solve
    >>> solve([[0.0, 2.0], [1.0, 1.0]], [4.0, 3.0])
    array([1., 2.])
    """
    return _lib.solve_linear(_square(a), np.asarray(b, dtype=np.float64))


class Reflection:
    """The reflection that takes a direction to the first axis; applied twice it is the identity.

    Parameters
    ----------
    direction : array, shape (d,)
        Not zero; its length does not matter.

    Examples
    --------
    >>> from hmm_rs.ground.linear_algebra import Reflection
    >>> turn = Reflection.onto_first_axis("teacher", [0.0, 2.0], 2)
    >>> turn([[0.0, 3.0], [1.0, 0.0]]).round(12)
    array([[3., 0.],
           [0., 1.]])
    """

    direction: npt.NDArray[np.float64]

    def __init__(self, direction: npt.NDArray[np.float64]) -> None:
        self.direction = direction
        unit = direction / frobenius(direction)
        unit[0] -= 1.0
        length = frobenius(unit)
        #: The mirror's normal; None for the first axis itself.
        self._normal = None if length == 0.0 else unit / length

    @classmethod
    def onto_first_axis(cls, name: str, direction: npt.ArrayLike, d: int) -> Reflection:
        """Return the reflection for the argument called `name`, checked."""
        given = arguments.array(name, direction, (d,), rule=f"= ({d},)").copy()
        if not given.any():
            raise InvalidParameterError(f"{name} = 0: must be a direction; pass a vector that is not zero")
        given.flags.writeable = False
        return cls(given)

    def __call__(self, rows: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return the reflected rows, shape (P, d), in double precision."""
        rows = np.asarray(rows, dtype=np.float64)
        if self._normal is None:
            return rows
        along = product(rows, self._normal)
        return np.ascontiguousarray(rows - 2.0 * along[:, None] * self._normal)


def frobenius(a: npt.ArrayLike) -> float:
    """Return the root of the sum of squares of all entries; sizes near the ends of the range of floats are no trouble.

    Examples
    --------
    >>> from hmm_rs.ground.linear_algebra import frobenius
    >>> frobenius([[3e200, 4e200]]) / 1e200
    5.0
    """
    values = np.asarray(a, dtype=np.float64)
    largest = float(np.abs(values).max(initial=0.0))
    if largest == 0.0 or not np.isfinite(largest):
        return largest
    scale = scale_of(values)
    # As a float of Python: a norm beyond the range of floats is infinite, without a warning.
    return scale * float(np.sqrt(np.sum(np.square(values / scale))))


def scale_of(values: npt.NDArray[np.float64]) -> float:
    """Return the power of two just below the largest entry in size (1 of zeros): dividing by it rounds nothing.

    Squares and sums of ``values / scale_of(values)`` stay within the range of floats.

    Examples
    --------
    >>> import numpy as np
    >>> from hmm_rs.ground.linear_algebra import scale_of
    >>> scale_of(np.array([-5.0, 3.0]))
    4.0
    """
    largest = float(np.abs(values).max(initial=0.0))
    return math.ldexp(1.0, math.frexp(largest)[1] - 1) if largest > 0.0 else 1.0


def _square(a: npt.ArrayLike) -> npt.NDArray[np.float64]:
    matrix = np.asarray(a, dtype=np.float64)
    if matrix.ndim != 2:
        raise ShapeError(f"a has shape {matrix.shape}: must be a matrix; pass an array of shape (n, n)")
    return matrix


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
