"""The replica theory against reference cases, independent twins and its own laws."""

import copy
import itertools
import json
import math
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize
from scipy.special import erf, expit, ndtr

from hmm_rs.errors import ConvergenceError, HmmError, InvalidParameterError, ResourceError, ShapeError
from hmm_rs.ground import noise as noise_module
from hmm_rs.theory import replica
from hmm_rs.theory.replica import Spectrum

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "gaussian-equivalence.json").read_text())
NAMES = {
    "Vh": "V_hat",
    "qh": "q_hat",
    "mh": "m_hat",
    "test01": "test_error",
    "train01": "train_error",
    "training_objective_per_p": "objective",
}
SIGN_KAPPA = (math.sqrt(2 / math.pi), math.sqrt(1 - 2 / math.pi))
THREE = Spectrum([2.0, 1.0, 0.25], [0.25, 0.5, 0.25], [0.6, 0.3, 0.05], 1.3)


def cases(*tasks):
    return [pytest.param(c, id=c["name"]) for c in REFERENCE["cases"] if c["task"] in tasks]


def spectrum_of(case):
    return Spectrum(**{name: case["spectrum"][name] for name in ("omega", "weight", "t", "rho")})


def assert_expected(result, expected, rtol, atol):
    for name, value in expected.items():
        assert result[NAMES.get(name, name)] == pytest.approx(value, rel=rtol, abs=atol), name


@pytest.mark.parametrize("case", cases("ridge", "square", "logistic", "hinge"))
def test_reference_case(case):
    result = replica.solve(
        spectrum_of(case),
        loss=case["task"],
        alpha=case["alpha"],
        lam=case["lam"],
        flip=case["eta"],
        tol=1e-12,
    )
    assert result["converged"]
    assert result["residual"] < 1e-11
    # A hundred times tighter than the file asks: both sides carry 1e-12.
    assert_expected(result, case["expected"], case["rtol"] * 1e-2, case["atol"])


@pytest.mark.parametrize("case", cases("max_margin"))
def test_reference_max_margin(case):
    spectrum, expected = spectrum_of(case), dict(case["expected"])
    assert replica.separability_threshold(spectrum) == pytest.approx(
        expected.pop("alpha_c"), rel=case["rtol_alpha_c"]
    )
    assert_expected(replica.max_margin(spectrum, alpha=case["alpha"]), expected, case["rtol"], 0.0)


@pytest.mark.parametrize("case", cases("ridgeless"))
def test_reference_ridgeless(case):
    for point in case["expected"]:
        result = replica.ridgeless(spectrum_of(case), alpha=point["alpha"])
        # The absolute term is for the training error that is exactly zero.
        assert result["test_mse"] == pytest.approx(point["test_mse"], rel=case["rtol"])
        assert result["train_mse"] == pytest.approx(point["train_mse"], rel=case["rtol"], abs=1e-12)


@pytest.mark.parametrize("case", cases("optimal_lambda"))
def test_reference_optimal_ridge(case):
    result = replica.optimal_ridge(spectrum_of(case), loss=case["loss"], alpha=case["alpha"])
    error = result["test_mse" if case["loss"] == "ridge" else "test_error"]
    assert not result["at_edge"]
    assert result["lam"] == pytest.approx(case["expected"]["lam_opt"], rel=case["rtol_lam"])
    assert error == pytest.approx(case["expected"]["test_error"], rel=case["rtol_err"])


@pytest.mark.parametrize("case", cases("matrices_logistic"))
def test_reference_matrices(case):
    spectrum = Spectrum.from_matrices(case["Psi"], case["Omega"], case["Phi"], case["theta"])
    result = replica.solve(
        spectrum, loss="logistic", alpha=case["alpha"], lam=case["lam"], flip=case.get("eta", 0.0)
    )
    expected = {k: v for k, v in case["expected"].items() if NAMES.get(k, k) in result}
    assert len(expected) >= 5
    assert_expected(result, expected, case["rtol"], case.get("atol", 1e-9))


@pytest.mark.parametrize("case", REFERENCE["prox"], ids=lambda c: f"{c['loss']}-{c['s']}")
def test_reference_prox(case):
    result = replica.prox(case["s"], case["V"], loss=case["loss"])
    for theirs, ours in {"prox": "prox", "f": "f", "minus_df_ds": "minus_df_ds", "moreau": "moreau"}.items():
        # Absolute 1e-12 beside the relative tolerance: some values are exact zeros.
        assert result[ours] == pytest.approx(case[theirs], rel=REFERENCE["meta"]["prox_rtol"], abs=1e-12)


# --- twins: no line shared with the package --------------------------------------------------


def twin_prox(loss, y, w, V):
    if loss == "square":
        return (w + V * y) / (1 + V)
    if loss == "hinge":
        return w + y * np.clip(1 - y * w, 0, V)
    low, high = (w, w + V) if y > 0 else (w - V, w)
    return optimize.brentq(lambda x: x - w - V * y * expit(-y * x), low - 1, high + 1, xtol=1e-14)


