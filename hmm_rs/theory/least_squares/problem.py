"""What is learnt in time, checked: the features and the teacher at one alpha, and how time passes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ... import _lib
from ...ground.arguments import number
from ...ground.errors import InvalidParameterError
from ..replica.spectrum import Spectrum, checked_spectrum
from .contours import Contour, exponential, power
from .errors import errors_at
from .resolvent import Resolvent

__all__ = ["CITE", "Problem", "settled_step"]

Vector = npt.NDArray[np.float64]

#: Works the numbers rest on.
CITE = ("gaussian-covariate-model",)


@dataclass(frozen=True)
class Problem:
    """Least squares at one alpha.

    Attributes
    ----------
    spectrum, alpha, noise
        As in :func:`~hmm_rs.theory.least_squares_flow`.
    step
        Length of a step of gradient descent, None for gradient flow.
    resolvent
        The features and the teacher.
    """

    spectrum: Spectrum
    alpha: float
    noise: float
    step: float | None
    resolvent: Resolvent

    @classmethod
    def checked(cls, spectrum: Any, alpha: Any, noise: float, step: float | None) -> Problem:
        """Return the problem with a checked noise and step."""
        problem = checked_spectrum(spectrum)
        at = number("alpha", alpha, minimum=0.0, exclusive=True)
        made = cls(problem, at, noise, step, Resolvent(problem, at))
        edge = made.resolvent.edge
        if step is not None and step * edge >= 2.0:
            raise InvalidParameterError(
                f"lr = {step:g}: must be < {2.0 / edge:g} at alpha = {at:g}, two over the largest eigenvalue "
                f"{edge:.4g} of the sample covariance, or gradient descent diverges; pass a smaller one"
            )
        return made

    @property
    def variance(self) -> float:
        """Variance of the noisy targets: both errors at time 0."""
        return self.spectrum.rho + self.noise**2

    def ticks(self, t: Vector) -> Vector:
        """Return the times that are reached: whole steps where there are steps."""
        if self.step is None:
            return t
        return np.where(np.isfinite(t), np.rint(t / self.step) * self.step, t)

    def errors(self, t: Vector) -> tuple[Vector, Vector]:
        """Return test and training error at times (n,) that are reached."""
        test, train = np.full(t.shape, self.variance), np.full(t.shape, self.variance)
        ends = np.isinf(t)
        if ends.any():
            limit = _lib.replica_ridgeless(self.spectrum, self.alpha, self.noise)
            test[ends], train[ends] = limit["test_mse"], limit["train_mse"]
        moved = (t > 0) & ~ends
        if moved.any():
            unseen = max(self.spectrum.rho - self.spectrum.rho_lin, 0.0) + self.noise**2
            times = t[moved]
            test[moved], train[moved] = errors_at(
                self.resolvent, unseen, self._contours(times, 1), self._contours(times, 2)
            )
        return test, train

    def _contours(self, t: Vector, times: int) -> list[Contour]:
        """Return the contours of f^times."""
        if self.step is None:
            return [exponential(times * float(at)) for at in t]
        return [power(self.step, times * round(float(at) / self.step)) for at in t]


def settled_step(lr: Any) -> float | None:
    """Return a checked step, None for a flow."""
    return None if lr is None else number("lr", lr, minimum=0.0, exclusive=True)


def finite_or_end(name: str, t: npt.ArrayLike) -> Vector:
    """Return times >= 0, infinity among them, as an array (n,)."""
    values = np.atleast_1d(np.asarray(t, dtype=np.float64)).ravel()
    wrong = np.isnan(values) | (values < 0)
    if wrong.any() or not values.size:
        shown = f"{values[wrong][0]:g}" if wrong.any() else "nothing"
        raise InvalidParameterError(
            f"{name} holds {shown}: times must be >= 0 (math.inf is the end); pass such"
        )
    return values
