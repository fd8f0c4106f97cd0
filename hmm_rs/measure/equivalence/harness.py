"""The test of Gaussian equivalence on samples of a model."""

# An experiment of users has a name that begins with "test_".
# ruff: noqa: PT028

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...data.draws import generator
from ...data.hidden_manifold import HiddenManifold
from ...data.latent import LatentModel
from ...ground.arguments import count, shown
from ...ground.arguments import seed as checked_seed
from ...ground.errors import InvalidParameterError
from ...ground.linear_algebra import gram, product
from ...ground.memory import require
from ...ground.overflow import finite, within_range
from ...ground.results import dataset
from .bounds import SMOOTH, stein_bound
from .conditions import conditions
from .distances import FLOOR, excess_kurtosis, kolmogorov_distance, mmd2, skewness
from .fields import field_covariance, weight_rows, whitening

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["sampled_fields", "test_gaussian_equivalence"]

Vector = npt.NDArray[np.float64]

#: Numbers of one block of samples: bounds the memory of a sample of any size.
BLOCK = 1 << 22


def sampled_fields(model: LatentModel, w: Vector, h: Vector, n: int, seed: Any) -> Vector:
    """Return samples of (lambda, nu), shape (n, K + M), drawn block by block."""
    N, D = model.N, model.D
    require(4 * n * (len(w) + len(h)) * 8, f"fields of {n} samples", "use fewer samples")
    out = np.empty((n, len(w) + len(h)))
    step = max(1, BLOCK // (N + D))
    for start in range(0, n, step):
        size = min(step, n - start)
        X, C = model.sample(size, seed=seed, start=start)
        out[start : start + size, : len(w)] = product(X, w.T) / math.sqrt(N)
        if len(h):
            out[start : start + size, len(w) :] = product(C, h.T) / math.sqrt(D)
    return out


@within_range("w, teacher and model")
def test_gaussian_equivalence(
    model: LatentModel,
    w: npt.ArrayLike,
    *,
    teacher: npt.ArrayLike | None = None,
    n_samples: int = 100_000,
    directions: int = 64,
    mmd_samples: int = 4000,
    bound_samples: int = 4000,
    seed: Any = 0,
) -> xr.Dataset:
    r"""Measure how far the fields of given weights are from their Gaussian equivalent.

    Parameters
    ----------
    model
        A model of data or a generator.
    w
        Student weights, shape (N,) or (K, N).
    teacher
        Teacher weights on the latents, shape (D,) or (M, D).
    n_samples
        Samples of the fields.
    directions
        Random unit directions of the whitened fields (beside the fields themselves and 8 angles of every
        student-teacher pair) over which the largest Kolmogorov distance is taken.
    mmd_samples
        Samples for the maximum mean discrepancy (its cost is quadratic).
    bound_samples
        Samples for :func:`stein_bound`; skipped for models without one.
    seed
        Names the samples and directions.

    Returns
    -------
    xarray.Dataset
        ``covariance`` and ``covariance_theory`` (field, field2) with ``covariance_error`` (sampling);
        ``skewness`` and ``excess_kurtosis`` (field), sampling errors ``skewness_error``, ``excess_kurtosis_error``;
        ``ks`` (direction) with ``direction_vector``, and where the bound exists ``beta`` (direction);
        ``cdf`` (field, level): empirical minus Gaussian distribution function at standardised levels.
        Attributes: ``ks_max`` (the maximum-sliced Kolmogorov distance), ``ks_floor`` (what Gaussian samples
        would give), ``mmd2``, the conditions C1 to C5, and ``gaussian``: 1 if skewness and kurtosis stay
        within five sampling errors and ``ks_max`` within 2.5 floors.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> model = hr.HiddenManifold(400, 200, f="erf", normalise_rows=True)
    >>> rng = np.random.default_rng(0)
    >>> result = test_gaussian_equivalence(model, rng.standard_normal(400), n_samples=20_000)
    >>> bool(result.attrs["ks_max"] < 3 * result.attrs["ks_floor"])
    True
    """
    from scipy.special import ndtr

    if not isinstance(model, LatentModel):
        raise InvalidParameterError(
            f"model = {shown(model)}: must be a model of data; pass HiddenManifold(...) or a generator"
        )
    seed = checked_seed(seed)
    students = weight_rows("w", w, model.N)
    h = np.zeros((0, model.D)) if teacher is None else weight_rows("teacher", teacher, model.D)
    n = count("n_samples", n_samples, minimum=100)
    K, M = len(students), len(h)
    fields = finite("w and teacher", sampled_fields(model, students, h, n, seed))
    fields -= fields.mean(axis=0)
    measured = gram(fields.T) / n
    theory = _theory_covariance(model, students, h)
    root, inverse = whitening(measured)
    whitened = product(fields, inverse.T)
    unit = _directions(root, K, M, count("directions", directions, minimum=0), seed)
    ks = np.array([kolmogorov_distance(product(whitened, direction)) for direction in unit])
    names = [f"student {k}" for k in range(K)] + [f"teacher {m}" for m in range(M)]
    variance = np.diag(measured)
    levels = np.linspace(-3.0, 3.0, 61)
    ordered = np.sort(fields / np.sqrt(variance), axis=0)
    deviation = np.array([np.searchsorted(column, levels) / n for column in ordered.T]) - ndtr(levels)
    values: dict[str, Any] = {
        "covariance": measured,
        "covariance_error": np.sqrt((np.outer(variance, variance) + measured**2) / n),
        "skewness": [skewness(column) for column in fields.T],
        "excess_kurtosis": [excess_kurtosis(column) for column in fields.T],
        "cdf": deviation,
    }
    dims = {
        "covariance": ("field", "field2"),
        "covariance_error": ("field", "field2"),
        "covariance_theory": ("field", "field2"),
        "cdf": ("field", "level"),
    }
    if theory is not None:
        values["covariance_theory"] = theory
    floor = FLOOR / math.sqrt(n)
    errors = {"skewness_error": math.sqrt(6 / n), "excess_kurtosis_error": math.sqrt(24 / n)}
    # The maximum over many directions of pure noise is larger than its mean: 5 errors, twice the floor.
    gaussian = (
        np.abs(values["skewness"]).max() < 5 * errors["skewness_error"]
        and np.abs(values["excess_kurtosis"]).max() < 5 * errors["excess_kurtosis_error"]
        and ks.max() < 2.5 * floor
    )
    attributes: dict[str, Any] = {
        "ks_max": float(ks.max()),
        "ks_floor": floor,
        "mmd2": mmd2(whitened[: count("mmd_samples", mmd_samples, minimum=2)]),
        "gaussian": bool(gaussian),
        **errors,
    }
    if isinstance(model, HiddenManifold):
        attributes.update(_condition_attributes(model, students))
    result = dataset(
        values,
        along=np.arange(K + M),
        dim="field",
        label="field",
        source="simulation",
        settings={"n_samples": n, "directions": len(unit), "seed": repr(seed), "model": repr(model)},
        cite=("gaussian-equivalence",),
        dims=dims,
        **attributes,
    )
    result = result.assign_coords(name=("field", names), level=levels)
    result["ks"] = ("direction", ks, {"long_name": "Kolmogorov distance"})
    result["direction_vector"] = (("direction", "field"), unit)
    if isinstance(model, HiddenManifold) and model.f in SMOOTH and model.center:
        bound = stein_bound(
            model,
            students,
            teacher=h if M else None,
            directions=unit,
            n_samples=bound_samples,
            seed=seed,
        )
        result["beta"] = ("direction", bound["beta"], {"long_name": "Stein bound"})
        result.attrs["beta_max"] = float(bound["beta"].max())
    return result


def _theory_covariance(model: LatentModel, w: Vector, h: Vector) -> Vector | None:
    """Return the covariance of (lambda, nu) that the model predicts, or None if it has no closed form."""
    covariances = getattr(model, "covariances", None)
    if covariances is None:
        return None
    omega, phi = covariances()
    return field_covariance(w / math.sqrt(model.N), h / math.sqrt(model.D), omega, phi)


def _directions(root: npt.NDArray[Any], K: int, M: int, random: int, seed: Any) -> Vector:
    """Return unit directions in whitened coordinates: fields, angles of pairs, random ones."""
    alone = root / np.sqrt((root * root).sum(axis=1, keepdims=True))
    groups = [alone]
    angles = np.linspace(0, math.pi, 8, endpoint=False)
    for k in range(K):
        for m in range(M):
            plane = np.linalg.qr(root[[k, K + m]].T)[0]
            groups.append(product(np.stack([np.cos(angles), np.sin(angles)], axis=1), plane.T))
    if random and K + M > 1:
        numbers = generator(seed, 1)
        draws = numbers.standard_normal((random, K + M))
        groups.append(draws / np.sqrt((draws * draws).sum(axis=1, keepdims=True)))
    return np.vstack(groups)


def _condition_attributes(model: HiddenManifold, w: Vector) -> dict[str, float]:
    """Return the conditions as plain numbers, the worst student for those that depend on it."""
    return {name: float(np.max(value)) for name, value in conditions(model, w).items()}


# pytest would collect a function of this name.
test_gaussian_equivalence.__test__ = False  # type: ignore[attr-defined]
