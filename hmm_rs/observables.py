"""What one reads off a network or its data: their public address."""

from .measure.compression import (
    compression,
    conserved_quantity,
    neuron_alignment,
    neuron_points,
    temporal_regime,
)
from .measure.labels import label_direction

__all__ = [
    "compression",
    "conserved_quantity",
    "label_direction",
    "neuron_alignment",
    "neuron_points",
    "temporal_regime",
]
