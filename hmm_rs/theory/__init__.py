"""Deterministic theory: Gaussian averages, spectra, equations of learning dynamics.

No solver draws a random number (:mod:`~hmm_rs.theory.equivalence`, which measures distances, samples);
solvers answer with the tables the simulations return.
"""

from ..data.hidden_manifold import one_layer_covariances
from ..data.nonlinearity import gaussian_moments
from . import equivalence, phenomena, replica
from .compression import (
    attractors,
    compression_all_active,
    compression_time,
    learning_curve_exponents,
    neuron_flow,
    population_field,
)
from .generators import recursive_covariances
from .hinge import HingeMeanField, ProjectedMeanField, lazy_master, rich_front
from .integrals import generalisation_error, i2, i3, i4
from .online import CovarianceODE, HiddenManifoldODE, SaadSolla, solve_many
from .order_parameters import order_parameters
from .spectrum import marchenko_pastur

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
    "marchenko_pastur",
    "neuron_flow",
    "one_layer_covariances",
    "order_parameters",
    "phenomena",
    "population_field",
    "recursive_covariances",
    "replica",
    "rich_front",
    "solve_many",
]
