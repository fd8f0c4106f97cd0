"""The protocol of long runs, written once: Rust steps, Python drives.

A driver advances a compiled stepper in slices of about 100 ms and does between slices whatever a
person touches: progress bar, Ctrl-C, callbacks, checkpoints, time budget. How a run is sliced
never changes a bit of its result.
"""

from __future__ import annotations

import math
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from .. import _lib
from ..ground.arguments import array, count, number
from ..ground.errors import DivergenceError, DtypeError, InvalidParameterError, StopRun
from ..ground.results import dataset
from . import checkpoint as checkpoints

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Driver", "Observation", "logtimes", "resume"]

#: What a driver measures at one time: arrays and numbers by variable name.
Observation = dict[str, Any]
Callback = Callable[["Driver", Observation], object]

#: Seconds of Rust work between two looks at the outside world.
_SLICE = 0.1

_DRIVERS: dict[str, type[Driver]] = {}


def logtimes(t0: float, t1: float, n: int) -> npt.NDArray[np.float64]:
    """Return `n` times from `t0` to `t1`, evenly spaced in log t.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> hr.logtimes(0.1, 10, 3)
    array([ 0.1,  1. , 10. ])
    """
    t0 = number("t0", t0, minimum=0.0, exclusive=True)
    t1 = number("t1", t1, minimum=t0)
    n = count("n", n)
    times = np.geomspace(t0, t1, n)
    times[-1] = t1 if n > 1 else t0
    return times


