"""Equations of online learning: three laws of the inputs, one way to solve them."""

from .batch import solve_many
from .covariance import CovarianceODE
from .hidden_manifold import HiddenManifoldODE
from .saad_solla import SaadSolla

__all__ = [
    "CovarianceODE",
    "HiddenManifoldODE",
    "SaadSolla",
    "solve_many",
]
