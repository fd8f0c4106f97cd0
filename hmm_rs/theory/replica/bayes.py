r"""The smallest error that any estimator can have: the Bayes-optimal one.

In the eigenbasis of the feature covariance the whitened features are independent, and the teacher field is
:math:`\nu = \sum_j a_j z_j + \sqrt{\rho-\rho_{lin}}\,\xi`. The teacher is one of many: its :math:`a_j` are Gaussian
with the variances :math:`t_j/\omega_j` that the spectrum has. Whoever knows these, and how targets are made, can do
no better than the mean of the posterior. With :math:`s_j = t_j/(\omega_j c_j)`, :math:`c_j` the weights, its overlap
with the teacher solves

.. math:: q = \sum_j c_j\frac{s_j^2\hat q}{1 + s_j\hat q}, \qquad \hat q = \alpha\, F(V, q),
   \qquad V = \rho + \mathrm{noise}^2 - q,

with the Fisher information F of :mod:`~hmm_rs.theory.replica.teachers`.

Sources: J. Barbier, F. Krzakala, N. Macris, L. Miolane, L. Zdeborová, "Optimal errors and phase transitions in
high-dimensional generalized linear models" (2019) for the fixed point; the anisotropic prior is its version with one
variance for each eigenvalue.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ...ground.arguments import array, choice, count, number
from ...ground.errors import InvalidParameterError
from ...ground.record import Record
from ...ground.results import dataset
from ...provenance.recording import recorded
from .settings import point, warn_of_labels
from .spectrum import Spectrum, checked_spectrum
from .teachers import TEACHERS, angle, logit_error, logit_information, sign_information

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Teacher", "bayes_optimal", "state_evolution"]

Vector = npt.NDArray[np.float64]
Teacher = Literal["sign", "linear", "ridge", "logit"]

#: Works the numbers rest on.
_CITE = ("gaussian-covariate-model", "gaussian-equivalence")
#: The linear teacher goes by the name of its loss too.
_ALIASES = {"ridge": "linear"}
#: Largest logarithm of q_hat: beyond it everything linear in the features is known.
_KNOWN = 600.0


@dataclass(frozen=True)
class _Problem:
    """What is learnt, in units in which the teacher field has variance 1.

    Attributes
    ----------
    part, weight
        Variance of the field on each atom, and the atoms' weights; those without teacher are left out.
    hidden
        Variance of what no linear function of the features sees.
    noise
        Variance of the noise.
    """

    teacher: str
    flip: float
    part: Vector
    weight: Vector
    hidden: float
    noise: float
    rho: float

    def overlap(self, q_hat: float) -> tuple[float, float]:
        """Return q and the posterior variance of the linear part, which has no cancellation."""
        if q_hat == math.inf:
            return float(self.part.sum()), 0.0
        rest = self.weight + self.part * q_hat
        return float((self.part**2 * q_hat / rest).sum()), float((self.part * self.weight / rest).sum())

    def information(self, q: float, variance: float) -> float:
        """Return F where the posterior of the linear part has this variance."""
        V = self.hidden + self.noise + variance
        if self.teacher == "linear":
            return 1.0 / V if V > 0.0 else math.inf
        if self.teacher == "sign":
            return sign_information(V, q, self.flip) if V > 0.0 else math.inf
        return self.rho * logit_information(self.rho * V, self.rho * q, self.flip)

    def errors(self, q: float, variance: float) -> dict[str, float]:
        """Return the test errors by name, in the user's units."""
        clean = self.hidden + variance
        if self.teacher == "linear":
            return {"test_mse": (clean + self.noise) * self.rho, "test_mse_clean": clean * self.rho}
        if self.teacher == "sign":
            error = self.flip + (1.0 - 2.0 * self.flip) * angle(clean + self.noise, q)
        else:
            error = logit_error(self.rho * (clean + self.noise), self.rho * q, self.flip)
        return {"test_error": error, "test_error_clean": angle(clean, q)}

    def numbers(self, q_hat: float, q: float, variance: float) -> dict[str, float]:
        """Return order parameters and errors by name, in the user's units."""
        overlaps = {"V": variance * self.rho, "q": q * self.rho, "m": q * self.rho, "q_hat": q_hat / self.rho}
        return {**overlaps, **self.errors(q, variance)}


