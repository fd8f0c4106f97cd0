"""The published figures by name."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Literal

from ..ground.arguments import choice
from ..ground.errors import InvalidParameterError
from . import beyond, compression, equivalence, hidden_manifold, hinge
from .card import Card, Scale
from .reproduction import Reproduction

__all__ = ["cards", "names", "run"]

#: In the order of the gallery: by work, then as in the paper.
_CARDS: tuple[Card, ...] = (
    *hidden_manifold.CARDS,
    *equivalence.CARDS,
    *compression.CARDS,
    *hinge.CARDS,
    *beyond.CARDS,
)
_BY_NAME = {card.name: card for card in _CARDS}


def names() -> tuple[str, ...]:
    """Return the names of the figures that can be made.

    Returns
    -------
    tuple of str
        What :func:`run` takes.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> "hinge-1" in hr.figures.names()
    True
    """
    return tuple(card.name for card in _CARDS if card.make is not None)


def cards() -> tuple[Card, ...]:
    """Return what is known of every published figure, those included that cannot be made.

    Returns
    -------
    tuple of Card
        In the order of the gallery.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> {card.sureness for card in hr.figures.cards()} <= {"high", "medium", "low", "none"}
    True
    """
    return _CARDS


def run(
    name: str, *, scale: Literal["small", "paper"] = "small", out: str | Path | None = None
) -> Reproduction:
    """Make one published figure: its data, its picture, and its table of theory against simulation.

    Parameters
    ----------
    name
        One of :func:`names`.
    scale
        "small" takes at most two minutes on two cores; "paper" uses the paper's sizes.
    out
        Folder to write picture, table and data into, and to keep checkpoints of long runs in: called again after an
        interruption, a figure goes on from them. None: nothing is written.

    Returns
    -------
    Reproduction
        Unpacks into ``data, picture, table``.

    Raises
    ------
    InvalidParameterError
        If there is no such figure, it cannot be made, or `out` cannot be written.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> data, picture, table = hr.figures.run("hinge-3")  # doctest: +SKIP
    """
    card = _BY_NAME[choice("name", name, tuple(_BY_NAME))]
    size = Scale.of(scale)
    if card.make is None:
        raise InvalidParameterError(
            f"name = {name!r}: cannot be made ({card.missing}); choose one of hmm_rs.figures.names()"
        )
    folder = None if out is None else Path(out) / "checkpoints" / name / size.name
    start = time.perf_counter()
    data, picture, table = card.make(Scale(size.name, folder))
    made = Reproduction(
        card.name, card.title, size.name, data, picture, tuple(table), time.perf_counter() - start
    )
    if out is not None:
        made.save(out)
    return made
