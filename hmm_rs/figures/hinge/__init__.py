"""Figures of the hinge-loss study (Pellegrini & Biroli, NeurIPS 2020, arXiv:2006.11209).

The paper's full text was not at hand. The first figure follows its published caption; what the others
show is known from abstract and introduction, their parameters are ours.
"""

from ..reproduction import Row as Row
from . import finite_sample, finite_width, mislabelled, overfitting, planes, real_data, trajectories
from .finite_sample import early_error_of_finite_sets
from .finite_width import error_of_finite_width
from .mislabelled import mislabelled_examples
from .overfitting import overfitting_gap
from .planes import lazy_and_rich
from .real_data import realistic_data
from .trajectories import mean_field_trajectories

__all__ = [
    "CARDS",
    "early_error_of_finite_sets",
    "error_of_finite_width",
    "lazy_and_rich",
    "mean_field_trajectories",
    "mislabelled_examples",
    "overfitting_gap",
    "realistic_data",
]

#: As in the paper.
CARDS = (
    trajectories.CARD,
    planes.CARD,
    overfitting.CARD,
    mislabelled.CARD,
    real_data.CARD,
    finite_width.CARD,
    finite_sample.CARD,
)
