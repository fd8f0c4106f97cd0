"""No result depends on a number of threads: neither on ours nor on that of numpy's BLAS.

Every computation below runs in two processes, one for each number of BLAS threads, the first of them on
1, 2, 3 and 7 of our own threads; the bits must agree. Sizes are large enough for a BLAS with two threads
to use both (a product from about 2^18 multiplications on, a vector from 10 000 entries on).

That the list is complete is a test too: every public function is called by some computation, or is
listed as one that computes nothing.
"""

from __future__ import annotations

import functools
import inspect
import os
import pickle
import subprocess
import sys
import tempfile
import time
import types
import warnings
from collections.abc import Callable
from concurrent.futures import Executor, Future
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hmm_rs as hr
from hmm_rs.testing import difference, falling_rate

OWN_THREADS = (1, 2, 3, 7)

Computation = Callable[[], Any]
COMPUTATIONS: dict[str, Computation] = {}


#: Computations that take a second or compile for longer see fewer numbers of our threads.
SLOW = {
    "conjugate_data_of_a_generator": (1, 2),
    "convolutional_network": (1, 2),
    "kernel_of_a_convolutional_network": (2,),
    "shipped_generators": (1, 2),
    "stein_bound": (1, 2),
}


def computation(function: Computation) -> Computation:
    COMPUTATIONS[function.__name__] = function
    return function


def own_threads(name: str) -> tuple[int, ...]:
    return SLOW.get(name, OWN_THREADS)


