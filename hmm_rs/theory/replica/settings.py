"""What is asked of the solvers, checked once, and the shape of their answers."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any, Literal

from ...ground.arguments import choice, count, number
from ...ground.errors import ConvergenceError
from ...ground.losses import FULL_BATCH, loss
from ...ground.noise import deviation
from ...ground.overflow import finite
from ...ground.record import Record
from .spectrum import Spectrum

__all__ = [
    "CITE",
    "LOSSES",
    "QUESTION",
    "Loss",
    "OnFailure",
    "checked",
    "point",
    "ratio",
    "required",
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


def checked(
    spectrum: Spectrum,
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
    if name != "ridge":
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
    """Return the numbers that the loss called `name` does not define."""
    if name == "ridge":
        return ("test_error", "test_error_clean", "train_error")
    return () if name == "square" else ("test_mse", "train_mse")


def point(values: Mapping[str, Any], alpha: float, settings: Mapping[str, Any], spectrum: Spectrum) -> Record:
    """Return the numbers of one point of the theory."""
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
        settings={**settings, "rho": spectrum.rho, "rho_lin": spectrum.rho_lin},
        cite=CITE,
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
