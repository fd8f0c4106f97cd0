"""Labelled inputs: one base, one way to sample, and training on any of them."""

import copy
import pickle

import numpy as np
import pytest

import hmm_rs as hr
from hmm_rs.data.labelled import LabelledData

LAWS = {
    "separable": hr.LinearlySeparable(6, sigma=0.5, flip=0.1),
    "sphere": hr.UniformSphere(6, radius=2.0, flip=0.1),
    "mixture": hr.GaussianMixture(6, mu=1.0, sigma=0.3, flip=0.1),
    "stripe": hr.Stripe(6, stretch=0.4),
    "interface": hr.SingleInterface(6, 0.2),
    "cylinder": hr.Cylinder(6, 3, 1.7),
    "radial": hr.Sphere(6),
}


@pytest.mark.parametrize("data", LAWS.values(), ids=LAWS)
def test_every_law_is_sampled_in_the_same_way(data):
    assert isinstance(data, LabelledData)
    X, y = data.sample(500, seed=3)
    assert X.shape == (500, 6)
    assert set(y.tolist()) == {-1.0, 1.0}
    for start, count in ((0, 1), (127, 3), (130, 300)):
        part, labels = data.sample(count, seed=3, start=start)
        assert (part == X[start : start + count]).all()
        assert (labels == y[start : start + count]).all()
    for threads in (1, 2, 3, 7):
        assert (data.sample(500, seed=3, threads=threads)[0] == X).all()
    others = [data.sample(500, seed=3, stream=stream)[0] for stream in ("kernel", "test")]
    others.append(data.sample(500, seed=4)[0])
    assert all(not np.isin(other, X).any() for other in others)
    clean_X, clean = data.sample(500, seed=3, clean=True)
    assert (clean_X == X).all()
    assert ((clean != y).mean() > 0.03) == (data.flip > 0)
    assert pickle.loads(pickle.dumps(data)) == data == copy.deepcopy(data)
    assert hash(data) == hash(pickle.loads(pickle.dumps(data)))
    with pytest.raises(hr.InvalidParameterError, match="stream"):
        data.sample(3, stream="spare")
    with pytest.raises(hr.InvalidParameterError, match="start"):
        data.sample(3, start=2**56 - 2)
    with pytest.raises(hr.InvalidParameterError, match="start"):
        data.sample(3, start=2**70)
    with pytest.raises(hr.ResourceError):
        data.sample(10**13)


@pytest.mark.parametrize("name", ["stripe", "interface", "cylinder", "radial"])
def test_labels_are_those_of_the_unstretched_inputs(name):
    data = LAWS[name]
    X, y = data.sample(2000, seed=1, stream="kernel")
    plain = X.copy()
    plain[:, data.informative :] /= getattr(data, "stretch", 1.0)
    assert (data.labels(plain) == y).all()


@pytest.mark.parametrize("data", LAWS.values(), ids=LAWS)
def test_particles_and_gradient_flow_train_on_every_law(data):
    network = hr.MeanFieldNetwork.random(60, 6, seed=1)
    run = hr.Particles(network, data=data, batch=200, test_size=300, seed=5)
    result = run.run(5, save_at=[0, 5])
    assert result.loss[-1] < result.loss[0]
    # The first batch is the beginning of the training stream of this seed.
    X, y = data.sample(200, seed=5)
    fixed = hr.Particles(network, X, y, seed=5)
    assert fixed.run(1, save_at=[0]).loss[0] == result.loss[0]
    flow = hr.GradientFlow(
        hr.MeanFieldNetwork.random(30, 6, std_b=1.0, activation="sqrt2_relu", seed=2),
        *data.sample(40, seed=6, clean=True),
        X_test=data.sample(50, stream="test", clean=True)[0],
        y_test=data.sample(50, stream="test", clean=True)[1],
    )
    assert float(flow.run(max_steps=50).test_error[-1]) <= 1.0
