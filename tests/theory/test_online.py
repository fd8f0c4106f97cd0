"""The equations of online learning: against scipy on an independent right-hand side, limits, numbers."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hmm_rs as hr
from hmm_rs import theory

_spec = importlib.util.spec_from_file_location(
    "rival_online_theory", Path(__file__).parents[2] / "benches" / "rivals" / "online_theory.py"
)
twin = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = twin
_spec.loader.exec_module(twin)

few = settings(max_examples=15, deadline=None)
seeds = st.integers(0, 10_000)


def random_modes(seed, K, M, *, D=8, delta=0.4, f="sign", **rates):
    """A random finite-N problem in the package's and in the twin's words."""
    rng = np.random.default_rng(seed)
    N = round(D / delta)
    F, w, w_teacher = rng.standard_normal((N, D)), rng.standard_normal((K, N)), rng.standard_normal((M, D))
    rho, U = np.linalg.eigh(F.T @ F / N)
    rho = np.maximum(rho, 0.0)
    gamma, omega = (w @ F / np.sqrt(N) @ U).T, (w_teacher @ U).T
    arrays = {
        "rho": rho,
        "weights": np.full(D, 1 / D),
        "sigma0": np.einsum("sk,sl->skl", gamma, gamma),
        "r0": np.einsum("sk,sm->skm", gamma, omega),
        "W0": w @ w.T / N,
        "v0": rng.uniform(0.5, 1.5, K),
        "v_teacher": rng.uniform(0.5, 1.5, M),
        "delta": D / N,
    }
    t = np.einsum("sm,sn->smn", omega, omega)
    system = theory.HiddenManifoldODE(**arrays, t_modes=t, f=f, **rates)
    other = twin.HiddenManifold(**arrays, t=t, moments=theory.gaussian_moments(f), **rates)
    return system, other, (F, w, w_teacher)


TIMES = np.array([0.0, 0.3, 1.0, 3.0, 10.0, 30.0])


@pytest.mark.parametrize(
    ("K", "M", "rates"),
    [
        (2, 2, {"lr": 0.2}),
        (3, 2, {"lr": 0.3, "lr_v": 0.2, "noise": 0.4, "weight_decay": 0.03, "batch": 3}),
        (1, 3, {"lr": 0.5, "weight_decay": 0.01}),
    ],
)
@pytest.mark.parametrize("f", ["sign", "relu", "tanh", "identity"])
@pytest.mark.parametrize("method", ["explicit", "stiff", "auto"])
def test_equals_scipy_on_an_independent_right_hand_side(K, M, rates, f, method):
    system, other, _ = random_modes(1, K, M, f=f, **rates)
    result = system.solve(TIMES, method=method)
    reference = other.solve(TIMES, method="DOP853", rtol=1e-11, atol=1e-13)
    for name, expected in zip(("eg", "Q", "R", "v"), reference, strict=True):
        # Global error of a solve at rtol 1e-8, measured below 1e-8 on these problems.
        np.testing.assert_allclose(result[name], expected, rtol=1e-7, atol=1e-7, err_msg=name)


def test_equals_radau_where_stiff():
    system, other, _ = random_modes(2, 2, 2, delta=0.01, lr=0.2)
    times = np.array([0.0, 1.0, 10.0, 100.0])
    result = system.solve(times)
    reference = other.solve(times, method="Radau", rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(result.eg, reference[0], rtol=1e-6, atol=1e-8)
    assert "stiff" in result.attrs["method"]


@few
@given(seeds, st.integers(1, 4), st.integers(1, 3), st.floats(0.2, 2.0))
def test_right_hand_side_equals_the_twin(seed, K, M, delta):
    """Any K, M, delta (D > N too): dQ/dt and dR/dt from the modes equal the twin's."""
    system, other, _ = random_modes(seed, K, M, delta=delta, lr=0.3, lr_v=0.1, noise=0.2)
    h = 1e-5
    y = other.initial()
    velocity = other.velocity(0.0, y)
    plus, minus = other.overlaps(y + h * velocity), other.overlaps(y - h * velocity)
    result = system.solve([0.0, h], rtol=1e-12, atol=1e-13)
    for name, up, down in zip(("Q", "R", "v"), plus, minus, strict=True):
        rate = (up - down) / (2 * h)
        found = (result[name][1] - result[name][0]) / h
        # One-sided difference over h: its curvature error is O(h) of rates squared.
        np.testing.assert_allclose(found, rate, atol=1e-3 * (1 + np.abs(rate).max()))


