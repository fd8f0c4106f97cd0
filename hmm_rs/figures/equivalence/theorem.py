"""The theorem in numbers: how fast fields become Gaussian with the number of inputs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import plot
from ...experiments.gaussian_rates import rates
from ..allowance import over_seeds
from ..card import Card, Scale
from ..panels import panels
from ..reproduction import Parts, Row

__all__ = ["CARD", "make"]


def make(scale: str | Scale = "small") -> Parts:
    """Return Kolmogorov distance, excess kurtosis and Stein bound over N, for random and for equal weights.

    N = 50 to 400 and 5 10^4 samples at "small", N up to 1600 and 10^6 at "paper"; six draws of the features.
    """
    scale = Scale.of(scale)
    sizes, samples = scale.pick(
        small=((50, 100, 200, 400), 50_000), paper=((50, 100, 200, 400, 800, 1600), 1_000_000)
    )
    return _made(sizes=sizes, samples=samples, draws=4, seeds=6)


def _made(*, sizes: Sequence[int], samples: int, draws: int, seeds: int) -> Parts:
    import xarray as xr

    options: dict[str, dict[str, Any]] = {
        "random weights": {"f": "erf", "draws": draws},
        "equal weights": {"f": "relu", "weights": "equal"},
    }
    several = {
        name: [rates(sizes, n_samples=samples, seed=seed, **each) for seed in range(seeds)]
        for name, each in options.items()
    }
    localised = rates(sizes[-1:], f="erf", weights="localised", n_samples=samples)
    # Features of another seed are further draws.
    data = {name: xr.concat(each, "draw", combine_attrs="override") for name, each in several.items()}
    figure, axes = panels(1, 2)
    for ax, (name, result) in zip(axes[0], data.items(), strict=True):
        plot.equivalence_rates(result, ax=ax)
        ax.set_title(f"{options[name]['f']}, {name}", fontsize="medium")
    slopes = (
        ("random weights", "kurtosis_slope", "excess kurtosis", -1.0),
        ("random weights", "beta_slope", "Stein's bound", -0.5),
        ("equal weights", "skewness_slope", "skewness", -0.5),
    )
    x = np.log(np.asarray(sizes, dtype=np.float64))
    tilt = float((np.exp(-x[0] / 2) - np.exp(-x[-1] / 2)) / (x[-1] - x[0]))
    table = [
        over_seeds(
            f"{name}: exponent of {words} in N",
            expected,
            [each.attrs[slope] for each in several[name]],
            neglected=tilt,
            because="next order, 1/sqrt(N) relative, tilts the line",
        )
        for name, slope, words, expected in slopes
    ]
    table += [
        Row(
            "largest Kolmogorov distance over Stein's bound",
            1.0,
            max(float((result.ks / result.beta).max()) for result in data.values()),
            0.0,
            "a theorem: the distance lies below the bound",
            side="below",
        ),
        Row(
            "one weight alone: excess kurtosis, theory: of the uniform distribution of erf(u/sqrt 2)",
            -1.2,
            float(localised.excess_kurtosis.mean()),
            3.0 * _KURTOSIS_OF_UNIFORM / math.sqrt(samples),
            f"3 standard errors of a kurtosis from {samples} samples of a uniform distribution",
        ),
    ]
    return {**data, "one weight": localised}, figure, table


#: Standard error, times root n, of the kurtosis k = m4/m2^2 of a uniform variable of unit variance: its influence
#: function z^4 - 2 k z^2 + k, k = 9/5, has variance m8 + 4 k^2 m4 + k^2 - 4 k m6 + 2 k m4 - 4 k^2, m6 = 27/7,
#: m8 = 9.
_KURTOSIS_OF_UNIFORM = 1.147


CARD = Card(
    "gaussian-equivalence-theorem",
    "Gaussian equivalence",
    "How fast fields become Gaussian",
    "Kolmogorov distance, excess kurtosis and Stein's bound of w.x/sqrt(N) over the number of inputs N; dotted: what "
    "samples of a Gaussian would give. (a) random weights; (b) equal weights, the slowest generic case.",
    "Ours: x = f(F z) with rows of unit norm, N/D = 2, f = erf and relu.",
    "low",
    make,
    "The published figure, if there is one, is not known: the theorem's claim is shown with measures of our own.",
)