def twin_channel(loss, V, q, m, rho, alpha, eta):
    """Two-sided general form (both labels) by adaptive quadrature, with a numerical derivative-free V_hat."""
    Vs = rho - m * m / q

    def average(term):
        total = 0.0
        for y in (1, -1):
            kinks = sorted(k for k in (y * 1.0, y * (1 - V), 0.0) if abs(k) < 8 * math.sqrt(q))
            edges = [-8 * math.sqrt(q), *kinks, 8 * math.sqrt(q)]
            for a, b in itertools.pairwise(edges):
                total += integrate.quad(
                    lambda w, y=y: math.exp(-w * w / (2 * q)) / math.sqrt(2 * math.pi * q) * term(y, w),
                    a,
                    b,
                    epsabs=1e-12,
                    epsrel=1e-11,
                    limit=200,
                )[0]
        return total

    def Z(y, w):
        u = y * m * w / q / math.sqrt(Vs)
        return (1 - eta) * ndtr(u) + eta * ndtr(-u)

    def dZ(y, w):
        star = m * w / q
        return (1 - 2 * eta) * y * math.exp(-star * star / (2 * Vs)) / math.sqrt(2 * math.pi * Vs)

    def f(y, w):
        return (twin_prox(loss, y, w, V) - w) / V

    # Stein: E[Z d_w f] = E[(w/q) Z f] - E[dZ/dw f], dZ/dw = (m/q) Z'.
    Vh = -alpha * average(lambda y, w: (w / q * Z(y, w) - m / q * dZ(y, w)) * f(y, w))
    qh = alpha * average(lambda y, w: Z(y, w) * f(y, w) ** 2)
    mh = alpha * average(lambda y, w: dZ(y, w) * f(y, w))
    return Vh, qh, mh


@pytest.mark.parametrize("loss", ["square", "logistic", "hinge"])
@pytest.mark.parametrize(
    ("alpha", "lam", "flip", "noise"), [(0.7, 0.3, 0.0, 0.0), (3.0, 0.05, 0.1, 0.63), (2.0, 2.0, 0.3, 0.0)]
)
def test_channel_is_the_two_sided_average(loss, alpha, lam, flip, noise):
    r = replica.solve(THREE, loss=loss, alpha=alpha, lam=lam, flip=flip, noise=noise, tol=1e-12)
    expected = twin_channel(loss, r["V"], r["q"], r["m"], THREE.rho + noise**2, alpha, flip)
    # Adaptive quadrature of the twin carries about 1e-9 across the derivative taken by parts.
    assert [r["V_hat"], r["q_hat"], r["m_hat"]] == pytest.approx(expected, rel=2e-8)


@pytest.mark.parametrize("loss", ["ridge", "square", "logistic", "hinge"])
def test_covariate_side(loss):
    lam = 0.2
    r = replica.solve(THREE, loss=loss, alpha=1.3, lam=lam, tol=1e-12)
    den = lam + r["V_hat"] * THREE.omega
    c, t, o = THREE.weight, THREE.t, THREE.omega
    assert r["V"] == pytest.approx((c * o / den).sum(), rel=1e-10)
    assert r["m"] == pytest.approx(r["m_hat"] * (t / den).sum(), rel=1e-10)
    assert r["q"] == pytest.approx(((r["q_hat"] * c * o + r["m_hat"] ** 2 * t) * o / den**2).sum(), rel=1e-10)
    assert r["norm2"] == pytest.approx(((r["q_hat"] * c * o + r["m_hat"] ** 2 * t) / den**2).sum(), rel=1e-10)


@pytest.mark.parametrize("loss", ["logistic", "hinge"])
@pytest.mark.parametrize(
    ("V", "q", "rho_lin"), [(0.02, 0.3, 0.6), (4.0, 3.0, 0.9), (300.0, 90.0, 0.3), (50.0, 0.1, 0.5)]
)
def test_training_observables_by_adaptive_quadrature(loss, V, q, rho_lin):
    # Pick the problem so that its solution is close to the wanted (V, q), then integrate at the solution.
    spectrum = Spectrum([1.0], [1.0], [rho_lin], 1.0)
    lam = 1.0 / V
    r = replica.solve(spectrum, loss=loss, alpha=1.4, lam=lam, flip=0.05)
    V, q, m = r["V"], r["q"], r["m"]
    a = m / (q * math.sqrt(1 - m * m / q))

    def density(s):
        return math.exp(-s * s / (2 * q)) / math.sqrt(2 * math.pi * q) * (1 + 0.9 * erf(a * s / math.sqrt(2)))

    def loss_at(s):
        x = twin_prox(loss, 1, s, V)
        return np.logaddexp(0, -x) if loss == "logistic" else max(0.0, 1 - x)

    S = 9 * math.sqrt(q)
    start = -V / 2 if loss == "logistic" else -V
    points = sorted({-S, *(x for x in (1 - V, -V, -V / 2, 0.0, 1.0, 3.0) if abs(x) < S), S})
    total = sum(
        integrate.quad(lambda s: density(s) * loss_at(s), a, b, epsabs=1e-13, epsrel=1e-12, limit=400)[0]
        for a, b in itertools.pairwise(points)
    )
    wrong = (
        integrate.quad(density, -S, start, epsabs=1e-14, epsrel=1e-12, limit=400)[0] if start > -S else 0.0
    )
    assert r["train_loss"] == pytest.approx(total, rel=1e-9, abs=1e-12)
    assert r["train_error"] == pytest.approx(wrong, rel=1e-8, abs=1e-13)


