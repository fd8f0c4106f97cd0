r"""Approximate message passing: the algorithm that reaches the Bayes-optimal error on samples.

Targets are made of a field :math:`\nu_\mu = x_\mu\cdot w^\star + \mathrm{noise}\,\xi`, features are independent,
weights are Gaussian with known variances :math:`\sigma_j^2`. With :math:`\tau_j` the mean square of column j, the
posterior mean `w` and variance `v` are found by

.. math::
   V &= \sum_j \tau_j v_j, \qquad \omega = X w - V g, \qquad g_\mu = \partial_\omega \log Z(y_\mu, \omega_\mu, V), \\
   A_j &= -\tau_j \sum_\mu \partial_\omega g_\mu, \qquad v_j = \frac1{A_j + \sigma_j^{-2}}, \qquad
   w_j = v_j\,(X^T g + A w)_j .

Source: S. Rangan, "Generalized approximate message passing for estimation with random linear mixing" (2011).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ..ground.arguments import array, choice, count, number
from ..ground.arguments import threads as checked_threads
from ..ground.errors import ConvergenceError, InvalidParameterError
from ..ground.linear_algebra import product
from ..ground.results import dataset
from .progress import Bar
from .targets import TEACHERS, Channel

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["amp"]

Vector = npt.NDArray[np.float64]

#: Change, in standard deviations of the field, from which an estimate does not come back.
_LOST = 1e6


def amp(
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    prior: npt.ArrayLike,
    teacher: Literal["sign", "linear", "ridge", "logit"] = "sign",
    flip: float = 0.0,
    noise: float = 0.0,
    w_teacher: npt.ArrayLike | None = None,
    damping: float = 0.5,
    tol: float = 1e-8,
    max_iterations: int = 1000,
    on_failure: Literal["raise", "flag"] = "raise",
    progress: bool | Literal["always"] = False,
    threads: int | None = None,
) -> xr.Dataset:
    r"""Estimate a teacher from samples as well as anyone can: approximate message passing.

    For many independent features it reaches :func:`hmm_rs.theory.replica.bayes_optimal`; without damping its iterations
    follow :func:`hmm_rs.theory.replica.state_evolution`.

    Parameters
    ----------
    X
        Features, shape (n, p), independent and of mean zero: in the eigenbasis of their covariance. Scale them by
        ``1/sqrt(p)`` to meet the theory's convention, as for :class:`hmm_rs.FullBatch`.
    y
        Targets, shape (n,): labels -1 and 1, real numbers for "linear".
    prior
        Variance of each weight of the teacher, one number or shape (p,), >= 0. Of a spectrum with X = v/sqrt p:
        ``t/omega**2/weight``.
    teacher
        "sign", "linear" (or "ridge") or "logit", as in :func:`hmm_rs.theory.replica.bayes_optimal`.
    flip
        Probability that a label is flipped.
    noise
        Standard deviation of what is added to the field X @ w: noise, and the part of the teacher that is not linear
        in the features, ``sqrt(noise**2 + rho - rho_lin)``.
    w_teacher
        The teacher's weights, shape (p,), to measure against; the algorithm does not use them.
    damping
        Share of the last estimate that is kept, in [0, 1). 0 is the plain algorithm.
    tol
        Stop when the estimated field changes by less, relative to its prior standard deviation.
    max_iterations
        Iterations before giving up.
    on_failure
        "raise" a :class:`ConvergenceError` (the dataset is in its ``result``), or "flag" it in ``converged``.
    progress
        Show a bar.
    threads
        Threads to use; the result does not depend on it.

    Returns
    -------
    xarray.Dataset
        Over ``iteration`` = 0 (nothing is known), 1, ...: ``q`` (variance of the estimated field), ``V`` (posterior
        variance of the field), ``change``, and the test error ``test_error`` or ``test_mse`` against targets made like
        the training ones. It is what the algorithm expects; with `w_teacher` it is that of its estimate, and
        there are ``m`` (covariance of estimated field and teacher's) and ``overlap`` (their correlation). Over
        ``feature``: ``w`` and ``w_variance``, mean and variance of the posterior. Attributes ``converged``,
        ``iterations``.

    Raises
    ------
    ConvergenceError
        If `tol` is not met, or the estimate runs away: features that are not independent, a wrong prior.
    InvalidParameterError
        Labels other than -1 and 1, negative variances, flips of real targets.

    Examples
    --------
    >>> import numpy as np
    >>> import hmm_rs as hr
    >>> rng = np.random.default_rng(0)
    >>> w, X = rng.standard_normal(400), rng.standard_normal((1200, 400)) / 20
    >>> found = hr.amp(X, np.sign(X @ w), prior=1.0, w_teacher=w)
    >>> spectrum = hr.theory.replica.Spectrum([1.0], [1.0], [1.0], 1.0)
    >>> best = hr.theory.replica.bayes_optimal(spectrum, alpha=3.0)
    >>> abs(float(found.test_error[-1]) - best.test_error) < 0.02
    True
    """
    problem = _Problem.checked(X, y, prior, teacher, flip, noise, w_teacher, threads)
    kept = number("damping", damping, minimum=0.0, maximum=1.0)
    if kept == 1.0:
        raise InvalidParameterError("damping = 1: must be < 1, or nothing is ever learnt; pass 0.5")
    tolerance = number("tol", tol, minimum=0.0, exclusive=True)
    most = count("max_iterations", max_iterations)
    choice("on_failure", on_failure, ("raise", "flag"))
    rows, estimate, converged = _iterate(problem, kept, tolerance, most, progress)
    result = _table(
        problem, rows, estimate, converged, {"damping": kept, "tol": tolerance, "max_iterations": most}
    )
    if not converged and on_failure == "raise":
        raise ConvergenceError(
            f"amp: the estimate still changed by {rows[-1]['change']:.2g} > tol = {tolerance:g} after "
            f"{len(rows) - 1} iterations; the dataset is in .result; check that features are independent and prior and "
            'noise right, raise damping or max_iterations, or pass on_failure="flag"',
            result,
        )
    return result


@dataclass(frozen=True)
class _Problem:
    """Samples and what is known of how they were made, checked.

    Attributes
    ----------
    X, y, prior, w_teacher, threads
        As in :func:`amp`.
    channel
        How targets are made of the field.
    scale
        Mean square of each column of X.
    """

    X: Vector
    y: Vector
    prior: Vector
    channel: Channel
    w_teacher: Vector | None
    scale: Vector
    threads: int | None

    @classmethod
    def checked(
        cls,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        prior: npt.ArrayLike,
        teacher: str,
        flip: float,
        noise: float,
        w_teacher: npt.ArrayLike | None,
        threads: int | None,
    ) -> _Problem:
        features = array("X", X, (None, None))
        n, p = features.shape
        targets = array("y", y, (n,), rule="to match the rows of X")
        variances = (
            array("prior", prior, (p,), rule="to match the columns of X")
            if np.ndim(prior)
            else np.full(p, number("prior", prior))
        )
        if (variances < 0).any() or not variances.any():
            raise InvalidParameterError(
                f"prior holds {variances.min():g}: variances of weights must be >= 0 and not all 0; pass the prior"
            )
        name = choice("teacher", teacher, (*TEACHERS, "ridge"))
        name = "linear" if name == "ridge" else name
        flips = number("flip", flip, minimum=0.0, maximum=0.5)
        if name == "linear" and flips:
            raise InvalidParameterError(
                f'flip = {flips:g}: must be 0 for real targets; pass teacher="sign" for flipped labels'
            )
        if name != "linear" and not np.isin(targets, (-1.0, 1.0)).all():
            raise InvalidParameterError(
                f"y holds {targets[~np.isin(targets, (-1.0, 1.0))][0]:g}: labels must be -1 or 1; pass np.sign of the "
                'targets, or teacher="linear" for real targets'
            )
        return cls(
            X=features,
            y=targets,
            prior=variances,
            channel=Channel(name, flips, number("noise", noise, minimum=0.0) ** 2),
            w_teacher=None
            if w_teacher is None
            else array("w_teacher", w_teacher, (p,), rule="to match the columns of X"),
            scale=np.einsum("ij,ij->j", features, features) / n,
            threads=checked_threads("threads", threads),
        )

    @property
    def variance(self) -> float:
        """Variance of the field under the prior."""
        return float((self.scale * self.prior).sum())

    def measure(self, w: Vector, V: float) -> dict[str, float]:
        """Return overlaps and test error of an estimate."""
        q = float((self.scale * w * w).sum())
        row = {"q": q, "V": V}
        if self.w_teacher is None:
            # To the posterior the estimate is its teacher's mean: m = q.
            return {**row, **self.channel.error(q, q, q + V)}
        m = float((self.scale * w * self.w_teacher).sum())
        rho = float((self.scale * self.w_teacher**2).sum())
        size = math.sqrt(q * rho)
        row |= {"m": m, "overlap": m / size if size > 0.0 else 0.0}
        return {**row, **self.channel.error(m, q, rho)}


def _iterate(
    problem: _Problem, damping: float, tol: float, most: int, progress: bool | Literal["always"]
) -> tuple[list[dict[str, float]], tuple[Vector, Vector], bool]:
    """Return the measurements, mean and variance of the posterior, and whether the estimate stands."""
    prior, scale = problem.prior, problem.scale
    w, v, g = np.zeros(prior.shape), prior.copy(), np.zeros(problem.y.shape)
    unit = math.sqrt(problem.variance)
    rows = [{**problem.measure(w, problem.variance), "change": math.inf}]
    bar = Bar(progress, now=0, end=most, title="amp", axis="iteration")
    try:
        for iteration in range(1, most + 1):
            V = float((scale * v).sum())
            # What each example said before is taken out of what it hears: Onsager's term.
            omega = product(problem.X, w, threads=problem.threads) - V * g
            g, curvature = problem.channel.score(problem.y, omega, V)
            A = scale * max(float(curvature.sum()), 0.0)
            pull = product(problem.X.T, g, threads=problem.threads) + A * w
            spread = prior / (1.0 + A * prior)
            moved = damping * w + (1.0 - damping) * spread * pull
            v = damping * v + (1.0 - damping) * spread
            change = math.sqrt(float((scale * (moved - w) ** 2).sum())) / unit
            w = moved
            rows.append({**problem.measure(w, float((scale * v).sum())), "change": change})
            bar.advance_to(iteration)
            bar.say(f"change={change:.2g}")
            if change < tol or not change < _LOST:
                break
    finally:
        bar.close()
    return rows, (w, v), rows[-1]["change"] < tol


def _table(
    problem: _Problem,
    rows: list[dict[str, float]],
    estimate: tuple[Vector, Vector],
    converged: bool,
    settings: dict[str, Any],
) -> xr.Dataset:
    """Return the run as a dataset of the schema."""
    w, v = estimate
    n, p = problem.X.shape
    values: dict[str, Any] = {name: [row[name] for row in rows] for name in rows[0]}
    return dataset(
        {**values, "w": w, "w_variance": v},
        dims={"w": ("feature",), "w_variance": ("feature",)},
        along=np.arange(len(rows)),
        dim="iteration",
        label="iteration",
        source="simulation",
        settings={**settings, "n": n, "p": p, **problem.channel.settings()},
        cite=("gaussian-covariate-model",),
        converged=converged,
        iterations=len(rows) - 1,
    )
