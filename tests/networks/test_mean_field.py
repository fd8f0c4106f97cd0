"""Mean-field networks: construction, pairing, forward pass against plain numpy."""

import numpy as np
import pytest
from scipy.special import erf

from hmm_rs.errors import InvalidParameterError, ShapeError
from hmm_rs.networks import MeanFieldNetwork

TWINS = {
    "relu": lambda z: np.where(z > 0, z, 0.0),
    "sqrt2_relu": lambda z: np.sqrt(2) * np.where(z > 0, z, 0.0),
    "erf": lambda z: erf(z / np.sqrt(2)),
    "tanh": np.tanh,
}


@pytest.mark.parametrize("activation", TWINS)
@pytest.mark.parametrize("std_b", [None, 0.7])
def test_forward_is_the_average_of_its_nodes(activation, std_b):
    network = MeanFieldNetwork.random(37, 5, std_a=0.5, std_b=std_b, activation=activation, seed=3)
    X = np.random.default_rng(0).standard_normal((11, 5))
    b = 0.0 if network.b is None else network.b
    twin = (TWINS[activation](X @ network.w.T / np.sqrt(5) + b) * network.a).mean(axis=1)
    # Same double-precision sum in another order: a few units in the last place.
    np.testing.assert_allclose(network.forward(X), twin, rtol=1e-13, atol=1e-15)


def test_pairing():
    X = np.random.default_rng(0).standard_normal((20, 4))
    even = MeanFieldNetwork.random(10, 4, std_b=1.0, paired="even", seed=1)
    assert np.abs(even.forward(X)).max() < 1e-16
    odd = MeanFieldNetwork.random(10, 4, std_b=1.0, paired="odd", seed=1)
    np.testing.assert_allclose(odd.forward(X), -odd.forward(-X), atol=1e-15)
    np.testing.assert_array_equal(odd.a[:5], -odd.a[5:])
    np.testing.assert_array_equal(odd.w[:5], -odd.w[5:])


def test_a_node_depends_on_seed_and_number_alone():
    few, many = (MeanFieldNetwork.random(M, 6, seed=4) for M in (3, 50))
    np.testing.assert_array_equal(few.w, many.w[:3])
    np.testing.assert_array_equal(few.a, many.a[:3])
    single = MeanFieldNetwork.random(3, 6, seed=4, dtype="float32")
    np.testing.assert_array_equal(single.w, few.w.astype(np.float32))
    assert not np.array_equal(MeanFieldNetwork.random(3, 6, seed=5).w, few.w)


def test_weights_are_read_only_and_the_owner_keeps_his():
    w = np.ones((2, 3))
    network = MeanFieldNetwork([1.0, 2.0], w)
    with pytest.raises(ValueError, match="read-only"):
        network.w[0, 0] = 2.0
    w[0, 0] = 5.0


def test_bad_input_is_refused():
    with pytest.raises(ShapeError, match=r"w has shape"):
        MeanFieldNetwork([1.0], [1.0])
    with pytest.raises(ShapeError, match=r"a has shape"):
        MeanFieldNetwork([1.0, 2.0], [[1.0]])
    with pytest.raises(ShapeError, match=r"b has shape"):
        MeanFieldNetwork([1.0], [[1.0]], [1.0, 2.0])
    with pytest.raises(InvalidParameterError, match="non-finite"):
        MeanFieldNetwork([np.nan], [[1.0]])
    with pytest.raises(InvalidParameterError, match="unknown choice"):
        MeanFieldNetwork([1.0], [[1.0]], activation="step")
    with pytest.raises(InvalidParameterError, match="width = 0"):
        MeanFieldNetwork.random(0, 3)
    with pytest.raises(ShapeError, match="even"):
        MeanFieldNetwork.random(3, 3, paired="odd")
    with pytest.raises(ShapeError, match="X has shape"):
        MeanFieldNetwork.random(3, 3).forward(np.ones((2, 4)))
