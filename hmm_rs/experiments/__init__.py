"""Experiments: many runs that together answer one question, with errors on the answer."""

from . import compression, increasing_complexity, independent_students, memorisation

__all__ = ["compression", "increasing_complexity", "independent_students", "memorisation"]
