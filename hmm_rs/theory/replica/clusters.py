"""The fixed point for features in clusters: closed for square losses, iterated for others, and what follows from it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ...ground import linear_algebra
from .channel import Cluster, Law, conjugates, linear_targets, mass_below, training_loss
from .covariate import Response
from .mixture import Mixture

__all__ = ["PER_CLUSTER", "mixture_curve"]

Vector = npt.NDArray[np.float64]

#: Differences of iterates that the acceleration keeps, and plain steps before it.
_DEPTH, _PLAIN = 5, 3
#: A larger accelerated step is refused.
_LARGEST_STEP = 3.0
#: Relative step of V below which one that is no smaller than the last is rounding.
_ROUNDING = 1e-8
#: Share of their largest that directions of the acceleration must have.
_RIDGE = 1e-14

#: Numbers that each cluster has of its own, beside their totals.
PER_CLUSTER = (
    "V_cluster",
    "q_cluster",
    "m_cluster",
    "mean_cluster",
    "V_hat_cluster",
    "q_hat_cluster",
    "m_hat_cluster",
    "mean_hat_cluster",
    "train_loss_cluster",
    "train_error_cluster",
    "test_error_cluster",
    "test_error_clean_cluster",
    "test_mse_cluster",
    "train_mse_cluster",
)


def _solved(matrix: Vector, vector: Vector) -> Vector:
    """Return x with matrix x = vector."""
    return np.asarray(linear_algebra.solve(matrix, vector), np.float64)


@dataclass(frozen=True)
class _State:
    """Overlaps and conjugates of every cluster, shape (C,) each, and how they were reached."""

    V: Vector
    q: Vector
    m: Vector
    s: Vector
    V_hat: Vector
    q_hat: Vector
    m_hat: Vector
    s_hat: Vector
    norm2: float
    converged: bool = True
    iterations: int = 0
    residual: float = 0.0


@dataclass(frozen=True)
class _Problem:
    """A mixture with a loss, at one alpha."""

    mixture: Mixture
    loss: str
    alpha: float
    lam: float
    flip: float
    noise: float
    tol: float
    max_iterations: int

    @property
    def examples(self) -> Vector:
        """Examples of each cluster over student dimension."""
        return self.alpha * self.mixture.probability

    def targets(self, *, clean: bool = False) -> list[Cluster]:
        """Return the clusters' targets, or those without noise and flips."""
        noise, flip = (0.0, 0.0) if clean else (self.noise, self.flip)
        return [
            Cluster(float(M), float(rho) + noise**2, flip)
            for M, rho in zip(self.mixture.nu, self.mixture.rho, strict=True)
        ]

    def laws(self, state: _State, *, clean: bool = False) -> list[Law]:
        """Return the joint law of student and teacher in each cluster."""
        return [
            Law(float(s), float(q), float(m), cluster)
            for s, q, m, cluster in zip(state.s, state.q, state.m, self.targets(clean=clean), strict=True)
        ]

    def response(self, V_hat: Vector) -> Response:
        """Return how the weights answer."""
        return self.mixture._covariate.response(V_hat, self.lam)


