r"""Full-batch learning: regularised empirical risk minimisation with a certificate.

.. math:: w = \mathrm{argmin} \sum_{\mu=1}^n \ell(y_\mu, x_\mu\cdot w) + \tfrac{\lambda}{2} |w|^2

Every fit reports a duality gap, an upper bound on what the objective could still fall by. Conventions as in
:mod:`hmm_rs.theory.replica`: a sum over examples, :math:`x = v/\sqrt p`, no intercept; scikit-learn's ``C`` is
:math:`1/\lambda`. Curves over the number of examples: :mod:`hmm_rs.experiments.full_batch`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
import numpy.typing as npt

from ... import _lib
from ...ground.arguments import array, choice, count, number
from ...ground.arguments import threads as checked_threads
from ...ground.display import Shown
from ...ground.errors import ConvergenceError, InvalidParameterError
from ...ground.linear_algebra import product
from ...ground.losses import FULL_BATCH
from ...ground.losses import loss as checked_loss
from ...ground.memory import require
from ...ground.overflow import within_range
from ...ground.record import Record
from ...ground.results import dataset
from ...provenance.recording import attach, maker_of, remembered
from ...provenance.story import encoded_call

if TYPE_CHECKING:
    import xarray as xr

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


def _squarable(name: str, values: Vector) -> Vector:
    """Return numbers of which squares can be summed."""
    largest = float(np.abs(values).max())
    limit = math.sqrt(np.finfo(np.float64).max / values.size) / 2
    if largest > limit:
        raise InvalidParameterError(
            f"{name}: entries reach {largest:.1e}, sums of their squares leave the range of float64; rescale them to "
            f"below {limit:.1e}"
        )
    return values


class FullBatch(Shown):
    """Regularised empirical risk minimisation.

    A problem on given examples, ``FullBatch(X, y, loss=..., lam=...).fit()``, or an estimator like those of
    scikit-learn, ``FullBatch(loss=..., lam=...).fit(X, y).predict(X_test)``: it is cloned, searched and put into
    pipelines there.

    Parameters
    ----------
    X
        Inputs, shape (n, p), copied; scale features by ``1/sqrt(p)`` to meet the theory's convention. None: to come
        with ``fit``.
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
    >>> hr.FullBatch(loss="ridge", lam=1.0).fit(X, [1.0, 2.0, 3.0]).predict(X).round(6).tolist()
    [0.875, 1.375, 2.25]
    """

    X: Vector | None
    y: Vector | None
    w: Vector | None
    objective: float
    gap: float
    iterations: int
    converged: bool
    #: What the last fit was asked for.
    _asked: dict[str, Any]

    @remembered
    def __init__(
        self, X: npt.ArrayLike | None = None, y: npt.ArrayLike | None = None, *, loss: Loss, lam: float
    ) -> None:
        self.loss = checked_loss("loss", loss, FULL_BATCH)
        self.lam = number("lam", lam, minimum=0.0, exclusive=True)
        self.X = self.y = None
        if X is not None or y is not None:
            self._take(X, y)
        self._forget()

    def _take(self, X: npt.ArrayLike | None, y: npt.ArrayLike | None) -> None:
        """Take examples."""
        for name, given in (("X", X), ("y", y)):
            if given is None:
                raise InvalidParameterError(f"{name} is missing: examples are X and y together; pass both")
        inputs = _squarable("X", array("X", X, (None, None)))
        targets = _squarable("y", array("y", y, (inputs.shape[0],), rule="to match the rows of X"))
        if self.loss != "ridge" and not np.isin(targets, (-1.0, 1.0)).all():
            raise InvalidParameterError(
                f"y holds {targets[~np.isin(targets, (-1.0, 1.0))][0]:g}: labels must be -1 or 1; "
                'pass np.sign of the targets, or loss="ridge" for real targets'
            )
        self.X, self.y = _frozen(inputs), _frozen(targets)

    def _forget(self) -> None:
        """Be as if there had been no fit."""
        self.w = None
        self.objective = self.gap = math.nan
        self.iterations = 0
        self.converged = False

    def _examples(self) -> tuple[Vector, Vector]:
        """Return the examples; refuse to do without."""
        if self.X is None or self.y is None:
            raise InvalidParameterError("X: there are no examples to learn from; pass X and y")
        return self.X, self.y

    @overload
    def fit(
        self,
        X: None = None,
        y: None = None,
        *,
        tol: float | None = None,
        max_iterations: int | None = None,
        threads: int | None = None,
        on_failure: Literal["raise", "flag"] = "raise",
    ) -> Vector: ...

    @overload
    def fit(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        *,
        tol: float | None = None,
        max_iterations: int | None = None,
        threads: int | None = None,
        on_failure: Literal["raise", "flag"] = "raise",
    ) -> FullBatch: ...

    def fit(
        self,
        X: npt.ArrayLike | None = None,
        y: npt.ArrayLike | None = None,
        *,
        tol: float | None = None,
        max_iterations: int | None = None,
        threads: int | None = None,
        on_failure: Literal["raise", "flag"] = "raise",
    ) -> Vector | FullBatch:
        """Minimise the objective.

        Ridge and square: normal equations (in the examples if n < p), singular values where a small penalty takes
        their digits. Logistic: a quasi-Newton method, finished by Newton's where that is cheaper. Hinge: dual
        coordinate descent, finished by solving for the examples on the margin, or an interior-point method where
        that is slow.

        Parameters
        ----------
        X, y
            Examples to learn from instead of those there are, as in the constructor.
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
        array, shape (p,), or FullBatch
            The weights; :attr:`result` has them with the numbers of the certificate. With `X` and `y` the estimator
            itself, as scikit-learn has it.
        """
        settings = stop_settings(self.loss, self.lam, tol, max_iterations)
        choice("on_failure", on_failure, ("raise", "flag"))
        workers = checked_threads("threads", threads)
        if X is not None or y is not None:
            self._take(X, y)
        fitted = self._minimised(settings, workers)
        self._asked = {"tol": tol, "max_iterations": max_iterations, "on_failure": "flag"}
        if X is not None:
            self._asked |= {"X": self.X, "y": self.y}
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
        if X is not None:
            return self
        assert self.w is not None
        return self.w

    def _minimised(self, settings: dict[str, Any], threads: int | None) -> dict[str, Any]:
        """Return weights and certificate."""
        inputs, targets = self._examples()
        needed = min(inputs.shape) ** 2 * 16 + inputs.nbytes
        require(needed, f"FullBatch with X of shape {inputs.shape}", "use fewer examples or features")
        fitted: dict[str, Any] = _lib.full_batch_fit([(inputs, targets)], settings, threads)[0]
        return fitted

    def path(
        self,
        lams: npt.ArrayLike,
        *,
        tol: float | None = None,
        max_iterations: int | None = None,
        threads: int | None = None,
    ) -> xr.Dataset:
        """Return the fits for many penalties.

        Parameters
        ----------
        lams
            Penalties, > 0.
        tol, max_iterations, threads
            As in :meth:`fit`.

        Returns
        -------
        xarray.Dataset
            Over ``lam``: ``w`` (lam, feature), ``objective``, ``gap``, ``iterations``, ``converged`` (0 for a fit that
            misses its tolerance), ``norm2`` = w.w/p, ``train_loss`` (mean over examples), and ``train_mse`` (square
            losses) or ``train_error`` (labels).

        Examples
        --------
        >>> import hmm_rs as hr
        >>> problem = hr.FullBatch([[1.0, 0.0], [0.0, 1.0]], [1.0, -1.0], loss="hinge", lam=0.5)
        >>> problem.path([0.1, 10.0]).w.round(3).values.tolist()
        [[1.0, -1.0], [0.1, -0.1]]
        """
        inputs, targets = self._examples()
        penalties = array("lams", lams, (None,))
        workers = checked_threads("threads", threads)
        rows = []
        for lam in penalties:
            penalty = number("lams", float(lam), minimum=0.0, exclusive=True)
            fitted = self._minimised(stop_settings(self.loss, penalty, tol, max_iterations), workers)
            w = fitted["w"]
            norm2 = float((w * w).sum())
            fields = product(inputs, w)
            row = {
                "w": w,
                "objective": fitted["objective"],
                "gap": fitted["gap"],
                "iterations": fitted["iterations"],
                "converged": fitted["converged"],
                "norm2": norm2 / w.size,
                "train_loss": (fitted["objective"] - penalty / 2 * norm2) / targets.size,
            }
            if self.loss in ("ridge", "square"):
                row["train_mse"] = float(np.mean((targets - fields) ** 2))
            if self.loss != "ridge":
                row["train_error"] = float(np.mean(targets * fields < 0))
            rows.append(row)
        return dataset(
            {name: np.array([row[name] for row in rows], dtype=np.float64) for name in rows[0]},
            along=penalties,
            dim="lam",
            label="L2 penalty",
            source="simulation",
            settings={"loss": self.loss},
            dims={"w": ("lam", "feature")},
        )

    # -- as an estimator -------------------------------------------------------------------------------

    def decision_function(self, X: npt.ArrayLike) -> Vector:
        """Return the fields X w, shape (n,)."""
        if self.w is None:
            raise InvalidParameterError("w: this FullBatch is not fitted yet; call fit first")
        inputs = array("X", X, (None, self.w.size), rule="(examples, features of the fit)")
        return np.asarray(product(_squarable("X", inputs), self.w), dtype=np.float64)

    def predict(self, X: npt.ArrayLike) -> Vector:
        """Return predictions, shape (n,): fields for "ridge", labels -1 and 1 otherwise."""
        fields = self.decision_function(X)
        return fields if self.loss == "ridge" else np.where(fields >= 0.0, 1.0, -1.0)

    def score(self, X: npt.ArrayLike, y: npt.ArrayLike) -> float:
        """Return the fraction of right labels; for "ridge" R², one minus the squared error over the variance."""
        predicted = self.predict(X)
        targets = _squarable("y", array("y", y, (predicted.size,), rule="to match the rows of X"))
        if self.loss != "ridge":
            return float(np.mean(predicted == targets))
        spread = np.sum((targets - targets.mean()) ** 2)
        if spread == 0.0:
            raise InvalidParameterError("y is constant: R² has no meaning; pass targets that differ")
        with within_range("y"):
            return 1.0 - float(np.sum((targets - predicted) ** 2) / spread)

    @property
    def classes_(self) -> Vector:
        """The labels, as scikit-learn asks for them."""
        if self.loss == "ridge":
            raise AttributeError('classes_: loss="ridge" has no labels')
        return np.array([-1.0, 1.0])

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the options, without the examples; `deep` is there for scikit-learn."""
        del deep
        return {"loss": self.loss, "lam": self.lam}

    def set_params(self, **params: Any) -> FullBatch:
        """Set options and forget the last fit; return the estimator itself."""
        for name in params:
            choice("params", name, self.get_params())
        fresh = FullBatch(self.X, self.y, **{**self.get_params(), **params})
        self.loss, self.lam = fresh.loss, fresh.lam
        self._forget()
        return self

    def __sklearn_clone__(self) -> FullBatch:
        return FullBatch(**self.get_params())

    def __sklearn_is_fitted__(self) -> bool:
        return self.w is not None

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, RegressorTags, Tags, TargetTags

        kind = "regressor" if self.loss == "ridge" else "classifier"
        return Tags(
            estimator_type=kind,
            target_tags=TargetTags(required=True),
            classifier_tags=None if kind == "regressor" else ClassifierTags(multi_class=False),
            regressor_tags=RegressorTags() if kind == "regressor" else None,
        )

    def _title(self) -> str:
        if self.w is None:
            return "FullBatch, not fitted"
        how = "fitted" if self.converged else "not converged"
        return f"FullBatch, {how} in {self.iterations} iterations"

    def _rows(self) -> Iterable[tuple[str, Any]]:
        examples = [] if self.X is None else [("X", self.X), ("y", self.y)]
        rows = [*examples, ("loss", self.loss), ("lam", self.lam)]
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
        inputs, _ = self._examples()
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
            along=np.arange(inputs.shape[1]),
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
