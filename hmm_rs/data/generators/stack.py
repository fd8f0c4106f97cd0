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

from __future__ import annotations

import importlib
import itertools
import json
import math
import struct
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ... import _lib
from ...ground.arguments import array, choice, count, number, seed_words
from ...ground.errors import DtypeError, HmmError, InvalidParameterError, ShapeError
from ...ground.memory import require
from ..latent import LatentModel

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

Vector = npt.NDArray[np.float64]

#: Elementwise functions of a layer.
ACTIVATIONS = ("sign", "erf", "relu", "tanh", "identity", "sigmoid", "leaky_relu")
#: Samples of the mean that is subtracted from the outputs of a generator.
MEAN_SAMPLES = 1 << 16
#: Samples between two looks at the convergence of a covariance.
CHECKPOINTS = 8
_MEAN_SEED = (2006, 14709)


@dataclass(frozen=True, eq=False)
class CovarianceEstimate:
    """Monte Carlo covariances of a generator.

    Attributes
    ----------
    Omega
        Covariance of the inputs, shape (N, N).
    Phi
        Covariance of inputs and latents, shape (N, D).
    mean
        Mean of the inputs, shape (N,).
    n_samples
        Samples seen.
    changes
        Relative change of Omega (Frobenius norm) between checkpoints.
    """

    Omega: Vector
    Phi: Vector
    mean: Vector
    n_samples: int
    changes: Vector


def estimate_covariances(
    model: LatentModel,
    n_samples: int | None = None,
    *,
    seed: Any = 0,
    progress: bool = False,
    threads: int | None = None,
) -> CovarianceEstimate:
    """Estimate the covariances of any model of data from a stream of samples.

    Parameters
    ----------
    model
        A model of data.
    n_samples
        Samples to see; 100 per input, at least 50 000, by default.
    seed
        Names the stream.
    progress
        Show a bar.
    threads
        Threads to use; the result does not depend on it.

    Notes
    -----
    Partial results are merged pairwise after Chan, Golub and LeVeque (1979); memory holds the estimates and
    1024 samples. The error of an entry is about ``sqrt((Omega_ii Omega_jj + Omega_ij**2) / n_samples)``.
    """
    if not isinstance(model, LatentModel):
        raise DtypeError(
            f"model = {model!r:.80}: must be a model of data; pass a generator or HiddenManifold(...)"
        )
    total = max(50_000, 100 * model.N) if n_samples is None else count("n_samples", n_samples, minimum=2)
    require(
        3 * 8 * model.N * (model.N + model.D) + 8 * 1024 * (model.N + model.D),
        f"a covariance of N={model.N} inputs",
        "lower N",
    )
    stream = _lib.CovarianceStream(model.source("float64"), seed_words(seed))
    previous: Vector | None = None
    changes: list[float] = []
    bar = _bar(total, progress)
    for step in _steps(total):
        stream.advance(step, threads)
        bar(step)
        current = stream.estimate()[1]
        if previous is not None:
            changes.append(float(np.linalg.norm(current - previous) / np.linalg.norm(current)))
        previous = current
    bar(0)
    mean, omega, phi = stream.estimate()
    return CovarianceEstimate(omega, phi, mean, total, np.array(changes))


def _steps(total: int) -> Iterator[int]:
    """Yield pieces that end at 1/128, 1/64, ..., 1 of the total: changes at every doubling."""
    done = 0
    for k in reversed(range(CHECKPOINTS)):
        end = max(done + 2, total >> k) if total >> k >= 2 else 0
        end = min(end, total)
        if end > done:
            yield end - done
            done = end


def _bar(total: int, progress: bool) -> Callable[[int], None]:
    """Return a function that moves a bar by some samples, and closes it at 0."""
    if not progress:
        return lambda _: None
    from tqdm.auto import tqdm

    bar = tqdm(total=total, unit="sample", unit_scale=True)

    def move(step: int) -> None:
        if step:
            bar.update(step)
        else:
            bar.close()

    return move