@recorded("replica.bayes_optimal")
def bayes_optimal(
    spectrum: Spectrum,
    *,
    alpha: npt.ArrayLike,
    teacher: Teacher = "sign",
    flip: float = 0.0,
    noise: float = 0.0,
) -> Record | xr.Dataset:
    r"""Return the smallest test error that any estimator can reach: the lower bound of every learning curve.

    Parameters
    ----------
    spectrum
        The problem. Its `t` says which teachers there are: Gaussian ones with variance :math:`t_j/\omega_j` on each
        atom. A spectrum made from one teacher tells its size in every single eigendirection; to ask for less
        knowledge, average `t` over neighbouring eigenvalues.
    alpha
        Examples over student dimension, n/p > 0: a number, or several, shape (n,).
    teacher
        "sign": labels sign(nu + noise xi), flipped with probability `flip`; "linear" (or "ridge"): targets
        nu + noise xi; "logit": labels +1 with probability 1/(1 + exp(-nu - noise xi)), flipped alike.
    flip
        Probability that a label is flipped, in [0, 1/2]; 0 for "linear".
    noise
        Standard deviation of the noise on the teacher field.

    Returns
    -------
    Record or xarray.Dataset
        A record at one alpha, a dataset over ``alpha`` at several, with names as in :func:`learning_curve`:
        ``q`` (and ``m``, which is the same here), ``V`` (posterior variance of the field's linear part), ``q_hat``;
        for labels ``test_error`` (against labels made like the training ones) and ``test_error_clean`` (no noise, no
        flips); for "linear" ``test_mse`` (against noisy targets) and ``test_mse_clean``; ``converged, iterations,
        residual``.

    Raises
    ------
    InvalidParameterError
        ``alpha <= 0``, flips outside [0, 1/2] or of real targets, an unknown teacher.

    Notes
    -----
    Large alpha, isotropic and noiseless, sign: error 0.442/alpha. Where targets are linear and the teacher's weights
    on the features have one variance, :math:`t_j \propto c_j\omega_j^2`, ridge regression with its best penalty is
    optimal. A noiseless linear teacher is known exactly as soon as there are as many examples as directions it uses:
    ``q_hat`` is then infinite.

    Examples
    --------
    >>> from hmm_rs.theory import replica
    >>> spectrum = replica.Spectrum([1.0], [1.0], [1.0], 1.0)
    >>> curve = replica.bayes_optimal(spectrum, alpha=[1.0, 2.0, 5.0, 10.0])
    >>> [round(float(e), 5) for e in curve.test_error]
    [0.25437, 0.17453, 0.08394, 0.04357]
    """
    at, settings, problem = _checked(spectrum, alpha, teacher, flip, noise)
    solved = [_solve(problem, float(value)) for value in at]
    if np.ndim(alpha) == 0:
        return point(solved[0], float(at[0]), settings, spectrum)
    return dataset(
        {name: [values[name] for values in solved] for name in solved[0]},
        along=at,
        dim="alpha",
        label="examples over student dimension",
        source="theory",
        settings=settings,
        cite=_CITE,
    )


@recorded("replica.state_evolution")
def state_evolution(
    spectrum: Spectrum,
    *,
    alpha: float,
    steps: int = 30,
    teacher: Teacher = "sign",
    flip: float = 0.0,
    noise: float = 0.0,
) -> xr.Dataset:
    r"""Return how approximate message passing learns, iteration by iteration: its state evolution.

    Each iteration of :func:`hmm_rs.amp` without damping turns the overlap q into
    :math:`q(\hat q = \alpha F(V, q))`; the limit is :func:`bayes_optimal`.

    Parameters
    ----------
    spectrum, teacher, flip, noise
        As in :func:`bayes_optimal`.
    alpha
        Examples over student dimension, n/p > 0.
    steps
        Iterations.

    Returns
    -------
    xarray.Dataset
        The numbers of :func:`bayes_optimal` over ``iteration`` = 0 (nothing is known), ..., `steps`.

    Examples
    --------
    >>> from hmm_rs.theory import replica
    >>> spectrum = replica.Spectrum([1.0], [1.0], [1.0], 1.0)
    >>> path = replica.state_evolution(spectrum, alpha=2.0, steps=40)
    >>> [round(float(e), 4) for e in path.test_error[[0, 1, 2, 40]]]
    [0.5, 0.2308, 0.1935, 0.1745]
    """
    at, settings, problem = _checked(spectrum, number("alpha", alpha), teacher, flip, noise)
    rows = []
    q_hat = 0.0
    for _ in range(count("steps", steps, minimum=0) + 1):
        q, variance = problem.overlap(q_hat)
        rows.append(problem.numbers(q_hat, q, variance))
        q_hat = float(at[0]) * problem.information(q, variance)
    return dataset(
        {name: [values[name] for values in rows] for name in rows[0]},
        along=np.arange(len(rows)),
        dim="iteration",
        label="iteration",
        source="theory",
        settings={**settings, "alpha": float(at[0])},
        cite=_CITE,
    )


