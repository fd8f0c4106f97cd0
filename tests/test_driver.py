"""The protocol of long runs: save times, callbacks, Ctrl-C, checkpoints, resume, budget."""

import os
import signal
import subprocess
import sys
import textwrap
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
    make().run(150.0, save_at=TIMES, checkpoint=path, checkpoint_every=0.0)
    assert_same(hr.resume(path, threads=1), uninterrupted)


@pytest.mark.parametrize("threads", [1, 3])
def test_killed_and_resumed_equals_never_stopped(tmp_path, uninterrupted, threads):
    path = tmp_path / "run.npz"
    script = (
        SETUP + f"make().run(150.0, save_at=TIMES, checkpoint={str(path)!r}, checkpoint_every=0.0, threads=2)"
    )
    process = subprocess.Popen([sys.executable, "-P", "-c", script], env=os.environ)
    # Kill in the middle: as soon as a checkpoint with some progress is there.
    while process.poll() is None:
        if path.exists() and len(checkpoints.read(path)[1]["record:t"]) >= 3:
            process.kill()
        time.sleep(0.002)
    process.wait()
    assert process.returncode == -signal.SIGKILL
    assert_same(hr.resume(path, threads=threads), uninterrupted)


def test_ctrl_c_in_a_script_saves_and_raises(tmp_path, uninterrupted):
    path = tmp_path / "run.npz"
    script = SETUP + textwrap.dedent(f"""
        import os, signal, threading
        threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        try:
            make().run(1e6, save_at=[*TIMES, 1e6], checkpoint={str(path)!r}, checkpoint_every=1e9)
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


def test_signals_are_seen_inside_a_long_call():
    script = SETUP + textwrap.dedent("""
        import os, signal, threading, time
        sim = make()
        threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        try:
            sim.advance(10**12)
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


@pytest.mark.parametrize("damage", ["truncate", "flip", "foreign", "text", "missing", "format"])
def test_damaged_or_foreign_checkpoints_are_refused(tmp_path, damage):
    path = tmp_path / "run.npz"
    make().run(1.0, save_at=[0.0, 1.0], checkpoint=path)
    data = path.read_bytes()
    if damage == "truncate":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "flip":
        middle = data.index(b"state:w") + 400
        path.write_bytes(data[:middle] + bytes([data[middle] ^ 255]) + data[middle + 1 :])
    elif damage == "foreign":
        np.savez(path, x=np.ones(3))
    elif damage == "text":
        path.write_text("hello")
    elif damage == "missing":
        path.unlink()
    else:
        header, arrays = checkpoints.read(path)
        monkey = checkpoints.FORMAT
        checkpoints.FORMAT = 999
        try:
            checkpoints.write(path, {k: v for k, v in header.items() if k not in ("magic", "format")}, arrays)
        finally:
            checkpoints.FORMAT = monkey
    with pytest.raises(hr.InvalidParameterError, match="path = "):
        hr.resume(path)


def square(u):
    return u * u - 1.0


def test_checkpoints_hold_arrays_functions_and_nested_models(tmp_path):
    path = tmp_path / "run.npz"
    F = np.random.default_rng(0).standard_normal((30, 6))
    for model in [
        hr.HiddenManifold(30, 6, F=F),
        hr.GaussianEquivalent(hr.HiddenManifold(30, 6, F=F)),
        hr.HiddenManifold(30, 6, f=np.sin, seed=(1, 2)),
        hr.TeacherStudent(30),
    ]:

        def fresh(model=model):
            return hr.OnlineSGD(
                model,
                hr.TwoLayer.random(1, model.D),
                student=hr.TwoLayer.random(1, 30, seed=1),
                lr=0.1,
                test_size=50,
            )

        whole = fresh().run(4.0, save_at=[0, 2, 4])
        fresh().run(4.0, save_at=[0, 2, 4], max_seconds=0, checkpoint=path)
        assert_same(hr.resume(path, functions={"sin": np.sin}), whole)


def test_functions_are_asked_for(tmp_path):
    path = tmp_path / "run.npz"
    f = lambda u: np.tanh(2 * u)  # noqa: E731
    model = hr.HiddenManifold(30, 6, f=f)
    student = hr.TwoLayer.random(1, 30, seed=1)
    sim = hr.OnlineSGD(model, hr.TwoLayer.random(1, 6), student=student, lr=0.1, test_size=50)
    sim.run(4.0, save_at=[0, 2, 4], max_seconds=0, checkpoint=path)
    with pytest.raises(hr.InvalidParameterError, match="functions="):
        hr.resume(path)
    assert hr.resume(path, functions={"<lambda>": f}).t[-1] == 4.0


@pytest.mark.parametrize(
    "planted",
    [
        {
            "__object__": "hmm_rs.ground.description:_rebuild",
            "arguments": {
                "cls": {"__function__": "subprocess:Popen"},
                "arguments": {"__dict__": {"args": {"__tuple__": ["touch", "planted"]}}},
            },
        },
        {"__function__": "planted:run"},
        {"__function__": "builtins:exec"},
        {"__object__": "hmm_rs._lib:Engine", "arguments": {}},
        {"__object__": "../data:HiddenManifold", "arguments": {"N": 1, "D": 1}},
        {"__object__": ["HiddenManifold"], "arguments": {}},
    ],
)
def test_a_checkpoint_is_data_and_never_code(tmp_path, monkeypatch, planted):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "planted.py").write_text("open('planted', 'w').close()\ndef run(u): return u\n")
    path = tmp_path / "run.npz"
    make().run(1.0, save_at=[0.0, 1.0], checkpoint=path)
    header, arrays = checkpoints.read(path)
    for argument in ("model", "seed"):
        header["arguments"][argument] = planted
        kept = {
            key: value for key, value in header.items() if key not in ("magic", "format", "hmm_rs_version")
        }
        checkpoints.write(path, kept, arrays)
        with pytest.raises(hr.InvalidParameterError, match="checkpoint"):
            hr.resume(path)
        assert not (tmp_path / "planted").exists()


def test_progress_bar_counts_physical_time(capsys):
    make().run(2.0, save_at=[0.0, 1.0, 2.0], progress=True)
    shown = capsys.readouterr().err
    assert "t=2/2" in shown
    assert "eg=" in shown
    assert capsys.readouterr().out == ""


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


def test_thread_count_from_the_environment():
    for value, code in [("3", 0), ("zero", 1)]:
        done = subprocess.run(
            [sys.executable, "-P", "-c", "import hmm_rs, sys; sys.exit(hmm_rs.get_num_threads() != 3)"],
            env=os.environ | {"HMM_RS_NUM_THREADS": value},
            capture_output=True,
            check=False,
        )
        assert done.returncode == code
