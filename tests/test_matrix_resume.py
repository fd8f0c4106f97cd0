"""Stopped and resumed equals never stopped: every engine, its options, several places to stop.

The stopped runs of all cases are resumed together in one fresh process, on another number of threads.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hmm_rs as hr
from hmm_rs.testing import (
    STOPS,
    EngineCase,
    assert_resumes,
    difference,
    falling_rate,
    resume_in_fresh_process,
    softened_sign,
    stopped_run,
)

#: Threads of the whole run, of the stopped one, and of the process that resumes it.
WHOLE, STOPPED, RESUMED = 1, 2, 3

#: Functions of the runs below, as a user passes them to ``hr.resume``.
FUNCTIONS = {"softened_sign": softened_sign, "falling_rate": falling_rate}


def online(
    name: str, model: Any, run: Mapping[str, Any] | None = None, **options: Any
) -> dict[str, EngineCase]:
    seen = model.N if options.get("labels") == "input" else model.D
    arguments = {
        "model": model,
        "teacher": hr.TwoLayer.random(2, seen, seed=1),
        "student": hr.TwoLayer.random(3, model.N, seed=2),
        "lr": 0.1,
        "test_size": 50,
        **options,
    }
    return {
        f"OnlineSGD, {name}": EngineCase(
            hr.OnlineSGD, arguments, run or {"t_max": 4.0, "save_at": [0.0, 0.5, 2.0, 4.0]}
        )
    }


def online_cases() -> dict[str, EngineCase]:
    manifold = hr.HiddenManifold(30, 6)
    stored = hr.StoredSamples(
        np.random.default_rng(0).normal(size=(40, 12)), np.where(np.arange(40) % 3, 1.0, -1.0)
    )
    cases: dict[str, EngineCase] = {}
    for dtype in ("float64", "float32"):
        for second in (False, True):
            for batch in (1, 3):
                cases |= online(
                    f"{dtype}, train_second_layer={second}, batch={batch}",
                    manifold,
                    dtype=dtype,
                    train_second_layer=second,
                    lr_v=0.05 if second else None,
                    batch=batch,
                    noise=0.2,
                    weight_decay=0.01,
                )
    for dtype in ("float64", "float32"):
        cases |= online(f"{dtype}, labels on inputs", manifold, labels="input", dtype=dtype)
        cases |= online(f"{dtype}, classification", manifold, classify=True, dtype=dtype)
        cases |= online(f"{dtype}, no loss of precision in w", manifold, dtype=dtype, seed=[3, 4])
    for F in ("orthogonal", "dct", np.random.default_rng(1).normal(size=(30, 6))):
        name = F if isinstance(F, str) else "an array"
        cases |= online(f"F is {name}", hr.HiddenManifold(30, 6, F=F, f="erf", normalise_rows=True, seed=9))
    cases |= online("hadamard", hr.HiddenManifold(32, 6, F="hadamard", f="relu", center=False))
    cases |= online("a user's function", hr.HiddenManifold(30, 6, f=softened_sign))
    cases |= online("Gaussian inputs", hr.TeacherStudent(30), labels="input")
    cases |= online("conjugate data", hr.GaussianEquivalent(hr.HiddenManifold(30, 6, f="tanh")))
    cases |= online("a seed sequence", manifold, seed=np.random.SeedSequence(5).spawn(2)[1])
    cases |= online("random layers", hr.generators.random_layers([6, 20, 30], ["erf", "relu"], seed=2))
    cases |= online("a user's generator", hr.generators.from_callable(softened_sign, 20))
    cases |= online("stored samples", stored, teacher=stored.labels_teacher)
    for activation in ("relu", "linear"):
        cases |= online(
            f"{activation} units",
            manifold,
            teacher=hr.TwoLayer.random(2, 6, activation=activation, seed=1),
            student=hr.TwoLayer.random(2, 30, activation=activation, seed=2),
            lr=0.02,
        )
    cases |= online("default save times", manifold, {"t_max": 1.0})
    # Stops lie before and after the jumps, one of them at none of the saves.
    jumps = {
        "lr": hr.schedules.Step([0.3, 0.05, 0.2], at=[0.4, 2.5]),
        "lr_v": hr.schedules.Cosine(0.1, duration=3.0, end=0.01),
        "noise": hr.schedules.Step([0.0, 0.4], at=[1.1]),
        "weight_decay": hr.schedules.Power(0.02, b=1.0, c=0.7),
    }
    for dtype in ("float64", "float32"):
        for batch in (1, 3):
            cases |= online(
                f"schedules, {dtype}, batch={batch}",
                manifold,
                **jumps,
                train_second_layer=True,
                dtype=dtype,
                batch=batch,
            )
    cases |= online("functions of time", manifold, lr=falling_rate, noise=falling_rate)
    return cases


def particle_cases() -> dict[str, EngineCase]:
    law = hr.GaussianMixture(8, mu=1.0, sigma=0.8)
    X, y = law.sample(60, seed=1)
    X_test, y_test = law.sample(30, stream="test")
    fixed = {"X": X, "y": y}
    fresh = {"data": law, "batch": 20}
    cases = {}
    for dtype in ("float64", "float32"):
        for loss in ("hinge", "squared", "logistic"):
            for subtract in (False, True):
                for name, source in (("fixed data", fixed), ("fresh data", fresh)):
                    network = hr.MeanFieldNetwork.random(
                        24, 8, activation="relu" if loss == "hinge" else "tanh", dtype=dtype, seed=3
                    )
                    arguments = {
                        "network": network,
                        **source,
                        "loss": loss,
                        "subtract_init": subtract,
                        "dtype": dtype,
                    }
                    cases[f"Particles, {dtype}, {loss}, subtract_init={subtract}, {name}"] = EngineCase(
                        hr.Particles,
                        {**arguments, "test_size": 40},
                        {"steps": 12, "dt": 0.3, "save_at": [0, 2, 7, 12]},
                    )
    network = hr.MeanFieldNetwork.random(24, 8, activation="erf", seed=3)
    others = {
        "fixed data with a test set": {**fixed, "X_test": X_test, "y_test": y_test},
        "fixed data with a law for the test": {**fixed, "data": law},
        "a teacher of another direction": {**fixed, "teacher": np.arange(1.0, 9.0)},
        "powers of the hinge": {**fresh, "p": 2, "alpha": 10.0, "h": 0.5, "beta": 0.1},
        "few nodes recorded": {**fresh, "record_nodes": 3, "tile": (5, 7)},
        "no nodes recorded": {**fresh, "record_nodes": 0},
        "a sphere with flips": {
            "data": hr.UniformSphere(8, radius=2.0, flip=0.2),
            "batch": 10,
            "seed": [1, 2],
        },
        "a separable law": {"data": hr.LinearlySeparable(8, flip=0.1), "batch": 10},
    }
    others |= {
        "shards": {**fixed, "data": law, "shards": 3, "subtract_init": True},
        "shards of drawn nodes": {"network": hr.RandomNodes(24, 8, seed=4), **fresh, "shards": 5},
        "drawn nodes": {"network": hr.RandomNodes(24, 8, paired="odd", seed=4), **fresh, "dtype": "float32"},
    }
    for name, options in others.items():
        cases[f"Particles, {name}"] = EngineCase(
            hr.Particles, {"network": network, "test_size": 40, **options}, {"steps": 9, "save_at": [0, 4, 9]}
        )
    # Ends before its last step, once every example is satisfied.
    X, y = hr.LinearlySeparable(8).sample(12)
    cases["Particles, all satisfied early"] = EngineCase(
        hr.Particles,
        {"network": hr.MeanFieldNetwork.random(24, 8, seed=3), "X": X, "y": y, "alpha": 3.0},
        {"steps": 4000, "save_at": [0, 1, 2, 4000]},
    )
    cases["Particles, default save times"] = EngineCase(
        hr.Particles, {"network": network, **fresh, "test_size": 40}, {"steps": 9}
    )
    return cases


FLOW_RUNS = {
    "save_steps": {"max_steps": 12, "save_steps": [0, 2, 5, 12]},
    "save_at": {"save_at": [0.0, 0.01, 0.02, 0.03], "max_steps": 400},
    "stop_margin": {"stop_margin": 0.05, "max_steps": 60, "save_steps": [0, 3, 10, 60]},
    "stop_frac": {"stop_frac": 0.6, "max_steps": 60, "save_steps": [0, 3, 10, 60]},
    "t_max": {"t_max": 0.02, "max_steps": 200, "save_steps": [0, 1, 2, 200]},
}


def flow_cases() -> dict[str, EngineCase]:
    data = hr.Stripe(5)
    X, y = data.sample(40, seed=1)
    X_test, y_test = data.sample(30, seed=1, stream="test")
    K, K_test = hr.kernels.ntk(X), hr.kernels.ntk(X_test, X)
    cases = {}
    for loss in ("hinge", "softhinge", "qhinge", "linear"):
        for method, controller in (("euler", "chatter"), ("euler", "published"), ("rk", "chatter")):
            if method == "rk" and loss == "hinge":
                continue
            options = {
                "loss": loss,
                "method": method,
                "controller": controller,
                "rtol": 1e-5,
                "atol": 1e-8,
            }
            for dtype in ("float64", "float32"):
                network = hr.MeanFieldNetwork.random(
                    20, 5, std_b=1.0, activation="sqrt2_relu", dtype=dtype, seed=1
                )
                cases[f"GradientFlow, {loss}, {method}, {controller}, {dtype}"] = EngineCase(
                    hr.GradientFlow,
                    {
                        "network": network,
                        "X": X,
                        "y": y,
                        "X_test": X_test,
                        "y_test": y_test,
                        "alpha": 1.0,
                        **options,
                    },
                    FLOW_RUNS["save_steps"],
                )
            cases[f"KernelFlow, {loss}, {method}, {controller}"] = EngineCase(
                hr.KernelFlow,
                {"K": K, "y": y, "K_test": K_test, "y_test": y_test, **options},
                FLOW_RUNS["save_steps"],
            )
    network = hr.MeanFieldNetwork.random(20, 5, std_b=1.0, activation="relu", seed=1)
    for name, run in FLOW_RUNS.items():
        cases[f"GradientFlow, {name}"] = EngineCase(
            hr.GradientFlow,
            {"network": network, "X": X, "y": y, "alpha": 10.0, "subtract_f0": False, "d_par": 2},
            run,
        )
        cases[f"KernelFlow, {name}"] = EngineCase(hr.KernelFlow, {"K": K, "y": y, "margin": 0.5}, run)
    cases["KernelFlow, soft and scaled"] = EngineCase(
        hr.KernelFlow,
        {"K": K, "y": y, "loss": "softhinge", "loss_beta": 5.0, "alpha": 0.5},
        FLOW_RUNS["save_steps"],
    )
    for name, options in {
        "feature regime": {"alpha": 1e-6, "loss": "softhinge", "loss_beta": 5.0},
        "single precision of a double network": {"dtype": "float32", "margin": 0.5},
    }.items():
        cases[f"GradientFlow, {name}"] = EngineCase(
            hr.GradientFlow, {"network": network, "X": X, "y": y, **options}, {"max_steps": 8}
        )
    return cases


def convolutional_cases() -> dict[str, EngineCase]:
    if find_spec("jax") is None:
        return {}
    cnn = hr.cnn
    sets = cnn.parity_sets(*cnn.digits(), train=20, kernel=10, test=20)
    arguments = {"network": cnn.CNN(1, 8, 8), "X": sets.train[0], "y": sets.train[1]}
    return {
        "CNNFlow": EngineCase(
            cnn.CNNFlow,
            {**arguments, "X_test": sets.test[0], "y_test": sets.test[1]},
            {"max_steps": 4, "save_steps": [0, 1, 3, 4]},
        )
    }


CASES = {**online_cases(), **particle_cases(), **flow_cases(), **convolutional_cases()}
#: Stops of an engine that compiles for seconds each time it is made.
FEW_STOPS = ("before the first save", "between saves")


def stops(name: str) -> tuple[str, ...]:
    return FEW_STOPS if name == "CNNFlow" else STOPS


def functions(case: EngineCase) -> dict[str, Any]:
    told = repr([case.arguments.get(name) for name in ("model", "lr")])
    return {name: function for name, function in FUNCTIONS.items() if name in told}


@functools.cache
def whole(name: str) -> Any:
    return CASES[name].result(threads=WHOLE)


@pytest.fixture(scope="module")
def resumed(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Any]:
    """What a fresh process made of the checkpoints of all cases."""
    folder = tmp_path_factory.mktemp("resume")
    paths: dict[tuple[str, str], Path] = {}
    failed: dict[tuple[str, str], Any] = {}
    for number, (name, case) in enumerate(CASES.items()):
        for stop in stops(name):
            path = folder / f"{number}-{STOPS.index(stop)}.npz"
            try:
                stopped_run(
                    case.make,
                    case.run,
                    path,
                    stop,
                    saves=whole(name).sizes["t"],
                    threads=STOPPED,
                    functions=functions(case),
                )
                paths[name, stop] = path
            except Exception as error:
                failed[name, stop] = f"no checkpoint: {type(error).__name__}: {error}"
    answers = resume_in_fresh_process(list(paths.values()), threads=RESUMED, functions=FUNCTIONS)
    return {**failed, **dict(zip(paths, answers, strict=True))}


@pytest.mark.counted
@pytest.mark.parametrize("name", CASES)
def test_resumed_equals_never_stopped(resumed: dict[tuple[str, str], Any], tried: Any, name: str) -> None:
    complaints = []
    for stop in stops(name):
        result = resumed[name, stop]
        told = result if isinstance(result, str) else difference(whole(name), result)
        if told:
            complaints.append(f"stopped {stop}: {told}")
    assert not complaints, "\n".join(complaints)
    tried(
        "long runs, each option of each engine: stopped, and resumed on other threads",
        len(stops(name)),
        {"differing": 0},
    )


#: A run and a longer one: arguments of the first, of the run that goes on, and of the whole.
LONGER = {
    "OnlineSGD": (
        {"t_max": 1.0, "save_at": [0.0, 1.0]},
        {"t_max": 2.0, "save_at": [1.5, 2.0]},
        {"t_max": 2.0, "save_at": [0.0, 1.0, 1.5, 2.0]},
    ),
    "Particles": (
        {"steps": 4, "dt": 0.3, "save_at": [0, 4]},
        {"steps": 9, "dt": 0.3, "save_at": [6, 9]},
        {"steps": 9, "dt": 0.3, "save_at": [0, 4, 6, 9]},
    ),
    "GradientFlow": (
        {"max_steps": 4, "save_steps": [0, 4]},
        {"max_steps": 9, "save_steps": [6, 9]},
        {"max_steps": 9, "save_steps": [0, 4, 6, 9]},
    ),
}
LONGER["KernelFlow"] = LONGER["GradientFlow"]


@pytest.mark.parametrize("kind", LONGER)
def test_a_finished_run_goes_on_from_its_file(kind: str, tmp_path: Path) -> None:
    case = next(case for name, case in CASES.items() if name.startswith(kind))
    first, more, all_of_it = LONGER[kind]
    path = tmp_path / "run.npz"
    case.make().run(**first, checkpoint=path, threads=STOPPED)
    longer = hr.load(path).run(**more, threads=RESUMED)
    assert difference(case.make().run(**all_of_it, threads=WHOLE), longer) == ""


def parameters(function: Any) -> set[str]:
    return set(inspect.signature(function).parameters) if callable(function) else set()


def test_every_engine_is_in_the_matrix() -> None:
    """An engine is what has ``run`` with a checkpoint; those of an extra count where it is installed."""
    found = {case.engine for case in CASES.values()}
    modules = [hr, hr.cnn] if find_spec("jax") else [hr]
    engines = {
        thing
        for module in modules
        for name in module.__all__
        for thing in [getattr(module, name)]
        if isinstance(thing, type) and "checkpoint" in parameters(getattr(thing, "run", None))
    }
    assert len(engines) >= 4
    assert engines <= found


def test_every_option_of_every_engine_is_in_the_matrix() -> None:
    varied: dict[type, set[str]] = {}
    for case in CASES.values():
        varied.setdefault(case.engine, set()).update(case.arguments)
    # Numbers of the step's size, and where the work is done: no path of their own through a checkpoint.
    left_out = {"threads", "executor", "max_dout", "max_dw", "max_dgrad"}
    for engine, seen in varied.items():
        if engine.__name__ == "CNNFlow":
            continue
        missing = parameters(engine) - seen - left_out
        assert not missing, f"{engine.__name__}: no case passes {sorted(missing)}"


@pytest.mark.parametrize("kind", ["OnlineSGD", "Particles", "GradientFlow", "KernelFlow"])
def test_a_copy_made_on_the_way_goes_on_identically(kind: str) -> None:
    name = next(name for name in CASES if name.startswith(kind))
    assert_resumes(CASES[name].make, CASES[name].run, stops=("middle",))
