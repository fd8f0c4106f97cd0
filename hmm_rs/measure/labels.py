"""What the hinge study reads off labelled data: the direction that drives every node."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..ground import arguments
from ..ground.errors import InvalidParameterError
from ..ground.linear_algebra import frobenius, product

__all__ = ["label_direction", "labelled"]

Array = npt.NDArray[np.float64]

#: Largest input: squares of sums over inputs stay finite.
_LARGEST = 1e150


def labelled(X: npt.ArrayLike, y: npt.ArrayLike) -> tuple[Array, Array]:
    """Return inputs (P, d) and their labels +1 and -1, checked."""
    inputs = arguments.array("X", X, (None, None), rule="(examples, inputs)")
    labels = arguments.array("y", y, (len(inputs),), rule="(one label per row of X)")
    if not (np.abs(labels) == 1.0).all():
        raise InvalidParameterError("y holds other values than +1 and -1: must be labels; pass signs")
    if (size := float(np.abs(inputs).max())) > _LARGEST:
        raise InvalidParameterError(
            f"X: entries reach {size:.1e}, their squares leave the range of floats; rescale to below {_LARGEST:.0e}"
        )
    return inputs, labels


def label_direction(X: npt.ArrayLike, y: npt.ArrayLike) -> Array:
    r"""Return the unit vector along the mean of y x, the direction in which labelled data drive every node.

    While no example is satisfied a node with weights w feels
    :math:`\langle y\,\theta(w\cdot x)\,x\rangle = \frac12\langle y\,x\rangle + \frac12\langle y\,\mathrm{sign}(w\cdot
    x)\,x\rangle`; the last term vanishes for data that are symmetric under (x, y) -> (-x, -y), and all nodes are
    driven alike. For a linear teacher and isotropic inputs the direction is the teacher's.

    Parameters
    ----------
    X
        Inputs, shape (P, d); take out their mean first.
    y
        Labels +1 and -1, shape (P,).

    Returns
    -------
    numpy.ndarray
        Shape (d,).

    Raises
    ------
    InvalidParameterError
        If the labels favour no direction.

    References
    ----------
    Pellegrini & Biroli, NeurIPS 2020 (arXiv:2006.11209).

    Examples
    --------
    >>> import hmm_rs as hr
    >>> X, y = hr.LinearlySeparable(5).sample(2000)
    >>> bool(hr.observables.label_direction(X, y)[0] > 0.99)
    True
    """
    inputs, labels = labelled(X, y)
    mean = product(labels, inputs) / len(labels)
    length = frobenius(mean)
    if length == 0.0:
        raise InvalidParameterError("X, y: the mean of y x is zero, labels favour no direction; pass others")
    return np.asarray(mean / length)
