"""The one list of losses: names, aliases, and where each may stand.

The compiled crates have the same list of names (a test holds the two together) and formulas of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from .arguments import choice

__all__ = ["FLOW", "FULL_BATCH", "PARTICLES", "Loss", "loss"]

#: Every loss, "square" and "squared" being two names of one.
Loss = Literal["ridge", "square", "squared", "logistic", "hinge", "softhinge", "qhinge", "linear"]

#: Losses of full-batch learning: "ridge" on real targets, the others on labels ±1.
FULL_BATCH = ("ridge", "square", "logistic", "hinge")
#: Losses of particles.
PARTICLES = ("hinge", "squared", "logistic")
#: Losses of gradient flow.
FLOW = ("hinge", "softhinge", "qhinge", "linear")

_ALIASES = {"square": "squared", "squared": "square"}


def loss(argument: str, name: Any, allowed: Sequence[str]) -> str:
    """Return `name` in the spelling of `allowed`; refuse a loss that may not stand there.

    Examples
    --------
    >>> from hmm_rs.ground.losses import FULL_BATCH, loss
    >>> loss("loss", "squared", FULL_BATCH)
    'square'
    """
    if isinstance(name, str) and name not in allowed and _ALIASES.get(name) in allowed:
        return _ALIASES[name]
    return choice(argument, name, allowed)
