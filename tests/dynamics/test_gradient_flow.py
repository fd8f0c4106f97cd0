"""Gradient flow: the flow itself, its controllers, its stopping rules, and the run protocol."""

import copy
import json
import math
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hmm_rs as hr

CASES = {
    case["name"]: case
    for case in json.loads((Path(__file__).parents[1] / "reference" / "compression.json").read_text())[
        "cases"
    ]
}


def random_network(h, d, seed=0, **options):
    return hr.MeanFieldNetwork.random(h, d, std_b=1.0, activation="sqrt2_relu", seed=seed, **options)


def small(loss="hinge", d=3, p=40, h=50, seed=1, **options):
    X, y = hr.Stripe(d).sample(p, seed=seed)
    return hr.GradientFlow(random_network(h, d, seed), X, y, loss=loss, **options)


# -- the flow ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gradient_flow_linear", "gradient_flow_softhinge"])
def test_reference_trajectory(name):
    case = CASES[name]
    x, want, atol = case["input"], case["expected"], case["tol"]["atol"]
    network = hr.MeanFieldNetwork(x["beta0"], x["omega0"], x["b0"], activation="sqrt2_relu")
    flow = hr.GradientFlow(
        network,
        x["X"],
        x["y"],
        loss=x["loss"],
        alpha=x["alpha"],
        margin=x["margin"],
        loss_beta=x["loss_beta"],
        method="rk",
        rtol=1e-11,
        atol=1e-13,
    )
    for state in want["states"]:
        result = flow.run(save_at=[state["t"]])
        np.testing.assert_allclose(flow.network.w, state["omega"], atol=atol, rtol=0)
        np.testing.assert_allclose(flow.network.b, state["b"], atol=atol, rtol=0)
        np.testing.assert_allclose(flow.network.a, state["beta"], atol=atol, rtol=0)
        np.testing.assert_allclose(flow.margins, state["yF"], atol=atol, rtol=0)
        np.testing.assert_allclose(result["compression"][-1], state["Lambda"], atol=atol, rtol=0)
        conserved = hr.observables.conserved_quantity(flow.network)
        # Kinks cost the integrator some digits.
        np.testing.assert_allclose(conserved, want["conserved_beta2_minus_V2"], atol=atol)


def twin_outputs(X, w, b, a):
    pre = X @ w.T / math.sqrt(X.shape[1]) + b
    return math.sqrt(2) / len(a) * np.maximum(pre, 0) @ a


def twin_gradient(X, slopes, w, b, a):
    """Gradient of sum slopes f, through the dense activation matrix."""
    d, h = X.shape[1], len(a)
    pre = X @ w.T / math.sqrt(d) + b
    mask = (pre > 0) * slopes[:, None]
    c = math.sqrt(2) / h
    return c * mask.T @ X / math.sqrt(d) * a[:, None], c * mask.sum(0) * a, c * (mask * pre).sum(0)


def twin_slope(loss, z, B=20.0):
    return {
        "hinge": -(z < 1.0).astype(float),
        "softhinge": -1.0 / (1.0 + np.exp(np.clip(-B * (1 - z), -700, 700))),
        "qhinge": -np.maximum(1 - z, 0),
        "linear": -np.ones_like(z),
    }[loss]


@given(
    st.integers(0, 1000),
    st.sampled_from([1, 2, 5, 10, 16, 17, 20, 33]),
    st.integers(1, 150),
    st.integers(1, 300),
    st.sampled_from(["hinge", "softhinge", "qhinge", "linear"]),
)
@settings(max_examples=30, deadline=None)
def test_gradient_is_that_of_a_dense_twin(seed, d, p, h, loss):
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(p, d)), rng.choice([-1.0, 1.0], p)
    network = random_network(h, d, seed)
    flow = hr.GradientFlow(network, X, y, loss=loss, alpha=0.7, subtract_f0=False)
    f = twin_outputs(X, network.w, network.b, network.a)
    np.testing.assert_allclose(flow.margins, y * 0.7 * f, atol=1e-12)
    slopes = twin_slope(loss, y * 0.7 * f) * y / p
    dw, db, da = twin_gradient(X, slopes, network.w, network.b, network.a)
    a, w, b = flow.gradient()
    # The forces are averages of numbers of order one.
    np.testing.assert_allclose(a, da, atol=1e-13)
    np.testing.assert_allclose(w, dw, atol=1e-13)
    np.testing.assert_allclose(b, db, atol=1e-13)