@pytest.mark.parametrize("loss", ["logistic", "hinge"])
def test_fixed_point_is_what_scipy_finds(loss):
    """Root of the two-sided twin equations by scipy, from far away."""
    alpha, lam, eta = 1.2, 0.4, 0.05
    c, t, o, rho = THREE.weight, THREE.t, THREE.omega, THREE.rho

    def gap(z):
        V, q = np.exp(z[:2])
        m = z[2] * math.sqrt(q)
        Vh, qh, mh = twin_channel(loss, V, q, m, rho, alpha, eta)
        den = lam + Vh * o
        q_new = ((qh * c * o + mh**2 * t) * o / den**2).sum()
        return [
            math.log((c * o / den).sum()) - z[0],
            math.log(q_new) - z[1],
            mh * (t / den).sum() / math.sqrt(q_new) - z[2],
        ]

    root = optimize.root(gap, [0.0, 0.0, 0.3], method="hybr", tol=1e-9)
    r = replica.solve(THREE, loss=loss, alpha=alpha, lam=lam, flip=eta)
    ours = [math.log(r["V"]), math.log(r["q"]), r["m"] / math.sqrt(r["q"])]
    # hybr differentiates numerically: 1e-7 is what it reaches.
    assert ours == pytest.approx(root.x, abs=1e-6)


def test_ridge_by_its_definition():
    """Mean over draws of a finite problem; a plain simulation without any theory."""
    rng = np.random.default_rng(1)
    p, alpha, lam = 200, 1.5, 0.1
    omega = np.repeat([2.0, 1.0, 0.25], [50, 100, 50])
    direction = rng.standard_normal(p)
    for block, value in ((slice(0, 50), 0.6), (slice(50, 150), 0.3), (slice(150, 200), 0.05)):
        direction[block] *= math.sqrt(value / (direction[block] ** 2).sum())
    unexplained = 1.3 - (direction**2 / omega).sum()
    n = int(alpha * p)
    errors = []
    for _ in range(60):
        v = rng.standard_normal((n, p)) * np.sqrt(omega)
        y = v @ (direction / omega) + math.sqrt(unexplained) * rng.standard_normal(n)
        X = v / math.sqrt(p)
        w = np.linalg.solve(X.T @ X + lam * np.eye(p), X.T @ y) / math.sqrt(p)
        errors.append(((w - direction / omega) ** 2 * omega).sum() + unexplained)
    theory = replica.solve(THREE, loss="ridge", alpha=alpha, lam=lam)["test_mse"]
    error = np.std(errors) / math.sqrt(len(errors))
    # The acceptance rule of finite-size comparisons: 4 standard errors and 2/p relative.
    assert abs(np.mean(errors) - theory) < 4 * error + 2 / p * theory


# --- limits -----------------------------------------------------------------------------------


def test_ridgeless_is_the_limit_of_ridge():
    for alpha in (0.3, 0.8, 1.3, 5.0):
        limit = replica.ridgeless(THREE, alpha=alpha)
        small = replica.solve(THREE, loss="ridge", alpha=alpha, lam=1e-9)
        # The first correction in lam is of relative size 1e-9 / |alpha - 1|^2.
        assert small["test_mse"] == pytest.approx(limit["test_mse"], rel=1e-7)
        assert small["train_mse"] == pytest.approx(limit["train_mse"], rel=1e-7, abs=1e-12)


def test_ridgeless_of_a_deficient_covariance():
    half = Spectrum([1.5, 0.0], [0.5, 0.5], [0.6, 0.0], 1.0)
    assert half.rank == 0.5
    for alpha in (0.2, 0.4, 0.6, 2.0):
        small = replica.solve(half, loss="ridge", alpha=alpha, lam=1e-10)
        assert replica.ridgeless(half, alpha=alpha)["test_mse"] == pytest.approx(small["test_mse"], rel=1e-7)
    with pytest.raises(InvalidParameterError, match=r"interpolation threshold 0\.5"):
        replica.ridgeless(half, alpha=0.5)


def test_double_descent_peak():
    iso = Spectrum([1.0], [1.0], [0.7], 1.0)
    peak = [replica.ridgeless(iso, alpha=a)["test_mse"] for a in (0.9, 0.99, 1.01, 1.1)]
    assert peak == pytest.approx([3.07, 30.0, 30.3, 3.30], abs=0.005 * 30)
    for lam, height in ((1e-2, 1.69), (1.0, 0.67)):
        curve = replica.learning_curve(iso, np.linspace(0.5, 1.5, 41), loss="ridge", lam=lam)
        # Quoted with three digits.
        assert float(curve.test_mse.sel(alpha=1.0, method="nearest")) == pytest.approx(height, abs=0.02)
    errors = [
        replica.solve(iso, loss="square", alpha=0.99, lam=lam)["test_error"] for lam in (1e-6, 1e-2, 1.0)
    ]
    assert errors == pytest.approx([0.476, 0.404, 0.337], abs=1e-3)


def test_hinge_reaches_the_maximum_margin():
    limit = replica.max_margin(THREE, alpha=0.8)
    for lam in (1e-4, 1e-6):
        r = replica.solve(THREE, loss="hinge", alpha=0.8, lam=lam, max_iterations=100_000)
        # "agree to 1e-9" once no example sits inside the margin.
        assert r["norm2"] == pytest.approx(limit["norm2"], rel=1e-6)
        assert r["test_error"] == pytest.approx(limit["test_error"], rel=1e-7)
    logistic = replica.solve(THREE, loss="logistic", alpha=0.8, lam=1e-8)
    # The direction converges like 1/log(1/lam) only.
    assert logistic["test_error"] == pytest.approx(limit["test_error"], rel=0.02)


