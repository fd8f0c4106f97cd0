"""How far a mean over seeds may lie from a theory of infinite size, and why."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ..ground.errors import InvalidParameterError
from .reproduction import Row

__all__ = ["confidence", "exceeds", "over_seeds"]

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
    chance = confidence(seen.size - 1) * spread / math.sqrt(seen.size)
    curvature = spread**2 / level if level > 0 else 0.0
    why = f"{confidence(seen.size - 1):.1f} standard errors over {seen.size} seeds ({chance:.2g})"
    why += f", second order of their spread ({curvature:.1g})"
    if neglected:
        why += f", {because} ({neglected:.2g})"
    return Row(
        quantity,
        float(expected.mean()),
        float(seen.mean()),
        chance + curvature + neglected,
        why,
        paper,
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
    factor = confidence(gaps.size - 1)
    chance = factor * float(gaps.std(ddof=1)) / math.sqrt(gaps.size)
    return Row(
        quantity,
        float(seen.mean() - gaps.mean()),
        float(seen.mean()),
        -chance,
        f"a statement of more: beyond {factor:.1f} standard errors over {gaps.size} seeds",
        paper,
        "above",
    )
