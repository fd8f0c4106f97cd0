"""Phenomena of online learning: the public address of :mod:`hmm_rs.experiments.phenomena`."""

from ..experiments.phenomena import (
    increasing_complexity,
    late_error_against_delta,
    late_error_against_learning_rate,
    late_error_against_students,
    plateau,
    random_start,
)

__all__ = [
    "increasing_complexity",
    "late_error_against_delta",
    "late_error_against_learning_rate",
    "late_error_against_students",
    "plateau",
    "random_start",
]
