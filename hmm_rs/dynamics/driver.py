"""The protocol of long runs, written once: Rust steps, Python drives.

A driver advances a compiled stepper in slices of about 100 ms and does between slices whatever a
person touches: progress bar, Ctrl-C, callbacks, checkpoints, time budget. How a run is sliced
never changes a bit of its result.
"""

from __future__ import annotations

import copy
import math
import os
import sys
import threading
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

import numpy as np
import numpy.typing as npt

from .. import _lib
from ..ground.arguments import LARGEST_COUNT, array, count, number, shown
from ..ground.description import spelled
from ..ground.errors import (
    CheckpointWarning,
    DivergenceError,
    DtypeError,
    HmmError,
    InvalidParameterError,
    ResourceError,
    StopRun,
)
from ..ground.results import dataset, indexed
from . import checkpoint as checkpoints
from .encoding import ENGINES, Decoder, Encoder, own_name, same_arguments
from .options import (
    DEFAULTS,
    Callback,
    ResumeOptions,
    RunOptions,
    documented,
    long_run,
    refuse_unknown,
    settled,
)
from .progress import Bar
from .sharing import RunInProgress, SharedEngine
from .signals import SAVED, Terminated, Termination

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "Callback",
    "Driver",
    "Observation",
    "ResumeOptions",
    "RunOptions",
    "load",
    "logtimes",
    "long_run",
    "resume",
    "save_steps",
    "save_times",
    "whole_steps",
]

#: What a driver measures at one time: arrays and numbers by variable name.
Observation = dict[str, Any]
Times = npt.NDArray[np.float64]

#: Seconds of Rust work between two looks at the outside world.
_SLICE = 0.1
#: Most steps of a slice: close targets end slices early, and a guess from those would grow for ever.
_LONGEST_SLICE = 1 << 32
#: Relative distance of two times that is rounding, not meant.
_ROUNDING = 1e-12
#: Ways for a run to end that leave something to do.
_UNFINISHED = frozenset({"interrupted", "terminated", "max_seconds", "diverged", "callback", "stop", "error"})


def logtimes(t0: float, t1: float, n: int) -> Times:
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


@dataclass
class _Log:
    """What a run is to measure and has measured."""

    targets: Times
    records: list[Observation]
    #: Records of earlier runs, from before the first target.
    past: int = 0
    #: Targets reached.
    done: int = 0
    #: Seconds that earlier parts of the run took.
    seconds: float = 0.0

    def take(self, seen: Observation, target: int) -> bool:
        """Record a measurement at a target; return whether it has a row of its own.

        Targets that are moved to the same step are one row, and the axis of a result stays unique.
        """
        repeated = bool(self.records) and self.records[-1]["t"] == seen["t"]
        if repeated:
            self.records[-1] = seen
        else:
            self.records.append(seen)
        # Last: where Ctrl-C falls in between, the same row is taken again.
        self.done = target + 1
        return not repeated

    def stacked(self) -> dict[str, npt.NDArray[Any]]:
        """Return the records as arrays by name."""
        names = self.records[0] if self.records else ()
        return {name: np.stack([np.asarray(r[name]) for r in self.records]) for name in names}


