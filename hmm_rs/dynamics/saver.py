"""The checkpoint of a run that is on."""

from __future__ import annotations

import time
import warnings
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from ..ground.arguments import shown
from ..ground.errors import CheckpointWarning, InvalidParameterError
from ..provenance.encoding import Encoder, same_arguments
from . import checkpoint as checkpoints
from .options import Settled
from .records import Records

if TYPE_CHECKING:
    from .driver import Driver

__all__ = ["Saver"]


class Saver:
    """The checkpoint of one run.

    Making one finds out whether the run can be saved: its arguments are encoded, and a first save is
    tried, before the first step.
    """

    def __init__(self, driver: Driver, records: Records, options: Settled, *, owned: bool) -> None:
        self._driver = driver
        self._records = records
        self._every = options.checkpoint_every
        self._began = self._last = time.monotonic()
        #: Whether the file holds this run.
        self.saved = owned
        self._overwrite = options.overwrite
        encoder = Encoder(driver._names)
        self._header = {
            "driver": type(driver).__name__,
            "foreign": not type(driver).__module__.startswith("hmm_rs."),
            "arguments": encoder.arguments(driver._arguments),
            "checkpoint_every": self._every,
        }
        self._arrays = encoder.arrays
        self.path = checkpoints.place("checkpoint", options.checkpoint)
        self._refuse_foreign_file()
        checkpoints.remove_leftovers(self.path)
        checkpoints.try_place("checkpoint", self.path, *self._contents("", finished=False))

    def _refuse_foreign_file(self) -> None:
        """Refuse to write over a file that is not a checkpoint of this very run."""
        if self.saved or self._overwrite or not self.path.exists():
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
        records = self._records
        columns = records.stacked()
        header = {
            **self._header,
            "history": self._driver._history.data(),
            "records": list(columns),
            "past": records.past,
            "done": records.done,
            "seconds": records.seconds + time.monotonic() - self._began,
            "finished": finished,
            "stopped": stopped,
        }
        arrays = {
            **self._arrays,
            "targets": records.targets,
            **{f"state:{key}": value for key, value in self._driver._state().items()},
            **{f"record:{name}": value for name, value in columns.items()},
        }
        return header, arrays

    def save_if_due(self) -> None:
        """Save if the last time is long enough ago."""
        if time.monotonic() - self._last >= self._every:
            self.save("", finished=False)

    def save(self, stopped: str, *, finished: bool) -> None:
        """Save the run as it is; where that fails, warn and go on."""
        try:
            # Another process may have begun with the same name since this one looked.
            self._refuse_foreign_file()
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
