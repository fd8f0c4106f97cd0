"""What is asked of the solvers, checked once, and the shape of their answers."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any, Literal

from ...ground.arguments import choice, count, number
from ...ground.errors import ConvergenceError, InvalidParameterError
from ...ground.losses import FULL_BATCH, loss
from ...ground.noise import deviation
from ...ground.overflow import finite
from ...ground.record import Record
from .mixture import Mixture
from .spectrum import Spectrum

__all__ = [
    "CITE",
    "LOSSES",
    "QUESTION",
    "Loss",
    "OnFailure",
    "checked",
    "checked_problem",
    "point",
    "ratio",
    "required",
    "told",
    "undefined",
    "warn_of_labels",
]

#: The losses: squared error on real targets, and on labels; logistic; hinge.
LOSSES = FULL_BATCH

#: Works the numbers rest on.
CITE = ("gaussian-covariate-model", "gaussian-equivalence")

#: What an answer beyond the range of floats is blamed on.
QUESTION = "spectrum, alpha, lam and noise"
#: Largest ratio of examples to features, and inverse of the smallest.
_LARGEST = 1e30

Loss = Literal["ridge", "square", "squared", "logistic", "hinge"]
OnFailure = Literal["raise", "flag"]


def checked_problem(value: Any) -> Spectrum | Mixture:
    """Return `value` if it is a spectrum or a mixture."""
    if isinstance(value, (Spectrum, Mixture)):
        return value
    raise InvalidParameterError(
        f"spectrum = {value!r:.80}: must be a replica.Spectrum or a replica.Mixture; pass "
        "Spectrum(omega, weight, t, rho)"
    )


def checked(
    spectrum: Spectrum | Mixture,
    *,
    name: str,
    lam: float,
    flip: float,
    noise: float,
    tol: float,
    max_iterations: int,
) -> dict[str, Any]:
    """Check the settings of a solver for the loss called `name`; warn where labels admit no Gaussian teacher."""
    name = loss("loss", name, LOSSES)
    if name != "ridge" and isinstance(spectrum, Spectrum):
        warn_of_labels(spectrum, depth=5)
    return {
        "loss": name,
        "lam": number("lam", lam),
        "flip": number("flip", flip),
        "noise": deviation(noise, depth=5),
        "tol": number("tol", tol),
        "max_iterations": count("max_iterations", max_iterations),
    }


def ratio(alpha: float) -> float:
    """Return examples over features, checked: beyond 1e30 either way nothing is left of one of them."""
    return number("alpha", alpha, minimum=1.0 / _LARGEST, maximum=_LARGEST)


def warn_of_labels(spectrum: Spectrum, *, depth: int) -> None:
    """Warn where the labels behind a spectrum admit no Gaussian teacher; `depth`: stack level of the user's line."""
    if spectrum.from_labels and spectrum.rho_lin * math.pi / 2 > spectrum.rho:
        warnings.warn(
            f"rho_lin pi/2 = {spectrum.rho_lin * math.pi / 2:.3g} exceeds the mean square "
            f"{spectrum.rho:.3g} of the labels: no Gaussian teacher makes such labels, and "
            "predictions of classification errors are off by tens of per cent; ridge predictions hold",
            stacklevel=depth,
        )


def undefined(name: str) -> tuple[str, ...]:
    """Return the numbers that the loss called `name` does not define, those of single clusters among them."""
    if name == "square":
        return ()
    names = (
        ("test_error", "test_error_clean", "train_error") if name == "ridge" else ("test_mse", "train_mse")
    )
    return (*names, *(f"{one}_cluster" for one in names))


def told(problem: Spectrum | Mixture) -> dict[str, float]:
    """Return what the settings of a result say of the problem."""
    if isinstance(problem, Mixture):
        return {"clusters": problem.clusters, "rho": problem.field_variance}
    return {"rho": problem.rho, "rho_lin": problem.rho_lin}


def point(
    values: Mapping[str, Any],
    alpha: float,
    settings: Mapping[str, Any],
    problem: Spectrum | Mixture,
    *,
    dims: Mapping[str, tuple[str, ...]] | None = None,
) -> Record:
    """Return the numbers of one point of the theory; `dims`: those of arrays at the point."""
    if values.get("converged", True):
        # A noiseless linear teacher separates any number of examples: an infinite threshold is right.
        known = {name: value for name, value in values.items() if name != "threshold"}
        finite(QUESTION, known)
    return Record(
        values,
        source="theory",
        dim="alpha",
        along=[alpha],
        label="examples over student dimension",
        settings={**settings, **told(problem)},
        cite=CITE,
        dims=dims,
    )


def required(converged: bool, result: Any, on_failure: str, message: str) -> None:
    """Raise unless the solver converged or the caller looks at the flag."""
    choice("on_failure", on_failure, ("raise", "flag"))
    if not converged and on_failure == "raise":
        raise ConvergenceError(
            f"{message}; the best iterate is in .result; raise max_iterations, loosen tol, or pass "
            'on_failure="flag"',
            result,
        )
