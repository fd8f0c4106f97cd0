"""The options of every run: one place, one meaning, shown by help."""

import inspect
import io
import os
import subprocess
import sys

import pytest

import hmm_rs as hr
from hmm_rs.dynamics import options
from hmm_rs.dynamics.resuming import engines

SIX = ["progress", "checkpoint", "checkpoint_every", "callbacks", "threads", "max_seconds"]


def make(**more):
    model = hr.HiddenManifold(30, 6, seed=1)
    return hr.OnlineSGD(
        model,
        hr.TwoLayer.random(2, 6),
        student=hr.TwoLayer.random(2, 30, seed=3),
        lr=0.2,
        test_size=50,
        **more,
    )


@pytest.mark.parametrize("engine", engines().values())
def test_every_run_takes_and_explains_every_option(engine):
    parameters = inspect.signature(engine.run).parameters
    assert set(SIX) | {"overwrite"} <= set(parameters)
    for name, default in options.DEFAULTS.items():
        assert parameters[name].kind is inspect.Parameter.KEYWORD_ONLY
        assert parameters[name].default == default
        assert f"\n{name}\n    " in engine.run.__doc__
    assert "**options" not in engine.run.__doc__
    assert "Unpack" not in str(inspect.signature(engine.run))


def test_resume_takes_those_that_make_sense_for_it():
    parameters = inspect.signature(hr.resume).parameters
    assert list(parameters) == [
        "path",
        "functions",
        "modules",
        "executor",
        *(n for n in options.DEFAULTS if n in SIX and n != "checkpoint"),
    ]
    assert parameters["checkpoint_every"].default is None
    for name in SIX:
        assert (f"\n{name}\n    " in hr.resume.__doc__) == (name != "checkpoint")


@pytest.mark.parametrize(
    ("given", "error", "match"),
    [
        ({"progress": "False"}, hr.InvalidParameterError, "progress"),
        ({"progress": 2}, hr.DtypeError, "progress"),
        ({"overwrite": "no"}, hr.DtypeError, "overwrite"),
        ({"checkpoint_every": -1}, hr.InvalidParameterError, "checkpoint_every"),
        ({"checkpoint_every": "60"}, hr.DtypeError, "checkpoint_every"),
        ({"callbacks": print}, hr.DtypeError, r"callbacks.*pass \[function\]"),
        ({"callbacks": [print, 3]}, hr.DtypeError, "callbacks"),
        ({"callbacks": "print"}, hr.DtypeError, "callbacks"),
        ({"threads": 0}, hr.InvalidParameterError, "threads"),
        ({"threads": 2**63}, hr.InvalidParameterError, "threads"),
        ({"threads": 5000}, hr.InvalidParameterError, "threads"),
        ({"threads": object()}, hr.DtypeError, "threads"),
        ({"max_seconds": "1"}, hr.DtypeError, "max_seconds"),
        ({"max_seconds": float("nan")}, hr.InvalidParameterError, "max_seconds"),
        ({"max_seconds": 10**400}, hr.InvalidParameterError, "max_seconds"),
        ({"checkpiont": "run.npz"}, hr.DtypeError, "checkpiont.*did you mean checkpoint"),
        ({"seed": 3}, hr.DtypeError, "seed: there is no such option"),
    ],
    ids=str,
)
def test_options_are_checked_before_the_first_step(given, error, match):
    sim = make()
    with pytest.raises(error, match=match):
        sim.run(1.0, **given)
    assert sim.step == 0
    with pytest.raises(TypeError if error is hr.DtypeError else ValueError):
        sim.run(1.0, **given)
    assert sim.run(1.0, save_at=[1]).sizes["t"] == 1


def test_options_of_resume_are_checked_too(tmp_path):
    path = tmp_path / "run.npz"
    make().run(1.0, checkpoint=path, max_seconds=0)
    for given in ({"checkpoint": path}, {"overwrite": True}, {"thread": 1}):
        with pytest.raises(hr.DtypeError, match="no such option"):
            hr.resume(path, **given)
    for given in ({"threads": 2**40}, {"callbacks": [3]}, {"progress": "yes"}, {"max_seconds": -1}):
        with pytest.raises(hr.HmmError, match=next(iter(given))):
            hr.resume(path, **given)
    assert hr.resume(path, checkpoint_every=None).t[-1] == 1.0


@pytest.mark.parametrize("flag", ["train_second_layer", "classify"])
@pytest.mark.parametrize("value", ["False", "", 2, None])
def test_flags_of_drivers_are_flags(flag, value):
    with pytest.raises(hr.DtypeError, match=flag):
        make(**{flag: value})


