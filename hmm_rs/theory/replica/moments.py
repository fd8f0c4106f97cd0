"""Means and covariances of samples that come in batches."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...ground.linear_algebra import gram
from ...ground.memory import require
from ...ground.overflow import finite

__all__ = ["Moments"]


class Moments:
    """Mean and centred scatter, merged pairwise after Chan, Golub and LeVeque (1979)."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.count = 0
        self.mean = np.zeros(size)
        require(3 * size * size * 8, f"a covariance of {size} variables", "use fewer features")
        self.scatter = np.zeros((size, size))

    def add(self, batch: npt.NDArray[np.float64]) -> None:
        """Add samples, shape (n, size)."""
        mean = batch.mean(axis=0)
        centred = batch - mean
        shift = mean - self.mean
        total = self.count + len(batch)
        self.scatter += finite("nu and v", gram(centred.T))
        self.scatter += np.outer(shift, shift) * (self.count * len(batch) / total)
        self.mean += shift * (len(batch) / total)
        self.count = total

    @property
    def covariance(self) -> npt.NDArray[np.float64]:
        """Scatter over the number of samples, shape (size, size)."""
        return self.scatter / self.count