@pytest.mark.parametrize(
    ("rho_lin", "flip", "expected"),
    [(0.5, 0.0, 2.695348), (0.0, 0.0, 2.0), (0.7, 0.5, 2.0), (1.0, 0.0, math.inf)],
)
def test_separability_threshold(rho_lin, flip, expected):
    threshold = replica.separability_threshold(Spectrum([1.0], [1.0], [rho_lin], 1.0), flip=flip)
    assert threshold == pytest.approx(expected, rel=4e-7)  # quoted with seven digits


def twin_threshold(rl, eta):
    kappa = math.sqrt(rl / (1 - rl))

    def value(log_c):
        c = math.exp(log_c)

        def inner(s):
            u = -c * s
            p = 2 * math.exp(-s * s / 2) / math.sqrt(2 * math.pi)
            p *= (1 - eta) * ndtr(kappa * s) + eta * ndtr(-kappa * s)
            return p * ((1 + u * u) * ndtr(u) + u * math.exp(-u * u / 2) / math.sqrt(2 * math.pi))

        return integrate.quad(
            inner, -9, 9, points=[0.0, 1 / (1 + c), 1 / (1 + kappa)], limit=500, epsabs=1e-13
        )[0]

    return 1 / optimize.minimize_scalar(value, bounds=(-8, 8), method="bounded", options={"xatol": 1e-9}).fun


@pytest.mark.parametrize(("rl", "eta"), [(0.2, 0.0), (0.9, 0.0), (0.99, 0.02), (0.5, 0.3)])
def test_separability_threshold_twin(rl, eta):
    ours = replica.separability_threshold(Spectrum([1.0], [1.0], [rl], 1.0), flip=eta)
    assert ours == pytest.approx(twin_threshold(rl, eta), rel=1e-8)


def test_threshold_of_a_noiseless_teacher_with_flips_is_a_limit():
    exact = replica.separability_threshold(Spectrum([1.0], [1.0], [1.0], 1.0), flip=0.1)
    near = replica.separability_threshold(Spectrum([1.0], [1.0], [1.0 - 1e-9], 1.0), flip=0.1)
    assert near == pytest.approx(exact, rel=1e-4)
    deficient = Spectrum([1.5, 0.0], [0.5, 0.5], [0.6, 0.0], 0.8)
    full = Spectrum([1.5], [1.0], [0.6], 0.8)
    assert replica.separability_threshold(deficient) == pytest.approx(
        0.5 * replica.separability_threshold(full), rel=1e-12
    )


def test_max_margin_near_and_beyond_the_threshold():
    threshold = replica.separability_threshold(THREE)
    with pytest.raises(InvalidParameterError, match=f"separability threshold {threshold:.6}"):
        replica.max_margin(THREE, alpha=threshold)
    margins = [replica.max_margin(THREE, alpha=x * threshold)["margin"] for x in (0.3, 0.6, 0.9, 0.98)]
    assert np.all(np.diff(margins) < 0)
    slow = replica.max_margin(THREE, alpha=0.99 * threshold, max_iterations=20, on_failure="flag")
    assert not slow["converged"]
    assert slow["iterations"] == 20
    assert slow["residual"] > 1e-10
    with pytest.raises(ConvergenceError, match="max_margin did not converge") as failure:
        replica.max_margin(THREE, alpha=0.99 * threshold, max_iterations=20)
    assert failure.value.result["residual"] == slow["residual"]


def test_bayes_optimal_ridge_is_the_noise():
    rng = np.random.default_rng(0)
    omega = np.sort(rng.uniform(0.1, 3.0, 12))[::-1]
    weight = np.full(12, 1 / 12)
    noise = 0.3
    prior = Spectrum(omega, weight, weight * omega**2, (weight * omega).sum() + noise)
    for alpha in (0.5, 2.0):
        result = replica.optimal_ridge(prior, loss="ridge", alpha=alpha)
        # Golden section on values exact to 1e-16 places a quadratic minimum to 1e-7.
        assert result["lam"] == pytest.approx(noise, rel=1e-6)


def test_optimal_ridge_at_the_edge_is_flagged():
    # The optimum 0.6 is out of reach of a grid that is widened by three decades twice.
    result = replica.optimal_ridge(THREE, loss="ridge", alpha=1.5, lam_min=1e8, lam_max=1e9)
    assert result["at_edge"]
    assert result["lam"] == pytest.approx(1e2)
    within = replica.optimal_ridge(THREE, loss="ridge", alpha=1.5, lam_min=1e4, lam_max=1e5)
    assert not within["at_edge"]
    assert within["lam"] == pytest.approx(0.6007863, rel=1e-5)


# --- laws -------------------------------------------------------------------------------------


@st.composite
def problems(draw):
    atoms = draw(st.integers(1, 5))
    omega = np.array(draw(st.lists(st.floats(0.05, 5.0), min_size=atoms, max_size=atoms)))
    weight = np.array(draw(st.lists(st.floats(0.05, 1.0), min_size=atoms, max_size=atoms)))
    part = np.array(draw(st.lists(st.floats(0.0, 1.0), min_size=atoms, max_size=atoms)))
    seen = draw(st.floats(0.05, 0.98))
    rho = draw(st.floats(0.3, 3.0))
    t = omega * part / max(part.sum(), 1e-3) * seen * rho
    return omega, weight / weight.sum(), t, rho


