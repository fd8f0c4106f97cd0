"""Arguments as data: what a checkpoint or a result says of the objects a run was made of.

A checkpoint travels between machines and people, so it is data and never code. A file can name the
classes and functions of the closed lists here and nothing else; their own constructors check what it
says of them. Functions and classes of a user are stored by name only: who reads the file hands them over.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import inspect
import json
import keyword
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..ground.arguments import shown
from ..ground.description import Description
from ..ground.errors import InvalidParameterError

__all__ = [
    "DEEPEST",
    "Encoder",
    "arrays_in",
    "claim",
    "descriptions",
    "digest",
    "elementwise_functions",
    "identifier",
    "same_arguments",
]

#: Levels of nested arguments; two descriptions inside each other take about six.
DEEPEST = 100


@functools.cache
def descriptions() -> dict[str, type]:
    """Return the descriptions that can stand in a checkpoint, by their names there.

    The list is closed and literal; names stay when classes move, so that files stay readable.
    """
    from ..data.features import GaussianFeatures
    from ..data.gaussian import GaussianEquivalent, TeacherStudent
    from ..data.generators.callable import CallableGenerator
    from ..data.generators.random import RandomLayers
    from ..data.generators.stack import LayerStack
    from ..data.hidden_manifold import HiddenManifold
    from ..data.labelled import GaussianMixture, LinearlySeparable, UniformSphere
    from ..data.manifolds import Cylinder, SingleInterface, Sphere, Stripe
    from ..data.stored import StoredSamples
    from ..ground.schedules import Constant, Cosine, Power, Step
    from ..networks.convolutional import CNN
    from ..networks.mean_field import MeanFieldNetwork
    from ..networks.random_nodes import RandomNodes
    from ..networks.two_layer import TwoLayer

    return {
        "HiddenManifold": HiddenManifold,
        "TeacherStudent": TeacherStudent,
        "GaussianEquivalent": GaussianEquivalent,
        "StoredSamples": StoredSamples,
        "LinearlySeparable": LinearlySeparable,
        "UniformSphere": UniformSphere,
        "GaussianFeatures": GaussianFeatures,
        "GaussianMixture": GaussianMixture,
        "Stripe": Stripe,
        "SingleInterface": SingleInterface,
        "Cylinder": Cylinder,
        "Sphere": Sphere,
        "LayerStack": LayerStack,
        "RandomLayers": RandomLayers,
        "CallableGenerator": CallableGenerator,
        "TwoLayer": TwoLayer,
        "MeanFieldNetwork": MeanFieldNetwork,
        "RandomNodes": RandomNodes,
        "CNN": CNN,
        "Constant": Constant,
        "Step": Step,
        "Power": Power,
        "Cosine": Cosine,
    }


def elementwise_functions() -> dict[str, dict[str, np.ufunc]]:
    """Return the functions of one number, of numpy and scipy.special, that can stand in a checkpoint by name."""
    import scipy.special

    return {
        "numpy": {name: f for name, f in vars(np).items() if _is_elementwise(f)},
        "scipy.special": {name: f for name, f in vars(scipy.special).items() if _is_elementwise(f)},
    }


def _is_elementwise(value: Any) -> bool:
    return isinstance(value, np.ufunc) and (value.nin, value.nout) == (1, 1)


class Encoder:
    """Turns arguments into JSON data and arrays.

    Parameters
    ----------
    names
        Functions with the names under which they were handed over, which they keep.
    """

    #: What is written, for messages.
    _where = "checkpoint"

    def __init__(self, names: Iterable[tuple[object, str]] = ()) -> None:
        self.arrays: dict[str, npt.NDArray[Any]] = {}
        self._given = list(names)
        self._functions: dict[str, object] = {}
        self._slots: dict[str, object] = {}
        self._depth = 0

    def arguments(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments of an object."""
        return {key: self._encode(value, key) for key, value in arguments.items()}

    def _encode(self, value: Any, argument: str) -> Any:
        if self._depth > DEEPEST:
            raise self._not_storable(argument, value)
        self._depth += 1
        try:
            return self._data(value, argument)
        finally:
            self._depth -= 1

    def _data(self, value: Any, argument: str) -> Any:
        if value is None or type(value) in (bool, int, float, str):
            return value
        if isinstance(value, np.generic) and type(value.item()) in (bool, int, float, str):
            return value.item()
        if isinstance(value, np.ndarray):
            return self._array(value, argument)
        if isinstance(value, list):
            return [self._encode(item, argument) for item in value]
        if isinstance(value, tuple):
            return {"is": "tuple", "items": [self._encode(item, argument) for item in value]}
        if isinstance(value, np.random.SeedSequence):
            return {
                "is": "seed",
                "entropy": _words(value.entropy),
                "spawn_key": _words(list(value.spawn_key)),
                "pool_size": int(value.pool_size),
                "children": int(value.n_children_spawned),
            }
        if isinstance(value, Mapping) and all(type(key) is str for key in value):
            return {"is": "mapping", "items": {key: self._encode(item, key) for key, item in value.items()}}
        if (found := _ufunc_name(value)) is not None:
            return {"is": "ufunc", "name": found}
        if isinstance(value, Description) or self._name(type(value)):
            return self._object(value, argument)
        if callable(value):
            return self._function(value, argument)
        if dataclasses.is_dataclass(value):
            return self._object(value, argument)
        raise self._not_storable(argument, value)

    def _array(self, value: npt.NDArray[Any], argument: str) -> dict[str, str]:
        self._check_array(value, argument)
        name = f"array{len(self.arrays)}"
        self.arrays[name] = value
        return {"is": "array", "name": name}

    def _check_array(self, value: npt.NDArray[Any], argument: str) -> None:
        if value.dtype.kind not in "biuf" or value.dtype.itemsize > 8:
            raise self._not_storable(argument, value)

    def _name(self, cls: type) -> str | None:
        """Return the name by which a class can be found again, None if it is none of ours."""
        return next((name for name, listed in descriptions().items() if listed is cls), None)

    def _object(self, value: Any, argument: str) -> dict[str, Any]:
        name = self._name(type(value))
        if name is None and not identifier(type(value).__name__):
            raise self._not_storable(argument, value)
        arguments = getattr(value, "_arguments", None)
        if arguments is None and dataclasses.is_dataclass(value):
            arguments = {
                field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init
            }
        if arguments is None:
            # A class that keeps what its constructor takes, under the same names.
            taken = inspect.signature(type(value)).parameters
            if not all(hasattr(value, name) for name in taken):
                raise self._not_storable(argument, value)
            arguments = {name: getattr(value, name) for name in taken}
        return {
            "is": "object" if name is not None else "foreign",
            "name": name or type(value).__name__,
            "arguments": self.arguments(arguments),
        }

    def _function(self, value: Any, argument: str) -> dict[str, str]:
        """Store a function by a name that can be typed: its own, or that of its argument."""
        slot = argument if identifier(argument) else "function"
        own = getattr(value, "__name__", None)
        given = [name for function, name in self._given if function is value]
        name = given[0] if given else str(own) if identifier(own) else slot
        return {
            "is": "function",
            "name": claim(name, value, self._functions),
            "argument": claim(slot, value, self._slots),
        }

    def _not_storable(self, argument: str, value: object) -> InvalidParameterError:
        return InvalidParameterError(
            f"{self._where}: {argument} = {shown(value)} cannot be stored; use numbers, strings, real arrays, "
            f"functions and descriptions there, or leave checkpoint out"
        )


