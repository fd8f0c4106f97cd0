"""Learning curves of full-batch learning, measured and laid beside the replica theory."""

from ...data.features import GaussianFeatures, SampledFeatures
from .curve import full_batch_curve
from .in_time import least_squares_runs
from .judgement import agreement, finite_size_allowance
from .message_passing import amp_curve

__all__ = [
    "GaussianFeatures",
    "SampledFeatures",
    "agreement",
    "amp_curve",
    "finite_size_allowance",
    "full_batch_curve",
    "least_squares_runs",
]
