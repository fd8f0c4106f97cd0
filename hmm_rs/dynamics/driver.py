"""The protocol of long runs, written once: Rust steps, Python drives.

A driver advances a compiled engine in slices of about 100 ms and does between slices whatever a
person touches: progress bar, Ctrl-C, callbacks, checkpoints, time budget. How a run is sliced
never changes a bit of its result.
"""

from __future__ import annotations

import copy
import threading
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

import numpy as np
import numpy.typing as npt

from .. import _lib
from ..ground.description import spelled
from ..ground.display import Shown, unlike_defaults
from ..ground.errors import DivergenceError, HmmError, StopRun
from ..ground.results import dataset, indexed
from .history import History
from .options import RunOptions, Settled, settled
from .progress import Bar
from .records import Observation, Records
from .saver import Saver, check_state
from .schedule import Times
from .sharing import RunInProgress, SharedEngine
from .signals import SAVED, Terminated, Termination, interactive
from .slices import Slices

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Driver", "Observation"]

#: Ways for a run to end that leave something to do.
_UNFINISHED = frozenset({"interrupted", "terminated", "max_seconds", "diverged", "callback", "stop", "error"})


class Driver(Shown, ABC):
    """Base of all engines that take steps.

    A subclass stores its constructor's arguments in ``self._arguments``, owns a compiled engine
    and says how to step, measure, and save and restore its state. ``run`` of the subclass, made by
    ``long_run``, checks its own arguments and calls :meth:`_drive`.
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
    _records: Records | None = None
    #: Functions of a driver that was read from a file, with the names they have there.
    _names: tuple[tuple[object, str], ...] = ()
    #: Whether the state after some steps is the same however they were cut into runs.
    _by_steps: ClassVar[bool] = False
    #: What the run that is on was asked for, and how the driver was made, as data.
    _asked: Mapping[str, Any] | None = None
    _maker: dict[str, Any] | None = None

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

    def _saved_state(self, path: Path) -> dict[str, npt.NDArray[Any]]:
        """Return what the checkpoint `path` is to hold of the state; an engine may leave files beside it."""
        del path
        return self._state()

    def _is_saved(self) -> None:
        """Learn that the checkpoint holds what :meth:`_saved_state` returned last."""

    def _restore_saved(self, state: Mapping[str, npt.NDArray[Any]], path: Path) -> None:
        """Put a new engine into the state that the checkpoint `path` holds."""
        del path
        check_state(state, self._state())
        self._restore(state)

    def _position(self) -> tuple[str, float]:
        """Return what the save times count, and where the driver is in it."""
        return self._axis[0], self.t

    def _first_slice(self) -> int:
        """Return how many steps the first slice of a run takes, well below the 100 ms of a slice."""
        return 1

    def _postfix(self, seen: Observation) -> str:
        """Return what the progress bar says about the last measurement."""
        return f"eg={seen['eg']:.3g}" if "eg" in seen else ""

    def _dims(self, names: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
        """Return the dimensions of those variables that are not of the schema's, or have others here."""
        del names
        return {}

    def _finish(self, result: xr.Dataset) -> xr.Dataset:
        """Add to a result what is not a time series."""
        return result

    def _finished_early(self) -> str:
        """Return why there is nothing left to do ("" if there is)."""
        return ""

    def _title(self) -> str:
        return f"{type(self).__name__} at {self._axis[0]} = {self.t:.6g}"

    def _rows(self) -> Iterable[tuple[str, Any]]:
        return unlike_defaults(type(self), self._arguments).items()

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
        records = Records(targets, [])
        if self._records is not None:
            # A run that was read from a file is continued as one.
            rows = list(self._records.rows)
            records = self._records = Records(targets, rows, past=len(rows), seconds=self._records.seconds)
        else:
            self._tell_an_end_behind(targets)
        self._history.begin(self, "run", self._asked)
        return self._continue(records, settled(options))

    def _tell_an_end_behind(self, targets: Times) -> None:
        """Warn where nothing is left to do: a cell that runs a second time gives one row, to the reader's surprise."""
        axis, now = self._position()
        if now > 0.0 and len(targets) and float(targets[-1]) <= now:
            warnings.warn(
                f"this {type(self).__name__} is at {axis} = {now:g} already, so the run up to {targets[-1]:g} has "
                "nothing to do and its result holds one row; pass a later end, or make a new engine to start over",
                RuntimeWarning,
                # The caller of `run`: `long_run` and `run` itself lie between.
                stacklevel=5,
            )

    def _continue(self, records: Records, options: Settled, *, resumed: bool = False) -> xr.Dataset:
        """Go on with a run and return the whole of it."""
        run = self._run
        assert run is not None  # `long_run` and `resume` claim the driver first
        saver = None
        if options.checkpoint is not None:
            saver = Saver(self, records, options, owned=resumed)
        termination = Termination()
        axis, now = self._position()
        end = float(records.targets[-1]) if len(records.targets) else now
        bar = Bar(options.progress, now=now, end=end, title=type(self).__name__, axis=axis)
        slices = Slices(self, run, records, options, saver, bar, termination)
        error: BaseException | None = None
        with termination.watching(saver is not None):
            try:
                try:
                    termination.raising = True
                    stopped = slices.through()
                finally:
                    termination.raising = False
            except StopRun:
                stopped = "callback"
            except Terminated:
                stopped = "terminated"
            except KeyboardInterrupt as interrupt:
                stopped, error = "interrupted", interrupt
            except BaseException as failure:
                diverged = isinstance(failure, DivergenceError) and not slices.calling
                stopped, error = "diverged" if diverged else "error", failure
            finally:
                bar.close()
            # What the engine is worth after an error of its own nobody knows: the last save stands.
            sound = stopped not in ("diverged", "error") or slices.calling
            try:
                if saver is not None and sound:
                    saver.save(stopped, finished=stopped not in _UNFINISHED)
            finally:
                self.result = self._result(records, stopped, slices.seconds(), options.threads)
            if termination.asked and saver is not None:
                raise SystemExit(SAVED if saver.saved else 1)
        if error is None or (stopped == "interrupted" and interactive()):
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

    def _result(self, records: Records, stopped: str, seconds: float, threads: int | None) -> xr.Dataset:
        """Return the records as a dataset of the schema."""
        self._history.end(self, len(records.rows) - records.past, unfinished=stopped in _UNFINISHED)
        values = records.stacked()
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
            dims=self._dims([name for name in values if name != "t"]),
            seed=spelled(self._arguments["seed"]) if "seed" in self._arguments else "",
            dtype=str(self._arguments.get("dtype", "float64")),
            threads=threads or _lib.get_num_threads(),
            wall_time=seconds,
            interrupted=int(stopped == "interrupted"),
            stopped=stopped,
        )
        result = indexed(self._finish(result))
        self._history.tell(self, result)
        return result

    @property
    def _history(self) -> History:
        """What was done with the driver since it was made."""
        history: History = vars(self).setdefault("_calls", History())
        return history

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
        return {
            "arguments": self._arguments,
            "state": self._snapshot(),
            "records": self._records,
            "history": self._history.data(),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        type(self).__init__(self, **state["arguments"])
        self._restore(state["state"])
        self._records = state["records"]
        vars(self)["_calls"] = History(state["history"])

    def __deepcopy__(self, memo: dict[int, Any]) -> Driver:
        twin = type(self)(**self._arguments)
        twin._restore(self._snapshot())
        twin._records = copy.deepcopy(self._records, memo)
        twin._names = self._names
        vars(twin)["_calls"] = copy.deepcopy(self._history, memo)
        return twin


#: Held for the moment in which a run claims its driver.
_CLAIMING = threading.Lock()