class Generator(LatentModel):
    """Base of all generators: sampling and Monte Carlo covariances.

    Attributes
    ----------
    N, D
        Numbers of inputs and latents.
    mean
        Mean of the raw outputs, shape (N,), which is subtracted from every sample (from 65 536 samples of a
        fixed stream); zero with ``center=False``.
    """

    center: bool

    @abstractmethod
    def _raw_source(self, dtype: str, mean: Vector | None) -> _lib.Source:
        """Return a source of outputs minus `mean` (None: minus nothing)."""

    @property
    def mean(self) -> Vector:
        """Mean of the raw outputs, subtracted from every sample."""
        cached: Vector | None = self.__dict__.get("_mean")
        if cached is None:
            cached = np.zeros(self.N)
            if self.center:
                source = self._raw_source("float64", None)
                words, step = seed_words(_MEAN_SEED), 4096
                for start in range(0, MEAN_SAMPLES, step):
                    X = source.sample(step, start=start, seed=words, test=False, threads=None)[0]
                    cached += X.sum(axis=0)
                cached /= MEAN_SAMPLES
            cached.flags.writeable = False
            object.__setattr__(self, "_mean", cached)
        return cached

    def _make_source(self, dtype: str) -> _lib.Source:
        return self._raw_source(dtype, self.mean if self.center else None)

    def covariances(
        self,
        n_samples: int | None = None,
        *,
        seed: Any = 0,
        progress: bool = False,
        threads: int | None = None,
    ) -> tuple[Vector, Vector]:
        """Return (Ω, Φ) = (E x xᵀ, E x cᵀ), shapes (N, N) and (N, D), by Monte Carlo.

        Parameters
        ----------
        n_samples, seed, progress, threads
            As in :func:`estimate_covariances`, which also says how well they have converged. Called
            twice with the same arguments, the second call costs nothing.
        """
        key = (n_samples, seed_words(seed).tobytes())
        cache: dict[Any, tuple[Vector, Vector]] | None = self.__dict__.get("_covariances")
        if cache is None:
            cache = {}
            object.__setattr__(self, "_covariances", cache)
        if key not in cache:
            found = estimate_covariances(self, n_samples, seed=seed, progress=progress, threads=threads)
            cache[key] = (found.Omega, found.Phi)
        return cache[key]


# --- stacks of layers -----------------------------------------------------------------------------


class LayerStack(Generator):
    """A generator of described layers, evaluated by the compiled core.

    Made by :func:`random_layers`, :func:`from_safetensors` and the shipped generators.
    """

    layers: Any

    def __init__(self, layers: str, tensors: Mapping[str, Vector], *, latents: int, center: bool) -> None:
        parsed = json.loads(layers) if isinstance(layers, str) else layers
        kept = {name: np.asarray(value, dtype=np.float64) for name, value in tensors.items()}
        D = count("latents", latents)
        program = [_layer(layer, kept, f"layers[{i}]") for i, layer in enumerate(parsed)]
        N = _lib.deep_generator(program, D, None, "float64")[1]
        self._describe(layers=json.dumps(parsed), tensors=_Tensors(kept), latents=D, center=bool(center))
        for name, value in (("N", N), ("D", D), ("_program", program)):
            object.__setattr__(self, name, value)

    def _raw_source(self, dtype: str, mean: Vector | None) -> _lib.Source:
        program: list[dict[str, Any]] = self.__dict__["_program"]
        given = None if mean is None else mean.tolist()
        return _lib.deep_generator(program, self.D, given, dtype)[0]


