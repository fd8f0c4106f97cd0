"""Handing points to an executor and taking in what comes back, whatever happens to the workers."""

from __future__ import annotations

import math
import pickle
import queue
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import CancelledError, Executor, Future
from typing import Any

from ..ground.errors import DtypeError, SweepError
from .keeping import Kept
from .local import LocalWorkers
from .task import Job, Outcome, compute

__all__ = ["hand_out", "pickled"]

#: Points that an executor has at a time: enough for a cluster, few enough to be kept in memory twice.
_WINDOW = 10_000
#: How often a point may take its worker with it.
_LOSSES = 3
#: How often it may be taken back by the executor, as when a client restarts.
_RECALLS = 100
#: Seconds between two looks for Ctrl-C.
_PATIENCE = 0.2
#: Silence after which points under way are handed out once more, because a scheduler that restarts may forget a point
#: without a word: seconds at least, in units of the longest point so far, and seconds before the first point is done.
_SILENCE = (10.0, 10.0, 600.0)
#: Errors of an executor that no second try mends.
_FOR_GOOD = (pickle.PicklingError, pickle.UnpicklingError, ImportError, AttributeError)


def pickled(point: Mapping[str, Any]) -> bytes:
    """Return the keywords of a point, ready to travel."""
    try:
        return pickle.dumps(dict(point), protocol=5)
    except Exception:
        pass
    try:
        import cloudpickle

        return bytes(cloudpickle.dumps(dict(point), protocol=5))
    except Exception as error:
        raise DtypeError(
            f"grid holds values that cannot go to another process ({error}): must be picklable; pass what they are "
            "made from, and make them inside the function"
        ) from None


def hand_out(executor: Executor, job: Job, points: Mapping[int, bytes], kept: Kept) -> None:
    """Have every point computed, and keep the outcomes as they come.

    A point whose worker is lost goes to another one.

    Raises
    ------
    SweepError
        If the executor takes no more points, or a worker can compute none.
    """
    arrived: queue.SimpleQueue[tuple[int, Future[Outcome]]] = queue.SimpleQueue()
    waiting = iter(points.items())
    flying: dict[int, set[Future[Outcome]]] = {}
    tries = dict.fromkeys(points, 0)
    losses = dict.fromkeys(points, 0)
    heard, longest = time.monotonic(), 0.0

    def send(number: int, point: bytes) -> None:
        try:
            future = executor.submit(compute, job, point, tries[number])
        except Exception as error:
            raise SweepError(
                f"the executor takes no more points ({type(error).__name__}: {error}); make a new one and call "
                "hr.sweep again"
            ) from error
        tries[number] += 1
        flying.setdefault(number, set()).add(future)
        future.add_done_callback(lambda future: arrived.put((number, future)))

    try:
        _fill(waiting, flying, send)
        while flying:
            try:
                number, future = arrived.get(timeout=_PATIENCE)
            except queue.Empty:
                if time.monotonic() - heard > _bearable(executor, longest):
                    heard = time.monotonic()
                    for number, twins in flying.items():
                        if len(twins) < _LOSSES:
                            send(number, points[number])
                continue
            heard = time.monotonic()
            if number not in flying:
                # A twin of a point that is done.
                continue
            flying[number].discard(future)
            outcome = _outcome(future)
            if outcome is None:
                losses[number] += not future.cancelled()
                if losses[number] < _LOSSES and tries[number] < _RECALLS:
                    if not flying[number]:
                        send(number, points[number])
                    continue
                outcome = Outcome("failed", _lost(future, tries[number]))
            if outcome.kind == "refused":
                raise SweepError(outcome.text)
            for twin in flying.pop(number):
                twin.cancel()
            longest = max(longest, outcome.seconds)
            kept.take(number, outcome)
            _fill(waiting, flying, send)
    except BaseException:
        # What has arrived is done, though nobody has looked at it yet.
        while not arrived.empty():
            number, future = arrived.get()
            outcome = _outcome(future)
            if number in flying and outcome is not None and outcome.kind != "refused":
                kept.hold(number, outcome)
        raise
    finally:
        for twins in flying.values():
            for future in twins:
                future.cancel()


def _bearable(executor: Executor, longest: float) -> float:
    """Return how many seconds of silence mean nothing."""
    if isinstance(executor, LocalWorkers):
        # Every worker is watched.
        return math.inf
    return max(_SILENCE[0], _SILENCE[1] * longest) if longest else _SILENCE[2]


def _fill(
    waiting: Iterable[tuple[int, bytes]],
    flying: Mapping[int, object],
    send: Callable[[int, bytes], None],
) -> None:
    if len(flying) < _WINDOW:
        for number, point in waiting:
            send(number, point)
            if len(flying) >= _WINDOW:
                break


def _outcome(future: Future[Outcome]) -> Outcome | None:
    """Return what a worker told; None if it was lost."""
    try:
        return future.result()
    except _FOR_GOOD as error:
        return Outcome(
            "refused",
            f"a worker cannot take points ({type(error).__name__}: {error}): hmm_rs must be installed there, in the "
            "version that is used here; install it",
        )
    except (Exception, CancelledError):
        return None


def _lost(future: Future[Outcome], tries: int) -> str:
    if future.cancelled():
        return f"the executor took the point back {tries} times"
    return (
        f"its worker was lost, {tries} times ({future.exception()}); perhaps it was killed for want of memory"
    )
