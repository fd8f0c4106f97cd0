"""Models of data: frozen descriptions a user writes down, and sampling from them."""

from .gaussian import GaussianEquivalent, TeacherStudent
from .hidden_manifold import HiddenManifold
from .labelled import GaussianMixture, LinearlySeparable, UniformSphere
from .manifolds import Cylinder, SingleInterface, Sphere, Stripe
from .stored import StoredSamples

__all__ = [
    "Cylinder",
    "GaussianEquivalent",
    "GaussianMixture",
    "HiddenManifold",
    "LinearlySeparable",
    "SingleInterface",
    "Sphere",
    "StoredSamples",
    "Stripe",
    "TeacherStudent",
    "UniformSphere",
]
