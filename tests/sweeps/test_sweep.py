"""hr.sweep: what comes out, whoever computes it, and what is refused."""

import dataclasses
import functools
import json
import math
import threading
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
import xarray as xr

import hmm_rs as hr
from hmm_rs.sweeps import loop
from hmm_rs.sweeps.fingerprint import digest, function_digest

AT = [0.0, 0.5, 1.0]


def same(one, other):
    """Whether all variables agree to the bit."""
    return set(one.data_vars) == set(other.data_vars) and all(
        one[name].dims == other[name].dims
        and one[name].dtype == other[name].dtype
        and one[name].values.tobytes() == other[name].values.tobytes()
        for name in one.data_vars
    )


def test_every_combination_is_a_point_and_every_parameter_a_dimension(toy):
    table = hr.sweep(toy.line, {"x": [1.0, 2.0], "y": [0.5]}, seeds=3, executor="here")
    assert table.eg.dims == ("x", "y", "seed", "t")
    alone = toy.line(2.0, 0.5, seed=1)
    np.testing.assert_array_equal(table.eg.sel(x=2.0, y=0.5, seed=1), alone.eg)


def test_a_list_of_points_lies_along_one_dimension(toy):
    table = hr.sweep(toy.line, [{"x": 1, "y": 2.0}, {"y": 3.0, "x": 5}], seeds=[7, 9], executor="here")
    assert table.eg.dims == ("point", "seed", "t")
    np.testing.assert_array_equal(table.x, [1, 5])
    np.testing.assert_array_equal(table.y, [2.0, 3.0])
    np.testing.assert_array_equal(table.eg.sel(seed=9)[1], toy.line(5, 3.0, seed=9).eg)


def test_processes_make_the_serial_table_to_the_bit(toy):
    grid = {"lr": [0.1, 0.2], "D": [5, 10]}
    serial = hr.sweep(toy.student, grid, seeds=2, at=AT, executor="here")
    assert same(hr.sweep(toy.student, grid, seeds=2, at=AT, workers=2), serial)


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_executors_of_the_standard_library_make_the_serial_table(toy, kind):
    serial = hr.sweep(toy.line, {"x": range(6)}, executor="here")
    pool = ThreadPoolExecutor(3) if kind == "threads" else ProcessPoolExecutor(2, get_context("spawn"))
    with pool:
        assert same(hr.sweep(toy.line, {"x": range(6)}, executor=pool), serial)


def test_a_worker_uses_one_thread_and_a_thread_leaves_ours_alone(toy):
    before = hr.get_num_threads()
    table = hr.sweep(toy.threads, {"x": range(4)}, workers=2)
    assert (table.threads == 1).all()
    with ThreadPoolExecutor(2) as pool:
        assert (hr.sweep(toy.threads, {"x": range(4)}, executor=pool).threads == before).all()
    assert hr.get_num_threads() == before


def test_functions_of_notebooks_and_functions_inside_functions_travel():
    scale = 3.0
    table = hr.sweep(lambda x: {"y": scale * x}, {"x": [1.0, 2.0]}, workers=1)
    np.testing.assert_array_equal(table.y, [3.0, 6.0])


def test_equations_are_solved_together_as_they_are_alone(toy):
    grid = {"lr": [0.1, 0.2], "D": [5, 10]}
    together = hr.sweep(toy.equations, grid, seeds=2, at=AT)
    alone = hr.sweep(lambda **point: toy.equations(**point).solve(AT), grid, seeds=2, executor="here")
    assert together.attrs["source"] == "theory"
    assert same(together, alone)


def test_equations_that_cannot_be_solved_do_not_stop_the_others(toy):
    def equations(lr):
        if lr == 0.2:
            raise ValueError("not this one")
        return hr.theory.SaadSolla(
            np.eye(1),
            np.full((1, 1), 0.1),
            T=np.eye(1),
            v0=[1.0],
            v_teacher=[1.0],
            lr=lr,
            activation="linear",
        )

    with pytest.warns(hr.SweepWarning, match="2 of 3 points failed"):
        table = hr.sweep(equations, {"lr": [0.1, 0.2, 50.0]}, at=[0.0, 1000.0], executor="here")
    assert "ValueError: not this one" in table.error.values[1]
    assert "DivergenceError" in table.error.values[2]
    assert np.isfinite(table.eg[0]).all()


