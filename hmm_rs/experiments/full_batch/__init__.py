"""Learning curves of full-batch learning, measured and laid beside the replica theory."""

from ...data.features import GaussianFeatures, SampledFeatures
from .agreement import agreement, finite_size_allowance
from .curve import full_batch_curve

__all__ = [
    "GaussianFeatures",
    "SampledFeatures",
    "agreement",
    "finite_size_allowance",
    "full_batch_curve",
]
