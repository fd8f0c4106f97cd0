"""Models of data: frozen descriptions a user writes down, and sampling from them."""

from .gaussian import GaussianEquivalent, TeacherStudent
from .hidden_manifold import HiddenManifold
from .labelled import GaussianMixture, LinearlySeparable, UniformSphere

__all__ = [
    "GaussianEquivalent",
    "GaussianMixture",
    "HiddenManifold",
    "LinearlySeparable",
    "TeacherStudent",
    "UniformSphere",
]
