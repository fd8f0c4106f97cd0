"""Figures beyond the papers: optimal baselines, least squares along training, rates that fall, features in clusters."""

from .annealing import CARDS as _ANNEALING
from .clusters import CARDS as _CLUSTERS
from .optimal import CARDS as _OPTIMAL
from .training_time import CARDS as _TRAINING_TIME

__all__ = ["CARDS"]

CARDS = (*_OPTIMAL, *_TRAINING_TIME, *_ANNEALING, *_CLUSTERS)
