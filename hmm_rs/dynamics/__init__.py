"""Drivers: the simulations a user runs."""

from .driver import Driver, logtimes, resume
from .full_batch import FullBatch
from .online_sgd import OnlineSGD

__all__ = ["Driver", "FullBatch", "OnlineSGD", "logtimes", "resume"]
