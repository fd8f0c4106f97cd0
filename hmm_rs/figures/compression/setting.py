"""What the figures of the compression study share."""

from __future__ import annotations

from typing import Any

from ...theory import attractors, compression_time

__all__ = ["ALPHA", "LAG", "LAG_WHY", "WORK", "fastest", "first_fit"]

WORK = "geometric compression"
#: Scale of the predictor in the feature regime.
ALPHA = 1e-6
#: Explicit Euler steps that change the weights by up to .01 lag behind the flow: by half of that in the growth of the
#: mean neuron, by more for the fastest, whose share of the norm is small. Beside the high-order integrator
#: (method="rk", steps of .02) growth lagged by 2.8 to 4.3 %, in proportion to the step.
LAG = 0.02
LAG_WHY = "Euler steps of at most .01 of the weights lag by up to 2 %"


def fastest(d: int) -> dict[str, Any]:
    """Return the attractor of the stripe whose neurons grow fastest: they dominate the network."""
    return max(attractors(d), key=lambda point: float(point["growth"]))


def first_fit(d: int, h: int) -> float:
    """Return the leading logarithm of t*, when the first points are fitted."""
    return compression_time(h, ALPHA, fastest(d)["growth"])
