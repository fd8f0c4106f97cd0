"""Units without closed averages: quadrature over the fields against closed forms and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

import hmm_rs as hr
from hmm_rs import theory


def erf_unit(x):
    return special.erf(x / np.sqrt(2))


def problem(K, M, seed=0, **options):
    X = np.random.default_rng(seed).standard_normal((K + M, K + M + 2))
    C = X @ X.T / (K + M + 2)
    return theory.SaadSolla(
        C[:K, :K], C[:K, K:], T=C[K:, K:], v0=np.linspace(0.8, 1.2, K), v_teacher=np.linspace(1.1, 0.7, M),
        **{"lr": 0.3, "lr_v": 0.1, "noise": 0.2, **options},
    )  # fmt: skip


@pytest.mark.parametrize(("K", "M"), [(1, 1), (2, 1), (1, 2), (2, 2), (3, 1)])
def test_erf_as_a_function_equals_erf_in_closed_form(K, M):
    times = [0.0, 1.0, 4.0]
    closed = problem(K, M).solve(times)
    sampled = problem(K, M, activation=erf_unit).solve(times, rtol=1e-6)
    for name in ("eg", "Q", "R", "v"):
        # rtol of the solve; the quadrature itself is good to 1e-8.
        np.testing.assert_allclose(sampled[name], closed[name], atol=1e-6, err_msg=name)


def test_mixed_with_closed_units():
    times = [0.0, 2.0]
    closed = problem(2, 2, teacher_activation="linear").solve(times)
    sampled = problem(2, 2, activation=erf_unit, teacher_activation="linear").solve(times, rtol=1e-6)
    np.testing.assert_allclose(sampled.eg, closed.eg, atol=1e-6)


def test_stiff_method_works_too():
    system = problem(1, 1, activation="tanh")
    first = system.solve([0.0, 5.0], method="explicit", rtol=1e-7)
    second = system.solve([0.0, 5.0], method="stiff", rtol=1e-7)
    np.testing.assert_allclose(first.Q, second.Q, atol=1e-6)


def test_tanh_error_of_one_unit():
    """eg = 1/2 E[(tanh x - tanh y)^2] by an independent two-dimensional trapezoidal rule."""
    Q, R, T = 1.3, 0.4, 0.8
    z = np.linspace(-8, 8, 801)
    weight = np.exp(-z * z / 2) / np.sqrt(2 * np.pi) * (z[1] - z[0])
    x = np.sqrt(Q) * z[:, None]
    y = R / np.sqrt(Q) * z[:, None] + np.sqrt(T - R * R / Q) * z
    expected = 0.5 * weight @ (np.tanh(x) - np.tanh(y)) ** 2 @ weight
    found = theory.generalisation_error([[Q]], [[R]], [[T]], [1.0], [1.0], activation="tanh")
    assert abs(found - expected) < 1e-9


def test_student_equal_to_teacher_stays():
    T = np.array([[1.0, 0.3], [0.3, 1.2]])
    system = theory.SaadSolla(T, T, T=T, v0=[1, 1], v_teacher=[1, 1], lr=0.3, lr_v=0.2, activation=np.arctan)
    result = system.solve([0.0, 2.0], rtol=1e-6)
    np.testing.assert_allclose(result.Q[1], T, atol=1e-6)
    np.testing.assert_allclose(result.eg, 0.0, atol=1e-7)


@pytest.mark.parametrize(
    ("K", "M", "options", "words"),
    [
        (3, 2, {"activation": "tanh"}, "K \\+ M"),
        (1, 1, {"activation": "tanh", "teacher_activation": "relu"}, "smooth"),
        (1, 1, {"activation": lambda x: 0.0}, "shape"),
        (1, 1, {"activation": lambda x: np.sqrt(x - 5.0)}, "finite"),
        (1, 1, {"activation": 3}, "smooth function"),
    ],
)
def test_bad_units(K, M, options, words):
    with np.errstate(all="ignore"), pytest.raises(hr.HmmError, match=words):
        problem(K, M, **options)