@few
@given(seeds, st.sampled_from(["erf", "relu"]))
def test_relabelling_hidden_units_permutes_overlaps(seed, activation):
    rng = np.random.default_rng(seed)
    K, M = 3, 2
    X = rng.standard_normal((K + M, K + M + 2))
    C = X @ X.T / 8
    v, order = rng.uniform(0.5, 1.0, K), rng.permutation(K)
    common = {"T": C[K:, K:], "v_teacher": [1.0, 0.7], "lr": 0.1, "lr_v": 0.1, "activation": activation}
    first = theory.SaadSolla(C[:K, :K], C[:K, K:], v0=v, **common).solve([0.0, 2.0])
    second = theory.SaadSolla(C[order][:, order], C[order, K:], v0=v[order], **common).solve([0.0, 2.0])
    np.testing.assert_allclose(first.Q.values[:, order][:, :, order], second.Q, atol=1e-7)
    np.testing.assert_allclose(first.R.values[:, order], second.R, atol=1e-7)
    np.testing.assert_allclose(first.eg, second.eg, atol=1e-7)


@few
@given(seeds, st.sampled_from(["erf", "relu", "linear"]), st.floats(0.05, 1.5))
def test_covariances_stay_positive(seed, activation, delta):
    lr = 0.3 if activation == "erf" else 0.05
    system, _, _ = random_modes(seed, 2, 2, delta=delta, lr=lr, noise=0.1)
    if activation != "erf":
        _, other, _ = random_modes(seed, 2, 2, delta=delta, lr=lr)
        system = theory.HiddenManifoldODE(
            rho=other.rho,
            weights=other.weights,
            sigma0=other.sigma0,
            r0=other.r0,
            t_modes=other.t,
            W0=other.W0,
            v0=0.5 * other.v0,
            v_teacher=other.v_teacher,
            delta=delta,
            f="sign",
            lr=lr,
            activation=activation,
        )
    result = system.solve(np.linspace(0, 10, 8))
    T = np.broadcast_to(result["T"], (8, 2, 2))
    C = np.block([[result.Q.values, result.R.values], [result.R.values.transpose(0, 2, 1), T]])
    assert np.linalg.eigvalsh(C).min() > -1e-8
    assert np.linalg.eigvalsh(result.W).min() > -1e-8


@few
@given(seeds, st.sampled_from(["erf", "relu", "linear"]), st.integers(1, 3))
def test_student_equal_to_teacher_is_a_fixed_point(seed, activation, M):
    X = np.random.default_rng(seed).standard_normal((M, M + 2))
    T = X @ X.T / (M + 2)
    v = np.ones(M)
    for method in ("explicit", "stiff"):
        system = theory.SaadSolla(T, T, T=T, v0=v, v_teacher=v, lr=0.3, lr_v=0.2, activation=activation)
        result = system.solve([0.0, 5.0], method=method)
        # Parallel rectified fields: an angle near 0 loses half the digits.
        tolerance = 1e-7 if activation == "relu" else 1e-9
        np.testing.assert_allclose(result.Q[1], T, atol=tolerance)
        np.testing.assert_allclose(result.R[1], T, atol=tolerance)
        np.testing.assert_allclose(result.eg, 0.0, atol=tolerance)


