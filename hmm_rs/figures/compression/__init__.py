"""Figures of the compression study (Paccolat, Petrini, Geiger, Tyloo & Wyart, J. Stat. Mech. 2021, 044001).

The paper's full text was not at hand: content and parameters are those of its abstract and of the authors'
public code, or
ours where they are not known. Figure numbers are not known.
"""

from . import circle, images, in_time, kernel_evolution, learning_curves, neurons, one_neuron, scaling
from .circle import kernel_of_a_circle
from .images import images_at_small_size
from .in_time import compression_in_time
from .kernel_evolution import kernel_principal_components
from .learning_curves import curves_of_the_cylinder, curves_of_the_stripe, kernel_classifiers
from .neurons import neurons_on_the_plane
from .one_neuron import one_neuron_equations
from .scaling import compression_against_examples

__all__ = [
    "CARDS",
    "compression_against_examples",
    "compression_in_time",
    "curves_of_the_cylinder",
    "curves_of_the_stripe",
    "images_at_small_size",
    "kernel_classifiers",
    "kernel_of_a_circle",
    "kernel_principal_components",
    "neurons_on_the_plane",
    "one_neuron_equations",
]

CARDS = (
    neurons.CARD,
    in_time.CARD,
    scaling.CARD,
    one_neuron.CARD,
    learning_curves.STRIPE,
    learning_curves.CYLINDER,
    learning_curves.KERNELS,
    circle.CARD,
    kernel_evolution.CARD,
    images.CARD,
)