def same_arguments(
    header: Mapping[str, Any],
    arrays: Mapping[str, npt.NDArray[Any]],
    other_header: Mapping[str, Any],
    other_arrays: Mapping[str, npt.NDArray[Any]],
) -> bool:
    """Return whether two headers, with their arrays, describe the same driver with the same arguments."""
    mine, theirs = (
        json.dumps([h["driver"], h["foreign"], h["arguments"]], sort_keys=True)
        for h in (header, other_header)
    )
    return mine == theirs and all(
        name in arrays
        and arrays[name].dtype == value.dtype.newbyteorder("=")
        and arrays[name].shape == value.shape
        and arrays[name].tobytes() == value.tobytes()
        for name, value in other_arrays.items()
    )


def claim(name: str, value: object, taken: dict[str, object]) -> str:
    """Return `name`, or `name` with a number where it means another object already."""
    free, number = name, 2
    while free in taken and taken[free] is not value:
        free, number = f"{name}_{number}", number + 1
    taken[free] = value
    return free


def _words(entropy: Any) -> int | list[int]:
    """Return the entropy of a SeedSequence as one integer or a flat list: numpy reads nested ones in order."""
    if isinstance(entropy, str):
        return int(entropy, 16 if entropy.startswith("0x") else 10)
    if not isinstance(entropy, Iterable) or (isinstance(entropy, np.ndarray) and entropy.ndim == 0):
        return int(entropy)
    parts = (_words(part) for part in entropy)
    return [word for part in parts for word in (part if isinstance(part, list) else [part])]


def digest(value: npt.NDArray[Any]) -> str:
    """Return the SHA-256 of an array's bytes."""
    # The numbers are looked at where they lie: a copy of large inputs may not fit into memory.
    return hashlib.sha256(np.ascontiguousarray(value).reshape(-1).view(np.uint8).data).hexdigest()


def arrays_in(value: Any) -> Iterator[npt.NDArray[Any]]:
    """Yield the arrays inside an argument, in order."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, Description):
        yield from arrays_in(list(value._arguments.values()))
    elif isinstance(value, Mapping):
        yield from arrays_in(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from arrays_in(item)


def identifier(value: object) -> bool:
    """Return whether a value is a name that can be typed."""
    return isinstance(value, str) and value.isidentifier() and not keyword.iskeyword(value)


def _ufunc_name(value: Any) -> str | None:
    """Return the name of an elementwise function of numpy or scipy, None for anything else."""
    if not _is_elementwise(value):
        return None
    known = elementwise_functions().items()
    name = str(value.__name__)
    return next((f"{module}.{name}" for module, found in known if found.get(name) is value), None)