class Driver(ABC):
    """Base of all engines that take steps.

    A subclass stores its constructor's arguments in ``self._arguments``, owns a compiled engine
    and says how to step, measure, and save and restore its state. ``run`` of the subclass, made by
    :func:`long_run`, checks its own arguments and calls :meth:`_drive`.
    """

    #: Dimension, label and unit of the time axis of the result.
    _axis: ClassVar[tuple[str, str, str]] = ("t", "time", "")
    #: Citation keys of the works an engine implements.
    _cite: ClassVar[tuple[str, ...]] = ()

    _arguments: dict[str, Any]
    #: The compiled engine.
    _engine: Any = SharedEngine()

    #: What the last run measured, as far as it came: also after Ctrl-C and after an error in a callback.
    result: xr.Dataset | None = None

    #: The run that is on.
    _run: RunInProgress | None = None
    #: Of a driver that :func:`load` made: the whole run's records, which go on growing.
    _log: _Log | None = None
    #: Functions of a driver that was read from a file, with the names they have there.
    _names: tuple[tuple[object, str], ...] = ()

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
        """Return the engine's whole state as arrays."""

    @abstractmethod
    def _restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Put the engine into a state that :meth:`_state` returned."""

    def _position(self) -> tuple[str, float]:
        """Return what the save times count, and where the driver is in it."""
        return self._axis[0], self.t

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

    def stop(self) -> None:
        """End the run that is on, normally, after the present slice of about 100 ms.

        May be called from any thread. The result has ``stopped`` = "stop"; a checkpoint of the run can
        be resumed. Without a run nothing happens.
        """
        run = self._run
        if run is not None:
            run.stop.set()

    @contextmanager
    def _claimed(self) -> Iterator[None]:
        """Hold the driver for one run."""
        with _CLAIMING:
            if self._run is not None and not self._run.is_left_behind():
                raise HmmError(
                    f"{type(self).__name__} is running already: a run cannot be started again from a callback or "
                    f"another thread; raise StopRun, call stop(), or work on copy.deepcopy(driver)"
                )
            self._run = RunInProgress()
        try:
            yield
        finally:
            self._run = None

    def _drive(self, targets: Times, **options: Unpack[RunOptions]) -> xr.Dataset:
        """Run through the save times `targets` and return the result."""
        log = _Log(targets, [])
        if self._log is not None:
            # A run that was read from a file is continued as one.
            records = list(self._log.records)
            log = self._log = _Log(targets, records, past=len(records), seconds=self._log.seconds)
        return self._continue(log, settled(options))

    def _continue(self, log: _Log, options: RunOptions, *, resumed: bool = False) -> xr.Dataset:
        """Go on with a run and return the whole of it."""
        run = self._run
        assert run is not None  # `long_run` and `resume` claim the driver first
        saver = None
        if options["checkpoint"] is not None:
            saver = _Saver(self, log, options, owned=resumed)
        termination = Termination()
        axis, now = self._position()
        end = float(log.targets[-1]) if len(log.targets) else now
        bar = Bar(options["progress"], now=now, end=end, title=type(self).__name__, axis=axis)
        work = _Work(self, run, log, options, saver, bar, termination)
        error: BaseException | None = None
        with termination.watching(saver is not None):
            try:
                try:
                    termination.raising = True
                    stopped = work.through()
                finally:
                    termination.raising = False
            except StopRun:
                stopped = "callback"
            except Terminated:
                stopped = "terminated"
            except KeyboardInterrupt as interrupt:
                stopped, error = "interrupted", interrupt
            except BaseException as failure:
                diverged = isinstance(failure, DivergenceError) and not work.calling
                stopped, error = "diverged" if diverged else "error", failure
            finally:
                bar.close()
            # What the engine is worth after an error of its own nobody knows: the last save stands.
            sound = stopped not in ("diverged", "error") or work.calling
            try:
                if saver is not None and sound:
                    saver.save(stopped, finished=stopped not in _UNFINISHED)
            finally:
                self.result = self._result(log, stopped, work.seconds(), options["threads"])
            if termination.asked and saver is not None:
                raise SystemExit(SAVED if saver.saved else 1)
        if error is None or (stopped == "interrupted" and _interactive()):
            return self.result
        if isinstance(error, DivergenceError):
            error.result = self.result
        error.add_note(
            f"hmm_rs: the run ended at {axis} = {self._position()[1]:.6g}; what it measured is in .result of the driver"
            + (
                f", hmm_rs.resume({str(saver.path)!r}) continues it"
                if saver is not None and saver.saved
                else ""
            )
        )
        raise error

    def _result(self, log: _Log, stopped: str, seconds: float, threads: int | None) -> xr.Dataset:
        """Return the records as a dataset of the schema."""
        values = log.stacked()
        dim, label, units = self._axis
        result = dataset(
            {name: value for name, value in values.items() if name != "t"},
            along=values.get("t", np.empty(0)),
            dim=dim,
            label=label,
            units=units,
            source="simulation",
            settings={"driver": type(self).__name__, **self._summary()},
            cite=self._cite,
            seed=spelled(self._arguments["seed"]) if "seed" in self._arguments else "",
            dtype=str(self._arguments.get("dtype", "float64")),
            threads=threads or _lib.get_num_threads(),
            wall_time=seconds,
            interrupted=int(stopped == "interrupted"),
            stopped=stopped,
        )
        return indexed(self._finish(result))

    def _summary(self) -> dict[str, Any]:
        """Return the settings that fit into an attribute: arrays by shape, the rest by repr."""
        plain = (bool, int, float, str, type(None))
        return {
            key: value if isinstance(value, plain) else spelled(value)
            for key, value in self._arguments.items()
        }

    # -- copies --------------------------------------------------------------------------------

    def _snapshot(self) -> dict[str, npt.NDArray[Any]]:
        """Return the state, between two slices of a run of another thread."""
        run = self._run
        with nullcontext() if run is None or run.is_left_behind() else run.holding():
            return self._state()

    def __getstate__(self) -> dict[str, Any]:
        return {"arguments": self._arguments, "state": self._snapshot(), "log": self._log}

    def __setstate__(self, state: dict[str, Any]) -> None:
        type(self).__init__(self, **state["arguments"])
        self._restore(state["state"])
        self._log = state["log"]

    def __deepcopy__(self, memo: dict[int, Any]) -> Driver:
        twin = type(self)(**self._arguments)
        twin._restore(self._snapshot())
        twin._log = copy.deepcopy(self._log, memo)
        twin._names = self._names
        return twin


#: Held for the moment in which a run claims its driver.
_CLAIMING = threading.Lock()


class _Work:
    """The slices of one run and what is done between them."""

    def __init__(
        self,
        driver: Driver,
        run: RunInProgress,
        log: _Log,
        options: RunOptions,
        saver: _Saver | None,
        bar: Bar,
        termination: Termination,
    ) -> None:
        self._driver = driver
        self._run = run
        self._log = log
        self._saver = saver
        self._bar = bar
        self._termination = termination
        self._callbacks = options["callbacks"]
        self._threads = options["threads"]
        budget = options["max_seconds"]
        self._budget = math.inf if budget is None else budget
        self._started = time.monotonic()
        self._steps = 1
        #: Whether the user's callbacks are at work.
        self.calling = False

    def seconds(self) -> float:
        """Return how long the run has taken, with its earlier parts."""
        return self._log.seconds + time.monotonic() - self._started

    def through(self) -> str:
        """Go through the save times and return why the run ended, "" for at its end."""
        stopped = ""
        for target in range(self._log.done, len(self._log.targets)):
            reached = False
            while not reached and not stopped:
                reached, stopped = self._slice(float(self._log.targets[target]))
            if not reached and stopped in ("max_seconds", "stop"):
                break
            self._measure(target)
            if stopped:
                break
        # A run that was stopped at its last measurement has nothing to do but to say how it ended.
        return stopped or self._driver._finished_early()

    def _slice(self, target: float) -> tuple[bool, str]:
        """Step towards a save time; return whether it is reached, and why the run is to end."""
        driver = self._driver
        self._termination.check()
        begun = time.monotonic()
        reached = driver._advance_towards(target, self._steps, self._threads)
        taken = max(time.monotonic() - begun, 1e-6)
        # Aim at a slice of 100 ms, but do not trust one timing with more than a factor 4.
        self._steps = max(1, min(int(self._steps * _SLICE / taken), 4 * self._steps, _LONGEST_SLICE))
        self._bar.advance_to(driver._position()[1])
        stopped = driver._finished_early()
        if not reached and self._saver is not None:
            self._saver.save_if_due()
        if not stopped and self._run.stop.is_set():
            stopped = "stop"
        if not stopped and time.monotonic() - self._started >= self._budget:
            stopped = "max_seconds"
        return reached, stopped

    def _measure(self, target: int) -> None:
        """Measure at a save time, tell those who asked for it, and save if it is time to."""
        driver = self._driver
        seen = {"t": driver.t, **driver._observe(self._threads)}
        if self._log.take(seen, target):
            self._bar.say(driver._postfix(seen))
            self.calling = True
            for callback in self._callbacks:
                callback(driver, copy.deepcopy(seen))
            self.calling = False
        if self._saver is not None:
            self._saver.save_if_due()


class _Saver:
    """The checkpoint of one run.

    Making one finds out whether the run can be saved: its arguments are encoded, and a first save is
    tried, before the first step.
    """

    def __init__(self, driver: Driver, log: _Log, options: RunOptions, *, owned: bool) -> None:
        self._driver = driver
        self._log = log
        self._every = options["checkpoint_every"]
        self._began = self._last = time.monotonic()
        #: Whether the file holds this run.
        self.saved = owned
        cls = type(driver)
        own = own_name(cls, ENGINES)
        encoder = Encoder(driver._names)
        self._header = {
            "driver": own or cls.__name__,
            "foreign": own is None,
            "arguments": encoder.arguments(driver._arguments),
            "checkpoint_every": self._every,
        }
        self._arrays = encoder.arrays
        self.path = checkpoints.place("checkpoint", options["checkpoint"])
        if not owned and not options["overwrite"]:
            self._refuse_foreign_file()
        checkpoints.remove_leftovers(self.path)
        checkpoints.try_place("checkpoint", self.path, *self._contents("", finished=False))

    def _refuse_foreign_file(self) -> None:
        """Refuse to write over a file that is not a checkpoint of this very run."""
        if not self.path.exists():
            return
        try:
            header, arrays = checkpoints.read(self.path)
            same = same_arguments(header, arrays, self._header, self._arrays)
            why = "is a checkpoint of another run"
        except InvalidParameterError:
            same, why = False, "is there already and is no whole checkpoint"
        if not same:
            raise InvalidParameterError(
                f"checkpoint = {shown(str(self.path))}: this file {why}; pass another name, or overwrite=True if it "
                f"may be lost"
            )

    def _contents(
        self, stopped: str, *, finished: bool
    ) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        log = self._log
        records = log.stacked()
        header = {
            **self._header,
            "records": list(records),
            "past": log.past,
            "done": log.done,
            "seconds": log.seconds + time.monotonic() - self._began,
            "finished": finished,
            "stopped": stopped,
        }
        arrays = {
            **self._arrays,
            "targets": log.targets,
            **{f"state:{key}": value for key, value in self._driver._state().items()},
            **{f"record:{name}": value for name, value in records.items()},
        }
        return header, arrays

    def save_if_due(self) -> None:
        """Save if the last time is long enough ago."""
        if time.monotonic() - self._last >= self._every:
            self.save("", finished=False)

    def save(self, stopped: str, *, finished: bool) -> None:
        """Save the run as it is; where that fails, warn and go on."""
        try:
            checkpoints.write(self.path, *self._contents(stopped, finished=finished))
            self.saved = True
        except Exception as error:
            # A full disk must not cost the run, nor may anything else that only saving stumbles over.
            kept = "the last good one is kept" if self.saved else "there is none yet"
            warnings.warn(
                f"checkpoint = {shown(str(self.path))}: could not be written ({type(error).__name__}: {error}); "
                f"the run goes on, {kept}",
                CheckpointWarning,
                stacklevel=2,
            )
        finally:
            self._last = time.monotonic()


# -- save times ----------------------------------------------------------------------------------


def save_times(t_max: float | None, save_at: npt.ArrayLike | None, now: float, first: float) -> Times:
    """Return the save times of a run from `now` to `t_max`: checked, or evenly spaced in log t.

    `first` is the earliest time worth a measurement after the start; without `t_max` the last of `save_at`
    ends the run. Times that overstep `now` or `t_max` by rounding are moved there, times that agree are one.
    """
    if t_max is not None:
        t_max = number("t_max", t_max, minimum=0.0)
    if save_at is None:
        t_max = _not_past(0.0 if t_max is None else t_max, now)
        if t_max <= now + first:
            return np.unique([now, t_max])
        return np.unique(np.concatenate([[now], now + logtimes(first, t_max - now, 60), [t_max]]))
    times = _in_order("save_at", save_at, "hr.logtimes(0.1, 100, 50)")
    t_max = _not_past(float(times[-1]) if t_max is None else t_max, now)
    slack = _ROUNDING * t_max
    if times[-1] > t_max + slack:
        raise InvalidParameterError(
            f"save_at[-1] = {times[-1]}: must be <= t_max = {t_max}; raise t_max or drop it"
        )
    if times[0] < now - slack:
        raise InvalidParameterError(
            f"save_at[0] = {times[0]}: the run is at t = {now:g} already; pass later times"
        )
    return np.unique(np.clip(times, now, t_max))


def _not_past(t_max: float, now: float) -> float:
    if t_max < now * (1.0 - _ROUNDING):
        raise InvalidParameterError(
            f"t_max = {t_max}: the run is at t = {now:g} already; pass a later time or make a new driver"
        )
    return max(t_max, now)


def save_steps(steps: int, save_at: npt.ArrayLike | None, now: int) -> npt.NDArray[np.int64]:
    """Return the step numbers to measure at, from `now` to `steps`: checked, or evenly spaced in log step."""
    if steps < now:
        raise InvalidParameterError(
            f"steps = {steps}: the run is at step {now} already; pass a later step or make a new driver"
        )
    if save_at is None:
        ahead = np.round(logtimes(1.0, max(steps - now, 1), 60)).astype(np.int64)
        return np.unique(np.minimum(np.concatenate([[0], ahead]), steps - now) + now)
    whole = whole_steps("save_at", save_at)
    if whole[0] < now or whole[-1] > steps:
        raise InvalidParameterError(
            f"save_at = {shown(whole.tolist())}: must lie between the present step {now} and the last, {steps}; pass "
            f"such steps"
        )
    return whole


def whole_steps(name: str, values: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return a user's step numbers, increasing; those that agree are one."""
    given = _in_order(name, values, "[0, 10, 100]")
    whole = np.round(given)
    if (np.abs(given - whole) > _ROUNDING * np.maximum(whole, 1.0)).any() or whole[-1] > LARGEST_COUNT:
        raise InvalidParameterError(
            f"{name} = {shown(given.tolist())}: must be whole numbers of steps; pass such steps"
        )
    return np.unique(whole.astype(np.int64))


