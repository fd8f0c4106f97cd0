"""Gaussian averages against quadrature that shares no code with them."""

from __future__ import annotations

import itertools

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

import hmm_rs as hr
from hmm_rs import theory

UNITS = ("erf", "relu", "linear")


def g(unit, x):
    return {"erf": special.erf(x / np.sqrt(2)), "relu": np.maximum(x, 0), "linear": x}[unit]


def slope(unit, x):
    return {"erf": np.sqrt(2 / np.pi) * np.exp(-x * x / 2), "relu": (x > 0) * 1.0, "linear": 1 + 0 * x}[unit]


def covariance(seed, n, extra=2):
    X = np.random.default_rng(seed).standard_normal((n, n + extra))
    return X @ X.T / (n + extra)


def plane_average(h, C):
    """E h(x, y) for two fields, exact in the radius' panels and in angular sectors between kinks.

    Fields are (x, y) = A (r cos t, r sin t); h may have kinks where x = 0 or y = 0, which are rays.
    """
    A = np.linalg.cholesky(C)
    rays = [np.arctan2(-A[i, 0], A[i, 1]) for i in range(2)]
    edges = np.unique(np.concatenate([np.mod([ray, ray + np.pi], 2 * np.pi) for ray in rays]))
    edges = np.append(edges, edges[0] + 2 * np.pi)
    nodes, weights = np.polynomial.legendre.leggauss(60)
    r_edges = np.linspace(0, 12, 13)
    r = np.concatenate([0.5 * (b - a) * nodes + 0.5 * (a + b) for a, b in itertools.pairwise(r_edges)])
    r_weights = np.tile(weights * 0.5, 12) * r * np.exp(-r * r / 2) / (2 * np.pi)
    total = 0.0
    for a, b in itertools.pairwise(edges):
        t = 0.5 * (b - a) * nodes + 0.5 * (a + b)
        direction = A @ np.array([np.cos(t), np.sin(t)])
        values = h(r[:, None] * direction[0], r[:, None] * direction[1])
        total += r_weights @ values @ weights * 0.5 * (b - a)
    return total


@pytest.mark.parametrize("first", UNITS)
@pytest.mark.parametrize("second", UNITS)
@pytest.mark.parametrize("seed", range(3))
def test_two_fields_of_any_units(first, second, seed):
    C = covariance(seed, 2)
    expected = plane_average(lambda x, y: g(first, x) * g(second, y), C)
    assert abs(theory.i2(C, (first, second)) - expected) < 1e-10


@pytest.mark.parametrize("first", UNITS)
@pytest.mark.parametrize("third", UNITS)
def test_three_fields_of_any_units(first, third):
    """The middle field enters linearly: its mean given the other two leaves a plane average."""
    C = covariance(7, 3)
    others = [0, 2]
    coefficients = np.linalg.solve(C[np.ix_(others, others)], C[others, 1])
    expected = plane_average(
        lambda x, y: slope(first, x) * (coefficients[0] * x + coefficients[1] * y) * g(third, y),
        C[np.ix_(others, others)],
    )
    assert abs(theory.i3(C, (first, "erf", third)) - expected) < 1e-10


@pytest.mark.parametrize("gate", UNITS)
@pytest.mark.parametrize("third", UNITS)
@pytest.mark.parametrize("fourth", UNITS)
def test_four_fields_of_rank_two(gate, third, fourth):
    """x1, x2 span the plane; x3 = x1, x4 = -2 x2 keep all kinks on two rays."""
    plane = covariance(3, 2)
    B = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, -2.0]])
    expected = plane_average(
        lambda x, y: slope(gate, x) * slope(gate, y) * g(third, x) * g(fourth, -2 * y), plane
    )
    assert abs(theory.i4(B @ plane @ B.T, (gate, gate, third, fourth)) - expected) < 1e-10


@pytest.mark.parametrize("gate", UNITS)
@pytest.mark.parametrize("third", UNITS)
@pytest.mark.parametrize("fourth", UNITS)
def test_four_independent_fields_by_sampling(gate, third, fourth):
    """All four fields distinct: 2e6 antithetic samples, five standard errors."""
    C = covariance(5, 4)
    rng = np.random.default_rng(1)
    x = np.linalg.cholesky(C) @ rng.standard_normal((4, 1_000_000))
    values = 0.0
    for sign in (1, -1):
        fields = sign * x
        values = values + 0.5 * (
            slope(gate, fields[0]) * slope(gate, fields[1]) * g(third, fields[2]) * g(fourth, fields[3])
        )
    error = values.std() / 1000
    assert abs(theory.i4(C, (gate, gate, third, fourth)) - values.mean()) < 5 * error + 1e-12


