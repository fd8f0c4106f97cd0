"""Experiments: many runs that together answer one question, with errors on the answer."""

from . import compression, increasing_complexity, independent_students, memorisation
from .ensembles import ensemble

__all__ = ["compression", "ensemble", "increasing_complexity", "independent_students", "memorisation"]
