"""Worker processes of this machine: what they answer, what they survive, when they leave."""

import importlib
import math
import os

import pytest

import hmm_rs as hr
from hmm_rs.sweeps.local import LocalWorkers, WorkerLostError

MODULE = """
import os


class Odd(Exception):
    def __init__(self, words, number):
        super().__init__(words)


class Bound:
    def __reduce__(self):
        # Only where it was made: a worker has another number.
        return only_in, (os.getpid(),)


def only_in(pid):
    if pid != os.getpid():
        raise ImportError("no module of this name here")


def odd():
    raise Odd("two arguments go in, one comes out", 2)


def first(thing, number):
    return number


def loud(number):
    print("words on standard output")
    os.write(1, b"and below it")
    return number


def asked():
    return input()


def leave(code):
    os._exit(code)
"""

#: Seconds after which a worker that has not answered never will.
LONG = 60.0


@pytest.fixture
def toys(tmp_path, monkeypatch):
    """A module that workers can import."""
    (tmp_path / "toys_of_a_user.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    return importlib.import_module("toys_of_a_user")


@pytest.fixture
def worker():
    """One worker, which is let go and not killed."""
    made = LocalWorkers(1)
    yield lambda function, *arguments: made.submit(function, *arguments).result(timeout=LONG)
    made.shutdown()


def test_a_worker_goes_on_whatever_a_task_does(toys, worker):
    pid = worker(os.getpid)
    assert pid != os.getpid()
    # What is printed stands in no answer, and nobody is asked anything.
    assert worker(toys.loud, 3) == 3
    with pytest.raises(EOFError):
        worker(toys.asked)
    with pytest.raises(ValueError, match=r"math domain error|nonnegative"):
        worker(math.sqrt, -1.0)
    # An error that cannot travel comes as its words.
    with pytest.raises(RuntimeError, match=r"Odd: two arguments go in, one comes out"):
        worker(toys.odd)
    # A task that cannot leave, and one that cannot arrive.
    with pytest.raises(Exception, match="pickle"):
        worker(lambda: 3)
    with pytest.raises(ImportError, match="no module of this name here"):
        worker(toys.first, toys.Bound(), 4)
    assert worker(os.getpid) == pid


def test_a_lost_worker_is_told_and_another_takes_its_place(toys, worker):
    pid = worker(os.getpid)
    with pytest.raises(WorkerLostError, match=r"a worker process was lost \(exit code 3\)"):
        worker(toys.leave, 3)
    assert worker(os.getpid) not in (pid, os.getpid())


def test_workers_take_positional_arguments_until_they_are_shut_down():
    workers = LocalWorkers(1)
    with pytest.raises(TypeError, match="positional arguments only"):
        workers.submit(dict, x=1)
    workers.shutdown()
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        workers.submit(os.getpid)


def test_points_in_a_worker_use_one_thread(toy):
    workers = LocalWorkers(1)
    table = hr.sweep(toy.threads, {"x": [1, 2]}, executor=workers)
    assert table.threads.values.tolist() == [1, 1]
    assert len(set(table.pid.values.tolist())) == 1
    assert table.pid.values[0] != os.getpid()
    workers.shutdown()
