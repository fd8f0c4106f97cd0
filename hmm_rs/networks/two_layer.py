"""Two-layer networks of few hidden units: teachers and students of online learning."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .. import _lib
from ..ground.activations import CLOSED
from ..ground.activations import activation as named
from ..ground.arguments import array, count, number, reals, seed_words
from ..ground.arguments import threads as checked_threads
from ..ground.description import drawn
from ..ground.errors import ShapeError
from ..ground.memory import require
from ..ground.overflow import finite, within_range
from .base import Network

__all__ = ["TwoLayer"]

#: Units whose averages over Gaussian fields have closed forms.
Closed = Literal["erf", "relu", "linear", "identity"]
#: Units of the weights stream of a seed.
_FIRST_LAYER, _SECOND_LAYER = 0, 1


class TwoLayer(Network):
    r"""Two-layer network with K hidden units.

    .. math:: \phi(x) = \sum_{k=1}^{K} v_k\, g\big(w_k \cdot x / \sqrt N\big)

    Parameters
    ----------
    w
        First layer, shape (K, N).
    v
        Second layer, shape (K,).
    activation
        "erf" (g(x) = erf(x/√2)), "relu" or "linear".

    Notes
    -----
    Weights are double precision, copied and frozen; two networks of equal weights are equal.

    Examples
    --------
    >>> import numpy as np
    >>> import hmm_rs as hr
    >>> net = hr.TwoLayer(np.ones((1, 4)), [2.0], activation="linear")
    >>> net.forward(np.ones((1, 4)))
    array([4.])
    """

    w: npt.NDArray[np.float64]
    v: npt.NDArray[np.float64]
    activation: Closed

    def __init__(self, w: npt.ArrayLike, v: npt.ArrayLike, *, activation: Closed = "erf") -> None:
        w = array("w", w, (None, None), rule="= (K, N)")
        v = array("v", v, (w.shape[0],), rule="= (K,), one entry per row of w")
        self._describe(w=w, v=v, activation=named("activation", activation, CLOSED))

    @classmethod
    @drawn
    def random(
        cls,
        K: int,
        N: int,
        *,
        activation: Closed = "erf",
        std_w: float = 1.0,
        v: float | npt.ArrayLike = 1.0,
        std_v: float | None = None,
        seed: Any = 0,
    ) -> TwoLayer:
        """Return a network with w_ki ~ N(0, std_w²).

        Parameters
        ----------
        K, N
            Hidden units and inputs (latents for a teacher on latents).
        activation
            "erf", "relu" or "linear".
        std_w
            Standard deviation of the first layer.
        v
            Second layer: one number for all units, or shape (K,).
        std_v
            If given, v_k ~ N(0, std_v²) instead.
        seed
            Seed of the weights. Teacher and student need seeds of their own: equal seeds give equal first weights.

        Raises
        ------
        ResourceError
            If the weights do not fit into memory.
        """
        K, N = count("K", K), count("N", N)
        words = seed_words(seed)
        scale = number("std_w", std_w, minimum=0.0)
        # The weights as drawn and scaled, and the network's own.
        require(3 * 8 * K * (N + 1), f"a network of K={K} units on N={N} inputs", "lower K or N")
        with within_range("std_w"):
            w = scale * _lib.weight_normals(words, _FIRST_LAYER, K * N).reshape(K, N)
        # Checked even where it is drawn instead: what was asked for is remembered.
        second = reals("v", v)
        if second.ndim == 0:
            second = np.full(K, float(second))
        if std_v is not None:
            with within_range("std_v"):
                second = number("std_v", std_v, minimum=0.0) * _lib.weight_normals(words, _SECOND_LAYER, K)
        return cls(w, second, activation=activation)

    def forward(self, X: npt.ArrayLike, *, threads: int | None = None) -> npt.NDArray[np.float64]:
        """Return the outputs φ(x), shape (P,), of inputs X, shape (P, N); the same on any number of threads."""
        X = array("X", X, (None, None), rule="= (P, N)")
        N = self.w.shape[1]
        require(16 * len(X), f"outputs of P={len(X)} inputs", "pass fewer inputs at a time")
        if X.shape[1] != N:
            raise ShapeError(
                f"X has shape {X.shape}: must have N = {N} columns as w does; pass inputs of that length"
            )
        outputs = _lib.network_outputs_f64(
            X, self.w, self.v[None], self.activation, 1.0 / math.sqrt(N), checked_threads("threads", threads)
        )
        return finite("w, v and X", outputs[:, 0])
