"""Closed forms of geometric compression, its kernels and their diagnostics."""

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

import hmm_rs as hr
from hmm_rs import kernels

CASES = {
    case["name"]: case
    for case in json.loads((Path(__file__).parents[1] / "reference" / "compression.json").read_text())[
        "cases"
    ]
}


def close(got, want, tol):
    np.testing.assert_allclose(got, want, rtol=tol.get("rtol", 0.0), atol=tol.get("atol", 0.0))


def of(name):
    case = CASES[name]
    arrays = {k: np.array(v) if isinstance(v, list) else v for k, v in case["input"].items()}
    return arrays, case["expected"], case["tol"]


# -- reference cases ---------------------------------------------------------------------------


@pytest.mark.parametrize("bias", ["normal", "zero", "none"])
def test_reference_closed_ntk(bias):
    x, want, tol = of(f"ntk_closed_bias_{bias}")
    got = hr.kernels.ntk(x["X"], bias=bias)
    # The file's diagonals carry the 1e-8 noise of a clipped arccos; ours are exact.
    off = ~np.eye(len(got), dtype=bool)
    close(got[off], np.array(want["K"])[off], tol)
    v_b, gamma = {"normal": (1, 1), "zero": (0, 1), "none": (0, 0)}[bias]
    square = (x["X"] ** 2).mean(axis=1)
    np.testing.assert_allclose(np.diag(got), 2 * square + v_b + gamma, rtol=1e-15)
    np.testing.assert_allclose(np.diag(got), np.diag(want["K"]), atol=1e-7)


def reference_network(x):
    return hr.MeanFieldNetwork(x["beta"], x["omega"], x["b"], activation="sqrt2_relu")


def test_reference_finite_ntk():
    x, want, tol = of("ntk_empirical")
    network = reference_network(x)
    close(network.forward(x["X"]), want["f"], tol)
    close(hr.kernels.network_ntk(network, x["X"]), want["hK"], tol)
    close(hr.kernels.network_ntk(network, x["X"], x["X"]), want["hK"], tol)


def test_reference_gram_projections():
    x, want, tol = of("gram_projections")
    got = hr.kernels.label_projections(hr.kernels.ntk(x["X"]), x["y"])
    close(got["eigenvalues"], want["eigenvalues_desc"], tol)
    close(got["omega2"], want["omega2_over_p"], tol)
    close(got["cumulative"][[2, 4]], [want["C3"], want["C5"]], tol)


@pytest.mark.parametrize("name", ["svc_ntk_bias_normal", "svc_laplace_sigma2"])
def test_reference_svc(name):
    x, want, tol = of(name)
    kernel = hr.kernels.ntk if "ntk" in name else lambda *p: hr.kernels.laplace(*p, scale=2.0)
    fit = hr.kernels.svc(kernel(x["X"]), x["y"], C=x["C"])
    close(fit.alpha, want["alpha"], tol)
    assert fit.support.tolist() == want["support"]
    close(fit.intercept, want["intercept"], tol)
    np.testing.assert_allclose(fit.dual_objective, want["dual_objective"], rtol=1e-8)
    all_columns = fit.decision(kernel(x["X_test"], x["X"]))
    close(all_columns, want["decision_test"], tol)
    # The same sum, in the order BLAS likes.
    np.testing.assert_allclose(
        fit.decision(kernel(x["X_test"], x["X"][fit.support])), all_columns, rtol=1e-13, atol=1e-14
    )
    # The reference polishes to 4e-15; ours solves the same linear system.
    assert fit.kkt_violation < 1e-13


def test_reference_population_field():
    x, want, tol = of("population_field")
    got = hr.theory.population_field(x["omega"], x["b"], xmin=x["xmin"], xmax=x["xmax"])
    close(got.inputs, want["E_yx_active"], tol)
    close(got.bias, want["E_y_active"], tol)


def test_reference_compression_factors():
    x, want, tol = of("lambda_conventions")
    got = hr.compression(x["omega"], d_par=x["d_par"])
    close(
        [got["ratio_of_rms"], got["mean_of_rms"], got["sum_perp"]],
        [want["Lambda"], want["mean_of_rms"], want["sum_perp"]],
        tol,
    )


def test_reference_mutual_information():
    x, want, tol = of("mi_knn")
    close(hr.kernels.mutual_information(x["phi"], x["y"], k=x["k"]), want["I_bits"], tol)


