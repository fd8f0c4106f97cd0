r"""Functions of a covariance as sums of its resolvents.

.. math:: e^{-\tau S} = \frac1{2\pi i}\int e^{\tau\zeta} (S+\zeta)^{-1} d\zeta, \qquad
   (1-\eta S)^k = \frac1{2\pi i}\oint (1+\eta\zeta)^k (S+\zeta)^{-1} d\zeta,

on contours around the negative real axis. For the exponential it is Talbot's cotangent with the constants of L. N.
Trefethen, J. A. C. Weideman and T. Schmelzer, "Talbot quadratures and rational approximations" (2006): the error falls
like 3.89^-N whatever the spectrum, and the contour scales with 1/tau. A power is an exponential of log(1 + eta zeta),
once around positive and once around negative values of 1 - eta s; few steps take a circle.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Contour", "exponential", "power"]

Complex = npt.NDArray[np.complex128]

#: Nodes of Talbot's contour: 3.89^-24 is 7e-15, and the largest weight e^4 costs as much.
_NODES = 24
#: Steps up to which a power of few steps takes a circle.
_FEW = 24

_THETA = math.pi * np.arange(1, _NODES, 2) / _NODES
#: z(theta) and the weight e^z z'(theta)/(i N) on the upper half.
_Z: Complex = _NODES * (0.5017 * _THETA / np.tan(0.6407 * _THETA) - 0.6122 + 0.2645j * _THETA)
_WEIGHT = (
    np.exp(_Z)
    * (0.5017 / np.tan(0.6407 * _THETA) - 0.5017 * 0.6407 * _THETA / np.sin(0.6407 * _THETA) ** 2 + 0.2645j)
    / 1j
)


class Contour(NamedTuple):
    """Nodes in the upper half plane with weights; the lower half is its mirror image.

    ``2 Re sum weight F(zeta)`` is the function of which ``F`` is the average of ``1/(s + zeta)``.
    """

    zeta: Complex
    weight: Complex


def exponential(tau: float) -> Contour:
    """Return the contour of exp(-tau s)."""
    return Contour(_Z / tau, _WEIGHT / tau)


def power(step: float, k: int) -> Contour:
    """Return the contour of (1 - step s)^k, for spectra below 2/step."""
    if k <= _FEW:
        # Radius e^(4/k): what wraps around is e^-32.
        nodes = 8 * k + 16
        angle = math.pi * np.arange(1, nodes, 2) / nodes
        w = np.exp(4.0 / k + 1j * angle)
        return Contour((w - 1.0) / step, w ** (k + 1) / (nodes * step))
    moved = np.exp(_Z / k)
    weight = _WEIGHT * moved / (k * step)
    # Around negative values the upper half of z lies in the lower half of zeta: mirrored.
    mirrored = np.conj(-weight if k % 2 == 0 else weight)
    return Contour(
        np.concatenate([(moved - 1.0) / step, np.conj((-moved - 1.0) / step)]),
        np.concatenate([weight, mirrored]),
    )
