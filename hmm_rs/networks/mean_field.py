"""One-hidden-layer networks in the mean-field scaling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _lib
from ..ground import arguments
from ..ground.errors import ShapeError

__all__ = ["ACTIVATIONS", "MeanFieldNetwork"]

Array = npt.NDArray[Any]

#: Largest block of activations that :meth:`MeanFieldNetwork.forward` holds, in numbers.
_BLOCK = 1 << 23


def _erf_sqrt2(z: Array) -> Array:
    from scipy.special import erf

    return np.asarray(erf(z / np.sqrt(2.0)), dtype=z.dtype)


#: Activation functions by name: relu(z) = max(z, 0), sqrt2_relu(z) = sqrt(2) max(z, 0) (second moment one
#: on a standard normal), erf(z / sqrt 2), tanh(z).
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": lambda z: np.maximum(z, 0),
    "sqrt2_relu": lambda z: np.asarray(np.sqrt(2.0) * np.maximum(z, 0), dtype=z.dtype),
    "erf": _erf_sqrt2,
    "tanh": np.tanh,
}


@dataclass(frozen=True, eq=False)
class MeanFieldNetwork:
    r"""A network of many nodes whose output is their average.

    .. math:: f(x) = \frac1M \sum_{i=1}^M a_i\, g\!\left(\frac{w_i\cdot x}{\sqrt d} + b_i\right)

    Parameters
    ----------
    a
        Output weights, shape (M,).
    w
        Input weights, shape (M, d). Single precision is kept; anything else becomes double.
    b
        Biases, shape (M,), or None for none.
    activation
        "relu" (hinge study), "sqrt2_relu" (compression study), "erf" (meaning erf(z/sqrt 2)) or "tanh".

    Notes
    -----
    The scaling 1/M with weights of order one is that of Mei, Montanari & Nguyen (PNAS 2018), Chizat & Bach
    (NeurIPS 2018) and Pellegrini & Biroli (NeurIPS 2020). The arrays are read-only views of what was
    passed.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> network = hr.MeanFieldNetwork([1.0, -1.0], [[1.0, 0.0], [0.0, 2.0]])
    >>> network.forward([[3.0, 4.0]]).round(6)
    array([-1.767767])
    """

    a: Array
    w: Array
    b: Array | None = None
    activation: str = "relu"

    def __post_init__(self) -> None:
        arguments.choice("activation", self.activation, ACTIVATIONS)
        single = getattr(self.w, "dtype", None) == np.float32
        dtype = np.float32 if single else np.float64
        w = arguments.array("w", self.w, (None, None), rule="(nodes, inputs)", dtype=dtype)
        width = (len(w),)
        a = arguments.array("a", self.a, width, rule="(one output weight per row of w)", dtype=dtype)
        object.__setattr__(self, "w", _read_only(w))
        object.__setattr__(self, "a", _read_only(a))
        if self.b is not None:
            b = arguments.array("b", self.b, width, rule="(one bias per row of w)", dtype=dtype)
            object.__setattr__(self, "b", _read_only(b))

    @classmethod
    def random(
        cls,
        width: int,
        d: int,
        *,
        std_a: float = 1.0,
        std_w: float = 1.0,
        std_b: float | None = None,
        paired: str | None = None,
        activation: str = "relu",
        dtype: npt.DTypeLike = "float64",
        seed: Any = 0,
    ) -> MeanFieldNetwork:
        """Return a network with independent Gaussian weights.

        Parameters
        ----------
        width, d
            Numbers of nodes and of inputs.
        std_a, std_w, std_b
            Standard deviations of output weights, input weights and biases; `std_b=None` means a network
            without biases.
        paired
            None for independent nodes. "even" makes the second half the nodes (-a, w, b) of the first: then
            f = 0 exactly. "odd" makes it (-a, -w, b): then f is an odd function of x, the symmetry of the
            mean-field limit. Both need an even width.
        activation
            As in :class:`MeanFieldNetwork`.
        dtype
            "float64" or "float32"; the latter holds the same numbers, rounded.
        seed
            Node i is a function of the seed, d and i alone.

        Examples
        --------
        >>> import hmm_rs as hr
        >>> network = hr.MeanFieldNetwork.random(100, 3, paired="even", seed=1)
        >>> bool(abs(network.forward([[1.0, 2.0, 3.0]])).max() < 1e-15)
        True
        """
        width = arguments.count("width", width)
        d = arguments.count("d", d)
        scales = (
            arguments.number("std_a", std_a, minimum=0.0),
            arguments.number("std_w", std_w, minimum=0.0),
            0.0 if std_b is None else arguments.number("std_b", std_b, minimum=0.0),
        )
        drawn = width
        if paired is not None:
            arguments.choice("paired", paired, ("even", "odd"))
            if width % 2:
                raise ShapeError(
                    f"width = {width}: must be even when paired={paired!r}; pass width={width + 1}"
                )
            drawn = width // 2
        draw = getattr(_lib, f"random_nodes_{_SUFFIX[arguments.dtype_name(dtype)]}")
        a, w, b = draw(arguments.seed_words(seed), drawn, d, *scales)
        if paired is not None:
            a, b = np.concatenate([a, -a]), np.concatenate([b, b])
            w = np.concatenate([w, w if paired == "even" else -w])
        return cls(a, w, None if std_b is None else b, activation=activation)

    @property
    def width(self) -> int:
        """Number of nodes M."""
        return len(self.a)

    @property
    def d(self) -> int:
        """Number of inputs."""
        return int(self.w.shape[1])

    def forward(self, X: npt.ArrayLike) -> Array:
        """Return the output f(x) of every row of `X`, shape (P, d) -> (P,).

        Sums run in double precision over blocks of nodes, so the (P, M) activations are never held.
        """
        X = arguments.array("X", X, (None, self.d), rule="(examples, network.d)", dtype=self.w.dtype)
        g = ACTIVATIONS[self.activation]
        output = np.zeros(len(X))
        block = max(1, _BLOCK // len(X))
        for start in range(0, self.width, block):
            nodes = slice(start, start + block)
            z = X @ self.w[nodes].T
            z /= np.asarray(np.sqrt(self.d), dtype=z.dtype)
            if self.b is not None:
                z += self.b[nodes]
            output += g(z).astype(np.float64, copy=False) @ self.a[nodes].astype(np.float64, copy=False)
        return np.asarray(output / self.width, dtype=self.w.dtype)


_SUFFIX = {"float32": "f32", "float64": "f64"}


def _read_only(values: Array) -> Array:
    """Return a read-only view that leaves the owner's flags alone."""
    view = values.view()
    view.flags.writeable = False
    return view
