"""Generators that are torch modules."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ground.arguments import count
from ...ground.extras import extra
from .callable import CallableGenerator

__all__ = ["from_torch"]


class _Torch:
    """A torch module as a function of numpy arrays."""

    def __init__(self, module: Any, D: int, shape: tuple[int, ...] | None) -> None:
        self.torch, self.module, self.shape = (
            extra("torch", of="", needed_by="from_torch"),
            module.eval(),
            shape or (D,),
        )
        parameter = next(iter(module.parameters()), None)
        self.dtype = self.torch.float32 if parameter is None else parameter.dtype
        self.device = "cpu" if parameter is None else parameter.device

    def __call__(self, latents: Any) -> Any:
        with self.torch.no_grad():
            block = self.torch.as_tensor(np.ascontiguousarray(latents), dtype=self.dtype, device=self.device)
            out = self.module(block.reshape(-1, *self.shape))
            return out.reshape(len(latents), -1).double().cpu().numpy()


def from_torch(
    module: Any, D: int, *, shape: tuple[int, ...] | None = None, center: bool = True
) -> CallableGenerator:
    """Return a generator from a torch module.

    Parameters
    ----------
    module
        Any ``torch.nn.Module``; put into evaluation mode. Outputs are flattened.
    D
        Number of latents.
    shape
        Shape of one sample of latents, (D,) by default; (D, 1, 1) for a DCGAN.
    center
        Subtract the mean of the outputs.
    """
    return CallableGenerator(_Torch(module, count("D", D), shape), D, center=center)
