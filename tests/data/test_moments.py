"""Moments of the data's nonlinearity: steep, narrow, rough and single-precision functions; rows of any norm."""

import math

import numpy as np
import pytest
from scipy.integrate import quad

import hmm_rs as hr
from hmm_rs.data.covariances import one_layer_covariances, row_variances
from hmm_rs.data.moments import row_moments
from hmm_rs.errors import ConvergenceError, InvalidParameterError
from hmm_rs.theory import gaussian_moments


@pytest.mark.parametrize(
    ("f", "expected"),
    [
        (lambda u: np.exp(5 * u), (math.exp(12.5), 5 * math.exp(12.5), math.exp(50))),
        (lambda u: np.exp(-8 * u), (math.exp(32), -8 * math.exp(32), math.exp(128))),
        (lambda u: np.exp(u**2 / 5), ((1 - 0.4) ** -0.5, 0.0, (1 - 0.8) ** -0.5)),
        (lambda u: np.floor(10 * u) + 0.5, (0.0, None, None)),
        (lambda u: (u > 0.3) * 1, (0.3820885778110474, 0.38138781546052414, 0.3820885778110474)),
        (lambda u: np.abs(u - 0.123), (None, None, 1 + 0.123**2)),
        (np.cos, (math.exp(-0.5), 0.0, 0.5 * (1 + math.exp(-2)))),
    ],
)
def test_steep_and_jumping_functions_have_their_moments(f, expected):
    for value, right in zip(gaussian_moments(f), expected, strict=True):
        if right is not None:
            assert value == pytest.approx(right, rel=1e-10, abs=1e-10)


@pytest.mark.parametrize(("width", "place"), [(1e-3, 3.0), (3e-4, -0.7), (1e-2, 1.234567)])
def test_narrow_peaks_are_seen(width, place):
    a, b, c = gaussian_moments(lambda u: np.exp(-(((u - place) / width) ** 2) / 2))
    # A Gaussian of this width under a Gaussian of width 1.
    total = 1 + width**2
    right = width / math.sqrt(total) * math.exp(-(place**2) / (2 * total))
    assert a == pytest.approx(right, rel=1e-9)
    assert b == pytest.approx(right * place / total, rel=1e-9)
    assert c > 0
    if (width, place) == (1e-3, 3.0):
        assert a == pytest.approx(1.1109e-05, rel=1e-4)


def test_single_precision_is_smooth_as_far_as_it_goes():
    found = gaussian_moments(lambda u: np.tanh(u).astype(np.float32))
    assert found == pytest.approx(gaussian_moments("tanh"), abs=1e-6)
    assert hr.HiddenManifold(30, 10, f=lambda u: np.tanh(u).astype(np.float32)).moments == found


@pytest.mark.parametrize(
    ("f", "error", "message"),
    [
        (lambda u: np.exp(u**2 / 4), ConvergenceError, "grows as fast"),
        (lambda u: np.exp(u**2 / 3), ConvergenceError, "grows as fast"),
        # Rounded to single precision within, double outside: noise that no polynomial foretells.
        (lambda u: np.sin(np.float32(u)).astype(np.float64), ConvergenceError, "single|double"),
        (lambda u: np.where(u > 7, np.nan, u), InvalidParameterError, "not finite"),
        (lambda u: np.sqrt(5 - u), InvalidParameterError, "not finite"),
    ],
)
def test_what_has_no_moments_is_refused(f, error, message):
    with pytest.raises(error, match=message):
        gaussian_moments(f)


def test_functions_meet_arrays_of_two_axes_only():
    shapes = set()

    def rows(u):
        shapes.add(np.ndim(u))
        return np.stack([np.tanh(row) for row in u])

    model = hr.HiddenManifold(40, 10, f=rows)
    np.testing.assert_allclose(model.moments, hr.HiddenManifold(40, 10, f="tanh").moments, atol=1e-10)
    np.testing.assert_allclose(
        model.sample(20)[0], hr.HiddenManifold(40, 10, f="tanh").sample(20)[0], atol=1e-12
    )
    model.covariances(method="exact")
    assert shapes == {2}
    with pytest.raises(hr.ShapeError, match="elementwise"):
        hr.HiddenManifold(40, 10, f=lambda u: u.squeeze())


