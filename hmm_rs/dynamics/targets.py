r"""What a target says about the field it was made of, example by example.

:math:`Z(y,\omega,V)` is the probability of the target where the field is Gaussian of mean :math:`\omega` and variance
V; noise on the field adds to V.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["TEACHERS", "Channel"]

Vector = npt.NDArray[np.float64]

#: Teachers by name.
TEACHERS = ("sign", "linear", "logit")

#: Numbers held at once by the average of the logit channel: 32 MB.
_ENTRIES = 1 << 22
#: Reach, in standard deviations, and largest step of that average.
_REACH, _STEP = 8.5, 0.25


@dataclass(frozen=True)
class Channel:
    """How targets are made of the field: by which teacher, with which flips and variance of the noise."""

    teacher: str
    flip: float
    noise: float

    def settings(self) -> dict[str, Any]:
        """Return what was asked for."""
        return {"teacher": self.teacher, "flip": self.flip, "noise": math.sqrt(self.noise)}

    def score(self, y: Vector, omega: Vector, V: float) -> tuple[Vector, Vector]:
        """Return the slope of log Z in omega and minus its second derivative, (n,) each."""
        V = max(V + self.noise, np.finfo(float).tiny)
        if self.teacher == "linear":
            return (y - omega) / V, np.full(y.shape, 1.0 / V)
        keep = 1.0 - 2.0 * self.flip
        if self.teacher == "sign":
            x = y * omega / math.sqrt(V)
            ratio = _mills(x, self.flip)
            return y * ratio / math.sqrt(V), ratio * (x + ratio) / V
        value, slope, bend = _logit(y * omega, V)
        Z = self.flip + keep * value
        first = keep * slope / Z
        return y * first, first**2 - keep * bend / Z

    def error(self, m: float, q: float, rho: float) -> dict[str, float]:
        """Return the test error, by name, of an estimate with overlaps q and, with a teacher of variance rho, m."""
        rho += self.noise
        if self.teacher == "linear":
            return {"test_mse": rho + q - 2.0 * m}
        keep = 1.0 - 2.0 * self.flip
        if self.teacher == "sign":
            # The arc tangent keeps the digits of small angles.
            wrong = math.atan2(math.sqrt(max(rho * q - m * m, 0.0)), m) / math.pi if q > 0.0 else 0.5
        else:
            wrong = _logit_error(m, q, rho)
        return {"test_error": self.flip + keep * wrong}


def _mills(x: Vector, flip: float) -> Vector:
    """Return the slope over the value of flip + (1 - 2 flip) Phi(x)."""
    from scipy.special import erfcx, ndtr

    if flip == 0.0:
        # Where both underflow their ratio is -x.
        return np.asarray(math.sqrt(2.0 / math.pi) / erfcx(-x / math.sqrt(2.0)))
    keep = 1.0 - 2.0 * flip
    density = np.exp(-(x * x) / 2.0) / math.sqrt(2.0 * math.pi)
    return np.asarray(keep * density / (flip + keep * ndtr(x)))


def _logit(x: Vector, V: float) -> tuple[Vector, Vector, Vector]:
    """Return the average of a sigmoid over a normal variable of mean x and variance V, its slope and its bend."""
    from scipy.special import expit

    root = math.sqrt(V)
    step = min(_STEP, 0.5 / root)
    u = np.arange(-_REACH, _REACH + step / 2.0, step)
    weights = np.exp(-(u * u) / 2.0)
    weights /= weights.sum()
    out = np.empty((3, x.size))
    size = max(1, _ENTRIES // u.size)
    for start in range(0, x.size, size):
        field = x[start : start + size, None] + root * u
        up = expit(field)
        slope = up * expit(-field)
        out[0, start : start + size] = (weights * up).sum(axis=1)
        out[1, start : start + size] = (weights * slope).sum(axis=1)
        out[2, start : start + size] = (weights * slope * (1.0 - 2.0 * up)).sum(axis=1)
    return out[0], out[1], out[2]


def _logit_error(m: float, q: float, rho: float) -> float:
    r"""Return how often a label differs from the sign of an estimated field.

    By symmetry :math:`2\int_0^\infty N(\omega; 0, q)\,\mathbb E\,\sigma(-\nu)`, :math:`\nu` given :math:`\omega`.
    """
    if q <= 0.0:
        return 0.5
    spread = max(rho - m * m / q, 0.0)
    # The sigmoid has width one in the field, m/sqrt q times the variable x.
    length = min(1.0, math.sqrt(q) / max(abs(m), math.sqrt(q) * 0.1))
    nodes, weights = np.polynomial.legendre.leggauss(16)
    edges = np.arange(0.0, 9.0, length)
    x = (edges[:, None] + length * (nodes + 1.0) / 2.0).ravel()
    density = np.exp(-(x * x) / 2.0) * np.tile(weights, edges.size) * length / math.sqrt(2.0 * math.pi)
    return float((density * _logit(-m / math.sqrt(q) * x, max(spread, 1e-30))[0]).sum())
