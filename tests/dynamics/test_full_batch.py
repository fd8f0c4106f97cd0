"""Full-batch learning: certified minima, and agreement with the replica theory."""

import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize
from scipy.special import expit

import hmm_rs as hr
from hmm_rs.errors import ConvergenceError, DtypeError, InvalidParameterError, ResourceError, ShapeError
from hmm_rs.experiments.full_batch import (
    GaussianFeatures,
    SampledFeatures,
    agreement,
    finite_size_allowance,
    full_batch_curve,
)
from hmm_rs.theory import replica

LOSSES = ("ridge", "square", "logistic", "hinge")


def problem(n, p, seed=0, noise=0.5):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * np.linspace(0.3, 2.0, p) / math.sqrt(p)
    y = X @ rng.standard_normal(p) * 2 + noise * rng.standard_normal(n)
    return X, y, np.where(y < 0, -1.0, 1.0)


def objective(loss, X, y, lam, w):
    z = X @ w
    losses = {
        "ridge": lambda: (y - z) ** 2 / 2,
        "square": lambda: (y - z) ** 2 / 2,
        "logistic": lambda: np.logaddexp(0, -y * z),
        "hinge": lambda: np.maximum(0, 1 - y * z),
    }
    return losses[loss]().sum() + lam / 2 * w @ w


@pytest.mark.parametrize(("n", "p"), [(60, 20), (20, 60), (40, 40), (1, 5), (5, 1), (300, 210), (210, 300)])
@pytest.mark.parametrize("loss", ["ridge", "square"])
def test_square_losses_solve_the_normal_equations(n, p, loss):
    X, targets, labels = problem(n, p)
    y = targets if loss == "ridge" else labels
    w = hr.FullBatch(X, y, loss=loss, lam=0.1).fit()
    # Both solve a system of condition number below 1e4 in double precision.
    assert w == pytest.approx(np.linalg.solve(X.T @ X + 0.1 * np.eye(p), X.T @ y), rel=1e-9, abs=1e-11)


@pytest.mark.parametrize(("n", "p"), [(60, 20), (20, 60), (300, 210)])
@pytest.mark.parametrize("lam", [1.0, 1e-3])
def test_logistic_is_scipys_minimum(n, p, lam):
    X, _, y = problem(n, p)
    fit = hr.FullBatch(X, y, loss="logistic", lam=lam)
    w = fit.fit()
    gradient = lam * w - X.T @ (y * expit(-y * (X @ w)))
    assert np.linalg.norm(gradient) ** 2 / (2 * lam) == pytest.approx(fit.gap, rel=0.1, abs=1e-24)
    twin = optimize.minimize(
        lambda w: objective("logistic", X, y, lam, w),
        np.zeros(p),
        jac=lambda w: lam * w - X.T @ (y * expit(-y * (X @ w))),
        method="L-BFGS-B",
        options={"gtol": 1e-9, "ftol": 0, "maxiter": 5000},
    )
    # scipy stops at a gradient of 1e-9 at best: its w carries 1e-9/lam.
    assert w == pytest.approx(twin.x, abs=1e-5)
    # Ours stops at a relative gap of 1e-12.
    assert fit.objective <= twin.fun * (1 + 1e-12)


@pytest.mark.parametrize(("n", "p"), [(60, 20), (20, 60), (150, 100)])
@pytest.mark.parametrize("lam", [1.0, 0.1, 1e-3])
def test_hinge_satisfies_its_optimality_conditions(n, p, lam):
    X, _, y = problem(n, p)
    fit = hr.FullBatch(X, y, loss="hinge", lam=lam)
    w = fit.fit(tol=1e-12)
    assert fit.gap <= 1e-12 * fit.objective
    # The quadratic programme in the dual by scipy: bounds only, convex.
    K = (X * y[:, None]) @ (X * y[:, None]).T / lam
    dual = optimize.minimize(
        lambda a: (a @ K @ a / 2 - a.sum(), K @ a - 1),
        np.full(n, 0.5),
        jac=True,
        bounds=[(0, 1)] * n,
        method="L-BFGS-B",
        options={"ftol": 0, "gtol": 1e-10, "maxiter": 20000, "maxfun": 10**6},
    )
    # Weak duality holds at any dual point; scipy's is good to about 1e-7.
    assert -dual.fun <= fit.objective * (1 + 1e-12)
    assert -dual.fun == pytest.approx(fit.objective, rel=1e-5)
    assert fit.objective == pytest.approx(objective("hinge", X, y, lam, w), rel=1e-12)


