"""Message passing against the theory it follows, the posterior it approximates, and its own promises."""

import math
import signal
import threading
import time

import numpy as np
import pytest
import xarray as xr
from scipy import integrate
from scipy.special import expit, ndtr

import hmm_rs as hr
from hmm_rs.dynamics.targets import Channel
from hmm_rs.errors import ConvergenceError, InvalidParameterError, ShapeError
from hmm_rs.theory import replica

SPECTRUM = replica.Spectrum([2.0, 1.0, 0.25], [0.25, 0.5, 0.25], [0.6, 0.3, 0.05], 1.3)
UNSEEN = math.sqrt(SPECTRUM.rho - SPECTRUM.rho_lin)


def drawn(p, alpha, teacher, rng, *, flip=0.0, noise=0.0, spectrum=SPECTRUM):
    """One teacher of the prior with samples: X, y and what amp is told."""
    counts = np.rint(p * spectrum.weight).astype(int)
    omega = np.repeat(spectrum.omega, counts)
    prior = np.repeat(spectrum.t / spectrum.omega**2 / spectrum.weight, counts)
    n = round(alpha * p)
    w = rng.standard_normal(p) * np.sqrt(prior)
    X = rng.standard_normal((n, p)) * np.sqrt(omega / p)
    spread = math.sqrt(spectrum.rho - spectrum.rho_lin + noise**2)
    field = X @ w + spread * rng.standard_normal(n)
    if teacher == "linear":
        y = field
    else:
        y = np.sign(field) if teacher == "sign" else np.where(rng.random(n) < expit(field), 1.0, -1.0)
        y = np.where(rng.random(n) < flip, -y, y)
    return X, y, {"prior": prior, "teacher": teacher, "flip": flip, "noise": spread, "w_teacher": w}


CASES = [("sign", 0.0, 0.0), ("sign", 0.1, 0.3), ("linear", 0.0, 0.4), ("logit", 0.05, 0.0)]


def within(p, seeds, errors, teacher, flip, noise):
    """Compare the error at the end with the optimum, by the standard error over seeds."""
    name = "test_mse" if teacher == "linear" else "test_error"
    for alpha in (0.7, 2.5):
        found = []
        for seed in range(seeds):
            rng = np.random.default_rng([7, seed, round(10 * alpha)])
            X, y, known = drawn(p, alpha, teacher, rng, flip=flip, noise=noise)
            run = hr.amp(X, y, **known)
            assert run.attrs["converged"] == 1
            found.append(float(run[name][-1]))
        best = replica.bayes_optimal(SPECTRUM, alpha=alpha, teacher=teacher, flip=flip, noise=noise)[name]
        error = np.std(found, ddof=1) / math.sqrt(seeds)
        assert abs(np.mean(found) - best) < errors * error, (alpha, np.mean(found), best, error)
        # The error bar is small enough for that to mean something.
        assert error < 0.03 * best


@pytest.mark.parametrize(("teacher", "flip", "noise"), CASES)
def test_the_end_is_the_optimum(teacher, flip, noise):
    within(400, 10, 3, teacher, flip, noise)


@pytest.mark.slow
@pytest.mark.parametrize(("teacher", "flip", "noise"), CASES)
def test_the_end_is_the_optimum_at_full_size(teacher, flip, noise):
    within(2000, 12, 2, teacher, flip, noise)


@pytest.mark.parametrize("teacher", ["sign", "linear", "logit"])
def test_iterations_follow_the_state_evolution(teacher):
    paths = []
    for seed in range(6):
        X, y, known = drawn(800, 1.5, teacher, np.random.default_rng([3, seed]))
        run = hr.amp(X, y, damping=0.0, **known)
        paths.append(np.stack([run.q.values[:8], run.m.values[:8], run.V.values[:8]]))
    theory = replica.state_evolution(SPECTRUM, alpha=1.5, steps=7, teacher=teacher)
    measured, spread = np.mean(paths, axis=0), np.std(paths, axis=0, ddof=1) / math.sqrt(6)
    for values, error, expected in zip(measured, spread, (theory.q, theory.m, theory.V), strict=True):
        # Four standard errors, and 1/p of finite size.
        assert (np.abs(values - expected.values) <= 4 * error + 2e-3).all(), (values, expected.values)


