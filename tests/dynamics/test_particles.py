"""Particle engine: reference case, numpy twin, invariants, the protocol of long runs, bad input."""

import copy
import json
import math
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erf

import hmm_rs as hr
from hmm_rs.data.labelled import LabelledData
from hmm_rs.ground import memory
from hmm_rs.testing import assert_interruptible

CASE = next(
    case
    for case in json.loads((Path(__file__).parents[1] / "reference" / "hinge.json").read_text())["cases"]
    if case["id"] == "G10_tiny_net"
)


@pytest.mark.parametrize("tile", [None, (8, 1)])
def test_reference_network(tile):
    i, expected = CASE["inputs"], CASE["expected"]
    tolerance = {"rtol": CASE["tol_rel"], "atol": CASE["tol_abs"]}
    network = hr.MeanFieldNetwork(i["a"], i["w"])
    run = hr.Particles(network, i["x"], i["y"], alpha=i["alpha"], h=i["h"], beta=i["beta"], tile=tile)
    for record in expected["records"]:
        table = run.run(record["step"], dt=i["dt"], save_at=[record["step"]])
        assert table.loss[0] == pytest.approx(record["loss"], rel=1e-9, abs=1e-11)
        assert round(float(table.unsatisfied[0]) * 4) == record["n_unsat"]
        np.testing.assert_allclose(run.network.forward(i["x"]), record["f"], **tolerance)
        np.testing.assert_allclose(run.network.a.sum(), record["sum_a"], **tolerance)
        np.testing.assert_allclose((run.network.w**2).sum(), record["sum_w2"], **tolerance)
    np.testing.assert_allclose(run.network.a, expected["a"], **tolerance)
    np.testing.assert_allclose(run.network.w, expected["w"], **tolerance)


UNITS = {
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(float)),
    "erf": (lambda z: erf(z / np.sqrt(2)), lambda z: np.sqrt(2 / np.pi) * np.exp(-(z**2) / 2)),
    "tanh": (np.tanh, lambda z: 1 / np.cosh(z) ** 2),
}
LOSSES = {
    "hinge": (lambda s: np.maximum(s, 0), lambda s: (s > 0).astype(float)),
    "squared": (lambda s: s**2 / 2, lambda s: s),
    "logistic": (lambda s: np.log1p(np.exp(s)), lambda s: 1 / (1 + np.exp(-s))),
}


def twin(network, X, y, steps, *, alpha, h, beta, p, loss, subtract, dt):
    """Gradient descent written down from the definition of the loss."""
    g, slope = UNITS[network.activation]
    value, pull = LOSSES[loss]
    a, w = network.a.copy(), network.w.copy()
    M, d = w.shape

    def output():
        return g(X @ w.T / np.sqrt(d)) @ a / M

    initial = output() if subtract else 0.0
    losses = []
    for _ in range(steps + 1):
        deficit = h - alpha * y * (output() - initial)
        losses.append(value(deficit).mean() / alpha**p)
        c = beta * alpha ** (1 - p) * y * pull(deficit) / len(y)
        z = X @ w.T / np.sqrt(d)
        a, w = a + dt * g(z).T @ c, w + dt * a[:, None] * (slope(z) * c[:, None]).T @ X / np.sqrt(d)
    return np.array(losses)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("subtract", [False, True])
def test_numpy_twin(unit, loss, subtract):
    network = hr.MeanFieldNetwork.random(75, 11, activation=unit, seed=2)
    X, y = hr.LinearlySeparable(11, flip=0.1).sample(213, seed=3)
    options = {"alpha": 1.7, "h": 0.4, "beta": 0.8, "p": 2, "loss": loss}
    expected = twin(network, X, y, 8, subtract=subtract, dt=0.5, **options)
    table = hr.Particles(network, X, y, subtract_init=subtract, **options).run(8, dt=0.5, save_at=range(9))
    # The same sums in another order; a flipped comparison would be far off.
    np.testing.assert_allclose(table.loss, expected, rtol=1e-11)
    np.testing.assert_allclose(table.t, 0.5 * np.arange(9))


