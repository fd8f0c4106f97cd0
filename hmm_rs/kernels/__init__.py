"""Kernels of networks in closed form and at finite width, and what one reads off a kernel."""

from .statistics import (
    SupportVectors,
    intrinsic_dimension,
    kernel_change,
    kernel_statistics,
    label_projections,
    laplace,
    memory_estimate,
    mutual_information,
    network_ntk,
    ntk,
    positive_gram,
    svc,
)

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
