r"""Deep generators: inputs :math:`x = G(c)` of latents :math:`c \sim N(0, 1_D)`.

Random stacks of layers, user's functions and trained networks. Every generator is a model of data like
:class:`hmm_rs.HiddenManifold`: it can be sampled, learnt from (:class:`hmm_rs.OnlineSGD`,
:class:`hmm_rs.FullBatch`), and its covariances, estimated by a stream of samples, go into
:class:`hmm_rs.theory.CovarianceODE` and :class:`hmm_rs.theory.replica.Spectrum`.

Goldt et al., "The Gaussian equivalence of generative models for learning with shallow neural networks" (2020).

Examples
--------
>>> import hmm_rs as hr
>>> model = hr.generators.random_layers([20, 40, 60], "sign", seed=1)
>>> X, C = model.sample(5)
>>> X.shape, C.shape
((5, 60), (5, 20))
"""

from .base import Generator
from .callable import from_callable
from .estimate import CovarianceEstimate, estimate_covariances
from .onnx import from_onnx
from .random import random_layers
from .safetensors import from_safetensors, read_safetensors
from .shipped import digits_convolutional, digits_flow
from .torch import from_torch

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
