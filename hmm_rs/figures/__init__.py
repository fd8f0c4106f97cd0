"""Published figures, reproduced: here simulation and theory meet."""

from . import beyond, compression, equivalence, hidden_manifold, hinge
from .card import Card, Scale
from .gallery import Gallery, gallery
from .registry import cards, names, run
from .reproduction import Reproduction, Row

__all__ = [
    "Card",
    "Gallery",
    "Reproduction",
    "Row",
    "Scale",
    "beyond",
    "cards",
    "compression",
    "equivalence",
    "gallery",
    "hidden_manifold",
    "hinge",
    "names",
    "run",
]
