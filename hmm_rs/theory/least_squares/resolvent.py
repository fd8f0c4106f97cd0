r"""The resolvent of a sample covariance, for many features.

With :math:`S = V^T V/n` of n rows of covariance :math:`\Omega`, and :math:`\kappa(\zeta)` the root in the upper half
plane of

.. math:: \zeta = \kappa\,\Big(1 - \tfrac1\alpha\sum_j \frac{c_j\,\omega_j}{\omega_j+\kappa}\Big), \qquad
   \mathrm{Im}\,\zeta > 0,

one has :math:`\zeta\,(S+\zeta)^{-1} \simeq \kappa\,(\Omega+\kappa)^{-1}` inside traces and quadratic forms. As
:math:`\zeta\to0` the root tends to :math:`\kappa_0`, zero if there are examples for every direction. Where
:math:`\zeta` is small everything is a function of the difference :math:`\delta = \kappa-\kappa_0`, so that is the
unknown: :math:`\zeta = \delta\,D(\delta)`,
:math:`D = 1-\frac1\alpha\sum_j c_j\omega_j^2/((\omega_j+\kappa_0)(\omega_j+\kappa))`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...ground.errors import ConvergenceError
from ..replica.spectrum import Spectrum

__all__ = ["Resolvent", "Roots"]

Vector = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]

#: Steps of the iteration for kappa; ten are typical.
_MOST_STEPS = 300
#: Relative size of Newton's step after which the point stands: the next one would be its square.
_SETTLED = 1e-12
#: Logarithm of the smallest variance over the smallest kappa that double precision tells from zero.
_SMALLEST = 40.0
#: Entries (nodes times atoms) worked on at once: 16 MB of complex numbers.
_ENTRIES = 1 << 20


@dataclass(frozen=True)
class Roots:
    r"""What the averages need at each :math:`\zeta`; all of its shape.

    Attributes
    ----------
    zeta, delta, kappa
        The point, :math:`\kappa-\kappa_0` and :math:`\kappa`.
    D
        :math:`\zeta/\delta`.
    slope
        :math:`d\zeta/d\kappa`.
    G
        :math:`\sum_j (t_j/\omega_j)/(\omega_j+\kappa)`.
    U
        :math:`G(\kappa_0)-G(\kappa)`.
    U_slope
        :math:`dU/d\kappa`.
    """

    zeta: Complex
    delta: Complex
    kappa: Complex
    D: Complex
    slope: Complex
    G: Complex
    U: Complex
    U_slope: Complex


class Resolvent:
    r"""The deterministic equivalent of :math:`(S+\zeta)^{-1}` at one alpha."""

    def __init__(self, spectrum: Spectrum, alpha: float) -> None:
        seen = spectrum.omega > 0
        #: Variances of the features, their weights over alpha, and the teacher's variance on each.
        self.omega: Vector = spectrum.omega[seen]
        self.weight: Vector = spectrum.weight[seen] / alpha
        self.part: Vector = spectrum.t[seen] / self.omega
        self.kappa0 = self._floor()

    def _floor(self) -> float:
        """Return the limit of kappa where zeta vanishes."""
        from scipy.optimize import brentq

        if float(self.weight.sum()) <= 1.0:
            return 0.0

        def excess(log_kappa: float) -> float:
            return float((self.weight * self.omega / (self.omega + math.exp(log_kappa))).sum()) - 1.0

        upper = math.log(float((self.weight * self.omega).sum()))
        lower = upper - 1.0
        # Near as many examples as directions the root is as small as the difference, down to rounding.
        least = math.log(float(self.omega.min())) - _SMALLEST
        while excess(lower) <= 0.0:
            lower -= 2.0
            if lower < least:
                return 0.0
        return math.exp(brentq(excess, lower, upper, xtol=1e-14, rtol=1e-15))

    @property
    def edge(self) -> float:
        """Largest eigenvalue of the sample covariance."""
        from scipy.optimize import minimize_scalar

        top = float(self.omega.max())

        def eigenvalue(log_gap: float) -> float:
            """Return -zeta at kappa = -(top + gap), right of the spectrum."""
            kappa = top + top * math.exp(log_gap)
            return kappa * (1.0 + float((self.weight * self.omega / (kappa - self.omega)).sum()))

        spread = math.log1p(float(self.weight.sum()))
        found = minimize_scalar(eigenvalue, bounds=(-30.0, 5.0 + spread), method="bounded")
        return float(found.fun)

    def roots(self, zeta: Complex) -> Roots:
        """Return kappa and the sums over the spectrum at points of the upper half plane."""
        flat = zeta.ravel()
        size = max(1, _ENTRIES // self.omega.size)
        parts = [self._some(flat[start : start + size]) for start in range(0, flat.size, size)]
        names = Roots.__dataclass_fields__
        joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
        return Roots(**{name: values.reshape(zeta.shape) for name, values in joined.items()})

    def _some(self, zeta: Complex) -> Roots:
        omega, weight, kappa0 = self.omega, self.weight, self.kappa0
        # Shares of each atom at zeta = 0, and the products that every step needs.
        first = weight * (omega / (omega + kappa0))
        delta = zeta + (weight * omega).sum() - kappa0
        size = np.full(zeta.shape, np.inf)
        for _ in range(_MOST_STEPS):
            lost, squared = self._shares(delta, first)
            miss = delta * (1.0 - lost) - zeta
            step = miss / (1.0 - squared)
            settled = np.abs(step) <= _SETTLED * np.abs(delta)
            if settled.all():
                return self._sums(zeta, delta, first)
            newton = delta - step
            # The map of the equation itself stays in the upper half plane, where it has one fixed point and leads
            # there; Newton's step is taken where it stays there too and the last one has helped.
            better = np.abs(miss) < size
            size = np.where(better, np.abs(miss), size)
            safe = better & (newton.imag > 0.0) & np.isfinite(newton)
            delta = np.where(settled, delta, np.where(safe, newton, zeta + delta * lost))
        raise ConvergenceError(
            f"least squares in time: the resolvent of the sample covariance was not found in {_MOST_STEPS} steps; move "
            "alpha away from the number of directions, or t away from the largest"
        )

    def _shares(self, delta: Complex, first: Vector) -> tuple[Complex, Complex]:
        r"""Return the sums of :math:`\omega/(\omega+\kappa)` over `first` and of its square over the weights.

        In real arithmetic: a complex division takes several times as long.
        """
        height = delta.imag[:, None]
        real = self.omega + (self.kappa0 + delta.real)[:, None]
        scale = self.omega / (real * real + height * height)
        real *= scale
        imaginary = height * scale
        lost = np.einsum("nj,j->n", real, first) - 1j * np.einsum("nj,j->n", imaginary, first)
        product = np.einsum("nj,nj,j->n", real, imaginary, self.weight)
        real *= real
        imaginary *= imaginary
        real -= imaginary
        return lost, np.einsum("nj,j->n", real, self.weight) - 2j * product

    def _sums(self, zeta: Complex, delta: Complex, first: Vector) -> Roots:
        kappa = self.kappa0 + delta
        inverse = 1.0 / (self.omega + kappa[:, None])
        share = self.omega * inverse
        held = self.part / (self.omega + self.kappa0)
        return Roots(
            zeta=zeta,
            delta=delta,
            kappa=kappa,
            D=1.0 - (first * share).sum(axis=1),
            slope=1.0 - (self.weight * share**2).sum(axis=1),
            G=(self.part * inverse).sum(axis=1),
            U=delta * (held * inverse).sum(axis=1),
            U_slope=(self.part * inverse**2).sum(axis=1),
        )
