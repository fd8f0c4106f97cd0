"""Kernels of networks in closed form and at finite width, and what one reads off a kernel."""

from .closed import laplace, ntk
from .finite import memory_estimate, network_ntk
from .positive import positive_gram
from .statistics import (
    intrinsic_dimension,
    kernel_change,
    kernel_statistics,
    label_projections,
    mutual_information,
)
from .svc import SupportVectors, svc

__all__ = [
    "SupportVectors",
    "intrinsic_dimension",
    "kernel_change",
    "kernel_statistics",
    "label_projections",
    "laplace",
    "memory_estimate",
    "mutual_information",
    "network_ntk",
    "ntk",
    "positive_gram",
    "svc",
]