@few
@given(seeds, st.integers(1, 3), st.integers(1, 3))
def test_identity_on_orthogonal_square_features_is_saad_solla(seed, K, M):
    rng = np.random.default_rng(seed)
    N = 12
    F = np.sqrt(N) * np.linalg.qr(rng.standard_normal((N, N)))[0]
    w, w_teacher = rng.standard_normal((K, N)), rng.standard_normal((M, N))
    common = {"v": np.ones(K), "v_teacher": np.ones(M), "lr": 0.3, "lr_v": 0.1, "noise": 0.1}
    manifold = theory.HiddenManifoldODE.from_weights(F, w, w_teacher, f="identity", **common)
    # x = F c/sqrt N is a rotation of c: the teacher on x has weights w~ F^T/sqrt N.
    vanilla = theory.SaadSolla.from_weights(w, w_teacher @ F.T / np.sqrt(N), **common)
    first, second = manifold.solve(TIMES), vanilla.solve(TIMES)
    for name in ("eg", "Q", "R", "v", "T"):
        np.testing.assert_allclose(first[name], second[name], atol=2e-7, err_msg=name)
    np.testing.assert_allclose(first.W, first.Q, atol=1e-7)


@few
@given(seeds, st.floats(0.2, 2.0), st.sampled_from(["sign", "tanh", "relu"]))
def test_covariance_form_equals_hidden_manifold(seed, delta, f):
    _, other, (F, w, w_teacher) = random_modes(seed, 2, 2, delta=delta, f=f, lr=0.2)
    N, D = F.shape
    # The manifold's equations take the mean variance of u to be 1; at this size F makes it so.
    F *= np.sqrt(N * D) / np.linalg.norm(F)
    a, b, c = theory.gaussian_moments(f)
    Omega = (c - a * a - b * b) * np.eye(N) + b * b * F @ F.T / D
    common = {"v": other.v0, "v_teacher": other.v_teacher, "lr": 0.2, "lr_v": 0.1, "weight_decay": 0.01}
    first = theory.CovarianceODE(Omega, b * F / np.sqrt(D), w=w, w_teacher=w_teacher, **common).solve(TIMES)
    second = theory.HiddenManifoldODE.from_weights(F, w, w_teacher, f=f, **common).solve(TIMES)
    for name in ("eg", "Q", "R", "v", "T", "W"):
        np.testing.assert_allclose(first[name], second[name], atol=2e-7, err_msg=name)


def test_labels_on_inputs_equal_latents_where_both_are_one():
    """x = c: the two kinds of labels coincide."""
    rng = np.random.default_rng(0)
    w, w_teacher = rng.standard_normal((2, 30)), rng.standard_normal((2, 30))
    common = {"w": w, "w_teacher": w_teacher, "v": [1, 1], "v_teacher": [1, 1], "lr": 0.5}
    on_inputs = theory.CovarianceODE(np.eye(30), None, labels="input", **common).solve(TIMES)
    on_latents = theory.CovarianceODE(np.eye(30), np.eye(30), **common).solve(TIMES)
    vanilla = theory.SaadSolla.from_weights(w, w_teacher, v=[1, 1], v_teacher=[1, 1], lr=0.5).solve(TIMES)
    np.testing.assert_allclose(on_inputs.eg, vanilla.eg, atol=1e-8)
    np.testing.assert_allclose(on_latents.eg, vanilla.eg, atol=1e-8)


def test_mini_batch_divides_the_gradient_noise():
    """A batch of B at rate eta = B eta' has the drift of eta and the noise eta^2 N/B."""
    Q0, R0, T = np.array([[1.0, 0.1], [0.1, 1.2]]), 0.1 * np.eye(2), np.eye(2)
    common = {"T": T, "v0": [1, 1], "v_teacher": [1, 1]}
    one = theory.SaadSolla(Q0, R0, lr=1e-6, **common).solve([0, 1e6])
    many = theory.SaadSolla(Q0, R0, lr=1.0, batch=10**9, **common).solve([0, 1.0])
    np.testing.assert_allclose(one.Q, many.Q, atol=2e-6)