def test_gradient_and_tangent_kernel_against_automatic_differentiation():
    jax = pytest.importorskip("jax")
    # Under its own name since jax 0.8.
    in_double = jax.enable_x64 if hasattr(jax, "enable_x64") else jax.experimental.enable_x64
    with in_double(True):
        X, y = hr.Stripe(4).sample(60, seed=2)
        network = random_network(40, 4)

        def f(parameters, x):
            a, w, b = parameters
            return math.sqrt(2) / 40 * jax.numpy.maximum(x @ w.T / 2.0 + b, 0) @ a

        parameters = (network.a, network.w, network.b)

        def objective(parameters):
            z = y * 0.5 * f(parameters, X)
            return jax.numpy.mean(jax.numpy.logaddexp(0.0, 20.0 * (1 - z)) / 20.0) / 0.5

        want = jax.grad(objective)(parameters)
        flow = hr.GradientFlow(network, X, y, loss="softhinge", alpha=0.5, subtract_f0=False)
        for got, wanted in zip(flow.gradient(), want, strict=True):
            np.testing.assert_allclose(got, wanted, atol=1e-13)
        jacobians = jax.jacobian(f)(parameters, X)
        flat = np.hstack([np.asarray(j).reshape(60, -1) for j in jacobians])
        kernel = hr.kernels.network_ntk(network, X)
        np.testing.assert_allclose(kernel, 40 * flat @ flat.T, rtol=1e-12, atol=1e-12)


def twin_run(controller, X, y, network, steps, alpha=1.0, max_dout=0.1, max_dw=0.01, max_dgrad=1e-4):
    """Both controllers in plain numpy, for the soft hinge."""
    theta = [network.w, network.b, network.a]
    f0 = twin_outputs(X, *theta)

    def evaluate(theta):
        o = twin_outputs(X, *theta) - f0
        return o, twin_gradient(X, twin_slope("softhinge", y * alpha * o) * y / len(y), *theta)

    def norm(parts):
        return math.sqrt(sum((part**2).sum() for part in parts))

    o, g = evaluate(theta)
    t, dt, taken = 0.0, 1.0, 0
    while taken < steps:
        dt = min(dt, 0.99 * max_dw * norm(theta) / norm(g))
        trial = [part - dt * slope for part, slope in zip(theta, g, strict=True)]
        o_new, g_new = evaluate(trial)
        dout = np.abs(o_new - o).max() * alpha / max_dout
        if controller == "chatter":
            accept = dout < 1
            factor = min(max(0.9 / dout, 0.5), 1.3) if accept else max(0.1, 0.8 / dout)
        else:
            change = norm([new - old for new, old in zip(g_new, g, strict=True)]) ** 2
            dgrad = change / (norm(g) * norm(g_new)) / max_dgrad
            accept = dout < 1 and dgrad < 1
            factor = (1.1 if dout < 0.5 and dgrad < 0.5 else 1.0) if accept else 0.1
        if accept:
            theta, o, g = trial, o_new, g_new
            t, taken = t + dt, taken + 1
        dt *= factor
    return t, theta, y * alpha * o


@pytest.mark.parametrize("controller", ["chatter", "published"])
def test_controllers_follow_their_definition(controller):
    X, y = hr.Stripe(3).sample(60, seed=4)
    network = random_network(70, 3)
    flow = hr.GradientFlow(network, X, y, loss="softhinge", alpha=1.0, controller=controller)
    flow.advance(150)
    t, (w, _, a), margins = twin_run(controller, X, y, network, 150)
    # Rounding differences grow along 150 steps, and by each kink they move a neuron over.
    np.testing.assert_allclose(flow.t, t, rtol=1e-9)
    np.testing.assert_allclose(flow.network.w, w, atol=1e-9)
    np.testing.assert_allclose(flow.network.a, a, atol=1e-9)
    np.testing.assert_allclose(flow.margins, margins, atol=1e-9)