@pytest.mark.parametrize("gap", [1e-2, 1e-4, 1e-6, 1e-8, 1e-9])
def test_relu_gates_nearly_parallel(gap):
    """E[1(a) 1(b) a+ a+] = E[1(b) a+^2]: closed by hand for any correlation."""
    rho = 1 - gap
    plane = np.array([[1.0, rho], [rho, 1.0]])
    B = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
    # E[a^2 1(a>0) 1(b>0)] = P2 + rho sqrt(1 - rho^2)/(2 pi), with arccos from the gap itself.
    angle = 2 * np.arcsin(np.sqrt(gap / 2))
    expected = (np.pi - angle + rho * np.sqrt(gap * (1 + rho))) / (2 * np.pi)
    assert abs(theory.i4(B @ plane @ B.T, "relu") - expected) < (1e-7 if gap < 1e-7 else 1e-10)


@pytest.mark.parametrize("gap", [1e-3, 1e-5, 1e-7, 1e-8])
@pytest.mark.parametrize("seed", range(4))
def test_relu_four_fields_in_two_nearly_parallel_pairs(gap, seed):
    """Two pairs of correlation 1 - gap against a one-dimensional integral in mpmath."""
    mp = pytest.importorskip("mpmath")
    rng = np.random.default_rng(seed)
    r = rng.uniform(-0.8, 0.8)
    rho = 1 - gap
    C = np.array([[1, rho, r, r * rho], [rho, 1, r * rho, r], [r, r * rho, 1, rho], [r * rho, r, rho, 1.0]])
    C = 0.5 * (C + C.T)
    found = theory.i4(C, "relu")
    assert abs(found - relu_i4_mpmath(mp, C)) < (1e-10 if gap >= 1e-3 else 1e-7)


def relu_i4_mpmath(mp, C):
    """The recursion of moments in 60 digits, the four-gate probability by mpmath's quadrature."""
    mp.mp.dps = 60
    C = [[mp.mpf(float(x)) for x in row] for row in C]
    fields = range(4)

    def given_zero(C, l):
        return [[C[i][j] - C[i][l] * C[j][l] / C[l][l] for j in fields] for i in fields]

    def rho(C, i, j):
        return C[i][j] / mp.sqrt(C[i][i] * C[j][j])

    def probability(C, S):
        S = list(S)
        if len(S) == 1:
            return mp.mpf(1) / 2
        pairs = [(i, j) for n, i in enumerate(S) for j in S[n + 1 :]]
        angles = sum(mp.asin(rho(C, i, j)) for i, j in pairs)
        if len(S) == 2:
            return mp.mpf(1) / 4 + angles / (2 * mp.pi)
        if len(S) == 3:
            return mp.mpf(1) / 8 + angles / (4 * mp.pi)
        return four(C)

    def four(C):
        # The correlations between the pairs (0,1) and (2,3) grow with t; at t = 0 the pairs are
        # independent: P = P2 P2.
        start = probability(C, (0, 1)) * probability(C, (2, 3))
        cross = [(0, 2, 1, 3), (0, 3, 1, 2), (1, 2, 0, 3), (1, 3, 0, 2)]

        def rate(t):
            R = [[rho(C, i, j) * (t if (i < 2) != (j < 2) else 1) for j in fields] for i in fields]
            total = mp.mpf(0)
            for i, j, u, w in cross:
                det = 1 - R[i][j] ** 2

                def conditional(x, y, i=i, j=j, det=det):
                    return R[x][y] - (
                        R[i][x] * R[i][y] + R[j][x] * R[j][y]
                        - R[i][j] * (R[i][x] * R[j][y] + R[j][x] * R[i][y])
                    ) / det  # fmt: skip

                kappa = conditional(u, w) / mp.sqrt(conditional(u, u) * conditional(w, w))
                kappa = max(min(kappa, mp.mpf(1)), mp.mpf(-1))
                total += (
                    rho(C, i, j) / (2 * mp.pi * mp.sqrt(det)) * (mp.mpf(1) / 4 + mp.asin(kappa) / (2 * mp.pi))
                )
            return total

        return start + mp.quad(rate, [0, 0.5, 0.9, 0.99, 1 - mp.mpf(10) ** -4, 1 - mp.mpf(10) ** -6, 1])

    def first(C, S, i):
        return sum(
            C[i][l]
            / mp.sqrt(2 * mp.pi * C[l][l])
            * (probability(given_zero(C, l), S - {l}) if S - {l} else 1)
            for l in S
        )

    def second(C, S, i, j):
        total = C[i][j] * probability(C, S)
        for l in S - {j}:
            total += C[i][l] / mp.sqrt(2 * mp.pi * C[l][l]) * first(given_zero(C, l), S - {l}, j)
        return total

    return float(second(C, set(fields), 2, 3))


@pytest.mark.parametrize("seed", range(6))
def test_relu_four_generic_fields_to_ten_digits(seed):
    mp = pytest.importorskip("mpmath")
    C = covariance(100 + seed, 4, extra=seed)
    assert abs(theory.i4(C, "relu") - relu_i4_mpmath(mp, C)) < 1e-10


