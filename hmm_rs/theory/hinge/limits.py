"""Universal curves: the lazy and the rich limit of the rotation."""

from __future__ import annotations

import numpy.typing as npt

from ... import _lib
from ...ground.overflow import finite
from .arrays import Floats, flat

__all__ = ["lazy_master", "rich_front"]


def lazy_master(s: npt.ArrayLike) -> Floats:
    r"""Return the universal lazy curve G(s): dG/ds = 1 - exp(-1/G²), G(0) = 0.

    For α → ∞ on separable Gaussian data, 2 C1 γ/√A = G(2 C1 R t/√A) with A = 2 (h/(α κ σ_x))² and
    R = c κ σ_x/√(2π); the error is O(γ²). G ~ s early and (3 s)^(1/3) late.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> hr.theory.lazy_master([0.5, 10.0]).round(9)
    array([0.49914011, 2.90900946])
    """
    values, shape = flat("s", s)
    return finite("s", _lib.hinge_lazy_master(values).reshape(shape), "pass numbers of a smaller size")


def rich_front(tau: npt.ArrayLike) -> Floats:
    r"""Return the universal rich front D(τ): dD/dτ = 1 - exp(-exp(-4D)), D → τ as τ → -∞.

    For α → 0 on separable Gaussian data γ = γ_f + D(R t - γ_f) with γ_f = (1/2) log(2 √A / C1).

    Examples
    --------
    >>> import hmm_rs as hr
    >>> float(hr.theory.rich_front(0.0).round(12))
    -0.047791173719
    """
    values, shape = flat("tau", tau)
    return finite("tau", _lib.hinge_rich_front(values).reshape(shape), "pass numbers of a smaller size")
