"""Figures beyond the papers: baselines, least squares in time, falling rates, clusters, the spread of single runs."""

from .annealing import CARDS as _ANNEALING
from .clusters import CARDS as _CLUSTERS
from .fluctuations import CARDS as _FLUCTUATIONS
from .optimal import CARDS as _OPTIMAL
from .training_time import CARDS as _TRAINING_TIME

__all__ = ["CARDS"]

CARDS = (*_OPTIMAL, *_TRAINING_TIME, *_ANNEALING, *_FLUCTUATIONS, *_CLUSTERS)