@pytest.mark.parametrize(("M", "P"), [(37, 3000), (5000, 300)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bits_do_not_depend_on_threads(M, P, dtype):
    network = hr.MeanFieldNetwork.random(M, 9, seed=1)
    law = hr.LinearlySeparable(9, flip=0.05)
    X, y = law.sample(P, seed=2)

    def final(threads, **data):
        run = hr.Particles(network, *data.pop("fixed", ()), beta=2.0, dtype=dtype, test_size=500, **data)
        table = run.run(12, save_at=[0, 5, 12], threads=threads)
        return table, run.network

    for data in ({"fixed": (X, y)}, {"data": law, "batch": P}):
        table, network_1 = final(1, **dict(data))
        for threads in (2, 3, 7):
            other, network_n = final(threads, **dict(data))
            np.testing.assert_array_equal(network_n.w, network_1.w)
            np.testing.assert_array_equal(network_n.a, network_1.a)
            assert other.drop_attrs().equals(table.drop_attrs())


def test_single_precision_follows_double():
    network = hr.MeanFieldNetwork.random(500, 20, seed=1)
    X, y = hr.LinearlySeparable(20).sample(800, seed=2)
    tables = [hr.Particles(network, X, y, dtype=t).run(50, save_at=[50]) for t in ("float32", "float64")]
    # Rounding 6e-8 over 50 steps of a smooth flow, plus one example in 800 on the other side.
    np.testing.assert_allclose(tables[0].loss, tables[1].loss, rtol=1e-5)
    np.testing.assert_allclose(tables[0].gamma, tables[1].gamma, rtol=1e-5)


sizes = {"M": st.integers(1, 40), "P": st.integers(1, 60), "d": st.integers(1, 6), "seed": st.integers(0, 99)}


@given(**sizes, tile=st.tuples(st.integers(1, 50), st.integers(1, 80)), unit=st.sampled_from(sorted(UNITS)))
@settings(max_examples=40, deadline=None)
def test_tiles_of_any_size_give_the_same_result(M, P, d, seed, tile, unit):
    network = hr.MeanFieldNetwork.random(M, d, activation=unit, seed=seed)
    X, y = hr.LinearlySeparable(d).sample(P, seed=seed)
    runs = [hr.Particles(network, X, y, tile=t) for t in (None, tile)]
    for run in runs:
        run.advance(5)
    # The same sums in another order.
    np.testing.assert_allclose(runs[0].network.w, runs[1].network.w, rtol=1e-10, atol=1e-12)


@given(**sizes)
@settings(max_examples=40, deadline=None)
def test_nodes_conserve_their_hyperbola_to_first_order(M, P, d, seed):
    """a² - |w|² changes by O(dt²) in a step of size dt."""
    network = hr.MeanFieldNetwork.random(M, d, seed=seed)
    X, y = hr.LinearlySeparable(d).sample(P, seed=seed)
    invariant = network.a**2 - (network.w**2).sum(axis=1)

    def change(dt):
        run = hr.Particles(network, X, y)
        run.advance(1, dt=dt)
        return run.network.a**2 - (run.network.w**2).sum(axis=1) - invariant

    # One step is exactly quadratic in dt for this invariant: the linear term cancels.
    np.testing.assert_allclose(change(0.02), 4 * change(0.01), rtol=1e-6, atol=1e-12)


@given(**sizes)
@settings(max_examples=30, deadline=None)
def test_nodes_can_be_permuted(M, P, d, seed):
    network = hr.MeanFieldNetwork.random(M, d, seed=seed)
    order = np.random.default_rng(seed).permutation(M)
    X, y = hr.LinearlySeparable(d).sample(P, seed=seed)
    runs = [hr.Particles(n, X, y) for n in (network, hr.MeanFieldNetwork(network.a[order], network.w[order]))]
    for run in runs:
        run.advance(5)
    np.testing.assert_allclose(runs[0].network.w[order], runs[1].network.w, rtol=1e-10, atol=1e-12)


@given(**sizes)
@settings(max_examples=30, deadline=None)
def test_paired_nodes_learn_an_odd_function_from_odd_data(M, P, d, seed):
    """(a, w) -> (-a, -w) is kept by data that contain -x with -y."""
    network = hr.MeanFieldNetwork.random(2 * M, d, paired="odd", seed=seed)
    X, y = hr.LinearlySeparable(d).sample(P, seed=seed)
    run = hr.Particles(network, np.concatenate([X, -X]), np.concatenate([y, -y]))
    run.advance(5)
    after = run.network
    np.testing.assert_allclose(after.w[:M], -after.w[M:], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(after.a[:M], -after.a[M:], rtol=1e-10, atol=1e-12)


def fixed_run(**more):
    network = hr.MeanFieldNetwork.random(60, 8, seed=1)
    X, y = hr.LinearlySeparable(8).sample(400, seed=2)
    return hr.Particles(network, X, y, data=hr.LinearlySeparable(8), test_size=200, **more)


def fresh_run(**more):
    network = hr.MeanFieldNetwork.random(60, 8, seed=1)
    options = {"alpha": 20.0, "subtract_init": True, "batch": 300, "test_size": 200, **more}
    return hr.Particles(network, data=hr.LinearlySeparable(8, flip=0.1), **options)


@pytest.mark.parametrize("make", [fixed_run, fresh_run])
def test_slices_do_not_change_a_bit(make):
    whole, parts = make(), make()
    whole.advance(30)
    for n in (1, 2, 0, 7, 20):
        parts.advance(n)
        parts.observe()
    whole.observe()
    np.testing.assert_array_equal(whole.network.w, parts.network.w)
    np.testing.assert_array_equal(whole.first_satisfied, parts.first_satisfied)


@pytest.mark.parametrize("make", [fixed_run, fresh_run])
def test_stopped_and_resumed_equals_never_stopped(make, tmp_path):
    saves = [0, 3, 10, 25, 40]
    whole = make().run(40, save_at=saves, dt=0.5)

    def stop(driver, seen):
        if seen["t"] >= 5.0:
            raise hr.StopRun

    path = tmp_path / "run.ckpt"
    part = make().run(40, save_at=saves, dt=0.5, callbacks=[stop], checkpoint=path, threads=2)
    assert part.sizes["t"] == 3
    assert part.attrs["stopped"] == "callback"
    rest = hr.resume(path, threads=1)
    assert rest.drop_attrs().equals(whole.drop_attrs())
    # A finished run gives its result again.
    assert hr.resume(path).drop_attrs().equals(whole.drop_attrs())


def test_copies_continue_identically():
    run = fresh_run()
    run.advance(5, dt=0.3)
    twins = [copy.deepcopy(run), pickle.loads(pickle.dumps(run))]
    run.advance(5, dt=0.3)
    for other in twins:
        assert other.t == pytest.approx(1.5)
        other.advance(5, dt=0.3)
        np.testing.assert_array_equal(other.network.w, run.network.w)
        assert other.t == run.t


def test_time_budget_and_progress(capsys):
    run = fresh_run()
    table = run.run(10**9, save_at=[0, 10**9], max_seconds=0.3, progress=True)
    assert table.attrs["stopped"] == "max_seconds"
    assert run.step > 0


def test_a_fixed_run_ends_when_every_example_is_satisfied():
    run = fixed_run(beta=3.0)
    table = run.run(100_000, save_at=[0, 10, 100_000])
    assert table.attrs["stopped"] == "satisfied"
    assert run.step < 100_000
    assert float(table.unsatisfied[-1]) == 0.0
    assert float(table.t[-1]) == run.step
    first = run.first_satisfied
    assert (first >= 0).all()
    # The last of them may have been satisfied before, and lost again.
    assert first.max() <= run.step
    np.testing.assert_array_equal(table.first_satisfied, first)
    # Nothing moves after that.
    before = run.network.w
    run.advance(5)
    np.testing.assert_array_equal(run.network.w, before)


def test_first_satisfaction_is_the_first_crossing():
    run = fixed_run(h=0.3)
    X, y = run._arguments["X"], run._arguments["y"]
    seen = np.full(len(y), -1)
    for step in range(40):
        satisfied = y * run.network.forward(X) >= 0.3
        seen[(seen < 0) & satisfied] = step
        run.advance(1)
    found = run.first_satisfied
    np.testing.assert_array_equal(np.where(found >= 40, -1, found), seen)


def test_schema():
    table = fixed_run(record_nodes=7).run(5, save_at=[0, 5])
    assert set(table.data_vars) >= {"gamma", "unsatisfied", "loss", "train_error", "test_error", "a", "w_par"}
    assert table.a.dims == ("t", "i")
    assert table.sizes["i"] == 7
    assert float(table.gamma[0]) == pytest.approx(0.0, abs=1e-15)
    assert table.attrs["source"] == "simulation"
    assert "Pellegrini" in hr.cite(table)
    network = hr.MeanFieldNetwork.random(6, 3)
    bare = hr.Particles(network, [[1.0, 0, 0]], [1.0], record_nodes=0).run(1, save_at=[1])
    assert "test_error" not in bare
    assert "a" not in bare


def test_zero_output_is_an_error_of_classification():
    network = hr.MeanFieldNetwork.random(10, 3, std_a=0.0)
    X = np.eye(3)
    table = hr.Particles(network, X, np.ones(3), X_test=X, y_test=-np.ones(3)).run(0, save_at=[0])
    assert float(table.train_error[0]) == 1.0
    assert float(table.test_error[0]) == 1.0


def test_divergence_keeps_what_was_measured():
    with pytest.raises(hr.DivergenceError, match="smaller dt") as caught:
        fixed_run(loss="squared", beta=1e9).run(2000, save_at=[0, 1, 2000])
    assert caught.value.result.sizes["t"] >= 1


# -- what a run keeps, and where it ends -----------------------------------------------------------


def test_arrays_that_were_passed_are_the_callers_again(tmp_path):
    """Copies and checkpoints go on with the data that the run began with."""

    def make():
        network = hr.MeanFieldNetwork.random(40, 6, seed=1)
        X, y = hr.LinearlySeparable(6).sample(100, seed=2)
        X_test, y_test = hr.LinearlySeparable(6).sample(50, seed=3)
        return X, y, X_test, hr.Particles(network, X, y, X_test=X_test, y_test=y_test, h=5.0)

    reference = make()[-1].run(40, save_at=[40])
    X, y, X_test, run = make()
    path = tmp_path / "run.ckpt"
    run.run(40, save_at=[10, 40], checkpoint=path, callbacks=[_stop])
    X *= 3
    y *= -1
    X_test *= 0
    others = [copy.deepcopy(run), pickle.loads(pickle.dumps(run))]
    for other in (run, *others):
        assert other.run(40, save_at=[40]).drop_attrs().equals(reference.drop_attrs())
    rest = hr.resume(path)
    assert rest.isel(t=[-1]).drop_attrs().equals(reference.drop_attrs())
    with pytest.raises(ValueError, match="read-only"):
        run._arguments["X"][0, 0] = 1.0


def _stop(driver, seen):
    if seen["t"] == 10.0:
        raise hr.StopRun


def test_time_does_not_depend_on_how_steps_are_grouped():
    one, many = fresh_run(), fresh_run()
    one.advance(30, dt=0.1)
    for _ in range(30):
        many.advance(1, dt=0.1)
    assert one.t == many.t == 30 * 0.1
    many.advance(2, dt=0.7)
    assert many.t == 30 * 0.1 + 2 * 0.7


def test_an_example_on_its_margin_is_satisfied_and_one_at_zero_wrong():
    """One convention for simulation and theory: alpha y f = h is satisfied, f = 0 is an error."""
    # f(x) = a max(w x / sqrt 1, 0) with exact numbers: 0.5 * 2 = 1 = h.
    network = hr.MeanFieldNetwork([0.5], [[1.0]])
    X, y = [[2.0], [4.0], [1.0], [-1.0]], [1.0, 1.0, 1.0, -1.0]
    run = hr.Particles(network, X, y)
    seen = run.observe()
    # Satisfied: f = 1 and f = 2; unsatisfied: f = 0.5 and f = 0, the latter wrong.
    assert seen["unsatisfied"] == 0.5
    assert seen["train_error"] == 0.25
    assert run.first_satisfied.tolist() == [0, 0, -1, -1]
    run.advance(1)
    # Only the third example pulls (the fourth has slope 0): a += 0.25 * 1 * 1, w += 0.25 * 0.5 * 1.
    assert run.network.a.tolist() == [0.75]
    assert run.network.w.tolist() == [[1.125]]
    # The theory: kappa S z / 2 = h / alpha belongs to the satisfied, S = 0 leaves everybody unsatisfied.
    theory = hr.theory.HingeMeanField(4, C0=1.0)
    chi = float(theory.observables(0.0).chi[0])
    assert theory.satisfaction_time(chi)[0] == 0.0
    assert float(hr.theory.HingeMeanField(4).observables(0.0).unsatisfied[0]) == 1.0


def test_gamma_says_where_it_is_not_defined():
    # One node that a large step turns against its start.
    network = hr.MeanFieldNetwork([1.0], [[1.0]])
    table = hr.Particles(network, [[1.0]], [-1.0]).run(1, dt=5.0, save_at=[0, 1])
    assert np.isnan(table.gamma[-1])
    assert "overlap" in table.gamma.attrs["undefined"]
    assert "undefined" not in fixed_run().run(1).gamma.attrs


@pytest.mark.parametrize("where", ["a", "w"])
def test_weights_beyond_single_precision_are_refused(where):
    weights = {"a": np.ones(3), "w": np.ones((3, 2))}
    weights[where] = weights[where] * 1e39
    network = hr.MeanFieldNetwork(**weights)
    with pytest.raises(hr.InvalidParameterError, match=rf"network\.{where} holds 1e\+39: float32"):
        hr.Particles(network, np.eye(2), np.ones(2), dtype="float32")
    hr.Particles(network, np.eye(2), np.ones(2)).observe()
    with pytest.raises(hr.InvalidParameterError, match="X"):
        hr.Particles(hr.MeanFieldNetwork.random(3, 2), 1e39 * np.eye(2), np.ones(2), dtype="float32")


def test_steps_that_cannot_be_counted_are_refused():
    run = fixed_run()
    run.advance(1)
    for steps in (2**53, 2**53 + 1, 2**63, 2**64, 10**30):
        with pytest.raises(hr.InvalidParameterError, match=r"2\*\*53"):
            run.advance(steps)
    with pytest.raises(hr.InvalidParameterError, match=r"2\*\*53"):
        run.run(2**63)


@pytest.mark.parametrize("make", [lambda: fixed_run(h=1e6), fresh_run, lambda: fresh_run(dtype="float32")])
def test_endless_steps_answer_an_interruption(make):
    run, straight = make(), make()
    assert_interruptible(lambda: run.advance(2**40, dt=1e-9))
    # Whole steps, however far the last one had come.
    network = run.network
    straight.advance(run.step, dt=1e-9)
    np.testing.assert_array_equal(network.w, straight.network.w)
    assert run.observe().keys() == straight.observe().keys()


def test_the_estimate_is_what_the_engine_takes():
    for run in (fixed_run(), fresh_run(), fixed_run(subtract_init=True, dtype="float32")):
        assert run.memory_estimate() == run._engine.memory()


@pytest.mark.skipif(
    not isinstance(hr.Stripe(2), LabelledData), reason="until all labelled data have one base"
)
@pytest.mark.parametrize(
    "data",
    [hr.Stripe(20), hr.SingleInterface(20), hr.Cylinder(20), hr.Sphere(20)],
    ids=lambda d: type(d).__name__,
)
def test_any_labelled_data_can_be_learnt_from(data):
    """A run on fresh batches learns from the rows of the description's own sample."""
    network = hr.MeanFieldNetwork.random(30, 20, seed=1)
    fresh = hr.Particles(network, data=data, batch=64, test_size=100, seed=3)
    X, y = data.sample(192, seed=3)
    fixed = hr.Particles(network, X[:64], y[:64])
    fresh.advance(1)
    fixed.advance(1)
    np.testing.assert_array_equal(fresh.network.w, fixed.network.w)
    second = hr.Particles(fixed.network, X[64:128], y[64:128])
    fresh.advance(1)
    second.advance(1)
    np.testing.assert_array_equal(fresh.network.w, second.network.w)
    assert {"test_error", "test_unsatisfied"} <= set(fresh.observe())


# -- data laws -------------------------------------------------------------------------------------

LAWS = [
    hr.LinearlySeparable(6, sigma=1.4, flip=0.2),
    hr.UniformSphere(6, radius=2.0, flip=0.2),
    hr.GaussianMixture(6, mu=1.0, sigma=0.5, flip=0.2),
]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: type(law).__name__)
def test_laws(law):
    X, y = law.sample(20_000, seed=1)
    clean, truth = law.sample(20_000, seed=1, clean=True)
    np.testing.assert_array_equal(X, clean)
    # Five standard deviations of the binomial.
    assert abs((y != truth).mean() - 0.2) < 5 * math.sqrt(0.16 / 20_000)
    tail, labels = law.sample(10, seed=1, start=15_000)
    np.testing.assert_array_equal(tail, X[15_000:15_010])
    np.testing.assert_array_equal(labels, y[15_000:15_010])
    other = law.sample(20_000, seed=1, stream="test")[0]
    assert abs(np.corrcoef(other[:, 0], X[:, 0])[0, 1]) < 5 / math.sqrt(20_000)
    np.testing.assert_array_equal(
        law.sample(3000, seed=4, threads=1)[0], law.sample(3000, seed=4, threads=3)[0]
    )
    if isinstance(law, hr.GaussianMixture):
        assert abs((truth * X[:, 0]).mean() - 1.0) < 5 * 0.5 / math.sqrt(20_000)
        assert (X[:, 0] * truth < 0).any()
    else:
        assert (X[:, 0] * truth > 0).all()
    if isinstance(law, hr.UniformSphere):
        np.testing.assert_allclose((X**2).sum(axis=1), 4.0, rtol=1e-12)
        assert abs((X[:, 3] ** 2).mean() - 4 / 6) < 0.02
    assert pickle.loads(pickle.dumps(law)) == law


# -- bad input -------------------------------------------------------------------------------------


def test_bad_input_is_refused(monkeypatch):
    network = hr.MeanFieldNetwork.random(5, 3)
    X, y = np.ones((4, 3)), np.ones(4)
    bad = [
        (hr.InvalidParameterError, "X holds", (network, X * np.nan, y), {}),
        (hr.InvalidParameterError, "y holds", (network, X, 2 * y), {}),
        (hr.InvalidParameterError, "y holds", (network, X, 0 * y), {}),
        (hr.ShapeError, "y has shape", (network, X, y[:3]), {}),
        (hr.ShapeError, "X has shape", (network, X[:, :2], y), {}),
        (hr.ShapeError, "X has shape", (network, X[:0], y[:0]), {}),
        (hr.InvalidParameterError, "y = None", (network, X), {}),
        (hr.InvalidParameterError, "nothing to learn from", (network,), {}),
        (hr.ShapeError, "data.d", (network,), {"data": hr.LinearlySeparable(4)}),
        (hr.DtypeError, "data", (network,), {"data": "gaussian"}),
        (hr.DtypeError, "network", (None, X, y), {}),
        (hr.InvalidParameterError, "alpha", (network, X, y), {"alpha": 0.0}),
        (hr.InvalidParameterError, "alpha", (network, X, y), {"alpha": -1.0}),
        (hr.InvalidParameterError, "h =", (network, X, y), {"h": 0.0}),
        (hr.InvalidParameterError, "beta", (network, X, y), {"beta": math.inf}),
        (hr.InvalidParameterError, "p =", (network, X, y), {"p": math.nan}),
        (hr.InvalidParameterError, "loss", (network, X, y), {"loss": "crossentropy"}),
        (hr.InvalidParameterError, "batch", (network, X, y), {"batch": 3}),
        (hr.InvalidParameterError, "batch", (network,), {"data": hr.LinearlySeparable(3), "batch": 0}),
        (hr.DtypeError, "dtype", (network, X, y), {"dtype": "int32"}),
        (hr.InvalidParameterError, "X_test", (network, X, y), {"X_test": X * np.inf, "y_test": y}),
        (hr.InvalidParameterError, "network", (hr.MeanFieldNetwork.random(5, 3, std_b=1.0), X, y), {}),
        (
            hr.InvalidParameterError,
            "network",
            (hr.MeanFieldNetwork.random(5, 3, activation="sqrt2_relu"), X, y),
            {},
        ),
    ]
    for error, match, arguments, options in bad:
        with pytest.raises(error, match=match):
            hr.Particles(*arguments, **options)
    run = hr.Particles(network, X, y)
    for dt in (0.0, -1.0, math.nan):
        with pytest.raises(hr.InvalidParameterError, match="dt"):
            run.run(3, dt=dt)
    with pytest.raises(hr.InvalidParameterError, match="steps"):
        run.run(-1)
    for save_at in ([2, 1], [0.5], [4], [-1]):
        with pytest.raises(hr.InvalidParameterError, match="save_at"):
            run.run(3, save_at=save_at)
    with pytest.raises(hr.InvalidParameterError, match="a holds"):
        hr.MeanFieldNetwork([1.0, math.inf], np.ones((2, 3)))
    with pytest.raises(hr.InvalidParameterError, match="width"):
        hr.MeanFieldNetwork.random(0, 3)
    for law, options in (
        (hr.LinearlySeparable, {"sigma": 0.0}),
        (hr.LinearlySeparable, {"flip": 1.1}),
        (hr.UniformSphere, {"radius": -1.0}),
        (hr.GaussianMixture, {"mu": math.nan}),
    ):
        with pytest.raises(hr.InvalidParameterError):
            law(3, **options)
    # What is small is not asked for.
    monkeypatch.setattr(memory, "available_bytes", lambda: 100)
    many = hr.MeanFieldNetwork(np.ones(10**6), np.ones((10**6, X.shape[1])))
    with pytest.raises(hr.ResourceError, match="fewer nodes"):
        hr.Particles(many, X, y)


def test_memory_of_ten_million_nodes_is_that_of_the_weights():
    """10^7 nodes at d = 100 in single precision, 1000 examples: well inside 24 GiB."""

    def estimate(examples):
        return hr._lib.particles_memory(
            width=10**7,
            d=100,
            examples=examples,
            tests=1000,
            fresh=False,
            subtract_init=False,
            activation="relu",
            dtype="float32",
            tile=None,
            threads=2,
        )

    weights = 4 * 101 * 10**7
    assert estimate(1000) < 1.5 * weights
    # Signs of more examples than weights are made again, not kept.
    assert estimate(10**5) < 1.6 * weights


def test_a_teacher_of_any_direction_is_a_matter_of_axes(tmp_path):
    rng = np.random.default_rng(0)
    d = 10
    X, y = hr.LinearlySeparable(d).sample(200, seed=1)
    turn = np.linalg.qr(rng.normal(size=(d, d)))[0]
    network = hr.MeanFieldNetwork.random(50, d, seed=2)
    turned = hr.MeanFieldNetwork(network.a, network.w @ turn)
    plain = hr.Particles(network, X, y, X_test=X[:20], y_test=y[:20])
    other = hr.Particles(turned, X @ turn, y, teacher=3.0 * turn[0], X_test=X[:20] @ turn, y_test=y[:20])
    expected, found = plain.run(20), other.run(20, checkpoint=tmp_path / "run")
    for name in ("gamma", "w_par", "a", "test_error"):
        # Rounding of a rotation.
        np.testing.assert_allclose(found[name], expected[name], atol=1e-12)
    np.testing.assert_allclose(other.network.w @ turn.T, plain.network.w, atol=1e-12)
    # The first axis is no rotation at all.
    first = hr.Particles(network, X, y, teacher=np.eye(d)[0]).run(20)
    np.testing.assert_array_equal(first.gamma, expected.gamma)
    # What was stopped goes on in the same axes.
    part = hr.Particles(turned, X @ turn, y, teacher=3.0 * turn[0])
    part.run(20, max_seconds=1e-9, checkpoint=tmp_path / "part")
    np.testing.assert_array_equal(hr.resume(tmp_path / "part").gamma, found.gamma)


def test_a_teacher_is_refused_where_the_data_have_one():
    network = hr.MeanFieldNetwork.random(4, 3)
    with pytest.raises(hr.InvalidParameterError, match="teacher"):
        hr.Particles(network, data=hr.LinearlySeparable(3), teacher=[1.0, 0.0, 0.0])
    with pytest.raises(hr.InvalidParameterError, match="teacher = 0"):
        hr.Particles(network, np.eye(3), [1.0, -1.0, 1.0], teacher=[0.0, 0.0, 0.0])
