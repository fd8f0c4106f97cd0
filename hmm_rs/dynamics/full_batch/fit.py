r"""Full-batch learning: regularised empirical risk minimisation with a certificate.

.. math:: w = \mathrm{argmin} \sum_{\mu=1}^n \ell(y_\mu, x_\mu\cdot w) + \tfrac{\lambda}{2} |w|^2

Every fit reports a duality gap, an upper bound on what the objective could still fall by. Conventions as in
:mod:`hmm_rs.theory.replica`: a sum over examples, :math:`x = v/\sqrt p`, no intercept; scikit-learn's ``C`` is
:math:`1/\lambda`. Curves over the number of examples: :mod:`hmm_rs.experiments.full_batch`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ... import _lib
from ...ground.arguments import array, choice, count, number
from ...ground.arguments import threads as checked_threads
from ...ground.display import Shown
from ...ground.errors import ConvergenceError, InvalidParameterError
from ...ground.losses import FULL_BATCH
from ...ground.losses import loss as checked_loss
from ...ground.memory import require
from ...ground.record import Record
from ...provenance.recording import attach, maker_of, remembered
from ...provenance.story import encoded_call

__all__ = ["STOP", "FullBatch", "Loss", "stop_settings"]

Vector = npt.NDArray[np.float64]
Loss = Literal["ridge", "square", "squared", "logistic", "hinge"]

#: Losses, with the relative duality gap at which a fit stops and the steps it may take: refinements of the
#: normal equations, quasi-Newton and Newton steps, passes of coordinate descent over the examples.
STOP: dict[str, tuple[float, int]] = {
    "ridge": (1e-14, 20),
    "square": (1e-14, 20),
    "logistic": (1e-12, 1000),
    "hinge": (1e-9, 200_000),
}


def _frozen(values: Vector) -> Vector:
    """Return a copy that nobody can change."""
    require(values.nbytes, "a copy of the examples", "use fewer examples or features")
    kept = values.copy()
    kept.flags.writeable = False
    return kept


class FullBatch(Shown):
    """Regularised empirical risk minimisation on given examples.

    Parameters
    ----------
    X
        Inputs, shape (n, p), copied; scale features by ``1/sqrt(p)`` to meet the theory's convention.
    y
        Targets, shape (n,), copied: real numbers for "ridge", labels -1 and 1 otherwise.
    loss
        "ridge" (squared error), "square" (the same on labels), "logistic" or "hinge".
    lam
        L2 penalty, > 0, on the *sum* of losses.

    Attributes
    ----------
    w, objective, gap, iterations, converged
        The last fit: weights (p,), minimised objective, upper bound on its distance from the minimum,
        Newton steps or passes, and whether the tolerance was met.

    Examples
    --------
    >>> import numpy as np
    >>> import hmm_rs as hr
    >>> X = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    >>> problem = hr.FullBatch(X, [1.0, 2.0, 3.0], loss="ridge", lam=1.0)
    >>> problem.fit().round(6).tolist()
    [0.875, 1.375]
    """

    w: Vector | None
    objective: float
    gap: float
    iterations: int
    converged: bool
    #: What the last fit was asked for.
    _asked: dict[str, Any]

    @remembered
    def __init__(self, X: npt.ArrayLike, y: npt.ArrayLike, *, loss: Loss, lam: float) -> None:
        self.X: Vector = _frozen(array("X", X, (None, None)))
        self.loss = checked_loss("loss", loss, FULL_BATCH)
        self.lam = number("lam", lam, minimum=0.0, exclusive=True)
        self.y: Vector = _frozen(array("y", y, (self.X.shape[0],), rule="to match the rows of X"))
        if self.loss != "ridge" and not np.isin(self.y, (-1.0, 1.0)).all():
            raise InvalidParameterError(
                f"y holds {self.y[~np.isin(self.y, (-1.0, 1.0))][0]:g}: labels must be -1 or 1; "
                'pass np.sign of the targets, or loss="ridge" for real targets'
            )
        self.w = None
        self.objective = self.gap = math.nan
        self.iterations = 0
        self.converged = False

    def fit(
        self,
        *,
        tol: float | None = None,
        max_iterations: int | None = None,
        threads: int | None = None,
        on_failure: Literal["raise", "flag"] = "raise",
    ) -> Vector:
        """Minimise the objective and return the weights, shape (p,).

        Ridge and square: normal equations (in the examples if n < p), singular values where a small penalty takes
        their digits. Logistic: a quasi-Newton method, finished by Newton's where that is cheaper. Hinge: dual
        coordinate descent, finished by solving for the examples on the margin, or an interior-point method where
        that is slow.

        Parameters
        ----------
        tol
            Largest duality gap relative to the objective. Default: 1e-14 for the square losses, 1e-12 for logistic,
            1e-9 for hinge.
        max_iterations
            Newton steps or passes before giving up.
        threads
            Threads to use; the result does not depend on it.
        on_failure
            "raise" a :class:`ConvergenceError` (its ``result`` holds the weights), or "flag" it in
            ``converged``.

        Returns
        -------
        array, shape (p,)
            The weights; :attr:`result` has them with the numbers of the certificate.
        """
        settings = stop_settings(self.loss, self.lam, tol, max_iterations)
        choice("on_failure", on_failure, ("raise", "flag"))
        needed = min(self.X.shape) ** 2 * 16 + self.X.nbytes
        require(needed, f"FullBatch with X of shape {self.X.shape}", "use fewer examples or features")
        workers = checked_threads("threads", threads)
        fitted = _lib.full_batch_fit([(self.X, self.y)], settings, workers)[0]
        self._asked = {"tol": tol, "max_iterations": max_iterations, "on_failure": "flag"}
        self.w = fitted["w"]
        self.objective, self.gap = fitted["objective"], fitted["gap"]
        self.iterations, self.converged = fitted["iterations"], fitted["converged"]
        if not self.converged and on_failure == "raise":
            raise ConvergenceError(
                f"FullBatch reached a relative gap of {self.gap / self.objective:.2g} > tol = {settings['tol']:g} "
                f"in {self.iterations} iterations; the weights are in .result; raise max_iterations, loosen "
                'tol, or pass on_failure="flag"',
                self.w,
            )
        assert self.w is not None
        return self.w

    def _title(self) -> str:
        if self.w is None:
            return "FullBatch, not fitted"
        how = "fitted" if self.converged else "not converged"
        return f"FullBatch, {how} in {self.iterations} iterations"

    def _rows(self) -> Iterable[tuple[str, Any]]:
        rows = [("X", self.X), ("y", self.y), ("loss", self.loss), ("lam", self.lam)]
        return rows if self.w is None else [*rows, ("objective", self.objective), ("gap", self.gap)]

    @property
    def result(self) -> Record:
        """The last fit (made now if there is none): ``w, objective, gap, iterations, converged``; ``to_dataset()``.

        Examples
        --------
        >>> import hmm_rs as hr
        >>> problem = hr.FullBatch([[1.0, 0.0], [0.0, 1.0]], [1.0, -1.0], loss="hinge", lam=0.5)
        >>> problem.result.to_dataset().w.dims
        ('feature',)
        """
        if self.w is None:
            self.fit()
        record = Record(
            {
                "w": self.w,
                "objective": self.objective,
                "gap": self.gap,
                "iterations": self.iterations,
                "converged": self.converged,
            },
            source="simulation",
            dim="feature",
            along=np.arange(self.X.shape[1]),
            settings={"loss": self.loss, "lam": self.lam},
        )
        attach(record, maker_of(self), [encoded_call("fit", self._asked)])
        return record


def stop_settings(loss: str, lam: float, tol: float | None, max_iterations: int | None) -> dict[str, Any]:
    """Return what the solver is asked for, with the defaults of :data:`STOP`."""
    default_tol, default_iterations = STOP[loss]
    return {
        "loss": loss,
        "lam": lam,
        "tol": default_tol if tol is None else number("tol", tol, minimum=0.0, exclusive=True),
        "max_iterations": default_iterations
        if max_iterations is None
        else count("max_iterations", max_iterations),
    }
