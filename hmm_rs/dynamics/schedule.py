"""When gradient flow is measured."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ..ground.arguments import count, number
from ..ground.memory import require

__all__ = ["log_linear_steps"]


def log_linear_steps(last: int, *, spacing: float = 100.0, bend: float = 1e4) -> npt.NDArray[np.int64]:
    """Return the published schedule of step numbers up to `last`: dense at first, then `spacing` apart.

    n_{k+1} = int(n_k + 1 + S (1 - exp(-n_k/T))), S = `spacing`, T = `bend`.

    Raises
    ------
    ResourceError
        A schedule too long for memory.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> hr.dynamics.log_linear_steps(1000)[-3:]
    array([ 987,  997, 1000])
    """
    last = count("last", last, minimum=0)
    spacing = number("spacing", spacing, minimum=0.0)
    bend = number("bend", bend, minimum=0.0, exclusive=True)
    # Steps are at least max(1, S (1 - exp(-n/T))) apart; past T that is half of S or more.
    fewest_apart = max(1.0, 0.5 * spacing)
    longest = min(last, bend) + last / fewest_apart
    require(
        int(min(40.0 * longest, 2.0**62)),
        f"a schedule of up to {longest:.3g} steps",
        "pass a larger spacing or a smaller last step",
    )
    steps, n = [0], 0
    while n < last:
        n = min(int(n + 1 + spacing * (1.0 - math.exp(-n / bend))), last)
        steps.append(n)
    return np.array(steps, dtype=np.int64)
