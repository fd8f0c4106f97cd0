"""The slices of a run and what is done between them."""

from __future__ import annotations

import copy
import time
from typing import TYPE_CHECKING

from .options import Settled
from .progress import Bar
from .records import Records
from .saver import Saver
from .sharing import RunInProgress
from .signals import Termination

if TYPE_CHECKING:
    from .driver import Driver

__all__ = ["Slices"]

#: Seconds of Rust work between two looks at the outside world.
_SLICE = 0.1
#: Most steps of a slice: close targets end slices early, and a guess from those would grow for ever.
_LONGEST_SLICE = 1 << 32


class Slices:
    """The slices of one run and what is done between them."""

    def __init__(
        self,
        driver: Driver,
        run: RunInProgress,
        records: Records,
        options: Settled,
        saver: Saver | None,
        bar: Bar,
        termination: Termination,
    ) -> None:
        self._driver = driver
        self._run = run
        self._records = records
        self._saver = saver
        self._bar = bar
        self._termination = termination
        self._callbacks = options.callbacks
        self._threads = options.threads
        self._budget = options.max_seconds
        self._started = time.monotonic()
        self._steps = driver._first_slice()
        #: Whether the user's callbacks are at work.
        self.calling = False

    def seconds(self) -> float:
        """Return how long the run has taken, with its earlier parts."""
        return self._records.seconds + time.monotonic() - self._started

    def through(self) -> str:
        """Go through the save times and return why the run ended, "" for at its end."""
        stopped = ""
        for target in range(self._records.done, len(self._records.targets)):
            reached = False
            while not reached and not stopped:
                reached, stopped = self._slice(float(self._records.targets[target]))
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
        if self._run.stop.is_set():
            # A callback asked for it.
            return False, "stop"
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
        if self._records.take(seen, target):
            self._bar.say(driver._postfix(seen))
            self.calling = True
            for callback in self._callbacks:
                callback(driver, copy.deepcopy(seen))
            self.calling = False
        if self._saver is not None:
            self._saver.save_if_due()
