"""How large a gap may be: what the spread over seeds says of a mean."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .reproduction import Row

__all__ = ["binomial_error", "paired_row", "student", "three_errors", "two_sample_row"]

#: Two-sided probability of three standard deviations of a Gaussian.
_LEVEL = 0.5 * (1.0 + math.erf(3.0 / math.sqrt(2.0)))


def student(n: int) -> float:
    """Return how many standard errors of a mean over `n` seeds are as unlikely as three of a Gaussian.

    Examples
    --------
    >>> from hmm_rs.figures.allowed import student
    >>> round(student(10_000), 2), round(student(8), 2)
    (3.0, 4.53)
    """
    from scipy.special import stdtrit

    return float(stdtrit(n - 1, _LEVEL)) if n > 1 else math.inf


def three_errors(samples: npt.ArrayLike) -> float:
    """Return the allowed gap of a mean over seeds: Student's factor times its standard error."""
    values = np.asarray(samples, dtype=np.float64)
    values = values[~np.isnan(values)]
    if len(values) < 2:
        return math.inf
    return student(len(values)) * float(values.std(ddof=1)) / math.sqrt(len(values))


def binomial_error(fraction: float, examples: int) -> float:
    """Return three standard errors of a fraction that is measured on so many independent examples."""
    return 3.0 * math.sqrt(max(fraction * (1.0 - fraction), 1.0 / examples) / examples)


def paired_row(
    quantity: str,
    theory: Sequence[float] | npt.NDArray[np.float64] | float,
    simulation: npt.ArrayLike,
    *,
    more: float = 0.0,
    because: str = "",
    paper: str = "",
) -> Row:
    """Return a line for means over seeds; the error is that of the difference, seed by seed.

    Parameters
    ----------
    quantity, paper
        As in :class:`hmm_rs.figures.Row`.
    theory
        Its values, one a seed, or one for all.
    simulation
        Measured values, one a seed; where either side is NaN the seed is left out.
    more, because
        Allowed beside the error of the mean, and where it comes from.
    """
    seen = np.asarray(simulation, dtype=np.float64)
    expected = np.broadcast_to(np.asarray(theory, dtype=np.float64), seen.shape)
    kept = ~(np.isnan(seen) | np.isnan(expected))
    seen, expected = seen[kept], expected[kept]
    why = f"{student(len(seen)):.1f} standard errors over {len(seen)} seeds (three sigma by Student's t)"
    return Row(
        quantity,
        float(expected.mean()),
        float(seen.mean()),
        three_errors(seen - expected) + more,
        f"{why}; {because}" if because else why,
        paper,
    )


def two_sample_row(
    quantity: str,
    theory: npt.ArrayLike,
    simulation: npt.ArrayLike,
    *,
    more: float = 0.0,
    because: str = "",
    paper: str = "",
) -> Row:
    """Return a line for means over independent draws of both sides; the errors add in quadrature.

    Parameters
    ----------
    quantity, more, because, paper
        As in :func:`paired_row`.
    theory, simulation
        One value a draw; NaN where there is none.
    """
    sides = [np.asarray(values, dtype=np.float64) for values in (theory, simulation)]
    expected, seen = (values[~np.isnan(values)] for values in sides)
    why = f"three sigma (Student's t) of the means over {len(seen)} runs and {len(expected)} draws of the theory"
    return Row(
        quantity,
        float(expected.mean()),
        float(seen.mean()),
        math.hypot(three_errors(expected), three_errors(seen)) + more,
        f"{why}; {because}" if because else why,
        paper,
    )
