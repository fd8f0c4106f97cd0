"""Covariances of any model of data, estimated by a stream of samples."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ... import _lib
from ...ground.arguments import count, flag, seed_words
from ...ground.arguments import threads as checked_threads
from ...ground.errors import DtypeError, InvalidParameterError
from ...ground.memory import require
from ...ground.workers import executor_of, in_order
from ..latent import LatentModel

__all__ = ["CovarianceEstimate", "estimate_covariances"]

Vector = npt.NDArray[np.float64]

#: Pieces of the stream between which the covariance is compared.
CHECKPOINTS = 8
#: Samples of a block: enough that merging costs nothing beside it. Blocks do not depend on who sees them.
_BLOCK = 1 << 14
#: Most samples: what the longest streams hold.
MOST_SAMPLES = 1 << 39


@dataclass(frozen=True, eq=False)
class CovarianceEstimate:
    """Monte Carlo covariances of a generator.

    Attributes
    ----------
    Omega
        Covariance of the inputs, shape (N, N).
    Phi
        Covariance of inputs and latents, shape (N, D).
    mean
        Mean of the inputs, shape (N,).
    n_samples
        Samples seen.
    changes
        Relative change of Omega (Frobenius norm) between checkpoints.
    """

    Omega: Vector
    Phi: Vector
    mean: Vector
    n_samples: int
    changes: Vector


def estimate_covariances(
    model: LatentModel,
    n_samples: int | None = None,
    *,
    seed: Any = 0,
    progress: bool = False,
    threads: int | None = None,
    executor: Any = None,
) -> CovarianceEstimate:
    """Estimate the covariances of any model of data from a stream of samples.

    Parameters
    ----------
    model
        A model of data.
    n_samples
        Samples to see; 100 per input, at least 50 000, by default.
    seed
        Names the stream.
    progress
        Show a bar.
    threads
        Threads to use in this process; the result does not depend on it.
    executor
        Where blocks of samples are seen: any executor of the standard library's kind, or a Dask client. None: in this
        process. The result does not depend on it.

    Raises
    ------
    InvalidParameterError
        For more samples than a stream holds; a worker with another version of the package.
    ResourceError
        If the estimates do not fit into memory, or workers are lost again and again.

    Notes
    -----
    Blocks of 16384 samples are merged in order after Chan, Golub and LeVeque (1979); memory holds the estimates and
    1024 samples, with `executor` here the estimates of up to 33 blocks.
    The error of an entry is about ``sqrt((Omega_ii Omega_jj + Omega_ij**2) / n_samples)``.
    """
    if not isinstance(model, LatentModel):
        raise DtypeError(
            f"model = {model!r:.80}: must be a model of data; pass a generator or HiddenManifold(...)"
        )
    total = max(50_000, 100 * model.N) if n_samples is None else count("n_samples", n_samples, minimum=2)
    if total > MOST_SAMPLES:
        raise InvalidParameterError(
            f"n_samples = {total}: must be at most 2^39, what a stream holds; the error falls as its root, pass fewer"
        )
    require(
        6 * 8 * model.N * (model.N + model.D) + 8 * 1024 * (model.N + model.D),
        f"a covariance of N={model.N} inputs",
        "lower N",
    )
    most, there = checked_threads("threads", threads), executor_of(executor)
    words, ends = seed_words(seed), list(itertools.accumulate(_steps(total)))
    tasks = ((model, words, *block) for block in _blocks(ends))
    found: Iterable[_Moments] = (_moments(*task, most) for task in tasks)
    if there is not None:
        found = in_order(there, _moments, tasks, "covariances")
    seen = _Moments.none(model.N, model.D)
    previous: Vector | None = None
    changes: list[float] = []
    bar = _bar(total, flag("progress", progress))
    for (start, end), block in zip(_blocks(ends), found, strict=True):
        seen = seen.merged(block)
        bar(end - start)
        if end in ends:
            current = seen.inputs / seen.count
            if previous is not None:
                # Plain sums: those of numpy's BLAS depend on its threads.
                changes.append(float(np.sqrt(((current - previous) ** 2).sum() / (current**2).sum())))
            previous = current
    bar(0)
    assert previous is not None
    return CovarianceEstimate(previous, seen.cross / seen.count, seen.mean, total, np.array(changes))


def _blocks(ends: list[int]) -> Iterator[tuple[int, int]]:
    """Yield first sample and end of every block: none goes on over the end of a piece, none is a single sample."""
    for begin, end in zip([0, *ends], ends, strict=False):
        start = begin
        while start < end:
            stop = end if end - start <= _BLOCK + 1 else start + _BLOCK
            yield start, stop
            start = stop


@dataclass(frozen=True, eq=False)
class _Moments:
    """Means and scatter of some samples."""

    count: int
    mean: Vector
    latent_mean: Vector
    #: Sum of (x - mean)(x - mean)^T and of (x - mean)(c - mean)^T.
    inputs: Vector
    cross: Vector

    @classmethod
    def none(cls, N: int, D: int) -> _Moments:
        """Return those of no samples."""
        return cls(0, np.zeros(N), np.zeros(D), np.zeros((N, N)), np.zeros((N, D)))

    def merged(self, other: _Moments) -> _Moments:
        """Return those of both: S = S1 + S2 + d d^T n1 n2/(n1 + n2), after Chan, Golub and LeVeque (1979)."""
        count = self.count + other.count
        shift, latents = other.mean - self.mean, other.latent_mean - self.latent_mean
        weight, share = self.count * other.count / count, other.count / count
        return _Moments(
            count,
            self.mean + shift * share,
            self.latent_mean + latents * share,
            self.inputs + other.inputs + np.multiply.outer(shift, shift) * weight,
            self.cross + other.cross + np.multiply.outer(shift, latents) * weight,
        )


def _moments(
    model: LatentModel, words: npt.NDArray[np.uint32], start: int, end: int, threads: int | None
) -> _Moments:
    """Return the moments of the samples `start` to `end` - 1 of a stream."""
    stream = _lib.CovarianceStream(model.source("float64"), words, start)
    stream.advance(end - start, threads)
    found, count = stream.estimate(), end - start
    return _Moments(count, found["mean"], found["latent_mean"], found["Omega"] * count, found["Phi"] * count)


def _steps(total: int) -> Iterator[int]:
    """Yield pieces that end at 1/128, 1/64, ..., 1 of the total: changes at every doubling."""
    done = 0
    for k in reversed(range(CHECKPOINTS)):
        end = max(done + 2, total >> k) if total >> k >= 2 else 0
        end = min(end, total)
        if end > done:
            yield end - done
            done = end


def _bar(total: int, progress: bool) -> Callable[[int], None]:
    """Return a function that moves a bar by some samples, and closes it at 0."""
    if not progress:
        return lambda _: None
    from tqdm.auto import tqdm

    bar = tqdm(total=total, unit="sample", unit_scale=True)

    def move(step: int) -> None:
        if step:
            bar.update(step)
        else:
            bar.close()

    return move
