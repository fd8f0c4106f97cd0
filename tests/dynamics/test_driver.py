"""The protocol of long runs: save times, callbacks, Ctrl-C, checkpoints, resume, budget."""

import copy
import errno
import os
import pickle
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

import hmm_rs as hr
from hmm_rs.dynamics import checkpoint as checkpoints

SETUP = """
import sys, numpy as np, hmm_rs as hr
def make():
    model = hr.HiddenManifold(400, 40, f="erf", seed=1)
    return hr.OnlineSGD(model, hr.TwoLayer.random(2, 40, seed=2), student=hr.TwoLayer.random(3, 400, seed=3),
                        lr=0.3, noise=0.1, train_second_layer=True, test_size=500, seed=4)
TIMES = [0.0, 0.1, 1.0, 5.0, 20.0, 60.0, 150.0]
"""
namespace = {}
exec(SETUP, namespace)
make, TIMES = namespace["make"], namespace["TIMES"]


def assert_same(a, b):
    for name in a.data_vars:
        assert a[name].values.tobytes() == b[name].values.tobytes(), name
    assert a.t.values.tobytes() == b.t.values.tobytes()


@pytest.fixture(scope="module")
def uninterrupted():
    return make().run(150.0, save_at=TIMES)


def test_schema_of_the_result(uninterrupted, tmp_path):
    result = uninterrupted
    assert result.eg.dims == ("t",)
    assert result.Q.dims == ("t", "k", "k2")
    assert result.R.dims == ("t", "k", "m")
    assert result.v.dims == ("t", "k")
    assert result.attrs["source"] == "simulation"
    assert all(isinstance(v, (str, int, float)) for v in result.attrs.values())
    np.testing.assert_allclose(result.t, TIMES, atol=1 / 400)
    result.to_netcdf(tmp_path / "r.nc", engine="h5netcdf")
    assert "hidden manifold" in hr.cite(result)


def test_default_save_times_and_continued_runs():
    sim = make()
    first = sim.run(2.0)
    assert first.t[0] == 0
    assert first.t[-1] == 2.0
    second = sim.run(3.0)
    assert second.t[0] == 2.0
    assert second.t[-1] == 3.0


@pytest.mark.parametrize(
    "options",
    [
        {"t_max": -1.0},
        {"t_max": np.nan},
        {"t_max": 1.0, "save_at": []},
        {"t_max": 1.0, "save_at": [0.5, 0.1]},
        {"t_max": 1.0, "save_at": [2.0]},
        {"t_max": 1.0, "save_at": [np.nan]},
        {"t_max": 1.0, "threads": 0},
        {"t_max": 1.0, "max_seconds": -1},
        {"t_max": 1.0, "checkpoint": "/nowhere/at/all/run.npz"},
        {"t_max": 1.0, "callbacks": 3},
    ],
    ids=repr,
)
def test_bad_run_arguments_give_the_documented_error(options):
    with pytest.raises(hr.HmmError):
        make().run(**options)


def test_callbacks_see_measurements_and_can_stop():
    seen = []

    def watch(driver, observation):
        seen.append((driver.t, observation["eg"]))
        if observation["t"] >= 1.0:
            raise hr.StopRun

    result = make().run(150.0, save_at=TIMES, callbacks=[watch])
    assert result.attrs["stopped"] == "callback"
    assert len(result.t) == len(seen) == 3
    assert [e for _, e in seen] == list(result.eg.values)


def test_time_budget_ends_a_run_normally(tmp_path, uninterrupted):
    path = tmp_path / "run.npz"
    result = make().run(150.0, save_at=TIMES, max_seconds=0.0, checkpoint=path)
    assert result.attrs["stopped"] == "max_seconds"
    assert_same(hr.resume(path), uninterrupted)


def test_resume_of_a_finished_run_returns_its_result(tmp_path, uninterrupted):
    path = tmp_path / "run.npz"
    whole = make().run(150.0, save_at=TIMES, checkpoint=path, checkpoint_every=0.0)
    again = hr.resume(path, threads=1)
    assert_same(again, uninterrupted)
    assert again.attrs["wall_time"] == pytest.approx(whole.attrs["wall_time"], abs=0.1)


