"""Solvers that leave their story with what they return."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

from ..ground.description import Description
from ..ground.record import Record
from .story import ATTRIBUTE, Call, encoded_call, encoded_maker, write

__all__ = ["UNTOLD", "attach", "maker_of", "recorded", "recorded_method", "remembered"]

_P = ParamSpec("_P")
_R = TypeVar("_R")
_S = TypeVar("_S")

#: Arguments that change nothing of a result.
UNTOLD = ("threads", "progress")


def remembered(init: Callable[Concatenate[_S, _P], None]) -> Callable[Concatenate[_S, _P], None]:
    """Make a constructor leave what it was given with the object, as data: arrays may change later."""
    signature = inspect.signature(init)

    @functools.wraps(init)
    def started(self: _S, /, *args: _P.args, **keywords: _P.kwargs) -> None:
        init(self, *args, **keywords)
        given = dict(signature.bind(self, *args, **keywords).arguments)
        del given["self"]
        vars(self)["_maker"] = encoded_maker(type(self), _told(given))

    return started


def recorded(name: str) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Make a function leave its story, under a `name`, with the dataset or record that it returns."""

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def told(*args: _P.args, **keywords: _P.kwargs) -> _R:
            # First: what it was given may be changed by others while it works.
            call = encoded_call(name, _told(signature.bind(*args, **keywords).arguments))
            result = function(*args, **keywords)
            attach(result, None, [call])
            return result

        return told

    return decorate


def recorded_method(
    method: Callable[Concatenate[_S, _P], _R],
) -> Callable[Concatenate[_S, _P], _R]:
    """Make a method leave its story with what it returns: how its object was made, and earlier calls that moved it."""
    signature = inspect.signature(method)

    @functools.wraps(method)
    def told(self: _S, /, *args: _P.args, **keywords: _P.kwargs) -> _R:
        given = dict(signature.bind(self, *args, **keywords).arguments)
        del given["self"]
        call = encoded_call(method.__name__, _told(given))
        result = method(self, *args, **keywords)
        before: list[Call] | None = vars(self).get("_calls")
        calls = [call] if before is None else [*before, call]
        if before is not None:
            before.append(call)
        attach(result, maker_of(self), calls)
        return result

    return told


def maker_of(target: object) -> dict[str, Any]:
    """Return how an object was made."""
    if isinstance(target, Description):
        return encoded_maker(type(target), target._arguments)
    made: dict[str, Any] = vars(target)["_maker"]
    return made


def attach(result: Any, maker: Mapping[str, Any] | None, calls: Sequence[Call]) -> None:
    """Leave a story with a dataset or a record."""
    last = len(calls) - 1
    if isinstance(result, Record):
        result.__dict__["_schema"][ATTRIBUTE] = write(maker, calls, whole=last, sizes={})
    else:
        result.attrs[ATTRIBUTE] = write(maker, calls, whole=last, sizes=result.sizes)


def _told(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call that matter, ``**options`` among the others."""
    flat: dict[str, Any] = {}
    for key, value in given.items():
        if key == "options" and isinstance(value, dict):
            flat.update(value)
        else:
            flat[key] = value
    return {key: value for key, value in flat.items() if key not in UNTOLD}
