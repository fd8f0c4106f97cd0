"""Figures beyond the papers: optimal baselines, least squares along training, and rates that fall."""

from .annealing import CARDS as _ANNEALING
from .optimal import CARDS as _OPTIMAL
from .training_time import CARDS as _TRAINING_TIME

__all__ = ["CARDS"]

CARDS = (*_OPTIMAL, *_TRAINING_TIME, *_ANNEALING)
