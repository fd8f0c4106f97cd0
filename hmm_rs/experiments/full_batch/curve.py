"""Many independent fits along the number of examples."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ... import _lib
from ...data.features import GaussianFeatures, SampledFeatures
from ...dynamics.full_batch.fit import Loss, stop_settings
from ...ground.arguments import LARGEST_COUNT, array, count, number, seed_words
from ...ground.arguments import seed as checked_seed
from ...ground.arguments import threads as checked_threads
from ...ground.errors import ConvergenceError, DtypeError, InvalidParameterError
from ...ground.linear_algebra import product
from ...ground.losses import FULL_BATCH
from ...ground.losses import loss as checked_loss
from ...ground.memory import require
from ...ground.noise import deviation
from ...ground.results import dataset
from ...provenance.recording import recorded

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["full_batch_curve"]

Vector = npt.NDArray[np.float64]


@recorded("full_batch_curve")
def full_batch_curve(
    features: GaussianFeatures | SampledFeatures,
    alphas: npt.ArrayLike,
    *,
    loss: Loss,
    lam: float,
    flip: float = 0.0,
    noise: float = 0.0,
    repeats: int = 20,
    test_size: int = 10_000,
    seed: Any = 0,
    tol: float | None = None,
    max_iterations: int | None = None,
    threads: int | None = None,
) -> xr.Dataset:
    r"""Fit many independent draws along `alphas`: the simulated learning curve.

    Draws differ between sample sizes too, so that errors of neighbouring points are independent.

    Parameters
    ----------
    features
        Where examples come from.
    alphas
        Values of n/p, shape (points,); rounded to whole examples.
    loss, lam
        As in :class:`FullBatch`.
    flip
        Probability that a training and test label is flipped.
    noise
        Standard deviation of the noise on the teacher field.
    repeats
        Independent draws per point.
    test_size
        Fresh samples for test errors of :class:`SampledFeatures` (exact for :class:`GaussianFeatures`).
    seed
        Names the draws.
    tol, max_iterations, threads
        As in :meth:`FullBatch.fit`. Fits run in parallel; the numbers do not depend on `threads`.

    Returns
    -------
    xarray.Dataset
        Over (alpha, seed): ``train_loss, objective, norm2, gap, converged``; for classification
        ``train_error, test_error, margin``; for the square losses ``train_mse, test_mse``; for
        Gaussian features ``q, m``.

    Raises
    ------
    ConvergenceError
        If any fit misses its tolerance (the dataset is in ``result``).

    Examples
    --------
    >>> features = GaussianFeatures(np.ones(50), np.full(50, 0.1), 1.0)
    >>> curve = full_batch_curve(features, [0.5, 2.0], loss="ridge", lam=0.1, repeats=4)
    >>> curve.test_mse.dims
    ('alpha', 'seed')
    """
    name = checked_loss("loss", loss, FULL_BATCH)
    seed = checked_seed(seed)
    if not isinstance(features, GaussianFeatures | SampledFeatures):
        raise DtypeError(
            f"features = {features!r:.80}: must be GaussianFeatures or SampledFeatures; "
            "pass GaussianFeatures(omega, b, rho)"
        )
    lam = number("lam", lam, minimum=0.0, exclusive=True)
    flip = number("flip", flip, minimum=0.0, maximum=0.5)
    noise = deviation(noise, depth=4)
    if name == "ridge" and flip:
        raise InvalidParameterError(f'flip = {flip:g}: must be 0 for "ridge"; pass loss="square" for labels')
    repeats = count("repeats", repeats)
    wanted = array("alphas", alphas, (None,))
    if (wanted <= 0).any() or (wanted > LARGEST_COUNT / features.p).any():
        wrong = wanted.min() if (wanted <= 0).any() else wanted.max()
        raise InvalidParameterError(
            f"alphas hold {wrong:g}: must be > 0 and name fewer than 2**53 examples; pass values of n/p"
        )
    sizes = [max(1, round(float(alpha) * features.p)) for alpha in wanted]
    settings = stop_settings(name, lam, tol, max_iterations)
    labels = {"flip": flip, "noise": noise}
    workers = checked_threads("threads", threads)
    if isinstance(features, GaussianFeatures):
        observed = _lib.full_batch_gaussian(
            features, sizes, repeats, settings, labels, seed_words(seed), workers
        )
    else:
        tests = count("test_size", test_size)
        observed = _sampled(features, sizes, repeats, settings, labels, tests, seed, workers)
    # Weights that vanish have no direction.
    lost = observed["norm2"] == 0.0
    for key in ("margin", "test_error"):
        if key in observed:
            observed[key] = np.where(lost, np.nan, observed[key])
    kept = {key: values for key, values in observed.items() if not np.isnan(values).all()}
    result = dataset(
        kept,
        along=np.array(sizes) / features.p,
        dim="alpha",
        label="examples over student dimension",
        source="simulation",
        settings={
            "loss": name,
            "lam": lam,
            "flip": flip,
            "noise": noise,
            "repeats": repeats,
            "seed": repr(seed),
        },
        cite=("gaussian-covariate-model", "gaussian-equivalence"),
        dims=dict.fromkeys(kept, ("alpha", "seed")),
        p=features.p,
        loss=name,
    )
    for key in ("margin", "test_error"):
        if key in kept and lost.any():
            result[key].attrs["undefined"] = "NaN where the weights vanish: they have no direction"
    missed = int((result.converged == 0).sum())
    if missed:
        raise ConvergenceError(
            f"full_batch_curve: {missed} of {repeats * len(sizes)} fits missed tol = {settings['tol']:g}; the "
            "dataset is in .result; raise max_iterations or loosen tol",
            result,
        )
    return result


def _targets(nu: Vector, loss: str, flip: float, noise: float, generator: np.random.Generator) -> Vector:
    """Return targets made of teacher fields."""
    if noise:
        nu = nu + noise * generator.standard_normal(nu.size)
    if loss == "ridge":
        return nu
    labels = np.where(nu < 0, -1.0, 1.0)
    return np.where(generator.random(nu.size) < flip, -labels, labels) if flip else labels


def _sampled(
    features: SampledFeatures,
    sizes: Sequence[int],
    repeats: int,
    settings: dict[str, Any],
    labels: Mapping[str, float],
    test_size: int,
    seed: Any,
    threads: int | None,
) -> dict[str, Vector]:
    """Fit draws of a sampler; one size at a time, so that memory holds its draws only."""
    root_p = math.sqrt(features.p)
    loss, lam = settings["loss"], settings["lam"]
    streams = iter(np.random.SeedSequence(seed_words(seed).tolist()).spawn(1 + len(sizes) * repeats))

    def examples(n: int) -> tuple[Vector, Vector]:
        stream = next(streams)
        nu, v = features.fields(n, int(stream.generate_state(1, np.uint64)[0]) >> 1)
        generator = np.random.default_rng(stream)
        return v / root_p, _targets(nu, loss, labels["flip"], labels["noise"], generator)

    X_test, y_test = examples(test_size)
    rows: list[dict[str, float]] = []
    for n in sizes:
        require(repeats * n * features.p * 8, f"{repeats} draws of {n} examples", "use fewer repeats")
        drawn = [examples(n) for _ in range(repeats)]
        fits = _lib.full_batch_fit(drawn, settings, threads)
        rows.extend(
            _measure(fitted, X, y, X_test, y_test, loss, lam)
            for (X, y), fitted in zip(drawn, fits, strict=True)
        )
    shape = (len(sizes), repeats)
    return {name: np.array([row[name] for row in rows]).reshape(shape) for name in rows[0]}


def _measure(
    fitted: dict[str, Any], X: Vector, y: Vector, X_test: Vector, y_test: Vector, loss: str, lam: float
) -> dict[str, float]:
    """Return the observables of one fit."""
    w: Vector = fitted["w"]
    p = w.size
    z, z_test = product(X, w), product(X_test, w)
    norm2 = float((w * w).sum()) / p
    row = {
        "norm2": norm2,
        "train_loss": (fitted["objective"] - lam / 2 * norm2 * p) / y.size,
        "objective": fitted["objective"] / p,
        "gap": fitted["gap"] / fitted["objective"],
        "converged": float(fitted["converged"]),
    }
    if loss != "ridge":
        row["train_error"] = float(np.mean(y * z < 0))
        row["test_error"] = float(np.mean(y_test * z_test < 0))
        row["margin"] = float((y * z).min()) / math.sqrt(norm2)
    if loss in ("ridge", "square"):
        row["train_mse"] = float(np.mean((y - z) ** 2))
        row["test_mse"] = float(np.mean((y_test - z_test) ** 2))
    return row
