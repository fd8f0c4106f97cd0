"""Many students on one stream: each as it is alone, whatever becomes of the others."""

from __future__ import annotations

import copy
import pickle
import warnings
from contextlib import contextmanager

import matplotlib.pyplot as plt
import numpy as np
import pytest

import hmm_rs as hr
from hmm_rs.testing import assert_resumes, assert_same_bits, difference, falling_rate

N, D = 60, 12
TIMES = [0.0, 0.5, 2.0, 6.0]
WIDTHS = (2, 1, 3, 2)
#: So large that a relu student of one unit has no chance.
TOO_LARGE = 400.0


def make(students="four", *, model=None, **options):
    model = hr.HiddenManifold(N, D, seed=1) if model is None else model
    width = model.N if options.get("labels") == "input" else model.D
    if students == "four":
        students = [hr.TwoLayer.random(K, model.N, std_v=1.0, seed=i) for i, K in enumerate(WIDTHS)]
    teacher = hr.TwoLayer.random(2, width, std_v=1.0, seed=9)
    options = {"lr": [0.1, 0.2, 0.3, 0.4], "test_size": 300, "seed": 4} | options
    return hr.OnlineSGD(model, teacher, student=students, **options)


def relus(*widths):
    return [hr.TwoLayer.random(K, N, activation="relu", std_v=1.0, seed=i) for i, K in enumerate(widths)]


def diverging(**options):
    """An ensemble of which student 1 diverges."""
    return make(relus(2, 1, 3, 2), **{"lr": [0.05, TOO_LARGE, 0.05, 0.1]} | options)


