"""Who holds the shards of a run: this process, or workers of an executor, any of which may be lost."""

from __future__ import annotations

import queue
import secrets
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import CancelledError, Executor, Future
from contextlib import suppress
from multiprocessing.connection import Connection, Listener
from typing import Any, Protocol
from urllib.parse import urlsplit

from ... import _lib
from ...ground.errors import InvalidParameterError, ResourceError
from ...ground.workers import slots
from .host import Host, line_of, quick, serve

__all__ = ["Call", "Crew", "Here", "Holders"]

#: Something that is asked of whoever holds shards: a method of :class:`Host` and its arguments.
Call = tuple[str, tuple[Any, ...]]

#: Seconds between two looks for Ctrl-C.
_PATIENCE = 0.2
#: Seconds that workers have to follow the first one.
_GRACE = 3.0
#: Seconds that another worker has to take the place of a lost one before the others share its shards.
_PLACE = 15.0
#: How many workers may be lost one after the other before anything is done.
_LOSSES = 10


class Holders(Protocol):
    """Whoever holds the shards of a run."""

    def ask(self, name: str, *arguments: Any) -> list[Any]:
        """Ask everybody; return the answers."""

    def each(self, name: str, arguments: Callable[[int], tuple[Any, ...]]) -> None:
        """Ask for something of every shard."""

    def one(self, name: str, *arguments: Any) -> Any:
        """Ask whoever holds shard 0."""

    def close(self) -> None:
        """Let the shards go."""


class Here:
    """All shards in this process.

    Parameters
    ----------
    shards
        Their number.
    build
        What is to be asked to build a shard as it should be now.
    """

    def __init__(self, shards: int, build: Callable[[int], Iterable[Call]]) -> None:
        self._shards = shards
        self._host = Host(shards)
        for number in range(shards):
            for name, arguments in build(number):
                getattr(self._host, name)(*arguments)

    def ask(self, name: str, *arguments: Any) -> list[Any]:
        """Ask all."""
        return [getattr(self._host, name)(*arguments)]

    def each(self, name: str, arguments: Callable[[int], tuple[Any, ...]]) -> None:
        """Ask for something of every shard."""
        for number in range(self._shards):
            getattr(self._host, name)(*arguments(number))

    def one(self, name: str, *arguments: Any) -> Any:
        """Ask whoever holds shard 0."""
        return getattr(self._host, name)(*arguments)

    def close(self) -> None:
        """Let the shards go."""
        self._host = Host(self._shards)


class _Worker:
    """The other end of a connection, and the shards it holds.

    A thread of its own sends and receives, so that Ctrl-C never falls into the middle of a message.
    """

    def __init__(
        self, connection: Connection, attempt: int, answers: queue.SimpleQueue[tuple[_Worker, Any]]
    ) -> None:
        self.attempt = attempt
        self.shards: list[int] = []
        #: Numbers of what was asked last and of what was answered last. Ctrl-C may swallow the answer itself.
        self.asked = self.answered = 0
        #: Whether nothing will be answered any more.
        self.gone = False
        self._requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._connection = connection
        # The number of a closed line is soon that of another one: nobody may look it up while it is closed.
        self._hanging_up = threading.Lock()
        self._answers = answers
        threading.Thread(target=self._talk, daemon=True).start()

    def request(self, number: int, call: Call) -> None:
        """Ask for something."""
        self.asked = number
        self._requests.put((number, *call))

    def dismiss(self) -> None:
        """Let it go."""
        self.gone = True
        self._requests.put(None)
        # A worker that computes for nobody sees it when it answers.
        with self._hanging_up, suppress(OSError), line_of(self._connection) as line:
            line.shutdown(socket.SHUT_RDWR)

    def _talk(self) -> None:
        try:
            while (request := self._requests.get()) is not None:
                self._connection.send(request)
                message = self._connection.recv()
                self.answered = message[0]
                self._answers.put((self, message))
        except (EOFError, OSError, ValueError):
            self.gone = True
            self._answers.put((self, None))
        with self._hanging_up, suppress(OSError):
            self._connection.close()


class _Office:
    """Where workers come in. Threads hold it, not the crew, so that a crew that nobody uses goes."""

    def __init__(self, executor: Executor) -> None:
        self.executor = executor
        self.key = secrets.token_bytes(32)
        #: All who came in, and a bell that rings when somebody does.
        self.known: list[_Worker] = []
        self.bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.answers: queue.SimpleQueue[tuple[_Worker, Any]] = queue.SimpleQueue()
        self.closed = threading.Event()
        self._listener = Listener((_own_address(executor), 0), backlog=128, authkey=self.key)
        self.address: tuple[str, int] = self._listener.address
        for work in (self._receive, self._watch):
            threading.Thread(target=work, daemon=True).start()

    def _receive(self) -> None:
        while not self.closed.is_set():
            try:
                connection = self._listener.accept()
                quick(connection)
                _, _, attempt = connection.recv()
            except Exception:
                # Whoever knocked was none of ours, or is gone again.
                continue
            worker = _Worker(connection, attempt, self.answers)
            self.known.append(worker)
            if self.closed.is_set():
                worker.dismiss()
            self.bell.put(None)

    def _watch(self) -> None:
        """Let the workers go when their executor waits for them to end, or this program does."""
        flags = ("_shutdown_thread", "_shutdown", "_closed")
        while not self.closed.wait(_PATIENCE):
            ending = any(getattr(self.executor, flag, False) is True for flag in flags)
            if ending or not threading.main_thread().is_alive():
                self.close()

    def close(self) -> None:
        """Let everybody go."""
        if self.closed.is_set():
            return
        self.closed.set()
        for worker in list(self.known):
            worker.dismiss()
        # Somebody at the door wakes the thread that waits there.
        with suppress(OSError):
            socket.create_connection(self.address, timeout=1.0).close()
        with suppress(OSError):
            self._listener.close()