def test_a_simulation_and_its_theory_meet_in_a_comparison_and_in_pictures(toy):
    import matplotlib.pyplot as plt

    grid = {"lr": [0.1, 0.2]}
    runs = hr.sweep(lambda lr, seed: toy.student(lr, 10, seed), grid, seeds=2, at=AT, executor="here")
    theory = hr.sweep(lambda lr, seed: toy.equations(lr, 10, seed), grid, seeds=2, at=AT, executor="here")
    assert (runs.eg - theory.eg).dims == ("lr", "seed", "t")
    ax = hr.plot.learning_curve(runs, theory)
    assert ax.get_legend_handles_labels()[1] == ["lr = 0.1", "lr = 0.2", "simulation", "theory"]
    plt.close("all")


def test_a_sweep_over_names_is_drawn_by_its_names():
    import matplotlib.pyplot as plt

    def curve(loss):
        alpha = np.array([1.0, 2.0])
        return xr.Dataset({"eg": ("alpha", alpha)}, coords={"alpha": alpha}, attrs={"source": "theory"})

    table = hr.sweep(curve, {"loss": ["ridge", "hinge"]}, executor="here")
    ax = hr.plot.learning_curve(table)
    assert ax.get_legend_handles_labels()[1] == ["loss = ridge", "loss = hinge"]
    plt.close("all")


# -- what a function may return -------------------------------------------------------------------------


def test_numbers_dictionaries_records_and_arrays_with_labels_are_results():
    spectrum = hr.theory.replica.Spectrum([1.0], [1.0], [0.5], 1.0)

    def record(alpha, lam):
        return hr.theory.replica.solve(spectrum, loss="ridge", alpha=alpha, lam=lam)

    assert hr.sweep(lambda x: x * 2, {"x": [1, 2]}, executor="here").value.values.tolist() == [2, 4]
    assert hr.sweep(lambda x: {"y": x}, {"x": [1, 2]}, executor="here").y.dims == ("x",)
    table = hr.sweep(record, {"alpha": [1.0, 2.0], "lam": [0.1, 1.0, 10.0]}, executor="here")
    assert table.test_mse.dims == ("alpha", "lam")
    assert float(table.test_mse[1, 2]) == float(record(2.0, 10.0)["test_mse"])
    labelled = hr.sweep(lambda x: xr.DataArray([x], dims="i", name="z"), {"x": [1, 2]}, executor="here")
    assert labelled.z.dims == ("x", "i")


def test_anything_else_fails_in_our_words(toy):
    with pytest.raises(hr.SweepError, match=r"all 2 points failed, .* returned str: must be an xarray"):
        hr.sweep(lambda x: "word", {"x": [1, 2]}, executor="here")
    with pytest.raises(hr.SweepError, match=r"returned OnlineSGD: .* pass at="):
        hr.sweep(toy.student, {"lr": [0.1], "D": [5]}, seeds=1, executor="here")


def test_sizes_that_count_may_differ_and_axes_may_not(toy):
    table = hr.sweep(toy.sizes, {"K": [1, 3]}, executor="here")
    assert table.Q.shape == (2, 1, 3)
    assert np.isnan(table.Q[0, 0, 1:]).all()
    with pytest.raises(hr.SweepError, match=r"t has 2 entries .*save_at.* in \.result") as seen:
        hr.sweep(toy.longer, {"x": [1, 2]}, executor="here")
    assert [len(result.t) for result in seen.value.result] == [2, 3]


def test_a_parameter_and_a_variable_of_one_name_stop_the_sweep_at_its_first_result(toy, calls):
    def fn(eg):
        toy.called("clash")
        return toy.line(eg)

    with pytest.raises(hr.SweepError, match="eg is a parameter that varies, and a variable"):
        hr.sweep(fn, {"eg": [1.0, 2.0, 3.0]}, executor="here")
    assert (calls / "clash").read_text() == "x"


