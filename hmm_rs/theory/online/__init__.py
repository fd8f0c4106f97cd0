"""Equations of online learning."""

from .equations import (
    CovarianceODE,
    HiddenManifoldODE,
    SaadSolla,
    solve_many,
)

__all__ = [
    "CovarianceODE",
    "HiddenManifoldODE",
    "SaadSolla",
    "solve_many",
]
