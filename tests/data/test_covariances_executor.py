"""Covariances of blocks of samples that an executor sees: the bits of one process."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import hmm_rs as hr
from hmm_rs.data.generators import estimate
from hmm_rs.generators import estimate_covariances
from hmm_rs.sweeps.local import LocalWorkers
from hmm_rs.testing import difference


def same(one, other):
    return not difference(vars(one), vars(other))


@pytest.fixture
def model(monkeypatch):
    monkeypatch.setattr(estimate, "_BLOCK", 500)
    return hr.generators.random_layers([8, 20], "relu", seed=1)


def test_the_executor_changes_no_bit(model):
    here = estimate_covariances(model, 7001, seed=4)
    for workers in (1, 3):
        with ThreadPoolExecutor(workers) as pool:
            assert same(estimate_covariances(model, 7001, seed=4, executor=pool), here)
    pool = LocalWorkers(2)
    try:
        assert same(estimate_covariances(model, 7001, seed=4, executor=pool), here)
    finally:
        pool.shutdown(cancel_futures=True)


def test_blocks_merge_to_the_moments_of_the_sample(model):
    found = estimate_covariances(model, 7001, seed=4)
    x, c = model.sample(7001, seed=4)
    centred = x - x.mean(axis=0)
    # Sums of 7001 terms of order one in another order.
    np.testing.assert_allclose(found.mean, x.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(found.Omega, centred.T @ centred / 7001, atol=1e-11)
    np.testing.assert_allclose(found.Phi, centred.T @ (c - c.mean(axis=0)) / 7001, atol=1e-11)
    assert len(found.changes) == estimate.CHECKPOINTS - 1


def test_a_function_that_cannot_travel_is_named():
    model = hr.generators.from_callable(lambda c: np.tanh(c), 5)
    pool = LocalWorkers(1)
    try:
        with pytest.raises(hr.InvalidParameterError, match="cannot go to its workers"):
            estimate_covariances(model, 1000, executor=pool)
    finally:
        pool.shutdown(cancel_futures=True)
