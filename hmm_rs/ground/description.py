"""Frozen descriptions: what a user writes down, compared and hashed by content."""

from __future__ import annotations

import copy
import functools
import hashlib
import inspect
from collections.abc import Callable
from typing import Any, Concatenate, NoReturn, ParamSpec, TypeVar

import numpy as np

from .display import as_table, spelled

__all__ = ["Description", "drawn", "spelled"]

_P = ParamSpec("_P")
_D = TypeVar("_D", bound="Description")


class Description:
    """Base of immutable descriptions whose constructor does more than store its arguments.

    A subclass's ``__init__`` checks its arguments and hands them to :meth:`_describe`; equality,
    hash, repr, pickling and checkpoints follow from them. Arrays are copied and made read-only.
    """

    _arguments: dict[str, Any]
    #: Of a description that was drawn: the name of its constructor and what that was given.
    _recipe: tuple[str, dict[str, Any]] | None = None

    def _describe(self, **arguments: Any) -> None:
        """Store the checked constructor arguments as attributes."""
        for key, value in arguments.items():
            if isinstance(value, np.ndarray):
                value = value.copy()
                value.flags.writeable = False
                arguments[key] = value
            elif isinstance(value, list):
                arguments[key] = list(value)
        object.__setattr__(self, "_arguments", arguments)
        for key, value in arguments.items():
            if not isinstance(getattr(type(self), key, None), property):
                object.__setattr__(self, key, value)

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError(
            f"{type(self).__name__} is frozen: cannot set {name}; make a new one with the value you want"
        )

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is frozen: cannot delete {name}")

    def _key(self) -> tuple[Any, ...]:
        def hashable(value: Any) -> Any:
            if isinstance(value, np.ndarray):
                return value.shape, hashlib.sha256(value.tobytes()).hexdigest()
            if isinstance(value, np.random.SeedSequence):
                return str(value.entropy), tuple(value.spawn_key), value.pool_size
            return tuple(value) if isinstance(value, list) else value

        return type(self), *((key, hashable(value)) for key, value in self._arguments.items())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Description):
            return NotImplemented
        return self is other or self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        inside = ", ".join(f"{key}={spelled(value)}" for key, value in self._arguments.items())
        return f"{type(self).__name__}({inside})"

    def _repr_html_(self) -> str:
        return as_table(type(self).__name__, self._arguments.items())

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self._arguments, self._recipe)

    def __copy__(self) -> Description:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Description:
        return self


def _rebuild(
    cls: type[Description], arguments: dict[str, Any], recipe: tuple[str, dict[str, Any]] | None = None
) -> Description:
    made = cls(**arguments)
    object.__setattr__(made, "_recipe", recipe)
    return made


def _kept(value: Any) -> Any:
    """Return a copy that later changes of an argument do not reach; views of memory become arrays."""
    return np.array(value) if isinstance(value, memoryview) else copy.copy(value)


def drawn(
    constructor: Callable[Concatenate[type[_D], _P], _D],
) -> Callable[Concatenate[type[_D], _P], _D]:
    """Make a constructor that draws numbers leave its name and arguments with what it makes.

    The numbers can then be drawn again where they are too many to be written down.
    """
    signature = inspect.signature(constructor)

    @functools.wraps(constructor)
    def made(cls: type[_D], /, *args: _P.args, **keywords: _P.kwargs) -> _D:
        result = constructor(cls, *args, **keywords)
        _, *given = signature.bind(cls, *args, **keywords).arguments.items()
        recipe = f"{cls.__name__}.{constructor.__name__}", {key: _kept(value) for key, value in given}
        object.__setattr__(result, "_recipe", recipe)
        return result

    return made
