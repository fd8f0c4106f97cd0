"""Figures of Gaussian equivalence (Goldt et al., arXiv:2006.14709) and Gaussian covariates (Loureiro et al., 2021)."""

from ..card import Card
from . import absent, full_batch, one_layer, pre_learned, random_deep, theorem, trained

__all__ = ["CARDS"]

CARDS: tuple[Card, ...] = (
    one_layer.CARD,
    random_deep.CARD,
    trained.CARD,
    theorem.CARD,
    full_batch.CARD,
    pre_learned.CARD,
    absent.CARD,
)