settings_of_run = {
    "loss": st.sampled_from(["ridge", "square", "logistic", "hinge"]),
    "alpha": st.floats(0.1, 6.0),
    "lam": st.floats(0.01, 5.0),
}


@settings(deadline=None, max_examples=60)
@given(problem=problems(), **settings_of_run)
def test_inequalities(problem, loss, alpha, lam):
    spectrum = Spectrum(*problem)
    r = replica.solve(spectrum, loss=loss, alpha=alpha, lam=lam)
    assert r["converged"]
    rho = problem[3]
    assert r["q"] >= r["m"] ** 2 / rho * (1 - 1e-9)
    kind = "mse" if loss == "ridge" else "error"
    assert r[f"train_{kind}"] <= r[f"test_{kind}"] * (1 + 1e-9)


@settings(deadline=None, max_examples=30)
@given(problem=problems(), data=st.data(), **settings_of_run)
def test_permuting_and_splitting_atoms_changes_nothing(problem, loss, alpha, lam, data):
    omega, weight, t, rho = problem
    order = data.draw(st.permutations(range(len(omega))))
    cut = data.draw(st.floats(0.1, 0.9))
    share = data.draw(st.floats(0.1, 0.9))
    split = Spectrum(
        np.append(omega[order], omega[order][0]),
        np.append(np.r_[weight[order][0] * cut, weight[order][1:]], weight[order][0] * (1 - cut)),
        np.append(np.r_[t[order][0] * share, t[order][1:]], t[order][0] * (1 - share)),
        rho,
    )
    a = replica.solve(Spectrum(*problem), loss=loss, alpha=alpha, lam=lam)
    b = replica.solve(split, loss=loss, alpha=alpha, lam=lam)
    for name in ("V", "q", "m", "train_loss", "norm2"):
        assert a[name] == pytest.approx(b[name], rel=1e-7)


@settings(deadline=None, max_examples=30)
@given(problem=problems(), scale=st.floats(0.2, 5.0), **settings_of_run)
def test_scaling_of_features_is_scaling_of_lambda(problem, loss, alpha, lam, scale):
    """v -> c v with lam -> c^2 lam leaves every preactivation as it was."""
    omega, weight, t, rho = problem
    a = replica.solve(Spectrum(*problem), loss=loss, alpha=alpha, lam=lam)
    scaled = Spectrum(scale**2 * omega, weight, scale**2 * t, rho)
    b = replica.solve(scaled, loss=loss, alpha=alpha, lam=scale**2 * lam)
    for name in ("V", "q", "m", "train_loss"):
        assert a[name] == pytest.approx(b[name], rel=1e-7)
    if loss in ("square", "logistic", "hinge"):
        # Labels do not see the scale of the teacher.
        c = replica.solve(Spectrum(omega, weight, scale * t, scale * rho), loss=loss, alpha=alpha, lam=lam)
        assert a["test_error"] == pytest.approx(c["test_error"], rel=1e-7)


@settings(deadline=None, max_examples=20)
@given(problem=problems(), **settings_of_run)
def test_continuity_in_alpha(problem, loss, alpha, lam):
    spectrum = Spectrum(*problem)
    values = [replica.solve(spectrum, loss=loss, alpha=alpha * x, lam=lam) for x in (1.0, 1.0 + 1e-6)]
    for name in ("V", "q", "train_loss"):
        assert values[0][name] == pytest.approx(values[1][name], rel=1e-4, abs=1e-9)


def test_curve_equals_points_on_any_number_of_threads():
    alphas = np.r_[np.geomspace(0.05, 20, 47), 1.0][::-1]
    for loss in replica.LOSSES:
        curves = [
            replica.learning_curve(THREE, alphas, loss=loss, lam=0.05, threads=threads)
            for threads in (1, 2, 3, 7)
        ]
        for other in curves[1:]:
            assert other.equals(curves[0])
        assert np.array_equal(curves[0].alpha, alphas)
        point = replica.solve(THREE, loss=loss, alpha=float(alphas[5]), lam=0.05)
        assert float(curves[0].train_loss[5]) == pytest.approx(point["train_loss"], rel=1e-7)
        assert curves[0].attrs["source"] == "theory"
        assert curves[0].attrs["converged_everywhere"] == 1


def test_clean_and_flipped_errors():
    r = replica.solve(THREE, loss="logistic", alpha=2.0, lam=0.3, flip=0.1, noise=math.sqrt(0.4))
    noisy = math.acos(r["m"] / math.sqrt(1.7 * r["q"])) / math.pi
    assert r["test_error"] == pytest.approx(0.8 * noisy + 0.1)
    assert r["test_error_clean"] == pytest.approx(math.acos(r["m"] / math.sqrt(1.3 * r["q"])) / math.pi)
    same = Spectrum(THREE.omega, THREE.weight, THREE.t, 1.7)
    assert replica.solve(same, loss="logistic", alpha=2.0, lam=0.3, flip=0.1)["q"] == pytest.approx(
        r["q"], rel=1e-9
    )