def test_published_teacher_modes_differ_at_finite_size_and_agree_without_a_spectrum():
    _, _, (F, w, w_teacher) = random_modes(3, 2, 2, D=40, lr=0.2)
    common = {"v": [1, 1], "v_teacher": [1, 1], "f": "sign", "lr": 0.2}
    choices = ("exact", "averaged", "published")
    ends = [
        float(
            theory.HiddenManifoldODE.from_weights(F, w, w_teacher, teacher_modes=choice, **common)
            .solve([0, 20])
            .eg[-1]
        )
        for choice in choices
    ]
    assert len({round(end, 6) for end in ends}) == 3
    single = {
        choice: theory.HiddenManifoldODE.continuum(
            delta=0.5, W0=np.eye(2), R0=0.1 * np.eye(2), T=np.eye(2), v0=[1, 1], spectrum="orthogonal",
            v_teacher=[1, 1], f="sign", lr=0.2, teacher_modes=choice,
        ).solve([0, 20]).eg[-1]
        for choice in choices
    }  # fmt: skip
    assert len({float(x) for x in single.values()}) == 1


def continuum(delta, **options):
    settings = {
        "W0": np.eye(2),
        "R0": [[0.05, -0.02], [-0.03, 0.04]],
        "T": np.eye(2),
        "v0": [1, 1],
        "v_teacher": [1, 1],
        "f": "sign",
        "lr": 0.2,
        **options,
    }
    return theory.HiddenManifoldODE.continuum(delta=delta, **settings)


def test_nodes_converge_spectrally():
    """20 nodes: about 1e-9 on eg(t), 40: 1e-12 (hidden-manifold note, section 3)."""
    times = [0.0, 1.0, 10.0, 50.0]
    solutions = [continuum(0.3, nodes=n).solve(times, rtol=1e-11, atol=1e-13).eg.values for n in (20, 40, 80)]
    assert abs(solutions[0] - solutions[2]).max() < 1e-7
    assert abs(solutions[1] - solutions[2]).max() < 1e-10


LATE = {
    0.01: (0.002304, 0.002281),
    0.02: (0.004623, 0.004532),
    0.05: (0.011666, 0.011118),
    0.1: (0.023651, 0.021561),
    0.2: (0.048169, 0.040666),
    0.5: (0.118282, 0.086964),
    1.0: (0.199363, 0.140473),
}


@pytest.mark.parametrize("delta", LATE)
def test_late_errors_against_delta(delta):
    """Section 7 of the note: sign f, erf units, K = M = 2, lr = 0.2; six decimals are given."""
    for spectrum, expected in zip(("marchenko-pastur", "orthogonal"), LATE[delta], strict=True):
        # At delta = 1 the spectrum reaches 0 and the rule converges slowly.
        nodes = 200 if delta == 1.0 else 40
        # The error at small delta falls until t of several thousand.
        late = continuum(delta, spectrum=spectrum, nodes=nodes).solve([0.0, 20_000.0]).eg[-1]
        assert abs(late - expected) < 2e-6 + 0.002 * expected


LEARNING_RATES = {0.01: 0.019761, 0.05: 0.020115, 0.1: 0.020575, 0.2: 0.021561, 0.5: 0.025149, 1.0: 0.034359}


@pytest.mark.parametrize("lr", LEARNING_RATES)
def test_late_errors_against_learning_rate(lr):
    late = continuum(0.1, spectrum="orthogonal", lr=lr).solve([0.0, 4000.0 / lr]).eg[-1]
    assert abs(late - LEARNING_RATES[lr]) < 2e-6


def test_vanilla_plateau_and_perfect_learning():
    """K = M = 3, lr = 0.5, small start: plateau at 0.0325, then below 1e-9 (realisable)."""
    rng = np.random.default_rng(0)
    system = theory.SaadSolla(
        1e-6 * np.eye(3), 1e-3 * 0.03 * rng.standard_normal((3, 3)), T=np.eye(3), v0=np.ones(3),
        v_teacher=np.ones(3), lr=0.5,
    )  # fmt: skip
    result = system.solve([0.0, 30.0, 2000.0])
    assert abs(result.eg[1] - 0.0325) < 5e-4
    assert abs(result.eg[2]) < 1e-9


def test_many_systems_in_parallel_equal_single_solves():
    systems = [continuum(0.1, lr=lr) for lr in np.linspace(0.05, 1.0, 12)]
    together = theory.solve_many(systems, [0.0, 5.0, 20.0], threads=3)
    for system, result in zip(systems, together, strict=True):
        alone = system.solve([0.0, 5.0, 20.0])
        assert (result.eg == alone.eg).all()
        assert result.attrs["steps"] == alone.attrs["steps"]


