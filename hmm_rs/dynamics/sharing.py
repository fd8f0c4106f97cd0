"""A driver that several threads look at while one of them runs it.

An engine does one thing at a time. While a run is on, it works for about 100 ms at a stretch; what
another thread reads off the driver in the meantime, a progress monitor for example, it gets between
two of these slices.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..ground.errors import HmmError

__all__ = ["RunInProgress", "SharedEngine"]

#: Longest time that a run waits for others to read before it goes on, seconds.
_COURTESY = 0.02

#: What an engine says at any time: where its last call ended.
_ALWAYS_KNOWN = ("t", "step")

#: What only the thread that runs may do with an engine.
_CHANGES = ("advance", "restore", "stop_when")


class RunInProgress:
    """One run of one driver: who runs it, and what others ask of it."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._process = os.getpid()
        #: Set by anyone who wants the run to end normally.
        self.stop = threading.Event()
        self._engine = threading.RLock()
        self._counting = threading.Lock()
        self._waiting = 0

    def is_mine(self) -> bool:
        """Return whether this thread is the one that runs."""
        return self._thread == threading.get_ident()

    def is_left_behind(self) -> bool:
        """Return whether the run belongs to a process that forked this one: it does not go on here."""
        return self._process != os.getpid()

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Hold the engine for one call, or several."""
        if self.is_mine():
            begun = time.monotonic()
            # A released lock is mostly taken again before a waiting thread wakes up.
            while self._waiting and time.monotonic() - begun < _COURTESY:
                time.sleep(0.0005)
            with self._engine:
                yield
            return
        with self._counting:
            self._waiting += 1
        try:
            self._engine.acquire()
        finally:
            with self._counting:
                self._waiting -= 1
        try:
            yield
        finally:
            self._engine.release()


class SharedEngine:
    """The attribute of a driver that holds its compiled engine."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, driver: Any, owner: type | None = None) -> Any:
        if driver is None:
            return self
        try:
            engine = driver.__dict__[self._name]
        except KeyError:
            raise AttributeError(self._name) from None
        run: RunInProgress | None = driver._run
        return engine if run is None or run.is_left_behind() else _OneAtATime(engine, run)

    def __set__(self, driver: Any, engine: Any) -> None:
        driver.__dict__[self._name] = engine


class _OneAtATime:
    """An engine while a run is on: its calls wait for each other."""

    def __init__(self, engine: Any, run: RunInProgress) -> None:
        self._engine = engine
        self._run = run

    def __getattr__(self, name: str) -> Any:
        if name in _ALWAYS_KNOWN:
            return getattr(self._engine, name)
        if name in _CHANGES and not self._run.is_mine():
            raise HmmError(
                f"{name}: another thread runs this driver; wait for it, call stop(), or work on "
                f"copy.deepcopy(driver)"
            )
        with self._run.holding():
            found = getattr(self._engine, name)
        if not callable(found):
            return found

        def called(*args: Any, **keywords: Any) -> Any:
            with self._run.holding():
                return found(*args, **keywords)

        return called
