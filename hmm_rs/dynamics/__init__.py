"""Drivers: the simulations a user runs."""

from .driver import Driver, logtimes, resume
from .online_sgd import OnlineSGD

__all__ = ["Driver", "OnlineSGD", "logtimes", "resume"]