def on_gaussian_inputs(unit="erf", *, std_w=1.0, N=40, **options):
    return hr.OnlineSGD(
        hr.TeacherStudent(N),
        hr.TwoLayer.random(1, N, activation=unit, seed=1),
        student=hr.TwoLayer.random(2, N, activation=unit, std_w=std_w, seed=2),
        lr=0.2,
        labels="input",
        test_size=500,
        **options,
    )


@pytest.mark.parametrize("method", ["auto", "explicit", "stiff"])
def test_a_student_of_zero_weights_is_the_same_on_both_sides(method):
    sim = on_gaussian_inputs("relu", std_w=0.0, N=500)
    before = sim.observe()
    for system in (theory.CovarianceODE.from_simulation(sim), theory.SaadSolla.from_simulation(sim)):
        result = system.solve([0.0, 5.0], method=method)
        # g'(0) = 0: it never learns, and its error is the teacher's own second moment.
        assert result.eg[1] == pytest.approx(before["eg_analytic"], rel=1e-12)
        assert (result.Q == 0.0).all()
    sim.advance(2500)
    assert (sim.student.w == 0.0).all()


@pytest.mark.parametrize("method", ["auto", "explicit", "stiff"])
@pytest.mark.parametrize("size", [1e-6, 1e-12, 1e-18])
def test_growth_from_below_the_tolerance_is_kept(method, size):
    system = theory.SaadSolla(
        [[size]], [[0.0]], T=[[size]], v0=[1.0], v_teacher=[1.0], lr=9.5, weight_decay=0.1
    )
    times = [0.5, 1.0, 1.5]
    exact = system.solve(times, method="explicit", rtol=1e-12, atol=1e-40)
    np.testing.assert_allclose(system.solve(times, method=method).eg, exact.eg, rtol=2e-4)


def test_growth_of_one_part_from_below_the_tolerance():
    # R alone is tiny: the seed of specialisation among modes of order one.
    options = {"T": [[1.0]], "v0": [1.0], "v_teacher": [1.0], "lr": 1.0}
    for method in ("explicit", "stiff"):
        even = theory.SaadSolla([[1.0]], [[0.0]], **options).solve([5.0], method=method)
        tiny = theory.SaadSolla([[1.0]], [[1e-13]], **options).solve([5.0], method=method)
        np.testing.assert_allclose(tiny.R, even.R, rtol=1e-6)


def stored_samples():
    X = np.random.default_rng(0).standard_normal((50, 10))
    model = hr.data.StoredSamples(X, np.sign(X[:, 0]))
    return hr.OnlineSGD(model, model.labels_teacher, student=hr.TwoLayer.random(2, 10), lr=0.1, test_size=50)


def test_stored_samples_are_sent_to_what_serves_them():
    sim = stored_samples()
    X, y = sim.model.X, sim.model.y
    for system in (theory.HiddenManifoldODE, theory.SaadSolla, theory.CovarianceODE):
        with pytest.raises(hr.DtypeError, match=r"covariances=\(Omega, Phi\)"):
            system.from_simulation(sim)
    covariances = X.T @ X / 50, X.T @ y[:, None] / 50
    result = theory.CovarianceODE.from_simulation(sim, covariances=covariances).solve([0.0, 5.0])
    assert result.eg[1] < result.eg[0]


@pytest.mark.parametrize(
    ("system", "remedy"),
    [
        (theory.HiddenManifoldODE, "use SaadSolla.from_simulation"),
        (theory.SaadSolla, "use HiddenManifoldODE.from_simulation"),
    ],
)
def test_remedies_are_systems_that_take_the_simulation(system, remedy):
    if system is theory.SaadSolla:
        sim = hr.OnlineSGD(
            hr.HiddenManifold(20, 5), hr.TwoLayer.random(1, 5), student=hr.TwoLayer.random(1, 20), lr=0.1
        )
    else:
        sim = on_gaussian_inputs()
    with pytest.raises(hr.DtypeError, match=remedy):
        system.from_simulation(sim)
    other = remedy.split()[1].split(".")[0]
    getattr(theory, other).from_simulation(sim)


