"""Deterministic solvers: the equations that the simulations are held against."""

from .compression import (
    attractors,
    compression_all_active,
    compression_time,
    learning_curve_exponents,
    neuron_flow,
    population_field,
)

__all__ = [
    "attractors",
    "compression_all_active",
    "compression_time",
    "learning_curve_exponents",
    "neuron_flow",
    "population_field",
]
