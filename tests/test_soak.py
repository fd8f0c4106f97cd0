"""A long life of one process: memory stays flat, no thread and no file stays open.

Rounds over engines (run, stopped, saved, resumed), solvers, samplers, kernels, refusals and errors on the way,
for as long as HMM_RS_SOAK_MINUTES says (2 without it), in a process of its own. A round takes about a second, so
that a leak of some kilobytes a round has many rounds to add up in.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hmm_rs as hr

MINUTES = float(os.environ.get("HMM_RS_SOAK_MINUTES", "2"))
#: Rounds until caches, pools and the allocator's arenas have their size.
WARM = 10
#: What may come on top over the whole life, in MiB. Fragments of the heap move by a few MiB without a leak; an
#: array that stays behind in every round (the smallest here has 50 kB) is twice this in 700 rounds, a result
#: (0.5 MB) in 70.
ALLOWED = 16.0


def law() -> hr.GaussianMixture:
    return hr.GaussianMixture(40, mu=1.0)


def online(**options: Any) -> hr.OnlineSGD:
    model = hr.HiddenManifold(1000, 60, seed=1)
    teacher, student = hr.TwoLayer.random(2, 60, seed=1), hr.TwoLayer.random(3, 1000, seed=2)
    return hr.OnlineSGD(model, teacher, student=student, lr=0.1, test_size=500, **options)


def particles() -> hr.Particles:
    network = hr.MeanFieldNetwork.random(500, 40, activation="relu", seed=1)
    return hr.Particles(network, data=law(), batch=100, test_size=200)


def gradient_flow() -> hr.GradientFlow:
    X, y = hr.Stripe(10).sample(200, seed=1)
    network = hr.MeanFieldNetwork.random(200, 10, std_b=1.0, activation="sqrt2_relu", seed=1)
    return hr.GradientFlow(network, X, y)


def kernel_flow() -> hr.KernelFlow:
    X, y = hr.Stripe(10).sample(200, seed=1)
    return hr.KernelFlow(hr.kernels.ntk(X), y)


#: Engines and a short run of each.
ENGINES: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "OnlineSGD": (online, {"t_max": 0.4, "save_at": [0.0, 0.1, 0.2, 0.4]}),
    "OnlineSGD in single precision": (
        lambda: online(dtype="float32", batch=10),
        {"t_max": 2.0, "save_at": [0.0, 1.0, 1.5, 2.0]},
    ),
    "Particles": (particles, {"steps": 12, "save_at": [0, 4, 8, 12]}),
    "GradientFlow": (gradient_flow, {"max_steps": 20, "save_steps": [0, 5, 10, 20]}),
    "KernelFlow": (kernel_flow, {"max_steps": 20, "save_steps": [0, 5, 10, 20]}),
}


def stopped_and_resumed(name: str, folder: Path) -> None:
    make, run = ENGINES[name]
    seen = 0

    def stop(*_: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == 2:
            raise hr.StopRun

    path = folder / "run.npz"
    make().run(**run, checkpoint=path, checkpoint_every=0.0, overwrite=True, callbacks=(stop,))
    hr.resume(path)


def failing_run(name: str) -> None:
    make, run = ENGINES[name]

    def fail(*_: Any) -> None:
        raise RuntimeError("in a callback")

    with contextlib.suppress(RuntimeError):
        make().run(**run, callbacks=(fail,))


def watched_run() -> None:
    """A run in another thread, read meanwhile and stopped from here."""
    driver = online()
    thread = threading.Thread(target=driver.run, args=(1e6,), kwargs={"save_at": [0.0, 1e6]})
    thread.start()
    while driver.step == 0:
        time.sleep(0.001)
    driver.student.forward(np.zeros((1, 1000)))
    driver.stop()
    thread.join()


def equations() -> None:
    driver = online()
    hr.theory.HiddenManifoldODE.from_simulation(driver).solve([0.0, 1.0, 5.0])
    units = {"T": np.eye(2), "v0": np.ones(2), "v_teacher": np.ones(2), "lr": 0.1}
    for activation in ("erf", "relu"):
        theory = hr.theory.SaadSolla(np.eye(2), 0.1 * np.eye(2), **units, activation=activation)
        theory.solve([0.0, 1.0, 10.0])
        theory.solve([0.0, 1.0], method="stiff")
    hr.theory.i4(np.broadcast_to(0.5 + 0.5 * np.eye(4), (200, 4, 4)), "relu")


def full_batch() -> None:
    X, y = law().sample(300, seed=1)
    for loss in ("ridge", "logistic", "hinge"):
        hr.FullBatch(X, y, loss=loss, lam=0.1).fit()
    A = X.T @ X / 300
    bulk = hr.theory.replica.Spectrum.from_matrices(A, A, 0.1 * A, np.ones(40))
    for loss in ("square", "logistic"):
        hr.theory.replica.learning_curve(bulk, [0.5, 1.0, 2.0], loss=loss, lam=0.1)


def sampling() -> None:
    for F in ("gaussian", "orthogonal", "dct", "hadamard"):
        hr.HiddenManifold(256, 40, f="erf", F=F).sample(500, seed=3)
    hr.GaussianEquivalent(hr.HiddenManifold(200, 40, f="tanh")).sample(500)
    generator = hr.generators.random_layers([20, 100, 200], ["erf", "relu"])
    hr.generators.estimate_covariances(generator, 2000)
    hr.generators.from_callable(np.tanh, 50).sample(500)


def kernels() -> None:
    X, y = hr.Stripe(10).sample(200, seed=2)
    network = hr.MeanFieldNetwork.random(200, 10, std_b=1.0, activation="relu")
    for kernel in (hr.kernels.ntk(X), hr.kernels.laplace(X, scale=1.0), hr.kernels.network_ntk(network, X)):
        hr.kernels.label_projections(kernel, y)


def refusals() -> None:
    for call in (
        lambda: hr.HiddenManifold(0, 5),
        lambda: online().run(1.0, save_at=[2.0]),
        lambda: hr.kernels.ntk(np.full((3, 3), np.nan)),
        lambda: hr.FullBatch(np.ones((3, 2)), np.ones(4), loss="ridge", lam=0.1),
        lambda: hr.HiddenManifold(10**9, 10**6).sample(10**9),
        lambda: hr.resume("/no/such/file"),
        lambda: hr.generators.from_callable(lambda x: 1 / 0, 5).sample(3),
    ):
        with contextlib.suppress(hr.HmmError, ArithmeticError):
            call()


def a_round(folder: Path, number: int) -> None:
    hr.set_num_threads(1 + number % 3)
    for name, (make, run) in ENGINES.items():
        make().run(**run)
        stopped_and_resumed(name, folder)
        failing_run(name)
    for part in (watched_run, equations, full_batch, sampling, kernels, refusals):
        part()


def state() -> dict[str, float]:
    """Return what the process holds once all garbage is gone."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "MiB": pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
        "files": len(os.listdir("/proc/self/fd")),
        "threads": len(os.listdir("/proc/self/task")),
        "objects": len(gc.get_objects()),
    }


