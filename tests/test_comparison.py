"""hr.compare: gap, allowed size, reason and verdict; hr.ensemble: spread over seeds."""

import json

import numpy as np
import pytest
import xarray as xr

import hmm_rs as hr

TIMES = np.array([1.0, 2.0, 4.0])


def result(values, source, times=TIMES, **settings):
    values = np.asarray(values, dtype=float)
    dims = ("seed", "t") if values.ndim == 2 else ("t",)
    data = xr.Dataset({"eg": (dims, values)}, coords={"t": times})
    return data.assign_attrs(source=source, settings=json.dumps(settings))


@pytest.fixture(scope="module")
def pair():
    model = hr.HiddenManifold(400, 100)
    student = hr.TwoLayer.random(2, 400, seed=1)
    sim = hr.OnlineSGD(model, hr.TwoLayer.random(2, 100), student=student, lr=0.2, test_size=2000)
    theory = hr.theory.HiddenManifoldODE.from_simulation(sim)
    return sim.run(10.0, save_at=[0.0, 0.5, 1.0, 5.0, 10.0]), theory


def test_a_run_agrees_with_its_theory_and_not_with_that_of_another_rate(pair):
    run, theory = pair
    seen = hr.compare(run, theory.solve(run.t))
    assert seen.attrs["verdict"] == "agrees"
    assert "2000 test examples" in seen.attrs["why"]
    assert "1/sqrt(400)" in seen.attrs["why"]
    np.testing.assert_allclose(seen.gap, seen.run - seen.theory)
    other = run.copy()
    other["eg"] = run.eg + 0.3
    assert hr.compare(other, theory.solve(run.t)).attrs["verdict"] == "differs"


def test_theory_is_read_off_at_the_times_of_the_run_and_not_beyond_its_ends(pair):
    run, theory = pair
    fine = theory.solve(np.linspace(0.0, 5.0, 2001))
    seen = hr.compare(run, fine)
    np.testing.assert_array_equal(seen.t, [0.0, 0.5, 1.0, 5.0])
    # Linear interpolation over steps of 0.0025 of a curve with curvature of order 1.
    np.testing.assert_allclose(seen.theory, theory.solve(seen.t.values).eg, atol=1e-5)
    with pytest.raises(hr.InvalidParameterError, match="no time of the run"):
        hr.compare(run.sel(t=[10.0]), fine)


def test_seeds_give_a_standard_error_and_a_z():
    rng = np.random.default_rng(1)
    truth = np.array([0.5, 0.3, 0.1])
    runs = result(truth + 0.01 * rng.normal(size=(25, 3)), "simulation")
    seen = hr.compare(runs, result(truth, "theory"))
    assert seen.attrs["verdict"] == "agrees"
    np.testing.assert_allclose(seen.z, (runs.eg.mean("seed") - truth) / (runs.eg.std("seed", ddof=1) / 5))
    np.testing.assert_allclose(seen.allowed, 3 * runs.eg.std("seed", ddof=1) / 5)
    assert hr.compare(runs, result(truth + 0.02, "theory")).attrs["verdict"] == "differs"


def test_the_theory_s_own_spread_is_used_where_it_has_one():
    theory = result([0.5, 0.3, 0.1], "theory")
    theory["eg_std"] = ("t", [0.02, 0.02, 0.02])
    seen = hr.compare(result([0.53, 0.3, 0.1], "simulation"), theory)
    assert seen.z.values[0] == pytest.approx(1.5)
    assert seen.attrs["verdict"] == "agrees"
    assert seen.attrs["largest_gap_at_t"] == 1.0
    assert (
        hr.compare(result([0.53, 0.3, 0.1], "simulation"), theory, sigmas=1.0).attrs["verdict"] == "differs"
    )


def test_a_given_allowance_wins():
    seen = hr.compare(
        result([0.5, 0.4, 0.1], "simulation"), result([0.5, 0.3, 0.1], "theory"), allowed=[0, 0.2, 0]
    )
    assert seen.attrs["why"] == "given"
    assert seen.attrs["verdict"] == "agrees"


@pytest.mark.parametrize(
    ("run", "theory", "options", "error", "match"),
    [
        (5, result([1], "theory", [1.0]), {}, hr.DtypeError, "run = 5"),
        (
            result([1], "simulation", [1.0]),
            result([1], "theory", [1.0]),
            {},
            hr.InvalidParameterError,
            "allowed",
        ),
        (
            result([1], "simulation", [1.0]),
            result([1], "theory", [1.0]),
            {"variable": "Q"},
            hr.InvalidParameterError,
            "they share eg",
        ),
        (
            result([1], "simulation", [1.0]),
            result([1], "theory", [1.0]).rename(t="step"),
            {"allowed": 1},
            hr.InvalidParameterError,
            "no coordinate 't'",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(run, theory, options, error, match):
    with pytest.raises(error, match=match):
        hr.compare(run, theory, **options)


def test_shapes_that_do_not_fit_are_refused_with_what_to_choose(pair):
    run = result([1.0, 2.0, 3.0], "simulation", test_size=100)
    theory = result([1.0, 2.0, 3.0], "theory")
    with pytest.raises(
        hr.ShapeError, match=r"allowed has shape \(2,\): must be one number, or \(3,\), one for each"
    ):
        hr.compare(run, theory, allowed=[0.1, 0.2])
    several = xr.concat([run, run], xr.Variable("lr", [0.1, 0.2]), combine_attrs="override").transpose(
        "t", "lr"
    )
    with pytest.raises(
        hr.InvalidParameterError, match=r"lies along t, lr, that of theory does not: .* run.sel\(lr="
    ):
        hr.compare(several, theory)


def test_an_ensemble_has_its_mean_spread_and_standard_error():
    def make(seed):
        return result(np.full(3, float(seed)), "simulation", N=10)

    runs = hr.ensemble(make, seeds=[3, 5, 10])
    np.testing.assert_array_equal(runs.seed, [3, 5, 10])
    np.testing.assert_allclose(runs.eg_mean, 6.0)
    np.testing.assert_allclose(runs.eg_std, 13.0**0.5)
    np.testing.assert_allclose(runs.eg_sem, (13.0 / 3.0) ** 0.5)
    assert len(hr.ensemble(make, seeds=2).seed) == 2


def test_ensembles_that_make_no_sense_are_refused():
    def late(seed):
        return result([1.0, 1.0, 1.0], "simulation", TIMES + seed)

    for seeds in (1, [4], [2, 2]):
        with pytest.raises(hr.InvalidParameterError, match="seeds"):
            hr.ensemble(late, seeds=seeds)
    with pytest.raises(hr.InvalidParameterError, match="same save_at"):
        hr.ensemble(late, seeds=2)
    with pytest.raises(hr.DtypeError, match=r"make\(0\) returned int"):
        hr.ensemble(lambda seed: seed, seeds=2)


def test_names_that_are_numbers_are_texts_in_an_ensemble():
    """xarray takes any name; tables of results have texts."""
    runs = hr.ensemble(lambda seed: xr.Dataset({1: ("t", [float(seed), 2.0]), "b": ((7,), [1.0])}), seeds=2)
    assert runs["1_mean"].values.tolist() == [0.5, 2.0]
    assert runs["b"].dims == ("seed", "7")
    with pytest.raises(hr.InvalidParameterError, match="several names that read 1"):
        hr.ensemble(lambda seed: xr.Dataset({1: 0.0, "1": 1.0}), seeds=2)
