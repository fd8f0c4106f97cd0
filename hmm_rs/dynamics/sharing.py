"""A driver that several threads look at while one of them runs it.

A run holds its stepper for about 100 ms at a time. What another thread reads off the driver in the
meantime, a progress monitor for example, it gets between two of these slices.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..ground.errors import HmmError

__all__ = ["RunInProgress", "SharedStepper"]

#: Longest time that a run waits for others to read before it goes on, seconds.
_COURTESY = 0.02

#: What only the thread that runs may do with a stepper.
_CHANGES = ("advance", "restore", "set_rules")


class RunInProgress:
    """One run of one driver: who runs it, and what others ask of it."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.process = os.getpid()
        #: Set by anyone who wants the run to end normally.
        self.stop = threading.Event()
        self._stepping = threading.RLock()
        self._counting = threading.Lock()
        self._waiting = 0

    def here(self) -> bool:
        """Return whether this thread is the one that runs, or the run's process was left behind by a fork."""
        return self.thread == threading.get_ident() or self.process != os.getpid()

    @contextmanager
    def stepping(self) -> Iterator[None]:
        """Hold the stepper for a slice, after those who wait to read it."""
        begun = time.monotonic()
        # A released lock is mostly taken again before a waiting thread wakes up.
        while self._waiting and time.monotonic() - begun < _COURTESY:
            time.sleep(0.0005)
        with self._stepping:
            yield

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Hold the stepper between two slices."""
        with self._counting:
            self._waiting += 1
        try:
            with self._stepping:
                yield
        finally:
            with self._counting:
                self._waiting -= 1


class SharedStepper:
    """The attribute of a driver that holds its compiled stepper."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, driver: Any, owner: type | None = None) -> Any:
        if driver is None:
            return self
        try:
            stepper = driver.__dict__[self._name]
        except KeyError:
            raise AttributeError(self._name) from None
        run: RunInProgress | None = driver._run
        return stepper if run is None or run.here() else _FromOutside(stepper, run)

    def __set__(self, driver: Any, stepper: Any) -> None:
        driver.__dict__[self._name] = stepper


class _FromOutside:
    """A stepper as another thread sees it while it runs."""

    def __init__(self, stepper: Any, run: RunInProgress) -> None:
        self._stepper = stepper
        self._run = run

    def __getattr__(self, name: str) -> Any:
        if name in _CHANGES:
            raise HmmError(
                f"{name}: another thread runs this driver; wait for it, call stop(), or work on "
                f"copy.deepcopy(driver)"
            )
        with self._run.reading():
            found = getattr(self._stepper, name)
        if not callable(found):
            return found

        def called(*args: Any, **keywords: Any) -> Any:
            with self._run.reading():
                return found(*args, **keywords)

        return called
