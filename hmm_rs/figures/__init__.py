"""Published figures, reproduced: here simulation and theory meet."""

from . import hinge

__all__ = ["hinge"]