class Inline(Executor):
    """Calls at once, here."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def normals(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def signs(n: int, seed: int = 0) -> np.ndarray:
    return np.where(normals(n, seed=seed) < 0.0, -1.0, 1.0)


def gram(n: int, rank: int, seed: int = 0) -> np.ndarray:
    """A positive matrix whose bits depend on no BLAS."""
    a = normals(n, rank, seed=seed)
    return np.stack([np.sum(row * a, axis=1) for row in a]) / rank


@functools.cache
def manifold(f: Any = "sign", **options: Any) -> hr.HiddenManifold:
    return hr.HiddenManifold(301, 97, f=f, seed=3, **options)


@functools.cache
def simulation(f: Any = "sign", N: int = 301, D: int = 97, **options: Any) -> hr.OnlineSGD:
    return hr.OnlineSGD(
        hr.HiddenManifold(N, D, f=f, seed=3),
        hr.TwoLayer.random(2, N if options.get("labels") == "input" else D, seed=1),
        student=hr.TwoLayer.random(3, N, seed=2),
        lr=0.1,
        test_size=500,
        **options,
    )


# -- sampling ------------------------------------------------------------------------------------------


@computation
def sampling_of_hidden_manifolds() -> Any:
    return [
        hr.HiddenManifold(256, 40, f=f, F=F, seed=5).sample(1500, seed=4, dtype=dtype)
        for f, F, dtype in (
            ("sign", "gaussian", "float64"),
            ("erf", "orthogonal", "float64"),
            ("tanh", "dct", "float32"),
            ("relu", "hadamard", "float64"),
            (np.tanh, "gaussian", "float32"),
        )
    ] + [
        manifold(normalise_rows=True).F,
        manifold("relu").moments,
        hr.HiddenManifold(50, 20, F=normals(50, 20)).sample(9),
    ]


@computation
def sampling_of_gaussian_models() -> Any:
    return (
        hr.TeacherStudent(300).sample(2000, seed=1),
        hr.TeacherStudent(300).covariances(),
        hr.TeacherStudent(300).moments,
        hr.GaussianEquivalent(manifold("erf")).sample(2000, seed=1),
    )


@computation
def conjugate_data_of_a_generator() -> Any:
    generator = hr.generators.from_callable(np.tanh, 180)
    model = hr.GaussianEquivalent(generator)
    return model.sample(500, seed=1), model.covariances()


@computation
def sampling_of_labelled_data() -> Any:
    laws = [
        hr.LinearlySeparable(40, flip=0.1),
        hr.UniformSphere(40, radius=2.0),
        hr.GaussianMixture(40, mu=1.0),
        hr.Stripe(40, stretch=2.0),
        hr.SingleInterface(40),
        hr.Cylinder(40, d_par=3),
        hr.Sphere(40),
    ]
    return [law.sample(5000, seed=2) for law in laws] + [
        laws[3].probability_inside,
        laws[5].probability_outside,
        laws[5].threshold,
        laws[6].threshold,
        [law.informative for law in laws[3:]],
        [law.labels(normals(9, 40)) for law in laws[3:]],
    ]


@computation
def sampling_of_stored_data() -> Any:
    model = hr.StoredSamples(normals(200, 50), signs(200))
    return model.sample(3000, seed=2), model.labels_teacher.forward(normals(3, 1)), model.signs()


@computation
def sampling_of_generators() -> Any:
    layers = hr.generators.random_layers([60, 200, 301], ["erf", "relu"], seed=1)
    return (
        layers.sample(1200, seed=3),
        layers.weights,
        layers.mean,
        hr.generators.from_callable(np.tanh, 90).sample(1200, seed=3, dtype="float32"),
        hr.generators.from_callable(np.tanh, 20, center=False).mean,
    )


@computation
def shipped_generators() -> Any:
    return hr.generators.digits_flow(center=False).sample(
        300, seed=1
    ), hr.generators.digits_convolutional().sample(300, seed=1)


@computation
def generators_of_other_tools() -> Any:
    """A file of weights, made here."""
    safetensors = pytest.importorskip("safetensors.numpy")
    layers = [
        {"type": "dense", "weight": "a", "bias": "b"},
        {"type": "activation", "f": "tanh"},
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "weights.safetensors")
        safetensors.save_file({"a": normals(90, 20), "b": normals(90)}, path)
        tensors, _ = hr.generators.read_safetensors(path)
        model = hr.generators.from_safetensors(path, {"latents": 20, "layers": layers})
        return tensors, model.sample(900)


@computation
def generator_from_onnx() -> Any:
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        [helper.make_node("MatMul", ["z", "W"], ["u"]), helper.make_node("Tanh", ["u"], ["x"])],
        "generator",
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["batch", 20])],
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 60])],
        [numpy_helper.from_array(normals(20, 60).astype(np.float32), "W")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        onnx.save(model, path)
        return hr.generators.from_onnx(path).sample(500)


@computation
def seeds_and_times() -> Any:
    return hr.logtimes(0.1, 100.0, 50), hr.dynamics.log_linear_steps(5000)


# -- closed forms of the data ----------------------------------------------------------------------------


@computation
def exact_covariances() -> Any:
    return [manifold(f).covariances(method="exact") for f in ("sign", "erf", "relu")]


@computation
def linearised_covariances() -> Any:
    return manifold("tanh").covariances(), manifold("sign").covariances(method="linearised")


@computation
def one_layer_covariances() -> Any:
    return [hr.theory.one_layer_covariances(normals(301, 97), f) for f in ("sign", "erf", "relu")]


@computation
def recursive_covariances() -> Any:
    layers = [normals(203, 97, seed=1), normals(301, 203, seed=2)]
    model = hr.generators.random_layers([97, 203, 301], "erf")
    return hr.theory.recursive_covariances(layers, "sign"), model.covariances(method="recursion")


@computation
def covariances_by_monte_carlo() -> Any:
    model = hr.generators.random_layers([60, 203], "tanh")
    elsewhere = hr.generators.estimate_covariances(model, 5000, seed=1, executor=Inline())
    return hr.generators.estimate_covariances(model, 5000, seed=1), model.covariances(5000, seed=2), elsewhere


@computation
def moments_of_nonlinearities() -> Any:
    return [hr.theory.gaussian_moments(f) for f in ("sign", "erf", "relu", "tanh", "identity", np.sin)]


# -- networks --------------------------------------------------------------------------------------------


@computation
def outputs_of_two_layer_networks() -> Any:
    X = normals(901, 203)
    return [hr.TwoLayer.random(7, 203, activation=g, std_v=1.0).forward(X) for g in ("erf", "relu", "linear")]


@computation
def outputs_of_mean_field_networks() -> Any:
    X = normals(301, 203)
    return [
        hr.MeanFieldNetwork.random(518, 203, activation=g, std_b=1.0, dtype=dtype).forward(X.astype(dtype))
        for g in ("relu", "sqrt2_relu", "erf", "tanh")
        for dtype in ("float64", "float32")
    ]


@computation
def observables_of_networks() -> Any:
    network = hr.MeanFieldNetwork.random(517, 203, std_b=1.0)
    return (
        hr.compression(network.w, d_par=2),
        hr.observables.conserved_quantity(network),
        hr.observables.label_direction(normals(203, 30), signs(203)),
        hr.observables.neuron_alignment(network, d_par=2),
        hr.observables.neuron_points(network),
        hr.observables.temporal_regime(np.linspace(0.0, 1.0, 30), 200),
    )


# -- engines ---------------------------------------------------------------------------------------------


def of_run(engine: Any, *network: str, **run: Any) -> Any:
    return engine.run(**run), [getattr(engine, name) for name in network]


@computation
def online_sgd() -> Any:
    runs = []
    for options in (
        {},
        {"dtype": "float32", "batch": 3},
        {"labels": "input", "train_second_layer": True, "lr_v": 0.05},
        {"classify": True},
        {"noise": 0.3, "weight_decay": 0.01},
        {"noise": hr.schedules.Step([0.3, 0.1], at=[1.3]), "weight_decay": falling_rate},
        {"dtype": "float32", "noise": falling_rate, "weight_decay": hr.schedules.Power(0.1, b=0.3)},
    ):
        sim = simulation.__wrapped__("sign", **options)
        runs.append(of_run(sim, "student", t_max=3.0, save_at=[0.0, 0.5, 3.0]))
    return runs


@computation
def students_on_one_stream() -> Any:
    students = [hr.TwoLayer.random(K, 301, seed=K) for K in (2, 3, 1, 2, 4)]
    rates = [0.1, 0.2, hr.schedules.Power(0.3, b=1.0), 0.05, falling_rate]
    runs = []
    for options in ({}, {"dtype": "float32", "batch": 150, "noise": [0.1, 0.0, 0.2, 0.1, falling_rate]}):
        sim = hr.OnlineSGD(
            manifold(), hr.TwoLayer.random(2, 97), student=students, lr=rates, test_size=500, **options
        )
        runs.append(of_run(sim, "students", t_max=2.0, save_at=[0.0, 2.0]))
    alone = sim.alone(1)
    alone.advance(3)
    return runs, alone.student


@computation
def online_sgd_on_other_models() -> Any:
    generator = hr.generators.random_layers([60, 203], "relu")
    teacher, student = (
        hr.TwoLayer.random(2, 60, seed=1),
        hr.TwoLayer.random(2, 203, activation="relu", seed=2),
    )
    stored = hr.StoredSamples(normals(400, 203), signs(400))
    options = {"student": student, "lr": 0.05, "test_size": 400}
    sim = hr.OnlineSGD(generator, teacher, **options)
    sim.advance(100)
    return (
        (sim.t, sim.step, sim.observe()),
        of_run(hr.OnlineSGD(stored, stored.labels_teacher, **options), "student", t_max=2.0, save_at=[2.0]),
        of_run(
            hr.OnlineSGD(
                hr.GaussianEquivalent(manifold("erf")),
                hr.TwoLayer.random(2, 97, seed=1),
                **{**options, "student": hr.TwoLayer.random(2, 301)},
            ),
            "student",
            t_max=1.0,
            save_at=[1.0],
        ),
    )


@computation
def particles() -> Any:
    runs = []
    X, y = hr.LinearlySeparable(60).sample(700)
    for options in (
        {"X": X, "y": y},
        {"data": hr.GaussianMixture(60, mu=1.0), "batch": 500},
        {
            "data": hr.UniformSphere(60, radius=7.0, flip=0.1),
            "batch": 500,
            "loss": "logistic",
            "dtype": "float32",
        },
        {
            "X": X,
            "y": y,
            "X_test": X[:50],
            "y_test": y[:50],
            "loss": "squared",
            "subtract_init": True,
            "p": 2,
        },
    ):
        network = hr.MeanFieldNetwork.random(301, 60, activation="tanh" if "X_test" in options else "relu")
        engine = hr.Particles(network, **options, test_size=600)
        engine.advance(1, dt=0.3)
        runs.append(of_run(engine, "network", "first_satisfied", steps=12, dt=0.3, save_at=[1, 5, 12]))
    return runs


@computation
def particles_in_shards() -> Any:
    X, y = hr.LinearlySeparable(60).sample(700)
    law = hr.RandomNodes(301, 60, activation="tanh", seed=5)
    runs = []
    for options in (
        {"X": X, "y": y, "subtract_init": True},
        {"data": hr.UniformSphere(60, radius=1.0), "dtype": "float32"},
    ):
        engine = hr.Particles(law, **options, shards=3, test_size=600)
        runs.append(of_run(engine, "network", steps=5, dt=0.3, save_at=[1, 5]))
        engine.close()
    return runs, law.network(), law.draw(100, 200)


@computation
def gradient_flow() -> Any:
    X, y = hr.Stripe(30).sample(203, seed=1)
    X_test, y_test = hr.Stripe(30).sample(400, stream="test")
    runs = []
    for options in (
        {},
        {"loss": "softhinge", "method": "rk", "rtol": 1e-3, "alpha": 1.0},
        {"loss": "qhinge", "controller": "published", "dtype": "float32"},
        {"loss": "linear", "subtract_f0": False, "alpha": 10.0},
    ):
        network = hr.MeanFieldNetwork.random(150, 30, std_b=1.0, activation="sqrt2_relu", seed=1)
        flow = hr.GradientFlow(network, X, y, X_test=X_test, y_test=y_test, **options)
        run = of_run(flow, "network", "margins", "events", max_steps=20, save_steps=[0, 7, 20])
        runs.append((run, flow.gradient(), flow.test_predictions()))
    return runs


@computation
def kernel_flow() -> Any:
    X, y = hr.Stripe(5).sample(203, seed=1)
    X_test, y_test = hr.Stripe(5).sample(150, stream="test")
    K, K_test = hr.kernels.ntk(X), hr.kernels.ntk(X_test, X)
    return [
        of_run(hr.KernelFlow(K, y, K_test=K_test, y_test=y_test, **options), "coefficients", max_steps=60)
        for options in ({}, {"loss": "qhinge", "method": "rk", "rtol": 1e-6})
    ]


@computation
def full_batch() -> Any:
    X = normals(301, 203) / 203**0.5
    fits = []
    for loss in ("ridge", "square", "logistic", "hinge"):
        problem = hr.FullBatch(X, normals(301) if loss == "ridge" else signs(301), loss=loss, lam=0.1)
        fits.append((problem.fit(), problem.result, problem.objective, problem.gap, problem.iterations))
    return fits


@computation
def full_batch_as_an_estimator() -> Any:
    X, y = normals(301, 203) / 203**0.5, signs(301)
    estimator = hr.FullBatch(loss="logistic", lam=1.0).set_params(lam=0.1).fit(X, y)
    return (
        estimator.decision_function(X),
        estimator.predict(X),
        estimator.score(X, y),
        estimator.classes_,
        estimator.get_params(),
        estimator.path([0.1, 1.0]),
    )


@computation
def estimators() -> Any:
    pytest.importorskip("sklearn")
    X, y = hr.Stripe(5).sample(151, seed=1)
    features = hr.sklearn.RandomFeatures(203).fit(X)
    kernel = hr.sklearn.NTKClassifier(10.0).fit(X, y)
    network = hr.sklearn.MeanFieldClassifier(50, max_steps=50).fit(X, y)
    return (
        features.transform(X),
        kernel.decision_function(X),
        kernel.predict(X),
        network.decision_function(X),
        network.predict(X),
    )


@computation
def sweeps() -> Any:
    def run(lr: float, seed: int) -> Any:
        return hr.OnlineSGD(
            manifold(), hr.TwoLayer.random(2, 97), student=hr.TwoLayer.random(2, 301, seed=seed), lr=lr,
            test_size=500, seed=seed,
        )  # fmt: skip

    def equations(lr: float, seed: int) -> Any:
        return hr.theory.HiddenManifoldODE.from_simulation(run(lr, seed))

    grid = {"lr": [0.1, 0.2]}
    return [hr.sweep(fn, grid, seeds=2, at=[0.0, 0.5], executor="here") for fn in (run, equations)]


@computation
def full_batch_curves() -> Any:
    from hmm_rs.dynamics.full_batch import (
        GaussianFeatures,
        agreement,
        finite_size_allowance,
        full_batch_curve,
    )

    features = GaussianFeatures(np.linspace(0.5, 1.5, 103), np.full(103, 0.05), 1.0)
    curve = full_batch_curve(features, [0.5, 2.0], loss="square", lam=0.1, repeats=4, flip=0.1)
    theory = hr.theory.replica.learning_curve(
        hr.theory.replica.Spectrum.from_b(np.diag(features.omega), features.b, 1.0),
        curve.alpha.values,
        loss="square",
        lam=0.1,
        flip=0.1,
    )
    allowed = finite_size_allowance("test_error", theory.test_error, 0.01, p=103, loss="square")
    return features.p, curve, agreement(curve, theory), allowed


@computation
def optimal_errors_and_least_squares_in_time() -> Any:
    from hmm_rs.dynamics.full_batch import GaussianFeatures
    from hmm_rs.experiments.full_batch import amp_curve, least_squares_runs

    spectrum = hr.theory.replica.Spectrum(
        np.linspace(0.2, 2.0, 103), np.full(103, 1 / 103), np.full(103, 0.4), 60.0
    )
    features = GaussianFeatures(np.linspace(0.2, 2.0, 203), np.full(203, 0.05), 1.0)
    return (
        hr.theory.replica.bayes_optimal(spectrum, alpha=[0.5, 2.0]),
        hr.theory.replica.state_evolution(spectrum, alpha=2.0, steps=5),
        hr.theory.least_squares_flow(spectrum, alpha=1.2, t=[0.0, 1.0, 10.0]),
        hr.theory.optimal_stopping(spectrum, alpha=1.2),
        amp_curve(spectrum, [0.5, 2.0], p=309, repeats=2),
        least_squares_runs(features, alpha=2.0, t=[0.0, 1.0, 5.0], repeats=2),
    )


@computation
def features_of_a_covariance() -> Any:
    from hmm_rs.dynamics.full_batch import GaussianFeatures

    return GaussianFeatures.from_covariance(gram(301, 600), normals(301), 400.0)


@computation
def sampled_features() -> Any:
    from hmm_rs.dynamics.full_batch import SampledFeatures, full_batch_curve

    features = SampledFeatures.from_model(
        manifold("erf"), normals(150, 301), teacher=normals(97), mean_samples=3000
    )
    fields = features.fields(700, 1)
    curve = full_batch_curve(features, [0.5, 2.0], loss="logistic", lam=0.1, repeats=2, test_size=2000)
    return fields, curve


# -- kernels ---------------------------------------------------------------------------------------------


@computation
def kernels_in_closed_form() -> Any:
    X, Y = normals(203, 60), normals(101, 60, seed=1)
    return (
        [hr.kernels.ntk(X, bias=bias) for bias in ("normal", "zero", "none")],
        hr.kernels.ntk(X, Y),
        hr.kernels.laplace(X, scale=2.0),
        hr.kernels.laplace(X, Y, scale=2.0),
    )


@computation
def kernels_of_networks() -> Any:
    network = hr.MeanFieldNetwork.random(301, 60, std_b=1.0)
    X, Y = normals(203, 60), normals(101, 60, seed=1)
    single = hr.MeanFieldNetwork.random(301, 60, std_b=1.0, dtype="float32")
    return (
        hr.kernels.network_ntk(network, X),
        hr.kernels.network_ntk(network, X, Y, block=32),
        hr.kernels.network_ntk(single, X.astype(np.float32)),
        hr.kernels.network_ntk(network, X, block=32, executor=Inline()),
    )


@computation
def label_projections() -> Any:
    return hr.kernels.label_projections(gram(203, 400), signs(203))


@computation
def statistics_of_kernels() -> Any:
    K, K0 = gram(203, 400), gram(203, 400, seed=1)
    return hr.kernels.kernel_change(K, K0), hr.kernels.kernel_statistics(K), hr.kernels.intrinsic_dimension(K)


@computation
def positive_gram() -> Any:
    return hr.kernels.positive_gram(gram(203, 400))


@computation
def mutual_information() -> Any:
    y = signs(600)
    return [hr.kernels.mutual_information(y[:, None] * 0.5 + normals(600, n), y) for n in (1, 2)]


@computation
def support_vectors() -> Any:
    X, y = hr.Stripe(3).sample(203, seed=1)
    K, K_test = hr.kernels.laplace(X, scale=1.0), hr.kernels.laplace(normals(150, 3), X, scale=1.0)
    machine = hr.kernels.svc(K, y, C=10.0)
    return machine, machine.decision(K_test), machine.error(K_test, signs(150))


# -- theory ----------------------------------------------------------------------------------------------


@computation
def gaussian_integrals() -> Any:
    C = np.stack([gram(4, 8, seed=s) for s in range(40)])
    return (
        [hr.theory.i2(C[:, :2, :2], g) for g in ("erf", "relu", "linear")],
        [hr.theory.i3(C[:, :3, :3], g) for g in ("erf", "relu", "linear")],
        [hr.theory.i4(C, g) for g in ("erf", "relu", "linear")],
        hr.theory.generalisation_error(C[0, :2, :2], C[0, :2, 2:], C[0, 2:, 2:], [1.0, -0.5], [1.0, 1.0]),
    )


@computation
def marchenko_pastur() -> Any:
    return hr.theory.marchenko_pastur(0.3, 40)


@computation
def order_parameters() -> Any:
    return hr.theory.order_parameters(normals(700, 350), normals(5, 700), normals(3, 350), f="sign")


TIMES = (0.0, 0.5, 5.0)


@computation
def saad_solla() -> Any:
    Q0, R0, T = gram(2, 4), 0.1 * normals(2, 2), np.eye(2)
    options = {"T": T, "v0": [1.0, 1.0], "v_teacher": [1.0, 1.0], "lr": 0.3}
    return [
        hr.theory.SaadSolla(Q0, R0, **options, activation=g, lr_v=0.1).solve(TIMES, method=m)
        for g, m in (("erf", "auto"), ("relu", "auto"), ("erf", "stiff"))
    ]


@computation
def saad_solla_from_weights() -> Any:
    w, teacher = normals(3, 30_001), normals(2, 30_001, seed=1)
    return hr.theory.SaadSolla.from_weights(w, teacher, v=np.ones(3), v_teacher=np.ones(2), lr=0.2).solve(
        TIMES
    )


@computation
def saad_solla_from_simulation() -> Any:
    sim = hr.OnlineSGD(
        hr.TeacherStudent(20_001),
        hr.TwoLayer.random(2, 20_001, seed=1),
        student=hr.TwoLayer.random(2, 20_001, seed=2),
        labels="input",
        lr=0.2,
        test_size=10,
    )
    return hr.theory.SaadSolla.from_simulation(sim).solve(TIMES)


@computation
def hidden_manifold_equations_from_weights() -> Any:
    options = {"v": np.ones(3), "v_teacher": np.ones(2), "f": "sign", "lr": 0.2}
    return hr.theory.HiddenManifoldODE.from_weights(
        normals(701, 203), normals(3, 701, seed=1), normals(2, 203, seed=2), **options
    ).solve(TIMES)


@computation
def hidden_manifold_equations_from_simulation() -> Any:
    return [
        hr.theory.HiddenManifoldODE.from_simulation(simulation(), teacher_modes=modes).solve(TIMES)
        for modes in ("exact", "published")
    ]


@computation
def hidden_manifold_equations_of_modes() -> Any:
    S, K, M = 203, 3, 2
    a, b = normals(S, K), normals(S, M, seed=1)
    return hr.theory.HiddenManifoldODE(
        rho=np.linspace(0.1, 2.0, S),
        weights=np.full(S, 1.0 / S),
        sigma0=a[:, :, None] * a[:, None, :],
        r0=a[:, :, None] * b[:, None, :],
        t_modes=b[:, :, None] * b[:, None, :],
        W0=gram(K, 50),
        v0=np.ones(K),
        v_teacher=np.ones(M),
        delta=0.3,
        f="sign",
        lr=0.2,
    ).solve(TIMES)


@computation
def fluctuations_of_single_runs() -> Any:
    sim = simulation()
    theory = hr.theory.HiddenManifoldODE.from_simulation(sim).solve([0.0, 0.5, 1.0], fluctuations=True)
    run = sim.run(1.0, save_at=[0.0, 0.5, 1.0])
    return theory, hr.compare(run, theory)


@computation
def hidden_manifold_continuum() -> Any:
    system = hr.theory.HiddenManifoldODE.continuum(
        delta=0.3,
        W0=np.eye(2),
        R0=0.01 * normals(2, 2),
        T=np.eye(2),
        v0=np.ones(2),
        v_teacher=np.ones(2),
        f="sign",
        lr=0.2,
    )
    return system.solve(TIMES), hr.theory.solve_many([system, system], TIMES)


@computation
def rates_that_change() -> Any:
    """Named schedules, and equations with them and with a function that is called back."""
    rates = [
        hr.schedules.Constant(0.2),
        hr.schedules.Step([0.3, 0.1], at=[2.0]),
        hr.schedules.Power(0.3, b=4.0, c=0.8),
        hr.schedules.Cosine(0.3, duration=5.0, end=0.05),
        falling_rate,
    ]
    options = {"T": np.eye(2), "v0": [1.0, 1.0], "v_teacher": [1.0, 1.0], "noise": falling_rate}
    systems = [hr.theory.SaadSolla(gram(2, 4), 0.1 * normals(2, 2), lr=lr, **options) for lr in rates]
    return (
        [lr(TIMES) for lr in rates],
        hr.theory.solve_many(systems, TIMES),
        hr.theory.solve_many(systems, TIMES, method="stiff"),
    )


@computation
def covariance_equations() -> Any:
    omega = gram(203, 300)
    phi = normals(203, 97, seed=1) / 30.0
    options = {"v": np.ones(3), "v_teacher": np.ones(2), "lr": 0.2}
    w = normals(3, 203, seed=2)
    return (
        hr.theory.CovarianceODE(omega, phi, w=w, w_teacher=normals(2, 97, seed=3), **options).solve(TIMES),
        hr.theory.CovarianceODE(
            omega, None, w=w, w_teacher=normals(2, 203, seed=3), labels="input", **options
        ).solve(TIMES),
    )


@computation
def covariance_equations_from_simulation() -> Any:
    return hr.theory.CovarianceODE.from_simulation(simulation("erf")).solve(TIMES)


@computation
def phenomena_of_the_equations() -> Any:
    phenomena = hr.theory.phenomena
    start = phenomena.random_start(2, 2, delta=0.1, size=701)
    curves = phenomena.increasing_complexity([1, 2], t_eval=[0.0, 1.0, 20.0], M=2)
    late = {"t_max": 20.0, "size": 300}
    return (
        start.solve(TIMES),
        curves,
        phenomena.late_error_against_delta([0.1, 0.3], **late),
        phenomena.late_error_against_learning_rate([0.1, 0.3], steps=4.0, size=300),
        phenomena.late_error_against_students([1, 2], **late),
        phenomena.plateau(start.solve(np.linspace(0.0, 60.0, 61))),
    )


@computation
def hinge_mean_field() -> Any:
    t = np.array([0.1, 1.0, 10.0])
    theories = [
        hr.theory.HingeMeanField(50),
        hr.theory.HingeMeanField(50, law="sphere", radius=7.0),
        hr.theory.HingeMeanField(50, law="mixture", mu=1.0, alpha=2.0),
        hr.theory.HingeMeanField(50, flip=0.1),
        hr.theory.HingeMeanField.from_data(normals(300, 50) + 0.5 * signs(300)[:, None], signs(300)),
    ]
    one = theories[0]
    a0, w0 = normals(40), normals(40, 50)
    return (
        [theory.gamma(t) for theory in theories],
        [theory.observables(t) for theory in theories],
        [theory.gd(30) for theory in theories],
        [(theory.C0, theory.C1, theory.kappa, theory.plateau) for theory in theories],
        one.gamma(t, method="ode"),
        one.gamma_dot(t),
        one.alignment(t),
        one.time_of_gamma([0.5, 1.0]),
        one.nodes(1.0, a0, w0[:, 0]),
        one.gd_nodes(10, a0, w0[:, 0]),
        one.late_time(t),
        one.satisfaction_time([0.1, 0.5]),
        one.fluctuations([0.1, 0.5], 100),
        one.satisfaction_band([0.1, 0.5], 100),
        [theory.memorisation(500, t) for theory in (theories[0], theories[3])],
        hr.theory.lazy_master(t),
        hr.theory.rich_front(t),
    )


@computation
def projected_mean_field() -> Any:
    field = hr.theory.ProjectedMeanField
    gaussian = field.gaussian(100, lambda x: np.where(abs(x[:, 0]) < 0.7, -1.0, 1.0), points=300)
    clusters = field.clusters(100, normals(3, 2), [1.0, -1.0, 1.0], points=8, nodes=6)
    return [(one.run(5), one.output, one.nodes) for one in (gaussian, clusters)]


@computation
def theory_of_compression() -> Any:
    theory = hr.theory
    network = hr.MeanFieldNetwork.random(100, 5, std_b=1.0, activation="sqrt2_relu")
    return (
        theory.learning_curve_exponents(5),
        theory.attractors(5, include_unstable=True),
        theory.compression_time(100, 1e-6, 2.0),
        theory.compression_all_active(),
        theory.population_field(normals(5), 0.3),
        theory.neuron_flow(network, [0.0, 0.1, 1.0], p=1000),
    )


@functools.cache
def random_features() -> Any:
    return hr.theory.replica.Spectrum.random_features(1.5, (0.8, 0.6))


@computation
def replica_solutions() -> Any:
    replica, spectrum = hr.theory.replica, random_features()
    return (
        [replica.solve(spectrum, loss=loss, alpha=2.0, lam=0.1) for loss in replica.LOSSES],
        replica.learning_curve(spectrum, [0.5, 1.0, 3.0], loss="logistic", lam=0.1, flip=0.1),
        replica.ridgeless(spectrum, alpha=2.0),
        replica.max_margin(spectrum, alpha=0.5),
        replica.separability_threshold(spectrum),
        replica.optimal_ridge(spectrum, loss="square", alpha=2.0),
        replica.prox(normals(50), 0.7, loss="logistic"),
        (spectrum.rho_lin, spectrum.rank, spectrum.atoms),
    )


@computation
def spectra_of_matrices() -> Any:
    spectrum = hr.theory.replica.Spectrum
    psi, omega, phi = np.eye(97), gram(203, 400), normals(97, 203, seed=1) / 60.0
    theta = normals(97, seed=2)
    return (
        spectrum.from_matrices(psi, omega, phi, theta),
        spectrum.from_b(omega, np.full(203, 0.01), 1.0),
        spectrum(np.ones(3), np.full(3, 1 / 3), np.full(3, 0.1), 1.0),
    )


@computation
def spectra_of_samples() -> Any:
    spectrum = hr.theory.replica.Spectrum
    v = normals(900, 203)
    nu = v[:, 0] + 0.1 * normals(900, seed=1)
    return spectrum.from_samples(nu, v), spectrum.from_data(v, np.where(nu < 0, -1.0, 1.0))


@computation
def theory_of_clusters() -> Any:
    replica = hr.theory.replica
    v, members = normals(1200, 53), np.arange(1200) % 2
    v[members == 1] *= np.linspace(0.5, 2.0, 53)
    nu = v[:, 0] + members + 0.1 * normals(1200, seed=1)
    answers = []
    for shared in (True, False):
        mixture = replica.Mixture.from_samples(nu, v, members, shared=shared)
        answers += [
            mixture,
            mixture.gaussian_equivalent(),
            (mixture.clusters, mixture.p, mixture.field_variance),
        ]
        answers += [replica.solve(mixture, loss=loss, alpha=2.0, lam=0.1) for loss in replica.LOSSES]
    return answers


# -- Gaussian equivalence --------------------------------------------------------------------------------


@computation
def one_field() -> Any:
    e, x = hr.theory.equivalence, normals(20_001)
    return (
        e.kappas("tanh", gain=0.7),
        e.kernel(np.linspace(-1.0, 1.0, 9), "relu"),
        e.excess_kurtosis(x),
        e.skewness(x),
        e.kolmogorov_distance(x),
        e.stein_kernel(np.linspace(-2.0, 2.0, 9), "tanh"),
    )


@computation
def maximum_mean_discrepancy() -> Any:
    return hr.theory.equivalence.mmd2(normals(1500, 5))


@computation
def conditions_of_equivalence() -> Any:
    F = normals(1000, 123)
    F /= np.sqrt(np.sum(F**2, axis=1, keepdims=True))
    return hr.theory.equivalence.conditions(F, normals(1, 1000), f="erf", teacher=normals(1, 123))


@computation
def crude_bound() -> Any:
    return hr.theory.equivalence.crude_bound(normals(700, 350) / 350**0.5, normals(2, 700), "erf")


@computation
def stein_bound() -> Any:
    return hr.theory.equivalence.stein_bound(
        manifold("erf"), normals(2, 301), teacher=normals(1, 97), n_samples=100
    )


@computation
def measured_equivalence() -> Any:
    return hr.theory.equivalence.test_gaussian_equivalence(
        hr.HiddenManifold(301, 97, f="sign"),
        normals(2, 301),
        teacher=normals(1, 97),
        n_samples=12_000,
        mmd_samples=700,
    )


@computation
def rates_of_equivalence() -> Any:
    return hr.theory.equivalence.rates([300], n_samples=6000, draws=2, bound_samples=100)


@computation
def diagnosis() -> Any:
    return hr.theory.equivalence.diagnose(
        random_features(),
        loss="logistic",
        alpha=2.0,
        lam=0.1,
        nu=normals(20_001),
        v=normals(500, 203),
        w=normals(20_001),
        latents=50,
        n_samples=100,
        p=50,
    )


# -- experiments -----------------------------------------------------------------------------------------


@computation
def experiments_on_compression() -> Any:
    e = hr.experiments.compression
    data = hr.Stripe(3)
    options = {"h": 64, "max_steps": 300}
    return (
        e.compression_scaling(3, sizes=(32, 64), seeds=2, h=64),
        e.neuron_trajectories(data, 64, [0.0, 1.0], h=64),
        e.fit_exponent([1.0, 2.0, 4.0], np.abs(normals(3, 5)), resamples=50),
        e.compression_curve(data, 64, **options),
    )


@computation
def learning_curves_of_compression() -> Any:
    return hr.experiments.compression.learning_curves(
        hr.Stripe(3), sizes=(32, 150), seeds=2, h=64, max_steps=400, test_size=2000
    )


@computation
def evolution_of_kernels() -> Any:
    e = hr.experiments.compression
    return (
        e.kernel_evolution(hr.Stripe(3), 150, seeds=2, h=64, fractions=(0.1,), max_steps=300, test_size=500),
        e.circle_kernel(64, points=40, h=64, max_steps=200),
        e.single_neurons(hr.Stripe(3), 150, [0.0, 20.0, 60.0], h=64, draws=3, neurons=20),
    )


@computation
def learning_curves_of_images() -> Any:
    pytest.importorskip("jax")
    return hr.experiments.compression.image_learning_curves(
        *hr.cnn.digits(), sizes=(16,), seeds=1, h=1, test=32, max_steps=2
    )


@computation
def increasing_complexity_on_images() -> Any:
    return hr.experiments.increasing_complexity.increasing_complexity(K=(1, 2), t_max=2.0, save_at=[0.0, 2.0])


@computation
def independent_students() -> Any:
    run = hr.experiments.independent_students.independent_students
    options = {"N": 128, "t_max": 2.0, "test_size": 300, "save_at": [0.0, 2.0]}
    return [
        run("latent", mix=True, **options),
        run("iid", **options),
        run("trained", teacher_time=1.0, **options),
        run("input", samples=None, **options),
        run("images", random_labels=True, t_max=1.0, save_at=[0.0, 1.0]),
    ]


@computation
def memorisation() -> Any:
    e = hr.experiments.memorisation
    task = e.teacher_task("latent", N=64, M=64, classes=3, train_per_class=40, test_per_class=20)
    images = e.image_task()
    return (
        e.memorisation(task, K=32, epochs=2, seeds=[0, 1]),
        task.n_classes,
        images,
        e.overlap_beyond_chance([[True, False, True], [True, True, False]]),
    )


@computation
def ensembles_beside_theory() -> Any:
    def make(seed: int) -> Any:
        return simulation.__wrapped__(seed=seed).run(1.0, save_at=[0.0, 0.5, 1.0])

    runs = hr.ensemble(make, seeds=2)
    theory = hr.theory.HiddenManifoldODE.from_simulation(simulation()).solve(runs.t.values)
    return runs, hr.compare(runs, theory)


@computation
def images() -> Any:
    from hmm_rs.data.images import digits, normalise

    found = digits()
    return (
        found.parity,
        found.labels([1, 2]),
        found.of_classes([3]),
        found.split(100, seed=1),
        [normalise(found.X, how) for how in ("global", "image", "half")],
    )


@computation
def idx_files() -> Any:
    from hmm_rs.data.images import load_idx, read_idx

    pictures = (np.arange(5 * 4 * 4) % 251).astype(np.uint8).reshape(5, 4, 4)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, "images"), Path(folder, "labels")]
        paths[0].write_bytes(bytes([0, 0, 8, 3, 0, 0, 0, 5, 0, 0, 0, 4, 0, 0, 0, 4]) + pictures.tobytes())
        paths[1].write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 5]) + bytes(range(5)))
        return read_idx(paths[0]), load_idx(*paths), hr.cnn.load_idx(paths[0]) if find_spec("jax") else None


@computation
def convolutional_network() -> Any:
    pytest.importorskip("jax")
    cnn = hr.cnn
    sets = cnn.parity_sets(*cnn.digits(), train=60, kernel=60, test=60)
    network = cnn.CNN(1, 8, 8)
    flow = cnn.CNNFlow(network, *sets.train, X_test=sets.test[0], y_test=sets.test[1])
    run = of_run(flow, "theta", "events", "margins", max_steps=3)
    flow.advance(1)
    theta = network.initial(1)
    return run, flow.observe(), network.forward(theta, sets.kernel[0])


@computation
def kernel_of_a_convolutional_network() -> Any:
    pytest.importorskip("jax")
    network = hr.cnn.CNN(1, 8, 8)
    return network.kernel(network.initial(1), hr.cnn.digits()[0][:60])


# -- running them ----------------------------------------------------------------------------------------

#: Public names that compute nothing, by the beginning of their address: bookkeeping, errors, pictures of
#: results, strategies, and what another matrix holds.
NOTHING_TO_COMPUTE = (
    "hmm_rs.cite",
    "hmm_rs.figures.",
    "hmm_rs.generators.from_torch",
    "hmm_rs.get_num_threads",
    "hmm_rs.load",
    "hmm_rs.plot.",
    "hmm_rs.rerun",
    "hmm_rs.resume",
    "hmm_rs.set_num_threads",
    "hmm_rs.show_versions",
    "hmm_rs.testing.",
    "hmm_rs.to_frame",
)
#: Methods that every engine or model has and that compute nothing.
NOTHING_METHODS = {"memory_estimate", "settings", "source", "stop", "stopped", "trials"}

ROOT = Path(hr.__file__).parent


def main(answer: str, own: list[int]) -> None:
    """Run every computation on each number of our threads; write what came out, and what was called."""
    warnings.simplefilter("ignore")
    called: set[str] = set()

    def profile(frame: types.FrameType, event: str, _: Any) -> None:
        if event == "call":
            called.add(place(frame.f_code))

    results: dict[tuple[str, int], Any] = {}
    seconds: dict[str, float] = {}
    for number in own:
        hr.set_num_threads(number)
        for cache in (manifold, simulation, random_features):
            cache.cache_clear()
        for name, function in {**COMPUTATIONS, "control": control}.items():
            if number not in own_threads(name):
                continue
            begun = time.perf_counter()
            if number == min(own_threads(name)):
                sys.setprofile(profile)
            try:
                results[name, number] = function()
            except pytest.skip.Exception as skipped:
                results[name, number] = f"skipped: {skipped}"
            except Exception as error:
                results[name, number] = f"failed: {type(error).__name__}: {error}"
            finally:
                sys.setprofile(None)
            seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - begun
    with Path(answer).open("wb") as file:
        pickle.dump({"results": results, "called": called, "seconds": seconds}, file)


def control() -> Any:
    """What does change with BLAS's threads: without it the matrix would see nothing."""
    return normals(301, 203) @ normals(203, 517), np.linalg.eigh(gram(203, 400))


