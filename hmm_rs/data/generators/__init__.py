"""Generators: random layers, shipped networks, files of other tools, and a user's own function."""

from .layers import (
    CovarianceEstimate,
    Generator,
    digits_convolutional,
    digits_flow,
    estimate_covariances,
    from_callable,
    from_onnx,
    from_safetensors,
    from_torch,
    random_layers,
    read_safetensors,
)

__all__ = [
    "CovarianceEstimate",
    "Generator",
    "digits_convolutional",
    "digits_flow",
    "estimate_covariances",
    "from_callable",
    "from_onnx",
    "from_safetensors",
    "from_torch",
    "random_layers",
    "read_safetensors",
]