@pytest.mark.parametrize("system", [theory.HiddenManifoldODE, theory.SaadSolla, theory.CovarianceODE])
@pytest.mark.parametrize("thing", [5, None, "sim", object()])
def test_what_is_no_simulation_is_refused(system, thing):
    with pytest.raises(hr.DtypeError, match="must be a simulation"):
        system.from_simulation(thing)


@pytest.mark.parametrize("systems", [5, None, [5], [None], "ab"])
def test_what_are_no_systems_is_refused(systems):
    with pytest.raises(hr.DtypeError, match="systems"):
        theory.solve_many(systems, [0.0, 1.0])
    with pytest.raises(hr.HmmError):
        theory.solve_many([continuum(0.1)], None)


def test_inputs_with_a_mean_are_refused_by_both_equations():
    sim = hr.OnlineSGD(
        hr.HiddenManifold(20, 5, f="relu", center=False),
        hr.TwoLayer.random(1, 5),
        student=hr.TwoLayer.random(1, 20),
        lr=0.1,
    )
    for system in (theory.HiddenManifoldODE, theory.CovarianceODE):
        with pytest.raises(hr.InvalidParameterError, match="center=True"):
            system.from_simulation(sim)


def test_rows_of_unlike_norms_are_refused_unless_f_is_linear():
    rng = np.random.default_rng(0)
    F = rng.standard_normal((60, 30)) * np.geomspace(0.1, 10, 60)[:, None]
    w, w_teacher = rng.standard_normal((2, 60)), rng.standard_normal((1, 30))
    weights = {"v": [1.0, 1.0], "v_teacher": [1.0], "lr": 0.1}
    for scaled in (F, 3.0 * rng.standard_normal((60, 30))):
        with pytest.raises(hr.InvalidParameterError, match="CovarianceODE"):
            theory.HiddenManifoldODE.from_weights(scaled, w, w_teacher, f="relu", **weights)
        with pytest.raises(hr.InvalidParameterError, match="CovarianceODE"):
            theory.order_parameters(scaled, w, w_teacher, f=np.cos)
    linear = theory.HiddenManifoldODE.from_weights(F, w, w_teacher, f="identity", **weights).solve([0.0])
    other = theory.CovarianceODE(F @ F.T / 30, F / np.sqrt(30), w=w, w_teacher=w_teacher, **weights).solve(
        [0.0]
    )
    assert linear.eg[0] == pytest.approx(float(other.eg[0]), rel=1e-10)
    # Gaussian rows and unit rows are alike.
    for model in (hr.HiddenManifold(60, 5, F=rng.standard_normal((60, 5))), hr.HiddenManifold(60, 5)):
        theory.HiddenManifoldODE.from_weights(model, w, rng.standard_normal((1, 5)), f="relu", **weights)


def test_the_covariance_left_out_at_small_d_is_said():
    def share(D, f="sign"):
        model = hr.HiddenManifold(300, D, f=f, normalise_rows=True)
        sim = hr.OnlineSGD(
            model, hr.TwoLayer.random(1, D), student=hr.TwoLayer.random(1, 300), lr=0.1, test_size=10
        )
        result = theory.HiddenManifoldODE.from_simulation(sim).solve([0.0])
        # The definition, with the closed form of the covariance, over the same inputs.
        F = model.F[:256]
        G = F @ F.T / D
        off = ~np.eye(256, dtype=bool)
        exact = theory.one_layer_covariances(F, "sign")[0] if f == "sign" else G
        b = theory.gaussian_moments(f)[1]
        expected = np.linalg.norm((exact - b * b * G)[off]) / np.linalg.norm(exact[off])
        found = result.attrs["neglected_covariance"]
        assert found == pytest.approx(expected, abs=0.02)
        return found

    shares = [share(D) for D in (3, 10, 30, 100)]
    assert (np.diff(shares) < 0).all()
    # 1/D: the cubic term of the arc sine.
    assert shares[-1] == pytest.approx(0.645 / 100, rel=0.3)
    assert share(10, "identity") < 1e-3