def test_the_algorithm_knows_its_own_error():
    X, y, known = drawn(1500, 2.0, "sign", np.random.default_rng(0), flip=0.05)
    true = hr.amp(X, y, **known)
    del known["w_teacher"]
    expected = hr.amp(X, y, **known)
    assert "m" not in expected
    # The teacher does not enter the algorithm.
    assert np.array_equal(true.w, expected.w)
    assert float(expected.test_error[-1]) == pytest.approx(float(true.test_error[-1]), abs=0.01)


def test_real_targets_have_the_exact_posterior():
    # Gaussian prior and noise: the posterior mean is a ridge regression.
    X, y, known = drawn(600, 1.5, "linear", np.random.default_rng(1), noise=0.3)
    run = hr.amp(X, y, **known)
    prior, noise = known["prior"], known["noise"]
    exact = np.linalg.solve(X.T @ X / noise**2 + np.diag(1 / prior), X.T @ y / noise**2)
    gap = np.linalg.norm(run.w - exact) / np.linalg.norm(exact)
    # Message passing replaces each squared entry of X by its mean: of relative order 1/sqrt p = 0.04.
    assert gap < 0.05
    variance = np.diag(np.linalg.inv(X.T @ X / noise**2 + np.diag(1 / prior)))
    assert run.w_variance.values == pytest.approx(variance, rel=0.15)


@pytest.mark.parametrize(
    ("teacher", "flip"), [("sign", 0.0), ("sign", 0.1), ("linear", 0.0), ("logit", 0.0), ("logit", 0.2)]
)
@pytest.mark.parametrize("V", [0.01, 0.7, 30.0])
def test_scores_are_slopes_of_the_log_probability(teacher, flip, V):
    noise = 0.2
    channel = Channel(teacher, flip, noise**2)
    total = V + noise**2

    def log_probability(y, w):
        if teacher == "linear":
            return -((y - w) ** 2) / (2 * total)
        if teacher == "sign":
            clean = ndtr(y * w / math.sqrt(total))
        else:
            clean = integrate.quad(
                lambda u: math.exp(-u * u / 2) * expit(y * w + math.sqrt(total) * u), -9, 9, epsabs=1e-13
            )[0] / math.sqrt(2 * math.pi)
        return math.log(flip + (1 - 2 * flip) * clean)

    step = 3e-4 * math.sqrt(total)
    for y in (1.0, -1.0):
        for w in (-1.3, 0.0, 2.1):
            low, middle, high = (log_probability(y, w + k * step) for k in (-1, 0, 1))
            slope, curvature = channel.score(np.array([y]), np.array([w]), V)
            # Differences: step^2 of the next derivatives, and rounding over step^2.
            scale = 1 / total
            assert slope[0] == pytest.approx((high - low) / (2 * step), rel=1e-5, abs=1e-6 * math.sqrt(scale))
            assert curvature[0] == pytest.approx(
                -(high - 2 * middle + low) / step**2, rel=1e-4, abs=1e-4 * scale
            )


@pytest.mark.parametrize("teacher", ["sign", "linear", "logit"])
@pytest.mark.parametrize(("m", "q", "rho"), [(0.3, 0.4, 0.9), (1e-3, 2.0, 1.0), (50.0, 60.0, 70.0)])
def test_errors_are_those_of_two_gaussian_fields(teacher, m, q, rho):
    rng = np.random.default_rng(0)
    noise, flip = 0.5, 0.0 if teacher == "linear" else 0.1
    count = 400_000
    guess = math.sqrt(q) * rng.standard_normal(count)
    field = m / q * guess + math.sqrt(rho - m * m / q + noise**2) * rng.standard_normal(count)
    found = Channel(teacher, flip, noise**2).error(m, q, rho)
    if teacher == "linear":
        assert found["test_mse"] == pytest.approx(np.mean((field - guess) ** 2), rel=0.02)
        return
    wrong = field * guess < 0 if teacher == "sign" else rng.random(count) < expit(-field * np.sign(guess))
    sampled = flip + (1 - 2 * flip) * np.mean(wrong)
    # Four standard errors of a share.
    assert found["test_error"] == pytest.approx(sampled, abs=4 * 0.5 / math.sqrt(count))


