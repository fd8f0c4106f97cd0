"""Independent students, memorisation, increasing complexity; stored samples and image files."""

import gzip
import re
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import erf

import hmm_rs as hr
from hmm_rs.data.images import Images, load_idx, normalise, read_idx
from hmm_rs.data.stored import StoredSamples
from hmm_rs.experiments.increasing_complexity import increasing_complexity
from hmm_rs.experiments.independent_students import SCENARIOS, independent_students
from hmm_rs.experiments.memorisation import (
    Task,
    image_task,
    memorisation,
    overlap_beyond_chance,
    teacher_task,
)
from hmm_rs.ground.arguments import seed_words

# -- stored samples: one engine of SGD, data from memory ------------------------------------------


def stored(P=37, N=12):
    rng = np.random.default_rng(0)
    return StoredSamples(rng.normal(size=(P, N)), rng.choice([-1.0, 1.0], P))


@pytest.mark.parametrize("batch", [1, 7])
def test_training_on_stored_samples_equals_a_numpy_twin(batch):
    model = stored()
    student = hr.TwoLayer.random(3, 12, std_v=1.0, seed=1)
    sim = hr.OnlineSGD(
        model, model.labels_teacher, student=student, lr=0.3, train_second_layer=True, batch=batch, seed=5
    )
    sim.advance(300)
    X, y = model.sample(300 * batch, seed=5)
    w, v = student.w.copy(), student.v.copy()
    for step in range(300):
        rows = slice(step * batch, (step + 1) * batch)
        lam = X[rows] @ w.T / np.sqrt(12)
        g = erf(lam / np.sqrt(2))
        delta = g @ v - y[rows, 0]
        slope = np.sqrt(2 / np.pi) * np.exp(-lam * lam / 2)
        w, v = (
            w - 0.3 / np.sqrt(12) * (delta[:, None] * v * slope).T @ X[rows] / batch,
            v - 0.3 / 12 * delta @ g / batch,
        )
    # Rounding differs by the order of sums and is not amplified in 300 small steps.
    np.testing.assert_allclose(sim.student.w, w, atol=1e-10)
    np.testing.assert_allclose(sim.student.v, v, atol=1e-10)


def test_stored_samples_keep_their_labels_whatever_the_slice():
    model = stored()
    X, y = model.sample(500, seed=3)
    rows = (X[:, None, :] == model.X).all(axis=2)
    assert (rows.sum(axis=1) == 1).all()  # every row is a stored one
    np.testing.assert_array_equal(y[:, 0], model.y[rows.argmax(axis=1)])
    part, _ = model.sample(50, seed=3, start=200, threads=3)
    np.testing.assert_array_equal(part, X[200:250])


def test_stored_samples_survive_a_checkpoint(tmp_path):
    model = stored()
    make = lambda: hr.OnlineSGD(  # noqa: E731
        model, model.labels_teacher, student=hr.TwoLayer.random(2, 12), lr=0.1, test_size=50
    )
    whole = make().run(20.0, save_at=[0.0, 20.0])
    make().run(20.0, save_at=[0.0, 20.0], checkpoint=tmp_path / "run")
    again = hr.resume(tmp_path / "run")
    np.testing.assert_array_equal(whole.eg, again.eg)


def test_stored_samples_of_wrong_shapes_are_refused():
    with pytest.raises(hr.ShapeError, match="y"):
        StoredSamples(np.ones((3, 2)), np.ones(4))
    with pytest.raises(hr.InvalidParameterError, match="non-finite"):
        StoredSamples(np.full((3, 2), np.nan), np.ones(3))