def test_ctrl_c_in_a_script_saves_and_raises(tmp_path, uninterrupted):
    path = tmp_path / "run.npz"
    script = SETUP + textwrap.dedent(f"""
        import os, signal, threading
        def soon(driver, seen):
            if seen["t"] == 0.0:
                threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        try:
            make().run(
                1e6, save_at=[*TIMES, 1e6], checkpoint={str(path)!r}, checkpoint_every=1e9, callbacks=[soon]
            )
        except KeyboardInterrupt:
            sys.exit(77)
    """)
    started = time.monotonic()
    code = subprocess.run([sys.executable, "-P", "-c", script], env=os.environ, check=False).returncode
    assert code == 77
    assert time.monotonic() - started < 60
    header, arrays = checkpoints.read(path)
    assert not header["finished"]
    saved = arrays["record:eg"]
    assert saved.tobytes() == uninterrupted.eg.values[: len(saved)].tobytes()


def test_ctrl_c_at_a_prompt_returns_the_partial_result(monkeypatch):
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)

    def interrupt(driver, observation):
        if observation["t"] >= 1.0:
            raise KeyboardInterrupt

    result = make().run(150.0, save_at=TIMES, callbacks=[interrupt])
    assert result.attrs["interrupted"] == 1
    assert len(result.t) == 3


def test_a_cell_that_runs_twice_is_told_why_one_row_comes_back():
    sim = make()
    assert len(sim.run(1.0, save_at=[0.0, 0.5, 1.0]).t) == 3
    with pytest.warns(RuntimeWarning, match=r"is at t = 1 already.*pass a later end, or make a new engine"):
        assert len(sim.run(1.0).t) == 1
    assert float(sim.run(1.5).t[-1]) == 1.5


def test_signals_are_seen_inside_a_long_call():
    script = SETUP + textwrap.dedent("""
        import os, signal, threading, time
        sim = make()
        threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        try:
            sim.advance(10**11)
        except KeyboardInterrupt:
            before = sim.step
            sim.advance(1)
            sys.exit(77 if sim.step == before + 1 else 1)
    """)
    assert (
        subprocess.run(
            [sys.executable, "-P", "-c", script], env=os.environ, timeout=60, check=False
        ).returncode
        == 77
    )


def test_forked_children_can_work():
    script = SETUP + textwrap.dedent("""
        import os
        sim = make(); sim.advance(2000)
        expected = make(); expected.advance(4000)
        child = os.fork()
        sim.advance(2000)
        same = (sim.student.w == expected.student.w).all()
        if child == 0:
            os._exit(0 if same else 1)
        status = os.waitpid(child, 0)[1]
        sys.exit(0 if same and status == 0 else 1)
    """)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-P", "-c", script], env=os.environ, timeout=60, check=False
    )
    assert done.returncode == 0


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs Linux's /proc")
def test_memory_of_the_published_size_stays_small():
    # N = 10,000, D = 100: F takes 8 MB, the interpreter with numpy and xarray about 130 MB.
    script = textwrap.dedent("""
        import hmm_rs as hr
        model = hr.HiddenManifold(10_000, 100)
        sim = hr.OnlineSGD(model, hr.TwoLayer.random(2, 100), student=hr.TwoLayer.random(2, 10_000), lr=0.2)
        sim.run(0.2, save_at=[0.0, 0.2], threads=2)
        # Not getrusage: its maximum is inherited from the process that started this one.
        status = dict(line.split(":", 1) for line in open("/proc/self/status"))
        print(int(status["VmHWM"].split()[0]) / 1024)
    """)
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 300, f"{done.stdout} MiB"