def test_random_features_at_infinite_size():
    iso = {}
    for nodes in (50, 400):
        spectrum = Spectrum.random_features(
            1.5, (math.sqrt(2 / math.pi), math.sqrt(1 - 2 / math.pi)), nodes=nodes
        )
        assert spectrum.weight @ spectrum.omega == pytest.approx(1.0, abs=1e-9)
        iso[nodes] = replica.solve(spectrum, loss="ridge", alpha=0.5, lam=0.1)["test_mse"]
    # 50 nodes integrate the Marchenko-Pastur law at y = 1.5 to 3e-10.
    assert iso[50] == pytest.approx(iso[400], rel=1e-9)
    square = Spectrum.random_features(1.0, (1.0, 0.5), nodes=400)
    assert square.weight @ square.omega == pytest.approx(1.25, rel=1e-12)


def test_constructors_agree():
    rng = np.random.default_rng(2)
    p, k = 6, 4
    joint = rng.standard_normal((p + k, 40))
    C = joint @ joint.T / 40
    theta = rng.standard_normal(k)
    matrices = Spectrum.from_matrices(C[:k, :k], C[k:, k:], C[:k, k:], theta)
    b = C[:k, k:].T @ theta / math.sqrt(k)
    vector = Spectrum.from_b(C[k:, k:], b, theta @ C[:k, :k] @ theta / k)
    values, vectors = np.linalg.eigh(C[k:, k:])
    for spectrum in (matrices, vector):
        assert np.sort(spectrum.omega) == pytest.approx(values, rel=1e-10)
        order = np.argsort(spectrum.omega)
        assert spectrum.t[order] == pytest.approx((vectors.T @ b) ** 2, rel=1e-8, abs=1e-14)


def test_from_samples_merges_batches():
    rng = np.random.default_rng(3)
    v = rng.standard_normal((500, 5)) + 3.0
    nu = v @ rng.standard_normal(5) + rng.standard_normal(500)
    whole = Spectrum.from_samples(nu, v)
    parts = Spectrum.from_samples((nu[i : i + 70], v[i : i + 70]) for i in range(0, 500, 70))
    assert whole.rho == pytest.approx(np.var(nu), rel=1e-12)  # divided by the count
    assert np.sort(parts.omega) == pytest.approx(np.linalg.eigvalsh(np.cov(v.T, ddof=0)), rel=1e-10)
    assert parts.rho_lin == pytest.approx(whole.rho_lin, rel=1e-9)


def test_real_digits_ridge_over_the_universe():
    from sklearn.datasets import load_digits

    digits = load_digits()
    v = (digits.data - digits.data.mean(0)) / 16.0
    y = 2.0 * (digits.target % 2) - 1
    keep = v.std(0) > 0
    v = v[:, keep]
    spectrum = Spectrum.from_data(v, y)
    total, p = v.shape
    rng = np.random.default_rng(0)
    lam = 0.1
    for alpha in (0.5, 1.0, 3.0):
        n = round(alpha * p)
        theory = replica.solve(spectrum, loss="ridge", alpha=n / p, lam=lam)["test_mse"]
        errors = []
        for _ in range(400):
            rows = rng.choice(total, n, replace=False)
            X = v[rows] / math.sqrt(p)
            w = np.linalg.solve(X.T @ X + lam * np.eye(p), X.T @ y[rows])
            errors.append(np.mean((v @ w / math.sqrt(p) - y) ** 2))
        # Within 1 % as promised, beside four standard errors of the mean over 400 draws.
        assert abs(np.mean(errors) - theory) < 0.01 * theory + 4 * np.std(errors) / 20


def test_labels_without_a_gaussian_teacher_warn():
    rng = np.random.default_rng(0)
    v = np.r_[rng.standard_normal((200, 3)) + 3, rng.standard_normal((200, 3)) - 3]
    spectrum = Spectrum.from_data(v, np.repeat([1.0, -1.0], 200))
    assert replica.solve(spectrum, loss="ridge", alpha=1.0, lam=0.1)["converged"]
    with pytest.warns(UserWarning, match="no Gaussian teacher"):
        replica.solve(spectrum, loss="logistic", alpha=1.0, lam=0.1)


# --- bad input --------------------------------------------------------------------------------

ATOMS = {"omega": [2.0, 1.0], "weight": [0.5, 0.5], "t": [0.2, 0.3], "rho": 1.0}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"omega": [-1.0, 1.0]}, InvalidParameterError, "omega = -1"),
        ({"omega": [math.nan, 1.0]}, InvalidParameterError, "omega"),
        ({"omega": [1.0]}, ShapeError, "weight"),
        ({"omega": [], "weight": [], "t": []}, ShapeError, "omega"),
        ({"weight": [0.5, 0.5 + 1e-8]}, InvalidParameterError, "add up to 1"),
        ({"t": [-0.1, 0.1]}, InvalidParameterError, "t = -0.1"),
        ({"t": [2.0, 1.0]}, InvalidParameterError, "rho_lin"),
        ({"rho": 0.4 * (1 - 1e-7)}, InvalidParameterError, "rho_lin"),
        ({"rho": 0.0}, InvalidParameterError, "rho = 0"),
        ({"rho": math.inf}, InvalidParameterError, "rho"),
        ({"omega": [1.0, 0.0]}, InvalidParameterError, "t = 0.3: must be 0 where omega"),
        ({"omega": [0.0, 0.0], "t": [0.0, 0.0]}, InvalidParameterError, "at least one eigenvalue"),
        ({"omega": "spam"}, TypeError, "omega"),
    ],
)
def test_bad_spectrum(change, error, message):
    with pytest.raises(error, match=message) as raised:
        Spectrum(**{**ATOMS, **change})
    assert isinstance(raised.value, HmmError)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alpha": 0.0}, "alpha = 0"),
        ({"alpha": -1.0}, "alpha = -1"),
        ({"alpha": math.nan}, "alpha"),
        ({"lam": 0.0}, "use ridgeless or max_margin"),
        ({"lam": math.inf}, "lam"),
        ({"flip": 0.6}, "flip = 0.6"),
        ({"flip": -0.1}, "flip"),
        ({"noise": -1.0}, "noise"),
        ({"tol": 0.0}, "tol"),
        ({"max_iterations": 0}, "max_iterations"),
        ({"loss": "l2"}, "'ridge', 'square', 'logistic', 'hinge'"),
        ({"loss": "ridge", "flip": 0.1}, "flip"),
    ],
)
def test_bad_options(change, message):
    options = {"loss": "logistic", "alpha": 1.0, "lam": 0.1, **change}
    with pytest.raises(InvalidParameterError, match=message):
        replica.solve(THREE, **options)
    if "alpha" in options and options["alpha"] == 1.0:
        options.pop("alpha")
        with pytest.raises(InvalidParameterError, match=message):
            replica.learning_curve(THREE, [0.5, 1.0], **options)


