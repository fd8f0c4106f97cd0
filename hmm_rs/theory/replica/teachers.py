r"""How teachers make targets of their field, and what one target tells about the field.

With a Gaussian guess :math:`N(\omega, V)` of the noisy field, :math:`Z(y,\omega)` is the probability of the target
y, and the Fisher information of a target about :math:`\omega\sim N(0, q)` is

.. math:: F(V, q) = \mathbb E_\omega \sum_y \frac{(\partial_\omega Z)^2}{Z} .

Every average is a trapezoid rule on an analytic integrand that decays on both sides: it converges exponentially in the
step, and the steps below leave rounding.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

__all__ = ["TEACHERS", "angle", "logit_error", "logit_information", "sign_information"]

#: Teachers by name.
TEACHERS = ("sign", "linear", "logit")

Vector = npt.NDArray[np.float64]

#: Step and reach of a trapezoid rule over a standard normal variable: the reach leaves e^-50, the step less.
_STEP, _REACH = 0.125, 10.0
#: Standard normal variable and weights.
_NORMAL = np.arange(-_REACH, _REACH + _STEP / 2, _STEP)
_NORMAL_WEIGHTS = _STEP * np.exp(-(_NORMAL**2) / 2) / math.sqrt(2 * math.pi)
#: The same over a logistic variable, whose density has poles at +-i pi: steps of 1/2 leave e^-39.
_LOGISTIC = np.arange(-40.0, 40.25, 0.5)
_LOGISTIC_WEIGHTS = 0.5 / (4 * np.cosh(_LOGISTIC / 2) ** 2)
#: Variance from which on the average over a normal variable becomes one over a logistic one.
_WIDE = 4.0


def angle(unseen: float, q: float) -> float:
    r"""Return :math:`\arccos\sqrt{q/(q + \mathrm{unseen})}/\pi`, with all digits where little is unseen."""
    return math.atan2(math.sqrt(unseen), math.sqrt(q)) / math.pi


def sign_information(V: float, q: float, flip: float) -> float:
    r"""Return F(V, q) for labels sign(field), flipped with probability `flip`.

    :math:`N(\omega;0,q)\,\partial_\omega\Phi(\omega/\sqrt V)` is a Gaussian in :math:`\omega`; in its own unit u,

    .. math:: F = \frac{(1-2\,\mathrm{flip})^2}{\pi\sqrt{V(V+q)}} \int du\, e^{-u^2/2}\,
       \frac{\varphi(x)}{\mathrm{flip} + (1-2\,\mathrm{flip})\,\Phi(x)}, \qquad x = u\sqrt{q/(V+q)} .
    """
    from scipy.special import log_ndtr, ndtr

    keep, total = 1.0 - 2.0 * flip, V + q
    x = _NORMAL * math.sqrt(q / total)
    log_density = -(x**2) / 2 - math.log(2 * math.pi) / 2
    density = np.exp(log_density)
    # Without flips numerator and denominator underflow together.
    ratio = density / (flip + keep * ndtr(x)) if flip else np.exp(log_density - log_ndtr(x))
    integral = math.sqrt(2 * math.pi) * float((_NORMAL_WEIGHTS * ratio).sum())
    return keep**2 / (math.pi * math.sqrt(V) * math.sqrt(total)) * integral


def logit_information(V: float, q: float, flip: float) -> float:
    """Return F(V, q) for labels +1 with probability 1/(1 + exp(-field)), flipped with probability `flip`."""
    root = math.sqrt(q)
    # Gaussian in omega/sqrt q, and exponential tails of the slope beyond a few sqrt V.
    step, reach = 0.5, _REACH
    if root > 0.0:
        step = min(step, 0.5 * max(1.0, math.sqrt(V) / 2) / root)
        reach = min(reach, (40.0 + 10.0 * math.sqrt(V)) / root)
    steps = math.ceil(reach / step)
    x = np.arange(-steps, steps + 1, dtype=np.float64) * step
    value, slope = _logit(root * x, V)
    keep = 1.0 - 2.0 * flip
    probability = flip + keep * value
    # Where the probability underflows its slope does too, and their ratio with it.
    ratio = np.divide(slope**2, probability, out=np.zeros_like(slope), where=probability > 0.0)
    density = step * np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    return 2.0 * keep**2 * float((density * ratio).sum())


def logit_error(V: float, q: float, flip: float) -> float:
    r"""Return :math:`2\int_0^\infty d\omega\,N(\omega;0,q)\,Z(-1,\omega)`: how often y is not sign(omega)."""
    root = math.sqrt(q)
    nodes, weights = np.polynomial.legendre.leggauss(16)
    # Panels as long as the smaller of the two widths, up to the reach of the Gaussian.
    length = 1.0 if root == 0.0 else min(1.0, max(1.0, math.sqrt(V)) / root)
    edges = np.arange(0.0, min(_REACH, 60.0 * length), length)
    x = (edges[:, None] + length * (nodes + 1) / 2).ravel()
    density = np.tile(weights * length / 2, edges.size) * np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    wrong = 2.0 * float((density * _logit(-root * x, V)[0]).sum())
    return flip + (1.0 - 2.0 * flip) * wrong


def _logit(omega: Vector, V: float) -> tuple[Vector, Vector]:
    r"""Return :math:`\mathbb E\,\sigma(\omega + \sqrt V u)` and its slope, u a standard normal variable.

    Where V is large, the same is :math:`\mathbb E\,\Phi((\omega + l)/\sqrt V)` over a logistic variable l.
    """
    from scipy.special import expit, ndtr

    root = math.sqrt(V)
    if V < _WIDE:
        field = omega[:, None] + root * _NORMAL
        up = expit(field)
        return (_NORMAL_WEIGHTS * up).sum(axis=1), (_NORMAL_WEIGHTS * up * expit(-field)).sum(axis=1)
    field = (omega[:, None] + _LOGISTIC) / root
    density = np.exp(-(field**2) / 2) / (math.sqrt(2 * math.pi) * root)
    return (_LOGISTIC_WEIGHTS * ndtr(field)).sum(axis=1), (_LOGISTIC_WEIGHTS * density).sum(axis=1)