def test_hinge_with_twins_and_zero_rows():
    """Repeated examples leave the dual free in a direction; an all-zero example cannot be learnt."""
    X, _, y = problem(30, 10)
    X = np.r_[X, X, np.zeros((2, 10))]
    y = np.r_[y, y, [1.0, -1.0]]
    fit = hr.FullBatch(X, y, loss="hinge", lam=0.3)
    assert fit.fit().shape == (10,)
    single = hr.FullBatch(X[:30], y[:30], loss="hinge", lam=0.15)
    # Doubling examples is halving lam; the zero rows cost 1 each.
    assert fit.w == pytest.approx(single.fit(), abs=1e-4)
    assert fit.objective == pytest.approx(2 * single.objective + 2, rel=1e-8)


@given(
    n=st.integers(2, 40),
    p=st.integers(1, 40),
    lam=st.floats(1e-3, 10.0),
    loss=st.sampled_from(LOSSES),
    seed=st.integers(0, 100),
)
def test_no_nearby_point_is_better_than_the_gap_says(n, p, lam, loss, seed):
    X, targets, labels = problem(n, p, seed)
    y = targets if loss == "ridge" else labels
    fit = hr.FullBatch(X, y, loss=loss, lam=lam)
    w = fit.fit()
    rng = np.random.default_rng(seed)
    for size in (1e-6, 1e-3, 0.1):
        other = w + size * rng.standard_normal(p)
        assert objective(loss, X, y, lam, other) >= fit.objective - fit.gap - 1e-12 * fit.objective


@pytest.mark.parametrize("loss", LOSSES)
def test_same_bits_on_any_number_of_threads(loss):
    X, targets, labels = problem(400, 230)
    y = targets if loss == "ridge" else labels
    fits = [hr.FullBatch(X, y, loss=loss, lam=0.05).fit(threads=t) for t in (1, 2, 3, 7)]
    features = GaussianFeatures(np.linspace(0.1, 2, 30), np.full(30, 0.05), 1.0)
    curves = [
        full_batch_curve(features, [0.5, 2.0], loss=loss, lam=0.1, repeats=5, threads=t) for t in (1, 2, 3, 7)
    ]
    for other in range(1, 4):
        assert np.array_equal(fits[0], fits[other])
        assert curves[0].equals(curves[other])


# --- simulation against theory --------------------------------------------------------------


def features_and_spectrum(p, seed=0, rho_lin=0.6):
    """Power law with a teacher that follows no power law."""
    rng = np.random.default_rng(seed)
    omega = np.arange(1, p + 1) ** -0.6
    omega /= omega.mean()
    b = rng.standard_normal(p) * omega**0.8
    b *= math.sqrt(rho_lin / (b**2 / omega).sum())
    return GaussianFeatures(omega, b, 1.0), replica.Spectrum(omega, np.full(p, 1 / p), b**2, 1.0)


def assert_agreement(table):
    bad = table.within.values == 0
    report = "\n".join(
        f"{name} alpha={alpha:g}: theory {float(r.theory):.5f} simulation {float(r.simulation):.5f} "
        f"+- {float(r.standard_error):.5f} allowed {float(r.allowed):.5f}"
        for name in table.observable.values
        for alpha in table.alpha.values
        for r in [table.sel(observable=name, alpha=alpha)]
        if not r.within
    )
    assert not bad.any(), report


@pytest.mark.parametrize(
    ("loss", "lam", "flip", "noise"),
    [
        ("ridge", 0.1, 0.0, math.sqrt(0.2)),
        ("square", 0.5, 0.0, 0.0),
        ("logistic", 0.1, 0.0, 0.0),
        ("hinge", 0.3, 0.0, 0.0),
        ("logistic", 0.3, 0.1, math.sqrt(0.4)),
        ("hinge", 0.3, 0.5, 0.0),
    ],
)
def test_theory_of_gaussian_features(loss, lam, flip, noise):
    features, spectrum = features_and_spectrum(120)
    options = {"loss": loss, "lam": lam, "flip": flip, "noise": noise}
    simulation = full_batch_curve(features, [0.5, 1.5, 3.0], repeats=50, seed=1, **options)
    table = agreement(simulation, replica.learning_curve(spectrum, simulation.alpha, **options))
    assert len(table.observable) >= 6
    # 0/1 errors of an observable without signal (m = 0) have no relative scale: use the absolute one.
    assert_agreement(table.drop_sel(observable="m") if flip == 0.5 else table)


