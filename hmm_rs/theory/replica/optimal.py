"""The penalty that minimises the predicted test error."""

from __future__ import annotations

from ... import _lib
from ...ground.arguments import number
from ...ground.record import Record
from ...provenance.recording import recorded
from .settings import Loss, OnFailure, checked, point, ratio, required
from .solve import numbers
from .spectrum import Spectrum, checked_spectrum

__all__ = ["optimal_ridge"]


@recorded("replica.optimal_ridge")
def optimal_ridge(
    spectrum: Spectrum,
    *,
    loss: Loss,
    alpha: float,
    flip: float = 0.0,
    noise: float = 0.0,
    lam_min: float = 1e-4,
    lam_max: float = 1e2,
    tol: float = 1e-11,
    max_iterations: int = 20_000,
    on_failure: OnFailure = "raise",
) -> Record:
    r"""Find the penalty that minimises the predicted test error: cross-validation without data.

    A logarithmic grid between `lam_min` and `lam_max`, widened (by three decades, at most twice) while the
    minimum sits at its edge, then a golden section.

    Returns
    -------
    Record
        ``lam``; ``at_edge``: the minimum lies beyond the widened grid, and `lam` is a bound; and everything
        :func:`solve` returns there (``test_mse`` is minimised for "ridge", ``test_error`` otherwise).

    Examples
    --------
    >>> spectrum = Spectrum([2.0, 1.0, 0.25], [0.25, 0.5, 0.25], [0.6, 0.3, 0.05], 1.3)
    >>> round(optimal_ridge(spectrum, loss="ridge", alpha=1.5)["lam"], 3)
    0.601
    """
    problem = checked_spectrum(spectrum)
    lower = number("lam_min", lam_min, minimum=0.0, exclusive=True)
    upper = number("lam_max", lam_max, minimum=lower, exclusive=True)
    settings = checked(
        problem, name=loss, lam=lower, flip=flip, noise=noise, tol=tol, max_iterations=max_iterations
    )
    at = ratio(alpha)
    found = dict(_lib.replica_optimal_ridge(problem, at, settings, lower, upper))
    lam, at_edge = found.pop("lam"), found.pop("at_edge")
    values = {"lam": lam, "at_edge": at_edge, **numbers(found, settings["loss"])}
    result = point(values, at, {**settings, "lam": lam}, problem)
    required(
        result["converged"],
        result,
        on_failure,
        f"optimal_ridge did not converge at its minimum lam = {lam:g}",
    )
    return result