def rounds(minutes: float) -> Iterator[dict[str, float]]:
    end = time.monotonic() + 60.0 * minutes
    with tempfile.TemporaryDirectory() as folder:
        number = 0
        # Whole cycles over the numbers of threads, so that what is compared has the same pools.
        while time.monotonic() < end or number < WARM + 12 or number % 3:
            a_round(Path(folder), number)
            number += 1
            if number % 3 == 0:
                yield {"round": number, "seconds": time.monotonic(), **state()}


def growth(seen: list[dict[str, float]], what: str) -> float:
    """Return how much the last third holds more than the first third after the warm rounds, by medians."""
    values = [entry[what] for entry in seen if entry["round"] > WARM]
    third = max(len(values) // 3, 1)
    return float(np.median(values[-third:]) - np.median(values[:third]))


def main() -> None:
    warnings.simplefilter("ignore")
    for entry in rounds(float(sys.argv[1])):
        print(json.dumps(entry), flush=True)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
def test_a_long_life_leaves_nothing_behind() -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(hr.__file__).parents[1])}
    command = [sys.executable, "-P", __file__, str(MINUTES)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    seen = [json.loads(line) for line in done.stdout.splitlines()]
    assert growth(seen, "MiB") < ALLOWED, seen[:: max(len(seen) // 20, 1)]
    # The import machinery and warnings' registries may add a few; a leak adds some every round.
    assert growth(seen, "objects") < 500, seen[:: max(len(seen) // 20, 1)]
    assert growth(seen, "files") <= 0
    assert growth(seen, "threads") <= 0


if __name__ == "__main__":
    main()
