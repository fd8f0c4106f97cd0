"""Random features as a transformer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from ..ground.activations import UNITS, activation
from ..ground.arguments import count
from ..ground.linear_algebra import product
from ..networks.two_layer import TwoLayer

__all__ = ["RandomFeatures"]


class RandomFeatures(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    r"""Random features :math:`v_i = f(w_i\cdot x/\sqrt N)/\sqrt p` with Gaussian weights.

    The factor :math:`1/\sqrt p` is that of :class:`hmm_rs.FullBatch` and of its theory.

    Parameters
    ----------
    n_components
        Number p of features.
    f
        Nonlinearity: "sign", "erf", "relu", "tanh" or "identity".
    seed
        Names the weights.

    Attributes
    ----------
    weights_ : array, shape (p, N)
        The weights, independent and of unit variance.
    n_features_in_ : int
        Number N of inputs.

    Examples
    --------
    >>> from hmm_rs.sklearn import RandomFeatures
    >>> RandomFeatures(3, f="sign").fit_transform([[1.0, 0.0], [-1.0, 0.0]]).round(3).tolist()
    [[-0.577, 0.577, 0.577], [0.577, -0.577, -0.577]]
    """

    def __init__(self, n_components: int = 100, *, f: str = "relu", seed: Any = 0) -> None:
        self.n_components = n_components
        self.f = f
        self.seed = seed

    def fit(self, X: npt.ArrayLike, y: Any = None) -> RandomFeatures:
        """Draw the weights for inputs like `X`, shape (n, N); `y` is not used."""
        del y
        given = validate_data(self, X, dtype="float64")
        activation("f", self.f, _KNOWN)
        self.weights_ = TwoLayer.random(
            count("n_components", self.n_components), given.shape[1], seed=self.seed
        ).w
        self._n_features_out = len(self.weights_)
        return self

    def transform(self, X: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the features of `X`, shape (n, p)."""
        check_is_fitted(self)
        given = validate_data(self, X, dtype="float64", reset=False)
        p, inputs = self.weights_.shape
        fields = product(given, self.weights_.T) / math.sqrt(inputs)
        return np.asarray(UNITS[activation("f", self.f, _KNOWN)].value(fields) / math.sqrt(p))


_KNOWN = ("sign", "erf", "relu", "tanh", "identity")
