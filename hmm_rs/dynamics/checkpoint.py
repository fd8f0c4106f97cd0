"""Checkpoints: settings, state and stream position in one file, written whole or not at all.

A checkpoint is an ``.npz`` archive with a JSON header. It is written to a temporary file beside
its place and renamed, so a crash never leaves half of one; the archive's checksums refuse a
truncated one.
"""

from __future__ import annotations

import importlib
import json
import os
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _lib
from ..ground.errors import InvalidParameterError

__all__ = ["decode", "encode", "read", "write"]

#: Layout of the file; raised when an older reader could misread a newer file.
FORMAT = 2

#: Everything that can stand in a checkpoint, by its name there. A file is data: what is not on this list is
#: refused, and nothing is ever imported by a name that a file gives.
_CLASSES = {
    "CNN": "networks.convolutional",
    "CallableGenerator": "data.generators.layers",
    "Cylinder": "data",
    "GaussianEquivalent": "data",
    "GaussianMixture": "data",
    "HiddenManifold": "data",
    "LayerStack": "data.generators.layers",
    "LinearlySeparable": "data",
    "MeanFieldNetwork": "networks",
    "RandomLayers": "data.generators.layers",
    "SingleInterface": "data",
    "Sphere": "data",
    "StoredSamples": "data",
    "Stripe": "data",
    "TeacherStudent": "data",
    "TwoLayer": "networks",
    "UniformSphere": "data",
}
_MAGIC = "hmm_rs checkpoint"


def encode(value: Any, arrays: dict[str, npt.NDArray[Any]]) -> Any:
    """Return `value` as JSON data; arrays go to `arrays` and are named in their place.

    Numbers, strings, None, containers of these, arrays, numpy ``SeedSequence`` and the descriptions of hmm_rs can
    be encoded; functions by name alone.
    """
    if isinstance(value, np.ndarray):
        name = f"array{len(arrays)}"
        arrays[name] = value
        return {"__array__": name}
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return {"__tuple__": [encode(item, arrays) for item in value]}
    if isinstance(value, Mapping):
        return {"__dict__": {str(key): encode(item, arrays) for key, item in value.items()}}
    if isinstance(value, np.random.SeedSequence):
        return {"__seed__": {"entropy": value.entropy, "spawn_key": list(value.spawn_key)}}
    module = getattr(type(value), "__module__", "")
    if module.split(".")[0] == "hmm_rs":
        arguments = getattr(value, "_arguments", None)
        if arguments is None:
            fields = type(value).__dataclass_fields__
            arguments = {key: getattr(value, key) for key, field in fields.items() if field.init}
        inside = {key: encode(item, arrays) for key, item in arguments.items()}
        name = type(value).__qualname__
        if name not in _CLASSES:
            raise InvalidParameterError(
                f"checkpoint: cannot store a {name}; use models and networks of hmm_rs, or run without checkpoint="
            )
        return {"__object__": name, "arguments": inside}
    if callable(value):
        return {"__function__": getattr(value, "__qualname__", type(value).__name__)}
    raise InvalidParameterError(
        f"checkpoint: cannot store {value!r:.80}; use numbers, arrays, functions and models of hmm_rs"
    )


def decode(
    data: Any,
    arrays: Mapping[str, npt.NDArray[Any]],
    functions: Mapping[str, Callable[..., Any]],
) -> Any:
    """Return what :func:`encode` stored; `functions` gives the functions it names."""
    if not isinstance(data, dict):
        return data
    if "__array__" in data:
        return arrays[data["__array__"]]
    if "__tuple__" in data:
        return tuple(decode(item, arrays, functions) for item in data["__tuple__"])
    if "__dict__" in data:
        return {key: decode(item, arrays, functions) for key, item in data["__dict__"].items()}
    if "__seed__" in data:
        return np.random.SeedSequence(**data["__seed__"])
    if "__function__" in data:
        return _function(data["__function__"], functions)
    name = data["__object__"]
    if not isinstance(name, str) or name not in _CLASSES:
        raise InvalidParameterError(f"checkpoint: names the foreign class {name!r}; do not use this file")
    cls = getattr(importlib.import_module(f"..{_CLASSES[name]}", __package__), name)
    return cls(**{key: decode(item, arrays, functions) for key, item in data["arguments"].items()})


def _function(name: Any, functions: Mapping[str, Callable[..., Any]]) -> Callable[..., Any]:
    """Return the caller's function of this name; a name in a file is never imported."""
    if isinstance(name, str):
        for key in (name, name.split(".")[-1]):
            if key in functions:
                return functions[key]
    raise InvalidParameterError(
        f"checkpoint: the run uses the function {name}, and a file is data: it is not imported; "
        f"pass functions={{{str(name).split('.')[-1]!r}: your_function}}"
    )


def write(path: Path, header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write a checkpoint to a temporary file and rename it to `path`."""
    full = {"magic": _MAGIC, "format": FORMAT, "hmm_rs_version": _lib.__version__, **header}
    text = np.frombuffer(json.dumps(full).encode(), dtype=np.uint8)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, header=text, **arrays)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read(path: Path) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Return header and arrays of a checkpoint; refuse what is not a whole one of ours."""
    if not path.is_file():
        raise InvalidParameterError(f"path = {str(path)!r}: there is no such file; pass a checkpoint's path")
    try:
        # Opened here: numpy leaves the file open where the archive is broken.
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        header = json.loads(arrays.pop("header").tobytes().decode())
    except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, OSError, EOFError, AttributeError) as error:
        raise InvalidParameterError(
            f"path = {str(path)!r}: is not a whole checkpoint ({error}); use an earlier one or start anew"
        ) from None
    if not isinstance(header, dict) or header.get("magic") != _MAGIC:
        raise InvalidParameterError(f"path = {str(path)!r}: is not a checkpoint of hmm_rs; pass one")
    if header["format"] != FORMAT:
        raise InvalidParameterError(
            f"path = {str(path)!r}: has format {header['format']}, this version reads {FORMAT}; "
            f"use hmm_rs {header['hmm_rs_version']}"
        )
    return header, arrays
