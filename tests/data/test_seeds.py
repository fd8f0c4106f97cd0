"""Seeds: what may be one, and that a Generator of numpy is drawn from once and kept as the words drawn."""

import copy
import pickle

import numpy as np
import pytest

import hmm_rs as hr
from hmm_rs.experiments.compression import fit_exponent
from hmm_rs.ground import arguments
from hmm_rs.testing import assert_refuses

#: Everything that takes a seed, as a function of it that returns numbers.
DOORS = {
    "HiddenManifold": lambda seed: hr.HiddenManifold(6, 3, seed=seed).F,
    "HiddenManifold.sample": lambda seed: hr.HiddenManifold(6, 3).sample(4, seed=seed)[0],
    "TeacherStudent.sample": lambda seed: hr.TeacherStudent(6).sample(4, seed=seed)[0],
    "Stripe.sample": lambda seed: hr.Stripe(3).sample(4, seed=seed)[0],
    "LinearlySeparable.sample": lambda seed: hr.LinearlySeparable(3).sample(4, seed=seed, stream="kernel")[0],
    "random_layers": lambda seed: hr.generators.random_layers([3, 5], "erf", seed).weights[0],
    "Generator.covariances": lambda seed: hr.generators.random_layers([3, 5], "erf").covariances(
        500, seed=seed
    )[0],
    "TwoLayer.random": lambda seed: hr.TwoLayer.random(2, 5, seed=seed).w,
    "MeanFieldNetwork.random": lambda seed: hr.MeanFieldNetwork.random(4, 3, seed=seed).w,
    "RandomNodes": lambda seed: hr.RandomNodes(4, 3, seed=seed).draw(0, 4)[1],
    "CNN.initial": lambda seed: hr.cnn.CNN(1, 8, 8).initial(seed),
    "Images.split": lambda seed: hr.data.images.Images(np.eye(40), np.arange(40)).split(9, seed=seed)[1].X,
    "OnlineSGD": lambda seed: online(seed).run(1.0, save_at=[1.0]).eg.values,
    "Particles": lambda seed: particles(seed).run(2, save_at=[2]).loss.values,
    "stein_bound": lambda seed: hr.theory.equivalence.stein_bound(
        np.eye(4), np.ones(4), "erf", n_samples=20, seed=seed
    )["beta"],
    "test_gaussian_equivalence": lambda seed: (
        hr.theory.equivalence.test_gaussian_equivalence(
            hr.HiddenManifold(9, 5, f="erf"),
            np.ones((2, 9)) + np.eye(2, 9),
            n_samples=300,
            bound_samples=20,
            seed=seed,
        ).ks.values
    ),
    "full_batch_curve": lambda seed: (
        hr.experiments.full_batch.full_batch_curve(
            hr.experiments.full_batch.GaussianFeatures(np.ones(5), np.full(5, 0.1), 1.0),
            [2.0],
            loss="ridge",
            lam=0.1,
            repeats=2,
            seed=seed,
        ).test_mse.values
    ),
    "fit_exponent": lambda seed: np.array(
        fit_exponent([1.0, 2.0], [[1.0, 1.5, 1.2], [2.0, 2.7, 2.1]], resamples=20, seed=seed)
    ),
    "random_start": lambda seed: (
        hr.theory.phenomena.random_start(2, 2, delta=0.1, seed=seed).solve([0.0]).Q.values
    ),
}


def online(seed):
    return hr.OnlineSGD(
        hr.HiddenManifold(12, 3),
        hr.TwoLayer.random(1, 3),
        student=hr.TwoLayer.random(2, 12),
        lr=0.2,
        test_size=20,
        seed=seed,
    )


def particles(seed):
    return hr.Particles(
        hr.MeanFieldNetwork.random(6, 3), data=hr.LinearlySeparable(3), batch=5, test_size=9, seed=seed
    )


@pytest.mark.parametrize("door", DOORS)
def test_every_door_takes_integers_lists_sequences_and_generators(door):
    make = DOORS[door]
    kinds = [
        lambda: 7,
        lambda: [7, 1],
        lambda: (7, 1),
        lambda: np.array([7, 1]),
        lambda: np.random.SeedSequence(7),
        lambda: np.random.default_rng(7),
    ]
    for kind in kinds:
        np.testing.assert_array_equal(make(kind()), make(kind()))
    assert np.array_equal(make([7, 1]), make((7, 1)))
    generator = np.random.default_rng(7)
    assert not np.array_equal(make(generator), make(generator)), "a generator moves on"
    for wrong in (None, -1, 1.5, "7", [1, -2], [], object(), np.random.RandomState(1)):
        assert_refuses(lambda wrong=wrong: make(wrong), "seed")


@pytest.mark.parametrize("make", [online, particles], ids=["OnlineSGD", "Particles"])
def test_a_run_of_a_generator_is_kept_copied_and_saved_as_the_words_drawn(make, tmp_path):
    generator = np.random.default_rng(5)
    run = make(generator)
    after = generator.bit_generator.state
    words = arguments.seed(np.random.default_rng(5))
    np.testing.assert_array_equal(
        run.observe()["test_error" if make is particles else "eg"],
        make(words).observe()["test_error" if make is particles else "eg"],
    )
    whole = make(words).run(3, save_at=[0, 1, 3])
    assert whole.attrs["seed"] == repr(words)
    for twin in (copy.deepcopy(run), pickle.loads(pickle.dumps(run))):
        assert twin.run(3, save_at=[0, 1, 3]).drop_attrs().identical(whole.drop_attrs())
    run.run(1, save_at=[0, 1], checkpoint=tmp_path / "run.npz")
    gone_on = hr.load(tmp_path / "run.npz").run(3, save_at=[3])
    assert gone_on.drop_attrs().identical(whole.drop_attrs())
    assert gone_on.attrs["seed"] == repr(words)
    assert generator.bit_generator.state == after, "what was made of a generator leaves it alone from then on"


def test_a_model_of_a_generator_is_the_model_of_its_words():
    model = hr.HiddenManifold(5, 2, seed=np.random.default_rng(3))
    assert model == hr.HiddenManifold(5, 2, seed=arguments.seed(np.random.default_rng(3)))
    assert model == pickle.loads(pickle.dumps(model))
    assert f"seed={model.seed}" in repr(model)
