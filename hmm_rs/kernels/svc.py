"""A support-vector classifier on a precomputed kernel."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..ground import arguments
from ..ground.errors import ConvergenceError, InvalidParameterError, ShapeError
from ..ground.extras import extra
from ..ground.linear_algebra import product, solve
from ..ground.overflow import finite, within_range
from .positive import both_labels, positive_gram

__all__ = ["SupportVectors", "svc"]

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class SupportVectors:
    """A fitted support-vector classifier on a precomputed kernel."""

    #: Dual coefficients, shape (P,), 0 <= alpha <= C.
    alpha: Array
    #: Labels, shape (P,).
    y: Array
    #: Points with alpha > 0, ascending.
    support: npt.NDArray[np.intp]
    #: b of the decision function.
    intercept: float
    #: sum alpha - 1/2 sum alpha alpha' y y' K.
    dual_objective: float
    #: Largest violation of the optimality conditions, in units of the margin.
    kkt_violation: float

    def decision(self, K_test: npt.ArrayLike) -> Array:
        """Return sum_mu alpha_mu y_mu K(x, x_mu) + b for test points.

        Parameters
        ----------
        K_test
            Kernel of test points against the training points, shape (Q, P), or against the support points
            alone, shape (Q, len(support)): the other columns are never read.
        """
        kernel = arguments.array("K_test", K_test, (None, None))
        if kernel.shape[1] not in (len(self.y), len(self.support)):
            raise ShapeError(
                f"K_test has shape {kernel.shape}: must have a column per training point ({len(self.y)}) or "
                f"per support point ({len(self.support)}); pass kernel(X_test, X[fit.support])"
            )
        if kernel.shape[1] != len(self.support):
            kernel = kernel[:, self.support]
        decision = product(kernel, (self.alpha * self.y)[self.support]) + self.intercept
        return finite("K_test", np.asarray(decision))

    def error(self, K_test: npt.ArrayLike, y_test: npt.ArrayLike) -> float:
        """Return the fraction of test points on the wrong side; a decision of zero counts as wrong."""
        decision = self.decision(K_test)
        labels = arguments.array("y_test", y_test, (len(decision),), rule="(one label per row of K_test)")
        if not np.isin(labels, (-1.0, 1.0)).all():
            raise InvalidParameterError("y_test: labels must be +1 or -1; pass np.where(condition, 1, -1)")
        return float((decision * labels <= 0.0).mean())


def svc(K: npt.ArrayLike, y: npt.ArrayLike, *, C: float = 1e20, max_iter: int = 1_000_000) -> SupportVectors:
    """Fit a support-vector classifier on a precomputed kernel.

    max_alpha sum alpha - 1/2 sum alpha alpha' y y' K with 0 <= alpha <= C and sum alpha y = 0.
    scikit-learn's solver finds the support; the linear system of the optimality conditions on it is then
    solved exactly, and points that violate them change sides until none does.

    Parameters
    ----------
    K
        Symmetric positive semi-definite Gram matrix (P, P).
    y
        Labels +1 and -1, shape (P,).
    C
        Bound of the dual coefficients; the default is a hard margin.
    max_iter
        Most iterations of scikit-learn's solver, which at a hard margin need not end by itself.

    Raises
    ------
    ConvergenceError
        If the optimality conditions are still violated by more than 1e-3 of the margin, for instance for a
        hard margin that no solution has; ``.result`` holds the best classifier found.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> x = [[-1.0], [-0.5], [0.7], [2.0]]
    >>> fit = hr.kernels.svc(hr.kernels.laplace(x, scale=1.0), [-1, -1, 1, 1])
    >>> fit.error(hr.kernels.laplace([[0.4], [-0.4]], x, scale=1.0), [1, -1])
    0.0
    """
    gram = positive_gram(K)
    labels = both_labels(y, len(gram))
    bound = arguments.number("C", C, minimum=0.0, exclusive=True)
    max_iter = arguments.count("max_iter", max_iter)
    # The coefficients sum to zero with the labels, so a constant added to rows and columns changes nothing;
    # without it the single-precision cache of the solver keeps the digits that matter.
    with within_range("K"):
        rows = gram.mean(axis=0)
        centred = gram - rows[:, None] - rows[None, :] + rows.mean()
        scale = float(np.diag(centred).mean())
    if not scale > 0.0:
        raise InvalidParameterError("K: is constant, all points are the same; pass distinct points")
    alpha = _smo(centred / scale, labels, min(bound * scale, 1e20), max_iter) / scale
    alpha, intercept = _polish(gram, labels, np.minimum(alpha, bound), bound)
    coefficients = alpha * labels
    result = SupportVectors(
        alpha=alpha,
        y=labels,
        support=np.flatnonzero(alpha > 0.0),
        intercept=intercept,
        dual_objective=float(alpha.sum() - 0.5 * product(coefficients, product(gram, coefficients))),
        kkt_violation=_violation(gram, labels, alpha, intercept, bound),
    )
    if not result.kkt_violation < 1e-3:
        raise ConvergenceError(
            f"the support-vector fit violates its optimality conditions by {result.kkt_violation:.1e} of the "
            f"margin (max_iter = {max_iter}); classes may not be separable; pass a finite C or more max_iter",
            result,
        )
    return result


def _smo(gram: Array, labels: Array, bound: float, max_iter: int) -> Array:
    """Return the dual coefficients that scikit-learn finds."""
    svm = extra("sklearn.svm", of="sklearn", needed_by="hr.kernels.svc")
    told = extra("sklearn.exceptions", of="sklearn", needed_by="hr.kernels.svc")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", told.ConvergenceWarning)
        # At a tiny C margins differ by no more than C.
        tolerance = max(1e-6 * min(1.0, bound), 1e-15)
        machine = svm.SVC(kernel="precomputed", C=bound, tol=tolerance, max_iter=max_iter, cache_size=500)
        machine.fit(gram, labels)
    alpha = np.zeros(len(labels))
    alpha[machine.support_] = np.abs(machine.dual_coef_[0])
    return alpha


def _slack(gram: Array, labels: Array, alpha: Array, intercept: float) -> Array:
    """Return y f - 1 of every training point."""
    return np.asarray(labels * (product(gram, alpha * labels) + intercept) - 1.0)


def _violation(gram: Array, labels: Array, alpha: Array, intercept: float, bound: float) -> float:
    """Return the largest violation of y f >= 1 (alpha = 0), = 1 (free), <= 1 (alpha = C)."""
    slack = _slack(gram, labels, alpha, intercept)
    worst = np.where(alpha <= 0.0, np.maximum(-slack, 0.0), np.abs(slack))
    worst[alpha >= bound] = np.maximum(slack, 0.0)[alpha >= bound]
    worst = worst.max()
    return float(worst) if np.isfinite(worst) else math.inf


def _polish(gram: Array, labels: Array, alpha: Array, bound: float) -> tuple[Array, float]:
    """Return coefficients and intercept that solve the optimality conditions on their free set."""
    # The solver stops within its tolerance of the bound.
    clipped = alpha >= bound * (1.0 - 1e-6)
    free = (alpha > 0.0) & ~clipped
    best, best_intercept, best_violation = alpha, 0.0, math.inf
    for _ in range(100 + len(labels)):
        count = int(free.sum())
        at_bound = np.where(clipped, bound * labels, 0.0)
        if count == 0:
            if float(at_bound.sum()) != 0.0:
                # The coefficients must add up to zero with the labels: one that can give way is freed.
                moved = _give_way(gram, labels, clipped, at_bound)
                free[moved], clipped[moved] = True, False
                continue
            trial = np.where(clipped, bound, 0.0)
            intercept = _intercept_between(gram, labels, clipped, at_bound)
        else:
            # In units of the bound: a tiny one leaves no trace beside kernel entries of order one.
            unit = bound if bound < 1.0 else 1.0
            system = np.ones((count + 1, count + 1))
            system[:count, :count] = gram[np.ix_(free, free)] * unit
            system[count, count] = 0.0
            right = np.append(labels[free] - product(gram[free], at_bound), -at_bound.sum() / unit)
            solution = solve(system, right)
            trial = np.where(clipped, bound, 0.0)
            trial[free] = unit * solution[:count] * labels[free]
            intercept = float(solution[count])
        low, high = free & (trial < 0.0), free & (trial > bound)
        if low.any() or high.any():
            # One at a time where the set is nearly right, else all: both end, the first more exactly.
            free &= ~(low | high)
            clipped |= high
            continue
        violation = _violation(gram, labels, trial, intercept, bound)
        if violation < best_violation:
            best, best_intercept, best_violation = trial, intercept, violation
        slack = _slack(gram, labels, trial, intercept)
        enter = np.where(free, 0.0, np.where(clipped, slack, -slack))
        # Decisions of a tiny C differ in the last digits of an intercept of one.
        size = float(np.abs(trial).max()) * float(np.abs(gram).max())
        if enter.max() <= max(1e-12 * size, 8.0 * np.finfo(np.float64).eps):
            break
        worst = int(enter.argmax())
        free[worst], clipped[worst] = True, False
    return best, best_intercept


def _give_way(gram: Array, labels: Array, clipped: npt.NDArray[np.bool_], at_bound: Array) -> int:
    """Return the point that leaves its bound first as the intercept moves to balance the labels."""
    # y (1 - y f_0): the intercept at which a point is exactly on its margin.
    turning = labels - product(gram, at_bound)
    excess = float(np.sign(at_bound.sum()))
    # Too much weight on one label: its points at C may lose some, those of the other at 0 may gain some.
    candidates = np.flatnonzero(np.where(labels == excess, clipped, ~clipped))
    order = turning[candidates] * excess
    return int(candidates[int(order.argmin())])


def _intercept_between(gram: Array, labels: Array, clipped: npt.NDArray[np.bool_], at_bound: Array) -> float:
    """Return the middle of the intercepts that satisfy every point where none is free."""
    turning = labels - product(gram, at_bound)
    # y f <= 1 at C and >= 1 at 0: from above for y = 1 at C and y = -1 at 0, from below for the others.
    above = clipped == (labels > 0)
    high = float(turning[above].min()) if above.any() else math.inf
    low = float(turning[~above].max()) if not above.all() else -math.inf
    if math.isinf(high) or math.isinf(low):
        return high if math.isinf(low) else low
    return 0.5 * (low + high)
