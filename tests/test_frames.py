"""Results as tables: every number in its row and its column."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import hmm_rs as hr
from hmm_rs.cli import main


def online(seed=0, lr=0.2):
    sim = hr.OnlineSGD(
        hr.HiddenManifold(40, 4),
        hr.TwoLayer.random(1, 4),
        student=hr.TwoLayer.random(2, 40, seed=1),
        lr=lr,
        test_size=20,
        seed=seed,
    )
    return sim.run(1.0, save_at=[0.0, 0.5, 1.0])


def test_a_run_is_one_row_a_time():
    run = online()
    table = hr.to_frame(run)
    assert table.t.tolist() == [0.0, 0.5, 1.0]
    assert (table.eg.to_numpy() == run.eg.values).all()
    for k in range(2):
        assert (table[f"R[{k},0]"].to_numpy() == run.R.values[:, k, 0]).all()
        assert (table[f"v[{k}]"].to_numpy() == run.v.values[:, k]).all()
        for k2 in range(2):
            assert (table[f"Q[{k},{k2}]"].to_numpy() == run.Q.values[:, k, k2]).all()
    assert len(table.columns) == 1 + sum(int(np.prod(run[n].shape[1:])) for n in run.data_vars)


def test_seeds_and_swept_values_are_columns():
    runs = xr.concat(
        [xr.concat([online(seed, lr) for seed in (3, 5)], xr.Variable("seed", [3, 5])) for lr in (0.1, 0.2)],
        xr.Variable("lr", [0.1, 0.2]),
    )
    table = hr.to_frame(runs, variables=["eg"])
    assert list(table.columns) == ["lr", "seed", "t", "eg"]
    assert len(table) == 2 * 2 * 3
    for row in table.itertuples():
        assert row.eg == float(runs.eg.sel(lr=row.lr, seed=row.seed, t=row.t))


def test_statistics_of_an_ensemble_are_repeated():
    runs = hr.ensemble(online, seeds=2)
    table = hr.to_frame(runs, variables=["eg", "eg_mean"])
    means = table.groupby("t").eg.mean()
    assert np.allclose(table.eg_mean, means.loc[table.t].to_numpy(), rtol=1e-14)  # a mean of two numbers


def test_theory_answers_and_steps():
    solved = hr.theory.HingeMeanField(20).gd(3, dt=0.5)
    table = hr.to_frame(solved)
    assert table.step.tolist() == [0, 1, 2, 3]
    assert (table.gamma.to_numpy() == solved.gamma.values).all()
    spectrum = hr.theory.replica.Spectrum([1.0], [1.0], [0.7], 1.0)
    answer = hr.theory.replica.solve(spectrum, loss="ridge", alpha=2.0, lam=0.1)
    (row,) = hr.to_frame(answer.to_dataset()).itertuples()
    assert (row.alpha, row.test_mse) == (2.0, answer.test_mse)


def test_curves_over_two_axes():
    curve = hr.experiments.full_batch.full_batch_curve(
        hr.data.features.GaussianFeatures(np.ones(10), np.full(10, 0.1), 1.0),
        [0.5, 2.0],
        loss="ridge",
        lam=0.1,
        repeats=3,
    )
    assert len(hr.to_frame(curve)) == 6


def test_what_does_not_fit_is_refused():
    X, y = hr.LinearlySeparable(4).sample(12, seed=1)
    run = hr.Particles(hr.MeanFieldNetwork.random(500, 4, seed=1), X, y).run(2)
    with pytest.raises(
        hr.InvalidParameterError, match=r"first_satisfied lies along example, where .* lies along t"
    ):
        hr.to_frame(run)
    with pytest.raises(hr.InvalidParameterError, match=r"a has 500 entries along i.*isel\(i=slice\(10\)\)"):
        hr.to_frame(run.drop_vars("first_satisfied"))
    few = hr.to_frame(run.drop_vars("first_satisfied").isel(i=slice(10)))
    assert few["a[9]"].to_numpy().tolist() == run.a.values[:, 9].tolist()
    assert len(hr.to_frame(run, variables=["first_satisfied"])) == 12


def test_arguments_are_checked():
    run = online()
    with pytest.raises(hr.InvalidParameterError, match="the result has no 'egg'; it has eg"):
        hr.to_frame(run, variables=["egg"])
    with pytest.raises(hr.DtypeError, match="must be a list of names"):
        hr.to_frame(run, variables="eg")
    with pytest.raises(hr.DtypeError, match="must be a result"):
        hr.to_frame([1, 2])
    wide = xr.Dataset({"x": (("p", "q"), np.broadcast_to(0.0, (2**20, 2**20)))})
    with pytest.raises(hr.ResourceError, match="a table of"):
        hr.to_frame(wide)


def test_the_command_line_writes_tables(tmp_path, monkeypatch):
    import pandas as pd

    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.toml").write_text(
        'solver = "HingeMeanField"\n[options]\nd = 20\n[run]\nt = [1, 10]\n[output]\nfile = "run.csv"\n'
    )
    assert main(["run", "run.toml", "--quiet"]) == 0
    table = pd.read_csv("run.csv")
    assert table.t.tolist() == [1.0, 10.0]
    assert np.allclose(table.gamma, hr.theory.HingeMeanField(20).gamma([1.0, 10.0]), rtol=1e-14)  # as printed
