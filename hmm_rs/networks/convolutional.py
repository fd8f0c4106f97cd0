"""The 16-layer convolutional network of the compression study, on JAX (extra ``[cnn]``).

Tangent kernels by automatic differentiation. Runs on whatever device JAX sees; JAX is imported once a network computes.

Source: Paccolat, Petrini, Geiger, Tyloo & Wyart, J. Stat. Mech. 2021, 044001, and its public code.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..ground.arguments import array, choice, count
from ..ground.arguments import seed as checked_seed
from ..ground.extras import extra
from ..ground.linear_algebra import gram, product

__all__ = ["CNN", "jax_module", "swish_scale"]

Array = npt.NDArray[Any]


def jax_module() -> Any:
    """Return JAX, or say how to get it."""
    return extra("jax", of="cnn", needed_by="hr.cnn")


def swish_scale() -> float:
    """Return the factor that gives E act(N(0, 1))^2 = 1, 1.6766, by quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    square = (nodes / (1 + np.exp(-nodes))) ** 2
    return float(np.sum(weights / weights.sum() * square) ** -0.5)


@dataclass(frozen=True)
class CNN:
    """Sixteen convolutions and a classifier, all weights N(0, 1) at the start and used as w/sqrt(fan-in).

    Stem 5x5 to 4h channels; depthwise 5x5 and 1x1 to 2h; two blocks of two inverted residuals of widths h
    and 3h (expand to three times the channels, depthwise 5x5, project without activation), the first
    of each with stride 2; 1x1 to 20h; mean over pixels; classifier w/fan-in and a bias that starts at
    zero. Activation: swish, scaled to unit second moment.

    Parameters
    ----------
    h
        Width.
    height, width
        Of the images.
    stem_stride
        2 for 28 x 28 images. None: 2, or 1 for images below 16 pixels, where the blocks' strides leave
        enough to average over.

    Examples
    --------
    >>> from hmm_rs import cnn
    >>> cnn.CNN(2).parameters, cnn.CNN(10).parameters
    (2123, 23251)
    """

    h: int
    height: int = 28
    width: int = 28
    stem_stride: int | None = None

    def __post_init__(self) -> None:
        for name in ("h", "height", "width", "stem_stride"):
            if name != "stem_stride" or self.stem_stride is not None:
                object.__setattr__(self, name, count(name, getattr(self, name)))

    def __reduce__(self) -> tuple[Any, ...]:
        # Compiled functions that are kept with the object cannot be pickled.
        return CNN, (self.h, self.height, self.width, self.stem_stride)

    @cached_property
    def _layers(self) -> tuple[tuple[tuple[int, int, int, int], int, bool], ...]:
        """Kernel shape (k, k, inputs per group, outputs), stride, whether an activation follows."""
        h = self.h
        stem = self.stem_stride or (2 if min(self.height, self.width) >= 16 else 1)
        layers = [
            ((5, 5, 1, 4 * h), stem, True),
            ((5, 5, 1, 4 * h), 1, True),
            ((1, 1, 4 * h, 2 * h), 1, True),
        ]
        inputs = 2 * h
        for block in range(2):
            for which in range(2):
                wide, outputs = 3 * inputs, (2 * block + 1) * h
                layers += [
                    ((1, 1, inputs, wide), 1, True),
                    ((5, 5, 1, wide), 1 + (which == 0), True),
                    ((1, 1, wide, outputs), 1, False),
                ]
                inputs = outputs
        return (*layers, ((1, 1, inputs, 20 * h), 1, True))

    @property
    def parameters(self) -> int:
        """Number of parameters."""
        return sum(math.prod(shape) for shape, _, _ in self._layers) + 20 * self.h + 1

    def initial(self, seed: Any = 0) -> npt.NDArray[np.float64]:
        """Return parameters at the start, one flat array: kernels in order, classifier, bias."""
        theta = np.random.default_rng(checked_seed(seed)).normal(size=self.parameters)
        theta[-1] = 0.0
        return theta

    @cached_property
    def traceable(self) -> Callable[[Any, Any], Any]:
        """The output f of images (P, height, width) as a function of flat parameters, traceable by JAX."""
        jax = jax_module()
        scale = swish_scale()

        def convolve(x: Any, kernel: Any, stride: int, depthwise: bool) -> Any:
            k, _, fan, _ = kernel.shape
            return jax.lax.conv_general_dilated(
                x,
                kernel / math.sqrt(k * k * fan),
                (stride, stride),
                [(k // 2, k // 2)] * 2,
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
                feature_group_count=x.shape[-1] if depthwise else 1,
            )

        def forward(theta: Any, images: Any) -> Any:
            x, offset, residual = images[..., None], 0, None
            for i, (shape, stride, active) in enumerate(self._layers):
                size = math.prod(shape)
                kernel = theta[offset : offset + size].reshape(shape)
                offset += size
                # Inverted residuals are layers 3 to 14, three at a time.
                if 3 <= i < 15 and i % 3 == 0:
                    residual = x
                x = convolve(x, kernel, stride, depthwise=i > 0 and shape[0] == 5)
                if active:
                    x = scale * x * jax.nn.sigmoid(x)
                elif residual is not None and residual.shape == x.shape:
                    x = (x + residual) / math.sqrt(2.0)
            features = x.mean(axis=(1, 2))
            return features @ theta[offset:-1] / features.shape[1] + theta[-1]

        return forward

    def images(self, X: npt.ArrayLike, name: str = "X") -> Array:
        """Return images of the network's size in single precision."""
        shape = (None, self.height, self.width)
        return array(name, X, shape, rule="(images, height, width)", dtype=np.float32)

    def forward(self, theta: npt.ArrayLike, X: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return f of every image, shape (P,)."""
        images = self.images(X)
        weights = array("theta", theta, (self.parameters,), dtype=np.float32)
        return np.asarray(self._compiled(weights, images), dtype=np.float64)

    @cached_property
    def _compiled(self) -> Any:
        return jax_module().jit(self.traceable)

    @cached_property
    def _pullback(self) -> Any:
        """Gradient of sum_mu slopes_mu f(x_mu), a function of (theta, images, slopes), compiled once for each shape."""
        jax = jax_module()
        forward = self.traceable

        def pullback(theta: Any, images: Any, slopes: Any) -> Any:
            return jax.vjp(lambda theta: forward(theta, images), theta)[1](slopes)[0]

        return jax.jit(pullback)

    @cached_property
    def _gradients(self) -> Callable[[Any, Any], Any]:
        """Gradients of the outputs of a block of images, compiled once for each size of block."""
        jax = jax_module()
        forward = self.traceable

        def single(theta: Any, image: Any) -> Any:
            return forward(theta, image[None])[0]

        compiled: Callable[[Any, Any], Any] = jax.jit(jax.vmap(jax.grad(single), (None, 0)))
        return compiled

    def kernel(
        self,
        theta: npt.ArrayLike,
        X: npt.ArrayLike,
        Y: npt.ArrayLike | None = None,
        *,
        part: Literal["full", "last"] = "full",
        block: int = 64,
    ) -> npt.NDArray[np.float64]:
        """Return the tangent kernel, shape (P, Q), at parameters `theta`.

        Parameters
        ----------
        theta
            Parameters.
        X, Y
            Images; `Y=None` stands for `X`.
        part
            "full", or "last": the classifier's weights and bias alone.
        block
            Images differentiated at a time.
        """
        choice("part", part, ("full", "last"))
        block = count("block", block)
        gradients = self._gradients
        kept = 20 * self.h + 1 if part == "last" else self.parameters
        weights = array("theta", theta, (self.parameters,), dtype=np.float32)

        def jacobian(images: Array) -> npt.NDArray[np.float64]:
            parts = [
                np.asarray(gradients(weights, images[i : i + block]), dtype=np.float64)[:, -kept:]
                for i in range(0, len(images), block)
            ]
            return np.concatenate(parts)

        left = jacobian(self.images(X))
        kernel = gram(left) if Y is None else product(left, jacobian(self.images(Y, "Y")).T)
        return np.asarray(kernel, dtype=np.float64)
