"""Classifiers: the tangent kernel of an infinitely wide network, and a network of finite width that is trained."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from ..dynamics.gradient_flow import GradientFlow
from ..ground.arguments import number
from ..ground.errors import InvalidParameterError
from ..kernels.closed import Bias, ntk
from ..kernels.svc import svc
from ..networks.mean_field import MeanFieldNetwork

__all__ = ["MeanFieldClassifier", "NTKClassifier"]

Array = npt.NDArray[np.float64]


class _OneAgainstTheRest(ClassifierMixin, BaseEstimator):
    """A classifier of two classes, and of more by one decision function a class."""

    # Weights of examples are not routed to the score; without this scikit-learn adds a method for it.
    __metadata_request__score = {"sample_weight": UNUSED}  # noqa: RUF012 (read by its base class)

    @abstractmethod
    def _fitted(self, X: Array, signs: list[Array]) -> None:
        """Learn one decision function for each array of signs, shape (n,)."""

    @abstractmethod
    def _decisions(self, X: Array) -> list[Array]:
        """Return the values of every decision function, shape (n,) each."""

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> Any:
        """Learn from inputs `X`, shape (n, d), and their classes `y`, shape (n,); return the classifier itself."""
        given, targets = validate_data(self, X, y, dtype="float64")
        check_classification_targets(targets)
        self.classes_, which = np.unique(targets, return_inverse=True)
        if len(self.classes_) < 2:
            raise InvalidParameterError(
                f"y holds one class, {self.classes_[0]!r}: must hold at least two; pass examples of another one"
            )
        # Of two classes the second one is the positive one.
        positive = [1] if len(self.classes_) == 2 else range(len(self.classes_))
        self._fitted(given, [np.where(which == one, 1.0, -1.0) for one in positive])
        return self

    def decision_function(self, X: npt.ArrayLike) -> Array:
        """Return the decision of every input: shape (n,) for two classes, (n, classes) for more."""
        check_is_fitted(self)
        values = self._decisions(validate_data(self, X, dtype="float64", reset=False))
        return values[0] if len(values) == 1 else np.stack(values, axis=1)

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return the class of every input, shape (n,)."""
        decision = self.decision_function(X)
        which = (decision > 0).astype(np.intp) if decision.ndim == 1 else decision.argmax(axis=1)
        return np.asarray(self.classes_[which])


class NTKClassifier(_OneAgainstTheRest):
    """A support-vector classifier with the tangent kernel of an infinitely wide network at its start.

    What a network of one hidden layer, infinitely wide and in the lazy regime, becomes when it is trained with the
    hinge loss and a penalty.

    Parameters
    ----------
    C
        Bound of the dual coefficients: the larger, the fewer errors on the training set. 1e20 is a hard margin.
    bias
        Biases of the network, as in :func:`hmm_rs.kernels.ntk`.

    Attributes
    ----------
    classes_ : array
        The classes.
    machines_ : list of SupportVectors
        One fit for two classes, one a class for more.
    X_fit_ : array, shape (n, d)
        The inputs learnt from.

    References
    ----------
    Paccolat, Petrini, Geiger, Tyloo & Wyart, J. Stat. Mech. 2021, 044001.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> X, y = hr.Stripe(3).sample(200, seed=1)
    >>> X_test, y_test = hr.Stripe(3).sample(200, seed=2)
    >>> hr.sklearn.NTKClassifier(C=100.0).fit(X, y).score(X_test, y_test) > 0.9
    True
    """

    def __init__(self, C: float = 1.0, *, bias: Bias = "normal") -> None:
        self.C = C
        self.bias = bias

    def _fitted(self, X: Array, signs: list[Array]) -> None:
        gram = ntk(X, bias=self.bias)
        self.machines_ = [svc(gram, y, C=self.C) for y in signs]
        self.X_fit_ = X

    def _decisions(self, X: Array) -> list[Array]:
        kernel = ntk(X, self.X_fit_, bias=self.bias)
        return [machine.decision(kernel) for machine in self.machines_]


class MeanFieldClassifier(_OneAgainstTheRest):
    r"""A network :math:`f(x) = \frac1h \sum_n a_n g(w_n\cdot x/\sqrt d + b_n)` trained by gradient flow.

    The network starts from pairs (a, w, b), (-a, w, b), so that it is zero at first. Inputs should be of order one;
    put a ``StandardScaler`` before it.

    Parameters
    ----------
    width
        Number h of hidden units; even.
    alpha
        Scale of the predictor :math:`F = \alpha f`. Far below :math:`1/\sqrt h` the network learns features, far
        above it is lazy.
    loss
        "hinge", "softhinge" or "qhinge", as in :class:`hmm_rs.GradientFlow`.
    stop_margin
        Training ends once every y F exceeds this.
    max_steps
        Training ends after so many steps at the latest.
    seed
        Names the initial weights.

    Attributes
    ----------
    classes_ : array
        The classes.
    networks_ : list of MeanFieldNetwork
        One trained network for two classes, one a class for more.
    stopped_ : list of str
        Why each training ended, as in :meth:`hmm_rs.GradientFlow.run`: "margin" where all went well.

    References
    ----------
    Paccolat, Petrini, Geiger, Tyloo & Wyart, J. Stat. Mech. 2021, 044001.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> X, y = hr.Stripe(3).sample(200, seed=1)
    >>> X_test, y_test = hr.Stripe(3).sample(200, seed=2)
    >>> hr.sklearn.MeanFieldClassifier(alpha=1e-3).fit(X, y).score(X_test, y_test) > 0.9
    True
    """

    def __init__(
        self,
        width: int = 100,
        *,
        alpha: float = 0.1,
        loss: str = "hinge",
        stop_margin: float = 0.9,
        max_steps: int = 2000,
        seed: Any = 0,
    ) -> None:
        self.width = width
        self.alpha = alpha
        self.loss = loss
        self.stop_margin = stop_margin
        self.max_steps = max_steps
        self.seed = seed

    def _fitted(self, X: Array, signs: list[Array]) -> None:
        self.networks_, self.stopped_ = [], []
        for y in signs:
            start = MeanFieldNetwork.random(
                self.width, X.shape[1], std_b=1.0, paired="even", activation="sqrt2_relu", seed=self.seed
            )
            flow = GradientFlow(start, X, y, loss=self.loss, alpha=self.alpha)  # type: ignore[arg-type]
            # Only the end is measured: on small data measuring takes longer than learning.
            result = flow.run(
                stop_margin=self.stop_margin, max_steps=self.max_steps, save_steps=[self.max_steps]
            )
            self.networks_.append(flow.network)
            self.stopped_.append(str(result.attrs["stopped"]))

    def _decisions(self, X: Array) -> list[Array]:
        scale = number("alpha", self.alpha, minimum=0.0, exclusive=True)
        return [scale * network.forward(X) for network in self.networks_]
