"""Generators that come with the package."""

from __future__ import annotations

from pathlib import Path

from .safetensors import from_safetensors
from .stack import LayerStack

__all__ = ["digits_convolutional", "digits_flow"]

_WEIGHTS = Path(__file__).parent / "weights"


def digits_flow(*, center: bool = True) -> LayerStack:
    """Return a normalising flow trained on scikit-learn's 8 x 8 digits (64 latents, 64 pixels in [0, 1]).

    Eight affine couplings, shipped with the package; ``training/train_digits.py`` makes it.

    Examples
    --------
    >>> X, C = digits_flow(center=False).sample(3)
    >>> X.shape
    (3, 64)
    """
    return _shipped("digits_flow", center=center)


def digits_convolutional(*, center: bool = True) -> LayerStack:
    """Return a convolutional generator (the layout of a DCGAN) trained on scikit-learn's 8 x 8 digits.

    20 latents, 64 pixels in [0, 1]; two transposed convolutions, trained on the energy distance;
    ``training/train_digits.py`` makes it.

    Examples
    --------
    >>> digits_convolutional().D
    20
    """
    return _shipped("digits_convolutional", center=center)


def _shipped(name: str, *, center: bool) -> LayerStack:
    """Return a generator that remembers its name: results need not repeat its weights."""
    made = from_safetensors(_WEIGHTS / f"{name}.safetensors", center=center)
    object.__setattr__(made, "_recipe", (name, {"center": center}))
    return made
