"""What particles are made from, whole or a shard of them: data that can go to another process."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ... import _lib
from ...data.labelled import LabelledData
from ...ground.linear_algebra import Reflection
from ...networks.random_nodes import RandomNodes
from .given import narrowed

__all__ = ["Blueprint"]

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Blueprint:
    """All that decides a run of particles."""

    #: Nodes that are given, as (a, w) in the engine's axes and precision, or the law of those that are drawn.
    nodes: tuple[Array, Array] | RandomNodes
    #: From the user's axes to the engine's, for nodes that are drawn.
    turn: Reflection | None
    #: Training and test examples in the engine's axes and precision.
    train: tuple[Array, Array] | None
    test: tuple[Array, Array] | None
    #: Where fresh batches come from, if they do.
    data: LabelledData | None
    batch: int
    #: Words of the seed of fresh batches.
    words: npt.NDArray[np.uint32]
    #: Nodes of the whole network, inputs, and nodes that are recorded.
    width: int
    d: int
    recorded: int
    activation: str
    dtype: str
    subtract_init: bool
    tile: tuple[int, int] | None
    #: loss, alpha, h, beta, p.
    rule: tuple[str, float, float, float, float]
    #: The first node of those that are given.
    offset: int = 0

    def whole(self, threads: int | None = None) -> _lib.Engine:
        """Return the engine of all nodes."""
        return _lib.particles(self._nodes(0, self.width), **self._arguments(self.recorded, threads))

    def shard(self, first: int, last: int, threads: int | None = None) -> _lib.ParticleShard:
        """Return the nodes `first` to `last` - 1."""
        recorded = min(max(self.recorded - first, 0), last - first)
        return _lib.particles_shard(
            self._nodes(first, last), whole=self.width, **self._arguments(recorded, threads)
        )

    def cut(self, first: int, last: int) -> Blueprint:
        """Return what a shard of the nodes `first` to `last` - 1 is made from."""
        if isinstance(self.nodes, RandomNodes):
            return self
        a, w = self.nodes
        part = slice(first - self.offset, last - self.offset)
        return replace(self, nodes=(a[part].copy(), w[part].copy()), offset=first)

    def memory(self, first: int, last: int, threads: int | None = None) -> int:
        """Return the bytes that the engine of the nodes `first` to `last` - 1 takes."""
        return _lib.particles_memory(
            width=last - first,
            d=self.d,
            examples=self.batch if self.train is None else len(self.train[1]),
            tests=0 if self.test is None else len(self.test[1]),
            fresh=self.train is None,
            subtract_init=self.subtract_init,
            activation=self.activation,
            dtype=self.dtype,
            tile=self.tile,
            threads=threads,
        )

    def _nodes(self, first: int, last: int) -> Any:
        """Return nodes as the engine takes them: what is drawn, is drawn there, unless it has to be turned."""
        if not isinstance(self.nodes, RandomNodes):
            a, w = self.nodes
            part = slice(first - self.offset, last - self.offset)
            return a[part], w[part]
        if self.turn is None:
            return self.nodes._law(), first, last
        a, w = self.nodes.draw(first, last)
        return narrowed("a", a, self.dtype), narrowed("w", self.turn(w), self.dtype)

    def _arguments(self, recorded: int, threads: int | None) -> dict[str, Any]:
        loss, alpha, h, beta, p = self.rule
        X, y = self.train or (None, None)
        X_test, y_test = self.test or (None, None)
        return {
            "X": X,
            "y": y,
            "X_test": X_test,
            "y_test": y_test,
            "law": None if self.train is not None or self.data is None else self.data._law(),
            "batch": self.batch,
            "seed": self.words,
            "activation": self.activation,
            "loss": loss,
            "alpha": alpha,
            "h": h,
            "beta": beta,
            "p": p,
            "subtract_init": self.subtract_init,
            "recorded": recorded,
            "dtype": self.dtype,
            "tile": self.tile,
            "threads": threads,
        }
