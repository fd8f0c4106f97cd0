"""Figures beyond the papers: optimal baselines, and least squares along training."""

from .optimal import CARDS as _OPTIMAL
from .training_time import CARDS as _TRAINING_TIME

__all__ = ["CARDS"]

CARDS = (*_OPTIMAL, *_TRAINING_TIME)
