"""Least squares in time: gradient flow and gradient descent on Gaussian features, with early stopping."""

from .flow import least_squares_flow
from .stopping import optimal_stopping

__all__ = ["least_squares_flow", "optimal_stopping"]
