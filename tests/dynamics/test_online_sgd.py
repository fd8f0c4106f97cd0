"""One-pass SGD: against a plain numpy twin, and the promises of reproducibility."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import erf

import hmm_rs as hr
from hmm_rs.ground.arguments import seed_words
from hmm_rs.testing import assert_interruptible

UNITS = {
    "erf": (lambda x: erf(x / np.sqrt(2)), lambda x: np.sqrt(2 / np.pi) * np.exp(-x * x / 2)),
    "relu": (lambda x: np.maximum(x, 0), lambda x: (x > 0).astype(float)),
    "linear": (lambda x: x, np.ones_like),
}


def make(N=120, D=30, K=3, M=2, *, unit="erf", teacher_unit="erf", labels="latent", model=None, **options):
    model = hr.HiddenManifold(N, D, seed=1) if model is None else model
    width = model.D if labels == "latent" else model.N
    teacher = hr.TwoLayer.random(M, width, activation=teacher_unit, std_v=1.0, seed=2)
    student = hr.TwoLayer.random(K, model.N, activation=unit, std_v=1.0, seed=3)
    options = {"lr": 0.2, "test_size": 300, "seed": 4} | options
    return hr.OnlineSGD(model, teacher, student=student, labels=labels, **options)


def numpy_twin(sim, steps):
    """Return (w, v) after `steps` steps, in the plainest numpy."""
    N, batch = sim.model.N, sim.batch
    X, C = sim.model.sample(steps * batch, seed=sim.seed)
    g, slope = UNITS[sim.student.activation]
    teacher_g = UNITS[sim.teacher.activation][0]
    seen = C if sim.labels == "latent" else X
    y = teacher_g(seen @ sim.teacher.w.T / np.sqrt(seen.shape[1])) @ sim.teacher.v
    w, v = sim.student.w.copy(), sim.student.v.copy()
    for step in range(steps):
        rows = slice(step * batch, (step + 1) * batch)
        lam = X[rows] @ w.T / np.sqrt(N)
        delta = g(lam) @ v - y[rows]
        grad_w = (delta[:, None] * v * slope(lam)).T @ X[rows] / batch
        grad_v = delta @ g(lam) / batch
        w_new = w - sim.lr / np.sqrt(N) * grad_w - sim.weight_decay / N * w
        if sim.train_second_layer:
            v = v - sim.lr_v / N * grad_v - sim.weight_decay / N * v
        w = w_new
    return w, v


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"unit": "relu", "teacher_unit": "relu"},
        {"unit": "linear"},
        {"teacher_unit": "linear", "K": 1, "M": 3},
        {"K": 4, "M": 1, "train_second_layer": True, "lr_v": 0.7},
        {"K": 9, "train_second_layer": True, "weight_decay": 0.3},
        {"labels": "input"},
        {"batch": 7, "train_second_layer": True},
        {"batch": 300, "weight_decay": 0.1},
        {"model": hr.TeacherStudent(50)},
        {"model": hr.HiddenManifold(128, 20, F="hadamard", f="relu")},
        {"model": hr.GaussianEquivalent(hr.HiddenManifold(60, 20, f="tanh"))},
        {"model": hr.HiddenManifold(33, 40, f=np.sin)},
    ],
    ids=repr,
)
def test_weights_equal_those_of_a_numpy_twin(options):
    sim = make(**options)
    twin = numpy_twin(sim, 400)
    sim.advance(400)
    # Rounding differs by the order of sums and is not amplified in 400 small steps.
    np.testing.assert_allclose(sim.student.w, twin[0], atol=1e-10)
    np.testing.assert_allclose(sim.student.v, twin[1], atol=1e-10)


def test_single_precision_follows_double_precision():
    a, b = make(dtype="float32"), make()
    a.advance(500)
    b.advance(500)
    np.testing.assert_allclose(a.student.w, b.student.w, atol=2e-4)  # 500 steps of 6e-8 of order-one numbers


@pytest.mark.parametrize("test_size", [300, 1000])
def test_error_and_order_parameters_of_given_weights(test_size):
    sim = make(test_size=test_size)
    seen = sim.observe()
    w, F = sim.student.w, sim.model.F
    N, D = sim.model.N, sim.model.D
    _, b, c = sim.model.moments
    S = w @ F / np.sqrt(N)
    np.testing.assert_allclose(seen["W"], w @ w.T / N, rtol=1e-12)
    np.testing.assert_allclose(seen["Sigma"], S @ S.T / D, rtol=1e-12)
    np.testing.assert_allclose(seen["Q"], (c - b * b) * w @ w.T / N + b * b * S @ S.T / D, rtol=1e-12)
    np.testing.assert_allclose(seen["R"], b / D * S @ sim.teacher.w.T, atol=1e-13)
    np.testing.assert_allclose(seen["T"], sim.teacher.w @ sim.teacher.w.T / D, rtol=1e-12)


def test_labels_on_inputs_have_the_students_form_of_overlaps():
    sim = make(labels="input")
    seen = sim.observe()
    _, b, c = sim.model.moments
    N, D, F = sim.model.N, sim.model.D, sim.model.F
    omega = (c - b * b) * np.eye(N) + b * b * F @ F.T / D
    np.testing.assert_allclose(seen["R"], sim.student.w @ omega @ sim.teacher.w.T / N, atol=1e-12)
    np.testing.assert_allclose(seen["T"], sim.teacher.w @ omega @ sim.teacher.w.T / N, rtol=1e-11)


@pytest.mark.parametrize(
    "units", [("erf", "erf"), ("relu", "relu"), ("erf", "relu"), ("linear", "erf"), ("relu", "linear")]
)
def test_analytic_error_is_the_gaussian_average(units):
    # On Gaussian inputs the fields are Gaussian exactly, so the two errors differ by sampling only:
    # std(½Δ²)/√200000, below 1 % here; 5 sigma.
    sim = make(model=hr.TeacherStudent(40), unit=units[0], teacher_unit=units[1], test_size=200_000)
    seen = sim.observe()
    assert seen["eg"] == pytest.approx(seen["eg_analytic"], rel=0.03)


def test_test_error_is_that_of_the_forward_pass():
    sim = make(test_size=257, dtype="float64")
    X, C = sim.model.source().sample(257, start=0, seed=seed_words(sim.seed), test=True, threads=None)
    delta = sim.student.forward(X) - sim.teacher.forward(C)
    assert sim.observe()["eg"] == pytest.approx(0.5 * np.mean(delta**2), rel=1e-12)


def run_fingerprint(sim, result):
    return (
        sim.student.w.tobytes(),
        sim.student.v.tobytes(),
        *(result[name].values.tobytes() for name in sorted(result.data_vars)),
    )


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("batch", [1, 5])
def test_same_bits_on_any_number_of_threads(dtype, batch):
    prints = []
    for threads in (1, 2, 3, 7):
        sim = make(
            dtype=dtype, batch=batch, noise=0.3, train_second_layer=True, model=hr.HiddenManifold(200, 60)
        )
        prints.append(run_fingerprint(sim, sim.run(8.0, save_at=[0, 0.5, 3, 8], threads=threads)))
    assert all(p == prints[0] for p in prints)


@given(cuts=st.lists(st.integers(0, 300), min_size=1, max_size=6), batch=st.sampled_from([1, 3, 130]))
def test_same_bits_for_any_slicing(cuts, batch):
    whole, sliced = make(batch=batch, noise=0.1), make(batch=batch, noise=0.1)
    whole.advance(sum(cuts))
    for cut in cuts:
        sliced.advance(cut)
    assert (whole.student.w == sliced.student.w).all()


def test_streamed_test_set_equals_the_cached_one():
    # 96 MiB is the limit of the cache: the larger set is generated anew at every measurement.
    model = hr.HiddenManifold(4096, 8)
    assert (
        make(model=model, test_size=2900).memory_estimate()
        > make(model=model, test_size=3200).memory_estimate()
    )
    small, large = make(model=model, test_size=2944), make(model=model, test_size=3200)
    a = small.observe()["eg"] * 2944
    b = large.observe()["eg"] * 3200
    tail = 3200 - 2944
    X, C = model.source().sample(tail, start=2944, seed=seed_words(4), test=True, threads=None)
    rest = 0.5 * np.sum((large.student.forward(X) - large.teacher.forward(C)) ** 2)
    assert b - a == pytest.approx(rest, rel=1e-9)


def test_pickle_and_deepcopy_continue_identically():
    sim = make(noise=0.2)
    sim.advance(150)
    twins = [copy.deepcopy(sim), pickle.loads(pickle.dumps(sim))]
    sim.advance(200)
    for twin in twins:
        assert twin.step == 150
        twin.advance(200)
        assert (twin.student.w == sim.student.w).all()


def test_too_large_a_learning_rate_is_a_divergence_with_the_partial_result():
    sim = make(unit="relu", teacher_unit="relu", lr=50.0, train_second_layer=True)
    with pytest.raises(hr.DivergenceError, match="lower the learning rate") as raised:
        sim.run(50.0, save_at=[0.0, 0.01, 40.0])
    result = raised.value.result
    assert result.attrs["stopped"] == "diverged"
    assert len(result.t) >= 1
    assert np.isfinite(result.eg).all()
    assert isinstance(raised.value, FloatingPointError)
    with pytest.raises(hr.DivergenceError):
        make(unit="relu", lr=500.0, batch=4, train_second_layer=True).advance(100_000)


@pytest.mark.parametrize(
    ("error", "options"),
    [
        (hr.InvalidParameterError, {"lr": -1.0}),
        (hr.InvalidParameterError, {"lr": np.nan}),
        (hr.DtypeError, {"lr": "fast"}),
        (hr.InvalidParameterError, {"noise": -0.1}),
        (hr.InvalidParameterError, {"batch": 0}),
        (hr.InvalidParameterError, {"test_size": 0}),
        (hr.InvalidParameterError, {"labels": "output"}),
        (hr.InvalidParameterError, {"weight_decay": -1}),
        (hr.DtypeError, {"dtype": "float16"}),
        (hr.InvalidParameterError, {"seed": -3}),
        (
            hr.ResourceError,
            {"test_size": 10**4, "model": hr.HiddenManifold(4096, 8), "batch": 1, "memory": 0},
        ),
    ],
    ids=repr,
)
def test_bad_options_give_the_documented_error(error, options, monkeypatch):
    if options.pop("memory", None) is not None:
        monkeypatch.setattr("hmm_rs.ground.memory.available_bytes", lambda: 1000)
    with pytest.raises(error):
        make(**options)


def test_shapes_that_disagree_are_refused():
    model = hr.HiddenManifold(20, 5)
    good = hr.TwoLayer.random(2, 20)
    with pytest.raises(hr.ShapeError, match=r"teacher\.w"):
        hr.OnlineSGD(model, hr.TwoLayer.random(2, 20), student=good, lr=0.1)
    with pytest.raises(hr.ShapeError, match=r"student\.w"):
        hr.OnlineSGD(model, hr.TwoLayer.random(2, 5), student=hr.TwoLayer.random(2, 5), lr=0.1)
    with pytest.raises(hr.DtypeError):
        hr.OnlineSGD(model, np.ones((2, 5)), student=good, lr=0.1)
    with pytest.raises(hr.DtypeError):
        hr.OnlineSGD("model", good, student=good, lr=0.1)


@given(
    N=st.integers(1, 30),
    D=st.integers(1, 30),
    K=st.integers(1, 6),
    M=st.integers(1, 3),
    unit=st.sampled_from(list(UNITS)),
    batch=st.integers(1, 4),
    dtype=st.sampled_from(["float32", "float64"]),
    lr=st.floats(0, 1),
)
def test_any_small_run_ends_finite_or_diverges(N, D, K, M, unit, batch, dtype, lr):
    sim = make(N, D, K, M, unit=unit, teacher_unit=unit, batch=batch, dtype=dtype, lr=lr, test_size=20)
    try:
        result = sim.run(3.0, save_at=[0.0, 3.0])
    except hr.DivergenceError:
        return
    assert np.isfinite(result.eg).all()
    assert result.Q.shape == (2, K, K)
    assert result.R.shape == (2, K, M)


def test_zero_learning_rate_changes_nothing():
    sim = make(lr=0.0)
    before = sim.student.w
    sim.advance(300)
    assert (sim.student.w == before).all()


@pytest.mark.parametrize("kappa", [1e-4, 2e-4, 1e-3, 0.03, 50.0, 400.0])
@pytest.mark.parametrize("batch", [1, 3])
def test_single_precision_decays_as_double_precision_does(kappa, batch):
    N, steps = 10_000, 2000
    student = hr.TwoLayer.random(2, N, v=0.7, seed=3)
    sim = hr.OnlineSGD(
        hr.TeacherStudent(N),
        hr.TwoLayer.random(1, N, seed=2),
        student=student,
        lr=0.0,
        train_second_layer=True,
        weight_decay=kappa,
        batch=batch,
        dtype="float32",
        test_size=10,
    )
    sim.advance(steps)
    keep = (1.0 - kappa / N) ** steps
    decayed = 1.0 - keep
    assert 1.0 - sim.student.v[0] / 0.7 == pytest.approx(decayed, rel=1e-3, abs=2e-7)
    ratio = float((sim.student.w * student.w).sum() / (student.w**2).sum())
    assert 1.0 - ratio == pytest.approx(decayed, rel=1e-3, abs=2e-8)


@pytest.mark.parametrize("batch", [1, 4])
def test_slow_decay_keeps_the_promises_of_single_precision(batch):
    options = {
        "dtype": "float32",
        "weight_decay": 1.5,
        "train_second_layer": True,
        "batch": batch,
        "model": hr.HiddenManifold(200, 60),
    }
    whole, sliced, double = make(**options), make(**options), make(**options | {"dtype": "float64"})
    whole.advance(400)
    double.advance(400)
    for _ in range(40):
        sliced.advance(10)
    assert (whole.student.w == sliced.student.w).all()
    assert (whole.student.v == sliced.student.v).all()
    np.testing.assert_allclose(whole.student.w, double.student.w, atol=2e-4)
    middle = make(**options)
    middle.advance(123)
    twin = pickle.loads(pickle.dumps(middle))
    assert (twin.student.w == middle.student.w).all()
    for sim in (middle, twin):
        sim.advance(277)
        assert (sim.student.w == whole.student.w).all()
        assert sim.observe()["eg"] == whole.observe()["eg"]


@pytest.mark.parametrize(("dtype", "size"), [("float32", 1e39), ("float64", 1e200), ("float32", 3e38)])
def test_weights_that_cannot_be_measured_are_an_error(dtype, size):
    student = hr.TwoLayer(np.full((1, 5), size), [1.0])
    with pytest.raises((hr.InvalidParameterError, hr.DivergenceError), match="finite"):
        hr.OnlineSGD(
            hr.TeacherStudent(5), hr.TwoLayer.random(1, 5), student=student, lr=0.2, dtype=dtype
        ).observe()


def test_steps_end_with_the_random_stream():
    sim = make()
    with pytest.raises(hr.InvalidParameterError, match="random stream"):
        sim.advance(2**45)
    assert sim.step == 0
    with pytest.raises(hr.InvalidParameterError, match="random stream"):
        make(batch=2**40).advance(1)


def test_rows_of_unlike_norms_have_overlaps_that_are_measured():
    # tanh is odd, so that no row has a mean: fields are centred, and Q is their true covariance.
    N, D = 400, 100
    F = np.random.default_rng(0).standard_normal((N, D))
    F *= (np.sqrt(D) / np.linalg.norm(F, axis=1) * np.geomspace(0.1, 10, N))[:, None]
    sim = make(model=hr.HiddenManifold(N, D, F=F, f="tanh"), lr=0.05, test_size=20_000)
    seen = sim.observe()
    X = sim.model.sample(20_000, seed=11)[0]
    fields = X @ sim.student.w.T / np.sqrt(N)
    # Sampling errors of both: 5/√20000 of Q, which is of order one.
    np.testing.assert_allclose(seen["Q"], fields.T @ fields / len(X), atol=0.05)
    assert seen["eg_analytic"] == pytest.approx(seen["eg"], rel=0.06)


def test_inputs_with_a_mean_have_no_analytic_error():
    model = hr.HiddenManifold(60, 20, f="relu", center=False)
    assert "eg_analytic" not in make(model=model).observe()
    assert "eg_analytic" in make(model=hr.HiddenManifold(60, 20, f="sign", center=False)).observe()


def test_a_long_call_answers_ctrl_c():
    sim = make(N=400, K=2000, test_size=200)
    assert_interruptible(lambda: sim.advance(10**7))
    # Whole steps only: it goes on as if nothing had been.
    done, twin = sim.step, make(N=400, K=2000, test_size=200)
    twin.advance(done)
    assert (twin.student.w == sim.student.w).all()