@pytest.mark.parametrize(
    "f", ["sign", "erf", "relu", "tanh", "identity", np.cos, lambda u: np.maximum(u, 0) - 0.3]
)
def test_rows_have_their_own_moments(f):
    q = np.array([0.01, 0.3, 1.0, 4.0, 90.0])
    a, b, c = row_moments(f, q)
    named = {
        "sign": np.sign,
        "erf": lambda u: math.erf(u / math.sqrt(2)),
        "relu": lambda u: max(u, 0.0),
        "tanh": math.tanh,
        "identity": lambda u: u,
    }
    function = named[f] if isinstance(f, str) else f

    def average(weight, root):
        def integrand(z):
            return weight(root * z) * math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)

        return sum(quad(integrand, *ends, epsabs=1e-11, limit=400)[0] for ends in ((-10, 0), (0, 10)))

    for i, root in enumerate(np.sqrt(q)):
        assert a[i] == pytest.approx(average(function, root), abs=1e-8)
        assert b[i] * q[i] == pytest.approx(average(lambda u: u * function(u), root), abs=1e-8)
        assert c[i] == pytest.approx(average(lambda u: function(u) ** 2, root), abs=1e-8)
    if isinstance(f, str):
        assert (a[2], b[2], c[2]) == gaussian_moments(f)


def test_the_expansion_gives_the_closed_forms():
    F = np.random.default_rng(3).standard_normal((40, 30)) * np.geomspace(0.2, 5, 40)[:, None]
    twins = {
        "sign": lambda u: np.sign(u),
        "relu": lambda u: np.maximum(u, 0.0),
        "identity": lambda u: 1.0 * u,
    }
    for name, twin in twins.items():
        for ours, closed in zip(one_layer_covariances(F, twin), one_layer_covariances(F, name), strict=True):
            # 1e-10 of the product of two standard deviations of up to 5.
            np.testing.assert_allclose(ours, closed, atol=5e-9)


@pytest.mark.parametrize("f", ["tanh", np.cos, lambda u: np.maximum(u, 0) - 0.3])
def test_exact_covariances_hold_for_any_function_and_rows_of_any_norm(f):
    F = np.random.default_rng(1).standard_normal((6, 4)) * [[0.3], [0.6], [1.0], [1.5], [2.0], [3.0]]
    model = hr.HiddenManifold(6, 4, f=f, F=F)
    n = 400_000
    X, C = model.sample(n)
    omega, phi = model.covariances(method="exact")
    spread = np.sqrt(np.diag(omega))
    # Each input is centred with its own mean; five standard errors of a covariance.
    assert (np.abs(X.mean(0)) < 5 * spread / math.sqrt(n)).all()
    allowed = 5 * np.sqrt(3 / n) * np.outer(spread, spread)
    assert (np.abs(X.T @ X / n - omega) < allowed).all()
    assert (np.abs(X.T @ C / n - phi) < 5 * np.sqrt(3 / n) * spread[:, None]).all()
    # Unequal rows take the exact ones by themselves, and their conjugate has the linearised ones.
    assert (model.covariances()[0] == omega).all()
    G, H = hr.GaussianEquivalent(model).sample(n)
    linear, slope = model.covariances(method="linearised")
    np.testing.assert_allclose(np.diag(linear), np.diag(omega), rtol=1e-9)
    np.testing.assert_allclose(slope, phi, rtol=1e-12)
    assert (np.abs(G.T @ G / n - linear) < allowed).all()
    assert (np.abs(G.T @ H / n - slope) < 5 * np.sqrt(3 / n) * spread[:, None]).all()


def test_unit_rows_are_as_they_were():
    F = np.random.default_rng(0).standard_normal((20, 8))
    model = hr.HiddenManifold(20, 8, f="relu", F=F, normalise_rows=True)
    assert model.row_moments is None
    unit = model.F
    again = hr.HiddenManifold(20, 8, f="relu", F=unit)
    np.testing.assert_allclose(row_variances(unit), 1.0, rtol=1e-14)
    np.testing.assert_allclose(again.sample(30)[0], model.sample(30)[0], atol=1e-14)
    assert hr.HiddenManifold(20, 8, f="relu").row_moments is None


def test_parallel_rows_of_a_bent_function_are_refused_and_of_a_smooth_one_are_not():
    F = np.array([[1.0, 0.0], [1.0, 1e-6]])
    smooth, _ = one_layer_covariances(F, lambda u: np.sin(u))
    assert smooth[0, 1] == pytest.approx(smooth[0, 0], rel=1e-5)
    with pytest.raises(ConvergenceError, match="nearly parallel"):
        one_layer_covariances(F, lambda u: np.sign(u) + 0.0)
    with pytest.raises(InvalidParameterError, match="row of zeros"):
        one_layer_covariances(np.array([[1.0, 0.0], [0.0, 0.0]]), np.cos)
