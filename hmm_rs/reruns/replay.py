"""A story told again: its objects made, its calls called, in order."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..dynamics.driver import Driver
from ..dynamics.full_batch import FullBatch
from ..dynamics.options import DEFAULTS
from ..dynamics.records import Records
from ..dynamics.resuming import engines
from ..experiments.ensembles import join_seeds
from ..ground.arguments import shown
from ..ground.errors import InvalidParameterError, StopRun
from ..ground.record import Record
from ..provenance.decoding import Decoder
from ..provenance.recording import UNTOLD
from ..provenance.story import unpack
from .lists import DRAWN, FUNCTIONS, KNOWN, SOLVERS

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["made_again", "references", "replayed", "untold"]

#: What to do where a story cannot be used.
REMEDY = "pass a result as it was made or saved"


def made_again(
    where: str,
    story: Mapping[str, Any],
    given: Mapping[str, npt.ArrayLike],
    functions: Mapping[str, Callable[..., Any]] | None,
    modules: Iterable[ModuleType],
    options: Mapping[str, Any],
) -> tuple[Any, bool]:
    """Return what a story tells of, made again, and whether it had been ended early."""
    if "joined" in story:
        runs, values = story.get("runs"), story.get("values")
        sound = isinstance(runs, list) and isinstance(values, list) and len(runs) == len(values) > 1
        if story["joined"] != "seed" or not sound or not isinstance(runs, list):
            raise InvalidParameterError(f"{where}: its provenance is damaged (no list of runs); {REMEDY}")
        parts = [
            made_again(where, {**run, "arrays": story.get("arrays")}, given, functions, modules, options)
            for run in runs
            if isinstance(run, dict)
        ]
        # Words of a record become attributes there as they did then.
        tables = [part.to_dataset() if isinstance(part, Record) else part for part, _ in parts]
        return join_seeds(tables, values or []), False
    if "lost" in story:
        raise untold(where, str(story["lost"]))
    maker, calls, whole = (story.get(key) for key in ("maker", "calls", "whole"))
    if not isinstance(calls, list) or not calls or type(whole) is not int or not all(map(_is_call, calls)):
        raise InvalidParameterError(f"{where}: its provenance is damaged (no list of calls); {REMEDY}")
    table = unpack(where, story.get("arrays"), given, references([maker, calls]))
    decoder = Decoder(
        where,
        table,
        functions=functions,
        modules=modules,
        known=KNOWN,
        makers=DRAWN,
        what="result",
        remedy=REMEDY,
    )
    if maker is None:
        (call,) = calls[-1:]
        function = FUNCTIONS.get(call["name"])
        if function is None:
            raise _unknown(where, call["name"])
        arguments = decoder.arguments(call["arguments"], _parameters(function))
        return _with(function, options)(**arguments), False
    if not isinstance(maker, dict) or not isinstance(maker.get("name"), str):
        raise InvalidParameterError(f"{where}: its provenance is damaged (no maker); {REMEDY}")
    classes: dict[str, type] = {**engines(), **{cls.__name__: cls for cls in SOLVERS}}
    target = decoder.made(
        maker["name"],
        maker.get("arguments"),
        foreign=maker.get("foreign") is True,
        classes=classes,
        base=Driver,
    )
    if isinstance(target, Driver):
        target._names = tuple(decoder.names)
        return replayed(where, target, calls, whole, decoder, options)
    result: Any = None
    for call in calls:
        if call["name"] not in SOLVERS[type(target)]:
            raise _unknown(where, call["name"])
        method = getattr(target, call["name"])
        arguments = decoder.arguments(call["arguments"], _parameters(method))
        result = _with(method, options)(**arguments)
    return (target.result if isinstance(target, FullBatch) else result), False


def replayed(
    where: str,
    driver: Driver,
    calls: list[dict[str, Any]],
    whole: int,
    decoder: Decoder,
    options: Mapping[str, Any],
) -> tuple[xr.Dataset, bool]:
    """Do again with a new driver what was done with it."""
    result: Any = None
    for number, call in enumerate(calls):
        if "lost" in call:
            raise untold(where, str(call["lost"]))
        if call["name"] not in ("run", "advance"):
            raise _unknown(where, call["name"])
        method: Any = getattr(driver, call["name"])
        allowed = set(_parameters(method)) - set(DEFAULTS)
        arguments = decoder.arguments(call["arguments"], allowed)
        if call["name"] == "advance":
            method(**arguments, threads=options["threads"])
            continue
        if number == whole:
            driver._records = Records(np.empty(0), [])
        _at_step(where, driver, call.get("from"))
        rows = call.get("rows")
        if rows == 0:
            raise untold(where, "a run was ended before it measured anything")
        callbacks = () if rows is None else (_Until(rows),)
        result = method(**arguments, callbacks=callbacks, **options)
        if number < len(calls) - 1 and call.get("to") is not None:
            left = call["to"] - _step(driver)
            if rows is not None and left > 0:
                # Particles take steps of the size of their run.
                size = {"dt": arguments["dt"]} if "dt" in arguments else {}
                driver.advance(left, threads=options["threads"], **size)  # type: ignore[attr-defined]
            _at_step(where, driver, call["to"])
    if result is None:
        raise untold(where, "it names no run")
    return result, calls[-1].get("rows") is not None


class _Until:
    """A callback that ends a run after a number of measurements."""

    def __init__(self, rows: int) -> None:
        self._left = rows

    def __call__(self, driver: object, seen: object) -> None:
        del driver, seen
        self._left -= 1
        if self._left <= 0:
            raise StopRun


def _step(driver: Driver) -> int:
    return int(getattr(driver, "step", -1))


def _at_step(where: str, driver: Driver, step: object) -> None:
    """Refuse a story that does not lead where the run was."""
    if step is not None and _step(driver) != step:
        raise untold(where, f"its story leads to step {_step(driver)}, the run was at step {step}")


def _with(function: Callable[..., Any], options: Mapping[str, Any]) -> Callable[..., Any]:
    """Return a function with those of the reader's options that it takes."""
    taken = inspect.signature(function).parameters
    chosen = {key: value for key, value in options.items() if key in taken}
    return functools.partial(function, **chosen)


def _parameters(function: Callable[..., Any]) -> list[str]:
    """Return what a story may pass: what changes results."""
    return [name for name in inspect.signature(function).parameters if name not in UNTOLD]


def references(data: object) -> Iterator[str]:
    """Yield the arrays that a story needs, in order."""
    waiting = [data]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if item.get("is") == "array" and isinstance(item.get("name"), str):
                yield item["name"]
            waiting += list(item.values())[::-1]
        elif isinstance(item, list):
            waiting += item[::-1]


def _is_call(call: object) -> bool:
    return (
        isinstance(call, dict)
        and isinstance(call.get("name"), str)
        and ("lost" in call or isinstance(call.get("arguments"), dict))
    )


def untold(where: str, why: str) -> InvalidParameterError:
    """Return the refusal of a result that does not say enough."""
    return InvalidParameterError(f"{where}: cannot be made again ({why}); pass a result of a run or a solver")


def _unknown(where: str, name: object) -> InvalidParameterError:
    return InvalidParameterError(
        f"{where}: names the call {shown(name)}, which no result of this version is made by; {REMEDY}"
    )
