"""Models of data: frozen descriptions a user writes down, and sampling from them."""

from .gaussian import GaussianEquivalent, TeacherStudent
from .hidden_manifold import HiddenManifold

__all__ = ["GaussianEquivalent", "HiddenManifold", "TeacherStudent"]
