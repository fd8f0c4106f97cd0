"""What was done with a driver since it was made: enough to do it again, step by step."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from ..ground.errors import InvalidParameterError
from ..provenance.story import ATTRIBUTE, Call, encoded_call, encoded_maker, write

if TYPE_CHECKING:
    import xarray as xr

    from .driver import Driver

__all__ = ["History", "stepping"]

_P = ParamSpec("_P")
_D = TypeVar("_D", bound="Driver")


class History:
    """Calls that moved a driver, in order, as data.

    Parameters
    ----------
    data
        What :meth:`data` returned of another one.
    """

    def __init__(self, data: Mapping[str, Any] | None = None) -> None:
        self.calls: list[Call] = []
        #: Number of the first call whose measurements stand in the records.
        self.whole = 0
        if data is not None:
            calls, whole = data.get("calls"), data.get("whole")
            if type(calls) is not list or type(whole) is not int or not all(map(_is_call, calls)):
                raise InvalidParameterError("the history is none")
            self.calls, self.whole = calls, whole

    def data(self) -> dict[str, Any]:
        """Return the history as JSON data."""
        return {"calls": self.calls, "whole": self.whole}

    def begin(self, driver: Driver, name: str, arguments: Mapping[str, Any] | None) -> None:
        """Note that a run begins; without its arguments it cannot be told."""
        if driver._records is None:
            if driver._by_steps:
                self._forget_runs()
            self.whole = len(self.calls)
        if arguments is None:
            call: Call = {"name": name, "lost": "its engine starts runs in a way of its own"}
        else:
            call = encoded_call(name, arguments, driver._names)
        self.calls.append({**call, "from": _step(driver)})

    def end(self, driver: Driver, rows: int, *, unfinished: bool) -> None:
        """Note that a run has ended after `rows` measurements, `unfinished` where it was not meant to."""
        call = self.calls[-1]
        call.pop("rows", None)
        if unfinished:
            call["rows"] = rows
        call["to"] = _step(driver)

    def advanced(self, driver: Driver, begun: int, arguments: Mapping[str, Any]) -> None:
        """Note that steps were taken outside of a run."""
        done = (_step(driver) or 0) - begun
        run = driver._run
        if run is not None:
            if run.is_mine() and done:
                self.calls[-1]["lost"] = "the driver was advanced by a callback"
        elif done:
            self._append_steps(done, arguments)

    def _append_steps(self, steps: int, arguments: Mapping[str, Any]) -> None:
        """Append steps; steps of one kind that follow each other are one call."""
        last = self.calls[-1] if self.calls else {}
        before = dict(last.get("arguments", {}))
        if last.get("name") == "advance" and before.pop("n_steps", None) is not None and before == arguments:
            last["arguments"]["n_steps"] += steps
        else:
            self.calls.append(encoded_call("advance", {"n_steps": steps, **arguments}))

    def _forget_runs(self) -> None:
        """Keep of earlier runs how many steps they took, which is all that matters to some engines."""
        calls, self.calls = self.calls, []
        for call in calls:
            if call["name"] == "run" and "lost" not in call and None not in (call["from"], call.get("to")):
                dt = {"dt": call["arguments"]["dt"]} if "dt" in call["arguments"] else {}
                if call["to"] > call["from"]:
                    self._append_steps(call["to"] - call["from"], dt)
            elif call["name"] == "advance" and "lost" not in call:
                arguments = dict(call["arguments"])
                self._append_steps(arguments.pop("n_steps"), arguments)
            else:
                self.calls.append(call)

    def tell(self, driver: Driver, result: xr.Dataset) -> None:
        """Leave the story with a result."""
        if driver._maker is None:
            driver._maker = encoded_maker(type(driver), driver._arguments, driver._names)
        result.attrs[ATTRIBUTE] = write(driver._maker, self.calls, whole=self.whole, sizes=result.sizes)


def stepping(
    advance: Callable[Concatenate[_D, _P], None],
) -> Callable[Concatenate[_D, _P], None]:
    """Make the method of a driver that takes steps say so in its history."""
    signature = inspect.signature(advance)

    @functools.wraps(advance)
    def counted(driver: _D, /, *args: _P.args, **keywords: _P.kwargs) -> None:
        begun = _step(driver) or 0
        try:
            advance(driver, *args, **keywords)
        finally:
            # Arguments that were refused have moved nothing, and may be anything.
            try:
                given = signature.bind(driver, *args, **keywords).arguments
                size = {"dt": float(given["dt"])} if "dt" in given else {}
            except (TypeError, ValueError, OverflowError):
                size = {}
            driver._history.advanced(driver, begun, size)

    return counted


def _step(driver: Driver) -> int | None:
    """Return how many steps a driver has taken, None where it does not count them."""
    step = getattr(driver, "step", None)
    return None if step is None else int(step)


def _is_call(call: object) -> bool:
    if not isinstance(call, dict) or not isinstance(call.get("name"), str):
        return False
    if "lost" in call:
        return isinstance(call["lost"], str)
    counts = [call[key] for key in ("rows", "from", "to") if call.get(key) is not None]
    return (
        isinstance(call.get("arguments"), dict)
        and isinstance(call.get("arrays"), dict)
        and all(type(number) is int and number >= 0 for number in counts)
    )
