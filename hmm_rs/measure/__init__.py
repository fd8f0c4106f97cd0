"""What one reads off a network or a sample."""

from . import compression, equivalence

__all__ = ["compression", "equivalence"]
