"""What an experiment keeps in a folder: a second call computes only what is missing, and gives the same bits."""

import numpy as np
import pytest

import hmm_rs as hr
from hmm_rs.dynamics.gradient_flow import GradientFlow
from hmm_rs.experiments import compression as study

STRIPE = hr.Stripe(3)
SMALL = {"h": 16, "alpha": 1e-3}
CALLS = {
    "scaling": lambda folder: study.compression_scaling(
        3, sizes=(32, 64), seeds=2, checkpoints=folder, **SMALL
    ),
    "learning curves": lambda folder: study.learning_curves(
        STRIPE, sizes=(32, 48), seeds=2, max_steps=200, test_size=200, checkpoints=folder, **SMALL
    ),
    "kernel evolution": lambda folder: study.kernel_evolution(
        STRIPE, 48, seeds=2, fractions=(0.1,), max_steps=200, test_size=100, checkpoints=folder, **SMALL
    ),
    "circle": lambda folder: study.circle_kernel(32, points=8, max_steps=200, checkpoints=folder, **SMALL),
    "curve": lambda folder: study.compression_curve(STRIPE, 32, max_steps=200, checkpoints=folder, **SMALL),
    "neurons": lambda folder: study.neuron_trajectories(
        STRIPE, 32, [0.0, 3.0, 6.0], checkpoints=folder, **SMALL
    ),
    "single neurons": lambda folder: study.single_neurons(
        STRIPE, 100, [0.0, 10.0], draws=3, neurons=4, checkpoints=folder, **SMALL
    ),
}


def same(first, second):
    assert set(first.data_vars) == set(second.data_vars)
    for name in first.data_vars:
        np.testing.assert_array_equal(first[name], second[name])


@pytest.fixture
def steps(monkeypatch):
    """Count the runs of engines, which are what takes long."""
    calls = []
    run = GradientFlow.run

    def counted(self, *arguments, **options):
        calls.append(options)
        return run(self, *arguments, **options)

    monkeypatch.setattr(GradientFlow, "run", counted)
    return calls


@pytest.mark.parametrize("name", CALLS)
def test_what_is_kept_changes_no_bit_and_is_not_made_again(name, tmp_path, steps):
    plain = CALLS[name](None)
    kept = CALLS[name](tmp_path)
    same(plain, kept)
    assert list(tmp_path.iterdir())
    steps.clear()
    same(plain, CALLS[name](tmp_path))
    assert steps == []


@pytest.mark.slow
def test_images_are_kept_too_and_others_are_told_apart(tmp_path):
    pytest.importorskip("jax")
    images, classes = hr.cnn.digits()
    options = {"sizes": [20], "seeds": 1, "h": 1, "test": 20, "max_steps": 2}

    def measured(pictures, folder):
        return study.image_learning_curves(pictures, classes, checkpoints=folder, **options)

    plain = measured(images, None)
    same(plain, measured(images, tmp_path))
    [point] = tmp_path.iterdir()
    written = point.stat().st_mtime_ns
    same(plain, measured(images, tmp_path))
    assert point.stat().st_mtime_ns == written
    measured(images[::-1], tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("name", ["scaling", "learning curves", "kernel evolution"])
def test_only_the_missing_point_is_made_again(name, tmp_path, steps):
    plain = CALLS[name](tmp_path)
    whole = len(steps)
    finished = sorted(tmp_path.glob("*-done.npz"))
    finished[0].unlink()
    steps.clear()
    same(plain, CALLS[name](tmp_path))
    assert len(steps) == whole // len(finished)


def test_a_damaged_point_is_made_again(tmp_path, steps):
    plain = CALLS["scaling"](tmp_path)
    whole = len(steps)
    finished = sorted(tmp_path.glob("*-done.npz"))
    data = bytearray(finished[0].read_bytes())
    data[len(data) // 3] ^= 1
    finished[0].write_bytes(data)
    steps.clear()
    same(plain, CALLS["scaling"](tmp_path))
    assert len(steps) == whole // len(finished)


def test_an_interrupted_point_goes_on_in_the_middle_of_its_run(tmp_path, monkeypatch):
    plain = CALLS["learning curves"](None)
    run = GradientFlow.run
    stages = []

    def torn(self, *arguments, **options):
        stages.append(options)
        if "stop_margin" in options:
            # The second stage breaks off after a few steps, as a machine does that goes down.
            run(self, *arguments, **{**options, "max_seconds": 0.0})
            raise KeyboardInterrupt
        return run(self, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(GradientFlow, "run", torn)
        with pytest.raises(KeyboardInterrupt):
            CALLS["learning curves"](tmp_path)
    assert list(tmp_path.glob("*-rest.npz"))
    same(plain, CALLS["learning curves"](tmp_path))
    # The runs behind finished points are gone: their numbers stand for them.
    assert {path.stem.rpartition("-")[2] for path in tmp_path.iterdir()} == {"done"}


def test_other_settings_do_not_use_what_is_kept(tmp_path):
    CALLS["scaling"](tmp_path)
    before = len(list(tmp_path.iterdir()))
    other = study.compression_scaling(3, sizes=(32, 64), seeds=2, h=18, alpha=1e-3, checkpoints=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2 * before
    same(other, study.compression_scaling(3, sizes=(32, 64), seeds=2, h=18, alpha=1e-3))


def test_a_folder_that_cannot_be_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(hr.InvalidParameterError, match="cannot be made"):
        CALLS["scaling"](tmp_path / "file")
    with pytest.raises(hr.HmmError, match="must be a path"):
        CALLS["scaling"](3)
