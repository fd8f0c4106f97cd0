"""Networks: weights are plain arrays in frozen descriptions."""

from typing import Any

import numpy.typing as npt

from ..ground.activations import CLOSED as UNITS
from ..ground.activations import UNITS as _FORMULAS
from ..ground.activations import activation as _checked
from ..ground.arguments import reals as _reals
from .base import Network
from .mean_field import MeanFieldNetwork
from .random_nodes import RandomNodes
from .two_layer import TwoLayer

__all__ = ["UNITS", "MeanFieldNetwork", "Network", "RandomNodes", "TwoLayer", "activation_function"]


def activation_function(activation: str, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return g(x) elementwise for a unit of two-layer networks: erf(x/√2), max(x, 0) or x."""
    name = _checked("activation", activation, UNITS)
    points = _reals("x", x, infinite=True)
    return _FORMULAS[name].value(
        points.astype("float32") if getattr(x, "dtype", None) == "float32" else points
    )
