"""Labelled inputs: their one base, and those with a linear teacher along the first axis (the hinge study)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from .. import _lib
from ..ground.arguments import choice, count, flag, number, seed_words
from ..ground.arguments import seed as checked_seed
from ..ground.arguments import threads as checked_threads
from ..ground.description import Description
from ..ground.memory import require
from .latent import stream_position

__all__ = ["GaussianMixture", "LabelledData", "LinearlySeparable", "UniformSphere", "spawned"]

Floats = npt.NDArray[np.float64]


#: Independent streams of one seed: training examples, points of fresh kernels, test examples.
Stream = Literal["train", "kernel", "test"]
STREAMS = get_args(Stream)


#: Largest scale: inputs stay finite.
LARGEST = 1e300


class LabelledData(Description, ABC):
    """Inputs x in d dimensions with labels y = ±1.

    The one base of all laws of labelled inputs: each can be sampled, trained on by
    :class:`hmm_rs.Particles` with new examples at every step, and handed to :class:`hmm_rs.GradientFlow` as a sample.
    """

    d: int
    #: Probability of a flipped label.
    flip: float = 0.0

    @property
    def informative(self) -> int:
        """Number of directions the label depends on, the first ones."""
        return 1

    @abstractmethod
    def _law(self) -> _lib.LabelledLaw:
        """Return the compiled law."""

    def _stream(self, seed: Any, stream: str) -> tuple[npt.NDArray[np.uint32], bool]:
        """Return the seed words of a stream, and whether it is the test stream of these words."""
        if stream == "kernel":
            return seed_words(spawned(seed, STREAMS.index(stream))), False
        return seed_words(seed), stream == "test"

    def sample(
        self,
        P: int,
        *,
        seed: Any = 0,
        stream: Stream = "train",
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
            Names the stream, together with `stream`; seeds are the ensemble to average over.
        stream
            "train", "kernel" or "test": independent of each other.
        start
            Row j is example ``start + j`` of the stream, whatever `P` is.
        clean
            Leave out the label flips; the inputs are the same.
        threads
            Threads to use; the result does not depend on it.

        Raises
        ------
        InvalidParameterError
            If the stream ends before the last of these examples.
        ResourceError
            If the sample would not fit in memory.

        Examples
        --------
        >>> import hmm_rs as hr
        >>> X, y = hr.Stripe(5).sample(100, seed=1)
        >>> X.shape, sorted(set(y.tolist()))
        ((100, 5), [-1.0, 1.0])
        """
        P = count("P", P)
        start = stream_position("start", start)
        choice("stream", stream, STREAMS)
        require(
            8 * P * (self.d + 1), f"a sample of P={P}", "take fewer at a time: start= continues the stream"
        )
        words, test = self._stream(seed, stream)
        return self._law().sample(
            P,
            start=start,
            seed=words,
            test=test,
            clean=flag("clean", clean),
            threads=checked_threads("threads", threads),
        )


def spawned(seed: Any, key: int) -> np.random.SeedSequence:
    """Return the seed sequence of a stream of `seed`."""
    kept = checked_seed(seed)
    if isinstance(kept, np.random.SeedSequence):
        return np.random.SeedSequence(kept.entropy, spawn_key=(*kept.spawn_key, key))
    return np.random.SeedSequence(kept, spawn_key=(key,))


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
            sigma=number("sigma", sigma, minimum=0.0, maximum=LARGEST, exclusive=True),
            flip=number("flip", flip, minimum=0.0, maximum=1.0),
        )

    def _law(self) -> _lib.LabelledLaw:
        return _lib.LabelledLaw.separable(self.d, sigma=self.sigma, flip=self.flip)


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
            radius=number("radius", radius, minimum=0.0, maximum=LARGEST, exclusive=True),
            flip=number("flip", flip, minimum=0.0, maximum=1.0),
        )

    def _law(self) -> _lib.LabelledLaw:
        return _lib.LabelledLaw.sphere(self.d, radius=self.radius, flip=self.flip)


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
            mu=number("mu", mu, minimum=-LARGEST, maximum=LARGEST),
            sigma=number("sigma", sigma, minimum=0.0, maximum=LARGEST, exclusive=True),
            flip=number("flip", flip, minimum=0.0, maximum=1.0),
        )

    def _law(self) -> _lib.LabelledLaw:
        return _lib.LabelledLaw.mixture(self.d, mu=self.mu, sigma=self.sigma, flip=self.flip)
