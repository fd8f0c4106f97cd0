"""Least squares along training, on many independent draws of Gaussian features."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...data.features import GaussianFeatures
from ...ground.arguments import array, count, number, seed_words
from ...ground.arguments import threads as checked_threads
from ...ground.errors import DtypeError, InvalidParameterError
from ...ground.linear_algebra import eigh, gram, product
from ...ground.memory import require
from ...ground.results import dataset

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["least_squares_runs"]

Vector = npt.NDArray[np.float64]

#: Eigenvalues below this share of the largest are rounding: their directions hold no example.
_RANK = 1e-12


def least_squares_runs(
    features: GaussianFeatures,
    *,
    alpha: float,
    t: npt.ArrayLike,
    noise: float = 0.0,
    lr: float | None = None,
    repeats: int = 10,
    seed: Any = 0,
    threads: int | None = None,
) -> xr.Dataset:
    r"""Train least squares from zero on independent draws: what :func:`hmm_rs.theory.least_squares_flow` predicts.

    Gradient flow on :math:`\frac1{2n}|y - Vu|^2` is solved in the eigenbasis of the smaller of :math:`V^TV/n` and
    :math:`VV^T/n`, at all times at once and without an error of integration.

    Parameters
    ----------
    features
        Where examples come from.
    alpha
        Examples over dimension, n/p > 0; rounded to whole examples.
    t
        Times >= 0, shape (times,).
    noise
        Standard deviation of the noise on the teacher field.
    lr
        None for gradient flow; a number for gradient descent with such steps, at times rounded to whole steps.
    repeats
        Independent draws.
    seed
        Names the draws.
    threads
        Threads to use; the result does not depend on it.

    Returns
    -------
    xarray.Dataset
        ``test_mse`` (exact for a draw) and ``train_mse`` over (t, seed).

    Examples
    --------
    >>> import numpy as np
    >>> features = GaussianFeatures(np.ones(50), np.full(50, 0.1), 1.0)
    >>> least_squares_runs(features, alpha=2.0, t=[0.0, 1.0, 5.0], repeats=4).test_mse.dims
    ('t', 'seed')
    """
    if not isinstance(features, GaussianFeatures):
        raise DtypeError(
            f"features = {features!r:.80}: must be GaussianFeatures; pass GaussianFeatures(omega, b, rho)"
        )
    times = array("t", t, (None,))
    if (times < 0).any():
        raise InvalidParameterError(f"t holds {times.min():g}: times must be >= 0; pass such")
    step = None if lr is None else number("lr", lr, minimum=0.0, exclusive=True)
    reached = times if step is None else np.rint(times / step) * step
    n = max(1, round(number("alpha", alpha, minimum=0.0, exclusive=True) * features.p))
    spread, draws, workers = (
        number("noise", noise, minimum=0.0),
        count("repeats", repeats),
        checked_threads("threads", threads),
    )
    require(
        (2 * n * features.p + 3 * min(n, features.p) ** 2) * 8,
        f"least squares of {n} examples of {features.p} features",
        "use fewer of either",
    )
    streams = np.random.SeedSequence(seed_words(seed).tolist()).spawn(draws)
    runs = np.array([_run(features, n, reached, spread, step, stream, workers) for stream in streams])
    return dataset(
        {"test_mse": runs[:, 0].T, "train_mse": runs[:, 1].T},
        dims={"test_mse": ("t", "seed"), "train_mse": ("t", "seed")},
        along=reached,
        label="time",
        source="simulation",
        settings={"alpha": n / features.p, "noise": spread, "lr": step, "repeats": draws, "seed": repr(seed)},
        cite=("gaussian-covariate-model",),
        alpha=n / features.p,
        p=features.p,
    )


def _run(
    features: GaussianFeatures,
    n: int,
    t: Vector,
    noise: float,
    step: float | None,
    stream: np.random.SeedSequence,
    threads: int | None,
) -> tuple[Vector, Vector]:
    """Return test and training error of one draw at all times."""
    omega, p = features.omega, features.p
    seen = omega > 0
    beta = np.divide(features.b, omega, out=np.zeros(p), where=seen)
    hidden = max(features.rho - float((beta * features.b).sum()), 0.0) + noise**2
    generator = np.random.default_rng(stream)
    V = generator.standard_normal((n, p)) * np.sqrt(omega)
    y = product(V, beta, threads=threads) + math.sqrt(hidden) * generator.standard_normal(n)
    few = n < p
    values, vectors = eigh(gram(V if few else V.T, threads=threads) / n)
    values = np.where(values > _RANK * values.max(), values, 0.0)
    # Left: what is still to learn of each direction, and the part of the inverse that has been learnt, (times, size).
    left = (
        np.exp(-t[:, None] * values) if step is None else (1.0 - step * values) ** np.rint(t / step)[:, None]
    )
    learnt = np.divide(1.0 - left, values, out=np.zeros_like(left), where=values > 0)
    if few:
        along = product(vectors.T, y, threads=threads)
        u = product(product(learnt * along / n, vectors.T, threads=threads), V, threads=threads)
        train = (left**2 * along**2).sum(axis=1) / n
    else:
        along = product(vectors.T, product(V.T, y, threads=threads), threads=threads) / n
        u = product(learnt * along, vectors.T, threads=threads)
        train = float((y * y).sum()) / n - (learnt * (1.0 + left) * along**2).sum(axis=1)
    return hidden + (omega * (u - beta) ** 2).sum(axis=1), train
