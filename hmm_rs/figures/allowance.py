"""How far a mean over seeds may lie from its theory, and why."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..ground.errors import InvalidParameterError
from .reproduction import Row

__all__ = [
    "binomial_error",
    "confidence",
    "exceeds",
    "over_seeds",
    "paired_row",
    "three_errors",
    "two_sample_row",
]

#: Probability that chance alone takes a mean further away than allowed: three standard deviations of a Gaussian.
_LEVEL = 0.0027


def confidence(dof: int) -> float:
    """Return how many estimated standard errors chance exceeds as rarely as a Gaussian three: Student's t.

    Parameters
    ----------
    dof
        Degrees of freedom of the estimate, one less than the number of seeds.

    Examples
    --------
    >>> from hmm_rs.figures.allowance import confidence
    >>> [round(confidence(dof), 1) for dof in (2, 5, 1000)]
    [19.2, 5.5, 3.0]
    """
    from scipy.stats import t

    return float(t.ppf(1.0 - _LEVEL / 2.0, dof))


def over_seeds(
    quantity: str,
    theory: npt.ArrayLike,
    values: npt.ArrayLike,
    *,
    neglected: float = 0.0,
    because: str = "",
    paper: str = "",
) -> Row:
    r"""Return the line of a table that lays a mean over seeds beside its theory.

    What is allowed is the sum of three parts:

    1. chance: the standard error of the mean of the gaps, times Student's factor for as many seeds;
    2. curvature: where single runs fluctuate by :math:`s`, the mean of a curved function of the order parameters
       lies off the function of their means by up to :math:`s^2/|x|`, the size that an exponential, :math:`x''x =
       x'^2`, has (a fluctuation-free theory does not know it);
    3. `neglected`: size of what the theory leaves out at this size, and `because`, where it comes from.

    Parameters
    ----------
    quantity
        What is compared.
    theory
        Its prediction, or one for each seed, shape (seeds,).
    values
        What each seed gave, shape (seeds,).
    neglected, because
        See above.
    paper
        As in :class:`Row`.
    """
    seen = np.asarray(values, dtype=np.float64)
    if seen.ndim != 1 or seen.size < 2:
        raise InvalidParameterError(
            f"values has shape {seen.shape}: must be (seeds,) with two seeds at least; pass one value a seed"
        )
    expected = np.broadcast_to(np.asarray(theory, dtype=np.float64), seen.shape)
    gaps = seen - expected
    spread = float(gaps.std(ddof=1))
    level = abs(float(expected.mean()))
    chance = three_errors(gaps)
    curvature = spread**2 / level if level > 0 else 0.0
    why = f"{confidence(seen.size - 1):.1f} standard errors over {seen.size} seeds ({chance:.2g})"
    why += f", second order of their spread ({curvature:.1g})"
    if neglected:
        share = f", {neglected / level:.0%} of the value" if level > 0.0 else ""
        why += f", {because} ({neglected:.2g}{share})"
    return Row(
        quantity,
        float(expected.mean()),
        float(seen.mean()),
        chance + curvature + neglected,
        why,
        paper,
        chance=chance + curvature,
    )


def exceeds(quantity: str, level: npt.ArrayLike, values: npt.ArrayLike, *, paper: str = "") -> Row:
    """Return the line of a statement of more: the mean of `values` must lie above `level` by more than chance.

    Parameters
    ----------
    quantity
        What is compared, and with what.
    level
        What it must exceed: a number, or one for each seed, shape (seeds,).
    values
        What each seed gave, shape (seeds,).
    paper
        As in :class:`Row`.
    """
    seen = np.asarray(values, dtype=np.float64)
    gaps = seen - np.asarray(level, dtype=np.float64)
    return Row(
        quantity,
        float(seen.mean() - gaps.mean()),
        float(seen.mean()),
        -three_errors(gaps),
        f"a statement of more: beyond {confidence(gaps.size - 1):.1f} standard errors over {gaps.size} seeds",
        paper,
        "above",
    )


def three_errors(samples: npt.ArrayLike) -> float:
    """Return the allowed gap of a mean over seeds: Student's factor times its standard error."""
    values = np.asarray(samples, dtype=np.float64)
    values = values[~np.isnan(values)]
    if len(values) < 2:
        return math.inf
    return confidence(len(values) - 1) * float(values.std(ddof=1)) / math.sqrt(len(values))


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
    afterwards: bool = False,
    paper: str = "",
) -> Row:
    """Return a line for means over seeds; the error is that of the difference, seed by seed.

    Parameters
    ----------
    quantity, afterwards, paper
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
    why = (
        f"{confidence(len(seen) - 1):.1f} standard errors over {len(seen)} seeds (three sigma by Student's t)"
    )
    chance = three_errors(seen - expected)
    return Row(
        quantity,
        float(expected.mean()),
        float(seen.mean()),
        chance + more,
        f"{why}; {because}" if because else why,
        paper,
        chance=chance,
        afterwards=afterwards,
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
    chance = math.hypot(three_errors(expected), three_errors(seen))
    return Row(
        quantity,
        float(expected.mean()),
        float(seen.mean()),
        chance + more,
        f"{why}; {because}" if because else why,
        paper,
        chance=chance,
    )
