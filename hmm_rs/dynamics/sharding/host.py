"""Who holds shards: in this process, or in a worker that answers over a connection."""

from __future__ import annotations

import os
import platform
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Any

import numpy.typing as npt

from ... import _lib
from ...ground.errors import HmmError
from ...ground.memory import require
from ...ground.workers import other_version
from .blueprint import Blueprint
from .files import read_shard, write_shard
from .tree import Vector, cut, summed

__all__ = ["Host", "line_of", "quick", "serve"]

#: How long a worker tries to reach the process that asked it, seconds.
_REACH = 30.0

Sums = dict[tuple[int, int], Vector]
State = Mapping[str, npt.NDArray[Any]]
#: Steps that were taken: number, sum of the outputs, size.
Taken = Sequence[tuple[int, Vector, float]]


class Host:
    """Some shards of one network, and what is asked of them. Everything may be asked again.

    Parameters
    ----------
    shards
        Number of all shards.
    """

    def __init__(self, shards: int) -> None:
        self._number = shards
        self._shards: dict[int, _lib.ParticleShard] = {}

    def make(self, number: int, blueprint: Blueprint, threads: int | None) -> None:
        """Make a shard at its start."""
        first, last = cut(blueprint.width, self._number)[number]
        self._shards.pop(number, None)
        require(
            blueprint.memory(first, last, threads),
            f"a shard of {last - first} nodes on d={blueprint.d} inputs",
            "use more shards on more machines, or float32",
        )
        self._shards[number] = blueprint.shard(first, last, threads)

    def initial(self, threads: int | None) -> Sums:
        """Return sums of what the shards give to the initial outputs."""
        return self._summed({number: held.initial(threads=threads) for number, held in self._shards.items()})

    def begin(self, number: int, total: Vector) -> None:
        """Let a shard know the initial outputs."""
        self._shards[number].begin(total)

    def step(self, step: int, total: Vector, dt: float, threads: int | None) -> tuple[bool, Sums]:
        """Take a step; return whether the run is over, and sums of what the shards give to the next outputs."""
        over = False
        for held in self._shards.values():
            over = held.advance(step, total, dt, threads=threads)
        return over, {} if over else self.contribution(threads)

    def contribution(self, threads: int | None) -> Sums:
        """Return sums of what the shards give to the present outputs."""
        return self._summed(
            {number: held.contribution(threads=threads) for number, held in self._shards.items()}
        )

    def reading(self, threads: int | None) -> Sums:
        """Return sums of what the shards give to a measurement."""
        return self._summed({number: held.reading(threads=threads) for number, held in self._shards.items()})

    def seen(self, total: Vector, reading: Vector, threads: int | None) -> dict[str, Any]:
        """Return what is measured; all shards would say the same."""
        said = {number: held.seen(total, reading, threads=threads) for number, held in self._shards.items()}
        return said[min(said)]

    def told(self, number: int, total: Vector, reading: Vector, threads: int | None) -> None:
        """Let a shard know what the others know since the present step was measured."""
        self._shards[number].seen(total, reading, threads=threads)

    def query(self, what: str) -> dict[int, dict[str, Any]]:
        """Return the answers of all shards."""
        return {number: held.query(what) for number, held in self._shards.items()}

    def snapshot(self) -> dict[int, dict[str, Any]]:
        """Return the states of all shards."""
        return {number: held.snapshot() for number, held in self._shards.items()}

    def restore(self, number: int, state: State) -> None:
        """Put a shard into a state."""
        self._shards[number].restore(dict(state))

    def replay(self, number: int, taken: Taken, threads: int | None) -> None:
        """Let a shard take steps again that the others have taken."""
        for step, total, dt in taken:
            self._shards[number].advance(step, total, dt, threads=threads)

    def save(self, folder: str, step: int, token: int) -> None:
        """Write every shard's file."""
        for number, held in self._shards.items():
            write_shard(Path(folder), (number, self._number), step, token, held.snapshot())

    def load(self, number: int, folder: str, step: int, token: int) -> None:
        """Put a shard into the state of its file."""
        state = read_shard(Path(folder), (number, self._number), step, token)
        self._shards[number].restore(dict(state))

    def _summed(self, parts: dict[int, Vector]) -> Sums:
        return summed(parts, self._number)


def serve(address: tuple[str, int], key: bytes, version: str, shards: int, attempt: int) -> str:
    """Hold shards for the process at an address until it goes; return why that cannot be, or "".

    This is one task of an executor, from the first step to the end of the run.
    """
    refusal = other_version(version)
    if refusal:
        return refusal
    try:
        connection = _connected(address, key)
    except Exception as error:
        return (
            f"the worker {platform.node()} cannot reach this process at {address[0]}:{address[1]} "
            f"({type(error).__name__}: {error}): workers of shards talk to it directly; let this port through, or run "
            "it on a machine that workers can reach"
        )
    host = Host(shards)
    # The connection ends with either process.
    with connection, suppress(EOFError, OSError), _undisturbed():
        connection.send((platform.node(), os.getpid(), attempt))
        while True:
            number, name, arguments = connection.recv()
            try:
                answer: tuple[int, bool, Any] = (number, True, getattr(host, name)(*arguments))
            except HmmError as error:
                answer = (number, False, error)
            except Exception as error:
                answer = (number, False, HmmError(f"{type(error).__name__}: {error}"))
            connection.send(answer)
    return ""


def _connected(address: tuple[str, int], key: bytes) -> Connection:
    begun = time.monotonic()
    while True:
        try:
            connection = Client(address, authkey=key)
            break
        except OSError:
            if time.monotonic() - begun > _REACH:
                raise
            time.sleep(0.2)
    quick(connection)
    return connection


def quick(connection: Connection) -> None:
    """Send what is to be sent at once, and notice a machine that is gone."""
    with line_of(connection) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def line_of(connection: Connection) -> socket.socket:
    """Return the socket of a connection, to be closed by itself."""
    # Not os.dup: on Windows a socket is no file.
    return socket.fromfd(connection.fileno(), socket.AF_INET, socket.SOCK_STREAM)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Leave Ctrl-C to the process that asked: at a terminal it reaches its workers too."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
