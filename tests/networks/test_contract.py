"""What all networks keep: copies, equality by content, one forward pass on any number of threads."""

import copy
import os
import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import hmm_rs as hr
from hmm_rs.networks import Network

MAKE = {
    "two-layer": lambda seed=0: hr.TwoLayer.random(3, 40, seed=seed),
    "mean-field": lambda seed=0: hr.MeanFieldNetwork.random(300, 40, std_b=0.5, seed=seed),
    "mean-field, single": lambda seed=0: hr.MeanFieldNetwork.random(300, 40, dtype="float32", seed=seed),
}


@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
def test_networks_are_compared_by_content(make):
    network = make()
    assert isinstance(network, Network)
    assert network == make()
    assert hash(network) == hash(make())
    assert network != make(1)
    assert pickle.loads(pickle.dumps(network)) == network == copy.deepcopy(network)
    with pytest.raises(AttributeError, match="frozen"):
        network.w = network.w
    with pytest.raises(ValueError, match="read-only"):
        network.w[0, 0] = 1.0


def test_weights_are_copied():
    a, w = np.ones(2), np.ones((2, 3))
    networks = [hr.MeanFieldNetwork(a, w), hr.TwoLayer(w, a)]
    before = [network.forward(np.ones((1, 3))) for network in networks]
    w *= 3
    a *= 0
    for network, output in zip(networks, before, strict=True):
        assert (network.forward(np.ones((1, 3))) == output).all()
        assert not np.shares_memory(network.w, w)


@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
def test_outputs_do_not_depend_on_threads(make):
    network = make()
    X = np.random.default_rng(0).standard_normal((700, 40))
    one = network.forward(X, threads=1)
    assert one.dtype == network.w.dtype
    for threads in (2, 3, 7):
        assert (network.forward(X, threads=threads) == one).all()


def test_outputs_do_not_depend_on_the_threads_of_numpy():
    code = """
    import hashlib, numpy as np, hmm_rs as hr
    X = np.random.default_rng(0).standard_normal((600, 400))
    found = [hr.MeanFieldNetwork.random(1000, 400, activation=g).forward(X) for g in ("relu", "erf", "tanh")]
    found += [hr.TwoLayer.random(30, 400).forward(X)]
    F = X[:, :300]
    found += [part for f in ("sign", "relu", np.sin) for part in hr.theory.one_layer_covariances(F, f)]
    found += hr.theory.recursive_covariances([F, np.random.default_rng(1).standard_normal((200, 600))], "erf")
    found += hr.HiddenManifold(600, 300, f="tanh").covariances()
    layers = hr.generators.random_layers([20, 150, 200], "sign")
    found += [hr.generators.estimate_covariances(layers, 5000).changes]
    found += [hr.GaussianEquivalent(layers).sample(50)[0]]
    print(*[hashlib.sha256(np.ascontiguousarray(part).tobytes()).hexdigest() for part in found])
    """
    texts = {
        subprocess.run(
            [sys.executable, "-P", "-c", textwrap.dedent(code)],
            capture_output=True,
            text=True,
            check=True,
            timeout=200,
            env={**os.environ, "OPENBLAS_NUM_THREADS": str(threads)},
        ).stdout
        for threads in (1, 2)
    }
    assert len(texts) == 1
