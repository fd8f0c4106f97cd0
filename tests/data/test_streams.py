"""Random streams: nothing drawn with equal seeds coincides with anything else, and no stream repeats itself."""

import itertools

import numpy as np
import pytest

import hmm_rs as hr
from hmm_rs import cnn
from hmm_rs.data.images import Images

D, N, P = 20, 40, 300


def _online_noise():
    """The label noise of online learning, from the first steps of a linear student on constant inputs."""
    model = hr.StoredSamples(np.ones((1, 1)), [0.0])
    w = hr.TwoLayer(np.zeros((1, 1)), [1.0], activation="linear")
    sim = hr.OnlineSGD(model, model.labels_teacher, student=w, lr=1.0, noise=1.0, test_size=10)
    found = []
    for _ in range(60):
        sim.advance(1)
        found.append(float(sim.student.w[0, 0]))
    return np.array(found)


DRAWN = {
    "F": lambda: hr.HiddenManifold(N, D).F,
    "samples": lambda: np.hstack(hr.TeacherStudent(D).sample(P)),
    "test set": lambda: (
        hr.TeacherStudent(D)
        .source()
        .sample(P, start=0, seed=hr.ground.arguments.seed_words(0), test=True, threads=None)[0]
    ),
    "conjugate noise": lambda: hr.GaussianEquivalent(hr.HiddenManifold(N, D, f=np.cos)).sample(P)[0],
    "two-layer network": lambda: hr.TwoLayer.random(3, N).w,
    "mean-field network": lambda: hr.MeanFieldNetwork.random(30, N, std_b=1.0).w,
    "generator, first layer": lambda: hr.generators.random_layers([D, N, 60], "erf").weights[0],
    "generator, second layer": lambda: hr.generators.random_layers([D, N, 60], "erf").weights[1],
    "separable": lambda: hr.LinearlySeparable(D).sample(P)[0],
    "separable, kernel": lambda: hr.LinearlySeparable(D).sample(P, stream="kernel")[0],
    "separable, test": lambda: hr.LinearlySeparable(D).sample(P, stream="test")[0],
    "stripe": lambda: hr.Stripe(D).sample(P)[0],
    "stripe, kernel": lambda: hr.Stripe(D).sample(P, stream="kernel")[0],
    "stripe, test": lambda: hr.Stripe(D).sample(P, stream="test")[0],
    "label noise": _online_noise,
    "convolutional network": lambda: cnn.CNN(4).initial(0)[:5000],
}


#: Laws of inputs: two of them are alternatives and never meet in one run, so they may share their numbers.
LAWS = {"samples": "gaussian", "test set": "gaussian"} | {
    f"{law}{stream}": law for law in ("separable", "stripe") for stream in ("", ", kernel", ", test")
}


def test_nothing_drawn_with_equal_seeds_coincides():
    drawn = {name: np.unique(np.abs(np.round(make(), 13))) for name, make in DRAWN.items()}
    assert all(len(values) > 30 for values in drawn.values())
    for (one, first), (other, second) in itertools.combinations(drawn.items(), 2):
        if LAWS.get(one, one) != LAWS.get(other, other) and one in LAWS and other in LAWS:
            continue
        common = np.intersect1d(first, second)
        assert len(common[common != 0]) == 0, (one, other)


def test_the_weights_of_a_generator_are_not_those_of_a_network():
    layers = hr.generators.random_layers([20, 40, 60], "erf").weights
    assert not (layers[0][:2] == hr.TwoLayer.random(2, 20).w).any()
    assert np.corrcoef(layers[0][:2].ravel(), hr.TwoLayer.random(2, 20).w.ravel())[0, 1] < 0.7


def test_shuffles_and_flips_are_not_the_samples():
    images = Images(np.arange(200.0)[:, None] / 200, np.zeros(200, dtype=np.int64))
    train, _ = images.split(20)
    again, _ = images.split(20)
    assert (train.X == again.X).all()
    data = hr.LinearlySeparable(5, flip=0.5)
    _, noisy = data.sample(4000)
    X, clean = data.sample(4000, clean=True)
    flips = (noisy != clean).astype(float)
    # 4000 samples: independent signs agree to 0.016; five of them.
    assert all(abs(np.corrcoef(flips, X[:, i])[0, 1]) < 0.08 for i in range(5))


@pytest.mark.parametrize(
    "model",
    [
        hr.TeacherStudent(3),
        hr.HiddenManifold(10, 3),
        hr.StoredSamples(np.eye(3), np.ones(3)),
        hr.generators.random_layers([3, 5], "sign"),
    ],
    ids=lambda model: type(model).__name__,
)
def test_a_stream_ends_where_it_would_repeat(model):
    length = 2**32 * 128
    first, last = model.sample(3, start=0)[0], model.sample(3, start=length - 3)[0]
    assert not (first == last).all()
    for start in (length - 2, length, 2**40, 2**53, 2**64 + 1):
        with pytest.raises(hr.InvalidParameterError, match="start"):
            model.sample(3, start=start)
    with pytest.raises(hr.InvalidParameterError, match="n_samples"):
        hr.generators.estimate_covariances(model, 2**39 + 1)
    with pytest.raises(hr.InvalidParameterError, match="n_samples"):
        hr.generators.estimate_covariances(model, 2**64 + 1)
