"""Full-batch learning: fits with a certificate, and the address of the curves made of them."""

import importlib
from typing import TYPE_CHECKING, Any

from ...data.features import GaussianFeatures, SampledFeatures
from .fit import FullBatch

if TYPE_CHECKING:
    from ...experiments.full_batch import agreement, finite_size_allowance, full_batch_curve

__all__ = [
    "FullBatch",
    "GaussianFeatures",
    "SampledFeatures",
    "agreement",
    "finite_size_allowance",
    "full_batch_curve",
]

#: Names of the experiment, which stands further right; imported at first use.
_DOORS = ("agreement", "finite_size_allowance", "full_batch_curve")


def __getattr__(name: str) -> Any:
    if name in _DOORS:
        return getattr(importlib.import_module("hmm_rs.experiments.full_batch"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
