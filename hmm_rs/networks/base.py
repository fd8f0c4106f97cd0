"""What all networks of plain arrays share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy.typing as npt

from ..ground.description import Description

__all__ = ["Network"]


class Network(Description, ABC):
    """A network with one output: weights are copied and frozen, equality and hash go by content.

    Attributes
    ----------
    activation
        Name of the units' nonlinearity.
    """

    activation: str

    @abstractmethod
    def forward(self, X: npt.ArrayLike, *, threads: int | None = None) -> npt.NDArray[Any]:
        """Return the outputs, shape (P,), of the rows of `X`: the same bits on any number of threads."""
