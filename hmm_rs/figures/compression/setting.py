"""What the figures of the compression study share."""

from __future__ import annotations

from typing import Any

from ...theory import attractors, compression_time

__all__ = ["ALPHA", "WORK", "fastest", "first_fit"]

WORK = "geometric compression"
#: Scale of the predictor in the feature regime.
ALPHA = 1e-6


def fastest(d: int) -> dict[str, Any]:
    """Return the attractor of the stripe whose neurons grow fastest: they dominate the network."""
    return max(attractors(d), key=lambda point: float(point["growth"]))


def first_fit(d: int, h: int) -> float:
    """Return the leading logarithm of t*, when the first points are fitted."""
    return compression_time(h, ALPHA, fastest(d)["growth"])