def test_classified_labels_are_the_signs_of_the_teacher():
    model, teacher = hr.HiddenManifold(50, 10), hr.TwoLayer.random(2, 10, v=[1.0, -1.0], seed=1)
    student = hr.TwoLayer.random(2, 50, seed=2)
    sim = hr.OnlineSGD(model, teacher, student=student, lr=0.0, classify=True, test_size=400)
    X, C = model.source().sample(400, start=0, seed=seed_words(0), test=True, threads=None)
    y = np.sign(teacher.forward(C))
    seen = sim.observe()
    assert seen["eg"] == pytest.approx(0.5 * np.mean((student.forward(X) - y) ** 2), rel=1e-12)
    # The error of ±1 labels is no sum of averages over units: it is left out, in runs too.
    assert "eg_analytic" not in seen
    assert "eg_analytic" not in sim.run(0.0)
    with pytest.raises(hr.InvalidParameterError, match="classify"):
        hr.theory.HiddenManifoldODE.from_simulation(sim)


def test_outputs_of_networks_equal_plain_numpy_on_any_number_of_threads():
    rng = np.random.default_rng(1)
    X, net = rng.normal(size=(1000, 30)), hr.TwoLayer.random(5, 30, std_v=1.0, seed=1)
    twin = erf(X @ net.w.T / np.sqrt(30) / np.sqrt(2)) @ net.v
    np.testing.assert_allclose(net.forward(X), twin, atol=1e-13)  # rounding of sums of 30 terms
    assert net.forward(X, threads=1).tobytes() == net.forward(X, threads=3).tobytes()


# -- image files ---------------------------------------------------------------------------------

IDX_TYPES = {np.uint8: 8, np.int8: 9, np.int16: 11, np.int32: 12, np.float32: 13, np.float64: 14}


def idx(values):
    header = bytes([0, 0, IDX_TYPES[values.dtype.type], values.ndim])
    return (
        header
        + struct.pack(f">{values.ndim}I", *values.shape)
        + values.astype(values.dtype.newbyteorder(">")).tobytes()
    )


@given(
    dtype=st.sampled_from(list(IDX_TYPES)),
    shape=st.lists(st.integers(0, 5), min_size=1, max_size=4),
    zipped=st.booleans(),
    seed=st.integers(0, 100),
)
def test_idx_files_come_back_as_they_were_written(tmp_path_factory, dtype, shape, zipped, seed):
    values = (100 * np.random.default_rng(seed).random(shape)).astype(dtype)
    path = tmp_path_factory.mktemp("idx") / "file"
    path.write_bytes(gzip.compress(idx(values)) if zipped else idx(values))
    back = read_idx(path)
    assert back.dtype == values.dtype
    np.testing.assert_array_equal(back, values)


@given(content=st.binary(max_size=60), cut=st.integers(0, 40), zipped=st.booleans())
def test_no_bytes_but_an_idx_file_are_read(tmp_path_factory, content, cut, zipped):
    path = tmp_path_factory.mktemp("idx") / "file"
    whole = idx(np.arange(24, dtype=np.uint8).reshape(2, 3, 4))  # 16 bytes of header, 24 of data
    for bad in (content, whole[:cut], whole[:cut] + content):
        path.write_bytes(gzip.compress(bad) if zipped else bad)
        try:
            values = read_idx(path)
        except hr.InvalidParameterError as error:
            message = str(error)
        else:
            assert bad[:2] == b"\0\0"
            assert len(bad) == 4 + 4 * bad[3] + values.nbytes
            continue
        assert re.match(r"path = .*; pass", message, flags=re.S)


def write_set(folder, pixels, classes):
    (folder / "images").write_bytes(idx(pixels))
    (folder / "labels").write_bytes(gzip.compress(idx(classes)))
    return folder / "images", folder / "labels"


def test_image_files_are_loaded_scaled_and_labelled(tmp_path):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (7, 4, 5)).astype(np.uint8)
    images = load_idx(*write_set(tmp_path, pixels, np.arange(7, dtype=np.uint8)))
    np.testing.assert_array_equal(images.X, pixels.reshape(7, 20) / 255)
    np.testing.assert_array_equal(images.parity, [1, -1, 1, -1, 1, -1, 1])
    np.testing.assert_array_equal(images.labels([0, 2, 3, 5, 8]), [1, -1, 1, 1, -1, 1, -1])
    train, test = images.split(2, seed=1)
    assert sorted([*train.classes, *test.classes]) == list(range(7))


