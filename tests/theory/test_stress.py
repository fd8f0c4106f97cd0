"""Right at the edges: vanishing penalties, thresholds, extreme ratios, unstable rates, repeated and single points.

Closed forms in many digits (mpmath), or twins in numpy that share no code with the package.
"""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import hmm_rs as hr
from hmm_rs.theory import replica

# -- penalties and numbers of examples ---------------------------------------------------------------


def ridge_of_isotropic_features(alpha, lam, noise):
    """The test error where the covariance is one: a quadratic equation, in 80 digits."""
    with mp.workdps(80):
        alpha, lam, noise = mp.mpf(alpha), mp.mpf(lam), mp.mpf(noise)
        slope = lam + alpha - 1
        V = (mp.sqrt(slope**2 + 4 * lam) - slope) / (2 * lam)
        return float(((lam * V) ** 2 + noise**2) / (1 - alpha * (V / (1 + V)) ** 2))


@pytest.mark.parametrize("lam", [1e-15, 1e-12, 1e-6, 1.0, 1e6])
@pytest.mark.parametrize(
    "alpha", [1e-6, 1e-3, 0.5, 1 - 1e-6, 1 - 1e-9, 1.0, 1 + 1e-9, 1 + 1e-6, 2.0, 1e3, 1e6]
)
def test_ridge_from_no_to_all_examples(alpha, lam):
    """alpha = 1 is the threshold of interpolation: there the error is of order 1/sqrt(lam)."""
    point = replica.solve(
        replica.Spectrum([1.0], [1.0], [1.0], 1.0), loss="ridge", alpha=alpha, lam=lam, noise=0.5
    )
    assert point.converged
    expected = ridge_of_isotropic_features(alpha, lam, 0.5)
    # At the threshold rounding of alpha alone changes the error by 1e-16/sqrt(lam).
    assert point.test_mse == pytest.approx(expected, rel=1e-9 + 1e-15 / np.sqrt(lam))


def logistic_margin(ratio):
    """The root y of y (1 + exp y) = ratio, by bisection in 60 digits: lam w = n x/(1 + exp(w x)) in y = w x."""
    with mp.workdps(60):
        low, high = mp.mpf(0), mp.log1p(ratio)
        for _ in range(200):
            middle = (low + high) / 2
            low, high = (middle, high) if middle * (1 + mp.exp(middle)) < ratio else (low, middle)
        return float(low)


@pytest.mark.parametrize("n", [1, 7])
@pytest.mark.parametrize("x", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("lam", [1e-15, 1e-6, 1.0, 1e6])
@pytest.mark.parametrize("loss", ["hinge", "logistic", "square"])
def test_fits_of_one_point_of_one_class_again_and_again(loss, lam, x, n):
    """n times the point x with label 1, in one dimension: the weight in closed form, or as a root."""
    if loss == "hinge":
        expected = min(n * x / lam, 1 / x)
    elif loss == "square":
        expected = n * x / (lam + n * x**2)
    else:
        expected = logistic_margin(n * mp.mpf(x) ** 2 / mp.mpf(lam)) / x
    fit = hr.FullBatch(np.full((n, 1), x), np.ones(n), loss=loss, lam=lam)
    (weight,) = fit.fit()

    def objective(w):
        margin = x * w
        loss_of_one = {
            "hinge": max(0.0, 1 - margin),
            "square": 0.5 * (1 - margin) ** 2,
            "logistic": float(np.logaddexp(0.0, -margin)),
        }[loss]
        return n * loss_of_one + 0.5 * lam * w**2

    assert objective(weight) <= objective(expected) * (1 + 1e-8) + 1e-300
    # The objective is certified to 1e-9 of itself or better, and the weight to the root of that where it shows there.
    if 0.5 * lam * expected**2 > 1e-5 * objective(expected):
        assert weight == pytest.approx(expected, rel=1e-2)


@pytest.mark.parametrize("loss", ["ridge", "square", "logistic", "hinge"])
@pytest.mark.parametrize("lam", [1e-6, 1.0])
def test_points_given_twice_weigh_twice(loss, lam):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 8)), np.where(rng.normal(size=30) > 0, 1.0, -1.0)
    once = hr.FullBatch(X, y, loss=loss, lam=lam).fit()
    twice = hr.FullBatch(np.r_[X, X], np.r_[y, y], loss=loss, lam=2 * lam).fit()
    np.testing.assert_allclose(twice, once, rtol=1e-4, atol=1e-4 * np.abs(once).max())