def _own_address(executor: Executor) -> str:
    """Return the address of this machine at which workers of an executor reach it."""
    client = getattr(executor, "_client", None)
    scheduler = urlsplit(getattr(getattr(client, "scheduler", None), "address", "")).hostname
    known = type(executor).__module__.startswith(("concurrent.futures", "hmm_rs."))
    if known or scheduler in ("127.0.0.1", "localhost"):
        return "127.0.0.1"
    target = scheduler or socket.gethostname()
    try:
        # No packet is sent: the system says which of its addresses it would send one from.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((target, 9))
            return str(probe.getsockname()[0])
    except OSError:
        return "127.0.0.1"


class Crew:
    """Workers of an executor that hold the shards.

    Every worker is one task of the executor from start to end. What is asked of it goes over a connection of its own.

    Parameters
    ----------
    executor
        Where the workers are.
    shards
        Number of all shards.
    build
        What is to be asked to build a shard as it should be now.
    """

    def __init__(self, executor: Executor, shards: int, build: Callable[[int], Iterable[Call]]) -> None:
        self._executor = executor
        self._shards = shards
        # A crew that nobody uses lets its workers go: it must not hold its engine.
        self._build = weakref.WeakMethod(build)
        self._office = _Office(executor)
        self._finalizer = weakref.finalize(self, self._office.close)
        self._futures: dict[int, Future[str]] = {}
        self._crew: list[_Worker] = []
        #: Shards that nobody has, or whose building was interrupted.
        self._unbuilt = set(range(shards))
        self._requests = 0
        self._losses = 0
        try:
            self._gather(slots(executor, shards))
            self._mend([])
        except BaseException:
            self.close()
            raise

    # -- what is asked -----------------------------------------------------------------------------

    def ask(self, name: str, *arguments: Any) -> list[Any]:
        """Ask everybody; return the answers."""
        answers = self._run(lambda: {worker: [(name, arguments)] for worker in self._crew})
        return [answer for listed in answers.values() for answer in listed]

    def each(self, name: str, arguments: Callable[[int], tuple[Any, ...]]) -> None:
        """Ask for something of every shard."""
        self._run(
            lambda: {worker: [(name, arguments(number)) for number in worker.shards] for worker in self._crew}
        )

    def one(self, name: str, *arguments: Any) -> Any:
        """Ask whoever holds shard 0."""
        answers = self._run(
            lambda: {worker: [(name, arguments)] for worker in self._crew if 0 in worker.shards}
        )
        ((answer,),) = answers.values()
        return answer

    def close(self) -> None:
        """Let the workers go."""
        self._finalizer()
        for future in self._futures.values():
            future.cancel()

    def _run(self, requests: Callable[[], Mapping[_Worker, list[Call]]]) -> dict[_Worker, list[Any]]:
        while True:
            if self._office.closed.is_set():
                raise ResourceError(
                    "executor: it was shut down, and the shards on its workers are gone with it; read off the run "
                    "before, or resume it from its checkpoint with another executor"
                )
            # What Ctrl-C left undone.
            self._mend([])
            answers, lost = self._exchange(requests())
            if not lost:
                self._losses = 0
                return answers
            self._mend(lost)

    def _exchange(
        self, requests: Mapping[_Worker, list[Call]]
    ) -> tuple[dict[_Worker, list[Any]], list[_Worker]]:
        """Ask workers for several things each, one after the other; return the answers, and who was lost."""
        left = {worker: list(calls) for worker, calls in requests.items() if calls}
        answers: dict[_Worker, list[Any]] = {worker: [] for worker in requests}
        lost: list[_Worker] = []
        error: Exception | None = None
        first = self._requests
        for worker in left:
            # One that was left at work by Ctrl-C answers that first.
            if worker.asked == worker.answered:
                self._next(worker, left)
        while left:
            try:
                worker, message = self._office.answers.get(timeout=_PATIENCE)
            except queue.Empty:
                for worker in [worker for worker in left if self._is_gone(worker)]:
                    del left[worker]
                    lost.append(worker)
                continue
            if message is None:
                if worker in self._crew and worker not in lost:
                    lost.append(worker)
                left.pop(worker, None)
                continue
            number, good, answer = message
            if number < worker.asked:
                # Nobody waits for it: it came before Ctrl-C.
                continue
            if number > first and worker in left:
                left[worker].pop(0)
                if good:
                    answers[worker].append(answer)
                else:
                    error = error or answer
                    left[worker].clear()
                if not left[worker]:
                    del left[worker]
            if worker in left:
                self._next(worker, left)
        if error is not None:
            raise error
        return answers, lost

    def _next(self, worker: _Worker, left: Mapping[_Worker, list[Call]]) -> None:
        self._requests += 1
        worker.request(self._requests, left[worker][0])

    def _is_gone(self, worker: _Worker) -> bool:
        """Return whether the task that a worker is has ended."""
        future = self._futures.get(worker.attempt)
        return worker.gone or self._office.closed.is_set() or (future is not None and future.done())

    # -- who is there ------------------------------------------------------------------------------

    def _call_in(self) -> None:
        """Send for one more worker."""
        attempt, office = len(self._futures), self._office
        arguments = (office.address, office.key, _lib.__version__, self._shards, attempt)
        self._futures[attempt] = self._executor.submit(serve, *arguments)

    def _gather(self, wanted: int) -> None:
        """Wait for workers, and give each its part of the shards."""
        try:
            for _ in range(wanted):
                self._call_in()
        except Exception as error:
            raise ResourceError(
                f"executor takes no tasks ({type(error).__name__}: {error}); pass one that does"
            ) from error
        last = time.monotonic()
        while len(self._crew) < wanted:
            worker = self._arrived()
            if worker is not None:
                self._crew.append(worker)
                last = time.monotonic()
            elif self._crew and time.monotonic() - last > _GRACE:
                break
            elif not self._crew and self._nobody_comes():
                raise ResourceError(f"executor: none of its workers can hold shards ({self._why()})")
        for place, worker in enumerate(self._crew):
            ends = [self._shards * (place + more) // len(self._crew) for more in (0, 1)]
            worker.shards = list(range(*ends))

    def _arrived(self) -> _Worker | None:
        """Return a worker that came in, or None after a while; refuse an executor whose workers say they cannot."""
        worker = self._newcomer()
        if worker is None:
            with suppress(queue.Empty):
                self._office.bell.get(timeout=_PATIENCE)
            worker = self._newcomer()
        if worker is not None:
            return worker
        for future in self._futures.values():
            if future.done() and not future.cancelled() and future.exception() is None and future.result():
                raise InvalidParameterError(f"executor: {future.result()}")
        return None

    def _newcomer(self) -> _Worker | None:
        """Return a worker that came in and has nothing to do yet."""
        there = (worker for worker in list(self._office.known) if not worker.gone)
        return next((worker for worker in there if worker not in self._crew), None)

    def _nobody_comes(self) -> bool:
        return self._office.closed.is_set() or all(future.done() for future in self._futures.values())

    def _why(self) -> str:
        for future in self._futures.values():
            with suppress(CancelledError):
                if future.done() and future.exception() is not None:
                    return f"{type(future.exception()).__name__}: {future.exception()}"
        return "it was shut down"

    def _built(self, numbers: Iterable[int]) -> list[Call]:
        build = self._build()
        assert build is not None
        return [call for number in numbers for call in build(number)]

    def _mend(self, lost: list[_Worker]) -> None:
        """Have the shards of lost workers built, elsewhere. May be interrupted and called again."""
        while lost or self._unbuilt:
            self._losses += len(lost)
            if self._losses > _LOSSES:
                raise ResourceError(
                    f"executor: {self._losses} workers were lost one after the other; perhaps they were killed for "
                    "want of memory: use more shards on more machines, or float32"
                )
            for worker in lost:
                self._unbuilt.update(worker.shards)
                worker.dismiss()
                self._crew.remove(worker)
                if worker.attempt in self._futures and self._futures[worker.attempt].done():
                    # Some executors start a lost task again by themselves; to others it is said.
                    with suppress(Exception):
                        self._call_in()
            homeless = self._unbuilt.difference(*(worker.shards for worker in self._crew))
            if homeless:
                self._place(sorted(homeless))
            wanted = {worker: self._unbuilt.intersection(worker.shards) for worker in self._crew}
            lost = self._exchange({worker: self._built(sorted(wanted[worker])) for worker in wanted})[1]
            self._unbuilt.clear()

    def _place(self, numbers: list[int]) -> None:
        """Find a place for shards that nobody holds: a new worker, or those that are left."""
        begun = time.monotonic()
        while True:
            worker = self._arrived()
            if worker is not None:
                worker.shards = numbers
                self._crew.append(worker)
                return
            nobody = self._nobody_comes()
            if self._crew and (nobody or time.monotonic() - begun > _PLACE):
                break
            if nobody:
                raise ResourceError(
                    f"executor: all of its workers are lost ({self._why()}); resume the run from its checkpoint with "
                    "another one"
                )
        for number in numbers:
            min(self._crew, key=lambda worker: len(worker.shards)).shards.append(number)
