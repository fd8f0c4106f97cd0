"""When to stop: the time at which the predicted test error is smallest."""

from __future__ import annotations

import math

import numpy as np

from ...ground.arguments import number
from ...ground.record import Record
from ...provenance.recording import recorded
from ..replica.spectrum import Spectrum
from .problem import CITE, Problem, settled_step

__all__ = ["optimal_stopping", "stopping_time"]

#: Points of the logarithmic grid that brackets the minimum.
_GRID = 24
#: Relative accuracy of the time: at a minimum the error's is its square.
_ACCURACY = 1e-4
#: Differences from the end, in units of the targets' variance, that rounding explains.
_ROUNDING = 1e-12
#: Distance from the peak of double descent within which the end is infinitely bad.
_PEAK = 1e-9
#: Gaps between the grid's ends and the fastest and slowest direction.
_EARLY, _LATE = 1e-2, 1e3
#: Ratio of largest to smallest time of the grid at most.
_DECADES = 1e12


@recorded("optimal_stopping")
def optimal_stopping(
    spectrum: Spectrum, *, alpha: float, noise: float = 0.0, lr: float | None = None
) -> Record:
    r"""Find the time at which test error is smallest along training: early stopping without a validation set.

    A logarithmic grid of times, then a bounded search between the neighbours of its best point. Where test error
    falls to the very end the time is infinite.

    Parameters
    ----------
    spectrum, alpha, noise, lr
        As in :func:`least_squares_flow`.

    Returns
    -------
    Record
        ``t_stop``, ``test_mse`` and ``train_mse`` there.

    Examples
    --------
    >>> from hmm_rs.theory import optimal_stopping, replica
    >>> spectrum = replica.Spectrum([2.0, 1.0, 0.25], [0.25, 0.5, 0.25], [0.6, 0.3, 0.05], 1.3)
    >>> best = optimal_stopping(spectrum, alpha=1.2)
    >>> round(best.t_stop, 2), round(best.test_mse, 4)
    (0.96, 0.946)
    >>> round(replica.optimal_ridge(spectrum, loss="ridge", alpha=1.2).test_mse, 4)
    0.9262
    """
    problem = Problem.checked(
        spectrum, number("alpha", alpha), number("noise", noise, minimum=0.0), settled_step(lr)
    )
    at, test, train = stopping_time(problem)
    return Record(
        {"t_stop": at, "test_mse": test, "train_mse": train},
        source="theory",
        dim="alpha",
        along=[problem.alpha],
        label="examples over student dimension",
        settings={
            "noise": problem.noise,
            "lr": problem.step,
            "rho": problem.spectrum.rho,
            "rho_lin": problem.spectrum.rho_lin,
        },
        cite=CITE,
    )


def stopping_time(problem: Problem) -> tuple[float, float, float]:
    """Return the best time, and test and training error there."""
    from scipy.optimize import minimize_scalar

    def test_at(log_t: float) -> float:
        return float(problem.errors(problem.ticks(np.array([math.exp(log_t)])))[0][0])

    omega = problem.resolvent.omega
    early = _EARLY / problem.resolvent.edge
    late = min(_LATE / float(omega.min()), early * _DECADES)
    grid = np.unique(problem.ticks(np.geomspace(early, late, _GRID)))
    times = np.concatenate([[0.0], grid[grid > 0]])
    errors = problem.errors(times)[0]
    best = int(errors.argmin())
    candidates = [times[best]]
    if 0 < best < times.size - 1:
        ends = math.log(max(times[best - 1], early * 1e-3)), math.log(times[best + 1])
        found = minimize_scalar(test_at, bounds=ends, method="bounded", options={"xatol": _ACCURACY})
        candidates.append(float(problem.ticks(np.array([math.exp(found.x)]))[0]))
    reached = np.array(candidates)
    test, train = problem.errors(reached)
    last = int(test.argmin())
    if abs(problem.alpha - problem.spectrum.rank) > _PEAK:
        end = problem.errors(np.array([math.inf]))
        if end[0][0] <= test[last] + _ROUNDING * problem.variance:
            return math.inf, float(end[0][0]), float(end[1][0])
    return float(reached[last]), float(test[last]), float(train[last])