# -- what the table says of itself ----------------------------------------------------------------------


def test_the_table_says_what_varied_and_what_did_not(toy):
    table = hr.sweep(toy.student, {"lr": [0.1, 0.2], "D": [5, 10]}, seeds=2, at=AT, executor="here")
    settings = json.loads(table.attrs["settings"])
    assert settings["driver"] == "OnlineSGD"
    assert "lr" not in settings
    assert settings["model"].startswith("HiddenManifold(N=60, D=..., ")
    assert "seed=..." in settings["model"]
    assert {"settings.lr", "settings.model", "settings.seed"} <= set(json.loads(table.attrs["varied"]))
    assert json.loads(table.attrs["sweep"])["parameters"] == ["lr", "D", "seed"]
    assert table.attrs["dtype"] == "float64"


def test_numbers_that_differ_become_coordinates(toy):
    table = hr.sweep(lambda y: toy.line(10 * y), {"y": [0.0, 1.0]}, executor="here")
    np.testing.assert_array_equal(table.x, [0.0, 10.0])
    assert table.attrs["unit"] == "a"
    assert json.loads(table.attrs["varied"]) == ["x"]


def test_an_ensemble_says_it_too(toy):
    runs = hr.ensemble(lambda seed: toy.student(0.1, 5, seed).run(1.0, save_at=AT), seeds=2)
    assert json.loads(runs.attrs["settings"])["lr"] == 0.1
    assert "settings.seed" in json.loads(runs.attrs["varied"])
    assert hr.compare(runs.isel(seed=0), runs.isel(seed=1), allowed=1.0).attrs["verdict"] == "agrees"