def test_maximum_margin():
    features, spectrum = features_and_spectrum(120)
    threshold = replica.separability_threshold(spectrum)
    alphas = np.array([0.3, 0.6]) * threshold
    # No example sits inside the margin at this penalty, so the hinge loss gives the hard margin.
    simulation = full_batch_curve(features, alphas, loss="hinge", lam=1e-5, repeats=40, tol=1e-6, seed=2)
    for alpha in simulation.alpha.values:
        theory = replica.max_margin(spectrum, alpha=float(alpha))
        point = simulation.sel(alpha=alpha)
        for name in ("margin", "test_error"):
            error = float(point[name].std(ddof=1)) / math.sqrt(40)
            # The margin is an extreme of n fields: its own finite-size bias is taken relative, 2/p.
            allowed = finite_size_allowance(name, theory[name], error, p=120, loss="hinge")
            assert abs(float(point[name].mean()) - theory[name]) < allowed
        assert float(point.train_error.max()) == 0.0


def hidden_manifold_features(p, D, seed):
    """Sign features of a one-layer manifold, linear teacher on the latents; exact covariance."""
    rng = np.random.default_rng(seed)
    F = rng.standard_normal((p, D))
    F /= np.linalg.norm(F, axis=1, keepdims=True)
    theta = rng.standard_normal(D)

    def draw(n, stream):
        z = np.random.default_rng(stream).standard_normal((n, D))
        return z @ theta / math.sqrt(D), np.sign(z @ F.T)

    Omega = 2 / np.pi * np.arcsin(np.clip(F @ F.T, -1, 1))
    b = math.sqrt(2 / np.pi) * F @ theta / math.sqrt(D)
    return SampledFeatures(draw, p=p), replica.Spectrum.from_b(Omega, b, theta @ theta / D)


@pytest.mark.parametrize(("loss", "lam"), [("ridge", 0.1), ("logistic", 0.1), ("hinge", 0.1)])
def test_theory_of_hidden_manifold_features(loss, lam):
    features, spectrum = hidden_manifold_features(150, 100, seed=4)
    simulation = full_batch_curve(
        features, [0.5, 2.0], loss=loss, lam=lam, repeats=30, test_size=40_000, seed=3
    )
    table = agreement(simulation, replica.learning_curve(spectrum, simulation.alpha, loss=loss, lam=lam))
    # Features are not Gaussian: corrections of order 1/sqrt(D p) come on top (0.003 for 0/1 errors here).
    excess = np.abs(table.gap) - table.allowed
    assert float(excess.max()) < 0.01


def test_sampled_gaussian_features_match_the_compiled_ones():
    features, _ = features_and_spectrum(40)

    def draw(n, stream):
        rng = np.random.default_rng(stream)
        v = rng.standard_normal((n, 40)) * np.sqrt(features.omega)
        return v @ (features.b / features.omega) + math.sqrt(0.4) * rng.standard_normal(n), v

    options = {"loss": "square", "lam": 0.2, "flip": 0.1, "noise": math.sqrt(0.1), "repeats": 200}
    compiled = full_batch_curve(features, [1.5], **options)
    sampled = full_batch_curve(SampledFeatures(draw, p=40), [1.5], test_size=20_000, **options)
    for name in set(compiled.data_vars) & set(sampled.data_vars) - {"gap", "converged"}:
        a, b = compiled[name].values[0], sampled[name].values[0]
        error = math.hypot(a.std(), b.std()) / math.sqrt(200)
        # The shared test set of 20000 samples adds its own error of 0.0035 for a 0/1 error, 0.01 for the mse.
        assert abs(a.mean() - b.mean()) < 4 * error + (0.04 if name.startswith("test") else 1e-9), name


def test_draws_differ_and_repeat():
    features, _ = features_and_spectrum(20)
    a = full_batch_curve(features, [1.0, 1.0], loss="ridge", lam=0.1, repeats=3)
    values = a.test_mse.values.ravel()
    assert len(np.unique(values)) == values.size
    assert a.equals(full_batch_curve(features, [1.0, 1.0], loss="ridge", lam=0.1, repeats=3))
    b = full_batch_curve(features, [1.0, 1.0], loss="ridge", lam=0.1, repeats=3, seed=1)
    assert not np.any(values == b.test_mse.values.ravel())