def test_reference_intrinsic_dimension():
    x, want, tol = of("twonn_gram")
    close(hr.kernels.intrinsic_dimension(hr.kernels.ntk(x["X"])), [want["d"], want["sigma"]], tol)


def test_reference_exponents():
    x, want, tol = of("exponents")
    for key, row in want.items():
        got = hr.theory.learning_curve_exponents(int(key[2:]), xi=x["xi"])
        close([got["lazy"], got["feature"]], [row["lazy"], row["feature_dpar1"]], tol)


def test_reference_scalars():
    x, want, tol = of("stripe_balance")
    close(hr.Stripe(2, xmin=x["xmin"], xmax=x["xmax"]).probability_inside, want["P_plus"], tol)
    close(
        hr.theory.compression_all_active(xmin=x["xmin"], xmax=x["xmax"]),
        want["Lambda_over_sqrtp_all_active"],
        tol,
    )
    _, want, tol = of("thresholds")
    close(hr.Cylinder(4).probability_outside, want["cylinder_dpar2_P_plus"], tol)
    close(hr.Sphere(5).threshold, want["sphere_d5_r2"], tol)
    close(hr.Sphere(5).probability_outside, want["sphere_d5_P_plus"], tol)


@pytest.mark.parametrize("name", ["attractors_d2", "attractors_d5"])
def test_reference_attractors(name):
    x, want, tol = of(name)
    got = hr.theory.attractors(**x)
    assert len(got) == len(want)
    for a, b in zip(got, want, strict=True):
        assert all(a[key] == b[key] for key in ("s", "beta_sign", "stable", "inplane_stable"))
        pairs = [
            ("lambda_over_sqrtp", "Lam_over_sqrtp"),
            *((k, k) for k in ("z", "growth", "C1", "perp_factor")),
        ]
        close([a[k] for k, _ in pairs], [b[k] for _, k in pairs], tol)


# -- independent checks ------------------------------------------------------------------------


@given(
    weights=st.lists(st.floats(-3, 3), min_size=3, max_size=5),
    b=st.floats(-2, 2),
    low=st.floats(-2, 1),
    width=st.floats(0.1, 3),
)
@settings(max_examples=25, deadline=None)
def test_population_field_is_its_definition(weights, b, low, width):
    weights = np.array(weights)
    perp = np.linalg.norm(weights[1:])
    if perp < 0.05 or abs(weights[0]) < 1e-3:  # quad itself fails on a step
        return
    high, root = low + width, math.sqrt(len(weights))

    def average(inner):
        def density(x):
            y = 1.0 if low < x < high else -1.0
            return y * stats.norm.pdf(x) * inner(x, (root * b + weights[0] * x) / perp)

        cuts = sorted({-9.0, low, high, float(np.clip(-root * b / weights[0], -9, 9)), 9.0})
        return sum(integrate.quad(density, i, j, epsabs=1e-12)[0] for i, j in itertools.pairwise(cuts))

    got = hr.theory.population_field(weights, b, xmin=low, xmax=high)
    want = [
        average(lambda x, u: x * stats.norm.cdf(u)),
        *(w / perp * average(lambda x, u: stats.norm.pdf(u)) for w in weights[1:]),
    ]
    # quad's own error on five pieces.
    np.testing.assert_allclose(got.inputs, want, atol=1e-9)
    np.testing.assert_allclose(got.bias, average(lambda x, u: stats.norm.cdf(u)), atol=1e-9)


def test_attractors_of_one_interface():
    # One interface at 0: by symmetry both signs of omega_1 mirror each other.
    found = hr.theory.attractors(4, x0=0.0, include_unstable=True)
    plus = [a for a in found if a["s"] == 1]
    minus = [a for a in found if a["s"] == -1]
    np.testing.assert_allclose([a["z"] for a in plus], [-a["z"] for a in reversed(minus)], atol=1e-12)
    assert any(a["stable"] for a in found)


def test_no_attractor_is_a_legal_result():
    # Everything within reach has one label: the field never turns.
    assert hr.theory.attractors(3, x0=40.0) == []