def test_more_bad_input():
    with pytest.raises(InvalidParameterError, match=r"must be a replica\.Spectrum"):
        replica.solve("spam", loss="ridge", alpha=1.0, lam=0.1)
    with pytest.raises(InvalidParameterError, match="alphas"):
        replica.learning_curve(THREE, [0.5, math.nan], loss="ridge", lam=0.1)
    with pytest.raises(InvalidParameterError, match="symmetric"):
        Spectrum.from_b([[1.0, 0.5], [0.0, 1.0]], [0.1, 0.1], 1.0)
    with pytest.raises(InvalidParameterError, match="positive semi-definite"):
        Spectrum.from_b([[1.0, 2.0], [2.0, 1.0]], [0.1, 0.1], 1.0)
    with pytest.raises(ShapeError, match="square"):
        Spectrum.from_b(np.ones((2, 3)), [0.1, 0.1], 1.0)
    with pytest.raises(ShapeError, match="Phi"):
        Spectrum.from_matrices(np.eye(2), np.eye(3), np.zeros((3, 2)), np.ones(2))
    with pytest.raises(ShapeError, match="pair"):
        Spectrum.from_samples([1.0, 2.0])
    with pytest.raises(InvalidParameterError, match="kappa"):
        Spectrum.random_features(1.0, (0.0, 0.1))
    with pytest.raises(InvalidParameterError, match="y = 0"):
        Spectrum.random_features(0.0, (1.0, 0.1))
    with pytest.raises(InvalidParameterError, match="V"):
        replica.prox(0.1, 0.0, loss="hinge")


def test_non_convergence_is_never_silent():
    with pytest.raises(ConvergenceError, match="solve did not converge") as failure:
        replica.solve(THREE, loss="logistic", alpha=1.0, lam=1e-3, max_iterations=3)
    assert not failure.value.result["converged"]
    with pytest.raises(ConvergenceError, match="2 of 2 points") as failure:
        replica.learning_curve(THREE, [1.0, 2.0], loss="hinge", lam=1e-3, max_iterations=3)
    assert failure.value.result.sizes["alpha"] == 2
    flagged = replica.learning_curve(
        THREE, [1.0, 2.0], loss="hinge", lam=1e-3, max_iterations=3, on_failure="flag"
    )
    assert not flagged.converged.any()


# --- faults met in use --------------------------------------------------------------------------


@pytest.mark.parametrize("lam", [1e-100, 1e-160, 1e-300])
def test_ridge_at_a_vanishing_penalty_is_ridgeless(lam):
    simple = Spectrum([1], [1], [0.7], 1)
    for alpha in (2.0, 0.5):
        limit = replica.ridgeless(simple, alpha=alpha)
        found = replica.solve(simple, loss="ridge", alpha=alpha, lam=lam)
        assert found.converged
        assert found.test_mse == pytest.approx(limit.test_mse, rel=1e-12)
        assert found.train_mse == pytest.approx(limit.train_mse, rel=1e-12, abs=1e-12)
    # 0.6 = 0.3 alpha/(alpha - 1); what cannot be solved is never called converged.
    assert replica.solve(simple, loss="ridge", alpha=2, lam=lam).test_mse == pytest.approx(0.6)
    for loss in ("logistic", "hinge"):
        flagged = replica.solve(simple, loss=loss, alpha=2, lam=lam, on_failure="flag")
        assert not flagged.converged or np.isfinite(flagged.test_error)


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e160, 1e300])
def test_units_of_features_and_teacher_may_be_anything(scale):
    def close(found, expected, **factors):
        for name, value in expected.items():
            if name not in ("iterations", "residual", "converged"):
                assert found[name] == pytest.approx(value * factors.get(name, 1.0), rel=1e-8), name
        assert found["converged"]

    base, two = Spectrum([1], [1], [0.7], 1), Spectrum([1, 0.5], [0.5, 0.5], [0.3, 0.2], 1)
    teacher = Spectrum([1], [1], [0.7 * scale], scale)
    features = Spectrum([scale], [1], [0.7 * scale], 1)
    root = math.sqrt(scale)
    margin = replica.max_margin(base, alpha=1.0)
    close(replica.max_margin(teacher, alpha=1.0), margin, m=root)
    close(replica.max_margin(features, alpha=1.0), margin, margin=root, norm2=1 / scale, V=scale)
    logistic = replica.solve(base, loss="logistic", alpha=1.0, lam=0.1)
    close(replica.solve(features, loss="logistic", alpha=1.0, lam=0.1 * scale), logistic, norm2=1 / scale)
    wide = Spectrum([scale, scale / 2], [0.5, 0.5], [0.3 * scale, 0.2 * scale], 1)
    assert replica.ridgeless(wide, alpha=0.5).test_mse == pytest.approx(
        replica.ridgeless(two, alpha=0.5).test_mse, rel=1e-10
    )
    assert replica.ridgeless(teacher, alpha=0.5).test_mse == pytest.approx(0.95 * scale)


