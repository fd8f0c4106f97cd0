"""A worker process of this machine: takes tasks from its standard input, answers on its standard output.

It is a fresh interpreter that imports neither the program that started it nor its main module, so that a script needs
no guard; it leaves when that program is gone.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import sys
import threading
import traceback
from typing import IO, Any

__all__ = ["receive", "send", "serve"]

#: Bytes of the length before each message.
_HEAD = 8


def send(stream: IO[bytes], message: Any) -> None:
    """Write one message."""
    data = pickle.dumps(message, protocol=5)
    stream.write(len(data).to_bytes(_HEAD, "little"))
    stream.write(data)
    stream.flush()


def receive(stream: IO[bytes]) -> Any:
    """Read one message; EOFError where there is none."""
    head = stream.read(_HEAD)
    size = int.from_bytes(head, "little")
    data = stream.read(size) if len(head) == _HEAD else b""
    if len(head) < _HEAD or len(data) < size:
        raise EOFError
    return pickle.loads(data)


def serve() -> None:
    """Do what comes until nothing comes any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    inbox, outbox = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # What a function prints must not get between the answers.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    tasks: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def listen() -> None:
        while True:
            try:
                tasks.put(receive(inbox))
            except EOFError:
                # Nobody waits for an answer any more, also not for one that takes hours.
                os._exit(0)
            except BaseException as error:
                # A function that cannot be loaded here: the task says so, and the next one may be.
                tasks.put(error)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        task = tasks.get()
        try:
            if isinstance(task, BaseException):
                raise task
            function, arguments = task
            answer = (True, function(*arguments))
        except BaseException as error:
            answer = (False, _portable(error))
        sys.stdout.flush()
        send(outbox, answer)


def _portable(error: BaseException) -> BaseException:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError("".join(traceback.format_exception_only(error)).strip())
    return error
