"""Figures beyond the papers: optimal baselines, least squares along training, and the spread of single runs."""

from .fluctuations import CARDS as _FLUCTUATIONS
from .optimal import CARDS as _OPTIMAL
from .training_time import CARDS as _TRAINING_TIME

__all__ = ["CARDS"]

CARDS = (*_OPTIMAL, *_TRAINING_TIME, *_FLUCTUATIONS)