def test_rounding_below_zero_is_zero():
    spectrum = Spectrum(omega=[-1e-17, 1.0], weight=[0.5, 0.5], t=[0.0, 0.5], rho=1.0)
    assert spectrum.omega.tolist() == [0.0, 1.0]
    assert Spectrum([1.0, 2.0], [-1e-17, 1.0], [-1e-18, 0.5], 1.0).t.tolist() == [0.0, 0.5]
    with pytest.raises(InvalidParameterError, match="omega"):
        Spectrum(omega=[-1e-6, 1.0], weight=[0.5, 0.5], t=[0.0, 0.5], rho=1.0)


@pytest.mark.parametrize("nodes", [2**32, 10**12, 2**50])
def test_too_many_nodes_are_refused(nodes):
    with pytest.raises(ResourceError, match="nodes"):
        Spectrum.random_features(1.5, (0.8, 0.6), nodes=nodes)


def test_messages_do_not_fail_on_the_argument_they_name():
    for call in (
        lambda: replica.max_margin(THREE, alpha=np.float64(0.99) * 2.6, max_iterations=2),
        lambda: replica.solve(THREE, loss="hinge", alpha=np.int64(2), lam=np.float32(1e-3), max_iterations=2),
    ):
        with pytest.raises(ConvergenceError, match="did not converge at alpha"):
            call()
    # A number as text is a number or our refusal, never a failure of the message.
    with pytest.raises(HmmError, match="alpha"):
        replica.max_margin(THREE, alpha="2.69", max_iterations=2)


def test_noise_is_a_standard_deviation_and_says_so_once(monkeypatch):
    monkeypatch.setattr(noise_module, "_announced", False)
    with pytest.warns(FutureWarning, match="standard deviation") as seen:
        noisy = replica.solve(THREE, loss="ridge", alpha=2.0, lam=0.1, noise=0.5)
    assert seen[0].filename == __file__
    richer = Spectrum(THREE.omega, THREE.weight, THREE.t, THREE.rho + 0.25)
    assert noisy.test_mse == pytest.approx(replica.solve(richer, loss="ridge", alpha=2.0, lam=0.1).test_mse)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        replica.ridgeless(THREE, alpha=2.0, noise=0.3)
    monkeypatch.setattr(noise_module, "_announced", False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        replica.ridgeless(THREE, alpha=2.0, noise=1.0)  # its own square: nothing changed


def test_a_point_is_a_mapping_with_attributes_and_a_dataset():
    point = replica.solve(THREE, loss="square", alpha=1.5, lam=0.1)
    assert point["q"] == point.q == dict(point)["q"]
    assert json.loads(json.dumps(point))["converged"] is True
    assert pickle.loads(pickle.dumps(point)) == point == copy.deepcopy(point)
    assert ">q</th>" in point._repr_html_()
    curve = xr.concat(
        [replica.solve(THREE, loss="square", alpha=a, lam=0.1).to_dataset() for a in (0.5, 1.5)], "alpha"
    )
    whole = replica.learning_curve(THREE, [0.5, 1.5], loss="square", lam=0.1)
    assert curve.test_mse.values == pytest.approx(whole.test_mse.values, rel=1e-9)
    assert set(curve.data_vars) == set(whole.data_vars)
    with pytest.raises(AttributeError, match="no number 'Q'"):
        _ = point.Q
    with pytest.raises(AttributeError, match="cannot set"):
        point.q = 1.0
    assert replica.prox(np.linspace(-1, 1, 5), 0.5, loss="squared").to_dataset().prox.dims == ("s",)


def test_sparse_and_masked_points_are_refused():
    from scipy import sparse

    with pytest.raises(HmmError):
        Spectrum.from_b(sparse.eye(3), np.ones(3), 5.0)


@pytest.mark.parametrize(
    "call",
    [
        lambda crowded: replica.solve(crowded, loss="logistic", alpha=1.0, lam=0.1),
        lambda crowded: replica.learning_curve(crowded, [1.0, 2.0], loss="logistic", lam=0.1),
        lambda crowded: replica.max_margin(crowded, alpha=0.5),
        lambda crowded: replica.optimal_ridge(crowded, loss="square", alpha=1.0),
    ],
)
def test_labels_that_no_gaussian_teacher_makes_are_warned_of_where_the_user_asks(call):
    crowded = replica.Spectrum([1.0], [1.0], [0.9], 1.0, from_labels=True)
    with pytest.warns(UserWarning, match="no Gaussian teacher") as caught:
        call(crowded)
    assert caught[0].filename == __file__