def test_import_is_quick_and_lazy():
    script = (
        "import sys, hmm_rs; heavy = {'xarray', 'matplotlib', 'sklearn', 'pandas', 'torch', 'jax'} & set(sys.modules);"
        "sys.exit(repr(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def flow():
    X, y = hr.Stripe(3).sample(40, seed=1)
    network = hr.MeanFieldNetwork.random(30, 3, std_b=1.0, activation="sqrt2_relu", seed=1)
    return hr.GradientFlow(network, X, y)


def particles(**options):
    X, y = hr.LinearlySeparable(8).sample(30, seed=1)
    return hr.Particles(hr.MeanFieldNetwork.random(40, 8, seed=1), X, y, **options)


def fresh_particles():
    network = hr.MeanFieldNetwork.random(40, 8, seed=1)
    return hr.Particles(network, data=hr.LinearlySeparable(8), batch=50, test_size=50)


def kernel_flow():
    X, y = hr.Stripe(3).sample(40, seed=1)
    return hr.KernelFlow(hr.kernels.ntk(X), y, loss="softhinge")


ENDS = {
    "max_steps": (flow, {"max_steps": 20}),
    "fraction": (flow, {"stop_frac": 0.1}),
    "t_max": (kernel_flow, {"t_max": 0.1}),
    "satisfied": (particles, {"steps": 10**5}),
    "": (make, {"t_max": 1.0}),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_resumed_run_says_why_it_ended(tmp_path, end):
    start, run = ENDS[end]
    whole = start().run(**run, checkpoint=tmp_path / "finished")
    assert whole.attrs["stopped"] == end
    again = hr.resume(tmp_path / "finished")
    assert again.attrs["stopped"] == end
    assert_same(again, whole)
    # Stopped in the callback of its last measurement, too.
    rows = 0

    def stop(driver, seen):
        nonlocal rows
        rows += 1
        if rows == whole.sizes["t"]:
            raise hr.StopRun

    assert (
        start().run(**run, checkpoint=tmp_path / "stopped", callbacks=[stop]).attrs["stopped"] == "callback"
    )
    again = hr.resume(tmp_path / "stopped")
    assert again.attrs["stopped"] == end
    assert_same(again, whole)


# -- runs that are extended ------------------------------------------------------------------------


EXTENSIONS = {
    "OnlineSGD": (
        make,
        [{"t_max": 2.0, "save_at": [0, 1, 2]}, {"t_max": 5.0, "save_at": [2, 4, 5]}],
        {"t_max": 5.0, "save_at": [0, 1, 2, 4, 5]},
    ),
    "Particles": (
        fresh_particles,
        [{"steps": 6, "dt": 0.1, "save_at": [0, 3, 6]}, {"steps": 17, "dt": 0.1, "save_at": [6, 17]}],
        {"steps": 17, "dt": 0.1, "save_at": [0, 3, 6, 17]},
    ),
    "GradientFlow": (
        flow,
        [{"max_steps": 20, "save_steps": [0, 20]}, {"max_steps": 50, "save_steps": [30, 50]}],
        {"max_steps": 50, "save_steps": [0, 20, 30, 50]},
    ),
    "KernelFlow": (
        kernel_flow,
        [{"max_steps": 20, "save_steps": [0, 20]}, {"max_steps": 50, "save_steps": [30, 50]}],
        {"max_steps": 50, "save_steps": [0, 20, 30, 50]},
    ),
}


@pytest.mark.parametrize("engine", EXTENSIONS)
def test_a_finished_run_is_extended_from_its_file(tmp_path, engine):
    start, (first, second), whole = EXTENSIONS[engine]
    path = tmp_path / "run.npz"
    short = start().run(**first, checkpoint=path)
    driver = hr.load(path)
    assert driver.t == short.t.values[-1]
    longer = driver.run(**second, checkpoint=path)
    assert_same(longer, start().run(**whole))
    assert_same(hr.resume(path), longer)
    assert_same(driver.result, longer)
    # Extended once more, from a copy of the loaded driver too.
    for twin in (hr.load(path), copy.deepcopy(driver), pickle.loads(pickle.dumps(driver))):
        key = next(key for key in ("t_max", "steps", "max_steps") if key in second)
        axis = "save_steps" if key == "max_steps" else "save_at"
        end = second[key] + 10
        options = {name: value for name, value in second.items() if name not in (key, axis)}
        more = twin.run(**options, **{key: end, axis: [end]})
        assert more.sizes["t"] == longer.sizes["t"] + 1
        assert more.isel(t=slice(-1)).drop_attrs().equals(longer.drop_attrs())


def test_an_unfinished_run_ends_otherwise_when_it_is_loaded(tmp_path, uninterrupted):
    path = tmp_path / "run.npz"
    make().run(150.0, save_at=TIMES, max_seconds=0.0, checkpoint=path)
    driver = hr.load(path)
    result = driver.run(5.0, save_at=[driver.t, 5.0])
    assert result.t.values[-1] == 5.0
    assert result.eg.values[-1] == uninterrupted.eg.sel(t=5.0)


def test_a_fresh_driver_returns_what_this_call_measured():
    sim = make()
    sim.run(1.0, save_at=[0, 1])
    assert sim.run(2.0, save_at=[1, 2]).t.values.tolist() == [1, 2]


# -- callbacks -----------------------------------------------------------------------------------


class MishapError(Exception):
    pass


@pytest.mark.parametrize(
    "failure", [MishapError("x"), SystemExit(3), MemoryError(), hr.DivergenceError("no"), KeyError(1)]
)
def test_an_error_in_a_callback_leaves_checkpoint_and_result(tmp_path, uninterrupted, failure):
    path = tmp_path / "run.npz"
    sim = make()

    def fail(driver, seen):
        if seen["t"] > 1.0:
            raise failure

    with pytest.raises(type(failure)) as caught:
        sim.run(150.0, save_at=TIMES, checkpoint=path, callbacks=[fail])
    assert caught.value is failure
    assert "resume(" in caught.value.__notes__[-1]
    assert ".result of the driver" in caught.value.__notes__[-1]
    assert sim.result.sizes["t"] == 4
    assert sim.result.attrs["stopped"] == "error"
    assert_same(hr.resume(path), uninterrupted)
    # Without a checkpoint the result is kept as well, and the driver goes on.
    sim = make()
    with pytest.raises(type(failure)):
        sim.run(150.0, save_at=TIMES, callbacks=[fail])
    assert sim.result.sizes["t"] == 4
    assert sim.run(6.0, save_at=[6.0]).sizes["t"] == 1


def test_an_error_of_the_engine_keeps_the_last_good_checkpoint(tmp_path):
    calls = []

    def f(u):
        calls.append(0)
        if len(calls) > limit:
            raise MishapError
        return np.tanh(u)

    limit = 10**9
    path = tmp_path / "run.npz"
    model = hr.HiddenManifold(100, 10, f=f)
    sim = hr.OnlineSGD(
        model, hr.TwoLayer.random(1, 10), student=hr.TwoLayer.random(1, 100, seed=1), lr=0.1, test_size=50
    )

    def soon(driver, seen):
        nonlocal limit
        if seen["t"] >= 2.0:
            limit = len(calls)

    with pytest.raises(MishapError):
        sim.run(1000.0, save_at=[0, 1, 2, 1000], checkpoint=path, checkpoint_every=0.0, callbacks=[soon])
    assert sim.result.t.values.tolist() == [0, 1, 2]
    limit = 10**9
    assert hr.load(path, functions={"f": f}).t <= 2.0 + 1000.0
    assert len(checkpoints.read(path)[1]["record:t"]) == 3


def test_what_callbacks_do_to_an_observation_is_not_recorded(tmp_path, uninterrupted):
    seen_later = []

    def spoil(driver, seen):
        seen["eg"] = "spoilt"
        seen["Q"][:] = np.nan
        seen["more"] = {"a": object()}
        del seen["v"]
        seen["t"] = None

    def later(driver, seen):
        seen_later.append(seen["eg"])

    path = tmp_path / "run.npz"
    result = make().run(150.0, save_at=TIMES, callbacks=[spoil, later], checkpoint=path, checkpoint_every=0.0)
    assert_same(result, uninterrupted)
    assert_same(hr.resume(path), uninterrupted)
    assert seen_later == uninterrupted.eg.values.tolist()


def test_callbacks_may_come_from_a_generator():
    seen = []
    make().run(1.0, save_at=[0, 1], callbacks=(f for f in [lambda driver, o: seen.append(o["t"])]))
    assert seen == [0, 1]


# -- places --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "place",
    [
        "",
        "a\0b",
        "x" * 300,
        "folder",
        "no/such/folder/run.npz",
        "/proc/run.npz",
        "/dev/null",
        "\ud800",
        "x/" * 3000,
    ],
    ids=lambda place: repr(place)[:20],
)
def test_places_where_nothing_can_be_saved_are_refused_before_the_first_step(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    sim = make()
    with pytest.raises(hr.InvalidParameterError, match="checkpoint = ") as caught:
        sim.run(1.0, checkpoint=place)
    str(caught.value).encode()
    assert sim.step == 0
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("place", [3, b"run.npz", ["run.npz"], True])
def test_what_is_no_path_is_refused(place):
    with pytest.raises(hr.DtypeError, match="checkpoint = "):
        make().run(1.0, checkpoint=place)


def test_names_as_long_as_the_file_system_allows_can_be_used(tmp_path):
    path = tmp_path / ("x" * 255)
    make().run(1.0, checkpoint=path)
    assert hr.load(path).t == 1.0
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_followed_and_a_changed_folder_does_not_matter(tmp_path, monkeypatch):
    (tmp_path / "far").mkdir()
    (tmp_path / "link.npz").symlink_to(tmp_path / "far" / "run.npz")
    monkeypatch.chdir(tmp_path)
    make().run(1.0, save_at=[0, 1], checkpoint="link.npz", callbacks=[lambda *_: os.chdir("/")])
    assert (tmp_path / "link.npz").is_symlink()
    assert hr.load(tmp_path / "far" / "run.npz").t == 1.0


def test_a_file_that_is_not_of_this_run_is_not_written_over(tmp_path):
    thesis = tmp_path / "thesis.txt"
    thesis.write_text("years of work")
    with pytest.raises(hr.InvalidParameterError, match=r"thesis.*is there already.*overwrite=True"):
        make().run(1.0, checkpoint=thesis)
    assert thesis.read_text() == "years of work"
    path = tmp_path / "run.npz"
    particles().run(3, checkpoint=path)
    kept = path.read_bytes()
    for other in (make(), particles(alpha=2.0), particles(seed=7), fresh_particles()):
        with pytest.raises(hr.InvalidParameterError, match="another run"):
            other.run(5.0 if isinstance(other, hr.OnlineSGD) else 5, checkpoint=path)
        assert other.step == 0
    assert path.read_bytes() == kept
    path.write_bytes(kept[:-10])
    with pytest.raises(hr.InvalidParameterError, match="no whole checkpoint"):
        particles().run(3, checkpoint=path)
    # The same run may, and any run that is told to.
    make().run(1.0, checkpoint=path, overwrite=True)
    make().run(1.0, checkpoint=path)
    assert hr.load(path).t == 1.0
    with pytest.raises(hr.DtypeError, match="overwrite"):
        particles().run(3, checkpoint=path, overwrite="False")


def test_a_save_that_fails_later_warns_and_the_run_goes_on(tmp_path, uninterrupted):
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / "run.npz"
    kept = []

    def pull(driver, seen):
        if seen["t"] == 5.0:
            kept.append(path.read_bytes())
            shutil.rmtree(folder)

    with pytest.warns(hr.errors.CheckpointWarning, match="could not be written.*goes on") as told:
        result = make().run(
            150.0, save_at=TIMES, checkpoint=path, checkpoint_every=0.0, callbacks=[pull], max_seconds=100
        )
    assert len(told) >= 2
    assert_same(result, uninterrupted)
    (tmp_path / "last").write_bytes(kept[0])
    assert_same(hr.resume(tmp_path / "last"), uninterrupted)


def test_a_full_disk_costs_neither_run_nor_last_checkpoint(tmp_path, uninterrupted, monkeypatch):
    path = tmp_path / "run.npz"
    write, calls = checkpoints._write_archive, []

    def full(file, arrays):
        calls.append(0)
        if len(calls) > 3:
            file.write(b"half of it")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(file, arrays)

    monkeypatch.setattr(checkpoints, "_write_archive", full)
    with pytest.warns(hr.errors.CheckpointWarning, match="No space left on device.*last good one is kept"):
        result = make().run(150.0, save_at=TIMES, checkpoint=path, checkpoint_every=0.0)
    monkeypatch.undo()
    assert_same(result, uninterrupted)
    assert_same(hr.resume(path), uninterrupted)
    assert list(tmp_path.iterdir()) == [path]


def test_runs_that_share_a_path_do_not_mix(tmp_path):
    path = tmp_path / "run.npz"
    errors, results = [], {}

    def work(seed):
        try:
            sim = particles(seed=seed)
            results[seed] = sim.run(40, checkpoint=path, checkpoint_every=0.0, overwrite=True)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert_same(hr.resume(path), results[hr.load(path)._arguments["seed"]])
    assert list(tmp_path.iterdir()) == [path]


def test_leftovers_of_the_dead_are_removed_and_those_of_the_living_are_not(tmp_path):
    path = tmp_path / "run.npz"
    family = checkpoints._family(path)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    stale = [
        tmp_path / f"{family}-{dead.pid}-0123abcd-1-00000000.tmp",
        tmp_path / f"{family}-{os.getpid()}-0123abcd-1-00000000.tmp",
        tmp_path / f"{family}-{10**30}-0123abcd-1-00000000.tmp",
    ]
    others = [
        tmp_path / f"{family}-{os.getppid()}-0123abcd-1-00000000.tmp",
        tmp_path / f"{family}-{os.getpid()}-{checkpoints._PROCESS}-1-00000000.tmp",
        tmp_path / f"{family}-nonsense.tmp",
        tmp_path / f"{checkpoints._family(tmp_path / 'other.npz')}-{dead.pid}-0123abcd-1-00000000.tmp",
        tmp_path / "mine.tmp",
    ]
    for file in (*stale, *others):
        file.write_bytes(b"x")
    make().run(1.0, checkpoint=path)
    assert sorted(tmp_path.iterdir()) == sorted([path, *others])


# -- SIGTERM -------------------------------------------------------------------------------------


def terminated(script, code):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-P", "-c", SETUP + textwrap.dedent(script)],
        env=os.environ,
        timeout=60,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stderr
    return done


LATER = """
import os, signal, threading
def soon(driver, seen):
    if seen["t"] >= 1.0:
        os.kill(os.getpid(), signal.SIGTERM)
"""


def test_sigterm_saves_and_leaves_with_its_own_code(tmp_path, uninterrupted):
    path = tmp_path / "run.npz"
    done = terminated(
        f"""
        import os, signal, threading
        def soon(driver, seen):
            if seen["t"] == 0.0:
                threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGTERM)).start()
        make().run(
            1e6, save_at=[*TIMES, 1e6], checkpoint={str(path)!r}, checkpoint_every=1e9, callbacks=[soon]
        )
        """,
        85,
    )
    assert done.stderr == ""
    header, arrays = checkpoints.read(path)
    assert not header["finished"]
    saved = arrays["record:eg"]
    assert saved.tobytes() == uninterrupted.eg.values[: len(saved)].tobytes()


def test_sigterm_in_a_callback_that_swallows_everything_still_ends_the_run(tmp_path, uninterrupted):
    path = tmp_path / "run.npz"
    terminated(
        LATER
        + f"""
def swallow(driver, seen):
    try:
        soon(driver, seen)
    except BaseException:
        pass
make().run(150.0, save_at=TIMES, checkpoint={str(path)!r}, callbacks=[swallow])
""",
        85,
    )
    assert_same(hr.resume(path), uninterrupted)


def test_sigterm_is_caught_only_where_a_run_can_be_saved_and_nobody_else_cares(tmp_path):
    path = tmp_path / "run.npz"
    # Without a checkpoint the process ends as it always did.
    terminated(LATER + "make().run(150.0, save_at=TIMES, callbacks=[soon])", -signal.SIGTERM)
    # A program that handles SIGTERM itself keeps its handler, and may stop the run by it.
    terminated(
        LATER
        + f"""
sim = make()
def mine(*_):
    sim.stop()
signal.signal(signal.SIGTERM, mine)
run = sim.run(150.0, save_at=TIMES, checkpoint={str(path)!r}, callbacks=[soon])
sys.exit(77 if run.attrs["stopped"] == "stop" and signal.getsignal(signal.SIGTERM) is mine else 1)
""",
        77,
    )
    # The default is back after a run, whatever its end.
    terminated(
        f"""
        import signal
        def fail(*_):
            raise ValueError
        for callbacks in ([], [fail]):
            try:
                make().run(1.0, checkpoint={str(path)!r}, callbacks=callbacks)
            except ValueError:
                pass
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        # In another thread no handler can be set.
        import threading
        thread = threading.Thread(target=lambda: make().run(1.0, checkpoint={str(path)!r}))
        thread.start()
        thread.join()
        sys.exit(77)
        """,
        77,
    )
