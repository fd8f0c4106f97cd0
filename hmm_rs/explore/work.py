"""What a page computes, and what is said where it cannot: theory at once, a simulation in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..ground.errors import HmmError, StopRun
from .fields import Page, State
from .pictures import Line

__all__ = ["Answer", "Overlay", "drawn", "solved"]


@dataclass(frozen=True)
class Answer:
    """What a function of a page returned, None if nothing, and what is to be said of it ("" if nothing)."""

    result: Mapping[str, Any] | None
    words: str = ""


def solved(state: State) -> Answer:
    """Return the theory of a state."""
    page = state.page
    return _asked(page, 0, page.theory, page.of_theory(state.values))


def _asked(page: Page, which: int, function: Callable[..., Any], values: Mapping[str, Any]) -> Answer:
    """Call a function of a page; a failure is an answer too, with the part that was computed where it can be drawn."""
    try:
        return Answer(function(**values))
    except HmmError as error:
        part = getattr(error, "result", None)
        key = page.partial[which]
        return Answer({key: part} if key and part is not None else None, str(error))
    except Exception as error:  # A page must not go down with what it shows.
        return Answer(None, f"{type(error).__name__}: {error}")


def drawn(page: Page, theory: Answer, simulation: Answer | None) -> Mapping[str, Sequence[Line]]:
    """Return what the panels of a page show; nothing where there is no theory."""
    if theory.result is None:
        return {}
    return page.lines(theory.result, None if simulation is None else simulation.result)


@dataclass
class Overlay:
    """One simulation, in a thread.

    Parameters
    ----------
    state
        What is simulated.
    tell
        Called from the thread when something has changed: progress, or the end.
    """

    state: State
    tell: Callable[[Overlay], None]
    #: Share that is done, and the answer once there is one.
    done: float = 0.0
    answer: Answer | None = None
    _driver: Any = field(default=None, repr=False)
    _cancelled: threading.Event = field(default_factory=threading.Event, repr=False)

    def start(self) -> None:
        """Begin; returns at once."""
        # A daemon: whoever ends the explorer does not wait for a simulation.
        self._thread = threading.Thread(target=self._run, name="hmm-rs explore", daemon=True)
        self._thread.start()

    def cancel(self) -> None:
        """End it within about 100 ms; what was computed is the answer."""
        self._cancelled.set()
        if self._driver is not None:
            self._driver.stop()

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end."""
        self._thread.join(timeout)

    def _watch(self, done: float, driver: Any) -> None:
        self.done, self._driver = min(float(done), 1.0), driver
        if self._cancelled.is_set():
            raise StopRun
        self.tell(self)

    def _run(self) -> None:
        page = self.state.page
        try:
            answer = _asked(page, 1, page.simulation, {**self.state.values, "watch": self._watch})
        except StopRun:
            answer = Answer(None)
        if self._cancelled.is_set() and not answer.words:
            answer = Answer(answer.result, "stopped: the circles end where the simulation did")
        self.done, self._driver, self.answer = 1.0, None, answer
        self.tell(self)
