"""A run's arguments as data: what a checkpoint says of the objects a run was made of.

A checkpoint travels between machines and people, so it is data and never code. A file can name the
classes of the two lists below and nothing else; their own constructors check what it says of them.
Functions and classes of a user are stored by name only: who reads the file hands them over.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
import keyword
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from ..ground.arguments import shown
from ..ground.description import Description
from ..ground.errors import DtypeError, InvalidParameterError, ResourceError

__all__ = ["DESCRIPTIONS", "ENGINES", "Decoder", "Encoder", "own_name", "same_arguments"]

#: Descriptions that can stand in a checkpoint: the name in the file and where the class lives now.
#: The list is closed and literal; names stay when classes move, so that files stay readable.
DESCRIPTIONS: dict[str, str] = {
    "HiddenManifold": "hmm_rs.data.hidden_manifold",
    "TeacherStudent": "hmm_rs.data.gaussian",
    "GaussianEquivalent": "hmm_rs.data.gaussian",
    "StoredSamples": "hmm_rs.data.stored",
    "LinearlySeparable": "hmm_rs.data.labelled",
    "UniformSphere": "hmm_rs.data.labelled",
    "GaussianMixture": "hmm_rs.data.labelled",
    "Stripe": "hmm_rs.data.manifolds",
    "SingleInterface": "hmm_rs.data.manifolds",
    "Cylinder": "hmm_rs.data.manifolds",
    "Sphere": "hmm_rs.data.manifolds",
    "GaussianFeatures": "hmm_rs.data.features",
    "LayerStack": "hmm_rs.data.generators.stack",
    "RandomLayers": "hmm_rs.data.generators.random",
    "CallableGenerator": "hmm_rs.data.generators.callable",
    "TwoLayer": "hmm_rs.networks.two_layer",
    "MeanFieldNetwork": "hmm_rs.networks.mean_field",
    "CNN": "hmm_rs.networks.convolutional",
}

#: Engines that can stand in a checkpoint.
ENGINES: dict[str, str] = {
    "OnlineSGD": "hmm_rs.dynamics.online_sgd",
    "Particles": "hmm_rs.dynamics.particles",
    "GradientFlow": "hmm_rs.dynamics.gradient_flow",
    "KernelFlow": "hmm_rs.dynamics.kernel_flow",
    "CNNFlow": "hmm_rs.dynamics.convolutional_flow",
}

#: Modules whose elementwise functions of one number may be named in a checkpoint.
_UFUNCS = ("numpy", "scipy.special")

#: Words a SeedSequence may hold; the default is 4.
_LARGEST_POOL = 1024

_ARRAY_KINDS = "biuf"

#: Levels of nested arguments; two descriptions inside each other take about six.
_DEEPEST = 100


def own_name(cls: type, names: Mapping[str, str]) -> str | None:
    """Return the name of a class on a closed list, None if it is not on it."""
    return cls.__name__ if names.get(cls.__name__) == cls.__module__ else None


def own_class(name: str, names: Mapping[str, str]) -> type | None:
    """Return the class of a name on a closed list, imported when first asked for."""
    if name not in names:
        return None
    found: type = getattr(importlib.import_module(names[name]), name)
    return found


def _identifier(value: object) -> bool:
    return isinstance(value, str) and value.isidentifier() and not keyword.iskeyword(value)


class Encoder:
    """Turns arguments into JSON data and arrays.

    Parameters
    ----------
    names
        Functions with the names under which they were handed over, which they keep.
    """

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
        if self._depth > _DEEPEST:
            raise _not_storable(argument, value)
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
        if isinstance(value, Description) or own_name(type(value), DESCRIPTIONS) is not None:
            return self._object(value, argument)
        if callable(value):
            return self._function(value, argument)
        if dataclasses.is_dataclass(value):
            return self._object(value, argument)
        raise _not_storable(argument, value)

    def _array(self, value: npt.NDArray[Any], argument: str) -> dict[str, str]:
        if value.dtype.kind not in _ARRAY_KINDS or value.dtype.itemsize > 8:
            raise _not_storable(argument, value)
        name = f"array{len(self.arrays)}"
        self.arrays[name] = value
        return {"is": "array", "name": name}

    def _object(self, value: Any, argument: str) -> dict[str, Any]:
        name = own_name(type(value), DESCRIPTIONS)
        if name is None and not _identifier(type(value).__name__):
            raise _not_storable(argument, value)
        arguments = getattr(value, "_arguments", None)
        if arguments is None:
            arguments = {
                field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init
            }
        return {
            "is": "object" if name is not None else "foreign",
            "name": name or type(value).__name__,
            "arguments": self.arguments(arguments),
        }

    def _function(self, value: Any, argument: str) -> dict[str, str]:
        """Store a function by a name that can be typed: its own, or that of its argument."""
        slot = argument if _identifier(argument) else "function"
        own = getattr(value, "__name__", None)
        given = [name for function, name in self._given if function is value]
        name = given[0] if given else str(own) if _identifier(own) else slot
        return {
            "is": "function",
            "name": _claim(name, value, self._functions),
            "argument": _claim(slot, value, self._slots),
        }


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


def _claim(name: str, value: object, taken: dict[str, object]) -> str:
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


def _ufunc_name(value: Any) -> str | None:
    """Return the name of an elementwise function of numpy or scipy, None for anything else."""
    name = str(getattr(value, "__name__", "")) if _is_elementwise(value) else ""
    return next((f"{module}.{name}" for module in _UFUNCS if _attributes(module).get(name) is value), None)


def _is_elementwise(value: Any) -> bool:
    return isinstance(value, np.ufunc) and (value.nin, value.nout) == (1, 1)


def _attributes(module: str) -> dict[str, Any]:
    return vars(importlib.import_module(module))


def _not_storable(argument: str, value: object) -> InvalidParameterError:
    return InvalidParameterError(
        f"checkpoint: {argument} = {shown(value)} cannot be stored; use numbers, strings, real arrays, functions and "
        f"descriptions there, or leave checkpoint out"
    )


class Decoder:
    """Turns JSON data and arrays back into arguments.

    Parameters
    ----------
    where
        What is read, for messages.
    arrays
        The file's arrays.
    functions, modules
        What the reader hands over: functions by name, and modules that define some.
    """

    def __init__(
        self,
        where: str,
        arrays: Mapping[str, npt.NDArray[Any]],
        *,
        functions: Mapping[str, Callable[..., Any]] | None = None,
        modules: Iterable[ModuleType] = (),
    ) -> None:
        self._where = where
        self._arrays = {key: value for key, value in arrays.items() if key.startswith("array")}
        self._unused = set(self._arrays)
        self._functions = _handed_over(functions)
        self._modules = _handed_over_modules(modules)
        #: Functions with the names under which they were found.
        self.names: list[tuple[object, str]] = []

    def engine(self, name: str, *, foreign: bool, arguments: object, base: type) -> Any:
        """Return the engine `name`, made of its stored arguments."""
        cls = self._foreign_class(name, (base,)) if foreign else own_class(name, ENGINES)
        if cls is None:
            raise self._refusal(f"holds a {shown(name)} run, which this version does not know")
        missing = []
        for item, depth in _within(arguments):
            if depth > _DEEPEST:
                raise self._refusal("nests its arguments without end")
            if isinstance(item, dict) and item.get("is") == "function" and self._find_function(item) is None:
                missing.append(item)
        if missing:
            raise self._missing([str(item.get("name")) for item in missing])
        made = self._make(name, cls, arguments)
        if self._unused:
            raise self._refusal(f"holds arrays that nothing uses ({shown(sorted(self._unused))})")
        return made

    # -- values ----------------------------------------------------------------------------------

    def _decode(self, data: object) -> Any:
        if isinstance(data, list):
            return [self._decode(item) for item in data]
        if not isinstance(data, dict):
            return data
        kind = data.get("is")
        if kind == "array":
            name = self._fields(data, name=str)["name"]
            if name not in self._arrays:
                raise self._refusal(f"lacks the array {shown(name)}")
            self._unused.discard(name)
            return self._arrays[name]
        if kind == "tuple":
            return tuple(self._decode(item) for item in self._fields(data, items=list)["items"])
        if kind == "mapping":
            items = self._fields(data, items=dict)["items"]
            return {key: self._decode(item) for key, item in items.items()}
        if kind == "seed":
            return self._seed(self._fields(data, entropy=object, spawn_key=list, pool_size=int, children=int))
        if kind == "ufunc":
            return self._ufunc(self._fields(data, name=str)["name"])
        if kind == "function":
            return self._function(self._fields(data, name=str, argument=str))
        if kind in ("object", "foreign"):
            fields = self._fields(data, name=str, arguments=dict)
            name = fields["name"]
            foreign = kind == "foreign"
            cls = self._foreign_class(name, (Description,)) if foreign else own_class(name, DESCRIPTIONS)
            if cls is None:
                raise self._refusal(f"names the class {shown(name)}, which is no description of hmm_rs")
            return self._make(name, cls, fields["arguments"])
        raise self._refusal(f"holds {shown(data)}, which means nothing here")

    def _fields(self, data: dict[str, Any], **types: type) -> dict[str, Any]:
        """Return the fields of a tagged value; every one must be there and of its type."""
        wrong = set(data) != {"is", *types} or any(
            kind is not object and type(data[name]) is not kind for name, kind in types.items()
        )
        if wrong:
            raise self._refusal(f"holds {shown(data)}, which is no valid {shown(data.get('is'))}")
        return data

    def _make(self, name: str, cls: type, arguments: object) -> Any:
        if not isinstance(arguments, dict):
            raise self._refusal(f"holds {shown(arguments)} where the arguments of {name} belong")
        decoded = {key: self._decode(item) for key, item in arguments.items()}
        try:
            return cls(**decoded)
        except ResourceError:
            raise
        except Exception as error:
            # Whatever a constructor says of a file's arguments, the file is what cannot be used.
            raise self._refusal(
                f"holds a {name} that cannot be made here ({type(error).__name__}: {error})"
            ) from error

    def _seed(self, fields: dict[str, Any]) -> np.random.SeedSequence:
        entropy, key, pool = (fields[name] for name in ("entropy", "spawn_key", "pool_size"))
        words = [*(entropy if isinstance(entropy, list) else [entropy]), *key, fields["children"]]
        if not all(type(word) is int and word >= 0 for word in words) or not 4 <= pool <= _LARGEST_POOL:
            raise self._refusal(f"holds {shown(fields)}, which is no valid 'seed'")
        return np.random.SeedSequence(
            entropy, spawn_key=tuple(key), pool_size=pool, n_children_spawned=fields["children"]
        )

    def _ufunc(self, path: str) -> Any:
        module, _, name = path.rpartition(".")
        found = _attributes(module).get(name) if module in _UFUNCS else None
        if not _is_elementwise(found):
            raise self._refusal(
                f"names the function {shown(path)}, which is no ufunc of one number of {_UFUNCS}"
            )
        return found

    # -- what the reader hands over --------------------------------------------------------------

    def _find(self, *names: object) -> Iterator[Any]:
        """Yield what the reader handed over under any of some names."""
        yield from (
            self._functions[name] for name in names if isinstance(name, str) and name in self._functions
        )
        yield from (_defined_in(module, names[0]) for module in self._modules)

    def _find_function(self, data: Mapping[str, Any]) -> Any:
        """Return the function of the reader that a stored one means, None if there is none."""
        found = self._find(data.get("name"), data.get("argument"))
        return next((item for item in found if item is not None and not isinstance(item, type)), None)

    def _function(self, fields: dict[str, Any]) -> Any:
        found = self._find_function(fields)
        if found is None:
            raise self._missing([fields["name"]])
        self.names.append((found, fields["name"]))
        return found

    def _foreign_class(self, name: str, bases: tuple[type, ...]) -> type:
        for found in self._find(name):
            if isinstance(found, type) and (
                issubclass(found, bases) or (Description in bases and dataclasses.is_dataclass(found))
            ):
                return found
        raise InvalidParameterError(
            f"{self._where}: the run uses the class {shown(name)}, which is not part of hmm_rs, and a checkpoint "
            f"never imports; pass modules=[the module that defines it] or functions={{{shown(name)}: the_class}}"
        )

    def _missing(self, names: list[str]) -> InvalidParameterError:
        unique = list(dict.fromkeys(names))
        typed = ", ".join(f"{name!r}: your_{name}" for name in unique)
        several = len(unique) > 1
        return InvalidParameterError(
            f"{self._where}: the run uses the function{'s' if several else ''} {', '.join(map(repr, unique))}, which a "
            f"checkpoint holds by name only and never imports; pass functions={{{typed}}}, or "
            f"modules=[the module that defines {'them' if several else 'it'}]"
        )

    def _refusal(self, what: str) -> InvalidParameterError:
        return InvalidParameterError(f"{self._where}: {what}; use an earlier checkpoint or start anew")


def _within(data: object) -> Iterator[tuple[object, int]]:
    """Yield everything inside JSON data, with its depth, in order and without recursion."""
    waiting = [(data, 0)]
    while waiting:
        item, depth = waiting.pop()
        yield item, depth
        if depth <= _DEEPEST and isinstance(item, (dict, list)):
            inside = list(item.values()) if isinstance(item, dict) else item
            waiting += [(part, depth + 1) for part in reversed(inside)]


def _defined_in(module: ModuleType, name: object) -> Any:
    """Return what a module defines itself under a name, None if it is nothing a run can use.

    What a module merely imported does not count: a file must not reach ``Popen`` through it.
    """
    if not isinstance(name, str):
        return None
    found = vars(module).get(name)
    if isinstance(found, np.ufunc):
        return found
    if inspect.isfunction(found) or isinstance(found, type):
        return found if found.__module__ == module.__name__ else None
    if inspect.isbuiltin(found) or inspect.ismodule(found):
        return None
    return found if callable(found) else None


def _handed_over(functions: Mapping[str, Callable[..., Any]] | None) -> dict[str, Callable[..., Any]]:
    if functions is None:
        return {}
    if not isinstance(functions, Mapping) or not all(
        isinstance(name, str) and callable(function) for name, function in functions.items()
    ):
        raise DtypeError(
            f"functions = {shown(functions)}: must map names to functions; pass functions={{'f': your_f}}"
        )
    return dict(functions)


def _handed_over_modules(modules: Iterable[ModuleType]) -> list[ModuleType]:
    if isinstance(modules, Iterable) and not isinstance(modules, str):
        listed = list(modules)
        if all(isinstance(module, ModuleType) for module in listed):
            return listed
    raise DtypeError(
        f"modules = {shown(modules)}: must be a list of modules; import the one that defines the functions and pass "
        f"modules=[that_module]"
    )
