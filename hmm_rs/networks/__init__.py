"""Networks: weights are plain arrays in frozen descriptions."""

from .base import Network
from .mean_field import MeanFieldNetwork
from .two_layer import TwoLayer

__all__ = ["MeanFieldNetwork", "Network", "TwoLayer"]