def test_neuron_flow_reaches_an_attractor_and_keeps_its_invariant():
    # Neurons along the axis with a little perpendicular weight, no noise.
    rng = np.random.default_rng(3)
    w = np.column_stack([-np.ones(4), 0.05 * rng.normal(size=(4, 4))])
    network = hr.MeanFieldNetwork(-np.full(4, 1.5), w, np.full(4, 0.2), activation="sqrt2_relu")
    result = hr.theory.neuron_flow(network, [0.0, 40.0, 200.0], p=1e9)
    best = hr.theory.attractors(5)[-1]
    final = result.isel(t=-1)
    z = -math.sqrt(5) * final["bias"].values / final["w"].values[:, 0]
    # The approach is exponential with a gap of the order of the growth itself; ~14 e-folds here.
    np.testing.assert_allclose(z, best["z"], atol=1e-3)
    invariant = result["a"].values ** 2 - (result["w"].values ** 2).sum(-1) - result["bias"].values ** 2
    scale = (result["a"].values ** 2).max(axis=1, keepdims=True)
    # The integrator's tolerance, on the scale of the terms that cancel.
    assert (np.abs(invariant - invariant[0]) < 1e-6 * scale).all()
    growth = np.log(np.abs(result["a"].values[2] / result["a"].values[1])) / 160.0
    np.testing.assert_allclose(growth, math.sqrt(2) / 4 * best["growth"], rtol=1e-2)


@given(st.integers(0, 2**31), st.integers(1, 12), st.sampled_from(["normal", "zero", "none"]))
@settings(max_examples=25, deadline=None)
def test_closed_ntk_twin(seed, d, bias):
    rng = np.random.default_rng(seed)
    X, Y = rng.normal(size=(7, d)), rng.normal(size=(5, d))
    v_b, gamma = {"normal": (1, 1), "zero": (0, 1), "none": (0, 0)}[bias]
    inner = X @ Y.T / d
    a = np.sqrt((X**2).mean(1) + v_b)[:, None] * np.sqrt((Y**2).mean(1) + v_b)
    theta = np.arccos(np.clip((inner + v_b) / a, -1, 1))
    want = (a * (np.sin(theta) + (np.pi - theta) * np.cos(theta)) + (inner + gamma) * (np.pi - theta)) / np.pi
    # The clipped arccos loses half the digits near 0 and pi.
    np.testing.assert_allclose(hr.kernels.ntk(X, Y, bias=bias), want, atol=3e-7)
    np.testing.assert_allclose(hr.kernels.ntk(X, Y, bias=bias).T, hr.kernels.ntk(Y, X, bias=bias), atol=1e-13)


@given(st.integers(0, 2**31), st.integers(1, 6), st.integers(1, 40), st.sampled_from(["full", "last"]))
@settings(max_examples=25, deadline=None)
def test_finite_ntk_is_the_product_of_jacobians(seed, d, h, part):
    rng = np.random.default_rng(seed)
    network = hr.MeanFieldNetwork(
        rng.normal(size=h), rng.normal(size=(h, d)), rng.normal(size=h), activation="sqrt2_relu"
    )
    X, Y = rng.normal(size=(9, d)), rng.normal(size=(4, d))

    def jacobian(points):
        A = np.column_stack([points / math.sqrt(d), np.ones(len(points))])
        pre = A @ np.column_stack([network.w, network.b]).T
        readout = math.sqrt(2) * np.maximum(pre, 0) / h
        hidden = math.sqrt(2) / h * ((pre > 0) * network.a)[:, :, None] * A[:, None, :]
        return readout if part == "last" else np.hstack([readout, hidden.reshape(len(points), -1)])

    want = h * jacobian(X) @ jacobian(Y).T
    got = hr.kernels.network_ntk(network, X, Y, part=part, block=4)
    np.testing.assert_allclose(got, want, atol=1e-12 * max(1.0, np.abs(want).max()))


def test_closed_ntk_is_the_limit_of_wide_networks():
    X = np.random.default_rng(0).normal(size=(12, 3))
    kernels_of = [
        hr.kernels.network_ntk(
            hr.MeanFieldNetwork.random(20_000, 3, std_b=1.0, activation="sqrt2_relu", seed=s), X
        )
        for s in range(8)
    ]
    mean = np.mean(kernels_of, axis=0)
    error = np.std(kernels_of, axis=0, ddof=1) / math.sqrt(8)
    # 78 correlated entries, errors from 8 networks: five standard errors.
    assert np.abs((mean - hr.kernels.ntk(X)) / error).max() < 5.0