# -- rates -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("K", [1, 2, 8, 32])
@pytest.mark.parametrize("beyond", [-1.0 + 1e-6, -1e-6, 0.0, 1e-6, 1e-2])
def test_linear_units_up_to_and_beyond_the_largest_rate(K, beyond):
    """K linear units of one output learn like one at r = K lr: the error goes as exp(-(2 r - r^2) t)."""
    rng = np.random.default_rng(K)
    N = 200
    w, teacher = rng.normal(size=(K, N)), rng.normal(size=(1, N))
    r = 2.0 * (1.0 + beyond)
    times = np.array([0.0, 1.0, 10.0, 100.0])
    solution = hr.theory.SaadSolla(
        w @ w.T / N,
        w @ teacher.T / N,
        T=teacher @ teacher.T / N,
        v0=np.ones(K),
        v_teacher=[1.0],
        lr=r / K,
        activation="linear",
    ).solve(times, rtol=1e-10, atol=1e-14)
    start = 0.5 * ((w.sum(axis=0) - teacher[0]) ** 2).mean()
    expected = start * np.exp((r**2 - 2 * r) * times)
    # The integrator's tolerance, carried through a hundred units of time.
    np.testing.assert_allclose(solution.eg, expected, rtol=1e-7)


# -- dimensions --------------------------------------------------------------------------------------


def linear_learning(Omega, coupling, T, w, lr, times):
    """Mean and second moment of one linear unit's weight along each eigenvector of Omega; the error they make."""
    N = len(Omega)
    values, vectors = np.linalg.eigh(Omega)
    b, m = vectors.T @ coupling * np.sqrt(N), vectors.T @ w

    def error(m, q):
        return 0.5 * (T - 2 * (m * b).sum() / N + (values * q).sum() / N)

    def velocity(_, y):
        m, q = y[:N], y[N:]
        drift = -2 * lr * (values * q - b * m)
        return np.r_[-lr * (values * m - b), drift + lr**2 * values * 2 * error(m, q)]

    # Beyond what is compared: at the edge of its stability an explicit method strays by much more than its tolerance.
    options = {"method": "DOP853", "rtol": 1e-13, "atol": 1e-15}
    flow = solve_ivp(velocity, (0, times[-1]), np.r_[m, m**2], t_eval=times, **options)
    return np.array([error(y[:N], y[N:]) for y in flow.y.T])


@pytest.mark.parametrize(("N", "D"), [(1000, 1), (500, 5), (100, 10), (60, 60), (40, 200), (20, 200)])
def test_from_a_thousandth_to_ten_latents_an_input(N, D):
    rng = np.random.default_rng(N + D)
    F, w, teacher = rng.normal(size=(N, D)), rng.normal(size=N), rng.normal(size=D)
    # The equations take the mean variance of u to be 1.
    F *= np.sqrt(N * D) / np.linalg.norm(F)
    a, b, c = hr.theory.gaussian_moments("tanh")
    Omega = (c - a * a - b * b) * np.eye(N) + b * b * F @ F.T / D
    Phi = b * F / np.sqrt(D)
    times = np.array([0.0, 0.5, 2.0, 10.0, 50.0])
    common = {"v": [1.0], "v_teacher": [1.0], "lr": 0.3, "activation": "linear"}
    expected = linear_learning(Omega, Phi @ teacher / np.sqrt(D), teacher @ teacher / D, w, 0.3, times)
    for system in (
        hr.theory.CovarianceODE(Omega, Phi, w=w[None], w_teacher=teacher[None], **common),
        hr.theory.HiddenManifoldODE.from_weights(F, w[None], teacher[None], f="tanh", **common),
    ):
        # The tolerance of both integrators.
        np.testing.assert_allclose(
            system.solve(times, rtol=1e-9, atol=1e-12).eg, expected, rtol=1e-6, atol=1e-10
        )


