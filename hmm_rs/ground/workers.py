"""Workers elsewhere: what counts as an executor, that it has our version, and tasks in order, whatever is lost."""

from __future__ import annotations

import itertools
import os
import pickle
import platform
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from typing import Any, TypeVar

from .. import _lib
from .arguments import shown
from .errors import DtypeError, InvalidParameterError, ResourceError

__all__ = ["check_executor", "executor_of", "in_order", "other_version", "slots"]

_R = TypeVar("_R")

#: How often a task may take its worker with it.
_LOSSES = 3
#: Seconds between two looks for Ctrl-C.
_PATIENCE = 0.2
#: Tasks that an executor has at a time beyond the one that is waited for: what they return is held until its turn.
_AHEAD = 32


def check_executor(executor: Any) -> None:
    """Refuse what takes no tasks."""
    if not callable(getattr(executor, "submit", None)):
        raise DtypeError(
            f"executor = {shown(executor)}: must be an executor, with a method submit; pass "
            "concurrent.futures.ProcessPoolExecutor(), client.get_executor() of a Dask client, ..."
        )


def executor_of(executor: Any) -> Executor | None:
    """Return an executor, that of a Dask client too; None for none."""
    if executor is None:
        return None
    own = getattr(executor, "get_executor", None)
    made: Executor = own() if callable(own) else executor
    check_executor(made)
    return made


def slots(executor: Executor, most: int) -> int:
    """Return how many tasks an executor has room for at a time, as far as it tells, at most `most`."""
    client = getattr(executor, "_client", None)
    found: Any = getattr(executor, "_max_workers", None)
    if client is not None and callable(getattr(client, "ncores", None)):
        found = len(client.ncores())
    return min(most, found) if isinstance(found, int) and found > 0 else most


def other_version(version: str) -> str:
    """Return why this process cannot compute for one with a version of the package; "" if it can."""
    if version == _lib.__version__:
        return ""
    return (
        f"the worker {platform.node()} has hmm_rs {_lib.__version__}, this process has {version}: must be the "
        "same; install one version everywhere"
    )


def _task(
    version: str, home: tuple[str, int], attempt: int, function: Callable[..., _R], arguments: tuple[Any, ...]
) -> tuple[str, _R | None, Exception | None]:
    """Compute a task in a worker: why it cannot be, or what it returns, or what it raises.

    A worker uses one thread, unless it is in the process that asked. Schedulers that remember tasks by their arguments
    must not remember a lost one, so that its `attempt` is among them.
    """
    del attempt
    refusal = other_version(version)
    if refusal:
        return refusal, None, None
    threads = None if home == (platform.node(), os.getpid()) else 1
    try:
        return "", function(*arguments, threads), None
    except Exception as error:
        return "", None, error


def in_order(
    executor: Executor, function: Callable[..., _R], tasks: Iterable[tuple[Any, ...]], name: str
) -> Iterator[_R]:
    """Yield ``function(*task, threads)`` of every task, in the order of the tasks.

    `threads` is 1 in another process and None (the default number) in this one. A task whose worker is lost goes to
    another one.

    Parameters
    ----------
    executor
        Where to compute.
    function
        Of a module of the package, so that it can go to another process by name.
    tasks
        Arguments of each call; not more of them than are under way are looked at.
    name
        What is computed, for messages.

    Raises
    ------
    InvalidParameterError
        If a worker has another version of the package.
    ResourceError
        If a task is lost again and again, or the executor takes no more.
    """
    home = (platform.node(), os.getpid())
    waiting = enumerate(tasks)
    given: dict[int, tuple[Any, ...]] = {}
    flying: dict[int, Future[tuple[str, _R | None, Exception | None]]] = {}
    losses: dict[int, int] = {}

    def send(number: int) -> None:
        losses.setdefault(number, 0)
        try:
            flying[number] = executor.submit(
                _task, _lib.__version__, home, losses[number], function, given[number]
            )
        except Exception as error:
            raise ResourceError(
                f"executor takes no more tasks of {name} ({type(error).__name__}: {error}); make a new one and call "
                "again"
            ) from error

    def fill() -> None:
        for number, task in itertools.islice(waiting, 1 + _AHEAD - len(flying)):
            given[number] = task
            send(number)

    number = 0
    try:
        fill()
        while flying:
            while True:
                future = flying[number]
                while not wait([future], timeout=_PATIENCE, return_when=FIRST_COMPLETED).done:
                    pass
                try:
                    refusal, made, raised = future.result()
                    break
                except (pickle.PicklingError, ImportError, AttributeError, TypeError) as error:
                    raise InvalidParameterError(
                        f"executor: a task of {name} cannot go to its workers ({type(error).__name__}: {error}); "
                        "install hmm_rs there, in the version that is used here, and pass what can be pickled"
                    ) from error
                except (Exception, CancelledError) as error:
                    losses[number] += 1
                    if losses[number] >= _LOSSES:
                        raise ResourceError(
                            f"executor: a task of {name} was lost {_LOSSES} times ({type(error).__name__}: {error}); "
                            "perhaps its worker was killed for want of memory: give it more"
                        ) from error
                    send(number)
            if refusal:
                raise InvalidParameterError(f"executor: {refusal}")
            if raised is not None:
                raise raised
            for kept in (flying, given, losses):
                del kept[number]
            yield made  # type: ignore[misc]
            number += 1
            fill()
    finally:
        for future in flying.values():
            future.cancel()
