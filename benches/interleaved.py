"""Contenders in processes of their own, timed in turn: a slow spell of the machine hits all alike."""

from __future__ import annotations

import contextlib
import json
import math
import selectors
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: Seconds that a contender may take to set up, or for one timing.
PATIENCE = 180.0


@dataclass
class Timing:
    """What one contender did: all its timings, or why there are none."""

    seconds: list[Any] = field(default_factory=list)
    mebibytes: float = math.nan
    missing: str = ""

    @property
    def best(self) -> float:
        return min(self.seconds) if self.seconds else math.nan

    @property
    def spread(self) -> float:
        """Median over minimum: how quiet the machine was."""
        return sorted(self.seconds)[len(self.seconds) // 2] / self.best if self.seconds else math.nan


class Child:
    """A contender's process."""

    def __init__(self, workload: str, contender: str, settings: dict[str, Any]) -> None:
        command = [sys.executable, str(Path(__file__).parent / "contender.py"), workload, contender]
        self.process = subprocess.Popen(
            [*command, json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        # Read all the time: a full pipe would stop the child.
        self._complaints: list[str] = []
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()

    def _listen(self) -> None:
        for line in self.process.stderr or ():
            self._complaints = [*self._complaints[-20:], line.rstrip()]

    def answer(self) -> Any:
        """Return the next line, decoded; raise with what the process said where there is none."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            if not selector.select(PATIENCE):
                self.process.kill()
                raise RuntimeError(f"no answer in {PATIENCE:g} s")
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self._reader.join(1.0)
            raise RuntimeError(self._complaints[-1] if self._complaints else "ended without a word")
        return json.loads(line)

    def go(self) -> Any:
        try:
            self.process.stdin.write("go\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # `answer` says what became of it.
        return self.answer()

    def end(self) -> Any:
        self.process.stdin.close()
        return self.answer()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            with contextlib.suppress(OSError):
                pipe.close()


def timings(workload: str, contenders: dict[str, int], repeats: int, quick: bool) -> dict[str, Timing]:
    """Time the contenders, each with its number of threads, in turn."""
    found = {name: Timing() for name in contenders}
    children: dict[str, Child] = {}
    try:
        # They compile side by side; nothing is timed before all are ready.
        for name, threads in contenders.items():
            children[name] = Child(workload, name, {"threads": threads, "quick": quick})
        for name in list(children):
            _unless_it_fails(children, name, found, _get_ready)
        for _ in range(repeats):
            for name in list(children):
                _unless_it_fails(children, name, found, _time_once)
        for name in list(children):
            _unless_it_fails(children, name, found, _take_leave)
    finally:
        for child in children.values():
            child.kill()
    return found


def _get_ready(child: Child, timing: Timing) -> None:
    timing.missing = child.answer().get("missing", "")


def _time_once(child: Child, timing: Timing) -> None:
    timing.seconds.append(child.go())


def _take_leave(child: Child, timing: Timing) -> None:
    timing.mebibytes = child.end()["MiB"]


def _unless_it_fails(children: dict[str, Child], name: str, found: dict[str, Timing], act: Any) -> None:
    """Let one contender act; one that fails is out, with a word."""
    try:
        act(children[name], found[name])
    except RuntimeError as error:
        found[name].missing = f"failed: {error}"
    if found[name].missing:
        children.pop(name).kill()