# --- bad input --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"X": np.ones(3)}, ShapeError, "X has shape"),
        ({"X": np.ones((0, 2))}, ShapeError, "X has shape"),
        ({"X": [[math.nan, 1.0], [1.0, 1.0]]}, InvalidParameterError, "X holds 1 non-finite"),
        ({"y": [1.0]}, ShapeError, "y has shape"),
        ({"y": [1.0, 0.0]}, InvalidParameterError, "labels must be -1 or 1"),
        ({"lam": 0.0}, InvalidParameterError, "lam = 0"),
        ({"lam": math.nan}, InvalidParameterError, "lam"),
        ({"loss": "hing"}, InvalidParameterError, "pass one of 'ridge'"),
        ({"X": "spam"}, DtypeError, "X"),
    ],
)
def test_bad_problem(change, error, message):
    arguments = {"X": [[1.0, 0.0], [0.0, 1.0]], "y": [1.0, -1.0], "loss": "hinge", "lam": 1.0, **change}
    with pytest.raises(error, match=message):
        hr.FullBatch(arguments.pop("X"), arguments.pop("y"), **arguments)


def test_unfinished_fits_say_so():
    X, _, y = problem(100, 40)
    fit = hr.FullBatch(X, y, loss="hinge", lam=1e-3)
    with pytest.raises(ConvergenceError, match="relative gap") as failure:
        fit.fit(max_iterations=1)
    assert failure.value.result.shape == (40,)
    fit.fit(max_iterations=1, on_failure="flag")
    assert not fit.converged
    assert fit.gap > 0
    with pytest.raises(InvalidParameterError, match="tol"):
        fit.fit(tol=0.0)


def test_bad_experiments():
    features, spectrum = features_and_spectrum(10)
    with pytest.raises(InvalidParameterError, match="flip"):
        full_batch_curve(features, [1.0], loss="hinge", lam=0.1, flip=0.7)
    with pytest.raises(InvalidParameterError, match="flip"):
        full_batch_curve(features, [1.0], loss="ridge", lam=0.1, flip=0.1)
    with pytest.raises(InvalidParameterError, match="alphas"):
        full_batch_curve(features, [-1.0], loss="ridge", lam=0.1)
    with pytest.raises(InvalidParameterError, match="rho"):
        full_batch_curve(GaussianFeatures([1.0], [2.0], 1.0), [1.0], loss="ridge", lam=0.1)
    wrong = SampledFeatures(lambda n, seed: (np.ones(n), np.ones((n, 3))), p=2)
    with pytest.raises(ShapeError, match="from draw"):
        full_batch_curve(wrong, [1.0], loss="ridge", lam=0.1)
    with pytest.raises(ConvergenceError, match="missed tol"):
        full_batch_curve(features, [3.0], loss="hinge", lam=1e-3, max_iterations=1)
    simulation = full_batch_curve(features, [1.0], loss="ridge", lam=0.1)
    with pytest.raises(InvalidParameterError, match=r"simulation\.alpha"):
        agreement(simulation, replica.learning_curve(spectrum, [2.0], loss="ridge", lam=0.1))


# --- faults met in use --------------------------------------------------------------------------


def test_ridge_at_a_vanishing_penalty_on_wide_data():
    assert hr.FullBatch(np.eye(2, 3), [1.0, 2.0], loss="ridge", lam=1e-12).fit() == pytest.approx(
        [1, 2, 0], abs=1e-11
    )
    A = np.random.default_rng(0).normal(size=(100, 300)) / math.sqrt(300)
    y = np.random.default_rng(1).normal(size=100)
    for lam in (1e-6, 1e-9, 1e-12, 1e-15):
        fit = hr.FullBatch(A, y, loss="ridge", lam=lam)
        expected = A.T @ np.linalg.solve(A @ A.T + lam * np.eye(100), y)
        assert fit.fit() == pytest.approx(expected, abs=5e-14)
        assert fit.gap <= 1e-14 * fit.objective
    # The objective there is below what double precision can tell: no certificate, and no claim of one.
    hopeless = hr.FullBatch(A, y, loss="ridge", lam=1e-100)
    w = hopeless.fit(on_failure="flag")
    assert not hopeless.converged
    assert w == pytest.approx(A.T @ np.linalg.solve(A @ A.T, y), abs=5e-13)


@pytest.mark.parametrize("lam", [1e-9, 1e-20, 1e-100])
def test_ridge_of_tall_and_deficient_data_at_a_vanishing_penalty(lam):
    rng = np.random.default_rng(2)
    B, y = rng.normal(size=(300, 40)), rng.normal(size=300)
    for X in (B, np.c_[B, B[:, :3]], np.r_[B, B]):
        targets = np.r_[y, -y] if len(X) == 600 else y
        fit = hr.FullBatch(X, targets, loss="ridge", lam=lam)
        w = fit.fit(on_failure="flag")
        if fit.converged:
            least = np.linalg.lstsq(X, targets, rcond=None)[0]
            excess = ((targets - X @ w) ** 2).sum() - ((targets - X @ least) ** 2).sum()
            assert excess <= 1e-10 * (targets**2).sum()