def mixture_curve(mixture: Mixture, alphas: Vector, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the numbers of the theory by name along alphas (n,): arrays (n,), or (n, C) for those of each cluster."""
    rows: list[dict[str, Any]] = [{} for _ in alphas]
    previous: _State | None = None
    for index in np.argsort(alphas, kind="stable").tolist():
        problem = _Problem(mixture, alpha=float(alphas[index]), **settings)
        if problem.loss in ("ridge", "square"):
            state = _square(problem, previous)
        else:
            state = _iterated(problem, previous or _square(problem, None))
        rows[index] = _observables(problem, state)
        previous = state if state.converged else None
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


# -- square losses: closed but for V ---------------------------------------------------------------------


def _square(problem: _Problem, start: _State | None) -> _State:
    r"""Return the fixed point of a square loss: on the field ("ridge"), else on labels.

    With :math:`\hat V_c = \hat\kappa_c = \alpha_c/(1+V_c)`, only V has to be iterated. The targets' mean y, slope
    :math:`\kappa` and mean square then make s, and s makes q, by linear equations between the clusters.
    """
    reached = _susceptibilities(problem, None if start is None else start.V)
    V = reached.point
    gain = problem.examples / (1.0 + V)
    response = problem.response(gain)
    y, slope, square = (
        np.array(column)
        for column in zip(
            *(linear_targets(problem.loss, target) for target in problem.targets()), strict=True
        )
    )
    m_hat = gain * slope
    s = _mean_fields(response, m_hat, gain * y, gain)
    force = np.concatenate([m_hat, gain * (y - s)])
    m, s = response.fields(force)
    # q = drift + spread q_hat, with q_hat = gain/(1+V) (rest + q).
    weight = gain / (1.0 + V)
    rest = square + s**2 - 2.0 * (s * y + slope * m)
    base = response.drift(force) + (response.spread * (weight * rest)).sum(axis=1)
    q = _solved(np.eye(V.size) - response.spread * weight, base)
    q_hat = weight * (rest + q)
    return _State(
        V=V,
        q=q,
        m=m,
        s=s,
        V_hat=gain,
        q_hat=q_hat,
        m_hat=m_hat,
        s_hat=force[V.size :],
        norm2=response.norm2(q_hat, force),
        converged=reached.converged,
        iterations=reached.iterations,
        residual=reached.residual,
    )


def _susceptibilities(problem: _Problem, start: Vector | None) -> _Reached:
    """Return V of a square loss by Newton's steps from above.

    The response to V is increasing and concave, with the derivative spread gain/(1+V), so that steps from above do not
    pass the root. Without examples, and with fewer of them, V is larger.
    """
    V = problem.mixture._covariate.scale / problem.lam if start is None else start
    size = math.inf
    for iteration in range(1, problem.max_iterations + 1):
        gain = problem.examples / (1.0 + V)
        response = problem.response(gain)
        better = V + _solved(np.eye(V.size) - response.spread * (gain / (1.0 + V)), response.V - V)
        better = better if (better > 0.0).all() else response.V
        before, size = size, float(np.abs(better / V - 1.0).max())
        V = better
        # Newton's steps end in rounding, which is large where the covariances have no full rank and lam is small.
        if size < problem.tol or (size < _ROUNDING and size >= before):
            return _Reached(V, True, iteration, size)
    return _Reached(V, False, problem.max_iterations, size)


def _mean_fields(response: Response, m_hat: Vector, push: Vector, rate: Vector) -> Vector:
    """Return s where the force along the means is push - rate s."""
    clusters = rate.size
    pushed = response.fields(np.concatenate([m_hat, push]))[1]
    return _solved(np.eye(clusters) + response.along[clusters:, clusters:] * rate, pushed)


# -- other losses ----------------------------------------------------------------------------------------


def _iterated(problem: _Problem, start: _State) -> _State:
    """Return the fixed point by accelerated iteration of (log V, log q, m/sqrt q, s/sqrt q)."""
    inner = problem.mixture._covariate.inner
    rho = problem.mixture.rho + problem.noise**2
    clusters = rho.size

    def forces(state: _State) -> _State:
        found = [
            conjugates(problem.loss, float(alpha), float(V), law)
            for alpha, V, law in zip(problem.examples, state.V, problem.laws(state), strict=True)
        ]
        return replace(
            state,
            V_hat=np.array([one.V for one in found]),
            q_hat=np.array([one.q for one in found]),
            m_hat=np.array([one.m for one in found]),
            s_hat=np.array([one.s for one in found]),
        )

    def answer(state: _State, response: Response) -> _State:
        # The force along the means falls with s at the rate V_hat. Where means are long, V_hat |mu|^2 >> lam, a step
        # that did not know it would overshoot.
        s = _mean_fields(response, state.m_hat, state.s_hat + state.V_hat * state.s, state.V_hat)
        force = np.concatenate([state.m_hat, state.s_hat + state.V_hat * (state.s - s)])
        m, s = response.fields(force)
        return replace(
            state,
            V=response.V,
            q=response.variances(state.q_hat, force),
            m=m,
            s=s,
            norm2=response.norm2(state.q_hat, force),
        )

    def step(state: _State) -> _State:
        state = forces(state)
        centre, response = state.V_hat, problem.response(state.V_hat)
        state = answer(state, response)
        # Where an answer of the weights is dear, the overlaps settle close to it first.
        for _ in range(inner):
            state = forces(state)
            state = answer(state, response.nearby(state.V_hat - centre))
        return state

    def image(z: Vector) -> Vector:
        state = _state_at(z, start)
        if not ((state.V > 0.0) & (state.q > 0.0) & np.isfinite(z).reshape(4, -1).all(axis=0)).all():
            return np.full_like(z, math.nan)
        return _unknowns(step(state))

    def admissible(before: Vector, after: Vector) -> bool:
        # Cauchy-Schwarz: m^2 <= q rho in every cluster.
        seen = after[2 * clusters : 3 * clusters] ** 2
        return bool((seen <= 0.999998 * rho).all()) and float(np.abs(after - before).max()) <= _LARGEST_STEP

    reached = _fixed_point(_unknowns(start), image, problem.tol, problem.max_iterations, admissible)
    end = forces(_state_at(reached.point, start))
    end = answer(end, problem.response(end.V_hat))
    return replace(end, converged=reached.converged, iterations=reached.iterations, residual=reached.residual)


def _unknowns(state: _State) -> Vector:
    root = np.sqrt(state.q)
    return np.concatenate([np.log(state.V), np.log(state.q), state.m / root, state.s / root])


def _state_at(z: Vector, other: _State) -> _State:
    V, q, m, s = np.split(z, 4)
    q = np.exp(q)
    return replace(other, V=np.exp(V), q=q, m=m * np.sqrt(q), s=s * np.sqrt(q))


@dataclass(frozen=True)
class _Reached:
    """Where an iteration ended."""

    point: Vector
    converged: bool
    iterations: int
    residual: float


def _fixed_point(
    start: Vector,
    image: Callable[[Vector], Vector],
    tol: float,
    most: int,
    admissible: Callable[[Vector, Vector], bool],
) -> _Reached:
    """Iterate z <- image(z) with Anderson's acceleration until max |image(z) - z| < tol."""
    point = best = start
    smallest = math.inf
    iteration = 0
    history: list[tuple[Vector, Vector]] = []
    for iteration in range(1, most + 1):
        reached = image(point)
        residual = reached - point
        size = float(np.abs(residual).max())
        if not math.isfinite(size):
            break
        if size < smallest:
            best, smallest = point, size
        if size < tol:
            return _Reached(point, True, iteration, size)
        history = [*history[-_DEPTH:], (point, residual)]
        following = reached
        if iteration > _PLAIN:
            following = reached - _correction(history, residual)
            if not admissible(point, following):
                following = reached
        point = following
    return _Reached(best, False, iteration, smallest)


def _correction(history: list[tuple[Vector, Vector]], residual: Vector) -> Vector:
    """Return what Anderson's acceleration subtracts from the plain step."""
    points, residuals = (np.array(rows) for rows in zip(*history, strict=True))
    steps, changes = np.diff(points, axis=0), np.diff(residuals, axis=0)
    # Columns of one length, so that late small differences count as much as early ones.
    lengths = np.sqrt((changes**2).sum(axis=1))
    kept = lengths > 0.0
    steps, changes = steps[kept] / lengths[kept, None], changes[kept] / lengths[kept, None]
    if not len(changes):
        return np.zeros_like(residual)
    normal = np.einsum("ia,ja->ij", changes, changes)
    normal[np.diag_indices(len(changes))] += _RIDGE * len(changes)
    shares = _solved(normal, (changes * residual).sum(axis=1))
    return np.asarray((shares[:, None] * (steps + changes)).sum(axis=0))


# -- what follows ----------------------------------------------------------------------------------------


def _observables(problem: _Problem, state: _State) -> dict[str, Any]:
    """Return the numbers of one point by name."""
    mixture, shares = problem.mixture, problem.mixture.probability

    def mean(values: Vector) -> float:
        return float((shares * values).sum())

    nan = np.full(shares.size, math.nan)
    each = dict.fromkeys(PER_CLUSTER, nan)
    each |= {
        "V_cluster": state.V,
        "q_cluster": state.q,
        "m_cluster": state.m,
        "mean_cluster": state.s,
        "V_hat_cluster": state.V_hat,
        "q_hat_cluster": state.q_hat,
        "m_hat_cluster": state.m_hat,
        "mean_hat_cluster": state.s_hat,
    }
    laws = problem.laws(state)
    if problem.loss in ("ridge", "square"):
        each |= _squared_errors(problem, state)
    else:
        losses = [training_loss(problem.loss, float(V), law) for V, law in zip(state.V, laws, strict=True)]
        each["train_loss_cluster"] = np.array(losses)
    if problem.loss != "ridge":
        clean = problem.laws(state, clean=True)
        # An example is on the wrong side where its proximal point is.
        sides = -state.V / 2.0 if problem.loss == "logistic" else -state.V
        each["train_error_cluster"] = np.array(
            [mass_below(float(side), law) for side, law in zip(sides, laws, strict=True)]
        )
        each["test_error_cluster"] = np.array([mass_below(0.0, law) for law in laws])
        each["test_error_clean_cluster"] = np.array([mass_below(0.0, law) for law in clean])
    totals = {
        name.removesuffix("_cluster"): mean(each[name])
        for name in PER_CLUSTER
        if name.startswith(("test", "train")) or name == "V_cluster"
    }
    centre, field = mean(state.s), mean(mixture.nu)
    return {
        **totals,
        "q": mean(state.q + (state.s - centre) ** 2),
        "m": mean(state.m + (state.s - centre) * (mixture.nu - field)),
        "V_hat": float(state.V_hat.sum()),
        "q_hat": float(state.q_hat.sum()),
        "m_hat": float(state.m_hat.sum()),
        "norm2": state.norm2,
        "objective": problem.alpha * totals["train_loss"] + 0.5 * problem.lam * state.norm2,
        **each,
        "converged": state.converged,
        "iterations": state.iterations,
        "residual": state.residual,
    }


def _squared_errors(problem: _Problem, state: _State) -> dict[str, Vector]:
    """Return the mean squared errors of each cluster, and the training losses: half of one of them."""
    rows = [linear_targets(problem.loss, target) for target in problem.targets()]
    y, slope, square = (np.array(column) for column in zip(*rows, strict=True))
    test = square + state.q + state.s**2 - 2.0 * (state.s * y + slope * state.m)
    train = test / (1.0 + state.V) ** 2
    return {"test_mse_cluster": test, "train_mse_cluster": train, "train_loss_cluster": 0.5 * train}