def _in_order(name: str, values: npt.ArrayLike, example: str) -> Times:
    """Return times or steps of a user if they are a list in increasing order."""
    if np.ndim(values) == 0:
        raise InvalidParameterError(
            f"{name} = {shown(values)}: must list where to measure, not say how many times or how often; pass a "
            f"list, for example {name}={example}"
        )
    times = array(name, values, (None,))
    if (np.diff(times) < 0).any() or times[0] < 0:
        raise InvalidParameterError(
            f"{name} = {shown(times.tolist())}: must be >= 0 and increasing; sort them"
        )
    return times


# -- reading a run from its file -----------------------------------------------------------------


@documented(ResumeOptions, checkpoint_every=None)
def resume(
    path: str | Path,
    *,
    functions: Mapping[str, Callable[..., Any]] | None = None,
    modules: Iterable[ModuleType] = (),
    **options: Unpack[ResumeOptions],
) -> xr.Dataset:
    """Continue a run from its checkpoint and return the whole run's result.

    The result is bit for bit that of a run that was never stopped, on any number of threads. The
    checkpoint is kept up to date, `checkpoint_every` as many seconds as before unless it is given; resuming a
    finished run returns its result. To run longer than was asked for at first, :func:`load` the run instead.

    Parameters
    ----------
    path
        The file given to ``run(checkpoint=...)``.
    functions
        Functions of the run by name, ``{"f": your_f}``. A checkpoint is data: it holds functions by name only
        (their own, or for a lambda that of the argument), and nothing is ever imported because a
        file says so. numpy's and scipy.special's elementwise functions need not be passed.
    modules
        Modules that define such functions, instead: ``[my_module]``.
    **options
        As of every run.

    Raises
    ------
    InvalidParameterError
        If the file is truncated, foreign, or of another format, or if it needs a function: the message says
        which, and what to pass.
    """
    refuse_unknown(options, ResumeOptions)
    driver, header, log = _read(path, functions, modules)
    every = options.pop("checkpoint_every", None)
    chosen: RunOptions = {**DEFAULTS, **options, "checkpoint": path}
    chosen["checkpoint_every"] = header["checkpoint_every"] if every is None else every
    chosen = settled(chosen)
    if header["finished"]:
        return driver._result(log, header["stopped"], log.seconds, chosen["threads"])
    with driver._claimed():
        return driver._continue(log, chosen, resumed=True)


