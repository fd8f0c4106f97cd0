"""A result says enough to be made again, and only what it may."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr

import hmm_rs as hr
from hmm_rs.dynamics.resuming import engines
from hmm_rs.provenance.story import LARGEST
from hmm_rs.reruns.lists import SOLVERS

N, D = 60, 8


def online(**options):
    options = {"lr": 0.2, "test_size": 50, "seed": 3} | options
    return hr.OnlineSGD(
        hr.HiddenManifold(N, D, f=options.pop("f", "sign")),
        hr.TwoLayer.random(2, D, seed=1),
        student=options.pop("student", hr.TwoLayer.random(2, N, seed=2)),
        **options,
    )


def flow(width=40, p=32, **options):
    X, y = hr.Stripe(3).sample(p, seed=1)
    network = hr.MeanFieldNetwork.random(width, 3, std_b=1.0, activation="sqrt2_relu", seed=1)
    return hr.GradientFlow(network, X, y, **options)


def kernel_flow():
    X, y = hr.Stripe(2).sample(20, seed=1)
    return hr.KernelFlow(hr.kernels.ntk(X), y)


def particles(**options):
    network = hr.MeanFieldNetwork.random(30, 5, seed=1)
    return hr.Particles(network, data=hr.LinearlySeparable(5), batch=40, test_size=50, **options)


def spectrum():
    return hr.theory.replica.Spectrum([2.0, 1.0, 0.25], [0.25, 0.5, 0.25], [0.6, 0.3, 0.05], 1.3)


def covariance_ode():
    w, teacher = hr.TwoLayer.random(2, 20, seed=1), hr.TwoLayer.random(1, 20, seed=2)
    return hr.theory.CovarianceODE(
        np.eye(20), None, w=w.w, w_teacher=teacher.w, v=[1, 1], v_teacher=[1], lr=0.2, labels="input"
    )


def hinge_stripe():
    def label(x):
        return np.where(abs(x[:, 0]) < 0.7, -1.0, 1.0)

    return hr.theory.ProjectedMeanField.gaussian(20, label, points=20, nodes=6)


def continued_field():
    field = hinge_stripe()
    field.run(3, dt=0.5)
    return field.run(5)


def full_batch():
    problem = hr.FullBatch([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], [1.0, -1.0, 1.0], loss="logistic", lam=0.3)
    problem.fit(tol=1e-9)
    return problem.result.to_dataset()


RESULTS = {
    "OnlineSGD": lambda: online().run(2.0),
    "OnlineSGD, single precision": lambda: online(dtype="float32", noise=0.1).run(1.0),
    "OnlineSGD, seed of a list": lambda: online(seed=[3, 4]).run(1.0),
    "GradientFlow": lambda: flow().run(max_steps=60),
    "KernelFlow": lambda: kernel_flow().run(stop_margin=0.5),
    "Particles": lambda: particles().run(20, dt=0.5),
    "SaadSolla": lambda: hr.theory.SaadSolla(
        [[0.1]], [[0.0]], T=[[1.0]], v0=[1.0], v_teacher=[1.0], lr=0.5
    ).solve([0.0, 1.0, 5.0]),
    "HiddenManifoldODE": lambda: hr.theory.HiddenManifoldODE.from_simulation(online()).solve([0.0, 2.0]),
    "CovarianceODE": lambda: covariance_ode().solve([0.0, 1.0], rtol=1e-6),
    "solve_many": lambda: hr.theory.solve_many([covariance_ode(), covariance_ode()], [0.0, 1.0])[1],
    "HingeMeanField": lambda: hr.theory.HingeMeanField(30, alpha=2.0).observables([1.0, 10.0]),
    "HingeMeanField.gd": lambda: hr.theory.HingeMeanField(30).gd(5, dt=0.5),
    "HingeMeanField.memorisation": lambda: hr.theory.HingeMeanField(30).memorisation(5000, [1.0, 5.0]),
    "ProjectedMeanField": continued_field,
    "FullBatch": full_batch,
    "replica.learning_curve": lambda: hr.theory.replica.learning_curve(
        spectrum(), [0.5, 1.0, 2.0], loss="logistic", lam=0.1
    ),
    "replica.solve": lambda: hr.theory.replica.solve(
        spectrum(), loss="ridge", alpha=1.0, lam=0.1
    ).to_dataset(),
    "replica.bayes_optimal": lambda: hr.theory.replica.bayes_optimal(spectrum(), alpha=[0.5, 2.0]),
    "replica.state_evolution": lambda: hr.theory.replica.state_evolution(spectrum(), alpha=2.0, steps=5),
    "least_squares_flow": lambda: hr.theory.least_squares_flow(spectrum(), alpha=1.2, t=[0.0, 1.0]),
    "optimal_stopping": lambda: hr.theory.optimal_stopping(spectrum(), alpha=1.2).to_dataset(),
    "replica.max_margin": lambda: hr.theory.replica.max_margin(spectrum(), alpha=0.8).to_dataset(),
    "full_batch_curve": lambda: hr.experiments.full_batch.full_batch_curve(
        hr.data.features.GaussianFeatures(np.ones(20), np.full(20, 0.1), 1.0),
        [0.5, 2.0],
        loss="ridge",
        lam=0.1,
        repeats=3,
    ),
    "ensemble": lambda: hr.ensemble(lambda seed: online(seed=seed).run(1.0, save_at=[0, 1]), seeds=3),
}


@pytest.mark.parametrize("name", RESULTS)
def test_a_saved_result_is_made_again_bit_for_bit(name, tmp_path):
    result = RESULTS[name]()
    result.to_netcdf(tmp_path / "result.nc", engine="h5netcdf")
    again = hr.rerun(tmp_path / "result.nc", threads=1)
    assert again.equals(result)
    # What was made again can be made again.
    assert hr.rerun(again).equals(result)
    assert set(result.attrs) <= set(again.attrs)


@pytest.mark.slow  # JAX compiles for ten seconds
def test_images_too():
    pytest.importorskip("jax")
    cnn = pytest.importorskip("hmm_rs.cnn")
    sets = cnn.parity_sets(*cnn.digits(), train=6, kernel=4, test=4)
    run = cnn.CNNFlow(cnn.CNN(1, 8, 8), *sets.train).run(max_steps=2)
    assert hr.rerun(run).equals(run)


def test_every_engine_and_solver_is_among_the_tests():
    classes = {*engines(), *(cls.__name__ for cls in SOLVERS)}
    assert classes - {"CNNFlow"} <= set(RESULTS)


def test_an_answer_comes_back_as_an_answer():
    answer = hr.theory.replica.optimal_ridge(spectrum(), loss="ridge", alpha=1.5)
    assert hr.rerun(answer) == answer


# -- runs that were not simple ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["OnlineSGD", "Particles", "GradientFlow"])
def test_what_went_before_a_run_is_part_of_its_story(name):
    if name == "GradientFlow":
        driver = flow()
        first = driver.run(max_steps=20)
        driver.advance(3)
        driver.advance(4)
        run = driver.run(save_at=[first.t.values[-1] * 3, first.t.values[-1] * 4])
    elif name == "Particles":
        driver = particles()
        driver.run(4, dt=0.5)
        driver.advance(3, dt=0.25)
        driver.run(9, dt=0.25)
        run = driver.run(12, dt=1.0)
    else:
        driver = online()
        driver.run(0.5)
        driver.advance(7)
        run = driver.run(2.0, save_at=[1.0, 2.0])
    assert hr.rerun(run).equals(run)


def test_a_driver_that_runs_often_does_not_remember_every_run():
    driver = online()
    sizes = [len(driver.run(t).attrs["provenance"]) for t in np.linspace(0.1, 3.0, 30)]
    assert sizes[-1] < sizes[0] + 200


@pytest.mark.parametrize("make", [online, particles, flow], ids=["OnlineSGD", "Particles", "GradientFlow"])
def test_a_run_that_was_ended_early_is_made_again_as_far_as_it_came(make):
    def end(driver, seen):
        if len(seen_at) == 3:
            raise hr.StopRun
        seen_at.append(driver.t)

    seen_at = []
    driver = make()
    ask = {online: {"t_max": 5.0}, particles: {"steps": 50}, flow: {"max_steps": 100}}[make]
    part = driver.run(**ask, callbacks=[end])
    again = hr.rerun(part)
    assert again.equals(part)
    assert again.attrs["stopped"] == part.attrs["stopped"] == "callback"
    # And what was done after it.
    rest = driver.run(**ask)
    assert hr.rerun(rest).equals(rest)


def test_copies_remember():
    import copy
    import pickle

    driver = flow()
    driver.run(max_steps=10)
    for twin in (copy.deepcopy(driver), pickle.loads(pickle.dumps(driver))):
        run = twin.run(max_steps=20)
        assert hr.rerun(run).equals(run)


def test_checkpoints_are_made_again_from_their_start(tmp_path):
    path = tmp_path / "run.npz"
    part = online().run(20.0, save_at=[0, 0.5, 20], checkpoint=path, max_seconds=0.0)
    assert len(part.t) < 3
    assert hr.rerun(path).equals(part)
    whole = hr.resume(path)
    straight = online().run(20.0, save_at=[0, 0.5, 20])
    assert hr.rerun(path).equals(whole)
    assert hr.rerun(whole).equals(straight)
    assert whole.attrs["provenance"] == straight.attrs["provenance"]
    longer = hr.load(path).run(t_max=22.0, save_at=[21.0, 22.0])
    assert hr.rerun(longer).equals(longer)
    assert longer.t.values.tolist() == [0.0, 0.5, 20.0, 21.0, 22.0]


def test_an_unfinished_checkpoint_that_was_loaded_and_extended(tmp_path):
    path = tmp_path / "run.npz"

    def end(driver, seen):
        if seen["t"] >= 1.0:
            raise hr.StopRun

    online().run(20.0, save_at=[0, 1, 20], checkpoint=path, callbacks=[end])
    driver = hr.load(path)
    driver.advance(11)
    run = driver.run(2.0, save_at=[2.0])
    assert run.t.values.tolist() == [0.0, 1.0, 2.0]
    assert hr.rerun(run).equals(run)


def test_a_driver_advanced_by_a_callback_says_that_it_cannot_be_told():
    run = online().run(1.0, callbacks=[lambda driver, seen: driver.advance(1)])
    with pytest.raises(hr.InvalidParameterError, match="advanced by a callback"):
        hr.rerun(run)


# -- what a result does not hold -------------------------------------------------------------------


def test_functions_are_handed_over():
    run = online(f=lambda u: u**3).run(1.0)
    with pytest.raises(hr.InvalidParameterError, match=r"functions=\{'f'"):
        hr.rerun(run)
    assert hr.rerun(run, functions={"f": lambda u: u**3}).equals(run)


def test_large_arrays_are_named_and_handed_over():
    X, y = hr.Stripe(3).sample(LARGEST // 24 + 1, seed=1)
    network = hr.MeanFieldNetwork.random(5, 3, std_b=1.0, activation="sqrt2_relu", seed=1)
    run = hr.GradientFlow(network, X, y).run(max_steps=3)
    with pytest.raises(hr.InvalidParameterError, match=r"holds X \(2731, 3\) by checksum only"):
        hr.rerun(run)
    with pytest.raises(hr.InvalidParameterError, match=r"arrays\['X'\]: is not the array of the run"):
        hr.rerun(run, arrays={"X": X + 1e-15})
    with pytest.raises(hr.InvalidParameterError, match=r"no such array; it has X, network\.a"):
        hr.rerun(run, arrays={"Z": X})
    with pytest.raises(hr.InvalidParameterError, match=r"arrays\['X'\]: is not the array of the run"):
        hr.rerun(run, arrays={"X": "words"})
    for wrong in ([X], {1: X}):
        with pytest.raises(
            hr.DtypeError, match=r"arrays = .*: must map names to arrays; pass arrays=\{'X': X\}"
        ):
            hr.rerun(run, arrays=wrong)
    assert hr.rerun(run, arrays={"X": X}).equals(run)


def test_large_networks_are_drawn_again():
    student = hr.TwoLayer.random(3, 4000, seed=5, std_w=0.5)
    assert student.w.nbytes > LARGEST
    sim = hr.OnlineSGD(
        hr.TeacherStudent(4000),
        hr.TwoLayer.random(1, 4000),
        student=student,
        lr=0.1,
        labels="input",
        test_size=5,
    )
    run = sim.run(0.002)
    assert len(run.attrs["provenance"]) < 60_000
    assert hr.rerun(run).equals(run)


def test_shipped_generators_are_named():
    model = hr.generators.digits_flow()
    student = hr.TwoLayer.random(1, model.N, seed=1)
    sim = hr.OnlineSGD(model, hr.TwoLayer.random(1, model.D), student=student, lr=0.1, test_size=5)
    run = sim.run(0.1)
    assert len(run.attrs["provenance"]) < 10_000
    assert hr.rerun(run).equals(run)


def test_what_cannot_be_written_down_stops_no_run():
    def draw(n, seed):
        v = np.random.default_rng(seed).standard_normal((n, 4))
        return v[:, 0], v

    features = hr.data.features.SampledFeatures(draw, p=4)
    curve = hr.experiments.full_batch.full_batch_curve(
        features, [2.0], loss="ridge", lam=0.1, repeats=2, test_size=10
    )
    with pytest.raises(hr.InvalidParameterError, match=r"features = .* cannot be stored"):
        hr.rerun(curve)


def test_joined_results_say_what_varied():
    runs = [online(lr=lr).run(1.0, save_at=[0, 1]) for lr in (0.1, 0.2)]
    joined = xr.concat(runs, dim=xr.Variable("lr", [0.1, 0.2]), combine_attrs="override")
    with pytest.raises(
        hr.InvalidParameterError, match=r"joined from several results along lr \(2: 0.1, 0.2\)"
    ):
        hr.rerun(joined)
    dropped = xr.concat(runs, dim="lr", combine_attrs="drop_conflicts")
    with pytest.raises(hr.InvalidParameterError, match="no attribute 'provenance'"):
        hr.rerun(dropped)
    answers = [
        hr.theory.replica.solve(spectrum(), loss="ridge", alpha=a, lam=0.1).to_dataset() for a in (1, 2)
    ]
    with pytest.raises(hr.InvalidParameterError, match=r"along alpha \(2: 1, 2\)"):
        hr.rerun(xr.concat(answers, dim="alpha", combine_attrs="override"))


def test_a_part_of_a_result_stands_for_the_whole():
    run = online().run(1.0)
    assert hr.rerun(run.isel(t=-1)).equals(run)


def test_another_version_is_said():
    run = online().run(1.0)
    run.attrs["hmm_rs_version"] = "0.0.1"
    with pytest.warns(UserWarning, match=r"made with version 0.0.1"):
        hr.rerun(run)


# -- text from strangers ---------------------------------------------------------------------------


def forged(change):
    run = online().run(0.2, save_at=[0.2])
    story = json.loads(run.attrs["provenance"])
    change(story)
    run.attrs["provenance"] = json.dumps(story)
    return run


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s["calls"][-1].update(name="__init__"), "names the call"),
        (lambda s: s["calls"][-1].update(name="stop"), "names the call"),
        (lambda s: s["calls"][-1]["arguments"].update(checkpoint="evil.npz"), "arguments of a call"),
        (lambda s: s["calls"][-1]["arguments"].update(callbacks=[]), "arguments of a call"),
        (lambda s: s["calls"][-1]["arguments"].update(t_max={"is": "function", "name": "x", "argument": "x"}),
         "pass functions"),
        (lambda s: s["maker"].update(name="Popen"), "does not know"),
        (lambda s: s["maker"].update(name="Popen", foreign=True), "is not part of hmm_rs"),
        (lambda s: s["maker"]["arguments"].update(seed={"is": "drawn", "name": "os.system", "arguments": {},
                                                        "sha256": []}), "weights drawn by"),
        (lambda s: s["maker"]["arguments"].update(seed={"is": "number", "value": "1e3"}), "no valid 'number'"),
        (lambda s: s.update(maker=None), "names the call"),
        (lambda s: s["maker"].update(name=3), "no maker"),
        (lambda s: s["maker"]["arguments"].update(seed={"is": "drawn", "name": "TwoLayer.random",
                                                        "arguments": {"K": 0, "N": 3}, "sha256": []}),
         r"weights that cannot be drawn here \(InvalidParameterError: K = 0"),
        (lambda s: s.update(joined="seed", runs=[], values=[]), "no list of runs"),
        (lambda s: s.update(lost="it was never told"), r"cannot be made again \(it was never told\)"),
        (lambda s: s["calls"][-1].update(lost="a function"), r"cannot be made again \(a function\)"),
        (lambda s: s["calls"][-1].update(rows=0), "ended before it measured anything"),
        (lambda s: s["calls"][-1].update({"from": 7}), "leads to step 0, the run was at step 7"),
        (lambda s: s["calls"].__setitem__(slice(None), [{"name": "advance", "arguments": {"n_steps": 1}}]),
         "it names no run"),
        (lambda s: s.update(calls=[]), "no list of calls"),
        (lambda s: s.update(format=2), "has format 2"),
        (lambda s: s.update(arrays=[]), "no table of arrays"),
        (lambda s: next(iter(s["arrays"].values())).update(data="AAAA"), "do not fit their checksum"),
        (lambda s: next(iter(s["arrays"].values())).update(dtype="|O8"), "it has no array"),
        (lambda s: next(iter(s["arrays"].values())).update(shape=[10**12]), "do not fit their checksum"),
    ],
)  # fmt: skip
def test_a_forged_story_is_refused(change, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(hr.HmmError, match=words):
        hr.rerun(forged(change))
    assert not list(tmp_path.iterdir())


def test_a_solver_is_asked_only_for_what_solves():
    run = RESULTS["HingeMeanField"]()
    story = json.loads(run.attrs["provenance"])
    story["calls"][-1]["name"] = "from_data"
    run.attrs["provenance"] = json.dumps(story)
    with pytest.raises(hr.InvalidParameterError, match="names the call 'from_data'"):
        hr.rerun(run)


def test_weights_that_come_out_otherwise_are_said():
    run = RESULTS["OnlineSGD"]()
    story = json.loads(run.attrs["provenance"])
    story["maker"]["arguments"]["student"] = {
        "is": "drawn", "name": "TwoLayer.random", "arguments": {"K": 2, "N": N, "seed": 2}, "sha256": ["0" * 64] * 2,
    }  # fmt: skip
    run.attrs["provenance"] = json.dumps(story)
    with pytest.warns(
        UserWarning, match=r"TwoLayer.random makes other last digits here .* agree to rounding only"
    ):
        assert hr.rerun(run).equals(run)


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000, 3, "{}"])
def test_what_is_no_story_is_refused(text):
    run = online().run(0.2, save_at=[0.2])
    run.attrs["provenance"] = text
    with pytest.raises(hr.InvalidParameterError, match="no story"):
        hr.rerun(run)


def test_a_result_that_says_odd_things_is_refused_or_told_of():
    run = online().run(0.2, save_at=[0.2])
    story = json.loads(run.attrs["provenance"])
    odd = run.assign_attrs(provenance=json.dumps({**story, "sizes": {"t": {}}}))
    with pytest.raises(hr.InvalidParameterError, match="its sizes are"):
        hr.rerun(odd)
    with pytest.warns(UserWarning, match=r"made with version array\(\[0., 1.\]\)"):
        again = hr.rerun(run.assign_attrs(hmm_rs_version=np.array([0.0, 1.0])))
    assert again.equals(run)


def test_what_is_no_result_is_refused(tmp_path):
    with pytest.raises(hr.InvalidParameterError, match="cannot be read"):
        hr.rerun(tmp_path / "absent.nc")
    (tmp_path / "words.nc").write_text("words")
    with pytest.raises(hr.InvalidParameterError, match="neither a checkpoint nor"):
        hr.rerun(tmp_path / "words.nc")
    with pytest.raises(hr.DtypeError, match="must be a result"):
        hr.rerun(7)
    with pytest.raises(hr.InvalidParameterError, match="no attribute 'provenance'"):
        hr.rerun(xr.Dataset())


def test_an_answer_without_a_story_is_refused():
    answer = hr.theory.replica.optimal_ridge(spectrum(), loss="ridge", alpha=1.5)
    answer.__dict__["_schema"]["provenance"] = ""
    with pytest.raises(hr.InvalidParameterError, match="the answer: cannot be made again"):
        hr.rerun(answer)


def test_results_joined_without_values_are_told_by_their_number():
    answers = [
        hr.theory.replica.solve(spectrum(), loss="ridge", alpha=a, lam=0.1).to_dataset() for a in (1, 2)
    ]
    bare = [answer.drop_vars("alpha", errors="ignore") for answer in answers]
    with pytest.raises(hr.InvalidParameterError, match=r"joined from several results along alpha \(2\),"):
        hr.rerun(xr.concat(bare, dim="alpha", combine_attrs="override"))


def test_a_checkpoint_of_what_cannot_be_told_is_refused(tmp_path):
    options = {"checkpoint": tmp_path / "run.npz", "callbacks": [lambda driver, seen: driver.advance(1)]}
    online().run(2.0, save_at=[0, 1, 2], **options)
    with pytest.raises(hr.InvalidParameterError, match="advanced by a callback"):
        hr.rerun(tmp_path / "run.npz")
