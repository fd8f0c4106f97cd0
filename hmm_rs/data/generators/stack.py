"""Stacks of described layers, evaluated by the compiled core."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ... import _lib
from ...ground.activations import LAYERS, activation
from ...ground.arguments import array, choice, count, flag, number
from ...ground.errors import DtypeError, InvalidParameterError, ShapeError
from .base import Generator

__all__ = ["LayerStack", "names_of", "plain_layers"]

Vector = npt.NDArray[np.float64]

#: Keys of a layer by its type, those that name arrays first.
_KEYS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "dense": (("weight", "bias"), ()),
    "conv2d": (("weight", "bias"), ("input", "stride", "padding")),
    "conv_transpose2d": (("weight", "bias"), ("input", "stride", "padding")),
    "activation": ((), ("f", "slope")),
    "affine": (("scale", "shift"), ()),
    "coupling": ((), ("keep", "change", "scale", "shift")),
}
#: Couplings within couplings.
_DEEPEST = 8
#: Sizes beyond this are no sizes of anything.
_LARGEST = 1 << 53


class LayerStack(Generator):
    """A generator of described layers, evaluated by the compiled core.

    Made by :func:`random_layers`, :func:`from_safetensors` and the shipped generators.
    """

    layers: Any

    def __init__(self, layers: str, tensors: Mapping[str, Any], *, latents: int, center: bool) -> None:
        parsed = plain_layers(json.loads(layers) if isinstance(layers, str) else layers)
        kept = {name: np.asarray(value, dtype=np.float64) for name, value in tensors.items()}
        D = _size("latents", latents)
        program = [_layer(layer, kept, f"layers[{i}]") for i, layer in enumerate(parsed)]
        N = _lib.deep_generator(program, D, mean=None, dtype="float64")[1]
        self._describe(
            layers=json.dumps(parsed), tensors=_Tensors(kept), latents=D, center=flag("center", center)
        )
        for name, value in (("N", N), ("D", D), ("_program", program)):
            object.__setattr__(self, name, value)

    def _raw_source(self, dtype: str, mean: Vector | None) -> _lib.Source:
        program: list[dict[str, Any]] = self.__dict__["_program"]
        return _lib.deep_generator(program, self.D, mean=mean, dtype=dtype)[0]


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


def plain_layers(layers: Any) -> list[Any]:
    """Return a description of layers as JSON has it: dictionaries, lists, texts, numbers of Python's own types."""
    if isinstance(layers, (str, bytes, Mapping)) or not hasattr(layers, "__iter__"):
        raise InvalidParameterError(
            f"layers = {layers!r:.60}: must be a list of layers; see from_safetensors"
        )
    return [_plain(layer, f"layers[{i}]", 0) for i, layer in enumerate(layers)]


def _plain(value: Any, where: str, depth: int) -> Any:
    if depth > 3 * _DEEPEST:
        raise InvalidParameterError(
            f"{where}: couplings lie more than {_DEEPEST} deep in each other; describe them one after another"
        )
    if isinstance(value, np.ndarray):
        value = value.tolist()
    elif isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{where}[{key!r}]", depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{where}[{i}]", depth + 1) for i, item in enumerate(value)]
    raise DtypeError(
        f"{where} = {value!r:.60}: must be a text, a number, a list or a mapping; arrays are named, not put here"
    )


def names_of(layers: list[Any]) -> Iterator[str]:
    """Yield the names of the arrays that plain layers refer to."""
    for layer in layers:
        if not isinstance(layer, dict):
            continue
        arrays, _ = _KEYS.get(str(layer.get("type")), ((), ()))
        yield from (str(layer[key]) for key in arrays if layer.get(key))
        if layer.get("type") == "coupling":
            for key in ("scale", "shift"):
                yield from names_of(layer[key]) if isinstance(layer.get(key), list) else ()


def _size(name: str, value: Any, minimum: int = 1) -> int:
    size = count(name, value, minimum=minimum)
    if size > _LARGEST:
        raise InvalidParameterError(f"{name} = {value!r:.40}: must be at most 2^53; pass a smaller one")
    return size


def _layer(layer: Any, tensors: Mapping[str, Vector], where: str) -> dict[str, Any]:
    """Return a layer of the description as the core reads it."""
    if not isinstance(layer, Mapping) or "type" not in layer:
        raise InvalidParameterError(
            f"{where} = {layer!r:.60}: must be a mapping with a 'type'; see from_safetensors"
        )
    kind = choice(f"{where}['type']", layer["type"], _KEYS)
    known = ("type", *_KEYS[kind][0], *_KEYS[kind][1])
    for key in layer:
        if key not in known:
            raise InvalidParameterError(
                f"{where}[{key!r}]: a layer of type {kind!r} has {', '.join(map(repr, known))} and nothing else; "
                f"leave it out if it changes nothing"
            )
    if kind == "activation":
        f = activation(f"{where}['f']", layer.get("f"), LAYERS)
        return {"type": kind, "f": f, "slope": number(f"{where}['slope']", layer.get("slope", 0.01))}
    if kind == "coupling":
        program: dict[str, Any] = {"type": kind}
        for key in ("keep", "change"):
            positions = _list(layer, key, where)
            program[key] = [_size(f"{where}[{key!r}]", i, 0) for i in positions]
        for key in ("scale", "shift"):
            parts = _list(layer, key, where)
            program[key] = [_layer(part, tensors, f"{where}[{key!r}][{i}]") for i, part in enumerate(parts)]
        return program
    if kind == "affine":
        factors, offsets = (_tensor(layer, key, tensors, where, 1) for key in ("scale", "shift"))
        return {"type": kind, "factors": factors, "offsets": offsets}
    weight = _tensor(layer, "weight", tensors, where, 2 if kind == "dense" else 4)
    outputs = weight.shape[1 if kind == "conv_transpose2d" else 0]
    bias = _tensor(layer, "bias", tensors, where, 1) if layer.get("bias") else np.zeros(outputs)
    program = {"type": kind, "weight": weight, "bias": bias}
    if kind != "dense":
        shape = [_size(f"{where}['input']", n) for n in _list(layer, "input", where)]
        if len(shape) != 3:
            raise ShapeError(f"{where}['input'] = {shape}: must be [channels, height, width] of what goes in")
        if weight.shape[0 if kind == "conv_transpose2d" else 1] != shape[0]:
            raise ShapeError(
                f"{where}['weight'] has shape {weight.shape}: must take {shape[0]} channels; see 'input'"
            )
        program["window"] = {
            "input": shape,
            "stride": _size(f"{where}['stride']", layer.get("stride", 1)),
            "padding": _size(f"{where}['padding']", layer.get("padding", 0), 0),
        }
    return program


def _list(layer: Mapping[str, Any], key: str, where: str) -> list[Any]:
    value = layer.get(key)
    if not isinstance(value, list):
        raise InvalidParameterError(f"{where}[{key!r}] = {value!r:.60}: must be a list; see from_safetensors")
    return value


def _tensor(
    layer: Mapping[str, Any], key: str, tensors: Mapping[str, Vector], where: str, ndim: int
) -> Vector:
    name = str(layer.get(key))
    if name not in tensors:
        listed = ", ".join(sorted(tensors)) or "none"
        raise InvalidParameterError(f"{where}[{key!r}] = {name!r}: no such array; the file holds {listed}")
    return array(f"{where}[{key!r}]", tensors[name], (None,) * ndim)
