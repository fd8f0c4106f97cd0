"""Gram matrices and labels as the other files of this room take them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..ground import arguments
from ..ground.errors import InvalidParameterError, ShapeError
from ..ground.linear_algebra import is_positive_definite, scale_of
from ..ground.overflow import within_range

__all__ = ["ROWS", "both_labels", "positive_gram", "symmetric_gram"]

Array = npt.NDArray[Any]

#: Rows of a Gram matrix that are looked at at once.
ROWS = 256


def symmetric_gram(K: npt.ArrayLike, name: str = "K") -> Array:
    """Return a symmetric (P, P) matrix in double precision."""
    single = getattr(K, "dtype", None) == np.float32
    gram = arguments.array(name, K, (None, None), rule="(P, P)")
    if gram.shape[0] != gram.shape[1]:
        raise ShapeError(
            f"{name} has shape {gram.shape}: must be square; pass the Gram matrix of one point set"
        )
    # Rows at a time: no second matrix of this size, and Ctrl-C waits for one block.
    blocks = [slice(start, start + ROWS) for start in range(0, len(gram), ROWS)]
    with np.errstate(over="ignore"):
        difference = max(float(np.abs(gram[rows] - gram[:, rows].T).max()) for rows in blocks)
    # Rounding of the entries' own precision, with room for sums in another order.
    if difference > (1e-5 if single else 1e-10) * max(float(np.abs(gram[rows]).max()) for rows in blocks):
        raise InvalidParameterError(
            f"{name}: must be symmetric; pass (K + K.T)/2 if the difference is rounding"
        )
    return gram


def positive_gram(K: npt.ArrayLike, name: str = "K") -> Array:
    """Return a symmetric positive semi-definite matrix in double precision, or refuse it.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> hr.kernels.positive_gram([[1, 0], [0, 1]])
    array([[1., 0.],
           [0., 1.]])
    """
    single = getattr(K, "dtype", None) == np.float32
    gram = symmetric_gram(K, name)
    diagonal = np.diag(gram)
    unit = scale_of(diagonal)
    scale = unit * float((diagonal / unit).mean()) or 1.0
    # Semi-definite up to the rounding of the entries.
    slack = (1e-6 if single else 1e-8) * len(gram)
    with within_range(name):
        lifted = gram / scale
    lifted[np.diag_indices_from(lifted)] += slack
    if not is_positive_definite(lifted):
        raise InvalidParameterError(f"{name}: must be positive semi-definite; pass a Gram matrix")
    return gram


def both_labels(y: npt.ArrayLike, size: int) -> Array:
    """Return labels of +1 and -1, both present."""
    labels = arguments.array("y", y, (size,), rule="(one label per point)")
    if not np.isin(labels, (-1.0, 1.0)).all():
        raise InvalidParameterError("y: labels must be +1 or -1; pass np.where(condition, 1, -1)")
    if abs(labels.sum()) == size:
        raise InvalidParameterError("y: both labels must occur; pass points of both classes")
    return labels
