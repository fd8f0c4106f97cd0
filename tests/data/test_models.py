"""Data models: conventions, streams, structured features, bad input."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import erf

import hmm_rs as hr
from hmm_rs.data.hidden_manifold import one_layer_covariances

NONLINEARITIES = {
    "sign": np.sign,
    "erf": lambda u: erf(u / np.sqrt(2)),
    "relu": lambda u: np.maximum(u, 0),
    "tanh": np.tanh,
    "identity": lambda u: u,
}


@pytest.mark.parametrize("f", NONLINEARITIES)
@pytest.mark.parametrize("F", ["gaussian", "orthogonal", "hadamard", "dct"])
def test_inputs_are_f_of_the_fields_minus_the_mean(f, F):
    model = hr.HiddenManifold(64, 20, f=f, F=F, seed=3)
    X, C = model.sample(50, seed=5)
    u = C @ model.F.T / np.sqrt(model.D)
    # Two orders of summation of 20 terms: a few ulp of values of order one.
    np.testing.assert_allclose(X, NONLINEARITIES[f](u) - model.moments[0], atol=1e-13)


@pytest.mark.parametrize("F", ["orthogonal", "hadamard", "dct"])
@pytest.mark.parametrize("D", [1, 7, 32])
def test_orthogonal_features_have_gram_n(F, D):
    features = hr.HiddenManifold(32, D, F=F, seed=1).F
    np.testing.assert_allclose(features.T @ features, 32 * np.eye(D), atol=1e-12)


def test_dct_works_for_any_n():
    features = hr.HiddenManifold(45, 11, F="dct").F
    np.testing.assert_allclose(features.T @ features, 45 * np.eye(11), atol=1e-12)


@pytest.mark.parametrize("F", ["gaussian", "orthogonal", "dct", "array"])
def test_normalised_rows_have_squared_norm_d(F):
    given_F = np.random.default_rng(0).standard_normal((32, 8)) if F == "array" else F
    features = hr.HiddenManifold(32, 8, F=given_F, normalise_rows=True).F
    np.testing.assert_allclose((features**2).sum(1), 8, rtol=1e-13)


def test_rows_do_not_depend_on_how_many_were_asked_for():
    model = hr.HiddenManifold(300, 30, f="erf")
    X, C = model.sample(700, seed=9)
    for start, count in [(0, 1), (127, 2), (128, 128), (130, 400), (699, 1)]:
        x, c = model.sample(count, seed=9, start=start)
        assert (x == X[start : start + count]).all()
        assert (c == C[start : start + count]).all()


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
@pytest.mark.parametrize("F", ["gaussian", "orthogonal", "hadamard", "dct"])
def test_same_bits_on_any_number_of_threads(threads, F):
    reference = hr.HiddenManifold(256, 40, F=F).sample(600, threads=2)
    hr.set_num_threads(threads)
    try:
        X, C = hr.HiddenManifold(256, 40, F=F).sample(600, threads=threads)
    finally:
        hr.set_num_threads(2)
    assert (reference[0] == X).all()
    assert (reference[1] == C).all()


def test_single_precision_sees_the_same_latents():
    model = hr.HiddenManifold(100, 10, f="tanh")
    X, C = model.sample(300)
    x, c = model.sample(300, dtype="float32")
    assert x.dtype == c.dtype == np.float32
    assert (c == C.astype(np.float32)).all()
    np.testing.assert_allclose(x, X, atol=3e-6)  # 10 terms of single precision


def test_seeds_name_different_streams():
    model = hr.HiddenManifold(50, 400, seed=0)
    a, b = model.sample(50, seed=0)[1], model.sample(50, seed=1)[1]
    other = hr.HiddenManifold(50, 400, seed=1)
    # 20,000 pairs: the correlation of independent streams is 0 +- 0.007; 5 sigma.
    assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.035
    assert abs(np.corrcoef(model.F.ravel(), other.F.ravel())[0, 1]) < 0.035
    # The sample stream is not the feature matrix again.
    assert abs(np.corrcoef(a.ravel(), model.F.ravel())[0, 1]) < 0.035


def test_callable_nonlinearity_equals_the_named_one():
    X, _ = hr.HiddenManifold(60, 12, f=np.tanh).sample(200)
    Y, _ = hr.HiddenManifold(60, 12, f="tanh").sample(200)
    np.testing.assert_allclose(X, Y, atol=1e-14)
    a, b, c = hr.HiddenManifold(60, 12, f=np.tanh).moments
    np.testing.assert_allclose((a, b, c), hr.HiddenManifold(60, 12, f="tanh").moments, atol=1e-10)


@pytest.mark.parametrize("f", ["sign", "erf", "relu"])
def test_exact_covariances_match_samples(f):
    model = hr.HiddenManifold(12, 5, f=f, seed=2, normalise_rows=True)
    X, C = model.sample(200_000, seed=1)
    omega, phi = model.covariances(method="exact")
    # Standard error of a covariance of order-one variables at 2e5 samples: 0.0022; 5 sigma.
    np.testing.assert_allclose(X.T @ X / len(X), omega, atol=0.012)
    np.testing.assert_allclose(X.T @ C / len(X), phi, atol=0.012)


def test_exact_covariances_of_rows_of_any_norm():
    F = np.random.default_rng(1).standard_normal((6, 4)) * [[0.3], [0.6], [1.0], [1.5], [2.0], [3.0]]
    for f in ("sign", "erf", "relu"):
        X, C = hr.HiddenManifold(6, 4, f=f, F=F).sample(200_000)
        X = X - X.mean(0)
        omega, phi = one_layer_covariances(F, f)
        scale = max(1.0, omega.max())
        np.testing.assert_allclose(X.T @ X / len(X), omega, atol=0.015 * scale)
        np.testing.assert_allclose(X.T @ C / len(X), phi, atol=0.015 * scale)


@pytest.mark.parametrize("f", ["sign", "relu"])
def test_conjugate_data_have_the_same_second_moments(f):
    model = hr.HiddenManifold(30, 10, f=f)
    X, C = hr.GaussianEquivalent(model).sample(200_000)
    omega, phi = model.covariances(method="linearised")
    np.testing.assert_allclose(X.T @ X / len(X), omega, atol=0.02)
    np.testing.assert_allclose(X.T @ C / len(X), phi, atol=0.02)


def test_conjugate_data_of_gaussian_inputs_are_gaussian_inputs():
    model = hr.TeacherStudent(6)
    X, C = hr.GaussianEquivalent(model).sample(50)
    np.testing.assert_allclose(X, C, atol=1e-14)


def test_teacher_student_inputs_are_the_latents():
    X, C = hr.TeacherStudent(17).sample(200)
    assert (X == C).all()
    assert abs(X.std() - 1) < 5 / np.sqrt(2 * X.size)  # 5 sigma of a standard deviation


def test_descriptions_are_frozen_and_compare_by_content():
    F = np.random.default_rng(0).standard_normal((6, 3))
    model = hr.HiddenManifold(6, 3, F=F)
    twin = hr.HiddenManifold(6, 3, F=F.copy())
    assert model == twin
    assert hash(model) == hash(twin)
    assert model != hr.HiddenManifold(6, 3, F=F + 1)
    with pytest.raises(AttributeError, match="frozen"):
        model.N = 7
    with pytest.raises(ValueError, match="read-only"):
        model.F[0, 0] = 1.0
    again = pickle.loads(pickle.dumps(model))
    assert again == model
    assert copy.deepcopy(model) == model
    assert (again.sample(3)[0] == model.sample(3)[0]).all()


@pytest.mark.parametrize(
    ("error", "make"),
    [
        (hr.InvalidParameterError, lambda: hr.HiddenManifold(0, 1)),
        (hr.InvalidParameterError, lambda: hr.HiddenManifold(10, -1)),
        (hr.DtypeError, lambda: hr.HiddenManifold(10.5, 1)),
        (hr.InvalidParameterError, lambda: hr.HiddenManifold(10, 20, F="orthogonal")),
        (hr.InvalidParameterError, lambda: hr.HiddenManifold(10, 2, F="hadamard")),
        (hr.InvalidParameterError, lambda: hr.HiddenManifold(10, 2, F="fourier")),
        (hr.InvalidParameterError, lambda: hr.HiddenManifold(10, 2, f="sine")),
        (hr.ShapeError, lambda: hr.HiddenManifold(10, 2, F=np.ones((2, 10)))),
        (hr.InvalidParameterError, lambda: hr.HiddenManifold(2, 2, F=np.full((2, 2), np.nan))),
        (hr.ShapeError, lambda: hr.HiddenManifold(10, 2, f=np.sum)),
        (hr.InvalidParameterError, lambda: hr.HiddenManifold(10, 2, seed=-1)),
        (hr.InvalidParameterError, lambda: hr.HiddenManifold(10, 2).sample(0)),
        (hr.InvalidParameterError, lambda: hr.HiddenManifold(10, 2).sample(1, start=-1)),
        (hr.DtypeError, lambda: hr.HiddenManifold(10, 2).sample(1, dtype="int32")),
        (hr.ResourceError, lambda: hr.HiddenManifold(10, 2).sample(10**13)),
        (hr.ResourceError, lambda: hr.HiddenManifold(10**7, 10**6).sample(1)),
        (hr.InvalidParameterError, lambda: hr.HiddenManifold(10, 2, f="tanh").covariances(method="guess")),
        (hr.InvalidParameterError, lambda: hr.TeacherStudent(0)),
        (hr.DtypeError, lambda: hr.GaussianEquivalent("model")),
        (
            hr.InvalidParameterError,
            lambda: hr.GaussianEquivalent(hr.StoredSamples(np.ones((4, 3)), np.ones(4))),
        ),
        (hr.ShapeError, lambda: hr.TwoLayer(np.ones((2, 3)), np.ones(3))),
        (hr.InvalidParameterError, lambda: hr.TwoLayer(np.ones((2, 3)), [1.0, np.inf])),
        (hr.InvalidParameterError, lambda: hr.TwoLayer.random(0, 3)),
        (hr.InvalidParameterError, lambda: hr.TwoLayer.random(1, 3, activation="step")),
        (hr.ShapeError, lambda: hr.TwoLayer.random(1, 3).forward(np.ones((2, 4)))),
    ],
)
def test_bad_input_gives_the_documented_error(error, make):
    with pytest.raises(error) as raised:
        make()
    assert isinstance(raised.value, hr.HmmError)
    assert ";" in str(raised.value) or ":" in str(raised.value)  # rule and remedy


def _raises_for_large(u):
    if u.size > 100:
        raise RuntimeError("my own fault")
    return u


def test_a_failing_callable_is_reported_as_it_is():
    with pytest.raises(RuntimeError, match="my own fault"):
        hr.HiddenManifold(200, 5, f=_raises_for_large, center=False).sample(10)
    with pytest.raises(hr.ShapeError, match="shape"):
        hr.HiddenManifold(200, 5, f=lambda u: u[:, :1] * 0 + 1 if u.size > 6 else u, center=False).sample(10)
    with pytest.raises(hr.InvalidParameterError, match="finite"):
        hr.HiddenManifold(200, 5, f=lambda u: u if u.size <= 6 else u * np.nan, center=False).sample(10)


@given(
    N=st.integers(1, 40),
    D=st.integers(1, 40),
    f=st.sampled_from(list(NONLINEARITIES)),
    F=st.sampled_from(["gaussian", "orthogonal", "hadamard", "dct"]),
    P=st.integers(1, 200),
)
def test_any_description_samples_or_refuses(N, D, f, F, P):
    try:
        model = hr.HiddenManifold(N, D, f=f, F=F)
    except hr.InvalidParameterError:
        assert F != "gaussian"
        assert D > N or (F == "hadamard" and N & (N - 1))
        return
    X, C = model.sample(P)
    assert X.shape == (P, N)
    assert C.shape == (P, D)
    assert np.isfinite(X).all()