class _Tensors(dict[str, Vector]):
    """Named arrays, hashable by content so that a description can hold them."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple((name, value.shape, value.tobytes()) for name, value in sorted(self.items())))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Tensors) or self.keys() != other.keys():
            return False
        return all(np.array_equal(value, other[name]) for name, value in self.items())

    def __repr__(self) -> str:
        return f"<{len(self)} arrays>"


def _layer(layer: Any, tensors: Mapping[str, Vector], where: str) -> dict[str, Any]:
    """Return a layer of the description as the core reads it."""
    if not isinstance(layer, Mapping) or "type" not in layer:
        raise InvalidParameterError(
            f"{where} = {layer!r:.60}: must be a mapping with a 'type'; see from_safetensors"
        )
    kind = choice(
        f"{where}['type']",
        layer["type"],
        ("dense", "conv2d", "conv_transpose2d", "activation", "affine", "coupling"),
    )
    if kind == "activation":
        f = choice(f"{where}['f']", layer.get("f"), ACTIVATIONS)
        return {"kind": f, "numbers": [number(f"{where}['slope']", layer.get("slope", 0.01))]}
    if kind == "coupling":
        positions = [
            [count(f"{where}['{key}']", i, minimum=0) for i in layer[key]] for key in ("keep", "change")
        ]
        networks = [
            [_layer(part, tensors, f"{where}['{key}'][{i}]") for i, part in enumerate(layer[key])]
            for key in ("scale", "shift")
        ]
        return {"kind": "coupling", "sizes": positions, "networks": networks}
    if kind == "affine":
        weights = [_tensor(layer, key, tensors, where, 1) for key in ("scale", "shift")]
        return {"kind": "affine", "weights": weights}
    weight = _tensor(layer, "weight", tensors, where, 2 if kind == "dense" else 4)
    outputs = weight.shape[1 if kind == "conv_transpose2d" else 0]
    bias = _tensor(layer, "bias", tensors, where, 1) if layer.get("bias") else np.zeros(outputs)
    program: dict[str, Any] = {"kind": kind, "weights": [weight.ravel(), bias]}
    if kind != "dense":
        shape = [count(f"{where}['input']", n) for n in layer.get("input", ())]
        if len(shape) != 3:
            raise ShapeError(f"{where}['input'] = {shape}: must be [channels, height, width] of what goes in")
        if weight.shape[0 if kind == "conv_transpose2d" else 1] != shape[0]:
            raise ShapeError(
                f"{where}['weight'] has shape {weight.shape}: must take {shape[0]} channels; see 'input'"
            )
        stride = count(f"{where}['stride']", layer.get("stride", 1))
        padding = count(f"{where}['padding']", layer.get("padding", 0), minimum=0)
        program["sizes"] = [shape, [outputs, *weight.shape[2:], stride, padding]]
    return program


def _tensor(
    layer: Mapping[str, Any], key: str, tensors: Mapping[str, Vector], where: str, ndim: int
) -> Vector:
    name = str(layer.get(key))
    if name not in tensors:
        listed = ", ".join(sorted(tensors)) or "none"
        raise InvalidParameterError(f"{where}[{key!r}] = {name!r}: no such array; the file holds {listed}")
    return array(f"{where}[{key!r}]", tensors[name], (None,) * ndim)


class RandomLayers(LayerStack):
    """Random fully connected generator; made by :func:`random_layers`."""

    widths: tuple[int, ...]
    f: Any
    seed: Any

    def __init__(self, widths: Sequence[int], f: Any, seed: Any, *, center: bool = True) -> None:
        sizes = [count("widths", n) for n in widths]
        if len(sizes) < 2:
            raise InvalidParameterError(
                f"widths = {list(widths)}: need latents and at least one layer; pass [D, N]"
            )
        functions = [f] * (len(sizes) - 1) if isinstance(f, str) else list(f)
        if len(functions) != len(sizes) - 1:
            raise ShapeError(
                f"f has {len(functions)} entries: must be one or {len(sizes) - 1} (one per layer); pass so many"
            )
        for function in functions:
            choice("f", function, ("sign", "erf", "relu", "tanh", "identity"))
        words = seed_words(seed)
        tensors, layers = {}, []
        for i, (fan_in, width) in enumerate(itertools.pairwise(sizes)):
            F = _lib.weight_normals(words, i, width * fan_in).reshape(width, fan_in)
            tensors[f"F{i}"] = F / math.sqrt(fan_in)
            layers += [{"type": "dense", "weight": f"F{i}"}, {"type": "activation", "f": functions[i]}]
        odd = all(function != "relu" for function in functions)
        # Odd functions have no mean; estimating one would only add noise.
        super().__init__(json.dumps(layers), tensors, latents=sizes[0], center=center and not odd)
        self._describe(
            widths=tuple(sizes), f=f if isinstance(f, str) else tuple(f), seed=seed, center=bool(center)
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
        method: str = "sample",
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
        from ...theory import recursive_covariances

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
        Seed of the weights, independent standard normals divided by the root of the fan-in.
    center
        Subtract the mean of the outputs (estimated; functions without a mean need none).

    Examples
    --------
    >>> model = random_layers([10, 30, 50], "erf", seed=0)
    >>> Omega, Phi = model.covariances(method="recursion")
    >>> Omega.shape, Phi.shape
    ((50, 50), (50, 10))
    """
    return RandomLayers(widths, f, seed, center=center)


# --- files ----------------------------------------------------------------------------------------

_FORMATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}


