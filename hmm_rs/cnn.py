"""The 16-layer convolutional network, its images and its training: their public address."""

from .networks.convolutional import (
    CNN,
    CNNFlow,
    ParitySets,
    digits,
    load_idx,
    parity_sets,
)

__all__ = [
    "CNN",
    "CNNFlow",
    "ParitySets",
    "digits",
    "load_idx",
    "parity_sets",
]