def test_single_precision_follows_double_in_the_feature_regime():
    runs = [small(d=5, p=200, h=100, dtype=dtype).run(stop_frac=0.1) for dtype in ("float32", "float64")]
    single, double = (run.attrs for run in runs)
    # To t* the parameters grow by exp(7); 1e-7 grows with them, and kinks add some.
    assert abs(single["t_star"] / double["t_star"] - 1) < 1e-3
    assert abs(single["lambda_star"] / double["lambda_star"] - 1) < 1e-2


def test_finer_steps_approach_the_flow():
    def end(**options):
        flow = small("softhinge", alpha=1.0, **options)
        flow.run(save_at=[20.0])
        return flow.network.w

    exact = end(method="rk", rtol=1e-10, atol=1e-12)
    errors = [np.abs(end(max_dw=dw) - exact).max() for dw in (1e-2, 1e-3)]
    # First order: ten times finer steps, some ten times less error.
    assert errors[1] < 0.25 * errors[0] < 0.25


# -- freezing, stopping, statuses ------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 2])
def test_the_published_rule_freezes_where_the_other_one_learns(seed):
    X, y = hr.Stripe(5).sample(128, seed=seed)
    test = dict(zip(("X_test", "y_test"), hr.Stripe(5).sample(10_000, seed=seed, stream="test"), strict=True))
    network = random_network(400, 5, seed)
    frozen = hr.GradientFlow(network, X, y, loss="softhinge", controller="published", **test)
    result = frozen.run(stop_margin=1.0, save_steps=[0])
    assert result.attrs["stopped"] == "frozen"
    assert result.attrs["steps"] < 20_000
    # Most of its steps are accepted: rejections alone would not show the freeze.
    assert result.attrs["steps"] > 0.9 * result.attrs["trials"]
    assert result["satisfied"][-1] < 0.1
    learnt = hr.GradientFlow(network, X, y, loss="softhinge", **test).run(stop_margin=1.0, save_steps=[0])
    assert learnt.attrs["stopped"] == "margin"
    assert learnt["train_error"][-1] == 0.0
    # Independent numpy runs: .053 to .061 on such data; draws differ by a factor of two.
    assert learnt["test_error"][-1] < 0.1 < float(result["test_error"][-1])


def test_moments_are_remembered_in_order():
    flow = small(d=3, p=60, h=80)
    result = flow.run(stop_margin=1.0)
    times = [result.attrs[k] for k in ("t_star", "t_margin_0", "t_margin_half", "t_margin_1")]
    assert times == sorted(times)
    assert times[-1] == result.t[-1]
    t, network = flow.events["t_star"]
    assert t == result.attrs["t_star"]
    assert hr.compression(network.w)["ratio_of_rms"] == result.attrs["lambda_star"]
    regimes = hr.observables.temporal_regime(result["satisfied"], 60)
    assert regimes[0] == "compressing"
    assert regimes[-1] == "over-fitting"
    # The first record beyond t* has more than a tenth fitted.
    after = result["satisfied"].where(result.t >= t, drop=True)
    assert after[0] > 0.1


def test_each_rule_ends_a_run():
    assert small().run(max_steps=20).attrs["stopped"] == "max_steps"
    assert small().run(t_max=30.0).attrs["stopped"] == "t_max"
    assert small().run(t_max=30.0).t[-1] == 30.0
    assert small().run(stop_frac=0.3).attrs["stopped"] == "fraction"
    assert small().run(max_seconds=0.0).attrs["stopped"] == "max_seconds"
    # Once the hinge has satisfied every example its gradient vanishes.
    assert small(p=6).run().attrs["stopped"] == "gradient"
    result = small().run(save_at=[1.0, 2.5])
    assert result.t.values.tolist() == [1.0, 2.5]


def test_data_that_cannot_be_fitted_give_a_partial_result():
    X = np.zeros((4, 2))
    y = np.array([1.0, -1.0, 1.0, -1.0])
    flow = hr.GradientFlow(random_network(20, 2), X, y, alpha=1.0)
    result = flow.run(stop_margin=1.0, max_steps=500)
    assert result.attrs["stopped"] in ("max_steps", "gradient")
    assert float(result["train_error"][-1]) >= 0.5


def test_what_a_moment_stops_can_go_on():
    flow = small()
    flow.run(stop_frac=0.1)
    result = flow.run(stop_margin=0.5)
    assert result.attrs["stopped"] == "margin"


