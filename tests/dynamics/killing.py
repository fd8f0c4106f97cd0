"""Runs that are stopped again and again and resumed until they end: what was lost, what differs.

A program: ``python -P killing.py FOLDER WAY STOPS SEED [ENGINE...]`` prints one JSON object per engine. It
works in forked children only, so that every part of a run has a process of its own, and this one has no threads.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pickle
import random
import signal
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import hmm_rs as hr
from hmm_rs.dynamics import checkpoint as checkpoints
from hmm_rs.testing import EngineCase, difference

#: Exit codes of the children.
DONE, CTRL_C, CALLBACK, FAILED = 0, 77, 78, 79
#: Times a run is stopped before it is left alone.
MOST = 6


def cases() -> dict[str, Callable[[], EngineCase]]:
    """One run of each engine: tenths of a second, dozens of saves, files larger than the buffer of a write."""

    def online() -> EngineCase:
        model = hr.HiddenManifold(400, 40, f="erf", seed=1)
        return EngineCase(
            hr.OnlineSGD,
            {
                "model": model,
                "teacher": hr.TwoLayer.random(2, 40, seed=2),
                "student": hr.TwoLayer.random(3, 400, seed=3),
                "lr": hr.schedules.Step([0.3, 0.1], at=[20.0]),
                "noise": 0.1,
                "train_second_layer": True,
                "test_size": 200,
                "seed": 4,
            },
            {"t_max": 60.0, "save_at": np.linspace(0.0, 60.0, 41)},
        )

    def particles() -> EngineCase:
        return EngineCase(
            hr.Particles,
            {
                "network": hr.MeanFieldNetwork.random(300, 20, dtype="float32", seed=3),
                "data": hr.LinearlySeparable(20),
                "batch": 60,
                "dtype": "float32",
                "test_size": 100,
                "record_nodes": 50,
            },
            {"steps": 400, "dt": 0.1, "save_at": list(range(0, 401, 10))},
        )

    def gradient_flow() -> EngineCase:
        X, y = hr.Stripe(5).sample(120, seed=1)
        network = hr.MeanFieldNetwork.random(300, 5, std_b=1.0, activation="sqrt2_relu", seed=1)
        return EngineCase(
            hr.GradientFlow,
            {"network": network, "X": X, "y": y, "alpha": 0.1, "loss": "softhinge"},
            {"max_steps": 400, "save_steps": list(range(0, 401, 10))},
        )

    def kernel_flow() -> EngineCase:
        X, y = hr.Stripe(5).sample(150, seed=1)
        return EngineCase(
            hr.KernelFlow,
            {"K": hr.kernels.ntk(X), "y": y, "loss": "qhinge"},
            {"max_steps": 2000, "save_steps": list(range(0, 2001, 50))},
        )

    def cnn_flow() -> EngineCase:
        cnn = hr.cnn
        sets = cnn.parity_sets(*cnn.digits(), train=20, kernel=10, test=20)
        return EngineCase(
            cnn.CNNFlow,
            {
                "network": cnn.CNN(1, 8, 8),
                "X": sets.train[0],
                "y": sets.train[1],
                "X_test": sets.test[0],
                "y_test": sets.test[1],
            },
            {"max_steps": 60, "save_steps": list(range(0, 61, 2))},
        )

    found: dict[str, Callable[[], EngineCase]] = {
        "OnlineSGD": online,
        "Particles": particles,
        "GradientFlow": gradient_flow,
        "KernelFlow": kernel_flow,
    }
    if find_spec("jax") is not None:
        found["CNNFlow"] = cnn_flow
    return found


# -- children ------------------------------------------------------------------------------------


def in_child(work: Callable[[], object]) -> int:
    """Do something in a forked child; return its number."""
    child = os.fork()
    if child:
        return child
    code = FAILED
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        work()
        code = DONE
    except KeyboardInterrupt:
        code = CTRL_C
    except CallbackError:
        code = CALLBACK
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else FAILED
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(code)


def answer(folder: Path, work: Callable[[], Any]) -> Any:
    """Return what a child makes of something."""
    path = folder / "answer"

    def tell() -> None:
        path.write_bytes(pickle.dumps(work()))

    _, status = os.waitpid(in_child(tell), 0)
    if status:
        raise RuntimeError(f"a child failed with status {status}")
    # Written by the child above, into a folder of this test.
    told = pickle.loads(path.read_bytes())
    path.unlink()
    return told


class CallbackError(Exception):
    """What a callback of the user raises."""


def go(make: Callable[[], EngineCase], path: Path, **options: Any) -> float:
    """Begin a run, or resume it where its file is there; return the seconds it took so far."""
    if path.exists():
        result = hr.resume(path, threads=2, **options)
    else:
        case = make()
        result = case.make().run(**case.run, checkpoint=path, checkpoint_every=0.0, threads=2, **options)
    return float(result.attrs["wall_time"])


def rows(path: Path) -> int:
    """Return how many measurements a file holds, whole as it must be at any moment."""
    return len(checkpoints.read(path)[1].get("record:t", ())) if path.exists() else 0


# -- ways to be stopped --------------------------------------------------------------------------


def signalled(number: int) -> Callable[..., tuple[int, int]]:
    """Send a signal at a random moment."""

    def way(make: Any, path: Path, seconds: float, chance: random.Random) -> tuple[int, int]:
        child = in_child(lambda: go(make, path))
        time.sleep(chance.uniform(0.0, seconds))
        kept = rows(path)
        os.kill(child, number)
        return child, kept

    return way


def inside_the_write(make: Any, path: Path, seconds: float, chance: random.Random) -> tuple[int, int]:
    """Die by ``kill -9`` at a random line of Python of one of the first writes, those of the libraries included."""
    nth_write, nth_line = chance.randint(1, 8), chance.randint(1, LINES)
    entered = checkpoints.write.__code__
    at = {"write": 0, "line": 0, "depth": 0}

    def trace(frame: Any, event: str, _: Any) -> Any:
        if event == "call" and frame.f_code is entered:
            at["write"] += 1
            at["depth"] = 1
        if not at["depth"]:
            return None
        if event == "return" and frame.f_code is entered:
            at["depth"] = 0
        if event == "line" and at["write"] >= nth_write:
            at["line"] += 1
            if at["line"] >= nth_line:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    def work() -> None:
        sys.settrace(trace)
        go(make, path)

    return in_child(work), rows(path)


#: Fewer lines of Python than the write of any engine takes (5,259 to 9,381 when counted).
LINES = 5000


def failing_callback(make: Any, path: Path, seconds: float, chance: random.Random) -> tuple[int, int]:
    """Raise in a callback at a random measurement."""
    left = chance.randint(1, 12)

    def callback(*_: Any) -> None:
        nonlocal left
        left -= 1
        if left <= 0:
            raise CallbackError

    return in_child(lambda: go(make, path, callbacks=(callback,))), rows(path)


def budgeted(make: Any, path: Path, seconds: float, chance: random.Random) -> tuple[int, int]:
    """Let the time budget run out at a random moment."""
    budget = chance.uniform(0.0, seconds)

    def work() -> None:
        go(make, path, max_seconds=budget)
        if not checkpoints.read(path)[0]["finished"]:
            raise SystemExit(STOPPED_BY_BUDGET)

    return in_child(work), rows(path)


STOPPED_BY_BUDGET = 80

#: Each way, and how a child that was stopped by it ends: by a signal (negative) or with an exit code.
WAYS: dict[str, tuple[Callable[..., tuple[int, int]], tuple[int, ...]]] = {
    "kill -9": (signalled(signal.SIGKILL), (-signal.SIGKILL,)),
    "kill -9 inside the write": (inside_the_write, (-signal.SIGKILL,)),
    # Before its run has begun, SIGTERM ends a process as it always did.
    "SIGTERM": (signalled(signal.SIGTERM), (85, -signal.SIGTERM)),
    "Ctrl-C": (signalled(signal.SIGINT), (CTRL_C,)),
    "an error in a callback": (failing_callback, (CALLBACK,)),
    "max_seconds": (budgeted, (STOPPED_BY_BUDGET,)),
}


# -- one engine ------------------------------------------------------------------------------------


def burn(
    folder: Path, make: Callable[[], EngineCase], way: str, stops: int, chance: random.Random
) -> dict[str, Any]:
    """Stop runs of an engine until there were so many stops; each run is resumed to its end and compared."""
    stop, ends = WAYS[way]
    whole = answer(folder, lambda: make().result(threads=1))
    begun = time.monotonic()
    own = answer(folder, lambda: go(make, folder / "timed.npz"))
    # A budget does not count what is loaded before the run, which takes most of the time of CNNFlow.
    seconds = own if way == "max_seconds" else time.monotonic() - begun
    (folder / "timed.npz").unlink()

    tally: dict[str, Any] = {"stops": 0, "inside": 0, "runs": 0, "lost": [], "differing": [], "failed": []}
    while tally["stops"] < stops:
        if tally["runs"] > 20 + 20 * stops:
            tally["failed"].append("the runs end before they can be stopped")
            break
        path = folder / f"{tally['runs']}.npz"
        for _ in range(min(MOST, stops - tally["stops"])):
            child, kept = stop(make, path, seconds, chance)
            _, status = os.waitpid(child, 0)
            code = os.waitstatus_to_exitcode(status)
            if code == DONE:
                break
            if code not in ends:
                tally["failed"].append(f"a child ended with {code}")
            tally["stops"] += 1
            tally["inside"] += any(folder.glob(".hmm_rs-*.tmp"))
            try:
                now = rows(path)
            except hr.HmmError as error:
                tally["lost"].append(str(error))
                path.unlink()
                break
            if now < kept:
                tally["lost"].append(f"{now} of {kept} measurements are left")
        tally["runs"] += 1
        answer(folder, lambda path=path: go(make, path))
        told = difference(whole, answer(folder, lambda path=path: hr.resume(path, threads=3)))
        if told:
            tally["differing"].append(told)
        # What a kill inside a write left is gone.
        left = sorted(entry.name for entry in folder.iterdir() if entry != path)
        if left:
            tally["failed"].append(f"left behind: {left}")
        path.unlink()
    return tally


def import_what_children_need(folder: Path) -> None:
    """Import once what every child would import anew; jax, whose threads no fork survives, stays away."""
    seen = set(sys.modules)

    def names() -> list[str]:
        cases()["KernelFlow"]().result(threads=1)
        return sorted(set(sys.modules) - seen)

    for name in answer(folder, names):
        if "jax" not in name:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)


def main() -> None:
    """Read what is wanted, and print what came out."""
    folder, way, stops, seed, *engines = sys.argv[1:]
    import_what_children_need(Path(folder))
    for name, make in cases().items():
        if not engines or name in engines:
            inner = Path(folder, name)
            inner.mkdir()
            tally = burn(inner, make, way, int(stops), random.Random(f"{seed} {name} {way}"))
            print(json.dumps({"engine": name, **tally}), flush=True)


if __name__ == "__main__":
    main()