def test_finite_ntk_into_a_file_on_any_number_of_threads(tmp_path):
    network = hr.MeanFieldNetwork.random(3000, 4, std_b=1.0, activation="sqrt2_relu", dtype="float32")
    X = np.random.default_rng(1).normal(size=(700, 4))
    first = hr.kernels.network_ntk(network, X, threads=1)
    assert first.dtype == np.float32
    np.testing.assert_array_equal(first, first.T)
    out = np.memmap(tmp_path / "kernel", "float32", "w+", shape=(700, 700))
    assert hr.kernels.network_ntk(network, X, out=out, threads=3) is out
    np.testing.assert_array_equal(first, out)
    estimate = hr.kernels.memory_estimate(700, dtype="float32", threads=2)
    assert estimate["total"] == estimate["output"] + estimate["scratch"]


def test_svc_agrees_with_a_quadratic_program():
    from scipy.optimize import minimize

    rng = np.random.default_rng(5)
    X = rng.normal(size=(14, 2))
    y = np.where(X[:, 0] ** 2 > 0.5, 1.0, -1.0)
    K = hr.kernels.ntk(X)
    fit = hr.kernels.svc(K, y, C=3.0)
    Q = K * np.outer(y, y)
    want = minimize(
        lambda a: 0.5 * a @ Q @ a - a.sum(),
        np.full(14, 0.1),
        jac=lambda a: Q @ a - 1.0,
        bounds=[(0, 3.0)] * 14,
        constraints={"type": "eq", "fun": lambda a: a @ y, "jac": lambda a: y},
        options={"ftol": 1e-14, "maxiter": 1000},
    )
    # SLSQP stops at about 1e-8 of the objective.
    np.testing.assert_allclose(fit.dual_objective, -want.fun, rtol=1e-7)


def test_svc_separates_the_stripe():
    data = hr.Stripe(3)
    X, y = data.sample(400, seed=2)
    X_test, y_test = data.sample(5000, seed=2, stream="test")
    fit = hr.kernels.svc(hr.kernels.ntk(X), y)
    assert fit.kkt_violation < 1e-8
    error = fit.error(hr.kernels.ntk(X_test, X[fit.support]), y_test)
    # Independent numpy runs: .0464 at p = 256, .0337 at p = 512.
    assert 0.02 < error < 0.06


def test_mutual_information_bounds():
    rng = np.random.default_rng(0)
    y = rng.permutation(np.repeat([1.0, -1.0], 200))
    assert hr.kernels.mutual_information(y + 1e-3 * rng.normal(size=400), y) > 0.99
    # Independent: the estimator's bias at k = 5 stays below 0.15 bit.
    assert abs(hr.kernels.mutual_information(rng.normal(size=400), y)) < 0.2
    assert hr.kernels.mutual_information(np.ones(400), y) == 0.0


# -- data --------------------------------------------------------------------------------------


@given(
    st.sampled_from([hr.Stripe(3), hr.SingleInterface(4), hr.Cylinder(5), hr.Sphere(2)]), st.integers(1, 300)
)
@settings(max_examples=20, deadline=None)
def test_rows_do_not_depend_on_how_many(data, P):
    X, y = data.sample(400, seed=9, stream="kernel")
    few, labels = data.sample(P, seed=9, stream="kernel", threads=1)
    np.testing.assert_array_equal(few, X[:P])
    np.testing.assert_array_equal(labels, y[:P])
    later, _ = data.sample(100, seed=9, stream="kernel", start=300)
    np.testing.assert_array_equal(later, X[300:])


def test_streams_are_disjoint_and_balanced():
    samples = [hr.Stripe(2).sample(20_000, seed=1, stream=s)[0] for s in ("train", "kernel", "test")]
    for i in range(3):
        for j in range(i):
            # Independent columns of 20,000: correlations within 5/sqrt(20000).
            assert abs(np.corrcoef(samples[i][:, 0], samples[j][:, 0])[0, 1]) < 0.036
    for data in (hr.Stripe(5), hr.SingleInterface(3), hr.Cylinder(4), hr.Cylinder(6, d_par=4), hr.Sphere(5)):
        _, y = data.sample(20_000, seed=3)
        # 5 standard errors of a fair coin, plus the 0.5 % by which approximate medians miss.
        assert abs(y.mean()) < 5 / math.sqrt(20_000) + 0.01