# -- hidden units ------------------------------------------------------------------------------------


def pair(unit, a, b, c):
    """E[g(x) g(y)] for variances a and b and covariance c, in the working digits."""
    if unit == "erf":
        return 2 / mp.pi * mp.asin(c / mp.sqrt((1 + a) * (1 + b)))
    size = mp.sqrt(a * b)
    return (mp.sqrt(max(a * b - c * c, 0)) + c * (mp.pi / 2 + mp.asin(max(-1, min(1, c / size))))) / (
        2 * mp.pi
    )


def error_of_overlaps(unit, Q, R, T, v, u):
    with mp.workdps(50):
        Q, R, T = (mp.matrix(x.tolist()) for x in (Q, R, T))
        v, u = [mp.mpf(float(x)) for x in v], [mp.mpf(float(x)) for x in u]
        K, M = range(len(v)), range(len(u))
        total = sum(v[i] * v[j] * pair(unit, Q[i, i], Q[j, j], Q[i, j]) for i in K for j in K)
        total += sum(u[i] * u[j] * pair(unit, T[i, i], T[j, j], T[i, j]) for i in M for j in M)
        total -= 2 * sum(v[i] * u[j] * pair(unit, Q[i, i], T[j, j], R[i, j]) for i in K for j in M)
        return float(total / 2)


