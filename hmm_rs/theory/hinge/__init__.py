"""Mean-field theory of the hinge loss."""

from .limits import lazy_master, rich_front
from .mean_field import HingeMeanField
from .projections import ProjectedMeanField

__all__ = [
    "HingeMeanField",
    "ProjectedMeanField",
    "lazy_master",
    "rich_front",
]
