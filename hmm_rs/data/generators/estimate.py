"""Covariances of any model of data, estimated by a stream of samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ... import _lib
from ...ground.arguments import count, flag, seed_words
from ...ground.arguments import threads as checked_threads
from ...ground.errors import DtypeError, InvalidParameterError
from ...ground.memory import require
from ..latent import LatentModel

__all__ = ["CovarianceEstimate", "estimate_covariances"]

Vector = npt.NDArray[np.float64]

#: Pieces of the stream between which the covariance is compared.
CHECKPOINTS = 8
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
        Threads to use; the result does not depend on it.

    Raises
    ------
    InvalidParameterError
        For more samples than a stream holds.
    ResourceError
        If the estimates do not fit into memory.

    Notes
    -----
    Partial results are merged pairwise after Chan, Golub and LeVeque (1979); memory holds the estimates and
    1024 samples. The error of an entry is about ``sqrt((Omega_ii Omega_jj + Omega_ij**2) / n_samples)``.
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
        5 * 8 * model.N * (model.N + model.D) + 8 * 1024 * (model.N + model.D),
        f"a covariance of N={model.N} inputs",
        "lower N",
    )
    stream = _lib.CovarianceStream(model.source("float64"), seed_words(seed))
    most = checked_threads("threads", threads)
    previous: Vector | None = None
    changes: list[float] = []
    bar = _bar(total, flag("progress", progress))
    for step in _steps(total):
        stream.advance(step, most)
        bar(step)
        current: Vector = stream.estimate()["Omega"]
        if previous is not None:
            # Plain sums: those of numpy's BLAS depend on its threads.
            changes.append(float(np.sqrt(((current - previous) ** 2).sum() / (current**2).sum())))
        previous = current
    bar(0)
    found = stream.estimate()
    return CovarianceEstimate(found["Omega"], found["Phi"], found["mean"], total, np.array(changes))


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