def test_flags_of_other_drivers_are_flags():
    network = hr.MeanFieldNetwork.random(10, 3)
    with pytest.raises(hr.DtypeError, match="subtract_init"):
        hr.Particles(network, data=hr.LinearlySeparable(3), subtract_init="False")
    X, y = hr.Stripe(3).sample(10)
    biased = hr.MeanFieldNetwork.random(10, 3, std_b=1.0, activation="sqrt2_relu")
    with pytest.raises(hr.DtypeError, match="subtract_f0"):
        hr.GradientFlow(biased, X, y, subtract_f0="False")


def every_call_with_threads():
    X, y = hr.Stripe(3).sample(10, seed=1)
    biased = hr.MeanFieldNetwork.random(10, 3, std_b=1.0, activation="sqrt2_relu")
    flow = hr.GradientFlow(biased, X, y, X_test=X, y_test=y)
    particles = hr.Particles(
        hr.MeanFieldNetwork.random(10, 3), data=hr.LinearlySeparable(3), batch=5, test_size=5
    )
    for driver in (make(), particles, flow):
        yield lambda threads, driver=driver: driver.advance(1, threads=threads)
        yield lambda threads, driver=driver: driver.observe(threads=threads)
    yield lambda threads: make().memory_estimate(threads=threads)
    yield lambda threads: flow.test_predictions(threads=threads)
    yield lambda threads: flow.run(max_steps=2, threads=threads)
    yield lambda threads: hr.GradientFlow(biased, X, y, threads=threads)
    yield lambda threads: hr.KernelFlow(hr.kernels.ntk(X), y, threads=threads)
    yield lambda threads: hr.FullBatch(X, y, loss="ridge", lam=0.1).fit(threads=threads)


@pytest.mark.parametrize("threads", [2**63, 5000, 0, "2", object()], ids=repr)
def test_threads_of_drivers_are_bounded(threads):
    for call in every_call_with_threads():
        with pytest.raises(hr.HmmError, match="threads = "):
            call(threads)
        call(2)


# -- the bar -------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_bar_is_silent_where_nobody_sees_it(capsys):
    make().run(2.0, save_at=[0.0, 1.0, 2.0], progress=True)
    assert capsys.readouterr() == ("", "")


def test_the_bar_counts_physical_time_and_says_how_much_is_left(capsys, monkeypatch):
    make().run(2.0, save_at=[0.0, 1.0, 2.0], progress="always")
    shown = capsys.readouterr()
    assert "t=2/2" in shown.err
    assert "eg=" in shown.err
    # Elapsed and left.
    assert "<00:00" in shown.err
    assert shown.out == ""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    make().run(2.0, save_at=[0.0, 1.0, 2.0], progress=True)
    assert "t=2/2" in terminal.getvalue()


def test_the_bar_of_a_flow_counts_what_its_run_counts(capsys):
    X, y = hr.Stripe(3).sample(40, seed=1)
    network = hr.MeanFieldNetwork.random(30, 3, std_b=1.0, activation="sqrt2_relu", seed=1)
    hr.GradientFlow(network, X, y).run(max_steps=20, progress="always")
    assert "step=20/20" in capsys.readouterr().err
    hr.GradientFlow(network, X, y).run(save_at=[0.0, 0.1], progress="always")
    assert "t=0.1/0.1" in capsys.readouterr().err


def test_a_closed_standard_error_is_nobody_either(monkeypatch):
    for gone in (None, io.StringIO()):
        if gone is not None:
            gone.close()
        monkeypatch.setattr(sys, "stderr", gone)
        make().run(1.0, save_at=[1.0], progress=True)


# -- the default number of threads ---------------------------------------------------------------


def threads_with(**environment):
    inherited = {key: value for key, value in os.environ.items() if not key.endswith("_NUM_THREADS")}
    return subprocess.run(
        [sys.executable, "-P", "-c", "import hmm_rs; print(hmm_rs.get_num_threads())"],
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_default_number_of_threads_is_that_of_the_environment():
    cores = int(threads_with().stdout)
    for environment, expected in [
        ({"HMM_RS_NUM_THREADS": "3"}, 3),
        ({"OMP_NUM_THREADS": "1"}, 1),
        # An upper bound, nothing more.
        ({"OMP_NUM_THREADS": "100000"}, cores),
        ({"OMP_NUM_THREADS": "1,4"}, 1),
        ({"OMP_NUM_THREADS": "many"}, cores),
        ({"OMP_NUM_THREADS": "0"}, cores),
        ({"OMP_NUM_THREADS": "1", "HMM_RS_NUM_THREADS": "2"}, 2),
    ]:
        assert int(threads_with(**environment).stdout) == expected, environment
    for wrong in ("zero", "0", "-1", "", "99999", "1.5"):
        done = threads_with(HMM_RS_NUM_THREADS=wrong)
        assert done.returncode == 1
        assert "InvalidParameterError: HMM_RS_NUM_THREADS" in done.stderr
    with pytest.raises(hr.InvalidParameterError, match="n = "):
        hr.set_num_threads(2**63)
    with pytest.raises(hr.DtypeError, match="n = "):
        hr.set_num_threads(None)
