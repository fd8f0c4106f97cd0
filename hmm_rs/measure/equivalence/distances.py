"""Measured distances of samples from Gaussian ones."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ... import _lib
from ...ground.arguments import array, number
from ...ground.errors import InvalidParameterError, ResourceError, ShapeError
from ...ground.linear_algebra import scale_of
from ...ground.overflow import within_range

__all__ = ["FLOOR", "LARGEST_SAMPLE", "excess_kurtosis", "kolmogorov_distance", "mmd2", "skewness"]

Vector = npt.NDArray[np.float64]

#: Kolmogorov distance of n Gaussian samples from their own law: 0.87 / sqrt(n) on average.
FLOOR = 0.87
#: Points of a discrepancy at most: its cost is quadratic, minutes at this size.
LARGEST_SAMPLE = 1 << 19


def _standardised(x: npt.ArrayLike) -> Vector:
    values = array("x", x, (None,))
    # The scale goes out before squares are taken: they overflow, or vanish.
    values = values / scale_of(values)
    spread = values.std()
    if values.size < 2 or spread == 0:
        raise InvalidParameterError(
            "x does not vary: a distance from a Gaussian needs a variance; pass more samples"
        )
    return np.asarray((values - values.mean()) / spread)


def kolmogorov_distance(x: npt.ArrayLike) -> float:
    """Return the Kolmogorov distance of standardised samples (n,) from N(0, 1).

    Standardised with the population standard deviation. Gaussian samples give 0.87/sqrt(n) on average.

    Examples
    --------
    >>> round(kolmogorov_distance([0.1, 1.2, -0.7, 0.5, -1.9]), 6)
    0.196428
    """
    from scipy.special import ndtr

    z = np.sort(_standardised(x))
    cdf = ndtr(z)
    steps = np.arange(z.size + 1) / z.size
    return float(max((steps[1:] - cdf).max(), (cdf - steps[:-1]).max()))


def skewness(x: npt.ArrayLike) -> float:
    """Return the skewness of samples (n,); its sampling error is sqrt(6/n)."""
    return float((_standardised(x) ** 3).mean())


def excess_kurtosis(x: npt.ArrayLike) -> float:
    """Return the excess kurtosis of samples (n,); its sampling error is sqrt(24/n)."""
    return float((_standardised(x) ** 4).mean() - 3.0)


@within_range("x and bandwidth")
def mmd2(x: npt.ArrayLike, *, bandwidth: float = 1.0) -> float:
    r"""Return the unbiased squared maximum mean discrepancy of samples (n, d) from :math:`N(0, 1_d)`.

    Gaussian kernel :math:`e^{-|x-y|^2/2h^2}`; the Gaussian's own averages in closed form. May be negative. At 4000
    samples its noise is about 5e-5: cumulants and the Kolmogorov distance resolve rates better.

    Examples
    --------
    >>> points = [[0.1, -0.4], [1.2, 0.3], [-0.7, 0.9], [0.5, -1.6], [-1.9, 0.2]]
    >>> round(mmd2(points), 9)
    -0.119708915
    """
    points = array("x", x, (None, None), rule="= (samples, dimensions)")
    h2 = np.square(np.float64(number("bandwidth", bandwidth, minimum=0.0, exclusive=True)))
    n, d = points.shape
    if n < 2:
        raise ShapeError("x has one row: the estimate needs two; pass more samples")
    if n > LARGEST_SAMPLE:
        raise ResourceError(
            f"mmd2 of {n} points takes {n * n:.1g} evaluations of the kernel: at most {LARGEST_SAMPLE} points are "
            "taken; pass x[:10_000], or several samples one by one"
        )
    squares = (points**2).sum(axis=1)
    own = _lib.mean_pair_kernel(points, math.sqrt(h2), None)
    cross = (h2 / (1 + h2)) ** (d / 2) * float(np.exp(-squares / (2 * (1 + h2))).mean())
    both = (h2 / (2 + h2)) ** (d / 2)
    return float(own - 2 * cross + both)
