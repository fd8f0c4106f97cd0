"""Noise on a teacher's field has one meaning everywhere: a standard deviation."""

from __future__ import annotations

import warnings
from typing import Any

from .arguments import number

__all__ = ["deviation"]

#: Whether the change of meaning was announced in this process.
_announced = False


def deviation(noise: Any, *, depth: int = 3) -> float:
    """Return the checked standard deviation; say once where it used to be a variance.

    The replica theory and its experiment took a variance up to version 0.1. `depth` is the stack level of the user's
    line, seen from here.
    """
    global _announced
    checked = number("noise", noise, minimum=0.0)
    # Zero and one are their own squares.
    if checked not in (0.0, 1.0) and not _announced:
        _announced = True
        warnings.warn(
            f"noise = {checked:g} is a standard deviation here as everywhere in hmm_rs; up to version 0.1 full-batch "
            "learning and its theory took it for a variance: pass the square root of what you passed before",
            FutureWarning,
            stacklevel=depth,
        )
    return checked
