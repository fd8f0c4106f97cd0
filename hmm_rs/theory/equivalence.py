"""Gaussian equivalence as numbers: the public address of :mod:`hmm_rs.measure.equivalence` and its experiments."""

from ..experiments.diagnosis import diagnose
from ..experiments.gaussian_rates import rates
from ..measure.equivalence import (
    conditions,
    crude_bound,
    excess_kurtosis,
    kappas,
    kernel,
    kolmogorov_distance,
    mmd2,
    skewness,
    stein_bound,
    stein_kernel,
    test_gaussian_equivalence,
)

__all__ = [
    "conditions",
    "crude_bound",
    "diagnose",
    "excess_kurtosis",
    "kappas",
    "kernel",
    "kolmogorov_distance",
    "mmd2",
    "rates",
    "skewness",
    "stein_bound",
    "stein_kernel",
    "test_gaussian_equivalence",
]
