"""Mean-field theory of the hinge loss."""

from .mean_field import (
    HingeMeanField,
    ProjectedMeanField,
    lazy_master,
    rich_front,
)

__all__ = [
    "HingeMeanField",
    "ProjectedMeanField",
    "lazy_master",
    "rich_front",
]
