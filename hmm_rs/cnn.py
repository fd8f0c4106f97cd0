"""The 16-layer convolutional network, its images and its training: their public address."""

from .data.parity import ParitySets, digits, load_idx, parity_sets
from .dynamics.convolutional_flow import CNNFlow
from .networks.convolutional import CNN

__all__ = [
    "CNN",
    "CNNFlow",
    "ParitySets",
    "digits",
    "load_idx",
    "parity_sets",
]
