"""The 16-layer convolutional network of the compression study, on JAX (extra ``[cnn]``).

Images, labelled by the parity of their class, learnt by the same gradient flow, controller and stopping
rules as :class:`hmm_rs.GradientFlow`; tangent kernels by automatic differentiation. Runs on whatever device
JAX sees.

Source: Paccolat, Petrini, Geiger, Tyloo & Wyart, J. Stat. Mech. 2021, 044001, and its public code.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .. import _lib
from ..data.images import digits as digit_images
from ..data.images import read_idx as load_idx
from ..dynamics.driver import Observation
from ..dynamics.gradient_flow import _Flow, _labels, _test_set
from ..ground.arguments import array, choice, count
from ..ground.errors import HmmError, InvalidParameterError, ShapeError

__all__ = ["CNN", "CNNFlow", "ParitySets", "digits", "load_idx", "parity_sets"]

Array = npt.NDArray[Any]


def _jax() -> Any:
    try:
        import jax
    except ImportError:
        raise HmmError("hr.cnn needs JAX; pip install 'hmm_rs[cnn]'") from None
    return jax


# -- data ------------------------------------------------------------------------------------------


def digits() -> tuple[Array, Array]:
    """Return scikit-learn's 1797 digits: images (1797, 8, 8) and classes."""
    found = digit_images()
    # Back to the 17 grey levels of the data set: exact, they were divided by a power of two.
    return 16.0 * found.X.reshape(-1, 8, 8), found.classes


class ParitySets(NamedTuple):
    """Three disjoint sets, each a pair (images (P, height, width), labels +1 and -1)."""

    train: tuple[Array, Array]
    kernel: tuple[Array, Array]
    test: tuple[Array, Array]


def parity_sets(
    images: npt.ArrayLike, classes: npt.ArrayLike, *, train: int, kernel: int, test: int, seed: int = 0
) -> ParitySets:
    """Cut images into balanced training, kernel and test sets, labelled by the parity of their class.

    The mean image is subtracted and each image scaled to norm sqrt(pixels); the label is +1 for even
    classes. Each class is shuffled and one of each is taken in turn; the test set is cut first, then the
    kernel set, then the training set.

    Parameters
    ----------
    images, classes
        Shapes (P, height, width) and (P,).
    train, kernel, test
        Sizes.
    seed
        Of the shuffles.

    Examples
    --------
    >>> from hmm_rs import cnn
    >>> sets = cnn.parity_sets(*cnn.digits(), train=50, kernel=20, test=100)
    >>> sets.train[0].shape
    (50, 8, 8)
    """
    pictures = array("images", images, (None, None, None), rule="(images, height, width)")
    names = np.asarray(classes)
    if names.shape != (len(pictures),):
        raise ShapeError(f"classes has shape {names.shape}: must be ({len(pictures)},); pass one per image")
    sizes = [count(name, n) for name, n in (("test", test), ("kernel", kernel), ("train", train))]
    generator = np.random.default_rng(seed)
    queues = [generator.permutation(np.flatnonzero(names == name)) for name in np.unique(names)]
    shortest = min(map(len, queues))
    order = np.column_stack([queue[:shortest] for queue in queues]).ravel()
    if sum(sizes) > len(order):
        raise InvalidParameterError(
            f"train + kernel + test = {sum(sizes)}: only {len(order)} images make balanced sets; ask for fewer"
        )
    centred = pictures - pictures.mean(axis=0)
    norms = np.sqrt((centred**2).mean(axis=(1, 2), keepdims=True))
    centred /= np.where(norms > 0, norms, 1.0)
    parity = np.where(names % 2 == 0, 1.0, -1.0)
    cuts = np.split(order[: sum(sizes)], np.cumsum(sizes)[:-1])
    tests, kernels, trains = ((centred[cut], parity[cut]) for cut in cuts)
    return ParitySets(trains, kernels, tests)


# -- the network -----------------------------------------------------------------------------------