def read_safetensors(path: str | Path) -> tuple[dict[str, Vector], dict[str, str]]:
    """Return the arrays and the metadata of a safetensors file.

    The format is an 8-byte length, a JSON header and raw arrays; floating-point arrays are read, as doubles.

    Raises
    ------
    HmmError
        If the file is missing or damaged, or holds types other than F64, F32, F16.
    """
    try:
        blob = Path(path).read_bytes()
    except OSError as error:
        raise HmmError(
            f"path = {str(path)!r}: cannot be read ({error.strerror}); pass a safetensors file"
        ) from None
    try:
        (length,) = struct.unpack("<Q", blob[:8])
        header = json.loads(blob[8 : 8 + length])
        metadata = {str(k): str(v) for k, v in header.pop("__metadata__", {}).items()}
        tensors: dict[str, Vector] = {}
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            flat = np.frombuffer(blob[8 + length + begin : 8 + length + end], dtype=_FORMATS[entry["dtype"]])
            tensors[name] = flat.astype(np.float64).reshape(entry["shape"])
    except KeyError as error:
        raise HmmError(
            f"path = {str(path)!r}: holds {error.args[0]!r} where F64, F32 or F16 arrays are read; convert it"
        ) from None
    except (struct.error, ValueError, TypeError, AttributeError):
        raise HmmError(f"path = {str(path)!r}: is no safetensors file or is damaged; write it anew") from None
    return tensors, metadata


def from_safetensors(
    path: str | Path, description: Mapping[str, Any] | None = None, *, center: bool = True
) -> LayerStack:
    r"""Return a trained generator from a safetensors file, evaluated without any framework.

    Parameters
    ----------
    path
        The file.
    description
        ``{"latents": D, "layers": [...]}``; read from the file's metadata key "hmm_rs" (JSON), or from
        ``<path>.json``, if it is not given. Layers, with the names of their arrays:

        * ``{"type": "dense", "weight", "bias"}``: (outputs, inputs) and (outputs,).
        * ``{"type": "conv2d", "weight", "bias", "input": [channels, height, width], "stride", "padding"}``:
          (out, in, height, width).
        * ``{"type": "conv_transpose2d", ...}``: (in, out, height, width).
        * ``{"type": "activation", "f"}``: "sign", "erf", "relu", "tanh", "identity", "sigmoid", "leaky_relu" (with
          "slope").
        * ``{"type": "affine", "scale", "shift"}``: per channel or per input (a batch normalisation at rest).
        * ``{"type": "coupling", "keep": [...], "change": [...], "scale": [layers], "shift": [layers]}``.

        Biases may be left out. Images are flattened channel by channel, as torch does.
    center
        Subtract the mean of the outputs.

    Examples
    --------
    >>> model = digits_flow()
    >>> model.N, model.D
    (64, 64)
    """
    tensors, metadata = read_safetensors(path)
    if description is None:
        beside = Path(f"{path}.json")
        text = metadata.get("hmm_rs") or (beside.read_text() if beside.exists() else None)
        if text is None:
            raise InvalidParameterError(
                f"path = {str(path)!r}: the file has no description of its layers; pass description={{...}}, or "
                f"write it to {beside.name}"
            )
        description = json.loads(text)
    if not isinstance(description, Mapping) or "latents" not in description or "layers" not in description:
        raise InvalidParameterError(
            f"description = {description!r:.80}: must be a mapping with 'latents' and 'layers'; see from_safetensors"
        )
    return LayerStack(
        json.dumps(list(description["layers"])), tensors, latents=description["latents"], center=center
    )


def digits_flow(*, center: bool = True) -> LayerStack:
    """Return a normalising flow trained on scikit-learn's 8 x 8 digits (64 latents, 64 pixels in [0, 1]).

    Eight affine couplings, shipped with the package; ``training/train_digits.py`` makes it.

    Examples
    --------
    >>> X, C = digits_flow(center=False).sample(3)
    >>> X.shape
    (3, 64)
    """
    return from_safetensors(Path(__file__).parent / "weights" / "digits_flow.safetensors", center=center)


def digits_convolutional(*, center: bool = True) -> LayerStack:
    """Return a convolutional generator (the layout of a DCGAN) trained on scikit-learn's 8 x 8 digits.

    20 latents, 64 pixels in [0, 1]; two transposed convolutions, trained on the energy distance;
    ``training/train_digits.py`` makes it.

    Examples
    --------
    >>> digits_convolutional().D
    20
    """
    path = Path(__file__).parent / "weights" / "digits_convolutional.safetensors"
    return from_safetensors(path, center=center)


# --- functions of the user ----------------------------------------------------------------------


