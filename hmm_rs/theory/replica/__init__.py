"""Replica theory of full-batch learning."""

from .learning import (
    LOSSES,
    Spectrum,
    learning_curve,
    max_margin,
    optimal_ridge,
    prox,
    ridgeless,
    separability_threshold,
    solve,
)

__all__ = [
    "LOSSES",
    "Spectrum",
    "learning_curve",
    "max_margin",
    "optimal_ridge",
    "prox",
    "ridgeless",
    "separability_threshold",
    "solve",
]
