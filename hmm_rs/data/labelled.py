"""Labelled inputs with a linear teacher along the first axis: the data of the hinge study."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _lib
from ..ground.arguments import choice, count, number, seed_words
from ..ground.description import Description
from ..ground.memory import require

__all__ = ["GaussianMixture", "LabelledData", "LinearlySeparable", "UniformSphere"]

Floats = npt.NDArray[np.float64]


class LabelledData(Description, ABC):
    """Inputs x in d dimensions with labels y = ±1, some of them flipped."""

    d: int
    flip: float

    @abstractmethod
    def _law(self) -> _lib.LabelledLaw:
        """Return the compiled law."""

    def sample(
        self,
        P: int,
        *,
        seed: Any = 0,
        stream: str = "train",
        start: int = 0,
        clean: bool = False,
        threads: int | None = None,
    ) -> tuple[Floats, Floats]:
        """Return `P` inputs X, shape (P, d), and their labels y, shape (P,).

        Parameters
        ----------
        P
            Number of examples.
        seed
            Names the stream, together with `stream`.
        stream
            "train" or "test": independent of each other.
        start
            Row j is example ``start + j`` of the stream, whatever `P` is.
        clean
            Leave out the label flips; the inputs are the same.
        threads
            Threads to use; the result does not depend on it.
        """
        P = count("P", P)
        start = count("start", start, minimum=0)
        choice("stream", stream, ("train", "test"))
        require(
            8 * P * (self.d + 1), f"a sample of P={P}", "take fewer at a time: start= continues the stream"
        )
        words = seed_words(seed)
        return self._law().sample(P, start, words, stream == "test", bool(clean), threads)


class LinearlySeparable(LabelledData):
    """Gaussian inputs x ~ N(0, sigma²) with y = sign(x_1).

    Parameters
    ----------
    d
        Dimension.
    sigma
        Standard deviation of an input.
    flip
        Probability of a flipped label.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> X, y = hr.LinearlySeparable(5).sample(3)
    >>> bool((y * X[:, 0] > 0).all())
    True
    """

    sigma: float

    def __init__(self, d: int, *, sigma: float = 1.0, flip: float = 0.0) -> None:
        self._describe(
            d=count("d", d),
            sigma=number("sigma", sigma, minimum=0.0, exclusive=True),
            flip=number("flip", flip, minimum=0.0, maximum=1.0),
        )

    def _law(self) -> _lib.LabelledLaw:
        return _lib.LabelledLaw("separable", self.d, self.sigma, 0.0, self.flip)


class UniformSphere(LabelledData):
    """Inputs uniform on the sphere of `radius`, y = sign(x_1).

    Parameters
    ----------
    d
        Dimension.
    radius
        Radius of the sphere; √d gives inputs of unit variance.
    flip
        Probability of a flipped label.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> X, y = hr.UniformSphere(5, radius=2.0).sample(3)
    >>> (X**2).sum(axis=1).round(12)
    array([4., 4., 4.])
    """

    radius: float

    def __init__(self, d: int, *, radius: float, flip: float = 0.0) -> None:
        self._describe(
            d=count("d", d),
            radius=number("radius", radius, minimum=0.0, exclusive=True),
            flip=number("flip", flip, minimum=0.0, maximum=1.0),
        )

    def _law(self) -> _lib.LabelledLaw:
        return _lib.LabelledLaw("sphere", self.d, self.radius, 0.0, self.flip)


class GaussianMixture(LabelledData):
    """Two Gaussian clusters, x = y mu e_1 + sigma ξ with equally likely labels: not separable.

    Parameters
    ----------
    d
        Dimension.
    mu
        Distance of the cluster centres from the origin.
    sigma
        Standard deviation of an input within its cluster.
    flip
        Probability of a flipped label.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> X, y = hr.GaussianMixture(5, mu=1.0, sigma=0.1).sample(3)
    >>> bool((abs(X[:, 0] - y) < 1).all())
    True
    """

    mu: float
    sigma: float

    def __init__(self, d: int, *, mu: float, sigma: float = 1.0, flip: float = 0.0) -> None:
        self._describe(
            d=count("d", d),
            mu=number("mu", mu),
            sigma=number("sigma", sigma, minimum=0.0, exclusive=True),
            flip=number("flip", flip, minimum=0.0, maximum=1.0),
        )

    def _law(self) -> _lib.LabelledLaw:
        return _lib.LabelledLaw("mixture", self.d, self.sigma, self.mu, self.flip)
