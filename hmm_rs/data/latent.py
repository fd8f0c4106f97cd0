"""What all models of inputs-from-latents share: sampling from a stream."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _lib
from ..ground.arguments import count, dtype_name, seed_words
from ..ground.arguments import threads as checked_threads
from ..ground.description import Description
from ..ground.errors import InvalidParameterError
from ..ground.memory import require

__all__ = ["LatentModel", "stream_position"]


def stream_position(name: str, value: Any) -> int:
    """Return `value` as a position in a stream; positions fit into 64 bits."""
    position = count(name, value, minimum=0)
    if position >= 1 << 64:
        raise InvalidParameterError(
            f"{name} = {value!r:.40}: must be below the length of a stream; name another stream with seed"
        )
    return position


class LatentModel(Description, ABC):
    """Inputs x (N of them) made from latents c ~ N(0, 1) (D of them).

    The compiled source behind a description (its feature matrix, for example) is made at first
    use and kept with the object; it is neither compared nor pickled.
    """

    N: int
    D: int

    @abstractmethod
    def _make_source(self, dtype: str) -> _lib.Source:
        """Return a new compiled source of this model."""

    def _source_bytes(self) -> int:
        """Return the bytes that making the source takes."""
        return 0

    def source(self, dtype: str = "float64") -> _lib.Source:
        """Return the compiled source in `dtype`, made at first use."""
        sources: dict[str, _lib.Source] | None = self.__dict__.get("_sources")
        if sources is None:
            sources = {}
            object.__setattr__(self, "_sources", sources)
        if dtype not in sources:
            require(
                self._source_bytes(), f"{type(self).__name__} with N={self.N}, D={self.D}", "lower N or D"
            )
            sources[dtype] = self._make_source(dtype)
        return sources[dtype]

    def sample(
        self,
        P: int,
        *,
        seed: Any = 0,
        start: int = 0,
        dtype: str = "float64",
        threads: int | None = None,
    ) -> tuple[npt.NDArray[np.floating[Any]], npt.NDArray[np.floating[Any]]]:
        """Return `P` consecutive samples of a stream.

        Parameters
        ----------
        P
            Number of samples.
        seed
            Names the stream; independent of the seed of the model's quenched disorder.
        start
            Row j is sample ``start + j`` of the stream, whatever `P` is. A stream has 2^32 blocks of 16 to 128 samples;
            beyond them it would repeat.
        dtype
            "float64" or "float32" (the same latents, rounded).
        threads
            Threads to use; the result does not depend on it.

        Returns
        -------
        X, C
            Inputs, shape (P, N), and latents, shape (P, D).

        Raises
        ------
        InvalidParameterError
            If the stream ends before the last of these samples.
        ResourceError
            If the sample would not fit in memory.
        """
        P = count("P", P)
        start = stream_position("start", start)
        dtype = dtype_name(dtype)
        require(
            P * (self.N + self.D) * np.dtype(dtype).itemsize,
            f"a sample of P={P}",
            "take fewer at a time: start= continues the stream",
        )
        words = seed_words(seed)
        most = checked_threads("threads", threads)
        return self.source(dtype).sample(P, start=start, seed=words, test=False, threads=most)
