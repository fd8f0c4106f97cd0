"""How fast fields become Gaussian with the number of inputs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ..data.hidden_manifold import HiddenManifold
from ..ground.activations import activation
from ..ground.arguments import choice, count, items, number, seed_words
from ..ground.arguments import seed as checked_seed
from ..ground.errors import InvalidParameterError
from ..ground.results import dataset
from ..measure.equivalence.bounds import SMOOTH, stein_bound
from ..measure.equivalence.distances import FLOOR, excess_kurtosis, kolmogorov_distance, skewness
from ..measure.equivalence.harness import sampled_fields

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["rates"]

Vector = npt.NDArray[np.float64]

#: Weight vectors of :func:`rates`.
WEIGHTS = ("gaussian", "equal", "localised")


def rates(
    N: Sequence[int],
    *,
    ratio: float = 2.0,
    f: Literal["sign", "erf", "relu", "tanh", "identity", "linear"] = "erf",
    weights: Literal["gaussian", "equal", "localised"] = "gaussian",
    n_samples: int = 200_000,
    draws: int = 8,
    bound_samples: int = 3000,
    seed: Any = 0,
) -> xr.Dataset:
    r"""Measure how fast fields become Gaussian with N.

    Parameters
    ----------
    N
        Numbers of inputs.
    ratio
        N/D.
    f
        Nonlinearity.
    weights
        "gaussian": independent. "equal": all 1, the slowest generic case: skewness and Kolmogorov distance
        fall like :math:`N^{-1/2}`. "localised": a single unit, for which the equivalence fails at every N.
    n_samples
        Samples at each N.
    draws
        Weight vectors at each N (1 suffices for "equal" and "localised").
    bound_samples
        Samples of :func:`stein_bound`.
    seed
        Names everything.

    Returns
    -------
    xarray.Dataset
        Over (N, draw): ``ks, skewness, excess_kurtosis`` and, except for sign, ``beta``. Attributes:
        ``ks_floor``, ``kurtosis_slope``, ``skewness_slope`` (fitted exponents of the root mean square, sampling noise
        subtracted) and ``beta_slope``.

    Examples
    --------
    >>> result = rates([50, 100, 200], f="erf", n_samples=20_000, draws=4)
    >>> bool((result.beta > result.ks - 2 * result.attrs["ks_floor"]).all())
    True
    """
    choice("weights", weights, WEIGHTS)
    name = activation("f", f, ("sign", *SMOOTH))
    sizes = [count("N", n, minimum=2) for n in items("N", N, "numbers of inputs, for example [50, 100, 200]")]
    if not sizes:
        raise InvalidParameterError("N = []: must list numbers of inputs; pass [50, 100, 200], say")
    columns = count("draws", draws)
    samples = count("n_samples", n_samples, minimum=100)
    # Fewer inputs than latents by more than this is no limit of the model; the latents would not fit anywhere.
    ratio = number("ratio", ratio, minimum=1e-6, maximum=1e6)
    seed = checked_seed(seed)
    words = seed_words(seed).tolist()
    names = ["ks", "skewness", "excess_kurtosis", *(["beta"] if name in SMOOTH else [])]
    table: dict[str, list[Vector]] = {name: [] for name in names}
    for size in sizes:
        D = max(1, round(size / ratio))
        model = HiddenManifold(size, D, f=name, normalise_rows=True, seed=[*words, size])
        if weights == "gaussian":
            w = np.random.default_rng([*words, size]).standard_normal((columns, size))
        else:
            w = np.ones((1, size)) if weights == "equal" else math.sqrt(size) * np.eye(1, size)
        fields = sampled_fields(model, w, np.zeros((0, D)), samples, [*words, size, 1])
        table["ks"].append(np.array([kolmogorov_distance(x) for x in fields.T]))
        table["skewness"].append(np.array([skewness(x) for x in fields.T]))
        table["excess_kurtosis"].append(np.array([excess_kurtosis(x) for x in fields.T]))
        if "beta" in table:
            bound = stein_bound(model, w, n_samples=bound_samples, seed=[*words, size, 2])
            table["beta"].append(bound["beta"])
    stacked = {name: np.array(rows) for name, rows in table.items()}
    attributes: dict[str, Any] = {
        "ks_floor": FLOOR / math.sqrt(samples),
        "kurtosis_error": math.sqrt(24 / samples),
        "kurtosis_slope": _slope(sizes, stacked["excess_kurtosis"], 24 / samples),
        "skewness_slope": _slope(sizes, stacked["skewness"], 6 / samples),
    }
    if "beta" in stacked:
        attributes["beta_slope"] = _slope(sizes, stacked["beta"], 0.0)
    return dataset(
        stacked,
        along=np.array(sizes),
        dim="N",
        label="number of inputs",
        source="simulation",
        settings={"ratio": ratio, "f": name, "weights": weights, "n_samples": samples, "seed": repr(seed)},
        cite=("gaussian-equivalence",),
        dims=dict.fromkeys(stacked, ("N", "draw")),
        f=name,
        weights=weights,
        **attributes,
    )


def _slope(sizes: Sequence[int], values: Vector, noise: float) -> float:
    """Return the exponent of the root mean square against N; NaN where noise hides it."""
    squares = (values**2).mean(axis=1) - noise
    seen = squares > noise
    if np.count_nonzero(seen) < 2:
        return math.nan
    return float(np.polyfit(np.log(np.array(sizes)[seen]), 0.5 * np.log(squares[seen]), 1)[0])