# -- the run protocol ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("d", [3, 18])
def test_bits_do_not_depend_on_threads(dtype, d):
    networks = []
    for threads in (1, 2, 3, 7):
        flow = small(d=d, p=700, h=600, dtype=dtype)
        flow.run(max_steps=15, threads=threads)
        networks.append(flow.network)
    for other in networks[1:]:
        np.testing.assert_array_equal(other.w, networks[0].w)
        np.testing.assert_array_equal(other.a, networks[0].a)


def make_kernel_flow():
    X, y = hr.Stripe(3).sample(40, seed=1)
    return hr.KernelFlow(hr.kernels.ntk(X), y, loss="softhinge")


@pytest.mark.parametrize("make", [small, make_kernel_flow])
def test_resumed_equals_never_stopped(make, tmp_path):
    whole = make().run(stop_frac=0.9, max_steps=400)
    path = tmp_path / "run.ckpt"

    def stop(driver, seen):
        if seen["step"] >= 150:
            raise hr.StopRun

    make().run(stop_frac=0.9, max_steps=400, checkpoint=path, callbacks=[stop])
    resumed = hr.resume(path, threads=2)
    assert resumed.attrs["stopped"] == whole.attrs["stopped"]
    for name in whole:
        np.testing.assert_array_equal(resumed[name], whole[name])
    for key in ("t_star", "lambda_star"):
        assert resumed.attrs.get(key) == whole.attrs.get(key)


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda flow: pickle.loads(pickle.dumps(flow))])
def test_copies_continue_identically(clone):
    flow = small()
    flow.run(stop_frac=0.2)
    twin = clone(flow)
    for driver in (flow, twin):
        driver.run(stop_margin=0.3)
    np.testing.assert_array_equal(flow.network.w, twin.network.w)
    assert flow.events.keys() == twin.events.keys()
    assert flow.t == twin.t


def test_result_can_be_written(tmp_path):
    result = small().run(stop_frac=0.3)
    result.to_netcdf(tmp_path / "run.nc", engine="h5netcdf")
    assert {"loss", "satisfied", "compression", "train_error", "test_error"} - set(result) == {"test_error"}


# -- kernel flow -----------------------------------------------------------------------------------


def test_kernel_flow_is_close_to_the_classifier_of_its_kernel():
    data = hr.Stripe(5)
    X, y = data.sample(64, seed=3)
    X_test, y_test = data.sample(4000, seed=3, stream="test")
    K, K_test = hr.kernels.ntk(X), hr.kernels.ntk(X_test, X)
    flow = hr.KernelFlow(K, y, loss="softhinge", K_test=K_test, y_test=y_test)
    result = flow.run(stop_margin=1.0)
    assert result.attrs["stopped"] == "margin"
    decisions = flow.test_predictions()
    np.testing.assert_allclose(decisions, K_test @ flow.coefficients, atol=1e-10)
    # Independent numpy runs: correlation .998 at p = 64, errors .187 against .196.
    fit = hr.kernels.svc(K, y)
    assert np.corrcoef(decisions, fit.decision(K_test))[0, 1] > 0.98
    assert abs(float(result["test_error"][-1]) - fit.error(K_test, y_test)) < 0.04


def test_kernel_clock():
    X, y = hr.Stripe(3).sample(30, seed=1)
    K = hr.kernels.ntk(X)
    slow, fast = hr.KernelFlow(K, y, loss="linear"), hr.KernelFlow(10 * K, y, loss="linear")
    slow.run(save_at=[2.0])
    fast.run(save_at=[0.2])
    # Under the linear loss F = K sum y/p t exactly.
    np.testing.assert_allclose(slow.margins, fast.margins, rtol=1e-12)
    np.testing.assert_allclose(slow.margins, y * (K @ y) / 30 * 2.0, rtol=1e-12)


def test_a_lazy_network_follows_its_frozen_kernel():
    X, y = hr.Stripe(3).sample(30, seed=5)
    network = random_network(20_000, 3)
    # alpha sqrt h >> 1: the weights hardly move.
    flow = hr.GradientFlow(network, X, y, loss="qhinge", alpha=100.0)
    h_theta = hr.kernels.network_ntk(network, X)
    frozen = hr.KernelFlow(h_theta / 20_000, y, loss="qhinge", alpha=100.0)
    times = [20.0, 100.0, 400.0]
    for t in times:
        flow.run(save_at=[t])
        frozen.run(save_at=[t])
        # Corrections are of relative order 1/(alpha sqrt h); Euler steps differ by their own size.
        np.testing.assert_allclose(flow.margins, frozen.margins, atol=0.03)


