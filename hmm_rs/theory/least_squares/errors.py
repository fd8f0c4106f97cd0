r"""Test and training error of least squares at one time.

With the deviation :math:`\beta - u = e^{-tS}\beta - S^{-1}(1-e^{-tS})V^T\xi/n`, :math:`\sigma^2` the variance of what
the features do not see, noise included, and K the equivalent of
:math:`\beta^T(S+\zeta_1)^{-1}\Omega(S+\zeta_2)^{-1}\beta`:

.. math:: K = \frac{\kappa_1\kappa_2}{\zeta_1\zeta_2}\,\frac{U_1-U_2}{\zeta_1-\zeta_2},
   \qquad \tfrac1n\mathrm{Tr}\,\Omega\,(S+\zeta)^{-1} \simeq \frac{\kappa}{\zeta} - 1,
   \qquad \beta^T S\,(S+\zeta)^{-1}\beta \simeq G(\kappa).

The equivalent of two resolvents is :math:`\kappa_1\kappa_2\sum_j g_j/((\omega_j+\kappa_1)(\omega_j+\kappa_2))` over
:math:`\zeta_1\zeta_2\,\big(1-\frac1\alpha\sum_j c_j\omega_j^2/((\omega_j+\kappa_1)(\omega_j+\kappa_2))\big)`, and both
sums are divided differences, of G and of :math:`\zeta(\kappa)`.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from .contours import Contour
from .resolvent import Resolvent, Roots

__all__ = ["errors_at"]

Vector = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]


def errors_at(
    resolvent: Resolvent, unseen: float, once: list[Contour], twice: list[Contour]
) -> tuple[Vector, Vector]:
    r"""Return test and training error at several times, (times) each.

    Parameters
    ----------
    resolvent
        The features and the teacher.
    unseen
        :math:`\sigma^2`.
    once, twice
        Contours of :math:`f(s) = e^{-ts}` and of :math:`f(s)^2`, one of each for a time.
    """
    points = resolvent.roots(np.concatenate([contour.zeta for contour in (*once, *twice)]))
    weights = np.concatenate([contour.weight for contour in (*once, *twice)])
    sizes = np.cumsum([0, *(contour.zeta.size for contour in (*once, *twice))])
    cut = [slice(start, stop) for start, stop in pairwise(sizes)]
    test, train = np.empty(len(once)), np.empty(len(once))
    for index in range(len(once)):
        first, second = cut[index], cut[len(once) + index]
        single = _part(points, first), weights[first]
        double = _part(points, second), weights[second]
        bias = _two_resolvents(*single)
        # S^-1 (1 - f)^2 = 2 S^-1 (1 - f) - S^-1 (1 - f^2).
        variance = 2.0 * _saturating(*single) - _saturating(*double)
        # What rounding puts below the smallest possible value is that value.
        test[index] = max(unseen * (1.0 + variance) + bias, unseen)
        train[index] = max(_training(*double, unseen, resolvent.kappa0), 0.0)
    return test, train


def _part(points: Roots, where: slice) -> Roots:
    return Roots(**{name: getattr(points, name)[where] for name in Roots.__dataclass_fields__})


def _total(weight: Complex, values: Complex) -> float:
    return 2.0 * float((weight * values).sum().real)


def _saturating(roots: Roots, weight: Complex) -> float:
    r"""Return :math:`\frac1n\mathrm{Tr}\,\Omega S^{-1}(1-f)`, less what is linear in time and cancels.

    :math:`(\kappa/\zeta-1)/\zeta` without the pole :math:`\kappa_0/\zeta^2` is :math:`(1-D)/(D\zeta)`.
    """
    return _total(weight, (1.0 - roots.D) / (roots.D * roots.zeta))


def _training(roots: Roots, weight: Complex, unseen: float, kappa0: float) -> float:
    r"""Return the training error: the average of f^2 over :math:`G + \sigma^2/\kappa`.

    Either term may lack a constant, which has no time dependence; the smaller form keeps the digits.
    """
    inverse = 1.0 / roots.kappa
    forms = [inverse] if kappa0 == 0.0 else [inverse, -roots.delta / (roots.kappa * kappa0)]
    return _total(weight, _smaller(roots.G, -roots.U)) + unseen * _total(weight, _smaller(*forms))


def _smaller(*forms: Complex) -> Complex:
    return min(forms, key=lambda values: float(np.abs(values).max()))


def _two_resolvents(roots: Roots, weight: Complex) -> float:
    """Return the average of f f over K: over both halves of the contour in both variables."""
    U = _smaller(-roots.G, roots.U)
    pole = roots.kappa / roots.zeta
    zeta = roots.zeta
    with np.errstate(divide="ignore", invalid="ignore"):
        same = (U[:, None] - U) / (zeta[:, None] - zeta)
    np.fill_diagonal(same, roots.U_slope / roots.slope)
    mirrored = (U[:, None] - U.conj()) / (zeta[:, None] - zeta.conj())
    left = weight * pole
    inner = (same * left).sum(axis=1) + (mirrored * left.conj()).sum(axis=1)
    return 2.0 * float((left * inner).sum().real)