class CallableGenerator(Generator):
    """A generator that calls Python; made by :func:`from_callable` and its relatives."""

    fn: Callable[[Any], Any]

    def __init__(self, fn: Callable[[Any], Any], D: int, *, center: bool = True) -> None:
        if not callable(fn):
            raise DtypeError(f"fn = {fn!r:.80}: must be callable; pass a function of a (rows, D) array")
        latents = count("D", D)
        probe = np.asarray(fn(np.zeros((2, latents))))
        if probe.ndim != 2 or probe.shape[0] != 2:
            raise ShapeError(
                f"fn returned shape {probe.shape} for 2 latents: must be (2, N); map (rows, D) to (rows, N)"
            )
        self._describe(fn=fn, D=latents, center=bool(center))
        object.__setattr__(self, "N", int(probe.shape[1]))

    def _raw_source(self, dtype: str, mean: Vector | None) -> _lib.Source:
        return _lib.Source.from_callable(
            self.fn, self.N, self.D, np.zeros(self.N) if mean is None else mean, dtype
        )


def from_callable(fn: Callable[[Any], Any], D: int, *, center: bool = True) -> CallableGenerator:
    """Return a generator from a function of a (rows, D) array that gives (rows, N).

    Parameters
    ----------
    fn
        Deterministic, acts on every row by itself.
    D
        Number of latents.
    center
        Subtract the mean of the outputs (estimated from 65 536 samples).

    Examples
    --------
    >>> model = from_callable(lambda c: np.tanh(c @ np.ones((3, 5))), 3)
    >>> model.N
    5
    """
    return CallableGenerator(fn, D, center=center)


def _need_torch() -> Any:
    try:
        return importlib.import_module("torch")
    except ImportError:
        raise HmmError(
            "from_torch needs torch; pip install torch (see pytorch.org for a CPU build)"
        ) from None


def _need_onnxruntime() -> Any:
    try:
        return importlib.import_module("onnxruntime")
    except ImportError:
        raise HmmError("from_onnx needs onnxruntime; pip install onnxruntime") from None


class _Torch:
    """A torch module as a function of numpy arrays."""

    def __init__(self, module: Any, D: int, shape: tuple[int, ...] | None) -> None:
        self.torch, self.module, self.shape = _need_torch(), module.eval(), shape or (D,)
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


class _Onnx:
    """An ONNX graph as a function of numpy arrays."""

    def __init__(self, path: str) -> None:
        onnxruntime = _need_onnxruntime()
        options = onnxruntime.SessionOptions()
        # One thread inside a call: blocks already run side by side.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise HmmError(f"path = {path!r}: onnxruntime cannot load it ({error}); check the file") from None
        inputs = self.session.get_inputs()
        if len(inputs) != 1:
            raise InvalidParameterError(
                f"path = {path!r}: the graph has {len(inputs)} inputs; must have one, the latents"
            )
        self.name = inputs[0].name
        self.dtype = np.float64 if "double" in inputs[0].type else np.float32
        self.shape = [n if isinstance(n, int) else -1 for n in inputs[0].shape[1:]]
        self.rows = inputs[0].shape[0] if isinstance(inputs[0].shape[0], int) else 0

    def __call__(self, latents: Any) -> Any:
        values = np.ascontiguousarray(latents, dtype=self.dtype)
        step = self.rows or len(values)
        made = []
        for start in range(0, len(values), step):
            block = values[start : start + step]
            # A graph of fixed batch size gets its last batch filled up.
            padded = np.concatenate([block, np.zeros((step - len(block), values.shape[1]), self.dtype)])
            out = self.session.run(None, {self.name: padded.reshape(step, *self.shape)})[0]
            made.append(np.asarray(out, dtype=np.float64).reshape(step, -1)[: len(block)])
        return np.concatenate(made)


def from_onnx(path: str | Path, D: int | None = None, *, center: bool = True) -> CallableGenerator:
    """Return a generator from an ONNX file, run by onnxruntime on the CPU.

    Parameters
    ----------
    path
        The file; its graph has one input, the latents. Outputs are flattened.
    D
        Number of latents; read from the graph unless it leaves them open.
    center
        Subtract the mean of the outputs.
    """
    _need_onnxruntime()
    if not Path(path).exists():
        raise HmmError(f"path = {str(path)!r}: no such file; pass an .onnx file")
    function = _Onnx(str(path))
    known = math.prod(function.shape) if all(n > 0 for n in function.shape) else None
    if known is None and D is None:
        raise InvalidParameterError("D is missing: the graph leaves the number of latents open; pass D=...")
    if known is not None and D is not None and known != count("D", D):
        raise InvalidParameterError(
            f"D = {D}: the graph takes {known} latents; pass D={known} or leave it out"
        )
    return CallableGenerator(function, known if known is not None else count("D", D), center=center)
