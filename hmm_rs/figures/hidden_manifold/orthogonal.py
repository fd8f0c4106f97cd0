"""Features with a single eigenvalue: the cosine transform in the place of random ones."""

from __future__ import annotations

from ...data import HiddenManifold
from ..card import Card, Scale
from ..reproduction import Parts
from .learning_curve import compared

__all__ = ["CARD", "make"]


def make(scale: str | Scale = "small") -> Parts:
    """Return eps_g(t), Q(t), R(t) for N = D = 1023 and F the cosine transform; t <= 50 ("small") or 1000 ("paper")."""
    scale = Scale.of(scale)
    t_max, seeds = scale.pick(small=(50.0, 5), paper=(1000.0, 5))
    return compared(scale, HiddenManifold(1023, 1023, f="sign", F="dct", seed=1), t_max=t_max, seeds=seeds)


CARD = Card(
    "hidden-manifold-orthogonal",
    "hidden manifold",
    "Learning curve with orthogonal features",
    "As figure 3 for features with F F^T = D 1, whose spectrum is one point: the equations have one mode.",
    "N = D = 1023, K = M = 2, lr = .2, sign data, erf units. Published: a Hadamard matrix; ours: the cosine transform "
    "with random signs, since no Hadamard matrix of that size is known to the package.",
    "medium",
    make,
    "The number of the published figure is not known.",
)