# -- bad input ---------------------------------------------------------------------------------------

X2, Y2 = np.array([[0.5, 1.0], [1.5, -1.0]]), np.array([1.0, -1.0])
NET = random_network(4, 2)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: hr.GradientFlow(NET, np.empty((0, 2)), []), "X"),
        (lambda: hr.GradientFlow(NET, X2, [0.0, 1.0]), "y"),
        (lambda: hr.GradientFlow(NET, X2, [1.0]), "y"),
        (lambda: hr.GradientFlow(NET, X2[:, :1], Y2), "X"),
        (lambda: hr.GradientFlow(NET, X2 * math.nan, Y2), "X"),
        (lambda: hr.GradientFlow(NET, X2, Y2, alpha=0.0), "alpha"),
        (lambda: hr.GradientFlow(NET, X2, Y2, alpha=math.inf), "alpha"),
        (lambda: hr.GradientFlow(NET, X2, Y2, loss="square"), "loss"),
        (lambda: hr.GradientFlow(NET, X2, Y2, controller="none"), "controller"),
        (lambda: hr.GradientFlow(NET, X2, Y2, method="rk"), "method"),
        (lambda: hr.GradientFlow(NET, X2, Y2, max_dout=-1.0), "max_dout"),
        (lambda: hr.GradientFlow(NET, X2, Y2, d_par=3), "d_par"),
        (lambda: hr.GradientFlow(NET, X2, Y2, X_test=X2), "X_test"),
        (lambda: hr.GradientFlow(NET, X2, Y2, X_test=X2, y_test=[1.0, 2.0]), "y_test"),
        (lambda: hr.GradientFlow(hr.MeanFieldNetwork([1.0], [[1.0, 2.0]]), X2, Y2), "network"),
        (lambda: hr.GradientFlow(NET, X2, Y2).run(stop_frac=2.0), "stop_frac"),
        (lambda: hr.GradientFlow(NET, X2, Y2).run(max_steps=0), "max_steps"),
        (lambda: hr.GradientFlow(NET, X2, Y2).run(save_at=[1.0], save_steps=[1]), "save_at"),
        (lambda: hr.GradientFlow(NET, X2, Y2).run(save_steps=[3, 1]), "save_steps"),
        (lambda: hr.GradientFlow(NET, X2, Y2).run(t_max=-1.0), "t_max"),
        (lambda: hr.KernelFlow(np.ones((2, 3)), Y2), "K"),
        (lambda: hr.KernelFlow(np.array([[1.0, 0.0], [0.5, 1.0]]), Y2), "K"),
        (lambda: hr.KernelFlow(np.array([[0.0, 1.0], [1.0, 0.0]]), Y2), "K"),
        (lambda: hr.KernelFlow(np.eye(2), [1.0, 3.0]), "y"),
        (lambda: hr.KernelFlow(np.eye(2), Y2, K_test=np.eye(3), y_test=[1, 1, 1]), "K_test"),
    ],
)
def test_bad_input_names_the_argument(call, name):
    with pytest.raises((hr.InvalidParameterError, hr.ShapeError)) as caught:
        call()
    assert str(caught.value).startswith(name)


def test_a_foreign_network_is_refused():
    with pytest.raises(hr.DtypeError, match="network"):
        hr.GradientFlow("network", X2, Y2)


def test_numbers_without_end():
    # Weights whose output overflows are refused at once.
    huge = hr.MeanFieldNetwork([1e300], [[1e300, 0.0]], [0.0], activation="sqrt2_relu")
    with pytest.raises(hr.InvalidParameterError, match="finite"):
        hr.GradientFlow(huge, X2, Y2)
    # Under the linear loss the weights grow for ever; where single precision ends (3e38) no step is
    # accepted any more, and the run says so with what it has.
    flow = small("linear", p=10, h=5, alpha=1e-300, dtype="float32", max_dw=0.9)
    result = flow.run(max_steps=100_000, save_steps=[0, 10])
    assert result.attrs["stopped"] == "frozen"
    assert np.isfinite(result["compression"]).all()
