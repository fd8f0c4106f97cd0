"""A finite set of labelled samples as a model of data."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .. import _lib
from ..ground.arguments import array
from ..ground.errors import InvalidParameterError
from ..networks.two_layer import TwoLayer
from .latent import LatentModel

__all__ = ["StoredSamples"]


class StoredSamples(LatentModel):
    """Stored inputs with given labels; a stream draws them at random with replacement.

    The label is the one latent of a sample (D = 1). The teacher that gives it back is linear with
    unit weights, :attr:`labels_teacher`; so the engine of online learning trains on images, or on a
    fixed training set, as it does on a stream of fresh samples.

    Parameters
    ----------
    X
        Inputs, shape (P, N).
    y
        Labels, shape (P,). Whoever classifies them needs ±1: a label's sign is what is learnt, so that of 0 and 1 all
        would count as +1 (:meth:`signs` refuses them).

    Notes
    -----
    ``OnlineSGD`` draws its test set from these samples too: its ``eg`` is an estimate of the
    training error. Errors on held-out samples follow from the student's outputs on them.

    Examples
    --------
    >>> import numpy as np
    >>> import hmm_rs as hr
    >>> from hmm_rs.data import StoredSamples
    >>> model = StoredSamples(np.eye(4), [1.0, -1.0, 1.0, -1.0])
    >>> X, y = model.sample(6)
    >>> bool((y[:, 0] == X @ [1, -1, 1, -1]).all())
    True
    >>> sim = hr.OnlineSGD(model, model.labels_teacher, student=hr.TwoLayer.random(2, 4), lr=0.1)
    >>> sim.advance(100)
    """

    X: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]

    def __init__(self, X: npt.ArrayLike, y: npt.ArrayLike) -> None:
        X = array("X", X, (None, None), rule="= (P, N)")
        y = array("y", y, (X.shape[0],), rule="= (P,), one label per row of X")
        self._describe(X=X, y=y)
        object.__setattr__(self, "N", X.shape[1])
        object.__setattr__(self, "D", 1)

    @property
    def labels_teacher(self) -> TwoLayer:
        """The teacher whose labels on the latent are the stored ones."""
        return TwoLayer(np.ones((1, 1)), np.ones(1), activation="linear")

    def signs(self) -> npt.NDArray[np.float64]:
        """Return the labels as classes ±1.

        Raises
        ------
        InvalidParameterError
            If a label is no class, such as 0: its sign says nothing.
        """
        if not np.isin(self.y, (-1.0, 1.0)).all():
            other = self.y[~np.isin(self.y, (-1.0, 1.0))][0]
            raise InvalidParameterError(
                f"y holds {other:g}: must be +1 or -1 where labels are classes; pass np.where(condition, 1, -1)"
            )
        return self.y

    def _source_bytes(self) -> int:
        return int(self.X.nbytes)

    def _make_source(self, dtype: str) -> _lib.Source:
        return _lib.Source.stored(self.X, self.y, dtype=dtype)
