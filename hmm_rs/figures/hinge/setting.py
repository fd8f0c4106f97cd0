"""What the figures of the hinge study share: the mean field of a finite network, and how finite sizes shift it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ...networks.mean_field import MeanFieldNetwork
from ...theory import HingeMeanField

__all__ = [
    "AFTERWARDS",
    "BETA",
    "WORK",
    "faster_memory",
    "second_harmonic_left",
    "shift_of_finite_set",
    "shift_of_finite_width",
    "theory_of",
]

WORK = "hinge mean field"
#: Of rows that allow for memorised harmonics of degree 2: said in their tables.
AFTERWARDS = "an estimate made when the gap was known, not a test of the theory"
#: beta* / M = 10^3 / 400, our reading of the caption's learning rate.
BETA = 2.5


def theory_of(network: MeanFieldNetwork, **options: Any) -> HingeMeanField:
    """Return the mean field with the empirical C0 and C1 of a finite network."""
    a, w = network.a.astype(float), network.w[:, 0].astype(float)
    return HingeMeanField(network.d, C0=float((a * w).mean()), C1=float((a**2 + w**2).mean() / 2), **options)


def shift_of_finite_set(theory: HingeMeanField, N: int, t: float) -> float:
    """Return how far memorisation of N examples, harmonics of degree 2 included, shifts the rotation at time `t`."""
    course = theory.memorisation(faster_memory(theory, N, t), [t])
    return abs(float(course.gamma[0]) - float(theory.gamma(t)))


def shift_of_finite_width(theory: HingeMeanField, M: int, t: float) -> float:
    r"""Return how far the fluctuations of M initial nodes shift the rotation at time `t` (Gaussian data).

    The output of a finite network also has a part linear in the other inputs and an even one. Each has the variance
    ((d - 1)/M) cosh(2 gamma)/S^2 in units of the part along the teacher; both blur the threshold chi of the drive
    E[z 1(z < chi)]. A relative change epsilon of the speed v shifts gamma by v int epsilon/v d gamma.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    end = float(theory.gamma(t))
    gamma = np.linspace(0.0, end, 2001)[1:]
    # A network that points the wrong way at first satisfies nobody: there is no threshold to blur.
    aligned = np.maximum(theory.alignment(gamma), 1e-3)
    chi = 2.0 * theory.h / theory.alpha / (theory.kappa * aligned)
    blur = np.sqrt(2.0 * (theory.d - 1) / M * np.cosh(2.0 * gamma)) / aligned

    def pull(c: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return -np.expm1(-0.5 * np.maximum(c, 0.0) ** 2)

    blurred = (pull(chi[:, None] - blur[:, None] * nodes) * weights).sum(axis=1) / weights.sum()
    change = blurred / pull(chi) - 1.0
    speed = theory.gamma_dot(gamma)
    return abs(float(speed[-1] * np.trapezoid(change / speed, gamma)))


def second_harmonic_left(theory: HingeMeanField, t: float) -> float:
    r"""Return which part of a fluctuation of degree 2 of the output is left at time `t` (Gaussian data).

    A fluctuation f_2 moves the examples at the margin, of density rho = 2 phi(chi)/(kappa S/2), and decays at the rate
    c lambda_2 rho, lambda_2 = (2 kappa^2/d)(A_2/(2 pi) + sigma_w^2/(4 pi)) the kernel's eigenvalue there.
    """
    times = np.linspace(0.0, t, 401)[1:]
    gamma = theory.gamma(times)
    slope = 0.5 * theory.kappa * theory.alignment(gamma)
    chi = theory.h / theory.alpha / slope
    density = 2.0 * np.exp(-0.5 * chi**2) / math.sqrt(2.0 * math.pi) / slope
    eigenvalue = theory.kappa**2 / theory.d * (np.cosh(2.0 * gamma) + 0.5) / math.pi
    clock = theory.beta * theory.alpha ** (1.0 - theory.p)
    return math.exp(-clock * float((eigenvalue * density).mean()) * t)


def faster_memory(theory: HingeMeanField, N: int, t: float) -> int:
    r"""Return the size of a training set whose theory bounds the effect of memorised harmonics of degree 2.

    The theory memorises the degrees >= 3 of the kernel of input weights, a share 1/4 - 1/(2 pi) of it. Degree 2, a
    share 1/(2 pi), counts too (1) until the examples at the margin have taken it back in common, see
    :func:`second_harmonic_left`, and (2) for the part (d^2/2)/(N U) that the N U unsatisfied examples cannot take back
    because there are too few of them. Memory is faster by up to 1 + (1/(2 pi))/(1/4 - 1/(2 pi)) times the larger of the
    two, as if N were smaller by it.
    """
    share = (0.5 / math.pi) / (0.25 - 0.5 / math.pi)
    unsatisfied = float(theory.memorisation(N, [t]).train_unsatisfied[0])
    few = 0.5 * theory.d**2 / (N * max(unsatisfied, 1.0 / N))
    kept = min(1.0, max(few, second_harmonic_left(theory, t)))
    return math.ceil(N / (1.0 + share * kept))