@given(st.integers(0, 10_000), st.integers(1, 4))
def test_i4_of_any_rank_is_continuous(seed, rank):
    """A singular covariance and one lifted by 1e-10 differ by the root of the lift at most."""
    X = np.random.default_rng(seed).standard_normal((4, rank))
    C = X @ X.T
    for unit in UNITS:
        change = theory.i4(C, unit) - theory.i4(C + 1e-10 * np.eye(4), unit)
        assert abs(change) < 1e-3 * (1 + np.abs(C).max())


@given(st.integers(0, 10_000), st.sampled_from(UNITS))
def test_batches_equal_single_calls(seed, unit):
    C = np.stack([covariance(seed + i, 4) for i in range(6)]).reshape(2, 3, 4, 4)
    batch = theory.i4(C, unit)
    assert batch.shape == (2, 3)
    assert batch[1, 2] == theory.i4(C[1, 2], unit)


def test_zero_variances():
    zero = np.zeros((4, 4))
    for unit in UNITS:
        assert theory.i2(zero[:2, :2], unit) == 0.0
        assert theory.i3(zero[:3, :3], unit) == 0.0
        assert theory.i4(zero, unit) == 0.0


def exact_i3(C):
    """I3 of erf units in 400 digits, by the covariance's own numbers."""
    with mpmath.workdps(400):
        a, b, c = (mpmath.mpf(float(C[0, i])) for i in range(3))
        bc, cc = mpmath.mpf(float(C[1, 2])), mpmath.mpf(float(C[2, 2]))
        gates = 2 / mpmath.pi / mpmath.sqrt((1 + a) * (1 + cc) - c * c)
        return float(gates * (bc - b * c / (1 + a)))


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e5, 1e12, 1e16, 1e20, 1e60, 1e140])
@pytest.mark.parametrize("field", ["one", "two"])
def test_fields_of_any_variance(scale, field):
    C = np.ones((3, 3)) if field == "one" else np.array([[1.0, 0.5, 1.0], [0.5, 2.0, 0.5], [1.0, 0.5, 1.0]])
    C = scale * C
    assert float(theory.i3(C)) == pytest.approx(exact_i3(C), rel=1e-12)


@pytest.mark.parametrize("scale", [1e5, 1e9, 1e16, 1e40, 1e140])
def test_two_gates_of_one_large_field_are_the_density_at_zero(scale):
    # g' is a density of unit variance, so g'(x)² g(x)² is (2/π) exp(-x²) erf(x/√2)² over a flat field:
    # E = (2/π)/√(2π scale) ∫ exp(-x²) erf(x/√2)² dx.
    x = np.linspace(-12, 12, 20_001)
    integral = np.trapezoid(np.exp(-x * x) * special.erf(x / np.sqrt(2)) ** 2, x)
    expected = 2 / np.pi / np.sqrt(2 * np.pi * scale) * integral
    assert float(theory.i4(np.full((4, 4), scale))) == pytest.approx(expected, rel=max(1e-10, 1 / scale))


def test_variances_whose_products_overflow_are_refused():
    with pytest.raises(hr.InvalidParameterError, match="finite numbers"):
        theory.i3(np.full((3, 3), 1e200))


def test_a_rectifier_of_a_field_that_is_always_zero_is_shut():
    # The simulation's convention, g'(0) = 0.
    C = np.diag([0.0, 0.0, 1.0, 1.0])
    assert float(theory.i4(C, "relu")) == 0.0
    assert float(theory.i3(np.diag([0.0, 1.0, 1.0]), ("relu", "relu", "linear"))) == 0.0
    linear = theory.i4(np.diag([1.0, 1.0, 1.0, 1.0]), ("relu", "relu", "linear", "linear"))
    assert float(linear) == pytest.approx(0.0, abs=1e-15)


def test_more_covariances_than_memory_are_refused():
    with pytest.raises(hr.ResourceError):
        theory.i4(np.broadcast_to(np.eye(4), (10**11, 4, 4)))
    with pytest.raises(hr.ResourceError):
        theory.marchenko_pastur(0.1, 10**13)
    assert theory.i4(np.zeros((0, 4, 4))).shape == (0,)


def test_units_have_two_names():
    C = covariance(5, 2)
    assert theory.i2(C, ("identity", "erf")) == theory.i2(C, ("linear", "erf"))


@pytest.mark.parametrize(
    ("C", "unit", "error"),
    [
        (np.eye(3), "erf", hr.ShapeError),
        (np.ones(2), "erf", hr.ShapeError),
        ([[1.0, 2.0], [2.0, 1.0]], "erf", hr.InvalidParameterError),
        ([[1.0, 0.5], [0.0, 1.0]], "erf", hr.InvalidParameterError),
        ([[1.0, np.nan], [np.nan, 1.0]], "erf", hr.InvalidParameterError),
        (np.eye(2), "tanh", hr.InvalidParameterError),
        (np.eye(2), ("erf",), hr.ShapeError),
    ],
)
def test_bad_covariances(C, unit, error):
    with pytest.raises(error):
        theory.i2(C, unit)


def test_gates_of_two_units_are_refused():
    with pytest.raises(hr.InvalidParameterError, match="gates"):
        theory.i4(np.eye(4), ("erf", "relu", "erf", "erf"))
