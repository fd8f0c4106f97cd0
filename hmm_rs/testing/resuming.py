"""The law of long runs: stopped and resumed equals never stopped, bit for bit, in another process."""

from __future__ import annotations

import copy
import json
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import hmm_rs as hr

from .bits import difference

__all__ = ["STOPS", "assert_resumes", "resume_in_fresh_process", "stopped_run"]

#: Where :func:`stopped_run` can stop a run.
STOPS = (
    "before the first save",
    "at the first save",
    "middle",
    "between saves",
    "after the last",
    "finished",
)

Functions = Mapping[str, Callable[..., Any]]

#: What the fresh process runs. It knows nothing of the run but the files (and, by name, the user's functions).
_PROGRAM = """
import importlib.util, json, pickle, sys
job = json.load(sys.stdin)
import hmm_rs as hr
def module(name):
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        # A test runner may have loaded it from its file, outside of the path.
        if job["files"].get(name) is None:
            raise
    specification = importlib.util.spec_from_file_location(name, job["files"][name])
    found = sys.modules[name] = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(found)
    return found
for name in job["imports"]:
    module(name)
functions = {}
for name, (home, path) in job["functions"].items():
    found = module(home)
    for part in path.split("."):
        found = getattr(found, part)
    functions[name] = found
hr.set_num_threads(job["threads"])
answers = []
for path in job["paths"]:
    try:
        answers.append(hr.resume(path, functions=functions))
    except Exception as error:
        answers.append(f"{type(error).__name__}: {error}")
with open(job["answer"], "wb") as file:
    pickle.dump(answers, file)
"""


