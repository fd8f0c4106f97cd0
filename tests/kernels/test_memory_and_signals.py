"""Kernels ask for memory, refuse what is no network, and answer a signal."""

from __future__ import annotations

import time

import numpy as np
import pytest

import hmm_rs as hr
from hmm_rs.errors import DtypeError, InvalidParameterError, ResourceError


@pytest.fixture(scope="module")
def network():
    return hr.MeanFieldNetwork.random(200, 5, std_b=1.0, activation="sqrt2_relu", seed=1)


def points(count, d=5, scale=1.0):
    return scale * np.random.default_rng(2).normal(size=(count, d))


@pytest.mark.parametrize("count", [400_000, 10**6])
def test_too_large_is_an_error_before_anything_is_allocated(network, count):
    many = np.zeros((count, 1))
    one = hr.MeanFieldNetwork([1.0], [[1.0]], [0.0], activation="relu")
    for make in (
        lambda: hr.kernels.ntk(many),
        lambda: hr.kernels.laplace(many, scale=1.0),
        lambda: hr.kernels.laplace(many, many[:-1], scale=1.0),
        lambda: hr.kernels.network_ntk(one, many),
        lambda: hr.KernelFlow(np.broadcast_to(0.0, (count, count)), np.ones(count)),
    ):
        begun = time.monotonic()
        with pytest.raises(ResourceError):
            make()
        assert time.monotonic() - begun < 2.0


def test_tiles_are_part_of_the_request(network):
    P = 100_000
    out = np.broadcast_to(0.0, (P, P))
    assert hr.kernels.memory_estimate(P, block=P)["scratch"] > 2**38
    with pytest.raises((ResourceError, DtypeError)):
        hr.kernels.network_ntk(network, np.zeros((P, 5)), out=out, block=P)
    # A block beyond the points is the points.
    X = points(30)
    np.testing.assert_array_equal(
        hr.kernels.network_ntk(network, X, block=10**12), hr.kernels.network_ntk(network, X, block=30)
    )


def test_overflow_and_foreign_objects_are_refused(network):
    for kernel in (hr.kernels.ntk, lambda X: hr.kernels.laplace(X, scale=1.0)):
        with pytest.raises(InvalidParameterError, match="rescale"):
            kernel(points(3, scale=1e160))
    with pytest.raises(InvalidParameterError, match="rescale"):
        hr.kernels.network_ntk(network, points(3, scale=1e160))
    large = hr.MeanFieldNetwork([1e120], [[1e120]], [1.0], activation="relu")
    with pytest.raises(InvalidParameterError, match="range"):
        hr.kernels.network_ntk(large, [[1e50]])
    for foreign in (5, None, "network", object()):
        with pytest.raises(DtypeError, match="MeanFieldNetwork"):
            hr.kernels.network_ntk(foreign, points(3))
    with pytest.raises(InvalidParameterError, match="'normal', 'zero', 'none'"):
        hr.kernels.ntk(points(3), bias="typo")


def test_unknown_names_are_refused_at_the_border_too():
    from hmm_rs import _lib

    with pytest.raises(InvalidParameterError, match="'normal', 'zero', 'none'"):
        _lib.ntk(points(3), None, bias="typo", out=np.empty((3, 3)))