class Driver(ABC):
    """Base of all engines that take steps.

    A subclass stores its constructor's arguments in ``self._arguments``, owns a compiled stepper
    and says how to step, measure, and save and restore its state. ``run`` of the subclass checks
    its own arguments and calls :meth:`_drive`.
    """

    #: Dimension, label and unit of the time axis of the result.
    _axis: ClassVar[tuple[str, str, str]] = ("t", "time", "")
    #: Citation keys of the works an engine implements.
    _cite: ClassVar[tuple[str, ...]] = ()

    _arguments: dict[str, Any]

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        _DRIVERS[cls.__name__] = cls

    # -- what an engine provides ---------------------------------------------------------------

    @property
    @abstractmethod
    def t(self) -> float:
        """Present time."""

    @abstractmethod
    def _advance_towards(self, target: float, steps: int, threads: int | None) -> bool:
        """Take at most `steps` steps towards time `target`; return whether it is reached."""

    @abstractmethod
    def _observe(self, threads: int | None) -> Observation:
        """Measure now."""

    @abstractmethod
    def _state(self) -> dict[str, npt.NDArray[Any]]:
        """Return the stepper's whole state as arrays."""

    @abstractmethod
    def _restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Put the stepper into a state that :meth:`_state` returned."""

    def _postfix(self, seen: Observation) -> str:
        """Return what the progress bar says about the last measurement."""
        return f"eg={seen['eg']:.3g}" if "eg" in seen else ""

    def _finish(self, result: xr.Dataset) -> xr.Dataset:
        """Add to a result what is not a time series."""
        return result

    def _finished_early(self) -> str:
        """Return why there is nothing left to do ("" if there is)."""
        return ""

    # -- the protocol --------------------------------------------------------------------------

    def _drive(
        self,
        targets: npt.NDArray[np.float64],
        *,
        progress: bool,
        checkpoint: str | Path | None,
        checkpoint_every: float,
        callbacks: Sequence[Callback],
        threads: int | None,
        max_seconds: float | None,
        records: list[Observation] | None = None,
    ) -> xr.Dataset:
        """Run through the save times `targets` and return the result."""
        if threads is not None:
            threads = count("threads", threads)
        checkpoint_every = number("checkpoint_every", checkpoint_every, minimum=0.0)
        budget = math.inf if max_seconds is None else number("max_seconds", max_seconds, minimum=0.0)
        path = None if checkpoint is None else Path(checkpoint)
        if path is not None and not path.absolute().parent.is_dir():
            raise InvalidParameterError(
                f"checkpoint = {str(path)!r}: its folder does not exist; make {path.absolute().parent} first"
            )
        if not isinstance(callbacks, Iterable) or not all(callable(c) for c in callbacks):
            raise DtypeError(
                "callbacks: must be a sequence of functions (driver, observation); pass [function]"
            )
        records = [] if records is None else records
        started = saved = time.monotonic()
        steps = 1
        stopped = ""
        error: BaseException | None = None

        def save(*, finished: bool) -> None:
            if path is not None:
                self._write(path, targets, records, checkpoint_every, finished=finished)

        bar = self._bar(progress, targets)
        try:
            for target in targets[len(records) :]:
                reached = False
                while not reached and not stopped:
                    begun = time.monotonic()
                    reached = self._advance_towards(float(target), steps, threads)
                    taken = max(time.monotonic() - begun, 1e-6)
                    # Aim at a slice of 100 ms, but do not trust one timing with more than a factor 4.
                    # Close targets end slices early: without a bound the guess would grow for ever.
                    steps = max(1, min(int(steps * _SLICE / taken), 4 * steps, 1 << 40))
                    bar.advance_to(self.t)
                    now = time.monotonic()
                    stopped = self._finished_early()
                    if not reached and path is not None and now - saved >= checkpoint_every:
                        save(finished=False)
                        saved = now
                    if not stopped and now - started >= budget:
                        stopped = "max_seconds"
                if stopped == "max_seconds" and not reached:
                    break
                seen = {"t": self.t, **self._observe(threads)}
                records.append(seen)
                bar.say(self._postfix(seen))
                for callback in callbacks:
                    callback(self, seen)
                if path is not None and time.monotonic() - saved >= checkpoint_every:
                    save(finished=False)
                    saved = time.monotonic()
                if stopped:
                    break
        except StopRun:
            stopped = "callback"
        except KeyboardInterrupt as interrupt:
            stopped, error = "interrupted", interrupt
        except DivergenceError as divergence:
            stopped, error = "diverged", divergence
        finally:
            bar.close()
        finished = stopped not in ("interrupted", "max_seconds", "diverged", "callback")
        if stopped != "diverged":
            save(finished=finished)
        if stopped == "interrupted" and not _interactive():
            assert error is not None  # set together with `stopped`
            raise error
        result = self._result(records, stopped, time.monotonic() - started, threads)
        if isinstance(error, DivergenceError):
            error.result = result
            raise error
        return result

    def _bar(self, progress: bool, targets: npt.NDArray[np.float64]) -> _Bar:
        end = float(targets[-1]) if len(targets) else 0.0
        return _Bar(progress, end, self.t, type(self).__name__, self._axis[0])

    def _result(
        self, records: list[Observation], stopped: str, seconds: float, threads: int | None
    ) -> xr.Dataset:
        """Return the records as a dataset of the schema."""
        names = [name for name in records[0] if name != "t"] if records else []
        dim, label, units = self._axis
        result = dataset(
            {name: np.stack([np.asarray(r[name], dtype=np.float64) for r in records]) for name in names},
            along=np.array([r["t"] for r in records], dtype=np.float64),
            dim=dim,
            label=label,
            units=units,
            source="simulation",
            settings={"driver": type(self).__name__, **self._summary()},
            cite=self._cite,
            seed=str(self._arguments.get("seed", "")),
            dtype=str(self._arguments.get("dtype", "float64")),
            threads=threads or _lib.get_num_threads(),
            wall_time=seconds,
            interrupted=int(stopped == "interrupted"),
            stopped=stopped,
        )
        return self._finish(result)

    def _summary(self) -> dict[str, Any]:
        """Return the settings that fit into an attribute: arrays by shape, the rest by repr."""
        plain = (bool, int, float, str, type(None))
        return {
            key: value if isinstance(value, plain) else repr(value) for key, value in self._arguments.items()
        }

    # -- saving and restoring ------------------------------------------------------------------

    def _write(
        self,
        path: Path,
        targets: npt.NDArray[np.float64],
        records: list[Observation],
        every: float,
        *,
        finished: bool,
    ) -> None:
        arrays: dict[str, npt.NDArray[Any]] = {}
        header = {
            "driver": type(self).__name__,
            "arguments": {key: checkpoints.encode(v, arrays) for key, v in self._arguments.items()},
            "records": list(records[0]) if records else [],
            "checkpoint_every": every,
            "finished": finished,
        }
        arrays["targets"] = targets
        arrays.update({f"state:{key}": value for key, value in self._state().items()})
        for name in records[0] if records else ():
            arrays[f"record:{name}"] = np.stack([np.asarray(r[name]) for r in records])
        checkpoints.write(path, header, arrays)

    def __getstate__(self) -> dict[str, Any]:
        return {"arguments": self._arguments, "state": self._state()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        type(self).__init__(self, **state["arguments"])
        self._restore(state["state"])

    def __deepcopy__(self, memo: dict[int, Any]) -> Driver:
        twin = type(self)(**self._arguments)
        twin._restore(self._state())
        return twin


def save_times(
    t_max: float, save_at: npt.ArrayLike | None, now: float, first: float
) -> npt.NDArray[np.float64]:
    """Return the save times of a run from `now` to `t_max`: checked, or evenly spaced in log t.

    `first` is the earliest time worth a measurement after the start.
    """
    t_max = number("t_max", t_max, minimum=0.0)
    if t_max < now:
        raise InvalidParameterError(
            f"t_max = {t_max}: the run is at t = {now:g} already; pass a later time or make a new driver"
        )
    if save_at is None:
        if t_max <= now + first:
            return np.unique([now, t_max])
        return np.unique(np.concatenate([[now], now + logtimes(first, t_max - now, 60), [t_max]]))
    times = array("save_at", save_at, (None,))
    if (np.diff(times) < 0).any() or times[0] < 0:
        raise InvalidParameterError("save_at: times must be >= 0 and in increasing order; sort them")
    if times[-1] > t_max:
        raise InvalidParameterError(
            f"save_at[-1] = {times[-1]}: must be <= t_max = {t_max}; raise t_max or drop it"
        )
    if times[0] < now:
        raise InvalidParameterError(
            f"save_at[0] = {times[0]}: the run is at t = {now:g} already; pass later times"
        )
    return times


class _Bar:
    """A progress bar in physical time, or nothing."""

    def __init__(self, wanted: bool, end: float, now: float, title: str, unit: str) -> None:
        self._bar: Any = None
        if wanted:
            from tqdm.auto import tqdm

            self._bar = tqdm(
                total=end,
                initial=now,
                desc=title,
                bar_format="{desc}: {percentage:3.0f}%|{bar}| "
                + unit
                + "={n:.4g}/{total:.4g} [{elapsed}<{remaining}{postfix}]",
            )

    def advance_to(self, now: float) -> None:
        if self._bar is not None:
            self._bar.update(min(now, self._bar.total) - self._bar.n)

    def say(self, postfix: str) -> None:
        if self._bar is not None and postfix:
            self._bar.set_postfix_str(postfix, refresh=False)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def _interactive() -> bool:
    """Return whether a person sits at a prompt: there a partial result is worth more than a traceback."""
    return hasattr(sys, "ps1") or bool(sys.flags.interactive) or "ipykernel" in sys.modules


def resume(
    path: str | Path,
    *,
    progress: bool = False,
    checkpoint_every: float | None = None,
    callbacks: Sequence[Callback] = (),
    threads: int | None = None,
    max_seconds: float | None = None,
    functions: Mapping[str, Callable[..., Any]] | None = None,
) -> xr.Dataset:
    """Continue a run from its checkpoint and return the whole run's result.

    The result is bit for bit that of a run that was never stopped, on any number of threads. The
    checkpoint is kept up to date; resuming a finished run returns its result.

    Parameters
    ----------
    path
        The file given to ``run(checkpoint=...)``.
    progress, callbacks, threads, max_seconds, checkpoint_every
        As in ``run``; `checkpoint_every` stays what it was if None.
    functions
        Functions of the run (a nonlinearity, a generator) by name: a file is data, so none is imported.

    Raises
    ------
    InvalidParameterError
        If the file is truncated, foreign, or of another format.
    """
    driver, header, arrays = _load(Path(path), functions or {})
    stacked = {name: arrays[f"record:{name}"] for name in header["records"]}
    length = len(next(iter(stacked.values()))) if stacked else 0
    records = [{name: values[i] for name, values in stacked.items()} for i in range(length)]
    if header["finished"]:
        return driver._result(records, "", 0.0, threads)
    return driver._drive(
        arrays["targets"],
        progress=progress,
        checkpoint=path,
        checkpoint_every=header["checkpoint_every"] if checkpoint_every is None else checkpoint_every,
        callbacks=callbacks,
        threads=threads,
        max_seconds=max_seconds,
        records=records,
    )


def _load(
    path: Path, functions: Mapping[str, Callable[..., Any]]
) -> tuple[Driver, dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Return the driver of a checkpoint in its saved state, with the file's header and arrays."""
    header, arrays = checkpoints.read(path)
    cls = _DRIVERS.get(header["driver"])
    if cls is None:
        raise InvalidParameterError(
            f"path = {str(path)!r}: holds a {header['driver']} run, unknown to this version; use the one that wrote it"
        )
    arguments = {
        key: checkpoints.decode(item, arrays, functions) for key, item in header["arguments"].items()
    }
    driver = cls(**arguments)
    prefix = "state:"
    driver._restore({key[len(prefix) :]: v for key, v in arrays.items() if key.startswith(prefix)})
    return driver, header, arrays
