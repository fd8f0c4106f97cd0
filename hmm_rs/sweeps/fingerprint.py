"""Content hashes of points and functions: the same in every process, on every machine.

What a function computes hangs on its code, on its defaults, and on what it takes from around it: a length `N`
written above it in a notebook counts as much as a line of its body. Code is followed through functions of the
same module; what is imported from elsewhere counts by its name.
"""

from __future__ import annotations

import dataclasses
import dis
import functools
import hashlib
import pickle
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..ground.description import Description
from ..ground.errors import DtypeError

__all__ = ["digest", "function_digest", "function_name"]


def digest(value: Any) -> str:
    """Return the hash of a value as 32 hexadecimal digits.

    Raises
    ------
    DtypeError
        If the value can be neither taken apart nor pickled.
    """
    return _Reader().read(value).hex()


def function_digest(fn: Callable[..., Any]) -> str:
    """Return the hash of a function: its code, its defaults and what it takes from around it."""
    return _Reader().read(fn).hex()


def function_name(fn: Callable[..., Any]) -> str:
    """Return module and qualified name of a function."""
    inner = fn
    while isinstance(inner, functools.partial):
        inner = inner.func
    named = inner if hasattr(inner, "__qualname__") else type(inner)
    return f"{named.__module__}:{named.__qualname__}"


class _Reader:
    """One walk through a value; a function that calls itself is read once."""

    def __init__(self) -> None:
        self._seen: dict[int, int] = {}

    def read(self, value: Any) -> bytes:
        if isinstance(value, np.generic):
            value = value.item()
        if value is None or isinstance(value, (bool, int, float, complex, str, bytes)):
            # A float's repr has all of its digits.
            return _hash(type(value).__name__, repr(value))
        if isinstance(value, np.ndarray) and value.dtype.kind != "O":
            data = np.ascontiguousarray(value)
            return _hash("array", str(data.dtype.str), repr(data.shape), data.tobytes())
        if isinstance(value, (list, tuple)):
            return _hash(type(value).__name__, *map(self.read, value))
        if isinstance(value, (set, frozenset)):
            return _hash("set", *sorted(map(self.read, value)))
        if isinstance(value, Mapping):
            return _hash("mapping", *sorted(self.read(key) + self.read(item) for key, item in value.items()))
        return self._object(value)

    def _object(self, value: Any) -> bytes:
        if isinstance(value, types.FunctionType):
            return self._function(value)
        if isinstance(value, types.MethodType):
            return _hash("method", self.read(value.__func__), self.read(value.__self__))
        if isinstance(value, functools.partial):
            return _hash("partial", self.read(value.func), self.read(value.args), self.read(value.keywords))
        if isinstance(value, types.CodeType):
            return self._code(value)
        if isinstance(value, np.random.SeedSequence):
            return _hash("seeds", repr(value))
        if isinstance(value, (type, types.BuiltinFunctionType)):
            return _hash("name", str(value.__module__), value.__qualname__)
        if isinstance(value, Description):
            return _hash("description", _type_name(value), self.read(value._arguments))
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
            return _hash("dataclass", _type_name(value), self.read(fields))
        try:
            return _hash("pickle", _type_name(value), pickle.dumps(value, protocol=5))
        except Exception as error:
            raise DtypeError(
                f"{type(value).__name__} cannot be pickled ({error}): a value of a sweep must go to other "
                "processes; pass what it is made from, and make it inside the function"
            ) from None

    def _function(self, fn: types.FunctionType) -> bytes:
        if id(fn) in self._seen:
            return _hash("again", str(self._seen[id(fn)]))
        self._seen[id(fn)] = len(self._seen)
        around = [self._around(fn, name) for name in sorted(_names(fn.__code__))]
        cells = [self._known(cell.cell_contents) for cell in fn.__closure__ or () if _filled(cell)]
        return _hash(
            "function",
            self._code(fn.__code__),
            self.read(fn.__defaults__),
            self.read(fn.__kwdefaults__),
            *cells,
            *around,
        )

    def _code(self, code: types.CodeType) -> bytes:
        # Byte code is that of one version of Python; comments and line numbers are not in it.
        version = ".".join(map(str, sys.version_info[:2]))
        constants = map(self.read, code.co_consts)
        return _hash("code", version, code.co_code, repr(code.co_names), repr(code.co_varnames), *constants)

    def _around(self, fn: types.FunctionType, name: str) -> bytes:
        """Return the hash of a global that a function uses."""
        if name not in fn.__globals__:
            return b""
        value = fn.__globals__[name]
        if isinstance(value, types.FunctionType) and value.__module__ != fn.__module__:
            return _hash(name, value.__module__, value.__qualname__)
        if isinstance(value, type) and value.__module__ == fn.__module__:
            methods = [item for item in vars(value).values() if isinstance(item, types.FunctionType)]
            return _hash(name, value.__qualname__, *map(self.read, methods))
        return _hash(name, self._known(value))

    def _known(self, value: Any) -> bytes:
        """Return the hash of something around a function; by its type if it has no content to speak of."""
        if isinstance(value, types.ModuleType):
            return _hash("module", value.__name__)
        try:
            return self.read(value)
        except DtypeError:
            return _hash("type", _type_name(value))


def _hash(kind: str, *parts: str | bytes) -> bytes:
    made = hashlib.sha256(kind.encode())
    for part in parts:
        data = part.encode("utf8", "surrogatepass") if isinstance(part, str) else part
        made.update(len(data).to_bytes(8, "little"))
        made.update(data)
    return made.digest()[:16]


def _type_name(value: Any) -> str:
    return f"{type(value).__module__}:{type(value).__qualname__}"


def _names(code: types.CodeType) -> set[str]:
    """Return the globals that code and the functions inside it look up."""
    found = {
        step.argval for step in dis.get_instructions(code) if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")
    }
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= _names(constant)
    return found


def _filled(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018 (an empty cell raises)
    except ValueError:
        return False
    return True