@pytest.mark.parametrize("nodes", [10**11, 10**18])
def test_nodes_that_do_not_fit_are_refused(nodes):
    with pytest.raises((hr.ResourceError, hr.InvalidParameterError), match=r"nodes|n = "):
        continuum(0.1, nodes=nodes)


def test_errors_of_a_run_follow_from_its_own_overlaps():
    run = on_gaussian_inputs().run(1.0, save_at=[0.0, 0.5, 1.0])
    found = theory.generalisation_error(run.Q, run.R, run["T"], run.v, [1.0])
    np.testing.assert_allclose(found, run.eg_analytic, rtol=1e-12)
    moving = np.stack([np.eye(1), 2.0 * np.eye(1)])
    both = theory.generalisation_error(np.ones((2, 1, 1)), np.zeros((2, 1, 1)), moving, [1.0], [1.0])
    for T, error in zip(moving, both, strict=True):
        assert error == theory.generalisation_error([[1.0]], [[0.0]], T, [1.0], [1.0])


def test_result_schema():
    result = continuum(0.2).solve(np.linspace(0, 5, 7))
    assert dict(result.sizes) == {"t": 7, "k": 2, "k2": 2, "m": 2, "m2": 2}
    sim = on_gaussian_inputs()
    run = sim.run(0.1, save_at=[0.0, 0.1])
    for solution in (
        result,
        theory.SaadSolla.from_simulation(sim).solve([0.0, 0.1]),
        theory.CovarianceODE.from_simulation(sim).solve([0.0, 0.1]),
    ):
        for name in ("eg", "Q", "R", "T", "v"):
            assert solution[name].dims == run[name].dims
    assert (theory.SaadSolla.from_simulation(sim).solve(run.t).t.values == run.t.values).all()
    assert result.attrs["source"] == "theory"
    assert result.attrs["steps"] > 0
    b = theory.gaussian_moments("sign")[1]
    zeta = 1 - b * b
    np.testing.assert_allclose(zeta * result.W + b * b * result.Sigma, result.Q, atol=1e-12)
    error = theory.generalisation_error(result.Q, result.R, result["T"], result.v, [1.0, 1.0])
    np.testing.assert_allclose(error, result.eg, atol=1e-14)


# Bad input ---------------------------------------------------------------------------------------

VALID = {"T": np.eye(2), "v0": [1.0, 1.0], "v_teacher": [1.0, 1.0], "lr": 0.1}


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"lr": -0.1}, hr.InvalidParameterError),
        ({"lr": np.nan}, hr.InvalidParameterError),
        ({"noise": -1.0}, hr.InvalidParameterError),
        ({"weight_decay": np.inf}, hr.InvalidParameterError),
        ({"batch": 0}, hr.InvalidParameterError),
        ({"batch": 1.5}, hr.DtypeError),
        ({"v0": [1.0]}, hr.ShapeError),
        ({"v0": []}, hr.ShapeError),
        ({"v_teacher": [1.0, np.nan]}, hr.InvalidParameterError),
        ({"T": np.ones(2)}, hr.ShapeError),
        ({"T": [[1.0, 2.0], [2.0, 1.0]]}, hr.InvalidParameterError),
        ({"T": [[1.0, 0.5], [0.0, 1.0]]}, hr.InvalidParameterError),
        ({"activation": "tahn"}, hr.InvalidParameterError),
        ({"teacher_activation": "sign"}, hr.InvalidParameterError),
    ],
)
def test_bad_descriptions(change, error):
    with pytest.raises(error):
        theory.SaadSolla(np.eye(2), np.zeros((2, 2)), **{**VALID, **change})