@pytest.mark.parametrize("unit", ["erf", "relu"])
@pytest.mark.parametrize("K", [1, 2, 8, 32])
@pytest.mark.parametrize("case", ["generic", "units twice", "nearly the teacher", "tiny", "huge"])
def test_errors_of_one_to_thirty_two_units(unit, K, case):
    rng = np.random.default_rng(K)
    N = 64
    teacher = rng.normal(size=(K, N))
    student = rng.normal(size=(K, N))
    if case == "units twice":
        student[K // 2 :] = student[: K - K // 2]
    if case == "nearly the teacher":
        student = teacher + 1e-7 * student
    scale = {"tiny": 1e-6, "huge": 1e6}.get(case, 1.0)
    student, teacher = scale * student, scale * teacher
    Q, R, T = student @ student.T / N, student @ teacher.T / N, teacher @ teacher.T / N
    v, u = rng.normal(size=K), rng.normal(size=K)
    if case == "nearly the teacher":
        v = u
    found = hr.theory.generalisation_error(Q, R, T, v, u, activation=unit)
    terms = np.abs(v).sum() ** 2 + np.abs(u).sum() ** 2
    # Rounding of each of the terms, of both signs; of saturated units that of the arc sine's argument, which is 1 but
    # for 1/scale^2, grows by the arc sine's slope there.
    size = max(1.0, scale) if unit == "erf" else scale**2 * 4
    assert found == pytest.approx(error_of_overlaps(unit, Q, R, T, v, u), rel=1e-12, abs=1e-15 * terms * size)
    assert found >= -1e-15 * terms * size


# -- the hinge ---------------------------------------------------------------------------------------


def clock(gamma, d, h, alpha, beta, p):
    """Time at which the angle is gamma, for a Gaussian law: the integral of one over its speed, in 40 digits."""
    with mp.workdps(40):
        h, alpha, beta, d = mp.mpf(h), mp.mpf(alpha), mp.mpf(beta), mp.mpf(d)
        rate = beta * alpha ** (1 - p) / mp.sqrt(2 * mp.pi * d)

        def slowness(g):
            chi = 2 * (h / alpha) * mp.sqrt(d) / mp.sinh(2 * g)
            return -1 / mp.expm1(-(chi**2) / 2)

        # Where chi is of order one the speed changes from constant to falling.
        turn = mp.asinh(2 * (h / alpha) * mp.sqrt(d)) / 2
        cuts = sorted(
            {mp.mpf(0), mp.mpf(gamma)} | {c for c in (turn / 8, turn / 2, turn, 2 * turn) if 0 < c < gamma}
        )
        return mp.quad(slowness, cuts) / rate


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize(
    ("h", "alpha"), [(1.0, 1.0), (1.0, 1e6), (1.0, 1e-6), (1e6, 1.0), (1e-6, 1.0), (1e3, 1e-3)]
)
@pytest.mark.parametrize("d", [1, 3, 1000])
def test_the_angle_of_the_hinge_at_any_ratio_of_margin_and_output(d, h, alpha, p):
    theory = hr.theory.HingeMeanField(d, h=h, alpha=alpha, beta=0.7, p=p)
    for gamma in (1e-8, 1e-3, 0.3, 2.0, 8.0):
        t = float(clock(gamma, d, h, alpha, 0.7, p))
        if not 1e-300 < t < 1e300:
            continue
        # Quadrature of the package; the tables of the law.
        assert float(theory.time_of_gamma(gamma)) == pytest.approx(t, rel=1e-8)
        assert float(theory.gamma(t)) == pytest.approx(gamma, rel=1e-8)


# -- points ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_kernels_of_points_that_repeat(d, scale):
    """A kernel of repeated points repeats its rows, to the bit, and stays positive semidefinite."""
    x = scale * np.random.default_rng(0).normal(size=(5, d))
    X = np.r_[x, x[::-1]]
    for kernel in (hr.kernels.ntk(X), hr.kernels.laplace(X, scale=scale)):
        np.testing.assert_array_equal(kernel[:5], kernel[5:][::-1])
        np.testing.assert_array_equal(kernel, kernel.T)
        values = np.linalg.eigvalsh(kernel)
        assert values[0] >= -1e-13 * values[-1]


@pytest.mark.parametrize("label", [-1.0, 1.0])
def test_labels_of_one_class(label):
    """What needs two classes says so; what does not is right."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 3)), np.full(20, label)
    kernel = hr.kernels.ntk(X)
    with pytest.raises(hr.HmmError):
        hr.kernels.svc(kernel, y)
    flow = hr.KernelFlow(kernel, y)
    result = flow.run(max_steps=2000)
    assert result.attrs["stopped"]
    assert (flow.margins > 0).all()
    network = hr.MeanFieldNetwork.random(40, 3, std_b=1.0, activation="relu", seed=1)
    found = hr.GradientFlow(network, X, y).run(max_steps=200)
    assert np.isfinite(found.loss).all()
    assert found.loss[-1] < found.loss[0]


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("alpha", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("h", [1e-6, 1.0, 1e6])
def test_a_step_of_particles_at_any_size_of_margin_and_output(h, alpha, p):
    """One step by hand: da = alpha^(1-p)/n times the sum of y relu(w x/sqrt d) over examples below their margin."""
    d, M, dt = 4, 30, 1e-3
    X, y = hr.LinearlySeparable(d).sample(20)
    network = hr.MeanFieldNetwork.random(M, d, seed=1)
    engine = hr.Particles(network, X, y, h=h, alpha=alpha, p=p)
    engine.run(1, dt=dt)
    w, a = network.w, network.a
    fields = X @ w.T / np.sqrt(d)
    below = y * (alpha * np.maximum(fields, 0) @ a / M) < h
    rate = dt * alpha ** (1 - p) / len(y)
    da = rate * (y * below) @ np.maximum(fields, 0)
    dw = rate * a[:, None] * (((fields > 0) * (y * below)[:, None]).T @ X) / np.sqrt(d)
    np.testing.assert_allclose(engine.network.a, a + da, rtol=1e-12)
    np.testing.assert_allclose(engine.network.w, w + dw, rtol=1e-12, atol=1e-12)