OVERLAP = (
    np.array([[1, 0], [1, 0.1], [1, -0.1], [1, 0.3], [1, 0.2]]),
    np.array([1, -1, 1, 1, -1.0]),
)


@pytest.mark.parametrize("lam", [1e-3, 1e-6, 1e-9])
def test_hinge_of_overlapping_classes_at_a_small_penalty(lam):
    fit = hr.FullBatch(*OVERLAP, loss="hinge", lam=lam)
    w = fit.fit()
    # Two negative examples sit among the positive ones: each costs 2 at w = (1, 0), up to order lam.
    assert fit.objective == pytest.approx(4 + lam / 2, rel=2e-9, abs=1e-2 * lam)
    assert fit.gap <= 1e-9 * fit.objective
    assert objective("hinge", *OVERLAP, lam, w) == pytest.approx(fit.objective, rel=1e-12)


@pytest.mark.parametrize(
    ("n", "p", "lam"), [(100, 5, 1e-6), (300, 60, 1e-8), (80, 80, 1e-6), (60, 200, 1e-9)]
)
def test_hinge_is_the_linear_programme_at_a_vanishing_penalty(n, p, lam):
    rng = np.random.default_rng(n)
    X = rng.normal(size=(n, p)) / math.sqrt(p)
    y = np.where(X[:, 0] + rng.normal(size=n) / math.sqrt(p) > 0, 1.0, -1.0)
    fit = hr.FullBatch(X, y, loss="hinge", lam=lam)
    w = fit.fit()
    assert fit.converged
    programme = optimize.linprog(
        np.r_[np.zeros(p), np.ones(n)],
        A_ub=np.c_[-X * y[:, None], -np.eye(n)],
        b_ub=-np.ones(n),
        bounds=[(None, None)] * p + [(0, None)] * n,
    )
    assert programme.fun - 1e-7 <= fit.objective <= programme.fun + lam / 2 * (w @ w) * 1.001 + 1e-6


def test_a_curve_of_overlapping_classes_converges():
    features = GaussianFeatures(np.ones(100), np.full(100, 0.08), 1.0)
    start = time.perf_counter()
    curve = full_batch_curve(features, [5.0], loss="hinge", lam=1e-3, flip=0.1)
    # 20 s and a ConvergenceError before; about 0.5 s now on two quiet cores.
    assert time.perf_counter() - start < 10
    assert float(curve.gap.max()) <= 1e-9


def test_examples_are_copied_and_frozen():
    X, y = np.ones((3, 2)), np.array([1.0, 2.0, 3.0])
    problem_ = hr.FullBatch(X, y, loss="ridge", lam=1.0)
    X *= 0
    y *= 0
    assert problem_.fit() == pytest.approx([6 / 7, 6 / 7])
    with pytest.raises(ValueError, match="read-only"):
        problem_.X[0, 0] = 5.0


def test_rounding_below_zero_is_zero():
    features = GaussianFeatures([-1e-17, 1.0], [0.0, 0.5], 1.0)
    assert features.omega.tolist() == [0.0, 1.0]
    with pytest.raises(InvalidParameterError, match="variances"):
        GaussianFeatures([-0.1, 1.0], [0.0, 0.5], 1.0)


def test_draws_that_do_not_fit_are_refused():
    features = GaussianFeatures(np.ones(10), np.zeros(10), 1.0)
    with pytest.raises(ResourceError):
        full_batch_curve(features, [1e11], loss="ridge", lam=0.1)
    with pytest.raises(ResourceError):
        full_batch_curve(features, [1.0], loss="ridge", lam=0.1, repeats=10**12)
    with pytest.raises(DtypeError, match="features"):
        full_batch_curve(5, [1.0], loss="ridge", lam=0.1)


def test_a_fit_is_a_record_and_keeps_its_old_addresses():
    fit = hr.FullBatch(*OVERLAP, loss="hinge", lam=0.1)
    record = fit.result
    assert np.array_equal(record.w, fit.w)
    assert record.to_dataset().w.dims == ("feature",)
    assert hr.dynamics.full_batch.full_batch_curve is full_batch_curve
    squared = hr.FullBatch(*OVERLAP, loss="squared", lam=0.1)
    assert squared.loss == "square"
