"""Deterministic theory: Gaussian averages, spectra, equations of learning dynamics.

No solver draws a random number; solvers answer with the tables the simulations return.
"""

import importlib
from typing import TYPE_CHECKING, Any

from ..data.covariances import one_layer_covariances, recursive_covariances
from ..data.moments import gaussian_moments
from . import replica
from .compression import (
    attractors,
    compression_all_active,
    compression_time,
    learning_curve_exponents,
    neuron_flow,
    population_field,
)
from .hinge import HingeMeanField, ProjectedMeanField, lazy_master, rich_front
from .integrals import generalisation_error, i2, i3, i4
from .least_squares import least_squares_flow, optimal_stopping
from .online import CovarianceODE, HiddenManifoldODE, SaadSolla, solve_many
from .order_parameters import order_parameters
from .spectrum import marchenko_pastur

if TYPE_CHECKING:
    from . import equivalence as equivalence
    from . import phenomena as phenomena

__all__ = [
    "CovarianceODE",
    "HiddenManifoldODE",
    "HingeMeanField",
    "ProjectedMeanField",
    "SaadSolla",
    "attractors",
    "compression_all_active",
    "compression_time",
    "equivalence",
    "gaussian_moments",
    "generalisation_error",
    "i2",
    "i3",
    "i4",
    "lazy_master",
    "learning_curve_exponents",
    "least_squares_flow",
    "marchenko_pastur",
    "neuron_flow",
    "one_layer_covariances",
    "optimal_stopping",
    "order_parameters",
    "phenomena",
    "population_field",
    "recursive_covariances",
    "replica",
    "rich_front",
    "solve_many",
]

#: Rooms further right that keep an address here; imported at first use, so that theory stands alone.
_DOORS = ("equivalence", "phenomena")


def __getattr__(name: str) -> Any:
    if name in _DOORS:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
