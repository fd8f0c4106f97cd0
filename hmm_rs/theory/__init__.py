"""Theory: deterministic equations that answer with the tables the simulations return."""

from .hinge import HingeMeanField, ProjectedMeanField, lazy_master, rich_front

__all__ = ["HingeMeanField", "ProjectedMeanField", "lazy_master", "rich_front"]