def stopped_run(
    make: Callable[[], Any],
    run: Mapping[str, Any],
    path: Path | str,
    stop: str,
    *,
    saves: int,
    threads: int = 1,
    functions: Functions | None = None,
) -> None:
    """Run a new engine, stop it somewhere, and leave its checkpoint at `path`.

    Parameters
    ----------
    make
        Returns a new engine.
    run
        Arguments of its ``run``.
    path
        File of the checkpoint.
    stop
        One of :data:`STOPS`. "between saves" is past the middle measurement and before the next one;
        "finished" is not stopped at all.
    saves
        Number of measurements of the whole run.
    threads
        Threads of the run.
    functions
        Functions of the run, by name, as :func:`hmm_rs.resume` takes them.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import hmm_rs as hr
    >>> from hmm_rs.testing import stopped_run
    >>> network = hr.MeanFieldNetwork.random(20, 5)
    >>> make = lambda: hr.Particles(network, data=hr.LinearlySeparable(5), batch=10, test_size=20)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "run.npz")
    ...     stopped_run(make, {"steps": 8, "save_at": [0, 4, 8]}, path, "middle", saves=3)
    ...     hr.resume(path).sizes["t"]
    3
    """
    seen = 0

    def stop_at(last: int) -> Callable[[Any, Any], None]:
        def callback(*_: Any) -> None:
            nonlocal seen
            seen += 1
            if seen >= last:
                raise hr.StopRun

        return callback

    # A save after every slice: the file that is read is also one that was overwritten many times.
    options: dict[str, Any] = {**run, "checkpoint": path, "checkpoint_every": 0.0, "threads": threads}
    last = {"at the first save": 1, "after the last": saves}.get(stop, saves // 2 + 1)
    if stop == "finished":
        make().run(**options)
    elif stop == "before the first save":
        make().run(**options, max_seconds=0.0)
    else:
        make().run(**options, callbacks=(stop_at(last),))
        if stop == "between saves":
            hr.resume(path, max_seconds=0.0, threads=threads, functions=functions)


def resume_in_fresh_process(
    paths: Sequence[Path | str],
    *,
    threads: int = 1,
    functions: Functions | None = None,
    imports: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> list[Any]:
    """Resume checkpoints in one new process and return their results, or the errors as text.

    Parameters
    ----------
    paths
        Checkpoints.
    threads
        Threads of the new process.
    functions
        Functions of the runs, by name; each must be importable by the new process.
    imports
        Modules that the new process imports first: those that define the user's engines.
    environment
        Additions to the environment.

    Examples
    --------
    >>> from hmm_rs.testing import resume_in_fresh_process
    >>> resume_in_fresh_process(["/no/such/file"])
    ["InvalidParameterError: path = '/no/such/file': there is no such file; pass a checkpoint's path"]
    """
    # The new process must find the same package and the user's modules, wherever it is started.
    inherited = {**os.environ, "PYTHONPATH": os.pathsep.join(entry or os.getcwd() for entry in sys.path)}
    named = {name: (f.__module__, f.__qualname__) for name, f in (functions or {}).items()}
    homes = {*imports, *(home for home, _ in named.values())}
    files = {home: getattr(sys.modules.get(home), "__file__", None) for home in homes}
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder, "answers")
        job = {
            "paths": [str(path) for path in paths],
            "threads": threads,
            "functions": named,
            "imports": list(imports),
            "files": files,
            "answer": str(answer),
        }
        done = subprocess.run(
            [sys.executable, "-P", "-c", _PROGRAM],
            input=json.dumps(job),
            capture_output=True,
            text=True,
            check=False,
            env={**inherited, **(environment or {})},
        )
        if done.returncode:
            raise AssertionError(f"the fresh process failed: {done.stderr[-2000:]}")
        # Written by the process started above, into a folder that only this user can write.
        results: list[Any] = pickle.loads(answer.read_bytes())
    return results


def assert_resumes(
    make: Callable[[], Any],
    run: Mapping[str, Any],
    *,
    stops: Sequence[str] = STOPS,
    threads: tuple[int, int, int] = (1, 2, 3),
    functions: Functions | None = None,
    copies: bool = True,
) -> None:
    """Assert that a run that is stopped and resumed elsewhere equals one that was never stopped.

    The run is stopped at several points, resumed in a fresh process on another number of threads, and
    compared bit for bit with the whole run.

    Parameters
    ----------
    make
        Returns a new engine.
    run
        Arguments of its ``run``, without those about checkpoints and callbacks.
    stops
        Where to stop: some of :data:`STOPS`.
    threads
        Threads of the whole run, of the stopped one, and of the fresh process.
    functions
        The user's functions in the run, by name, if there are any; they must be importable.
    copies
        Also assert that a deep copy and a pickled copy, made in the middle, go on identically.

    Raises
    ------
    AssertionError
        If a result differs; the message says for which stop, where, and by how much.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> from hmm_rs.testing import assert_resumes
    >>> X, y = hr.LinearlySeparable(4).sample(30)
    >>> network = hr.MeanFieldNetwork.random(10, 4)
    >>> assert_resumes(lambda: hr.Particles(network, X, y), {"steps": 12, "save_at": [0, 5, 12]})
    """
    engine = make()
    whole = engine.run(**run, threads=threads[0])
    saves = whole.sizes[next(iter(whole.data_vars.values())).dims[0]]
    module = type(engine).__module__
    imports = () if module.split(".")[0] == "hmm_rs" or module == "__main__" else (module,)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{number}.npz") for number in range(len(stops))]
        for stop, path in zip(stops, paths, strict=True):
            stopped_run(make, run, path, stop, saves=saves, threads=threads[1], functions=functions)
        results = resume_in_fresh_process(paths, threads=threads[2], functions=functions, imports=imports)
    for stop, result in zip(stops, results, strict=True):
        told = result if isinstance(result, str) else difference(whole, result)
        if told:
            raise AssertionError(f"stopped {stop} and resumed in a fresh process: {told}")
    if copies:
        _assert_copies_go_on(make, run, saves)


def _assert_copies_go_on(make: Callable[[], Any], run: Mapping[str, Any], saves: int) -> None:
    """Assert that copies made in the middle of a run end where the original does."""
    copied: dict[str, Any] = {}
    seen = 0

    def middle(driver: Any, _: Any) -> None:
        nonlocal seen
        seen += 1
        if seen > saves // 2:
            copied["a deep copy"] = copy.deepcopy(driver)
            copied["a pickled copy"] = pickle.loads(pickle.dumps(driver))
            raise hr.StopRun

    original = make()
    original.run(**run, callbacks=(middle,))
    original.advance(5)
    for how, twin in copied.items():
        twin.advance(5)
        told = difference(original.observe(), twin.observe())
        if told:
            raise AssertionError(f"{how} goes on differently: {told}")
