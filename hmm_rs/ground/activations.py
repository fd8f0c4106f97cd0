"""The one list of units: names, formulas, Gaussian moments, and where each may stand.

The compiled crates have the same list of names (a test holds the two together) and formulas of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .arguments import choice

__all__ = [
    "CLOSED",
    "DATA",
    "EQUATIONS",
    "EXACT",
    "LAYERS",
    "NODES",
    "PARTICLES",
    "RECTIFIERS",
    "UNITS",
    "Activation",
    "Unit",
    "activation",
]

#: Every unit, "linear" and "identity" being two names of one.
Activation = Literal[
    "sign", "erf", "relu", "sqrt2_relu", "tanh", "linear", "identity", "sigmoid", "leaky_relu"
]

#: Nonlinearities f of the data.
DATA = ("sign", "erf", "relu", "tanh", "identity")
#: Nonlinearities whose covariances E f(u_i) f(u_j) have a closed form.
EXACT = ("sign", "erf", "relu")
#: Units of two-layer networks: their averages over Gaussian fields have closed forms.
CLOSED = ("erf", "relu", "linear")
#: Units of the equations of online learning: closed averages, or smooth ones by quadrature.
EQUATIONS = (*CLOSED, "tanh", "sigmoid")
#: Units of mean-field networks.
NODES = ("relu", "sqrt2_relu", "erf", "tanh")
#: Units of mean-field networks trained as particles.
PARTICLES = ("relu", "erf", "tanh")
#: Units of networks under gradient flow and of their kernels.
RECTIFIERS = ("relu", "sqrt2_relu")
#: Elementwise layers of a generator.
LAYERS = (*DATA, "sigmoid", "leaky_relu")

_ALIASES = {"linear": "identity", "identity": "linear"}

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Unit:
    """A unit g: value, slope and curvature of an array, and a = E g(u), b = E u g(u), c = E g(u)²."""

    value: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    curvature: Callable[[Array], Array]
    moments: tuple[float, float, float]


_ROOT_2_OVER_PI = math.sqrt(2.0 / math.pi)


def _erf(x: Array) -> Array:
    from scipy.special import erf

    return np.asarray(erf(x / np.sqrt(2.0)), dtype=x.dtype)


def _erf_slope(x: Array) -> Array:
    return np.asarray(_ROOT_2_OVER_PI * np.exp(-0.5 * x * x), dtype=x.dtype)


def _tanh_slope(x: Array) -> Array:
    # 1/cosh² overflows; past 300 it is zero anyway.
    return np.asarray(np.cosh(np.clip(x, -300.0, 300.0)) ** -2.0, dtype=x.dtype)


#: Formulas by name. Slopes of rectifiers at 0 are 0.
UNITS: dict[str, Unit] = {
    "sign": Unit(np.sign, np.zeros_like, np.zeros_like, (0.0, _ROOT_2_OVER_PI, 1.0)),
    "erf": Unit(_erf, _erf_slope, lambda x: -x * _erf_slope(x), (0.0, 1.0 / math.sqrt(math.pi), 1.0 / 3.0)),
    "relu": Unit(
        lambda x: np.maximum(x, 0),
        lambda x: (x > 0).astype(x.dtype),
        np.zeros_like,
        (1.0 / math.sqrt(2.0 * math.pi), 0.5, 0.5),
    ),
    "sqrt2_relu": Unit(
        lambda x: np.asarray(np.sqrt(2.0) * np.maximum(x, 0), dtype=x.dtype),
        lambda x: np.asarray(np.sqrt(2.0) * (x > 0), dtype=x.dtype),
        np.zeros_like,
        (1.0 / math.sqrt(math.pi), math.sqrt(0.5), 1.0),
    ),
    # c = 1 - b; b by quadrature to 30 digits.
    "tanh": Unit(
        np.tanh,
        _tanh_slope,
        lambda x: -2.0 * np.tanh(x) * _tanh_slope(x),
        (0.0, 0.6057055096021588, 0.3942944903978412),
    ),
    "linear": Unit(lambda x: x, np.ones_like, np.zeros_like, (0.0, 1.0, 1.0)),
}
UNITS["identity"] = UNITS["linear"]


def activation(argument: str, name: Any, allowed: Sequence[str]) -> str:
    """Return `name` in the spelling of `allowed`; refuse a unit that may not stand there.

    Examples
    --------
    >>> from hmm_rs.ground.activations import CLOSED, activation
    >>> activation("activation", "identity", CLOSED)
    'linear'
    """
    if isinstance(name, str) and name not in allowed and _ALIASES.get(name) in allowed:
        return _ALIASES[name]
    return choice(argument, name, allowed)