def place(code: types.CodeType) -> str:
    return f"{code.co_filename}:{code.co_firstlineno}"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Any]:
    """What the two processes found, by their number of BLAS threads."""
    folder = tmp_path_factory.mktemp("threads")
    started = {}
    for blas, own in ((1, OWN_THREADS), (2, (2,))):
        names = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
        environment = {**os.environ, "PYTHONPATH": str(ROOT.parent), **dict.fromkeys(names, str(blas))}
        command = [sys.executable, "-P", __file__, str(folder / f"{blas}"), *map(str, own)]
        started[blas] = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    found = {}
    for blas, process in started.items():
        _, errors = process.communicate()
        assert process.returncode == 0, errors[-3000:]
        found[blas] = pickle.loads((folder / f"{blas}").read_bytes())
    return found


def result(runs: dict[int, Any], name: str, own: int, blas: int = 1) -> Any:
    found = runs[blas]["results"][name, own]
    if isinstance(found, str):
        if found.startswith("skipped"):
            pytest.skip(found)
        raise AssertionError(found)
    return found


@pytest.mark.counted
@pytest.mark.parametrize("name", COMPUTATIONS)
def test_our_threads_change_no_bit(runs: dict[int, Any], tried: Any, name: str) -> None:
    first, *others = own_threads(name)
    reference = result(runs, name, first)
    for own in others:
        told = difference(reference, result(runs, name, own))
        assert not told, f"on {first} and {own} threads: {told}"
    tried("threads, results on another number of ours", len(others), {"differing": 0})


