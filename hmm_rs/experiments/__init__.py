"""Experiments: many runs that together answer one question, with errors on the answer."""

from . import (
    compression,
    diagnosis,
    full_batch,
    gaussian_rates,
    increasing_complexity,
    independent_students,
    memorisation,
)

__all__ = [
    "compression",
    "diagnosis",
    "full_batch",
    "gaussian_rates",
    "increasing_complexity",
    "independent_students",
    "memorisation",
]