def load(
    path: str | Path,
    *,
    functions: Mapping[str, Callable[..., Any]] | None = None,
    modules: Iterable[ModuleType] = (),
) -> Any:
    """Return the driver of a checkpoint in its saved state, with what the run has measured.

    Its ``run`` goes on where the file ends and returns the whole run, from its first record on: the way to
    extend a finished run, or to end an unfinished one otherwise than was asked for.

    Parameters
    ----------
    path, functions, modules
        As in :func:`resume`.

    Examples
    --------
    >>> import tempfile
    >>> import hmm_rs as hr
    >>> model = hr.HiddenManifold(N=100, D=10)
    >>> sim = hr.OnlineSGD(model, hr.TwoLayer.random(2, 10, seed=1),
    ...                    student=hr.TwoLayer.random(2, 100, seed=2), lr=0.2, test_size=100)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = sim.run(1.0, save_at=[0, 1], checkpoint=f"{folder}/run.npz")
    ...     longer = hr.load(f"{folder}/run.npz").run(t_max=2.0, save_at=[2])
    >>> longer.t.values
    array([0., 1., 2.])
    """
    driver, _, log = _read(path, functions, modules)
    driver._log = log
    return driver


def _read(
    path: str | Path,
    functions: Mapping[str, Callable[..., Any]] | None,
    modules: Iterable[ModuleType],
) -> tuple[Driver, dict[str, Any], _Log]:
    """Return the driver of a checkpoint in its saved state, the file's header and its records."""
    if not isinstance(path, (str, os.PathLike)):
        raise DtypeError(f"path = {shown(path)}: must be a path; pass a checkpoint's file name")
    header, arrays = checkpoints.read(Path(path))
    where = f"path = {shown(str(path))}"
    decoder = Decoder(where, arrays, functions=functions, modules=modules)
    driver: Driver = decoder.engine(
        header["driver"], foreign=header["foreign"], arguments=header["arguments"], base=Driver
    )
    driver._names = tuple(decoder.names)
    prefix = "state:"
    state = {key[len(prefix) :]: value for key, value in arrays.items() if key.startswith(prefix)}
    try:
        _check_state(state, driver._state())
        driver._restore(state)
    except ResourceError:
        raise
    except Exception as error:
        # Whatever an engine says of a state, the file is what cannot be used.
        raise InvalidParameterError(
            f"{where}: holds a state that its {header['driver']} cannot take ({type(error).__name__}: {error}); use an "
            f"earlier checkpoint or start anew"
        ) from error
    columns = {name: arrays[f"record:{name}"] for name in header["records"]}
    length = len(columns["t"]) if columns else 0
    records = [{name: values[i] for name, values in columns.items()} for i in range(length)]
    return (
        driver,
        header,
        _Log(
            arrays["targets"],
            records,
            past=header["past"],
            done=header["done"],
            seconds=float(header["seconds"]),
        ),
    )


def _check_state(state: Mapping[str, npt.NDArray[Any]], fresh: Mapping[str, npt.NDArray[Any]]) -> None:
    """Hold a saved state against that of a new driver of the same arguments."""
    for key, like in fresh.items():
        if key not in state:
            raise KeyError(key)
        saved = state[key]
        if saved.shape != np.shape(like) or saved.dtype != np.asarray(like).dtype:
            raise ValueError(f"{key} is {saved.dtype} of shape {saved.shape}")
        if np.isfinite(like).all() and not np.isfinite(saved).all():
            raise ValueError(f"{key} is not finite")


def _interactive() -> bool:
    """Return whether a person sits at a prompt: there a partial result is worth more than a traceback."""
    return hasattr(sys, "ps1") or bool(sys.flags.interactive) or "ipykernel" in sys.modules
