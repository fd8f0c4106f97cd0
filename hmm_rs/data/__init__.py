"""Models of data: frozen descriptions a user writes down, and sampling from them."""

from .gaussian import GaussianEquivalent, TeacherStudent
from .hidden_manifold import HiddenManifold
from .manifolds import Cylinder, SingleInterface, Sphere, Stripe

__all__ = [
    "Cylinder",
    "GaussianEquivalent",
    "HiddenManifold",
    "SingleInterface",
    "Sphere",
    "Stripe",
    "TeacherStudent",
]
