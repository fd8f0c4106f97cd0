"""The law of z = y x_par of a measured data set, as a smooth density."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...ground.description import Description
from .arrays import Floats

__all__ = ["MeasuredDensity"]

#: Most points of the estimate; more values are first averaged in groups of neighbours.
_POINTS = 1000
#: Bandwidths beyond the last point where the density is cut off: less than 1e-8 is left out.
_REACH = 6.0


class MeasuredDensity(Description):
    """A Gaussian kernel estimate of the density of measured values; its mean is theirs.

    Parameters
    ----------
    values
        Measured z = y x_par, shape (P,).

    Notes
    -----
    The bandwidth is Silverman's, .9 min(standard deviation, interquartile range/1.34) P^(-1/5).

    Examples
    --------
    >>> import numpy as np
    >>> from hmm_rs.theory.hinge.measured import MeasuredDensity
    >>> law = MeasuredDensity(np.linspace(0.5, 1.5, 11))
    >>> bool(law(np.array([1.0]))[0] > law(np.array([2.0]))[0])
    True
    """

    values: Floats

    def __init__(self, values: Floats) -> None:
        self._describe(values=values)
        ordered = np.sort(values)
        groups = np.array_split(ordered, min(len(ordered), _POINTS))
        centres = np.array([group.mean() for group in groups])
        weights = np.array([len(group) for group in groups]) / len(ordered)
        low, high = np.quantile(ordered, [0.25, 0.75])
        spread = min(float(ordered.std()), float(high - low) / 1.34) or float(ordered.std())
        # Values all alike have no width of their own: a twentieth of their size stands for it.
        width = 0.9 * spread * len(ordered) ** -0.2 or 0.05 * float(abs(ordered).max())
        for name, value in (("_centres", centres), ("_weights", weights), ("_width", width)):
            object.__setattr__(self, name, value)

    _centres: Floats
    _weights: Floats
    _width: float

    @property
    def support(self) -> tuple[float, float]:
        """Interval outside which the density vanishes."""
        reach = _REACH * self._width
        return float(self._centres[0] - reach), float(self._centres[-1] + reach)

    def __call__(self, z: npt.ArrayLike) -> Floats:
        """Return the density at `z`, in the shape of `z`."""
        at = np.asarray(z, dtype=np.float64)
        away = (at.reshape(-1, 1) - self._centres) / self._width
        heights = np.exp(-0.5 * away**2) * self._weights
        total = heights.sum(axis=1) / (self._width * np.sqrt(2.0 * np.pi))
        return np.asarray(total.reshape(at.shape))
