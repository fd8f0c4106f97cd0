"""Pictures: functions that take and return matplotlib Axes."""

from .compression import compression, compression_curve, error_curves, kernel_spectrum, neuron_points
from .equivalence import equivalence_rates, gaussian_equivalence
from .kernels import circle_kernel, kernel_information
from .online import learning_curve, order_parameters
from .particles import overfitting, particles, rotation, satisfaction, trajectories
from .seeds import mean_over_seeds

__all__ = [
    "circle_kernel",
    "compression",
    "compression_curve",
    "equivalence_rates",
    "error_curves",
    "gaussian_equivalence",
    "kernel_information",
    "kernel_spectrum",
    "learning_curve",
    "mean_over_seeds",
    "neuron_points",
    "order_parameters",
    "overfitting",
    "particles",
    "rotation",
    "satisfaction",
    "trajectories",
]
