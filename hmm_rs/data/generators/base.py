"""Base of all generators: sampling, the mean of the outputs, Monte Carlo covariances."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

from ... import _lib
from ...ground.arguments import seed as checked_seed
from ...ground.arguments import seed_words
from ...ground.memory import require
from ..latent import LatentModel
from .estimate import estimate_covariances

__all__ = ["Generator"]

Vector = npt.NDArray[np.float64]

#: Samples of the mean that is subtracted from the outputs of a generator, and their stream.
MEAN_SAMPLES = 1 << 16
_MEAN_SEED = (2006, 14709)


class Generator(LatentModel):
    """Base of all generators: sampling and Monte Carlo covariances.

    Attributes
    ----------
    N, D
        Numbers of inputs and latents.
    mean
        Mean of the raw outputs, shape (N,), which is subtracted from every sample (from 65 536 samples of a
        fixed stream); zero with ``center=False``.
    """

    center: bool

    @abstractmethod
    def _raw_source(self, dtype: str, mean: Vector | None) -> _lib.Source:
        """Return a source of outputs minus `mean` (None: minus nothing)."""

    @property
    def mean(self) -> Vector:
        """Mean of the raw outputs, subtracted from every sample."""
        cached: Vector | None = self.__dict__.get("_mean")
        if cached is None:
            require(8 * self.N, f"the mean of N={self.N} inputs", "lower N")
            cached = np.zeros(self.N)
            if self.center:
                source = self._raw_source("float64", None)
                cached = source.mean(MEAN_SAMPLES, seed=seed_words(_MEAN_SEED), threads=None)
            cached.flags.writeable = False
            object.__setattr__(self, "_mean", cached)
        return cached

    def _make_source(self, dtype: str) -> _lib.Source:
        return self._raw_source(dtype, self.mean if self.center else None)

    def covariances(
        self,
        n_samples: int | None = None,
        *,
        seed: Any = 0,
        progress: bool = False,
        threads: int | None = None,
    ) -> tuple[Vector, Vector]:
        """Return (Ω, Φ) = (E x xᵀ, E x cᵀ), shapes (N, N) and (N, D), by Monte Carlo.

        Parameters
        ----------
        n_samples, seed, progress, threads
            As in :func:`estimate_covariances`, which also says how well they have converged. Called
            twice with the same arguments, the second call costs nothing.
        """
        seed = checked_seed(seed)
        key = (n_samples, seed_words(seed).tobytes())
        cache: dict[Any, tuple[Vector, Vector]] | None = self.__dict__.get("_covariances")
        if cache is None:
            cache = {}
            object.__setattr__(self, "_covariances", cache)
        if key not in cache:
            found = estimate_covariances(self, n_samples, seed=seed, progress=progress, threads=threads)
            cache[key] = (found.Omega, found.Phi)
        return cache[key]
