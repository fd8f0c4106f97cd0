"""Published figures of the hidden manifold that cannot be made."""

from __future__ import annotations

from ..card import Card

__all__ = ["CARDS"]

CARDS = (
    Card(
        "hidden-manifold-1",
        "hidden manifold",
        "Images lie on a manifold",
        "A concept picture: images of CIFAR10 on a curved sheet in the space of all pictures.",
        "none.",
        "high",
        None,
        "Nothing is computed in it.",
    ),
    Card(
        "hidden-manifold-4",
        "hidden manifold",
        "Figure 4",
        "Its content is not known to us.",
        "Not known.",
        "none",
        None,
        "The text of the paper was not at hand.",
    ),
    Card(
        "hidden-manifold-6",
        "hidden manifold",
        "Figure 6",
        "Its content is not known to us.",
        "Not known.",
        "none",
        None,
        "The text of the paper was not at hand.",
    ),
)
