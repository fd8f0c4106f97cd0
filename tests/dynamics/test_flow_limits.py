"""Gradient flow at the edges: large weights, large numbers of steps, changed inputs, foreign checkpoints."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import hmm_rs as hr
from hmm_rs.errors import DtypeError, InvalidParameterError, ResourceError


@pytest.fixture
def task():
    return hr.Stripe(3).sample(64, seed=1)


def network(scale=1.0, **options):
    return hr.MeanFieldNetwork.random(
        50, 3, std_a=scale, std_w=scale, std_b=scale, activation="sqrt2_relu", seed=2, **options
    )


@pytest.mark.parametrize("scale", [1.0, 1e3, 1e6])
@pytest.mark.parametrize("loss", ["softhinge", "qhinge"])
def test_the_high_order_method_descends_at_any_size_of_the_weights(task, scale, loss):
    X, y = task
    flow = hr.GradientFlow(network(scale), X, y, loss=loss, method="rk", alpha=1.0)
    seen = flow.run(max_steps=60, save_steps=np.arange(61)).loss.values
    assert (np.diff(seen) <= 1e-9 * seen[:-1]).all()
    assert seen[-1] < seen[0]


def test_flows_keep_what_they_were_given(task):
    X, y = (part.copy() for part in task)
    test = X[:10].copy()
    flow = hr.GradientFlow(network(), X, y, alpha=1.0, X_test=test, y_test=y[:10])
    K = hr.kernels.ntk(X)
    frozen = hr.KernelFlow(K, y, K_test=K[:7], y_test=y[:7])
    for engine in (flow, frozen):
        engine.advance(20)
    X *= 3.0
    y *= -1.0
    test *= 0.0
    K *= 2.0
    for engine in (flow, frozen):
        for twin in (copy.deepcopy(engine), pickle.loads(pickle.dumps(engine))):
            twin.advance(15)
            engine_twin = copy.deepcopy(engine)
            engine_twin.advance(15)
            np.testing.assert_array_equal(twin.margins, engine_twin.margins)
        fresh = copy.deepcopy(engine)
        np.testing.assert_array_equal(fresh.test_predictions(), engine.test_predictions())
        engine.advance(15)
        np.testing.assert_array_equal(twin.margins, engine.margins)


def test_endless_schedules_are_refused_at_once(task):
    with pytest.raises(ResourceError, match="schedule"):
        hr.dynamics.log_linear_steps(10**13)
    with pytest.raises(InvalidParameterError, match="last"):
        hr.dynamics.log_linear_steps(10**18)
    flow = hr.GradientFlow(network(), *task)
    with pytest.raises(ResourceError, match="save_steps"):
        flow.run(max_steps=10**13)
    result = flow.run(max_steps=10**13, save_steps=[0], stop_frac=0.1)
    assert result.attrs["stopped"] == "fraction"
    with pytest.raises(DtypeError):
        hr.dynamics.log_linear_steps(3.5)


def test_memory_is_known(task):
    X, y = task
    flow = hr.GradientFlow(network(), X, y)
    frozen = hr.KernelFlow(hr.kernels.ntk(X), y)
    # Both layouts of the inputs and the parameters; the Gram matrix.
    assert flow.memory_estimate() > 2 * X.nbytes + 8 * 50 * 5
    assert 64 * 64 * 8 < frozen.memory_estimate() < 2 * 64 * 64 * 8


def test_unknown_names_are_refused(task):
    for name, options in (("loss", "ridge"), ("loss", "hinje"), ("controller", "typo"), ("method", "rk4")):
        with pytest.raises(InvalidParameterError, match=name):
            hr.GradientFlow(network(), *task, **{name: options})
    flow = hr.GradientFlow(network(), *task)
    with pytest.raises(InvalidParameterError, match="'margins', 'test_predictions'"):
        flow._engine.query("typo")


def test_weights_that_vanish_have_no_compression(task):
    X, y = task
    for zeros in (np.zeros((3, 3)), np.zeros((1, 2))):
        with pytest.raises(InvalidParameterError, match="w = 0"):
            hr.compression(zeros)
    still = hr.MeanFieldNetwork(np.ones(4), np.zeros((4, 3)), np.ones(4), activation="relu")
    result = hr.GradientFlow(still, X, y, alpha=1.0).run(max_steps=3)
    assert "compression" not in result
