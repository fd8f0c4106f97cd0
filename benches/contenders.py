"""The contenders: the package's calls, and rivals that are one call; each sets up, then gives seconds of a unit."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from rivals.online_sgd import Data, Problem

import hmm_rs as hr

Measure = Callable[[], float]


def seconds(call: Callable[[], object], calls: int = 1, units: float = 1.0) -> float:
    """Return seconds of a unit of the fastest of some calls."""
    best = math.inf
    for _ in range(calls):
        started = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - started)
    return best / units


def _run(problem: Problem, features: Any, test_size: int = 1000) -> hr.OnlineSGD:
    return hr.OnlineSGD(
        hr.HiddenManifold(problem.N, problem.D, F=features),
        hr.TwoLayer.random(problem.M, problem.D),
        student=hr.TwoLayer.random(problem.K, problem.N, seed=1),
        lr=problem.lr,
        batch=problem.batch,
        dtype=problem.dtype,
        test_size=test_size,
    )


def online_sgd(
    problem: Problem, samples: int, threads: int, quick: bool, features: Any = "gaussian"
) -> Measure:
    """A run that has been going on for a while."""
    run = _run(problem, features)
    steps = (samples // 4 if quick else samples) // problem.batch
    return lambda: seconds(lambda: run.advance(steps, threads=threads), units=steps * problem.batch)


def short_run(problem: Problem, steps: int, threads: int, quick: bool) -> Measure:
    """Whole runs of few steps, the making of the run not counted."""

    def measure() -> float:
        found = []
        for _ in range(2 if quick else 10):
            run = _run(problem, "gaussian", 100)
            found.append(seconds(lambda run=run: run.advance(steps, threads=threads), units=steps))
        return min(found)

    return measure


def hadamard_data(N: int, D: int, dtype: str, threads: int, quick: bool) -> Measure:
    model, P = hr.HiddenManifold(N, D, F="hadamard"), 1000 if quick else 4000
    return lambda: seconds(lambda: model.sample(P, dtype=dtype, threads=threads), 2, P)


def rival_dct(N: int, D: int, dtype: str, threads: int, quick: bool) -> Measure:
    P = 500 if quick else 2000
    data = Data(Problem(N, D, 1, dtype=dtype, transform=True), P, threads)
    return lambda: seconds(data.block, 2, P)


def large_result(rows: int, columns: int, threads: int, quick: bool) -> Measure:
    model = hr.HiddenManifold(columns, 1)
    return lambda: seconds(lambda: model.sample(rows, threads=threads), 1 if quick else 3)


def fresh_fill(rows: int, columns: int, threads: int, quick: bool) -> Measure:
    del threads
    return lambda: seconds(lambda: np.full((rows, columns), 1.0), 1 if quick else 3)


def numpy_normals(dtype: str, threads: int, quick: bool) -> Measure:
    del threads
    rng, out, rounds = np.random.default_rng(0), np.empty(4096, dtype), 500 if quick else 5000

    def fill() -> None:
        for _ in range(rounds):
            rng.standard_normal(dtype=out.dtype, out=out)

    return lambda: seconds(fill, units=rounds * out.size)


def _layer(p: int, h: int, d: int, dtype: str) -> tuple[hr.MeanFieldNetwork, Any, Any]:
    X, y = hr.Stripe(d).sample(p)
    return hr.MeanFieldNetwork.random(h, d, std_b=1.0, activation="sqrt2_relu", dtype=dtype), X, y


def gradient(p: int, h: int, d: int, dtype: str, threads: int, quick: bool) -> Measure:
    """Outputs and gradient of the hinge loss."""
    flow = hr.GradientFlow(*_layer(p, h, d, dtype))
    engine = flow._engine
    return lambda: seconds(lambda: engine.query("evaluate", threads=threads), 3 if quick else 10)


def rival_gradient(name: str, p: int, h: int, d: int, dtype: str, threads: int, quick: bool) -> Measure:
    del threads
    from rivals import compression

    network, X, y = _layer(p, h, d, dtype)
    evaluate = getattr(compression, name)(network.w, network.b, network.a, X, y, dtype)
    return lambda: seconds(evaluate, 1 if quick else 3)


def network_kernel(P: int, h: int, d: int, threads: int, quick: bool) -> Measure:
    del quick
    network, X, _ = _layer(P, h, d, "float64")
    return lambda: seconds(lambda: hr.kernels.network_ntk(network, X, threads=threads))


def rival_kernel(P: int, h: int, d: int, threads: int, quick: bool) -> Measure:
    del threads, quick
    from rivals.compression import network_ntk

    network, X, _ = _layer(P, h, d, "float64")
    return lambda: seconds(lambda: network_ntk(network.w, network.b, network.a, X))


def _particles(M: int, P: int, d: int) -> tuple[hr.MeanFieldNetwork, Any, Any]:
    X, y = hr.LinearlySeparable(d).sample(P, seed=1)
    return hr.MeanFieldNetwork.random(M, d, seed=1, dtype="float32"), X, y


def particle_step(M: int, P: int, d: int, threads: int, quick: bool, late: bool = False) -> Measure:
    """One step from the start, or from where training itself has thinned out the examples that pull."""
    run = hr.Particles(*_particles(M, P, d), beta=2.5, dtype="float32", test_size=100)
    while late and run.observe()["unsatisfied"] > 0.05:
        run.advance(10)
    state = run._state()

    def measure() -> float:
        found = []
        for _ in range(1 if quick else 3):
            run._restore(state)
            found.append(seconds(lambda: run.advance(1, threads=threads)))
        return min(found)

    return measure


def rival_particles(name: str, M: int, P: int, d: int, threads: int, quick: bool) -> Measure:
    del threads
    from rivals.particles import RIVALS

    network, X, y = _particles(M, P, d)
    step = RIVALS[name](network.a, network.w, X.astype(np.float32), y.astype(np.float32), 2.5)
    return lambda: seconds(step, 1 if quick else 3)


def _spectrum(p: int = 1000) -> Any:
    """Power-law covariance with a teacher that does not commute with it."""
    rng = np.random.default_rng(0)
    omega = np.arange(1, p + 1) ** -0.7
    omega /= omega.mean()
    t = rng.standard_normal(p) ** 2 * omega**1.5
    t *= 0.7 / (t / omega).sum()
    return hr.theory.replica.Spectrum(omega, np.full(p, 1 / p), t, 1.0)


_ALPHAS = np.geomspace(0.2, 8.0, 20)


def replica_curve(loss: str, threads: int, quick: bool) -> Measure:
    """The solver itself, without the table that is made of its answer."""
    spectrum = _spectrum()
    settings = {"loss": loss, "lam": 0.05, "flip": 0.0, "noise": 0.0, "tol": 1e-10, "max_iterations": 20000}
    curve = hr._lib.replica_curve
    return lambda: seconds(lambda: curve(spectrum, _ALPHAS, settings, threads), 5 if quick else 20)


def rival_curve(loss: str, threads: int, quick: bool) -> Measure:
    del threads, quick
    from rivals import replica

    spectrum = _spectrum()
    atoms = (spectrum.omega, spectrum.weight, spectrum.t, spectrum.rho)
    if loss == "ridge":
        return lambda: seconds(lambda: replica.ridge_curve(*atoms, _ALPHAS, 0.05))
    return lambda: seconds(lambda: replica.curve(*atoms, loss, _ALPHAS, 0.05))


def _equations(K: int, M: int, delta: float) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    rho, weights = hr.theory.marchenko_pastur(delta, 30)
    W0 = np.eye(K) + 0.01
    return {
        "rho": rho,
        "weights": weights,
        "sigma0": rho[:, None, None] * W0,
        "r0": np.sqrt(rho)[:, None, None] * 0.05 * rng.standard_normal((K, M)),
        "W0": W0,
        "v0": np.ones(K),
        "v_teacher": np.ones(M),
        "delta": delta,
        "lr": 0.2,
    }


def _our_equations(K: int, M: int, delta: float) -> Any:
    arrays = _equations(K, M, delta)
    t_modes = np.broadcast_to(np.eye(M), (arrays["rho"].size, M, M))
    return hr.theory.HiddenManifoldODE(**arrays, t_modes=t_modes, f="sign")


def _rival_equations(K: int, M: int, delta: float) -> Any:
    from rivals.online_theory import HiddenManifold

    arrays = _equations(K, M, delta)
    t = np.broadcast_to(np.eye(M), (arrays["rho"].size, M, M))
    return HiddenManifold(**arrays, t=t, moments=hr.theory.gaussian_moments("sign"))


def velocity(K: int, M: int, threads: int, quick: bool) -> Measure:
    del threads
    equations, count = _our_equations(K, M, 0.1)._equations, 500 if quick else 2000
    return lambda: seconds(lambda: equations.velocity(count), 3, count)


def rival_velocity(K: int, M: int, threads: int, quick: bool) -> Measure:
    del threads, quick
    rival = _rival_equations(K, M, 0.1)
    start = rival.initial()
    return lambda: seconds(lambda: rival.velocity(0.0, start), 20)


def _times(end: float) -> Any:
    return np.concatenate([[0.0], np.geomspace(0.1, end, 40)])


def solve(K: int, M: int, delta: float, end: float, threads: int, quick: bool) -> Measure:
    del threads
    equations, times = _our_equations(K, M, delta), _times(end)
    return lambda: seconds(lambda: equations.solve(times), 1 if quick else 2)


def rival_solve(K: int, M: int, delta: float, end: float, method: str, threads: int, quick: bool) -> Measure:
    del threads, quick
    rival, times = _rival_equations(K, M, delta), _times(end)
    return lambda: seconds(lambda: rival.solve(times, method=method))


def _examples(n: int = 2000, p: int = 1000) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    omega = np.arange(1, p + 1) ** -0.7
    v = rng.standard_normal((n, p)) * np.sqrt(omega / omega.mean())
    y = np.sign(v @ rng.standard_normal(p) + 10 * rng.standard_normal(n))
    # A random basis: a diagonal preconditioner must not see the eigenvectors.
    rotation, _ = np.linalg.qr(rng.standard_normal((p, p)))
    return np.ascontiguousarray(v @ rotation) / np.sqrt(p), y


def full_batch(loss: str, threads: int, quick: bool) -> Measure:
    del quick
    fit = hr.FullBatch(*_examples(), loss=loss, lam=0.1)
    return lambda: seconds(lambda: fit.fit(threads=threads, tol=1e-9))


def rival_full_batch(loss: str, threads: int, quick: bool) -> Measure:
    """scikit-learn with a tolerance of 1e-8: its objective ends some 1e-9 above the minimum."""
    del threads, quick
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import LinearSVC

    warnings.simplefilter("ignore")
    options = {"C": 10.0, "fit_intercept": False, "tol": 1e-8, "max_iter": 20_000}
    model = LogisticRegression(**options) if loss == "logistic" else LinearSVC(loss="hinge", **options)
    X, y = _examples()
    return lambda: seconds(lambda: model.fit(X, y))
