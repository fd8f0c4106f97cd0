"""Figures of the hidden manifold model (Goldt, Mézard, Krzakala & Zdeborová, Phys. Rev. X 10, 041044, 2020)."""

from ..card import Card
from . import (
    absent,
    growing_complexity,
    independent_students,
    learning_curve,
    learning_rate,
    manifold_dimension,
    memorisation,
    orthogonal,
    sketch,
    students,
)

__all__ = ["CARDS"]

#: In the order of the paper, those of unknown number after those they are like.
CARDS: tuple[Card, ...] = (
    absent.CARDS[0],
    sketch.CARD,
    learning_curve.CARD,
    orthogonal.CARD,
    absent.CARDS[1],
    manifold_dimension.CARD,
    learning_rate.CARD,
    absent.CARDS[2],
    students.CARD,
    growing_complexity.CARD,
    independent_students.CARD,
    memorisation.CARD,
)
