"""Random fully connected generators."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ... import _lib
from ...ground.activations import DATA, activation
from ...ground.arguments import choice, count, flag, items, seed_words
from ...ground.arguments import seed as checked_seed
from ...ground.errors import DtypeError, InvalidParameterError, ShapeError
from ...ground.memory import require
from ..covariances import recursive_covariances
from .stack import LayerStack

__all__ = ["RandomLayers", "random_layers"]

Vector = npt.NDArray[np.float64]


class RandomLayers(LayerStack):
    """Random fully connected generator; made by :func:`random_layers`."""

    widths: tuple[int, ...]
    f: Any
    seed: Any

    def __init__(self, widths: Sequence[int], f: Any, seed: Any, *, center: bool = True) -> None:
        sizes = [count("widths", n) for n in items("widths", widths, "integers, for example [D, N]")]
        if len(sizes) < 2:
            raise InvalidParameterError(f"widths = {sizes}: need latents and at least one layer; pass [D, N]")
        if not isinstance(f, (str, list, tuple)):
            raise DtypeError(f"f = {f!r:.80}: must be a name or a list of names; pass one for each layer")
        functions = [f] * (len(sizes) - 1) if isinstance(f, str) else list(f)
        if len(functions) != len(sizes) - 1:
            raise ShapeError(
                f"f has {len(functions)} entries: must be one or {len(sizes) - 1} (one per layer); pass so many"
            )
        functions = [activation("f", function, DATA) for function in functions]
        # The weights as drawn, as kept, and as the compiled stack holds them.
        require(
            3 * 8 * sum(n * m for n, m in itertools.pairwise(sizes)),
            f"random layers of widths {sizes!r:.60}",
            "pass smaller widths",
        )
        seed = checked_seed(seed)
        words = seed_words(seed)
        tensors, layers = {}, []
        for i, (fan_in, width) in enumerate(itertools.pairwise(sizes)):
            F = _lib.layer_normals(words, i, width, fan_in)
            F /= math.sqrt(fan_in)
            tensors[f"F{i}"] = F
            layers += [{"type": "dense", "weight": f"F{i}"}, {"type": "activation", "f": functions[i]}]
        center = flag("center", center)
        odd = all(function != "relu" for function in functions)
        # Odd functions have no mean; estimating one would only add noise.
        super().__init__(json.dumps(layers), tensors, latents=sizes[0], center=center and not odd)
        self._describe(
            widths=tuple(sizes),
            f=f if isinstance(f, str) else tuple(f),
            seed=seed,
            center=flag("center", center),
        )
        for name, value in (("center", center and not odd), ("_functions", functions), ("_weights", tensors)):
            object.__setattr__(self, name, value)

    @property
    def weights(self) -> list[Vector]:
        """Weights of the layers with standard normal entries, shapes (n₁, D), (n₂, n₁), ..."""
        tensors: dict[str, Vector] = self.__dict__["_weights"]
        return [F * math.sqrt(F.shape[1]) for F in tensors.values()]

    def covariances(
        self,
        n_samples: int | None = None,
        *,
        method: Literal["sample", "recursion"] = "sample",
        seed: Any = 0,
        progress: bool = False,
        threads: int | None = None,
    ) -> tuple[Vector, Vector]:
        """Return (Ω, Φ), shapes (N, N) and (N, D).

        Parameters
        ----------
        n_samples, seed, progress, threads
            As in :func:`estimate_covariances`.
        method
            "sample": Monte Carlo. "recursion": layer by layer, leading order for wide layers
            (:func:`hmm_rs.theory.recursive_covariances`; functions without a mean).
        """
        choice("method", method, ("sample", "recursion"))
        if method == "sample":
            return super().covariances(n_samples, seed=seed, progress=progress, threads=threads)
        functions: list[str] = self.__dict__["_functions"]
        return recursive_covariances(self.weights, functions)


def random_layers(widths: Sequence[int], f: Any, seed: Any = 0, *, center: bool = True) -> RandomLayers:
    r"""Return a random deep generator, :math:`x = f(F_L \cdots f(F_1 c/\sqrt D)\cdots/\sqrt{n_{L-1}})`.

    Parameters
    ----------
    widths
        Latents, hidden layers, inputs: [D, n₁, ..., N].
    f
        "sign", "erf" (of u/√2), "relu", "tanh" or "identity"; or one of them per layer.
    seed
        Seed of the weights, independent standard normals divided by the root of the fan-in. Their stream is that of
        generators: equal seeds of a teacher or student give other numbers.
    center
        Subtract the mean of the outputs (estimated; functions without a mean need none).

    Raises
    ------
    ResourceError
        If the weights do not fit into memory; nothing is drawn before that is known.

    Examples
    --------
    >>> model = random_layers([10, 30, 50], "erf", seed=0)
    >>> Omega, Phi = model.covariances(method="recursion")
    >>> Omega.shape, Phi.shape
    ((50, 50), (50, 10))
    """
    return RandomLayers(widths, f, seed, center=center)