def _checked(
    spectrum: Spectrum, alpha: Any, teacher: str, flip: float, noise: float
) -> tuple[Vector, dict[str, Any], _Problem]:
    """Return alphas (n,), the settings and the problem in units of the teacher."""
    problem = checked_spectrum(spectrum)
    at = array("alpha", alpha, (None,)) if np.ndim(alpha) else np.array([number("alpha", alpha)])
    if (at <= 0).any():
        raise InvalidParameterError(f"alpha = {at.min():g}: must be > 0; pass n/p")
    name = choice("teacher", teacher, (*TEACHERS, *_ALIASES))
    name = _ALIASES.get(name, name)
    flip = number("flip", flip, minimum=0.0, maximum=0.5)
    if name == "linear" and flip:
        raise InvalidParameterError(
            f'flip = {flip:g}: must be 0 for real targets; pass teacher="sign" for flipped labels'
        )
    if name != "linear":
        warn_of_labels(problem, depth=5)
    spread = number("noise", noise, minimum=0.0)
    relative = spread / math.sqrt(problem.rho)
    variance = relative * relative
    if not math.isfinite(variance):
        raise InvalidParameterError(
            f"noise = {spread:g}: is too far from the standard deviation {math.sqrt(problem.rho):g} of the teacher "
            "field; pass less noise"
        )
    seen = (problem.omega > 0) & (problem.t > 0)
    part = problem.t[seen] / problem.omega[seen] / problem.rho
    settings = {
        "teacher": name,
        "flip": flip,
        "noise": spread,
        "rho": problem.rho,
        "rho_lin": problem.rho_lin,
    }
    hidden = max(1.0 - float(part.sum()), 0.0)
    return (
        at,
        settings,
        _Problem(name, flip, part, problem.weight[seen], hidden, variance, problem.rho),
    )


def _solve(problem: _Problem, alpha: float) -> dict[str, Any]:
    """Return the fixed point at one alpha."""
    from scipy.optimize import brentq

    evaluations = 0

    def excess(log_q_hat: float) -> float:
        """Return log q_hat minus the logarithm of what the map makes of it: increasing, one root."""
        nonlocal evaluations
        evaluations += 1
        return log_q_hat - math.log(alpha * problem.information(*problem.overlap(math.exp(log_q_hat))))

    start = alpha * problem.information(*problem.overlap(0.0))
    q_hat, residual = start, 0.0
    if 0.0 < start < math.inf:
        lower = math.log(start)
        upper = _bracket(excess, lower)
        if upper is None:
            q_hat = math.inf
        elif upper > lower:
            root = brentq(excess, lower, upper, xtol=1e-14, rtol=1e-15)
            q_hat, residual = math.exp(root), abs(excess(root))
    return {
        **problem.numbers(q_hat, *problem.overlap(q_hat)),
        "converged": True,
        "iterations": evaluations,
        "residual": residual,
    }


def _bracket(excess: Callable[[float], float], lower: float) -> float | None:
    """Return a point above the root (`lower` itself if that is the root), or None where there is none."""
    if excess(lower) >= 0.0:
        return lower
    step = 0.5
    while lower + step < _KNOWN:
        if excess(lower + step) > 0.0:
            return lower + step
        step *= 2.0
    return None
