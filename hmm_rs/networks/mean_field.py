"""One-hidden-layer networks in the mean-field scaling."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .. import _lib
from ..ground import arguments
from ..ground.activations import NODES
from ..ground.activations import activation as named
from ..ground.description import drawn
from ..ground.errors import ShapeError
from ..ground.memory import require
from ..ground.overflow import finite
from .base import Network

__all__ = ["MeanFieldNetwork"]

Array = npt.NDArray[Any]

#: Units of mean-field networks.
Node = Literal["relu", "sqrt2_relu", "erf", "tanh"]


class MeanFieldNetwork(Network):
    r"""A network of many nodes whose output is their average.

    .. math:: f(x) = \frac1M \sum_{i=1}^M a_i\, g\!\left(\frac{w_i\cdot x}{\sqrt d} + b_i\right)

    Parameters
    ----------
    a
        Output weights, shape (M,).
    w
        Input weights, shape (M, d). Single precision is kept; anything else becomes double.
    b
        Biases, shape (M,), or None for none.
    activation
        "relu" (hinge study), "sqrt2_relu" (compression study), "erf" (meaning erf(z/sqrt 2)) or "tanh".

    Notes
    -----
    The scaling 1/M with weights of order one is that of Mei, Montanari & Nguyen (PNAS 2018), Chizat & Bach
    (NeurIPS 2018) and Pellegrini & Biroli (NeurIPS 2020). The arrays are read-only copies of what was
    passed; two networks of equal weights are equal.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> network = hr.MeanFieldNetwork([1.0, -1.0], [[1.0, 0.0], [0.0, 2.0]])
    >>> network.forward([[3.0, 4.0]]).round(6)
    array([-1.767767])
    """

    a: Array
    w: Array
    b: Array | None
    activation: Node

    def __init__(
        self, a: npt.ArrayLike, w: npt.ArrayLike, b: npt.ArrayLike | None = None, activation: Node = "relu"
    ) -> None:
        named("activation", activation, NODES)
        single = getattr(w, "dtype", None) == np.float32
        dtype = np.float32 if single else np.float64
        w = arguments.array("w", w, (None, None), rule="(nodes, inputs)", dtype=dtype)
        width = (len(w),)
        a = arguments.array("a", a, width, rule="(one output weight per row of w)", dtype=dtype)
        if b is not None:
            b = arguments.array("b", b, width, rule="(one bias per row of w)", dtype=dtype)
        require(w.nbytes, f"a copy of the weights (M={len(w)}, d={w.shape[1]})", "use fewer nodes or float32")
        self._describe(a=a, w=w, b=b, activation=activation)

    @classmethod
    @drawn
    def random(
        cls,
        width: int,
        d: int,
        *,
        std_a: float = 1.0,
        std_w: float = 1.0,
        std_b: float | None = None,
        paired: Literal["even", "odd"] | None = None,
        activation: Node = "relu",
        dtype: npt.DTypeLike = "float64",
        seed: Any = 0,
    ) -> MeanFieldNetwork:
        """Return a network with independent Gaussian weights.

        Parameters
        ----------
        width, d
            Numbers of nodes and of inputs.
        std_a, std_w, std_b
            Standard deviations of output weights, input weights and biases; `std_b=None` means a network
            without biases.
        paired
            None for independent nodes. "even" makes the second half the nodes (-a, w, b) of the first: then
            f = 0 exactly. "odd" makes it (-a, -w, b): then f is an odd function of x, the symmetry of the
            mean-field limit. Both need an even width.
        activation
            As in :class:`MeanFieldNetwork`.
        dtype
            "float64" or "float32"; the latter holds the same numbers, rounded.
        seed
            Node i is a function of the seed, d and i alone.

        Raises
        ------
        ResourceError
            If the weights do not fit into memory.

        Examples
        --------
        >>> import hmm_rs as hr
        >>> network = hr.MeanFieldNetwork.random(100, 3, paired="even", seed=1)
        >>> bool(abs(network.forward([[1.0, 2.0, 3.0]])).max() < 1e-15)
        True
        """
        width = arguments.count("width", width)
        d = arguments.count("d", d)
        scales = (
            arguments.number("std_a", std_a, minimum=0.0),
            arguments.number("std_w", std_w, minimum=0.0),
            0.0 if std_b is None else arguments.number("std_b", std_b, minimum=0.0),
        )
        if paired is not None:
            arguments.choice("paired", paired, ("even", "odd"))
            if width % 2:
                raise ShapeError(
                    f"width = {width}: must be even when paired={paired!r}; pass width={width + 1}"
                )
        dtype = arguments.dtype_name(dtype)
        law = _lib.NodeLaw(
            arguments.seed_words(seed),
            width,
            d,
            std_a=scales[0],
            std_w=scales[1],
            std_b=scales[2],
            paired=paired,
        )
        # What is drawn, and the network's own copy.
        require(
            2 * np.dtype(dtype).itemsize * width * (d + 2),
            f"a network of {width} nodes on d={d} inputs",
            "use fewer nodes or float32, or RandomNodes, which are drawn where they are used",
        )
        a, w, b = _lib.random_nodes(law, 0, width, dtype)
        return cls(a, w, None if std_b is None else b, activation=activation)

    @property
    def width(self) -> int:
        """Number of nodes M."""
        return len(self.a)

    @property
    def d(self) -> int:
        """Number of inputs."""
        return int(self.w.shape[1])

    def forward(self, X: npt.ArrayLike, *, threads: int | None = None) -> Array:
        """Return the output f(x) of every row of `X`, shape (P, d) -> (P,), in the precision of the weights.

        Sums over nodes run in double precision and in a fixed order: the same bits on any number of threads. The
        (P, M) activations are never held.
        """
        X = arguments.array("X", X, (None, self.d), rule="(examples, network.d)", dtype=self.w.dtype)
        outputs = _lib.mean_field_outputs(
            X,
            self.a,
            self.w,
            self.b,
            activation=self.activation,
            dtype=arguments.dtype_name(self.w.dtype),
            threads=arguments.threads("threads", threads),
        )
        return finite("a, w, b and X", outputs)
