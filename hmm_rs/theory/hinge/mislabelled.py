r"""Memorisation of a training set some of whose labels are wrong (infinite width).

A clean example, z = m = |x_par|, is satisfied by the common rotation and needs its own updates only near the boundary;
a flipped one, z = -m, is satisfied by its own updates alone, and the more so the further the network turns:

    clean:    kappa S m/2 + s >= h/alpha          flipped:  -kappa S m/2 + s >= h/alpha

where s is the extra margin that the example has gained while it was unsatisfied, at the rate of the theory without
flips (kernel harmonics of degree >= 3),

    ds/dt = u (c kappa^2 d sigma_x^2/N) (H_w sigma_w^2 + H_a A_2(gamma)).

All unsatisfied examples drive the rotation, d gamma/dt = (c kappa/2) <u z>: flipped ones against the rest. Once the
clean examples are satisfied the flipped ones turn the network back, clean examples become unsatisfied again, and both
hold each other at the margin until the last flipped example is memorised. So every projection m has its own s here, and
the equations are integrated for a grid of projections of both kinds.
"""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .arrays import Floats

__all__ = ["HA", "HW", "Course", "memorise"]

#: Shares of degree >= 3 in the kernels of input and output weights.
HW = 0.25 - 3.0 / (4.0 * math.pi)
HA = 0.25 - 1.0 / (2.0 * math.pi)

#: Projections of each kind: equally likely cells of a half-normal law.
_CELLS = 400
#: Steps over which examples count that have been satisfied before: held at the margin, they are unsatisfied part of the
#: time.
_HELD = 64
#: Largest change in a step of the rotation, and of the margin relative to the threshold.
_TURN, _GAIN = 0.004, 0.01


class Course(NamedTuple):
    """What is recorded at the times, each of shape (n,)."""

    gamma: Floats
    extra_margin: Floats
    train_unsatisfied: Floats
    train_unsatisfied_clean: Floats
    train_unsatisfied_flipped: Floats
    train_error: Floats
    test_unsatisfied: Floats


def _half_normal_cells(n: int) -> Floats:
    """Return the means of n equally likely cells of |N(0, 1)|."""
    from scipy.special import ndtri

    edges = ndtri(0.5 * (1.0 + np.arange(n + 1) / n))
    density = np.exp(-0.5 * edges**2) / math.sqrt(2.0 * math.pi)
    return np.asarray(-2.0 * n * np.diff(density))


def _of_each_kind(which: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Return the fractions of the clean and of the flipped cells."""
    return float(which[:_CELLS].mean()), float(which[_CELLS:].mean())


def memorise(
    *,
    N: int,
    times: Floats,
    d: int,
    threshold: float,
    clock: float,
    kappa: float,
    sigma_x: float,
    sigma_a: float,
    sigma_w: float,
    C0: float,
    C1: float,
    flip: float,
) -> Course:
    """Integrate both kinds of examples to the increasing `times`.

    Parameters
    ----------
    N, times, d, kappa, sigma_x, sigma_a, sigma_w, C0, C1, flip
        As in :class:`hmm_rs.theory.HingeMeanField`.
    threshold, clock
        h/alpha and c = beta alpha^(1-p).
    """
    m = sigma_x * _half_normal_cells(_CELLS)
    z = np.concatenate([m, -m])
    shares = np.repeat([(1.0 - flip) / _CELLS, flip / _CELLS], _CELLS)
    pull = 0.5 * clock * kappa * shares * z
    s = np.zeros(2 * _CELLS)
    gamma, t = 0.0, 0.0
    before = np.zeros(2 * _CELLS, dtype=bool)
    held: deque[tuple[float, float]] = deque(maxlen=_HELD)
    records: list[tuple[float, ...]] = []
    for stop in times:
        while True:
            slope = 0.5 * kappa * (C0 * math.cosh(2.0 * gamma) + C1 * math.sinh(2.0 * gamma))
            margins = slope * z + s
            unsatisfied = margins < threshold
            before |= ~unsatisfied
            held.append(_of_each_kind(unsatisfied & before))
            if t >= stop or not unsatisfied.any():
                break
            turning = float(pull[unsatisfied].sum())
            a2 = sigma_a**2 * math.cosh(gamma) ** 2 + sigma_w**2 * math.sinh(gamma) ** 2
            gaining = clock * kappa**2 * d * sigma_x**2 / N * (HW * sigma_w**2 + HA * a2)
            step = min(_TURN / max(abs(turning), 1e-300), _GAIN * threshold / gaining, float(stop) - t)
            gamma += step * turning
            s += step * gaining * unsatisfied
            t += step
        fresh = slope * m < threshold
        clean, wrong = _of_each_kind(unsatisfied & ~before)
        if unsatisfied.any():
            clean += sum(part for part, _ in held) / len(held)
            wrong += sum(part for _, part in held) / len(held)
        records.append(
            (
                gamma,
                float(s.max()),
                (1.0 - flip) * clean + flip * wrong,
                clean,
                wrong,
                float(shares[margins <= 0.0].sum()),
                float(fresh.mean()),
            )
        )
    return Course(*np.array(records).T)