def test_a_table_goes_into_a_file(toy, tmp_path):
    with pytest.warns(hr.SweepWarning):
        table = hr.sweep(toy.picky, {"x": [1, 2]}, seeds=2, executor="here")
    table.to_netcdf(tmp_path / "table.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "table.nc", engine="h5netcdf") as read:
        assert same(read.load(), table)


# -- points that fail -----------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"executor": "here"}, {"workers": 2}])
def test_a_failing_point_is_recorded_and_does_not_stop_the_rest(toy, options):
    with pytest.warns(hr.SweepWarning, match=r"1 of 3 points failed, .*ValueError: two is not"):
        table = hr.sweep(toy.picky, {"x": [1, 2, 3]}, **options)
    assert table.attrs["failed"] == 1
    assert table.error.values.tolist() == ["", "ValueError: two is not a number I like", ""]
    assert np.isnan(table.eg.sel(x=2)).all()
    assert np.isfinite(table.eg.sel(x=[1, 3])).all()


def test_a_lost_worker_takes_one_point_with_it_which_another_computes(toy, calls):
    table = hr.sweep(toy.deadly, {"x": [0, 1, 3, 4]}, workers=2)
    np.testing.assert_array_equal(table.value, [0, 1, 3, 4])
    assert (calls / "deadly-1").read_text() == "xx"


def test_a_point_that_takes_every_worker_along_fails(toy, calls):
    with pytest.warns(hr.SweepWarning, match=r"its worker was lost, 3 times \(.*exit code -9"):
        table = hr.sweep(toy.deadly, {"x": [0, 2, 3]}, workers=2)
    np.testing.assert_array_equal(table.value, [0, np.nan, 3])
    assert (calls / "deadly-2").read_text() == "xxx"


def test_a_broken_pool_is_told_and_what_was_done_is_kept(toy):
    pool = ProcessPoolExecutor(1, get_context("spawn"))
    with pool, pytest.raises(hr.SweepError, match=r"executor takes no more points .*make a new one") as seen:
        hr.sweep(toy.deadly, {"x": [0, 2, 3]}, executor=pool)
    assert float(seen.value.result.value[0]) == 0.0


def test_a_point_that_an_executor_forgets_is_handed_out_again(toy, calls, monkeypatch):
    monkeypatch.setattr("hmm_rs.sweeps.loop._SILENCE", (0.5, 5.0, 1.0))

    class Forgetful(ThreadPoolExecutor):
        """Forget the first point without a word."""

        forgot = False

        def submit(self, fn, /, *args):
            if self.forgot:
                return super().submit(fn, *args)
            self.forgot = True
            return Future()

    with Forgetful(1) as pool:
        table = hr.sweep(toy.line, {"x": [1.0, 2.0, 3.0]}, executor=pool)
    assert same(table, hr.sweep(toy.line, {"x": [1.0, 2.0, 3.0]}, executor="here"))


# -- what is refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("grid", "options", "error", "match"),
    [
        ({}, {}, hr.InvalidParameterError, "grid is empty"),
        ([], {}, hr.InvalidParameterError, "grid is empty"),
        ([{}], {}, hr.InvalidParameterError, "points are empty"),
        ({"x": []}, {}, hr.InvalidParameterError, r"grid\['x'\] is empty"),
        ({"x": [1, 2, 1]}, {}, hr.InvalidParameterError, r"holds 1 twice, at 0 and 2"),
        ({"x": [1, 1.0]}, {}, hr.InvalidParameterError, "twice"),
        ([{"x": 1}, {"x": 1}], {}, hr.InvalidParameterError, "twice"),
        ([{"x": 1}, {"y": 1}], {}, hr.InvalidParameterError, "all points must have the same"),
        ([{"x": 1}, 2], {}, hr.DtypeError, r"grid\[1\] = 2"),
        ({"x": 1.0}, {}, hr.DtypeError, r"must be a list of values; pass \[1.0\]"),
        ({"x": "abc"}, {}, hr.DtypeError, "must be a list of values"),
        (3, {}, hr.DtypeError, "a dictionary of lists or a list of dictionaries"),
        ({1: [1]}, {}, hr.DtypeError, "the name of an argument"),
        ({"x": [1], "z": [1]}, {}, hr.InvalidParameterError, "does not take the arguments x, z"),
        ({"x": [1], "seed": [1]}, {"seeds": 2}, hr.InvalidParameterError, "leave out one"),
        ({"x": [1]}, {"seeds": [1, 1]}, hr.InvalidParameterError, "all different"),
        ({"x": [1]}, {"seeds": "ab"}, hr.DtypeError, "seeds"),
        ({"x": [1]}, {"executor": "there"}, hr.InvalidParameterError, "'here'"),
        ({"x": [1]}, {"executor": 3}, hr.DtypeError, "a method submit"),
        ({"x": [1]}, {"workers": 0}, hr.InvalidParameterError, "workers = 0"),
        ({"x": [1]}, {"workers": 2, "executor": "here"}, hr.InvalidParameterError, "one of them"),
        ({"x": [1]}, {"at": [1.0, 0.5]}, hr.InvalidParameterError, "out of order"),
        ({"x": [1]}, {"out": 3}, hr.DtypeError, "must be a path"),
        ({"x": [1]}, {"progress": "yes"}, hr.InvalidParameterError, "always"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_computed(toy, calls, grid, options, error, match):
    with pytest.raises(error, match=match):
        hr.sweep(toy.line, grid, **{"executor": "here", **options} if "workers" not in options else options)
    assert not list(calls.iterdir())


def test_what_is_no_function_is_refused(toy):
    with pytest.raises(hr.DtypeError, match="fn = 3: must be a function that returns a result; pass one"):
        hr.sweep(3, {"x": [1]})
    with pytest.raises(
        hr.InvalidParameterError, match=r'"point" is the name of the table\'s dimension; rename'
    ):
        hr.sweep(lambda point: point, [{"point": 1}, {"point": 2}], executor="here")


def test_values_that_cannot_travel_are_refused_with_what_works():
    lock = threading.Lock()
    words = r"grid holds values that cannot go to another process .*: must be picklable; pass what they are made from"
    with pytest.raises(hr.DtypeError, match=words):
        hr.sweep(lambda fn: fn(3), {"fn": [lambda x: (lock, x)]}, workers=1)


def test_values_that_only_cloudpickle_knows_travel_too():
    pytest.importorskip("cloudpickle")
    found = hr.sweep(lambda fn: fn(3), {"fn": [lambda x: x + 1, lambda x: x * x]}, workers=1)
    assert found.value.values.tolist() == [4, 9]


def test_dictionaries_of_arrays_and_odd_types_are_no_results():
    for result, words in (
        ({"x": np.arange(3)}, "a dictionary must hold single numbers by name"),
        (
            xr.Dataset({"x": ("t", np.array([None, 1], dtype=object))}),
            "x holds object: a result .* numbers or texts",
        ),
    ):
        with pytest.warns(hr.SweepWarning, match=words):
            hr.sweep(lambda x, result=result: result if x else 1.0, {"x": [0, 1]}, executor="here")


def test_an_executor_that_takes_no_more_points_is_told(toy):
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    with pytest.raises(hr.SweepError, match=r"the executor takes no more points .*; make a new one and call"):
        hr.sweep(toy.line, {"x": [1]}, executor=executor)


def test_points_that_the_executor_takes_back_fail_in_the_end(toy, monkeypatch):
    class TakesBack(ThreadPoolExecutor):
        def submit(self, *task):
            future = Future()
            future.cancel()
            future.set_running_or_notify_cancel()
            return future

    monkeypatch.setattr(loop, "_RECALLS", 3)
    with pytest.raises(
        hr.SweepError, match=r"all 2 points failed, .* the executor took the point back 3 times"
    ):
        hr.sweep(toy.line, {"x": [1, 2]}, executor=TakesBack(1))


def test_an_executor_that_cannot_load_the_package_is_told(toy):
    class Foreign(ThreadPoolExecutor):
        def submit(self, *task):
            future = Future()
            future.set_exception(ModuleNotFoundError("No module named 'hmm_rs'"))
            return future

    with pytest.raises(hr.SweepError, match=r"a worker cannot take points .*hmm_rs must be installed there"):
        hr.sweep(toy.line, {"x": [1]}, executor=Foreign(1))


def test_a_function_that_cannot_travel_is_refused_with_what_works():
    lock = threading.Lock()

    def fn(x):
        with lock:
            return x

    with pytest.raises(hr.DtypeError, match=r'must be picklable; .* executor="here"'):
        hr.sweep(fn, {"x": [1]})
    assert hr.sweep(fn, {"x": [1]}, executor="here").value == 1


def test_a_worker_with_another_version_is_told_from_ours(toy, monkeypatch):
    from hmm_rs.sweeps import task

    whole = task.packed
    monkeypatch.setattr(
        "hmm_rs.sweeps.run.packed", lambda fn, at: task.Job(**{**vars(whole(fn, at)), "version": "0.0.9"})
    )
    with pytest.raises(hr.SweepError, match=r"has hmm_rs .*, this process has 0\.0\.9: must be the same"):
        hr.sweep(toy.line, {"x": [1]}, workers=1)


def test_a_worker_that_cannot_load_the_function_is_told(toy, monkeypatch):
    import sys

    monkeypatch.setattr(sys, "path", [place for place in sys.path if not place.endswith("modules")])
    with pytest.raises(hr.SweepError, match=r"cannot load toy_of_a_user:line .*must be installed there"):
        hr.sweep(toy.line, {"x": [1]}, workers=1)


# -- content hashes -------------------------------------------------------------------------------------


def made(source, **around):
    space = {"__name__": "somewhere", **around}
    exec(source, space)
    return function_digest(space["f"])


def test_the_hash_of_a_function_is_that_of_what_it_computes():
    plain = "def f(x):\n    return g(x) + N\ndef g(x):\n    return 2 * x\n"
    assert made(plain, N=1) == made("\n# a comment\n" + plain, N=1, unused=3)
    assert made(plain, N=1) != made(plain, N=2)
    assert made(plain, N=1) != made(plain.replace("2 * x", "3 * x"), N=1)
    assert made("def f(x, y=1): return x") != made("def f(x, y=2): return x")
    assert made(plain, N=np.arange(3)) != made(plain, N=np.arange(4))


def test_the_hash_of_a_function_knows_what_it_is_made_of():
    with_class = "class C:\n    def g(self, x):\n        return 2 * x\ndef f(x):\n    return C().g(x)\n"
    assert made(with_class) == made(with_class)
    assert made(with_class) != made(with_class.replace("2 * x", "3 * x"))
    # One that calls itself is read once, one inside it with it.
    recursive = "def f(x):\n    h = lambda y: y + 1\n    return x if x < 1 else f(h(x) - 2)\n"
    assert made(recursive) == made(recursive)
    assert made(recursive) != made(recursive.replace("y + 1", "y + 2"))

    def scaled(x, factor):
        return factor * x

    partials = [function_digest(functools.partial(scaled, factor=factor)) for factor in (1, 1, 2)]
    assert partials[0] == partials[1] != partials[2]
    models = [hr.HiddenManifold(10, 5, seed=seed) for seed in (1, 1, 2)]
    methods = [function_digest(model.sample) for model in models]
    assert methods[0] == methods[1] != methods[2]
    assert len({function_digest(f) for f in (np.sin, np.cos, math.sin, math.cos, int, float)}) == 6
    # A cell that is not filled yet has no content.
    late = made("def make():\n    def f(x):\n        return y\n    return f\n    y = 1\nf = make()\n")
    assert late == made("def make():\n    def f(x):\n        return y\n    return f\n    y = 1\nf = make()\n")


def test_the_hash_of_other_values_is_that_of_their_content():
    @dataclasses.dataclass
    class Point:
        x: float

    assert digest(Point(1.0)) == digest(Point(1.0))
    assert digest(Point(1.0)) != digest(Point(2.0))
    assert digest(np.random.SeedSequence(3)) == digest(np.random.SeedSequence(3))
    assert digest(np.random.SeedSequence(3)) != digest(np.random.SeedSequence(4))
    assert digest(range(3)) == digest(range(3)) != digest(range(4))
    with pytest.raises(
        hr.DtypeError, match=r"lock cannot be pickled .*: a value of a sweep must go to other processes"
    ):
        digest([threading.Lock()])


def test_the_hash_of_a_value_is_that_of_its_content():
    assert digest({"a": 1, "b": [0.1, "x"]}) == digest({"b": [np.float64(0.1), "x"], "a": np.int64(1)})
    assert digest(0.1) != digest(0.1 + 2**-56)
    assert digest(1) != digest(1.0)
    assert digest(np.zeros(2)) != digest(np.zeros((1, 2)))
    assert digest(hr.HiddenManifold(10, 5)) == digest(hr.HiddenManifold(10, 5))
    assert digest(hr.HiddenManifold(10, 5)) != digest(hr.HiddenManifold(10, 5, seed=1))


def test_hashes_are_the_same_in_every_process(toy):
    import subprocess
    import sys

    program = (
        f"import sys; sys.path[:] = {sys.path!r}\nimport toy_of_a_user as toy\n"
        "from hmm_rs.sweeps.fingerprint import digest, function_digest\n"
        "print(function_digest(toy.student), digest({'a': {1, 2, 'b'}, 'c': 0.1}))"
    )
    answer = subprocess.run(
        [sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert answer == [function_digest(toy.student), digest({"a": {1, 2, "b"}, "c": 0.1})]


# -- many points ----------------------------------------------------------------------------------------


def test_a_bar_shows_how_many_points_are_done(toy, capsys):
    hr.sweep(toy.line, {"x": range(5)}, executor="here", progress="always")
    assert "sweep: 100%" in (said := capsys.readouterr().err)
    assert "points=5/5" in said


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["processes", "loky"])
def test_200_points_over_rate_latent_dimension_and_seeds_are_the_serial_ones(toy, kind):
    grid = {"lr": [0.05, 0.1, 0.2, 0.3, 0.5], "D": [6, 12, 24, 60]}
    executor = None
    if kind == "loky":
        executor = pytest.importorskip("joblib.externals.loky").get_reusable_executor(max_workers=2)
    table = hr.sweep(toy.student, grid, seeds=10, at=AT, executor=executor)
    assert same(table, hr.sweep(toy.student, grid, seeds=10, at=AT, executor="here"))