@pytest.mark.counted
@pytest.mark.parametrize("name", COMPUTATIONS)
def test_threads_of_blas_change_no_bit(runs: dict[int, Any], tried: Any, name: str) -> None:
    told = difference(result(runs, name, 2), result(runs, name, 2, blas=2))
    assert not told, f"with 1 and 2 threads of BLAS: {told}"
    tried("threads, results on another number of those of numpy", 1, {"differing": 0})


def test_the_matrix_can_see_a_blas_with_threads(runs: dict[int, Any]) -> None:
    if (os.cpu_count() or 1) < 2:
        pytest.skip("one core: BLAS has one thread")
    assert difference(result(runs, "control", 2), result(runs, "control", 2, blas=2))


def public_functions() -> dict[str, types.CodeType]:
    """Code of every public function, method and property of the package, by address."""
    found: dict[str, types.CodeType] = {}
    waiting: list[tuple[str, Any]] = [("hmm_rs", hr)]
    seen: set[int] = set()
    while waiting:
        address, thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, types.ModuleType):
            for name in getattr(thing, "__all__", ()):
                item = getattr(thing, name)
                if getattr(item, "__module__", getattr(item, "__name__", "")).split(".")[0] == "hmm_rs":
                    waiting.append((f"{address}.{name}", item))
        elif inspect.isclass(thing):
            for base in thing.__mro__:
                for name, member in vars(base).items():
                    if name.startswith("_") or not base.__module__.startswith("hmm_rs"):
                        continue
                    member = inspect.getattr_static(thing, name)
                    if isinstance(member, property):
                        member = member.fget
                    if isinstance(member, functools.cached_property):
                        member = member.func
                    waiting.append((f"{address}.{name}", member))
        else:
            function = inspect.unwrap(getattr(thing, "__func__", thing))
            if inspect.isfunction(function):
                found[address] = function.__code__
    return found


def test_every_public_function_is_in_the_matrix(runs: dict[int, Any]) -> None:
    called = runs[1]["called"]
    missing = sorted(
        address
        for address, code in public_functions().items()
        if place(code) not in called
        and not f"{address}.".startswith(tuple(f"{name.rstrip('.')}." for name in NOTHING_TO_COMPUTE))
        and address.rsplit(".", 1)[-1] not in NOTHING_METHODS
    )
    assert not missing, f"add a computation that calls them: {missing}"


if __name__ == "__main__":
    main(sys.argv[1], [int(n) for n in sys.argv[2:]])
