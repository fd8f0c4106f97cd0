"""Power laws of averages over an ensemble."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ...ground.arguments import array, choice, count, reals
from ...ground.arguments import seed as checked_seed
from ...ground.errors import InvalidParameterError
from ...ground.memory import require
from ...ground.overflow import within_range

__all__ = ["Exponent", "fit_exponent"]

Array = npt.NDArray[np.float64]


class Exponent(NamedTuple):
    """A power law y = prefactor x^exponent, with bootstrap errors."""

    exponent: float
    error: float
    prefactor: float
    prefactor_error: float


def fit_exponent(
    x: npt.ArrayLike,
    samples: npt.ArrayLike,
    *,
    average: str = "mean",
    resamples: int = 1000,
    seed: Any = 0,
) -> Exponent:
    """Fit a power law to averages over an ensemble.

    Parameters
    ----------
    x
        Sizes, shape (n,).
    samples
        One value per size and data seed, shape (n, seeds); NaN where a run gave none.
    average
        "mean" for errors; "inverse_square", [mean 1/y^2]^(-1/2), for compression factors (the noise of a
        training set is what it averages); "median".
    resamples
        Bootstrap resamples of the seeds, each size by itself.
    seed
        Of the bootstrap.

    Examples
    --------
    >>> import numpy as np
    >>> from hmm_rs.experiments.compression import fit_exponent
    >>> p = np.array([100.0, 200.0, 400.0])
    >>> round(fit_exponent(p, np.sqrt(p)[:, None] * np.ones(5)).exponent, 6)
    0.5
    """
    sizes = array("x", x, (None,))
    # A run without a value is NaN here.
    values = reals("samples", samples, missing=True)
    if values.ndim != 2 or len(values) != len(sizes) or len(sizes) < 2:
        raise InvalidParameterError(
            f"samples has shape {values.shape}: must be (len(x), seeds) with two sizes or more; pass such an array"
        )
    if not (np.isnan(values) | (values > 0)).all() or np.isnan(values).all(axis=1).any():
        raise InvalidParameterError("samples: must be positive with a value at each size; drop empty sizes")
    if not (sizes > 0.0).all() or np.ptp(np.log(sizes)) == 0.0:
        raise InvalidParameterError("x: sizes must be positive, two of them different; pass such sizes")
    choice("average", average, ("mean", "inverse_square", "median"))
    averages: dict[str, Callable[[Array], Any]] = {
        "mean": np.mean,
        "inverse_square": lambda v: np.mean(v**-2.0) ** -0.5,
        "median": np.median,
    }
    rows = [row[~np.isnan(row)] for row in values]
    resamples = count("resamples", resamples, minimum=2)
    require(64 * resamples, f"a bootstrap of {resamples} resamples", "pass fewer resamples")
    generator = np.random.default_rng(checked_seed(seed))

    def line(rows: Sequence[Array]) -> tuple[float, float]:
        slope, intercept = np.polyfit(np.log(sizes), np.log([averages[average](row) for row in rows]), 1)
        return float(slope), float(np.exp(intercept))

    with within_range("x and samples"):
        exponent, prefactor = line(rows)
        drawn = np.array([line([generator.choice(row, len(row)) for row in rows]) for _ in range(resamples)])
        error, prefactor_error = drawn.std(axis=0, ddof=1)
    return Exponent(exponent, float(error), prefactor, float(prefactor_error))