def test_stretch_and_inside_label():
    X, y = hr.Stripe(4).sample(50, seed=1)
    stretched, same = hr.Stripe(4, stretch=0.1, inside_label=-1).sample(50, seed=1)
    np.testing.assert_array_equal(stretched[:, 0], X[:, 0])
    np.testing.assert_allclose(stretched[:, 1:], 0.1 * X[:, 1:], rtol=1e-15)
    np.testing.assert_array_equal(same, -y)
    assert hash(hr.Stripe(4)) == hash(hr.Stripe(4))


# -- bad input ---------------------------------------------------------------------------------

NETWORK = hr.MeanFieldNetwork([1.0], [[1.0, 0.0]], [0.0], activation="sqrt2_relu")


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: hr.Stripe(0), "d"),
        (lambda: hr.Stripe(3, xmin=2.0), "xmin"),
        (lambda: hr.Stripe(3, inside_label=0), "inside_label"),
        (lambda: hr.Stripe(3, stretch=math.nan), "stretch"),
        (lambda: hr.Stripe(3).sample(0), "P"),
        (lambda: hr.Stripe(3).sample(5, stream="validation"), "stream"),
        (lambda: hr.Cylinder(3, d_par=4), "d_par"),
        (lambda: hr.Cylinder(3, d_par=1), "d_par"),
        (lambda: hr.Sphere(-1), "d"),
        (lambda: hr.Stripe(3).labels([[1.0]]), "X"),
        (lambda: hr.theory.attractors(0), "d"),
        (lambda: hr.theory.attractors(3, xmin=1.0, xmax=0.0), "xmin"),
        (lambda: hr.theory.attractors(3, inside_label=2), "inside_label"),
        (lambda: hr.theory.learning_curve_exponents(3, d_par=4), "d_par"),
        (lambda: hr.theory.learning_curve_exponents(3, xi=2.5), "xi"),
        (lambda: hr.theory.population_field([1.0, math.nan], 0.0), "omega"),
        (lambda: hr.theory.compression_time(10, 2.0, 0.1), "alpha"),
        (lambda: hr.compression([[1.0, 2.0]], d_par=2), "d_par"),
        (lambda: hr.kernels.ntk([1.0]), "X"),
        (lambda: hr.kernels.ntk([[math.inf]]), "X"),
        (lambda: hr.kernels.ntk([[1.0]], [[1.0, 2.0]]), "Y"),
        (lambda: hr.kernels.ntk([[1.0]], bias="trained"), "bias"),
        (lambda: hr.kernels.laplace([[1.0]], scale=0.0), "scale"),
        (lambda: hr.kernels.network_ntk(NETWORK, [[1.0]]), "X"),
        (lambda: hr.kernels.network_ntk(NETWORK, [[1.0, 2.0]], out=np.empty((2, 2))), "out"),
        (lambda: hr.kernels.network_ntk(NETWORK, [[1.0, 2.0]], block=0), "block"),
        (lambda: hr.kernels.label_projections([[1.0, 2.0], [0.0, 1.0]], [1, -1]), "K"),
        (lambda: hr.kernels.label_projections(np.eye(2), [1, 0]), "y"),
        (lambda: hr.kernels.label_projections(np.eye(2), [1, 1]), "y"),
        (lambda: hr.kernels.mutual_information([1.0, 2.0, 3.0], [1, -1, 1]), "k"),
        (lambda: hr.kernels.intrinsic_dimension(np.ones((4, 4))), "K"),
        (lambda: hr.kernels.svc(np.array([[0.0, 1.0], [1.0, 0.0]]), [1, -1]), "K"),
        (lambda: hr.kernels.svc(np.eye(3), [1, -1]), "y"),
        (lambda: hr.kernels.svc(np.eye(2), [1, -1], C=0.0), "C"),
    ],
)
def test_bad_input_names_the_argument(call, name):
    with pytest.raises((hr.InvalidParameterError, hr.ShapeError)) as caught:
        call()
    assert str(caught.value).startswith(name)


def test_a_margin_that_nothing_has_is_reported_with_the_best_found():
    X = np.array([[0.0], [0.0], [1.0]])  # two labels on one point
    with pytest.raises(hr.ConvergenceError, match="separable") as caught:
        hr.kernels.svc(hr.kernels.laplace(X, scale=1.0), [1, -1, 1], max_iter=1000)
    assert isinstance(caught.value.result, kernels.SupportVectors)
