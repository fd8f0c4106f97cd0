"""Least squares in time against sample covariances, a known law, expansions, and the other theories of it."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate

from hmm_rs.errors import InvalidParameterError
from hmm_rs.testing import spectra
from hmm_rs.theory import least_squares_flow, optimal_stopping, replica
from hmm_rs.theory.replica import Spectrum

THREE = Spectrum([2.0, 1.0, 0.25], [0.25, 0.5, 0.25], [0.6, 0.3, 0.05], 1.3)

pytestmark = pytest.mark.filterwarnings("ignore:noise = :FutureWarning")


# --- a sample covariance, diagonalised ----------------------------------------------------------


def sample(omega, beta, sigma, n, times, rng, lr=None):
    """Test and training error of one draw along time, by the eigenvectors of V^T V/n."""
    p = omega.size
    V = rng.standard_normal((n, p)) * np.sqrt(omega)
    y = V @ beta + sigma * rng.standard_normal(n)
    values, vectors = np.linalg.eigh(V.T @ V / n)
    values = np.maximum(values, 0.0)
    pull = vectors.T @ (V.T @ y) / n
    errors = []
    for t in times:
        kept = np.exp(-t * values) if lr is None else (1 - lr * values) ** round(t / lr)
        learnt = np.where(values > 1e-10, (1 - kept) / np.maximum(values, 1e-10), t)
        u = vectors @ (learnt * pull)
        errors.append((sigma**2 + omega @ (u - beta) ** 2, np.mean((y - V @ u) ** 2)))
    return np.array(errors).T


def compare(p, alphas, seeds, rel, lr=None):
    rng = np.random.default_rng(5)
    # A power law, a teacher of its own, a quarter of the field unseen.
    omega = 3.0 * np.arange(1, p + 1) ** -0.5
    beta = rng.standard_normal(p) * omega**0.3
    beta /= math.sqrt(omega @ beta**2)
    spectrum = Spectrum(omega, np.full(p, 1 / p), (omega * beta) ** 2, 1.0 + 1 / 3)
    fastest = 1 / omega.mean()
    times = fastest * np.array([0.3, 1.0, 3.0, 10.0, 40.0])
    if lr is not None:
        lr = lr * fastest
        times = lr * np.rint(times / lr)
    for alpha in alphas:
        n = round(alpha * p)
        runs = np.array([sample(omega, beta, math.sqrt(1 / 3), n, times, rng, lr) for _ in range(seeds)])
        theory = least_squares_flow(spectrum, alpha=n / p, t=times, lr=lr)
        assert runs[:, 0].mean(axis=0) == pytest.approx(theory.test_mse.values, rel=rel)
        # A training error of a hundredth is a sum of few exponentials: compare on the scale of the targets.
        assert runs[:, 1].mean(axis=0) == pytest.approx(theory.train_mse.values, rel=rel, abs=rel / 10)


def test_sample_covariances():
    # A draw of p = 80 scatters by up to 15 %, the mean of 50 by 2 %: three of these.
    compare(80, [0.5, 1.2, 3.0], seeds=50, rel=0.06)


def test_sample_covariances_in_steps():
    compare(80, [0.6, 2.0], seeds=50, rel=0.06, lr=0.1)


@pytest.mark.slow
def test_large_sample_covariances():
    # A draw of p = 1000 scatters by up to 4 %, the mean of 16 by 1 %: two of these.
    compare(1000, [0.5, 1.2, 3.0], seeds=16, rel=0.02)


# --- a law that is known in closed form ----------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.4, 1.0, 2.5])
def test_isotropic_features_follow_the_marchenko_pastur_law(alpha):
    # Omega = 1 commutes with S: bias and variance are averages of functions of one eigenvalue.
    rho_lin, sigma2, gamma = 0.7, 0.3, 1 / alpha
    low, high = (1 - math.sqrt(gamma)) ** 2, (1 + math.sqrt(gamma)) ** 2
    spectrum = Spectrum([1.0], [1.0], [rho_lin], rho_lin + sigma2)
    for t in (0.05, 0.7, 4.0, 50.0):

        def average(f, t=t):
            # s = middle + half cos(angle): the square roots of the density become smooth.
            middle, half = (low + high) / 2, (high - low) / 2

            def integrand(angle):
                s = middle + half * math.cos(angle)
                return (half * math.sin(angle)) ** 2 / (2 * math.pi * gamma * s) * f(s)

            bulk = integrate.quad(integrand, 0, math.pi, epsabs=1e-13, epsrel=1e-12, limit=400)[0]
            return bulk + max(0.0, 1 - alpha) * f(1e-14)

        run = least_squares_flow(spectrum, alpha=alpha, t=t)
        bias = rho_lin * average(lambda s: math.exp(-2 * t * s))  # noqa: B023
        variance = gamma * sigma2 * average(lambda s: math.expm1(-t * s) ** 2 / s)  # noqa: B023
        train = rho_lin * average(lambda s: s * math.exp(-2 * t * s)) + sigma2 * (  # noqa: B023
            1 - gamma + gamma * average(lambda s: math.exp(-2 * t * s))  # noqa: B023
        )
        # Contours leave 1e-12, the integral over the law as much.
        assert run.test_mse == pytest.approx(sigma2 + bias + variance, rel=1e-10)
        assert run.train_mse == pytest.approx(train, rel=1e-9, abs=1e-11)


# --- both ends of time ---------------------------------------------------------------------------


def moments(spectrum, alpha):
    omega, c, t, rho = spectrum.atoms
    return {
        "t": t.sum(),
        "t omega": t @ omega,
        "first": c @ omega / alpha,
        "second": c @ omega**2 / alpha,
        "rho": rho,
    }


@pytest.mark.parametrize("alpha", [0.3, 1.0, 4.0])
def test_short_times(alpha):
    # E S^2 = Omega^2 + Omega tr Omega/n and E S Omega S = Omega^3 + Omega tr Omega^2/n give two orders in t.
    m = moments(THREE, alpha)
    t = 1e-3
    run = least_squares_flow(THREE, alpha=alpha, t=t)
    first = -2 * m["t"]
    second = 2 * m["t omega"] + m["first"] * m["t"] + m["second"] * m["rho"]
    # The next order is t^3 times numbers of order (omega + tr Omega/n)^3, up to 300.
    assert run.test_mse == pytest.approx(m["rho"] + first * t + second * t**2, abs=300 * t**3)
    assert (run.test_mse - m["rho"]) / t == pytest.approx(first, abs=2 * second * t)
    assert run.train_mse == pytest.approx(m["rho"] - 2 * t * (m["t"] + m["first"] * m["rho"]), abs=100 * t**2)


@pytest.mark.parametrize("alpha", [0.3, 1.0, 4.0])
def test_one_step_of_gradient_descent_is_exact(alpha):
    m = moments(THREE, alpha)
    lr = 0.1
    run = least_squares_flow(THREE, alpha=alpha, t=lr, lr=lr)
    expected = m["rho"] - 2 * lr * m["t"] + lr**2 * (m["t omega"] + m["second"] * m["rho"])
    assert run.test_mse == pytest.approx(expected, rel=1e-12)


@settings(max_examples=12)
@given(spectrum=spectra(), alpha=st.floats(0.1, 5.0), noise=st.sampled_from([0.0, 0.5]))
def test_the_end_is_the_ridgeless_solution(spectrum, alpha, noise):
    if abs(alpha / spectrum.rank - 1) < 0.05:
        alpha *= 1.2
    end = replica.ridgeless(spectrum, alpha=alpha, noise=noise)
    run = least_squares_flow(spectrum, alpha=alpha, t=[1e8, math.inf], noise=noise)
    assert run.test_mse.values == pytest.approx([end.test_mse] * 2, rel=1e-9)
    assert run.train_mse.values == pytest.approx([end.train_mse] * 2, rel=1e-9, abs=1e-12)
    start = least_squares_flow(spectrum, alpha=alpha, t=0.0, noise=noise)
    assert start.test_mse == start.train_mse == pytest.approx(spectrum.rho + noise**2)


def test_features_without_variance_are_never_learnt():
    # Half of the directions are empty: twice the examples a direction.
    half = Spectrum([1.5, 0.0], [0.5, 0.5], [1.0, 0.0], 1.0)
    whole = Spectrum([1.5], [1.0], [1.0], 1.0)
    times = [0.1, 1.0, 10.0]
    run = least_squares_flow(half, alpha=0.8, t=times)
    same = least_squares_flow(whole, alpha=1.6, t=times)
    assert run.test_mse.values == pytest.approx(same.test_mse.values, rel=1e-10)
    assert run.train_mse.values == pytest.approx(same.train_mse.values, rel=1e-9)


@pytest.mark.parametrize("shift", [-1e-15, 0.0, 1e-16, 3e-16, 1e-15, 1e-12])
def test_as_many_examples_as_directions(shift):
    spectrum = Spectrum([3.0, 1.0, 0.1], [1 / 3] * 3, [0.3, 0.1, 0.01], 1.0)
    run = least_squares_flow(spectrum, alpha=1.0 - shift, t=[1.0, 1e4])
    near = least_squares_flow(spectrum, alpha=1.0 - 1e-9, t=[1.0, 1e4])
    assert run.test_mse.values == pytest.approx(near.test_mse.values, rel=1e-4)
    assert 0 < run.attrs["t_stop"] < math.inf


# --- steps -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.4, 3.0])
def test_short_steps_are_the_flow(alpha):
    times = np.array([1.0, 5.0])
    flow = least_squares_flow(THREE, alpha=alpha, t=times)
    coarse, fine = (least_squares_flow(THREE, alpha=alpha, t=times, lr=lr) for lr in (1e-2, 1e-3))
    gaps = [np.abs(run.test_mse.values - flow.test_mse.values) for run in (coarse, fine)]
    # Euler's method is of first order.
    assert gaps[1] * 10 == pytest.approx(gaps[0], rel=0.1)


def test_few_and_many_steps_join():
    # A circle up to 24 steps of f^2, Talbot's contours beyond: no jump in second differences.
    run = least_squares_flow(THREE, alpha=2.0, t=0.3 * np.arange(4, 40), lr=0.3)
    for name in ("test_mse", "train_mse"):
        third = np.diff(run[name].values, 3)
        assert np.abs(np.diff(third)).max() < 0.5 * np.abs(third).max() + 1e-10
    steps = least_squares_flow(THREE, alpha=2.0, t=[0.29, 0.44], lr=0.3)
    assert steps.t.values == pytest.approx([0.3, 0.3])


def test_a_diverging_step_is_refused_with_the_limit():
    with pytest.raises(InvalidParameterError, match=r"lr = 1: must be < 0.405613 at alpha = 1.2"):
        least_squares_flow(THREE, alpha=1.2, t=1.0, lr=1.0)
    almost = least_squares_flow(THREE, alpha=1.2, t=[4.0, 400.0], lr=0.4)
    assert np.isfinite(almost.test_mse).all()


# --- against the other theories ------------------------------------------------------------------


@settings(max_examples=25)
@given(
    spectrum=spectra(),
    alpha=st.floats(0.1, 5.0),
    t=st.floats(1e-3, 1e3),
    noise=st.sampled_from([0.0, 0.5]),
)
def test_nothing_is_better_than_the_posterior_mean(spectrum, alpha, t, noise):
    best = replica.bayes_optimal(spectrum, alpha=alpha, teacher="linear", noise=noise)
    run = least_squares_flow(spectrum, alpha=alpha, t=[t, 3 * t], noise=noise)
    assert (run.test_mse.values >= best.test_mse * (1 - 1e-10)).all()
    assert run.attrs["test_mse_stop"] >= best.test_mse * (1 - 1e-10)
    assert run.attrs["test_mse_stop"] <= run.test_mse.values.min() * (1 + 1e-7)
    # Training error falls, and it is the smaller one; late, what is left of its fall is below the rounding of
    # integrals over a spectrum of 400 atoms (5e-12 seen).
    assert run.train_mse[1] <= run.train_mse[0] + 1e-10
    assert (run.train_mse <= run.test_mse + 1e-10).all()


@settings(max_examples=6)
@given(spectrum=spectra(), alpha=st.floats(0.2, 4.0), t=st.floats(0.01, 100.0))
def test_errors_are_affine_in_the_variance_of_the_noise(spectrum, alpha, t):
    runs = [least_squares_flow(spectrum, alpha=alpha, t=t, noise=math.sqrt(v)) for v in (0.0, 0.3, 0.6)]
    for name in ("test_mse", "train_mse"):
        low, middle, high = (run[name] for run in runs)
        assert middle == pytest.approx((low + high) / 2, rel=1e-9, abs=1e-11)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])
def test_early_stopping_is_near_the_best_ridge_where_that_is_optimal(alpha):
    omega, c = np.array([2.0, 1.0, 0.3]), np.array([0.3, 0.4, 0.3])
    spectrum = Spectrum(omega, c, c * omega**2, float(c @ omega))
    stopped = optimal_stopping(spectrum, alpha=alpha, noise=0.5)
    ridge = replica.optimal_ridge(spectrum, loss="ridge", alpha=alpha, noise=0.5)
    assert ridge.test_mse <= stopped.test_mse < 1.05 * ridge.test_mse
    assert 0 < stopped.t_stop < math.inf


def test_the_best_time_is_the_best():
    dense = least_squares_flow(THREE, alpha=1.2, t=np.linspace(0.5, 2.0, 301))
    best = optimal_stopping(THREE, alpha=1.2)
    assert best.test_mse <= float(dense.test_mse.min()) + 1e-9
    assert best.t_stop == pytest.approx(float(dense.t[dense.test_mse.values.argmin()]), abs=0.006)
    steps = optimal_stopping(THREE, alpha=1.2, lr=0.1)
    assert steps.t_stop / 0.1 == pytest.approx(round(steps.t_stop / 0.1))
    assert (
        steps.test_mse <= least_squares_flow(THREE, alpha=1.2, t=np.arange(30) * 0.1, lr=0.1).test_mse.min()
    )


def test_without_noise_one_never_stops_and_without_teacher_one_never_starts():
    noiseless = Spectrum([1.0, 0.5], [0.5, 0.5], [0.6, 0.2], 1.0)
    best = optimal_stopping(noiseless, alpha=2.0)
    assert best.t_stop == math.inf
    assert best.test_mse == pytest.approx(0.0, abs=1e-12)
    nothing = optimal_stopping(Spectrum([1.0], [1.0], [0.0], 1.0), alpha=2.0)
    assert nothing.t_stop == 0.0
    assert nothing.test_mse == 1.0


# --- units, shapes, refusals -----------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1e-120, 1e-3, 1e4, 1e120])
def test_time_is_in_units_of_the_features(scale):
    omega, c, t, rho = THREE.atoms
    scaled = Spectrum(omega * scale, c, t * scale, rho)
    for alpha in (0.5, 2.0):
        plain = least_squares_flow(THREE, alpha=alpha, t=[0.5, 20.0])
        same = least_squares_flow(scaled, alpha=alpha, t=[0.5 / scale, 20.0 / scale])
        assert same.test_mse.values == pytest.approx(plain.test_mse.values, rel=1e-10)
        assert same.train_mse.values == pytest.approx(plain.train_mse.values, rel=1e-9)
        assert same.attrs["t_stop"] * scale == pytest.approx(plain.attrs["t_stop"], rel=1e-3)


def test_shapes():
    table = least_squares_flow(THREE, alpha=[0.5, 2.0], t=[0.0, 1.0, math.inf])
    assert table.test_mse.dims == ("alpha", "t")
    assert table.t_stop.dims == ("alpha",)
    row = least_squares_flow(THREE, alpha=2.0, t=[0.0, 1.0, math.inf])
    assert row.test_mse.values.tolist() == table.test_mse.sel(alpha=2.0).values.tolist()
    assert row.attrs["t_stop"] == float(table.t_stop[1])
    point = least_squares_flow(THREE, alpha=2.0, t=1.0)
    assert point.test_mse == float(row.test_mse[1])
    assert point.to_dataset().test_mse.dims == ("t",)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"t": [1.0, -0.5]}, "t holds -0.5"),
        ({"t": [math.nan]}, "t holds nan"),
        ({"t": []}, "t holds nothing"),
        ({"alpha": 0.0}, "alpha = 0"),
        ({"lr": 0.0}, "lr = 0"),
        ({"alpha": 1.0, "t": math.inf}, "alpha = 1"),
    ],
)
def test_refused(options, message):
    with pytest.raises(InvalidParameterError, match=message):
        least_squares_flow(THREE, **{"alpha": 2.0, "t": 1.0, **options})
