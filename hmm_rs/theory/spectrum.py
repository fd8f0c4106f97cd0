"""The Marchenko-Pastur law as a quadrature."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .. import _lib
from ..ground.arguments import count, number

__all__ = ["marchenko_pastur"]


def marchenko_pastur(delta: float, n: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    r"""Return nodes and weights for averages over the spectrum of FᵀF/N, F i.i.d. Gaussian.

    .. math:: p(\rho) = \frac{\sqrt{(\rho_+ - \rho)(\rho - \rho_-)}}{2\pi\delta\rho}, \qquad
              \rho_\pm = (1 \pm \sqrt\delta)^2

    with an atom 1 - 1/δ at ρ = 0 for δ > 1.

    Parameters
    ----------
    delta
        Ratio D/N of the (N, D) matrix F.
    n
        Nodes in the bulk. 20 to 40 suffice for smooth integrands (spectral accuracy); those with
        a cusp at ρ = 0 near δ = 1 converge slowly.

    Returns
    -------
    rho, weights
        Shape (n + 1,) each, descending in ρ; the last node is ρ = 0. The weights sum to 1.

    Notes
    -----
    Trapezoidal rule in the angle of ρ = 1 + δ + 2√δ cos φ; the last node carries the atom and the
    correction for the pole at ρ = 0. Marchenko and Pastur (1967); HMM paper, section IV.

    Examples
    --------
    >>> from hmm_rs.theory import marchenko_pastur
    >>> rho, weights = marchenko_pastur(0.5, 40)
    >>> round(float(weights @ rho), 12), round(float(weights @ rho**2), 12)
    (1.0, 1.5)
    """
    law = _lib.marchenko_pastur(number("delta", delta, minimum=0.0, exclusive=True), count("n", n))
    return law["rho"], law["weights"]