def test_bits_do_not_depend_on_threads():
    X, y, known = drawn(300, 2.0, "sign", np.random.default_rng(2))
    runs = [hr.amp(X, y, threads=threads, **known) for threads in (1, 2, 3, 7)]
    for run in runs[1:]:
        xr.testing.assert_identical(run, runs[0])


def test_units_of_features_and_teacher():
    X, y, known = drawn(200, 2.0, "sign", np.random.default_rng(4))
    plain = hr.amp(X, y, **known)
    known["prior"] = known["prior"] / 64
    known["w_teacher"] = known["w_teacher"] / 8
    scaled = hr.amp(8 * X, y, **known)
    # Powers of two change no bit of a product.
    assert scaled.w.values * 8 == pytest.approx(plain.w.values, rel=1e-12)
    assert scaled.test_error.values == pytest.approx(plain.test_error.values, rel=1e-12)


def test_weights_that_cannot_be_are_zero():
    X, y, known = drawn(200, 2.0, "sign", np.random.default_rng(5))
    known["prior"] = np.where(np.arange(200) < 50, 0.0, known["prior"])
    run = hr.amp(X, y, **known)
    assert (run.w[:50] == 0).all()
    assert (run.w_variance[:50] == 0).all()
    assert (run.w[50:] != 0).all()


def test_what_does_not_settle_says_so():
    # One direction shared by all features: the columns are far from independent.
    rng = np.random.default_rng(6)
    X = (rng.standard_normal((400, 1)) + 0.3 * rng.standard_normal((400, 200))) / math.sqrt(200)
    y = np.sign(X @ rng.standard_normal(200))
    with pytest.raises(ConvergenceError, match="features are independent") as caught:
        hr.amp(X, y, prior=1.0, damping=0.0, max_iterations=50)
    assert caught.value.result.attrs["converged"] == 0
    flagged = hr.amp(X, y, prior=1.0, damping=0.0, max_iterations=50, on_failure="flag")
    assert flagged.attrs["converged"] == 0
    assert flagged.attrs["iterations"] <= 50
    assert (flagged.change.values[1:] > 1e-8).all() or np.isnan(flagged.change.values[-1])


def test_a_run_can_be_interrupted_and_shows_a_bar(capsys):
    X, y, known = drawn(300, 2.0, "sign", np.random.default_rng(7))
    timer = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
    timer.start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        hr.amp(X, y, tol=1e-300, max_iterations=10**9, progress="always", **known)
    # An iteration takes a millisecond.
    assert time.monotonic() - start < 10
    assert "amp" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"y": np.ones(3)}, ShapeError, "y has shape"),
        ({"y": np.full(20, 0.5)}, InvalidParameterError, "y holds 0.5"),
        ({"prior": -1.0}, InvalidParameterError, "prior holds -1"),
        ({"prior": 0.0}, InvalidParameterError, "prior holds 0"),
        ({"prior": np.ones(3)}, ShapeError, "prior has shape"),
        ({"teacher": "probit"}, InvalidParameterError, "teacher = 'probit'"),
        ({"teacher": "linear", "flip": 0.1}, InvalidParameterError, "flip = 0.1"),
        ({"damping": 1.0}, InvalidParameterError, "damping = 1"),
        ({"damping": -0.1}, InvalidParameterError, "damping = -0.1"),
        ({"tol": 0.0}, InvalidParameterError, "tol = 0"),
        ({"w_teacher": np.ones(3)}, ShapeError, "w_teacher has shape"),
        ({"on_failure": "ignore"}, InvalidParameterError, "on_failure = 'ignore'"),
    ],
)
def test_refused(change, error, message):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20, 5))
    arguments = {"y": np.sign(X[:, 0]), "prior": 1.0, **change}
    with pytest.raises(error, match=message):
        hr.amp(X, arguments.pop("y"), **arguments)
