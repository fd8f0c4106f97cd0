"""Strategies for engines with their options: small runs that take milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

import hmm_rs as hr

from .descriptions import generators, labelled_data, models, save_times, seeds
from .rates import schedules
from .weights import mean_field_networks, two_layer

__all__ = ["ENGINES", "EngineCase", "engines"]

#: Engines that :func:`engines` knows.
ENGINES = ("OnlineSGD", "Particles", "GradientFlow", "KernelFlow", "FullBatch")


@dataclass(frozen=True)
class EngineCase:
    """An engine, its arguments and those of its run: made and run as often as one likes.

    Parameters
    ----------
    engine
        Class of the engine.
    arguments
        Arguments of its constructor, by name.
    run
        Arguments of ``run`` (of ``fit``, for an engine that does not take steps), by name.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> from hmm_rs.testing import EngineCase
    >>> network = hr.MeanFieldNetwork.random(10, 3)
    >>> data = hr.LinearlySeparable(3)
    >>> case = EngineCase(hr.Particles, {"network": network, "data": data, "batch": 5}, {"steps": 4})
    >>> case.result().sizes["t"]
    5
    """

    engine: Callable[..., Any]
    arguments: Mapping[str, Any]
    run: Mapping[str, Any]

    def make(self) -> Any:
        """Return a new engine."""
        return self.engine(**self.arguments)

    def result(self, **options: Any) -> Any:
        """Return the result of running a new engine; `options` are added to those of the run."""
        engine = self.make()
        go = engine.run if hasattr(engine, "run") else engine.fit
        return go(**self.run, **options)

    @property
    def takes_steps(self) -> bool:
        """Whether the engine can be stopped and resumed."""
        return hasattr(self.engine, "run")


@st.composite
def _online(draw: st.DrawFn) -> EngineCase:
    model = draw(
        models(most_inputs=24, most_latents=6, custom=False) | generators(most_inputs=24, custom=False)
    )
    stored = type(model).__name__ == "StoredSamples"
    labels = "latent" if stored else draw(st.sampled_from(["latent", "input"]))
    teacher = model.labels_teacher if stored else draw(two_layer(model.D if labels == "latent" else model.N))
    t_max = draw(st.floats(0.1, 2.0))
    student: st.SearchStrategy[Any] = two_layer(model.N, most_units=3)
    rate: st.SearchStrategy[Any] = schedules(largest=0.1)
    several = draw(st.sampled_from([0, 0, 1, 3]))
    if several:
        # An ensemble on one stream, its rates one for all or one for each.
        student = st.lists(student, min_size=several, max_size=several)
        rate = rate | st.lists(rate, min_size=several, max_size=several)
    return EngineCase(
        hr.OnlineSGD,
        {
            "model": model,
            "teacher": teacher,
            "student": draw(student),
            "lr": draw(rate),
            "lr_v": draw(st.none() | schedules(largest=0.1)),
            "train_second_layer": draw(st.booleans()),
            "labels": labels,
            "classify": draw(st.booleans()),
            "noise": draw(st.just(0.0) | schedules(largest=0.3)),
            "weight_decay": draw(st.just(0.0) | schedules(largest=0.05)),
            "batch": draw(st.integers(1, 4)),
            "test_size": draw(st.integers(1, 40)),
            "dtype": draw(st.sampled_from(["float64", "float32"])),
            "seed": draw(seeds()),
        },
        {"t_max": t_max, "save_at": draw(st.none() | save_times(t_max))},
    )


@st.composite
def _particles(draw: st.DrawFn) -> EngineCase:
    data = draw(labelled_data(kinds=("separable",)))
    loss = draw(st.sampled_from(["hinge", "squared", "logistic"]))
    network = mean_field_networks(data.d, biases=False, activations=("relu", "erf", "tanh"))
    fresh = draw(st.booleans())
    seed = draw(seeds())
    arguments: dict[str, Any] = {
        "network": draw(network),
        "data": data,
        "alpha": draw(st.sampled_from([0.5, 1.0, 10.0])),
        "h": draw(st.sampled_from([0.1, 1.0])),
        "beta": draw(st.sampled_from([0.1, 1.0])),
        "p": draw(st.sampled_from([0.5, 1, 2])),
        "loss": loss,
        "subtract_init": draw(st.booleans()),
        "test_size": draw(st.integers(1, 40)),
        "record_nodes": draw(st.none() | st.integers(0, 5)),
        "dtype": draw(st.sampled_from(["float64", "float32"])),
        "tile": draw(st.none() | st.tuples(st.integers(1, 8), st.integers(1, 8))),
        "seed": seed,
    }
    arguments["shards"] = draw(st.integers(1, arguments["network"].width) | st.just(1))
    if fresh:
        arguments["batch"] = draw(st.integers(1, 30))
    else:
        arguments["X"], arguments["y"] = data.sample(draw(st.integers(1, 30)), seed=seed)
    steps = draw(st.integers(0, 20))
    return EngineCase(hr.Particles, arguments, {"steps": steps, "dt": draw(st.sampled_from([0.05, 0.2]))})


def _flow_options(draw: st.DrawFn) -> dict[str, Any]:
    """Draw what flows of networks and of kernels share."""
    loss = draw(st.sampled_from(["hinge", "softhinge", "qhinge", "linear"]))
    smooth = loss != "hinge"
    return {
        "loss": loss,
        "alpha": draw(st.sampled_from([1e-3, 1.0, 10.0])),
        "margin": draw(st.sampled_from([0.5, 1.0])),
        "max_dout": draw(st.sampled_from([0.05, 0.3])),
        "controller": draw(st.sampled_from(["chatter", "published"])),
        "method": draw(st.sampled_from(["euler", "rk"])) if smooth else "euler",
        "rtol": 1e-6,
        "atol": 1e-9,
    }


_FLOW_RUNS = [
    {"max_steps": 12},
    {"max_steps": 20, "stop_margin": 0.2},
    {"max_steps": 20, "stop_frac": 0.5},
    {"max_steps": 15, "save_steps": [0, 1, 4, 9]},
    {"t_max": 0.05, "max_steps": 30},
]


@st.composite
def _gradient_flow(draw: st.DrawFn) -> EngineCase:
    data = draw(labelled_data(kinds=("separable", "geometric")))
    X, y = data.sample(draw(st.integers(1, 20)), seed=draw(st.integers(0, 9)))
    network = draw(mean_field_networks(data.d, biases=True, activations=("relu", "sqrt2_relu")))
    arguments: dict[str, Any] = {
        "network": network,
        "X": X,
        "y": y,
        **_flow_options(draw),
        "subtract_f0": draw(st.booleans()),
        "dtype": draw(st.sampled_from([None, "float64", "float32"])),
        "d_par": draw(st.integers(1, data.d)),
    }
    if draw(st.booleans()):
        arguments["X_test"], arguments["y_test"] = data.sample(7, stream="test")
    return EngineCase(hr.GradientFlow, arguments, draw(st.sampled_from(_FLOW_RUNS)))


@st.composite
def _kernel_flow(draw: st.DrawFn) -> EngineCase:
    X, y = draw(labelled_data()).sample(draw(st.integers(1, 20)), seed=draw(st.integers(0, 9)))
    if draw(st.booleans()):
        K, K_test = hr.kernels.ntk(X), hr.kernels.ntk(X[:3], X)
    else:
        K, K_test = hr.kernels.laplace(X, scale=1.0), hr.kernels.laplace(X[:3], X, scale=1.0)
    arguments: dict[str, Any] = {"K": K, "y": y, **_flow_options(draw)}
    if draw(st.booleans()):
        arguments["K_test"], arguments["y_test"] = K_test, y[:3]
    return EngineCase(hr.KernelFlow, arguments, draw(st.sampled_from(_FLOW_RUNS)))


@st.composite
def _full_batch(draw: st.DrawFn) -> EngineCase:
    n, p = draw(st.integers(1, 20)), draw(st.integers(1, 12))
    X, C = hr.TeacherStudent(p).sample(n, seed=draw(st.integers(0, 9)))
    loss = draw(st.sampled_from(["ridge", "square", "logistic", "hinge"]))
    y = C[:, 0] if loss == "ridge" else np.where(C[:, 0] < 0.0, -1.0, 1.0)
    arguments = {
        "X": X / np.sqrt(p),
        "y": y,
        "loss": loss,
        "lam": draw(st.sampled_from([0.01, 0.3, 10.0])),
    }
    return EngineCase(hr.FullBatch, arguments, {})


_KINDS: dict[str, Callable[[], st.SearchStrategy[EngineCase]]] = {
    "OnlineSGD": _online,
    "Particles": _particles,
    "GradientFlow": _gradient_flow,
    "KernelFlow": _kernel_flow,
    "FullBatch": _full_batch,
}


def engines(kinds: Sequence[str] = ENGINES) -> st.SearchStrategy[EngineCase]:
    """Engines with every option drawn, each with a short run.

    Parameters
    ----------
    kinds
        Some of :data:`ENGINES`.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> from hmm_rs.testing import assert_same_bits
    >>> @settings(max_examples=5)
    ... @given(case=engines(["OnlineSGD", "Particles"]))
    ... def test_the_number_of_threads_does_not_matter(case):
    ...     assert_same_bits(case.result, threads=(1, 2))
    >>> test_the_number_of_threads_does_not_matter()
    """
    unknown = sorted(set(kinds) - set(ENGINES))
    if unknown or not kinds:
        listed = ", ".join(map(repr, ENGINES))
        raise hr.InvalidParameterError(f"kinds = {list(kinds)!r}: unknown engine; pass some of {listed}")
    return st.one_of([_KINDS[kind]() for kind in kinds])
