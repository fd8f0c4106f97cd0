"""Learning curves of full-batch learning, measured and laid beside the replica theory."""

from ...data.features import GaussianFeatures, SampledFeatures
from .curve import full_batch_curve
from .judgement import agreement, finite_size_allowance

__all__ = [
    "GaussianFeatures",
    "SampledFeatures",
    "agreement",
    "finite_size_allowance",
    "full_batch_curve",
]
