"""Named schedules of rates: the public address of :mod:`hmm_rs.ground.schedules`."""

from .ground.schedules import Constant, Cosine, Power, Schedule, Step

__all__ = ["Constant", "Cosine", "Power", "Schedule", "Step"]
