"""Gaussian inputs with labels that are constant along most directions: stripe, cylinder, sphere.

Source: Paccolat, Petrini, Geiger, Tyloo & Wyart, J. Stat. Mech. 2021, 044001 (arXiv 2007.11471).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _lib
from ..ground import arguments
from ..ground.errors import InvalidParameterError
from .labelled import LARGEST, STREAMS, LabelledData, spawned

__all__ = ["Cylinder", "LabelledGaussian", "SingleInterface", "Sphere", "Stripe"]

Array = npt.NDArray[np.float64]


class LabelledGaussian(LabelledData):
    """Inputs x ~ N(0, 1) in `d` dimensions; the label depends on the first `informative` of them."""

    @abstractmethod
    def labels(self, X: npt.ArrayLike) -> Array:
        """Return the label of each row of `X`, shape (P,), before any stretch."""

    def _stream(self, seed: Any, stream: str) -> tuple[npt.NDArray[np.uint32], bool]:
        return arguments.seed_words(spawned(seed, STREAMS.index(stream))), False

    def _rows(self, X: npt.ArrayLike) -> Array:
        return arguments.array("X", X, (None, self.d), rule=f"(points, d = {self.d})")


class Stripe(LabelledGaussian):
    """Two parallel interfaces: one label where xmin < x_1 < xmax, the other outside.

    Parameters
    ----------
    d
        Input dimension.
    xmin, xmax
        The interfaces; by default both labels are equally likely to six digits.
    inside_label
        +1 or -1. The published code uses both signs in different places; the statistics are the same.
    stretch
        Factor on the d - 1 other coordinates, applied after labelling.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> round(hr.Stripe(5).probability_inside, 6)
    0.5
    """

    xmin: float
    xmax: float
    inside_label: int
    stretch: float

    def __init__(
        self,
        d: int,
        xmin: float = -0.3,
        xmax: float = 1.18549,
        inside_label: int = 1,
        stretch: float = 1.0,
    ) -> None:
        low = arguments.number("xmin", xmin)
        high = arguments.number("xmax", xmax)
        if low >= high:
            raise InvalidParameterError(f"xmin = {low}: must be below xmax = {high}; pass xmin < xmax")
        if isinstance(inside_label, bool) or arguments.number("inside_label", inside_label) not in (
            1.0,
            -1.0,
        ):
            raise InvalidParameterError(
                f"inside_label = {arguments.shown(inside_label)}: must be +1 or -1; pass one of them"
            )
        self._describe(
            d=arguments.count("d", d),
            xmin=low,
            xmax=high,
            inside_label=int(inside_label),
            stretch=arguments.number("stretch", stretch, minimum=0.0, maximum=LARGEST),
        )

    def _law(self) -> _lib.LabelledLaw:
        return _lib.LabelledLaw.stripe(
            self.d, low=self.xmin, high=self.xmax, inside=float(self.inside_label), stretch=self.stretch
        )

    @property
    def probability_inside(self) -> float:
        """P(xmin < x_1 < xmax)."""
        root = math.sqrt(2.0)
        return 0.5 * (math.erf(self.xmax / root) - math.erf(self.xmin / root))

    def labels(self, X: npt.ArrayLike) -> Array:
        """Return `inside_label` where xmin < x_1 < xmax and its opposite elsewhere."""
        x = self._rows(X)[:, 0]
        return np.where((x > self.xmin) & (x < self.xmax), self.inside_label, -self.inside_label).astype(
            float
        )


class SingleInterface(LabelledGaussian):
    """One interface: y = sign(x_1 - x0).

    Examples
    --------
    >>> import hmm_rs as hr
    >>> hr.SingleInterface(2).labels([[0.5, -3.0], [-0.1, 2.0]])
    array([ 1., -1.])
    """

    x0: float

    def __init__(self, d: int, x0: float = 0.0) -> None:
        self._describe(d=arguments.count("d", d), x0=arguments.number("x0", x0))

    def _law(self) -> _lib.LabelledLaw:
        return _lib.LabelledLaw.interface(self.d, x0=self.x0)

    def labels(self, X: npt.ArrayLike) -> Array:
        """Return +1 where x_1 > x0, -1 elsewhere."""
        return np.where(self._rows(X)[:, 0] > self.x0, 1.0, -1.0)


class _Radial(LabelledGaussian):
    """Label +1 outside a sphere in the informative directions."""

    stretch: float = 1.0

    def _law(self) -> _lib.LabelledLaw:
        return _lib.LabelledLaw.radial(
            self.d, informative=self.informative, threshold=self.threshold, stretch=self.stretch
        )

    @property
    @abstractmethod
    def threshold(self) -> float:
        """Squared radius of the interface."""

    @property
    def probability_outside(self) -> float:
        """P(y = +1), from the chi-squared law of the squared radius."""
        from scipy.special import gammaincc

        return float(gammaincc(0.5 * self.informative, 0.5 * self.threshold))

    def labels(self, X: npt.ArrayLike) -> Array:
        """Return +1 where the squared informative radius exceeds the threshold, -1 elsewhere."""
        square = (self._rows(X)[:, : self.informative] ** 2).sum(axis=1)
        return np.where(square > self.threshold, 1.0, -1.0)


class Cylinder(_Radial):
    """A spherical interface in `d_par` directions, constant along the others.

    Parameters
    ----------
    d
        Input dimension.
    d_par
        Informative directions, at least 2. The threshold on the squared radius is its median: exactly 2 ln 2
        for two of them, approximately d_par - 2/3 beyond.
    stretch
        Factor on the d - d_par other coordinates, applied after labelling.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> round(hr.Cylinder(5).threshold, 6)
    1.386294
    """

    d_par: int

    def __init__(self, d: int, d_par: int = 2, stretch: float = 1.0) -> None:
        d, d_par = arguments.count("d", d), arguments.count("d_par", d_par, minimum=2)
        if d_par > d:
            raise InvalidParameterError(
                f"d_par = {d_par}: must be at most d = {d}; pass a smaller d_par or a larger d"
            )
        self._describe(
            d=d, d_par=d_par, stretch=arguments.number("stretch", stretch, minimum=0.0, maximum=LARGEST)
        )

    @property
    def informative(self) -> int:
        """Number of directions the label depends on, d_par."""
        return self.d_par

    @property
    def threshold(self) -> float:
        """Squared radius of the interface."""
        return 2.0 * math.log(2.0) if self.d_par == 2 else self.d_par - 2.0 / 3.0


class Sphere(_Radial):
    """A spherical interface in all directions: nothing to compress.

    The threshold on the squared radius is the Wilson-Hilferty median d (1 - 2/(9 d))^3.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> round(hr.Sphere(5).threshold, 6)
    4.362524
    """

    def __init__(self, d: int) -> None:
        self._describe(d=arguments.count("d", d))

    @property
    def informative(self) -> int:
        """Number of directions the label depends on: all."""
        return self.d

    @property
    def threshold(self) -> float:
        """Squared radius of the interface."""
        return self.d * (1.0 - 2.0 / (9.0 * self.d)) ** 3
