"""The limits of a vanishing penalty, and how many examples can be separated at all."""

from __future__ import annotations

from ... import _lib
from ...ground.arguments import number
from ...ground.noise import deviation
from ...ground.record import Record
from ...provenance.recording import recorded
from .settings import OnFailure, checked, point, ratio, required
from .spectrum import Spectrum, checked_spectrum

__all__ = ["max_margin", "ridgeless", "separability_threshold"]


@recorded("replica.ridgeless")
def ridgeless(spectrum: Spectrum, *, alpha: float, noise: float = 0.0) -> Record:
    r"""Least squares of minimal norm, the limit :math:`\lambda\to0^+` of ridge regression.

    With f the rank over p: for :math:`\alpha > f` the error is
    :math:`(\rho-\rho_{lin})\,\alpha/(\alpha-f)`; for :math:`\alpha < f` the training error vanishes. At f the
    test error diverges (the double-descent peak), and the function refuses.

    Returns
    -------
    Record
        ``test_mse, train_mse`` (no factor 1/2).

    Examples
    --------
    >>> spectrum = Spectrum([2.0, 1.0, 0.25], [0.25, 0.5, 0.25], [0.6, 0.3, 0.05], 1.3)
    >>> round(ridgeless(spectrum, alpha=1.2)["test_mse"], 10)
    3.0
    """
    problem = checked_spectrum(spectrum)
    at, spread = ratio(alpha), deviation(noise, depth=4)
    values = _lib.replica_ridgeless(problem, at, spread)
    return point(values, at, {"loss": "ridge", "lam": 0.0, "noise": spread}, problem)


@recorded("replica.max_margin")
def max_margin(
    spectrum: Spectrum,
    *,
    alpha: float,
    flip: float = 0.0,
    noise: float = 0.0,
    tol: float = 1e-10,
    max_iterations: int = 20_000,
    on_failure: OnFailure = "raise",
) -> Record:
    r"""Hard-margin classifier: hinge and (in direction) logistic loss for :math:`\lambda\to0^+`.

    Only below :func:`separability_threshold`; convergence slows down critically near it.

    Returns
    -------
    Record
        ``margin`` (geometric, :math:`\min_\mu y_\mu w\cdot v_\mu/|w|`), ``test_error, test_error_clean``,
        ``V`` (:math:`\lim \lambda V`), ``q, m, norm2`` of the vector with functional margin 1, ``threshold,
        converged, iterations, residual``.

    Examples
    --------
    >>> spectrum = Spectrum([2.0, 1.0, 0.25], [0.25, 0.5, 0.25], [0.6, 0.3, 0.05], 1.3)
    >>> round(max_margin(spectrum, alpha=0.8)["margin"], 6)
    0.729176
    """
    problem = checked_spectrum(spectrum)
    settings = checked(
        problem, name="hinge", lam=1.0, flip=flip, noise=noise, tol=tol, max_iterations=max_iterations
    )
    at = ratio(alpha)
    values = _lib.replica_max_margin(problem, at, settings)
    result = point(values, at, {**settings, "lam": 0.0}, problem)
    required(
        result["converged"],
        result,
        on_failure,
        f"max_margin did not converge at alpha = {at:g} (separability threshold "
        f"{result['threshold']:.6g}): residual {result['residual']:.2g} after "
        f"{result['iterations']} iterations",
    )
    return result


def separability_threshold(spectrum: Spectrum, *, flip: float = 0.0, noise: float = 0.0) -> float:
    r"""Return :math:`\alpha_c`: examples are linearly separable up to :math:`n = \alpha_c p`.

    2 for random labels, infinite for a noiseless linear teacher. Depends on
    :math:`\rho_{lin}/\rho`, the flips and the rank only.

    Examples
    --------
    >>> round(separability_threshold(Spectrum([1.0], [1.0], [0.5], 1.0)), 6)
    2.695348
    """
    return _lib.replica_threshold(checked_spectrum(spectrum), number("flip", flip), deviation(noise))
