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
from .ensembles import ensemble

__all__ = [
    "compression",
    "diagnosis",
    "ensemble",
    "full_batch",
    "gaussian_rates",
    "increasing_complexity",
    "independent_students",
    "memorisation",
]
