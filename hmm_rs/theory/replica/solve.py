"""One point of the theory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ... import _lib
from ...ground.overflow import within_range
from ...ground.record import Record
from ...provenance.recording import recorded
from .clusters import PER_CLUSTER, mixture_curve
from .mixture import Mixture
from .settings import QUESTION, Loss, OnFailure, checked, checked_problem, point, ratio, required, undefined
from .spectrum import Spectrum

__all__ = ["numbers", "solve"]


@recorded("replica.solve")
def solve(
    spectrum: Spectrum | Mixture,
    *,
    loss: Loss,
    alpha: float,
    lam: float,
    flip: float = 0.0,
    noise: float = 0.0,
    tol: float = 1e-10,
    max_iterations: int = 20_000,
    on_failure: OnFailure = "raise",
) -> Record:
    r"""Solve the theory at one alpha.

    Parameters
    ----------
    spectrum
        The problem; a :class:`Mixture` where features come in clusters.
    loss
        "ridge", "square", "logistic" or "hinge".
    alpha
        Examples over student dimension, n/p > 0.
    lam
        L2 penalty > 0; for the limit 0 see :func:`ridgeless` and :func:`max_margin`.
    flip
        Probability that a label is flipped, in [0, 1/2].
    noise
        Standard deviation of the noise on the teacher field.
    tol
        Largest change of the fixed point (relative in V and q) at the end.
    max_iterations
        Evaluations of the fixed-point map before giving up.
    on_failure
        "raise" a :class:`ConvergenceError`, or "flag" it in ``converged``.

    Returns
    -------
    Record
        A dictionary whose entries are attributes, with ``to_dataset()`` (one point of a curve):
        ``V, q, m, V_hat, q_hat, m_hat, norm2`` (order parameters); ``train_loss`` (mean, without penalty),
        ``objective`` (minimised sum over p); for classification ``train_error, test_error`` (against labels
        made like the training ones), ``test_error_clean`` (no noise, no flips); for the square losses
        ``test_mse, train_mse`` (no factor 1/2); ``converged, iterations, residual``. For a mixture those are of all
        clusters together, and ``V_cluster, q_cluster, ..., test_error_cluster``, arrays (C,), those of each;
        ``mean_cluster`` is the student's mean field there, :math:`w\cdot\mu_c/\sqrt p`.

    Examples
    --------
    >>> spectrum = Spectrum([2.0, 1.0, 0.25], [0.25, 0.5, 0.25], [0.6, 0.3, 0.05], 1.3)
    >>> round(solve(spectrum, loss="ridge", alpha=1.5, lam=0.1)["test_mse"], 6)
    0.994659
    """
    problem = checked_problem(spectrum)
    settings = checked(
        problem, name=loss, lam=lam, flip=flip, noise=noise, tol=tol, max_iterations=max_iterations
    )
    at = ratio(alpha)
    if isinstance(problem, Mixture):
        with within_range(QUESTION):
            solved: Mapping[str, Any] = mixture_curve(problem, np.array([at]), settings)
    else:
        solved = _lib.replica_curve(problem, np.array([at]), settings, 1)
    result = point(
        numbers(solved, settings["loss"]),
        at,
        settings,
        problem,
        dims=dict.fromkeys(PER_CLUSTER, ("cluster",)),
    )
    required(
        result["converged"],
        result,
        on_failure,
        f"solve did not converge at alpha = {at:g}, lam = {settings['lam']:g}: "
        f"residual {result['residual']:.2g} after {result['iterations']} iterations",
    )
    return result


def numbers(solved: Mapping[str, Any], loss: str) -> dict[str, Any]:
    """Return the only point of `solved` as plain numbers, those that the loss defines."""
    skipped = undefined(loss)
    kept = {name: values[0] for name, values in solved.items() if name not in skipped}
    result = {name: value if value.ndim else value.item() for name, value in kept.items()}
    result["iterations"] = int(result["iterations"])
    return result
