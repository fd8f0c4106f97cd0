"""The problem of these figures: a covariance with a power-law spectrum and a teacher spread over it."""

from __future__ import annotations

import numpy as np

from ...theory.replica import Spectrum

__all__ = ["WORK", "power_law"]

#: What the cards say these figures come from.
WORK = "beyond the papers"

#: How eigenvalues fall, and the teacher's variance over them.
_EIGENVALUES, _TEACHER = 0.6, 0.3


def power_law(p: int, *, seen: float) -> Spectrum:
    r"""Return the spectrum of p features.

    :math:`\omega_j\propto j^{-0.6}` with mean 1, :math:`t_j/\omega_j\propto j^{-0.3}`, and a field of variance 1 of
    which the share `seen` is linear in the features: the rest is noise to every student.
    """
    rank = np.arange(1, p + 1, dtype=np.float64)
    omega = rank**-_EIGENVALUES
    omega *= p / omega.sum()
    part = rank**-_TEACHER
    part *= seen / part.sum()
    return Spectrum(omega, np.full(p, 1.0 / p), part * omega, 1.0)
