"""Experiments of the compression study: how far, how fast, and what it buys.

Data seeds are the ensemble. The noise that limits compression is that of the training set and common to
all neurons, so a wider network does not average it; more data seeds do. Runs are independent and take
all cores; a result does not depend on how many there are.

Source: Paccolat, Petrini, Geiger, Tyloo & Wyart, J. Stat. Mech. 2021, 044001.
"""

from .exponents import Exponent, fit_exponent
from .images import image_learning_curves
from .kernels import circle_kernel, kernel_evolution
from .learning_curves import learning_curves
from .neurons import compression_curve, neuron_trajectories
from .scaling import compression_scaling
from .single_neurons import single_neurons

__all__ = [
    "Exponent",
    "circle_kernel",
    "compression_curve",
    "compression_scaling",
    "fit_exponent",
    "image_learning_curves",
    "kernel_evolution",
    "learning_curves",
    "neuron_trajectories",
    "single_neurons",
]
