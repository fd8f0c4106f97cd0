"""What the figures of the hinge study share: the mean field of a finite network, and how finite sizes shift it."""

from __future__ import annotations

import math
from typing import Any

from ...networks.mean_field import MeanFieldNetwork
from ...theory import HingeMeanField

__all__ = ["BETA", "WORK", "faster_memory", "shift_of_finite_set", "theory_of"]

WORK = "hinge mean field"
#: beta* / M = 10^3 / 400, our reading of the caption's learning rate.
BETA = 2.5


def theory_of(network: MeanFieldNetwork, **options: Any) -> HingeMeanField:
    """Return the mean field with the empirical C0 and C1 of a finite network."""
    a, w = network.a.astype(float), network.w[:, 0].astype(float)
    return HingeMeanField(network.d, C0=float((a * w).mean()), C1=float((a**2 + w**2).mean() / 2), **options)


def shift_of_finite_set(theory: HingeMeanField, N: int, t: float) -> float:
    """Return how far memorisation of N examples, harmonics of degree 2 included, shifts the rotation at time `t`."""
    course = theory.memorisation(faster_memory(theory.d, N), [t])
    return abs(float(course.gamma[0]) - float(theory.gamma(t)))


def faster_memory(d: int, N: int) -> int:
    r"""Return the size of a training set whose theory bounds the effect of memorised harmonics of degree 2.

    The theory memorises the degrees >= 3 of the kernel of input weights, a share 1/4 - 1/(2 pi) of it. Degree 2, a
    share 1/(2 pi), is learnt in common by N >> d^2/2 examples, but for a part (d^2/2)/N of it that each example keeps
    for itself: memory is faster by 1 + (1/(2 pi))/(1/4 - 1/(2 pi)) (d^2/2)/N, as if N were smaller by it.
    """
    share = (0.5 / math.pi) / (0.25 - 0.5 / math.pi)
    return math.ceil(N / (1.0 + share * 0.5 * d * d / N))
