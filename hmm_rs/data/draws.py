"""Random numbers for what is measured on samples: drawn here, with the data, and nowhere to the right."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ground.arguments import seed_words

__all__ = ["generator"]


def generator(seed: Any, *purpose: int) -> np.random.Generator:
    """Return numpy's generator of the words of `seed`, apart from all others by the numbers of `purpose`."""
    words = seed_words(seed)
    return np.random.default_rng([*words.tolist(), *purpose] if purpose else words)
