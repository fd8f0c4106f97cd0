"""Worker processes of this machine as an executor: fresh interpreters, one thread each.

Unlike the pool of the standard library a lost worker (out of memory, killed) takes only its own task with it.
"""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

from .worker import receive, send

__all__ = ["LocalWorkers", "WorkerLostError", "processes"]

_T = TypeVar("_T")

#: What keeps libraries to one thread when it is set before they load.
_ONE_THREAD = ("HMM_RS_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class WorkerLostError(RuntimeError):
    """A worker process ended before it answered."""


def processes() -> int:
    """Return how many processes this one may keep busy."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class LocalWorkers(Executor):
    """Processes of this machine.

    Parameters
    ----------
    workers
        Their number.
    """

    def __init__(self, workers: int) -> None:
        self._tasks: queue.SimpleQueue[tuple[Future[Any], Any] | None] = queue.SimpleQueue()
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()
        self._closed = False
        self._killed = False
        self._threads = [
            threading.Thread(target=self._attend, args=(number,), daemon=True) for number in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> Future[_T]:
        """Have ``fn(*args)`` called in a worker."""
        if kwargs:
            raise TypeError("LocalWorkers.submit takes positional arguments only")
        if self._closed:
            raise RuntimeError("cannot schedule new futures after shutdown")
        future: Future[_T] = Future()
        self._tasks.put((future, (fn, args)))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let the workers go once they are done, or at once with `cancel_futures`."""
        self._closed = True
        if cancel_futures:
            with self._lock:
                self._killed = True
                for child in self._children.values():
                    child.kill()
        for _ in self._threads:
            self._tasks.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    def _attend(self, number: int) -> None:
        """Hand tasks to one worker, and a new worker in its place if it is lost."""
        child: subprocess.Popen[bytes] | None = None
        try:
            while (item := self._tasks.get()) is not None:
                future, task = item
                if self._killed:
                    future.cancel()
                if not future.set_running_or_notify_cancel():
                    continue
                try:
                    if child is None:
                        child = self._started(number)
                    assert child.stdin is not None
                    assert child.stdout is not None
                    send(child.stdin, task)
                    good, answer = receive(child.stdout)
                except (OSError, EOFError) as error:
                    code = self._ended(number, child)
                    child = None
                    said = f"exit code {code}" if code is not None else str(error)
                    future.set_exception(WorkerLostError(f"a worker process was lost ({said})"))
                except BaseException as error:
                    future.set_exception(error)
                else:
                    if good:
                        future.set_result(answer)
                    else:
                        future.set_exception(answer)
        finally:
            self._ended(number, child)

    def _started(self, number: int) -> subprocess.Popen[bytes]:
        program = f"import sys; sys.path[:] = {sys.path!r}\nfrom hmm_rs.sweeps.worker import serve\nserve()\n"
        with self._lock:
            if self._killed:
                raise EOFError
            child = subprocess.Popen(
                [sys.executable, "-c", program],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, **dict.fromkeys(_ONE_THREAD, "1")},
                # Ctrl-C is for the program that waits.
                start_new_session=True,
            )
            self._children[number] = child
        return child

    def _ended(self, number: int, child: subprocess.Popen[bytes] | None) -> int | None:
        """Let a worker go; return its exit code."""
        if child is None:
            return None
        assert child.stdin is not None
        assert child.stdout is not None
        with contextlib.suppress(OSError):
            child.stdin.close()
        child.stdout.close()
        code = child.wait()
        with self._lock:
            self._children.pop(number, None)
        return code