def test_image_files_that_do_not_fit_are_refused(tmp_path):
    pixels = np.zeros((3, 2, 2), np.uint8)
    images, labels = write_set(tmp_path, pixels, np.zeros(4, np.uint8))
    with pytest.raises(hr.ShapeError, match="one label per image"):
        load_idx(images, labels)
    with pytest.raises(hr.InvalidParameterError, match="images"):
        load_idx(labels, labels)
    with pytest.raises(hr.InvalidParameterError, match="cannot be read"):
        load_idx(tmp_path / "missing", labels)
    images.write_bytes(idx(pixels)[:-1])
    with pytest.raises(hr.InvalidParameterError, match="truncated"):
        read_idx(images)
    labels.write_bytes(gzip.compress(idx(pixels))[:-9])
    with pytest.raises(hr.InvalidParameterError, match="gzip"):
        read_idx(labels)


def test_normalisations():
    X = np.random.default_rng(0).random((50, 9)) * np.arange(1, 51)[:, None]
    whole = normalise(X, "global")
    np.testing.assert_allclose([whole.mean(), whole.std()], [0, 1], atol=1e-12)
    each = normalise(X, "image")
    np.testing.assert_allclose(each.mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(each.std(axis=1), 1, rtol=1e-12)
    np.testing.assert_array_equal(normalise(np.array([[0.0, 0.5, 1.0]]), "half"), [[-1, 0, 1]])
    np.testing.assert_allclose(normalise(X[:3], "global", reference=X), whole[:3])
    with pytest.raises(hr.InvalidParameterError, match="equal"):
        normalise(np.ones((2, 3)), "image")


# -- independent students ------------------------------------------------------------------------

#: The setting of the published small-scale check: both layers, ±1 labels, P = 50 N.
SMALL = {"D": 10, "M": 4, "K": 4, "lr": 0.2, "samples": 50.0, "classify": True}


def sign_averages(scenario, seeds, **options):
    """Return averages over seeds, at t = 500, of fractions of signs that differ."""
    options = SMALL | {"t_max": 500.0, "save_at": [500.0]} | options
    runs = [independent_students(scenario, seed=seed, **options).isel(t=-1) for seed in seeds]
    mean = {
        name: float(np.mean([r[f"{name}_sign"] for r in runs])) for name in ("e1", "e2", "e12", "e12_white")
    }
    return mean | {"ratio": mean["e12_white"] / mean["e12"]}


def test_only_latent_labels_make_students_agree_on_the_manifold_and_not_off_it():
    ratio = {
        scenario: sign_averages(scenario, range(4), N=150, test_size=2000)["ratio"]
        for scenario in ("iid", "input", "latent")
    }
    # Measured over 8 seeds: 1.0, 1.1 and 3.2 with a spread of 0.2, 0.25 and 0.55 from seed to seed,
    # half of that for the average of four: the limits are three of those away.
    assert ratio["latent"] > 2.2, ratio
    assert max(ratio["iid"], ratio["input"]) < 1.5, ratio


@pytest.mark.slow
def test_the_published_small_scale_numbers():
    # Fractions of signs that differ, N = 400, one run each in the specification: error, on the
    # manifold, off it. The published run is one seed with initial weights that are not recorded, and
    # our spread from seed to seed is 0.005 to 0.012 (error), 0.003 to 0.006 (on) and 0.003 to 0.012
    # (off): three of them, plus what off-manifold weights remember of the initial ones (latent, off).
    expected = {
        "iid": (0.058, 0.039, 0.029),
        "input": (0.052, 0.037, 0.038),
        "latent": (0.054, 0.017, 0.066),
    }
    for scenario, (error, on, off) in expected.items():
        seen = sign_averages(scenario, range(8), N=400, test_size=4000)
        assert seen["e1"] == pytest.approx(error, abs=0.015), scenario
        assert seen["e2"] == pytest.approx(error, abs=0.015), scenario
        assert seen["e12"] == pytest.approx(on, abs=0.01), scenario
        assert seen["e12_white"] == pytest.approx(off, abs=0.04 if scenario == "latent" else 0.012), scenario
        assert (seen["ratio"] > 3.0) == (scenario == "latent")


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_scenario_gives_its_table_and_the_same_bits_on_any_threads(scenario):
    options = {
        "N": 40,
        "D": 5,
        "t_max": 3.0,
        "samples": 5.0,
        "lr": 0.1,
        "test_size": 100,
        "teacher_time": 2.0,
    }
    one, three = (independent_students(scenario, threads=n, **options) for n in (1, 3))
    assert {"e1", "e2", "e12", "e1_train_sign", "e12_white", "e12_white_sign"} <= set(one.data_vars)
    assert ("e1_white" in one) == (scenario in ("iid", "input", "trained"))
    for name in one.data_vars:
        assert one[name].values.tobytes() == three[name].values.tobytes(), name
        assert np.isfinite(one[name]).all()
        assert "student" in one[name].attrs["long_name"]
    assert "threads" in one.attrs["settings"]
    other = independent_students(scenario, **options | {"random_labels": True})
    assert not np.array_equal(one["e1_train"], other["e1_train"])


def test_fresh_samples_and_mixed_teachers():
    options = {"N": 60, "D": 6, "t_max": 5.0, "samples": None, "lr": 0.1, "test_size": 200}
    result = independent_students("latent", mix=True, **options)
    assert "e1_train" not in result
    assert result.e1[-1] < result.e1[0]
    with pytest.raises(hr.InvalidParameterError, match="samples"):
        independent_students("latent", **options | {"f": "relu"})
    with pytest.raises(hr.InvalidParameterError, match="scenario"):
        independent_students("nonsense")
    with pytest.raises(hr.InvalidParameterError, match="save_at"):
        independent_students("latent", **options, save_at=[2.0, 1.0])


def test_a_diverging_experiment_hands_over_what_it_has():
    with pytest.raises(hr.DivergenceError) as caught:
        independent_students("latent", N=40, D=5, lr=1e9, t_max=5.0, samples=5.0, test_size=50)
    assert caught.value.result.sizes["t"] >= 1


# -- increasing complexity -----------------------------------------------------------------------


def test_wider_networks_reach_lower_errors_on_digits():
    result = increasing_complexity(K=[1, 2, 4, 8], t_max=1000.0)
    last = result.isel(t=-1)
    # Two units do as well as one here; from then on, over three seeds, each doubling lowers the
    # training error by 20 % or more and eight units make at most a third of the mistakes of one.
    assert (np.diff(last.train_mse.sel(K=[2, 4, 8])) < 0).all()
    assert last.train_mse.sel(K=8) < 0.6 * last.train_mse.sel(K=1)
    assert last.test_error.sel(K=8) < 0.5 * last.test_error.sel(K=1)
    assert np.isnan(last.v.sel(K=2).values).tolist() == [False] * 2 + [True] * 6
    again = increasing_complexity(K=[2], t_max=1000.0, threads=3)
    np.testing.assert_array_equal(again.test_mse[0], result.test_mse.sel(K=2))


def test_increasing_complexity_takes_images_and_batches():
    images = Images(np.random.default_rng(0).random((60, 10)), np.arange(60) % 4)
    result = increasing_complexity(
        images, K=[2], t_max=4.0, batch=5, positive=[0, 3], save_at=[0.0, 1.0, 4.0]
    )
    np.testing.assert_allclose(result.t, [0.0, 1.0, 4.0])
    with pytest.raises(hr.InvalidParameterError, match="K"):
        increasing_complexity(images, K=[])


# -- memorisation --------------------------------------------------------------------------------


def test_overlap_is_one_for_equal_sets_and_zero_for_independent_ones():
    rng = np.random.default_rng(0)
    right = rng.random((2, 10_000)) < 0.7
    assert overlap_beyond_chance([right[0], right[0]]) == pytest.approx(1.0, abs=1e-12)
    # A correlation of independent samples has standard deviation 1/√P = 0.01; four of them.
    assert abs(overlap_beyond_chance(right)) < 0.04
    for correct in (np.ones((2, 5)), [[True, False], [True, True]], [[False, True], [False, False]]):
        with pytest.raises(hr.InvalidParameterError, match="samples right"):
            overlap_beyond_chance(correct)
    with pytest.raises(hr.ShapeError):
        overlap_beyond_chance(np.ones(5))


def test_what_a_tiny_task_leaves_undefined_is_said():
    task = teacher_task("noise", N=8, M=4, classes=2, train_per_class=2, test_per_class=1)
    result = memorisation(task, K=64, epochs=60, lr=0.1, batch=1, seeds=[0, 1])
    for name in ("train_overlap", "test_overlap", "train_loss"):
        undefined = np.isnan(result[name].values).reshape(len(result.epoch), -1).any(axis=1)
        reason = result[name].attrs.get("undefined", "")
        assert bool(reason) == undefined.any()
        for epoch in result.epoch.values[undefined]:
            assert re.search(rf"\b{epoch:g}\b", reason)
    # All four samples are learnt by heart in the end, so that nothing varies any more.
    assert np.isnan(result.train_overlap[-1])


def test_too_few_images_are_refused():
    one = Images(np.array([[0.0, 1.0]]), np.array([1]))
    with pytest.raises(hr.InvalidParameterError, match="images holds 1"):
        increasing_complexity(one, K=[1], t_max=1.0)
    result = increasing_complexity(one, one, K=[1], t_max=3.0, save_at=[0.0, 0.1, 0.2, 3.0])
    assert result.indexes["t"].is_unique
    assert result.t.values.tolist() == [0.0, 0.5, 3.0]
    assert np.isfinite(result.test_mse).all()


def test_identical_seeds_agree_and_learning_permuted_labels_leaves_tests_at_chance():
    task = teacher_task("latent", N=100, M=100, classes=4, train_per_class=100, test_per_class=100)
    same = memorisation(task, K=64, epochs=3, seeds=[5, 5])
    assert same.test_overlap[-1] == pytest.approx(1.0, abs=1e-12)
    true = memorisation(task, K=64, epochs=30, lr=0.05, seeds=[0, 1])
    assert true.test_overlap[-1] > 0.2
    assert (true.test_common > true.test_chance)[-1]
    permuted = memorisation(task, K=64, epochs=30, lr=0.05, seeds=[0, 1], permute=True)
    # 400 tests of probability 1/4: standard deviation 0.022 for each network; four of them.
    assert abs(float(permuted.test_error[-1].mean()) - 0.75) < 0.09
    assert float(permuted.train_error[-1].mean()) < float(permuted.train_error[0].mean())
    assert float(true.test_error[-1].mean()) < 0.5


def test_digits_have_shared_easy_examples_and_threads_do_not_matter():
    result = memorisation(K=64, epochs=3, lr=0.05, threads=2)
    again = memorisation(K=64, epochs=3, lr=0.05, threads=1)
    assert result.test_overlap[-1] > 0.2
    assert float(result.test_error[-1].mean()) < 0.2
    for name in result.data_vars:
        assert result[name].values.tobytes() == again[name].values.tobytes(), name


@pytest.mark.parametrize("kind", ["noise", "input", "latent"])
def test_tasks_of_teachers_are_balanced_and_reproducible(kind):
    options = {"N": 50, "M": 64, "classes": 3, "train_per_class": 30, "test_per_class": 10}
    one, three = (teacher_task(kind, threads=n, **options) for n in (1, 3))
    assert np.bincount(one.classes).tolist() == [30] * 3
    assert np.bincount(one.classes_test).tolist() == [10] * 3
    assert one.X.tobytes() == three.X.tobytes()
    assert one.classes.tobytes() == three.classes.tobytes()


def test_bad_tasks_are_refused():
    task = image_task()
    with pytest.raises(hr.ShapeError, match="one class per input"):
        Task(task.X, task.classes[1:], task.X_test, task.classes_test)
    with pytest.raises(hr.InvalidParameterError, match="seeds"):
        memorisation(task, seeds=[1])
    with pytest.raises(hr.InvalidParameterError, match="kind"):
        teacher_task("nonsense")
