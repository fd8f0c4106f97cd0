"""Kernels and networks of the package as scikit-learn estimators.

They pass ``sklearn.utils.estimator_checks.check_estimator`` and so go into pipelines, grid searches and
cross-validation. :class:`hmm_rs.FullBatch`, made without examples, is an estimator of the same kind.
"""

from ..ground.extras import extra

# Base classes are needed to define ours: without scikit-learn this room says so when it is entered.
extra("sklearn", of="sklearn", needed_by="hr.sklearn")

from .classifiers import MeanFieldClassifier, NTKClassifier  # noqa: E402
from .features import RandomFeatures  # noqa: E402

__all__ = ["MeanFieldClassifier", "NTKClassifier", "RandomFeatures"]
