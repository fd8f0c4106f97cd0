"""What one reads off a network or a sample."""

from . import compression, equivalence, labels

__all__ = ["compression", "equivalence", "labels"]
