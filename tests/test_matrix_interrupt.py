"""Ctrl-C ends every long call within .2 s, calls of libraries inside it included.

The calls here would take from one second to hours. Sizes are such that a single tile, batch or decomposition
takes longer than what is allowed, so that a loop that looks too seldom is seen.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import hmm_rs as hr
from hmm_rs.testing import assert_interruptible

replica = hr.theory.replica

Call = Callable[[], Any]
#: Each makes its problem and returns the long call.
LONG: dict[str, Callable[[], Call]] = {}


def long(make: Callable[[], Call]) -> Callable[[], Call]:
    LONG[make.__name__] = make
    return make


#: A machine that builds or tests something else meanwhile delays many answers in a row.
ATTEMPTS = 6


def normals(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def signs(n: int) -> np.ndarray:
    return np.where(normals(n, seed=1) < 0.0, -1.0, 1.0)


def wide(h: int, d: int, **options: Any) -> hr.MeanFieldNetwork:
    return hr.MeanFieldNetwork.random(h, d, std_b=1.0, activation="relu", **options)


# -- data ----------------------------------------------------------------------------------------------


@long
def orthogonal_rows() -> Call:
    return lambda: hr.HiddenManifold(6000, 2500, F="orthogonal").source()


@long
def gaussian_rows() -> Call:
    return lambda: hr.HiddenManifold(40_000, 6000).source()


@long
def cosine_rows() -> Call:
    return lambda: hr.HiddenManifold(2**14, 2**13, F="dct").F


@long
def samples() -> Call:
    model = hr.HiddenManifold(4096, 2048)
    return lambda: model.sample(100_000)


@long
def samples_of_a_transform() -> Call:
    model = hr.HiddenManifold(8192, 2048, F="hadamard")
    return lambda: model.sample(50_000)


@long
def exact_covariances() -> Call:
    model = hr.HiddenManifold(6000, 2000, f="erf")
    return lambda: model.covariances(method="exact")


@long
def two_layer() -> Call:
    return lambda: hr.TwoLayer.random(1000, 150_000)


@long
def mean_field() -> Call:
    return lambda: hr.MeanFieldNetwork.random(100_000, 2000, dtype="float32")


@long
def random_layers() -> Call:
    return lambda: hr.generators.random_layers([1000, 100_000], "sign")


@long
def estimated_covariances() -> Call:
    return lambda: hr.generators.estimate_covariances(hr.TeacherStudent(500), 10**8)


@long
def estimated_covariances_of_wide_layers() -> Call:
    model = hr.generators.random_layers([100, 2000, 3000], "erf")
    return lambda: hr.generators.estimate_covariances(model, 10**6)


@long
def labelled() -> Call:
    return lambda: hr.Stripe(20).sample(5_000_000)


# -- kernels and measures ------------------------------------------------------------------------------


@long
def infinite_kernel() -> Call:
    X, _ = hr.Stripe(10).sample(8000)
    return lambda: hr.kernels.ntk(X)


@long
def laplace_kernel() -> Call:
    X, _ = hr.Stripe(10).sample(12_000)
    return lambda: hr.kernels.laplace(X, scale=1.0)


@pytest.mark.parametrize("block", [64, 5000])
def test_the_kernel_of_a_network_in_any_blocks(block: int) -> None:
    network = wide(30_000, 50, seed=1)
    assert_interruptible(
        lambda: hr.kernels.network_ntk(network, normals(6000, 50), block=block), attempts=ATTEMPTS
    )


@long
def label_projections() -> Call:
    X, y = hr.Stripe(10).sample(2500)
    kernel = hr.kernels.ntk(X)
    return lambda: hr.kernels.label_projections(kernel, y)


@long
def intrinsic_dimension() -> Call:
    X, _ = hr.Stripe(10).sample(8000)
    kernel = hr.kernels.ntk(X)
    return lambda: [hr.kernels.intrinsic_dimension(kernel) for _ in range(4)]


@long
def mutual_information() -> Call:
    phi, y = normals(50_000, 12), np.tile([1.0, -1.0], 25_000)
    return lambda: hr.kernels.mutual_information(phi, y)


# -- dynamics ------------------------------------------------------------------------------------------


@long
def online_sgd() -> Call:
    model, teacher = hr.HiddenManifold(10_000, 100), hr.TwoLayer.random(2, 100)
    engine = hr.OnlineSGD(model, teacher, student=hr.TwoLayer.random(2, 10_000), lr=0.2, test_size=100)
    return lambda: engine.advance(10**7)


@long
def online_sgd_in_batches() -> Call:
    model, teacher = hr.HiddenManifold(2000, 100), hr.TwoLayer.random(2, 100)
    student = hr.TwoLayer.random(50, 2000)
    engine = hr.OnlineSGD(model, teacher, student=student, lr=0.2, batch=1000, test_size=100)
    return lambda: engine.advance(10**6)


@long
def particles() -> Call:
    X, y = hr.LinearlySeparable(100).sample(4000)
    engine = hr.Particles(hr.MeanFieldNetwork.random(200_000, 100, dtype="float32"), X, y, dtype="float32")
    return lambda: engine.advance(1000)


@long
def gradient_flow() -> Call:
    X, y = hr.Stripe(10).sample(8000)
    engine = hr.GradientFlow(wide(8000, 10), X, y)
    return lambda: engine.advance(10_000)


@long
def kernel_flow() -> Call:
    X, y = hr.Stripe(10).sample(2000)
    engine = hr.KernelFlow(hr.kernels.ntk(X), y)
    return lambda: engine.advance(10**6)


@pytest.mark.parametrize("loss", ["ridge", "logistic", "hinge"])
def test_a_full_batch_fit(loss: str) -> None:
    engine = hr.FullBatch(normals(4000, 2500), signs(4000), loss=loss, lam=0.01)
    assert_interruptible(engine.fit, attempts=ATTEMPTS)


# -- theory --------------------------------------------------------------------------------------------


@long
def spectrum() -> Call:
    A = normals(2000, 2000)
    A = A @ A.T / 2000
    return lambda: replica.Spectrum.from_matrices(A, A, 0.1 * A, np.ones(2000))


@long
def learning_curve() -> Call:
    p = 20_000
    bulk = replica.Spectrum(np.arange(1, p + 1) ** -0.7, np.full(p, 1 / p), np.full(p, 1e-4), 1e4)
    return lambda: replica.learning_curve(bulk, np.geomspace(0.1, 10, 3000), loss="logistic", lam=0.01)


@long
def online_equations_of_relu() -> Call:
    overlaps = {"T": np.eye(32), "v0": np.ones(32), "v_teacher": np.ones(32), "lr": 0.1}
    solver = hr.theory.SaadSolla(np.eye(32), 0.1 * np.eye(32), **overlaps, activation="relu")
    return lambda: solver.solve([100.0])


@long
def stiff_equations() -> Call:
    overlaps = {"T": np.eye(100), "v0": np.ones(100), "v_teacher": np.ones(100), "lr": 0.1}
    solver = hr.theory.SaadSolla(np.eye(100), 0.1 * np.eye(100), **overlaps)
    return lambda: solver.solve([1000.0], method="stiff")


@long
def generalisation_errors() -> Call:
    Q, R = np.tile(np.eye(2), (10**5, 1, 1)), np.zeros((10**5, 2, 2))
    return lambda: hr.theory.generalisation_error(Q, R, np.eye(2), [1, 1], [1, 1], activation="tanh")


@long
def gaussian_integrals() -> Call:
    covariances = np.broadcast_to(0.5 + 0.5 * np.eye(4), (10**6, 4, 4))
    return lambda: hr.theory.i4(covariances, "relu")


@long
def mean_field_of_a_finite_step() -> Call:
    theory = hr.theory.HingeMeanField(50, alpha=2.0)
    return lambda: theory.gd(10**8)


@long
def discrepancies() -> Call:
    X = normals(30_000, 50)
    return lambda: hr.theory.equivalence.mmd2(X)


@long
def conditions_of_equivalence() -> Call:
    F = normals(8000, 1500)
    return lambda: hr.theory.equivalence.conditions(F, normals(1, 8000), f="erf", teacher=normals(1, 1500))


@long
def message_passing() -> Call:
    X, y = normals(4000, 2500), signs(4000)
    return lambda: hr.amp(X, y, prior=np.ones(2500))


@long
def fluctuations() -> Call:
    overlaps = {"T": np.eye(6), "v0": np.ones(6), "v_teacher": np.ones(6), "lr": 0.1, "N": 1000}
    solver = hr.theory.SaadSolla(np.eye(6), 0.1 * np.eye(6), **overlaps, activation="erf")
    return lambda: solver.solve(np.linspace(0.0, 1000.0, 200), fluctuations=True)


@long
def covariance_equations() -> Call:
    options = {"w": normals(3, 1500), "v": np.ones(3), "v_teacher": np.ones(2), "lr": 0.2}
    A = normals(1500, 1500)
    omega, phi = A @ A.T / 1500, normals(1500, 100) / 30.0
    return lambda: hr.theory.CovarianceODE(omega, phi, w_teacher=normals(2, 100), **options).solve([1000.0])


@pytest.mark.parametrize("name", LONG)
def test_ctrl_c_ends_it(name: str) -> None:
    assert_interruptible(LONG[name](), attempts=ATTEMPTS)


# -- every part of a step --------------------------------------------------------------------------------


def a_particle_step() -> Call:
    X, y = hr.LinearlySeparable(100).sample(4000)
    engine = hr.Particles(hr.MeanFieldNetwork.random(40_000, 100, dtype="float32"), X, y, dtype="float32")
    return lambda: engine.advance(1)


def a_flow_step() -> Call:
    X, y = hr.Stripe(10).sample(8000)
    engine = hr.GradientFlow(wide(6000, 10), X, y)
    return lambda: engine.advance(1)


def a_batch() -> Call:
    model, teacher = hr.HiddenManifold(4000, 400), hr.TwoLayer.random(2, 400)
    student = hr.TwoLayer.random(40, 4000)
    engine = hr.OnlineSGD(model, teacher, student=student, lr=0.2, batch=4000, test_size=100)
    return lambda: engine.advance(1)


@pytest.mark.parametrize("part", [0.2, 0.4, 0.6, 0.8])
@pytest.mark.parametrize("make", [a_particle_step, a_flow_step, a_batch])
def test_ctrl_c_is_heard_in_every_part_of_a_step(make: Callable[[], Call], part: float) -> None:
    """The way there, the way back and the update: the signal comes after a share of the step's own time."""
    step = make()
    step()
    begun = time.perf_counter()
    step()
    assert_interruptible(step, after=part * (time.perf_counter() - begun), attempts=ATTEMPTS)
