"""Random nodes as a law: a network of any size that takes no memory before it is used."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .. import _lib
from ..ground import arguments
from ..ground.activations import NODES
from ..ground.activations import activation as named
from ..ground.description import Description
from ..ground.errors import ShapeError
from ..ground.memory import require
from .mean_field import MeanFieldNetwork, Node

__all__ = ["RandomNodes"]

Array = npt.NDArray[Any]


class RandomNodes(Description):
    """A mean-field network with independent Gaussian weights that are not drawn yet.

    :class:`hmm_rs.Particles` draws them where they are to stay: they exist once, each shard's on its own machine.

    Parameters
    ----------
    width, d
        Numbers of nodes and of inputs.
    std_a, std_w
        Standard deviations of output and input weights.
    paired
        "even" or "odd": the second half repeats the first with signs, as in
        :meth:`hmm_rs.MeanFieldNetwork.random`. Needs an even width.
    activation
        As in :class:`hmm_rs.MeanFieldNetwork`.
    seed
        Node i is a function of the seed, d and i alone: that of ``MeanFieldNetwork.random`` with the same seed.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> nodes = hr.RandomNodes(10**9, 100, seed=1)  # 800 GB, were they drawn
    >>> a, w = nodes.draw(10**9 - 2, 10**9)
    >>> w.shape
    (2, 100)
    >>> hr.RandomNodes(20, 3, seed=1).network() == hr.MeanFieldNetwork.random(20, 3, seed=1)
    True
    """

    width: int
    d: int
    std_a: float
    std_w: float
    paired: Literal["even", "odd"] | None
    activation: Node
    seed: Any

    def __init__(
        self,
        width: int,
        d: int,
        *,
        std_a: float = 1.0,
        std_w: float = 1.0,
        paired: Literal["even", "odd"] | None = None,
        activation: Node = "relu",
        seed: Any = 0,
    ) -> None:
        named("activation", activation, NODES)
        width = arguments.count("width", width)
        if paired is not None:
            arguments.choice("paired", paired, ("even", "odd"))
            if width % 2:
                raise ShapeError(
                    f"width = {width}: must be even when paired={paired!r}; pass width={width + 1}"
                )
        self._describe(
            width=width,
            d=arguments.count("d", d),
            std_a=arguments.number("std_a", std_a, minimum=0.0),
            std_w=arguments.number("std_w", std_w, minimum=0.0),
            paired=paired,
            activation=activation,
            seed=arguments.seed(seed),
        )

    def _law(self) -> _lib.NodeLaw:
        """Return the compiled law."""
        return _lib.NodeLaw(
            arguments.seed_words(self.seed),
            self.width,
            self.d,
            std_a=self.std_a,
            std_w=self.std_w,
            std_b=0.0,
            paired=self.paired,
        )

    def draw(self, first: int, last: int, *, dtype: npt.DTypeLike = "float64") -> tuple[Array, Array]:
        """Return a, shape (n,), and w, shape (n, d), of the nodes `first` to `last` - 1.

        Raises
        ------
        ShapeError
            If the network has no such nodes.
        ResourceError
            If they do not fit into memory.
        """
        first = arguments.count("first", first, minimum=0)
        last = arguments.count("last", last)
        if not first < last <= self.width:
            raise ShapeError(
                f"first = {first}, last = {last}: must be 0 <= first < last <= width = {self.width}; pass nodes of "
                "this network"
            )
        name = arguments.dtype_name(dtype)
        require(
            np.dtype(name).itemsize * (last - first) * (self.d + 2),
            f"{last - first} nodes on d={self.d} inputs",
            "draw fewer, or in float32",
        )
        a, w, _ = _lib.random_nodes(self._law(), first, last, name)
        return a, w

    def network(self, *, dtype: npt.DTypeLike = "float64") -> MeanFieldNetwork:
        """Return the network of all nodes."""
        a, w = self.draw(0, self.width, dtype=dtype)
        return MeanFieldNetwork(a, w, activation=self.activation)