@pytest.mark.parametrize(
    ("Q0", "R0", "error"),
    [
        (-np.eye(2), np.zeros((2, 2)), hr.InvalidParameterError),
        (np.eye(2), 2.0 * np.eye(2), hr.InvalidParameterError),
        (np.eye(2), np.zeros((2, 3)), hr.ShapeError),
        (np.full((2, 2), np.nan), np.zeros((2, 2)), hr.InvalidParameterError),
    ],
)
def test_bad_overlaps(Q0, R0, error):
    with pytest.raises(error):
        theory.SaadSolla(Q0, R0, **VALID)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"delta": 0.0}, hr.InvalidParameterError, "delta"),
        ({"delta": -1.0}, hr.InvalidParameterError, "delta"),
        ({"f": "relu", "center": False}, hr.InvalidParameterError, "center=True"),
        ({"f": (0.0, 1.0, 0.5)}, hr.InvalidParameterError, "b²"),
        ({"f": "step"}, hr.InvalidParameterError, "f = 'step'"),
        ({"spectrum": "wigner"}, hr.InvalidParameterError, "spectrum"),
        ({"teacher_modes": "exakt"}, hr.InvalidParameterError, "teacher_modes"),
        ({"nodes": 0}, hr.InvalidParameterError, "n"),
        ({"W0": np.eye(3)}, hr.ShapeError, "R0"),
    ],
)
def test_bad_manifolds(change, error, words):
    delta = change.pop("delta", 0.1)
    with pytest.raises(error, match=words):
        continuum(delta, **change)


def test_weights_must_sum_to_one():
    with pytest.raises(hr.InvalidParameterError, match="sum"):
        theory.HiddenManifoldODE(
            rho=[1.0], weights=[0.9], sigma0=[[[1.0]]], r0=[[[0.0]]], t_modes=[[[1.0]]], W0=[[1.0]],
            v0=[1.0], v_teacher=[1.0], delta=0.1, f="sign", lr=0.1,
        )  # fmt: skip


def test_covariances_must_be_positive():
    Omega = np.diag([1.0, 1.0, -0.1])
    with pytest.raises(hr.InvalidParameterError, match="Omega"):
        theory.CovarianceODE(
            Omega, np.eye(3), w=np.ones((1, 3)), w_teacher=np.ones((1, 3)), v=[1], v_teacher=[1], lr=0.1
        )
    with pytest.raises(hr.InvalidParameterError, match="Phi"):
        theory.CovarianceODE(
            np.eye(3), None, w=np.ones((1, 3)), w_teacher=np.ones((1, 3)), v=[1], v_teacher=[1], lr=0.1
        )


@pytest.mark.parametrize("times", [[], [-1.0], [1.0, 0.5], [np.nan], [[0.0, 1.0]]])
def test_bad_times(times):
    with pytest.raises((hr.InvalidParameterError, hr.ShapeError)):
        continuum(0.1).solve(times)


@pytest.mark.parametrize("options", [{"rtol": 0.0}, {"rtol": 2.0}, {"atol": 0.0}, {"method": "euler"}])
def test_bad_tolerances(options):
    with pytest.raises(hr.InvalidParameterError):
        continuum(0.1).solve([0.0, 1.0], **options)


@pytest.mark.parametrize("method", ["auto", "explicit", "stiff"])
def test_too_large_a_rate_gives_the_solution_so_far(method):
    system = theory.SaadSolla(
        np.eye(1), [[0.1]], T=[[1.0]], v0=[1.0], v_teacher=[1.0], lr=10.0, activation="relu"
    )
    with pytest.raises(hr.DivergenceError) as raised:
        system.solve(np.linspace(0, 100, 50), method=method)
    result = raised.value.result
    assert 1 <= result.sizes["t"] < 50
    assert np.isfinite(result.eg).all()


def test_too_many_steps_give_the_solution_so_far():
    """An explicit method forced through a very long run stops at its limit of 200,000 steps."""
    system = theory.SaadSolla([[1.0]], [[0.3]], T=[[1.0]], v0=[1.0], v_teacher=[1.0], lr=1.0)
    with pytest.raises(hr.ConvergenceError, match="rtol") as raised:
        system.solve([0.0, 1.0, 1e9], method="explicit")
    assert raised.value.result.sizes["t"] == 2
    assert np.isfinite(raised.value.result.eg).all()