@contextmanager
def quiet():
    """Divergence is expected."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def assert_like_alone(sim, result, i):
    """Student i has the bits of its own run, and nothing else."""
    alone = sim.alone(i)
    own = alone.run(result.t.values[-1], save_at=result.t.values, threads=1)
    for name, values in own.data_vars.items():
        seen = result[name]
        seen = seen.sel(student=i) if "student" in seen.dims else seen
        corner = tuple(slice(size) for size in values.shape)
        np.testing.assert_array_equal(seen.values[corner], values.values, err_msg=name)
        assert np.isnan(seen.values).sum() == seen.size - values.size
    np.testing.assert_array_equal(sim.students[i].w, alone.student.w)
    np.testing.assert_array_equal(sim.students[i].v, alone.student.v)


# -- the same bits as alone ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"dtype": "float32", "weight_decay": [0.0, 0.01, 0.5, 0.01]},
        {"batch": 7, "noise": [0.0, 0.3, 0.3, hr.schedules.Step([0.0, 0.4], at=[1.0])]},
        {"noise": [0.2, 0.0, falling_rate, 0.1]},
        {"noise": 0.3},
        {"train_second_layer": True, "lr_v": [0.1, 0.2, hr.schedules.Power(0.3, b=1.0), falling_rate]},
        {"lr": np.array([0.1, 0.2, 0.3, 0.4]), "classify": True, "labels": "input"},
        {"lr": falling_rate, "batch": 150, "train_second_layer": True, "dtype": "float32"},
        {"model": hr.HiddenManifold(64, 10, F="hadamard", f="relu", center=False)},
        {"model": hr.generators.random_layers([8, 20, 30], ["erf", "relu"], seed=2)},
    ],
    ids=lambda options: ", ".join(options) or "rates",
)
def test_every_student_has_the_bits_that_it_has_alone(options):
    sim = make(**options)
    result = sim.run(6.0, save_at=TIMES, threads=3)
    for i in range(len(WIDTHS)):
        assert_like_alone(sim, result, i)


def test_samples_of_a_user_are_shared_too():
    x = np.random.default_rng(0).standard_normal((500, 20))
    stored = hr.StoredSamples(x, np.where(x[:, 0] > 0, 1.0, -1.0))
    students = [hr.TwoLayer.random(2, 20, seed=i) for i in range(3)]
    sim = hr.OnlineSGD(stored, stored.labels_teacher, student=students, lr=[0.1, 0.2, 0.3], test_size=50)
    result = sim.run(3.0, save_at=[0.0, 3.0])
    for i in range(3):
        assert_like_alone(sim, result, i)


def test_more_students_than_a_tile_of_samples_and_long_stretches():
    # Wide enough that the students of one task go through the samples tile by tile.
    model = hr.HiddenManifold(1500, 20, seed=1)
    students = [hr.TwoLayer.random(1 + i % 3, 1500, seed=i) for i in range(9)]
    sim = make(students, model=model, lr=[0.1 + 0.05 * i for i in range(9)], test_size=50)
    sim.advance(700, threads=2)
    for i in (0, 4, 8):
        alone = sim.alone(i)
        alone.advance(700, threads=1)
        np.testing.assert_array_equal(sim.students[i].w, alone.student.w)


def test_neither_threads_nor_slices_change_a_bit():
    with quiet():
        assert_same_bits(lambda: diverging(batch=3).run(3.0, save_at=TIMES[:3]))
    whole, cut = make(), make()
    whole.advance(300)
    for steps in (1, 2, 127, 1, 169):
        cut.advance(steps, threads=2)
    for one, other in zip(whole.students, cut.students, strict=True):
        np.testing.assert_array_equal(one.w, other.w)


# -- what a result looks like ----------------------------------------------------------------------------


def test_a_result_has_students_after_time_and_says_what_tells_them_apart():
    result = make(noise=[0.0, 0.1, 0.0, 0.2]).run(6.0, save_at=TIMES)
    assert result.eg.dims == ("t", "student")
    assert result.Q.dims == ("t", "student", "k", "k2")
    assert result.R.dims == ("t", "student", "k", "m")
    assert result["T"].dims == ("t", "m", "m2")
    np.testing.assert_array_equal(result.K, WIDTHS)
    np.testing.assert_array_equal(result.lr, [0.1, 0.2, 0.3, 0.4])
    np.testing.assert_array_equal(result.noise, [0.0, 0.1, 0.0, 0.2])
    assert "weight_decay" not in result.coords
    assert np.isnan(result.diverged).all()
    # Units that a student has not are NaN, those that it has are numbers.
    assert np.isnan(result.v.sel(student=1)).sum() == 2 * len(TIMES)
    assert not np.isnan(result.v.sel(student=2)).any()
    np.testing.assert_array_equal(
        result.swap_dims(student="lr").eg.sel(lr=0.3).values, result.eg.sel(student=2).values
    )


def test_rates_that_are_no_numbers_are_told_in_words(tmp_path):
    sim = make(lr=[0.1, hr.schedules.Power(0.5, b=10.0), falling_rate, 0.4])
    result = sim.run(1.0, save_at=[1.0])
    assert result.lr.values[0] == "0.1"
    assert result.lr.values[1].startswith("Power(")
    pytest.importorskip("scipy")
    result.to_netcdf(tmp_path / "runs.nc")


def test_a_list_of_one_is_an_ensemble_too():
    student = hr.TwoLayer.random(2, N, seed=1)
    for students in ([student], (student,), iter([student])):
        sim = make(students, lr=0.1)
        assert sim.run(1.0, save_at=[1.0]).eg.dims == ("t", "student")
        assert len(sim.students) == 1
    single = make(student, lr=0.1)
    assert single.run(1.0, save_at=[1.0]).eg.dims == ("t",)
    assert single.students[0] == single.student
    assert single.initial_students == (student,)


def test_curves_tables_and_comparisons_of_an_ensemble():
    result = make().run(6.0, save_at=TIMES)
    ax = hr.plot.learning_curve(result)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [f"student = {i}" for i in range(4)]
    ax = hr.plot.learning_curve(result.swap_dims(student="lr"))
    assert ax.get_legend().get_texts()[2].get_text() == "lr = 0.3"
    plt.close("all")
    table = hr.to_frame(result, variables=["eg", "v"])
    assert len(table) == len(TIMES) * 4
    assert {"student", "lr", "K", "v[2]"} <= set(table.columns)
    sim = make()
    theory = hr.theory.HiddenManifoldODE.from_simulation(sim.alone(1)).solve(TIMES)
    # N = 60: a single run strays by some 1/√N of its error.
    gap = hr.compare(result.sel(student=1), theory, allowed=0.15)
    assert gap.attrs["verdict"] == "agrees"
    # As many times as students: nothing may be lined up by its length.
    with pytest.raises(hr.InvalidParameterError, match=r"run.sel\(student=...\)"):
        hr.compare(result, theory)


# -- long runs -------------------------------------------------------------------------------------------


def test_stopped_and_resumed_equals_never_stopped():
    options = {"noise": [0.2, 0.0, 0.1, 0.2], "dtype": "float32", "weight_decay": 0.05}
    for lr in ([0.05, TOO_LARGE, 0.05, 0.1], [0.1, falling_rate, 0.2, 0.1]):
        with quiet():
            assert_resumes(
                lambda lr=lr: make(relus(2, 1, 3, 2), lr=lr, **options),
                {"t_max": 4.0, "save_at": [0.0, 0.3, 1.0, 4.0]},
                functions={"falling_rate": falling_rate} if falling_rate in lr else None,
            )


def test_a_run_is_made_again_from_its_result():
    result = make(lr=[0.1, 0.2, hr.schedules.Power(0.3, b=2.0), 0.4]).run(2.0, save_at=[0.0, 1.0, 2.0])
    again = hr.rerun(result, threads=3)
    assert not difference(again, result)


def test_copies_and_pickles_go_on_alike():
    sim = make()
    sim.advance(100)
    twins = [copy.deepcopy(sim), pickle.loads(pickle.dumps(sim))]
    for one in (sim, *twins):
        one.advance(100)
    for twin in twins:
        for one, other in zip(sim.students, twin.students, strict=True):
            np.testing.assert_array_equal(one.w, other.w)


def test_callbacks_bars_and_budgets(capsys):
    seen = []
    sim = make()
    result = sim.run(
        6.0, save_at=TIMES, progress="always", callbacks=[lambda _, s: seen.append(s["eg"].shape)]
    )
    assert seen == [(4,)] * len(TIMES)
    assert "eg=" in capsys.readouterr().err
    assert result.sizes["t"] == len(TIMES)
    assert make().run(1e6, max_seconds=0.3).attrs["stopped"] == "max_seconds"


def test_memory_grows_with_the_students_only():
    one, many = make(relus(2), lr=0.1), make(relus(*[2] * 16), lr=0.1)
    more = many.memory_estimate(threads=1) - one.memory_estimate(threads=1)
    assert more == 15 * 2 * 2 * N * 8


# -- divergence ------------------------------------------------------------------------------------------


def test_a_student_that_diverges_leaves_and_the_others_go_on():
    sim = diverging()
    with pytest.warns(RuntimeWarning, match=r"diverged: student 1 \(lr = 400.0, at t = "):
        result = sim.run(6.0, save_at=TIMES, threads=2)
    t = float(result.diverged[1])
    assert 0 < t < 6.0
    assert np.isnan(result.diverged.values[[0, 2, 3]]).all()
    gone = result.t.values > t
    for name in ("eg", "Q", "R", "W", "v"):
        assert np.isnan(result[name].sel(student=1).values[gone]).all()
    assert not np.isnan(result.eg.sel(student=1).values[~gone]).any()
    assert sim.students[1] is None
    for i in (0, 2, 3):
        assert_like_alone(sim, result, i)
    # Its own run ends at the very step.
    alone = sim.alone(1)
    with pytest.raises(hr.DivergenceError):
        alone.run(6.0)
    assert alone.t == t
    # Told once.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sim.advance(10)


@pytest.mark.parametrize("batch", [1, 5])
def test_where_all_diverge_the_run_ends_with_its_partial_result(batch):
    sim = make(relus(1, 1, 2), lr=[TOO_LARGE, 2 * TOO_LARGE, TOO_LARGE], batch=batch)
    with quiet(), pytest.raises(hr.DivergenceError, match=r"all students of .* \(3 of them\)") as caught:
        sim.run(500.0, save_at=[0.0, 500.0])
    result = caught.value.result
    assert result.sizes["t"] == 1
    assert not np.isnan(result.eg).any()
    assert sim.students == (None,) * 3
    assert float(result.diverged.max()) == sim.t
    for more in (lambda: sim.advance(1), sim.observe, lambda: sim.run(600.0, save_at=[sim.t, 600.0])):
        with pytest.raises(hr.DivergenceError, match="all students"):
            more()


def test_the_time_of_divergence_does_not_depend_on_threads_or_slices():
    steps = set()
    for cut in (1, 3, 10**6):
        sim = diverging()
        with quiet():
            while sim.step < 360:
                sim.advance(min(cut, 360 - sim.step), threads=1 + cut % 2)
        steps.add(tuple(sim._diverged().items()))
        assert sim.students[1] is None
    assert len(steps) == 1


# -- what is refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "match", "students", "options"),
    [
        (hr.InvalidParameterError, "student is an empty list", [], {}),
        (hr.InvalidParameterError, "student is an empty list", (), {"lr": []}),
        (hr.DtypeError, r"student\[1\] = 3: must be a TwoLayer", [relus(1)[0], 3], {}),
        (hr.DtypeError, r"student\[0\] = \[", [relus(1)], {"lr": 0.1}),
        (hr.DtypeError, "student = 5", 5, {}),
        (hr.DtypeError, "student = 'ab'", "ab", {}),
        (hr.DtypeError, "student = None", None, {}),
        (hr.DtypeError, "must be a TwoLayer, or a list", {"a": relus(1)[0]}, {}),
        (hr.ShapeError, r"student\[1\].w has shape \(2, 7\)", [relus(1)[0], hr.TwoLayer.random(2, 7)], {}),
        (hr.DtypeError, "is a list of rates, for one student", relus(1)[0], {"lr": [0.1]}),
        (hr.DtypeError, "noise = .* is a list of rates", relus(1)[0], {"lr": 0.1, "noise": np.ones(2)}),
        (hr.ShapeError, "lr has 2 entries for 3 students", relus(1, 2, 1), {"lr": [0.1, 0.2]}),
        (hr.ShapeError, "lr has more than 2 entries", relus(1, 2), {"lr": iter(lambda: 0.1, None)}),
        (hr.ShapeError, "weight_decay has 0 entries", relus(1), {"lr": 0.1, "weight_decay": []}),
        (hr.DtypeError, r"lr\[1\] = \[0.1\]", relus(1, 2), {"lr": [0.1, [0.1]]}),
        (hr.DtypeError, r"lr\[0\]", relus(1, 2), {"lr": np.ones((2, 1))}),
        (hr.InvalidParameterError, r"lr\[1\] = -0.1", relus(1, 2), {"lr": [0.1, -0.1]}),
        (hr.DtypeError, "lr = {", relus(1, 2), {"lr": {0.1, 0.2}}),
        (hr.DtypeError, r"noise\[0\] = None", relus(1, 2), {"lr": 0.1, "noise": [None, 0.1]}),
        (hr.DtypeError, "lr = 'ab'", relus(1, 2), {"lr": "ab"}),
    ],
)
def test_lists_that_do_not_fit_are_refused(error, match, students, options):
    with pytest.raises(error, match=match):
        hr.OnlineSGD(
            hr.HiddenManifold(N, D), hr.TwoLayer.random(2, D), student=students, **{"lr": 0.1} | options
        )


def test_one_student_is_not_asked_of_many():
    sim = make()
    for ask in (lambda: sim.student, lambda: sim.initial_student):
        with pytest.raises(hr.InvalidParameterError, match=r"list of 4 students; use .*alone\(i\)"):
            ask()
    with pytest.raises(hr.InvalidParameterError, match=r"use initial_students, or alone\(i\)"):
        hr.theory.HiddenManifoldODE.from_simulation(sim)
    with pytest.raises(hr.InvalidParameterError, match="i = 4"):
        sim.alone(4)


def test_a_state_of_other_students_is_refused():
    sim, state = make(), make()._state()
    for wrong in (
        {"diverged": np.array([7, 0, 0, 0], dtype=np.uint64)},
        {"scale": np.array([1.0, 1.0])},
        {"w1": np.ones((2, N))},
        {"w1": np.full((1, N), np.nan)},
    ):
        with pytest.raises(hr.HmmError):
            sim._restore(state | wrong)
    sim._restore(state)
