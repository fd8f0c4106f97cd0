"""Whether a long call answers Ctrl-C at once."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import hmm_rs as hr

__all__ = ["assert_interruptible"]


def assert_interruptible(
    call: Callable[[], Any], *, within: float = 0.2, after: float = 0.3, attempts: int = 3
) -> float:
    """Assert that Ctrl-C ends a call in time, and return how many seconds it took.

    The call is repeated until the signal comes, so it may be shorter than `after`; best take one that is longer.
    A machine that others use only delays the answer, never hastens it: the quickest of a few attempts counts.

    Parameters
    ----------
    call
        The long call; it must allow to be called again after an interruption.
    within
        Seconds that the answer may take.
    after
        Seconds from the start to the signal.
    attempts
        Largest number of attempts.

    Returns
    -------
    float
        Seconds from the signal to ``KeyboardInterrupt``.

    Raises
    ------
    AssertionError
        If no attempt ends in time.
    hmm_rs.InvalidParameterError
        If it is called outside the main thread, the one that hears signals.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> from hmm_rs.testing import assert_interruptible
    >>> model = hr.HiddenManifold(2000, 500)
    >>> assert_interruptible(lambda: model.sample(20_000)) < 0.2
    True
    """
    if threading.current_thread() is not threading.main_thread():
        raise hr.InvalidParameterError(
            "call: must be tried in the main thread, which alone hears Ctrl-C; call it from there"
        )
    quickest = float("inf")
    for _ in range(attempts):
        quickest = min(quickest, _seconds_to_end(call, after))
        if quickest <= within:
            return quickest
    raise AssertionError(f"Ctrl-C was answered after {quickest:.2f} s, allowed {within:g} s")


def _seconds_to_end(call: Callable[[], Any], after: float) -> float:
    """Return the seconds from one SIGINT to the end of the repeated call."""
    sent: list[float] = []
    failed = threading.Event()

    def send() -> None:
        if not failed.wait(after):
            sent.append(time.perf_counter())
            os.kill(os.getpid(), signal.SIGINT)

    # A process that a shell starts in the background ignores SIGINT.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    sender = threading.Thread(target=send)
    try:
        sender.start()
        try:
            while True:
                call()
        except Exception:
            failed.set()
            raise
    except KeyboardInterrupt:
        return time.perf_counter() - sent[0]
    finally:
        sender.join()
        signal.signal(signal.SIGINT, before)
