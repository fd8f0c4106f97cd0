"""Generators of inputs: the public address of :mod:`hmm_rs.data.generators`."""

from .data.generators import (
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
