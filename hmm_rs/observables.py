"""What one reads off a network: the public address of :mod:`hmm_rs.measure.compression`."""

from .measure.compression import (
    compression,
    conserved_quantity,
    neuron_alignment,
    neuron_points,
    temporal_regime,
)

__all__ = [
    "compression",
    "conserved_quantity",
    "neuron_alignment",
    "neuron_points",
    "temporal_regime",
]
