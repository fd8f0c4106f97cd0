"""Drivers: the simulations a user runs."""

from .driver import Driver, logtimes, resume
from .full_batch import FullBatch
from .online_sgd import OnlineSGD
from .particles import Particles

__all__ = ["Driver", "FullBatch", "OnlineSGD", "Particles", "logtimes", "resume"]
