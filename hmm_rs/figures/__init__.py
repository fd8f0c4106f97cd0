"""Published figures, reproduced: here simulation and theory meet."""

from . import compression, hinge
from .card import Card, Scale
from .gallery import gallery
from .registry import cards, names, run
from .reproduction import Reproduction, Row

__all__ = ["Card", "Reproduction", "Row", "Scale", "cards", "compression", "gallery", "hinge", "names", "run"]
