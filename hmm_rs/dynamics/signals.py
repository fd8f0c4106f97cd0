"""Being told to end: SIGTERM, which a batch system sends before its time limit, and Ctrl-C at a prompt."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["SAVED", "Terminated", "Termination", "interactive"]

#: Exit code of a process that saved its run when it was told to end.
SAVED = 85


class Terminated(BaseException):
    """Raised in the main thread when SIGTERM arrives, as KeyboardInterrupt is by Ctrl-C."""


class Termination:
    """Whether SIGTERM has arrived while this was watching."""

    def __init__(self) -> None:
        self.asked = False
        #: Whether the run is at work: its last save is not to be interrupted.
        self.raising = False

    @contextmanager
    def watching(self, wanted: bool) -> Iterator[None]:
        """Catch SIGTERM, if `wanted`, in the main thread of a program that does not handle it itself."""
        mine = (
            wanted
            and threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        )
        if not mine:
            yield
            return
        signal.signal(signal.SIGTERM, self._handle)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        first, self.asked = not self.asked, True
        if first and self.raising:
            raise Terminated

    def check(self) -> None:
        """Raise again what a handler raised where someone swallowed it, in a callback for example."""
        if self.asked:
            raise Terminated


def interactive() -> bool:
    """Return whether a person sits at a prompt: there a partial result is worth more than a traceback."""
    return hasattr(sys, "ps1") or bool(sys.flags.interactive) or "ipykernel" in sys.modules