def _swish_scale() -> float:
    """Return the factor that gives E act(N(0, 1))^2 = 1, 1.6766, by quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    return float(((weights / weights.sum()) @ (nodes / (1 + np.exp(-nodes))) ** 2) ** -0.5)


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
        for name in ("h", "height", "width"):
            count(name, getattr(self, name))
        if self.stem_stride is not None:
            count("stem_stride", self.stem_stride)

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
        theta = np.random.default_rng(seed).normal(size=self.parameters)
        theta[-1] = 0.0
        return theta

    @cached_property
    def _forward(self) -> Callable[[Any, Any], Any]:
        """The output f of images (P, height, width) as a function of flat parameters, traceable by JAX."""
        jax = _jax()
        scale = _swish_scale()

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

    def _images(self, X: npt.ArrayLike, name: str = "X") -> Array:
        shape = (None, self.height, self.width)
        return array(name, X, shape, rule="(images, height, width)", dtype=np.float32)

    def forward(self, theta: npt.ArrayLike, X: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return f of every image, shape (P,)."""
        images = self._images(X)
        weights = array("theta", theta, (self.parameters,), dtype=np.float32)
        return np.asarray(self._compiled(weights, images), dtype=np.float64)

    @cached_property
    def _compiled(self) -> Any:
        return _jax().jit(self._forward)

    def kernel(
        self,
        theta: npt.ArrayLike,
        X: npt.ArrayLike,
        Y: npt.ArrayLike | None = None,
        *,
        part: str = "full",
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
        jax = _jax()
        kept = 20 * self.h + 1 if part == "last" else self.parameters
        weights = array("theta", theta, (self.parameters,), dtype=np.float32)

        def single(theta: Any, image: Any) -> Any:
            return self._forward(theta, image[None])[0]

        gradients = jax.jit(jax.vmap(jax.grad(single), (None, 0)))

        def jacobian(images: Array) -> npt.NDArray[np.float64]:
            parts = [
                np.asarray(gradients(weights, images[i : i + block]), dtype=np.float64)[:, -kept:]
                for i in range(0, len(images), block)
            ]
            return np.concatenate(parts)

        left = jacobian(self._images(X))
        right = left if Y is None else jacobian(self._images(Y, "Y"))
        return np.asarray(left @ right.T)


class CNNFlow(_Flow):
    """Gradient flow of a :class:`CNN`: F = alpha (f - f_0), the losses, controllers and rules of GradientFlow.

    Parameters
    ----------
    network, theta
        The network and its parameters at the start; `theta=None` draws them with `seed`.
    X, y
        Images (p, height, width) and labels +1, -1.
    X_test, y_test
        Test set for ``test_error``.
    loss, alpha, margin, loss_beta, max_dout, max_dw, max_dgrad, controller
        As in :class:`hmm_rs.GradientFlow`, with the published values of the image runs as defaults. The
        chattering controller replaces the published one, which can freeze; the published momentum is
        left out.

    Notes
    -----
    Outputs and gradients are computed in single precision by JAX, steps in double precision by the
    compiled flow; checkpoints, statuses and results are those of every driver.

    Examples
    --------
    >>> from hmm_rs import cnn
    >>> sets = cnn.parity_sets(*cnn.digits(), train=20, kernel=10, test=20)
    >>> flow = cnn.CNNFlow(cnn.CNN(1, 8, 8), *sets.train)
    >>> result = flow.run(max_steps=2)
    >>> int(result.step[-1])
    2
    """

    def __init__(
        self,
        network: CNN,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        *,
        theta: npt.ArrayLike | None = None,
        loss: str = "softhinge",
        alpha: float = 2e-3,
        margin: float = 1.0,
        loss_beta: float = 3.0,
        max_dout: float = 0.1,
        max_dw: float = 0.01,
        max_dgrad: float = 1e-3,
        controller: str = "chatter",
        X_test: npt.ArrayLike | None = None,
        y_test: npt.ArrayLike | None = None,
        seed: Any = 0,
    ) -> None:
        jax = _jax()
        images = network._images(X)
        labels = _labels("y", y, len(images))
        start = array("theta", network.initial(seed) if theta is None else theta, (network.parameters,))
        tests = None if X_test is None else network._images(X_test, "X_test")
        flat = None if tests is None else tests.reshape(len(tests), -1)
        _, self._y_test = _test_set("X_test", flat, y_test, network.height * network.width)
        settings, options = self._common(
            loss=loss,
            alpha=alpha,
            margin=margin,
            loss_beta=loss_beta,
            max_dout=max_dout,
            max_dw=max_dw,
            max_dgrad=max_dgrad,
            controller=controller,
            method="euler",
            rtol=1.0,
            atol=1.0,
            subtract_f0=True,
        )
        for name in ("method", "rtol", "atol"):
            del options[name]
        self._arguments = {
            "network": network,
            "X": images,
            "y": labels,
            "theta": start,
            **options,
            "X_test": tests,
            "y_test": self._y_test,
            "seed": seed,
        }
        self.architecture = network
        self._tests = tests
        self._initial_test = None if tests is None else network.forward(start, tests)
        forward = network._forward
        outputs = jax.jit(lambda theta: forward(theta, images))

        gradient = jax.jit(
            lambda theta, slopes: jax.vjp(lambda theta: forward(theta, images), theta)[1](slopes)[0]
        )
        self._stepper = _lib.GradientFlow.functions(
            settings,
            outputs=lambda theta: np.asarray(outputs(theta.astype(np.float32)), dtype=np.float64),
            gradient=lambda theta, slopes: np.asarray(
                gradient(theta.astype(np.float32), slopes.astype(np.float32)), dtype=np.float64
            ),
            theta=start,
            y=labels,
        )

    @property
    def theta(self) -> npt.NDArray[np.float64]:
        """Present parameters."""
        return self._stepper.theta()

    @property
    def events(self) -> Mapping[str, tuple[float, npt.NDArray[np.float64]]]:
        """Time and parameters at ``t_star``, ``margin_0``, ``margin_half``, ``margin_1``, if reached."""
        return {name: (t, theta) for name, (_, t, theta) in self._stepper.events().items()}

    def test_predictions(self, *, threads: int | None = None) -> npt.NDArray[np.float64] | None:
        """Return F of the test images, or None without a test set (`threads` is JAX's own affair)."""
        del threads
        if self._tests is None or self._initial_test is None:
            return None
        alpha: float = self._arguments["alpha"]
        return alpha * (self.architecture.forward(self.theta, self._tests) - self._initial_test)

    def _measure(self) -> Observation:
        return {}
