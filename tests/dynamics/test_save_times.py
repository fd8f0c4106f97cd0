"""Time axes of results: unique, exact, and aligned by xarray whatever the engine and the grid."""

import math

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import hmm_rs as hr
from hmm_rs.dynamics.schedule import save_steps, save_times


def online(N=200, D=20, K=2, **options):
    return hr.OnlineSGD(
        hr.HiddenManifold(N, D),
        hr.TwoLayer.random(2, D, seed=1),
        student=hr.TwoLayer.random(K, N, seed=2),
        lr=0.2,
        test_size=50,
        **options,
    )


def particles(width=20, fixed=False):
    network = hr.MeanFieldNetwork.random(width, 5, seed=1)
    if fixed:
        return hr.Particles(network, *hr.LinearlySeparable(5).sample(width + 10, seed=1))
    return hr.Particles(network, data=hr.LinearlySeparable(5), batch=20, test_size=20)


def flow(h=20):
    X, y = hr.Stripe(3).sample(30, seed=1)
    network = hr.MeanFieldNetwork.random(h, 3, std_b=1.0, activation="sqrt2_relu", seed=1)
    return hr.GradientFlow(network, X, y)


def kernel_flow():
    X, y = hr.Stripe(3).sample(30, seed=1)
    return hr.KernelFlow(hr.kernels.ntk(X), y, loss="softhinge")


RUNS = {
    "online, default grid": lambda: online().run(2),
    "online, default grid of a small N": lambda: online(N=7, D=3).run(1),
    "online, a fine grid": lambda: online().run(1, save_at=np.linspace(0, 1, 1000)),
    "online, the same time twice": lambda: online().run(1, save_at=[0, 0, 0.5, 0.5, 1, 1]),
    "particles, default grid": lambda: particles().run(40, dt=0.1),
    "particles, the same step twice": lambda: particles().run(4, save_at=[0, 1, 1, 4, 4]),
    "particles that are satisfied": lambda: particles(fixed=True).run(10**4),
    "flow, default grid": lambda: flow().run(max_steps=200),
    "flow, the same step twice": lambda: flow().run(max_steps=20, save_steps=[0, 5, 5, 20]),
    "flow, the same time twice": lambda: flow().run(save_at=[0.0, 0.1, 0.1, 0.2]),
    "flow, times that differ by rounding": lambda: flow().run(
        save_at=[0.0, 0.1, 0.1 + 2e-17, 0.2, 0.1 + 0.1]
    ),
    "flow, ended by time": lambda: flow().run(t_max=0.1),
    "kernel flow": lambda: kernel_flow().run(max_steps=100),
}


@pytest.mark.parametrize("name", RUNS)
def test_axes_are_unique_and_can_be_looked_up(name):
    run = RUNS[name]()
    index = run.indexes["t"]
    assert index.is_unique
    assert index.is_monotonic_increasing
    middle = float(run.t.mean())
    nearest = run.sel(t=middle, method="nearest")
    assert abs(float(nearest.t) - middle) == np.abs(run.t.values - middle).min()
    between = run.interp(t=middle)
    assert np.isfinite(between[next(iter(run.data_vars))]).all()
    for dim in run.dims:
        assert dim in run.indexes


def test_the_published_case():
    sim = online()
    run = sim.run(2)
    assert run.indexes["t"].is_unique
    assert float(run.interp(t=1.0).eg) > 0
    assert float(run.sel(t=1, method="nearest").t) == pytest.approx(1, abs=0.1)


def test_times_are_whole_steps_exactly():
    for N in (7, 30, 200):
        run = online(N=N, D=3).run(1.5, save_at=np.linspace(0, 1.5, 37))
        steps = run.t.values * N
        np.testing.assert_array_equal(run.t.values, np.round(steps) / N)
        assert run.t.values[-1] == math.ceil(1.5 * N) / N
        # A grid of whole steps comes back as it was.
        grid = np.arange(0, 2 * N, 3) / N
        np.testing.assert_array_equal(online(N=N, D=3).run(2, save_at=grid).t.values, grid)


def test_times_do_not_depend_on_how_a_run_is_cut():
    whole = particles().run(30, dt=0.1, save_at=range(31))
    parts = particles()
    times = np.concatenate([parts.run(n, dt=0.1, save_at=range(n - 9, n + 1)).t.values for n in (10, 20, 30)])
    np.testing.assert_array_equal(times, whole.t.values[1:])


SIZES = [
    lambda: [online(K=2).run(2), online(K=3).run(1), online(N=100, D=10).run(1.5)],
    lambda: [particles(20).run(20), particles(30).run(10, dt=0.5)],
    lambda: [particles(20, fixed=True).run(20), particles(30, fixed=True).run(10, dt=0.5)],
    lambda: [flow().run(max_steps=30), flow(h=40).run(save_at=[0.0, 0.05])],
]


@pytest.mark.parametrize("make", SIZES)
def test_runs_of_different_sizes_align_and_concatenate(make):
    runs = make()
    for run in xr.align(*runs, join="outer"):
        assert run.indexes["t"].is_unique
    joined = xr.concat(
        runs,
        dim="run",
        join="outer",
        data_vars="all",
        coords="minimal",
        compat="equals",
        combine_attrs="drop_conflicts",
    )
    assert joined.sizes["run"] == len(runs)
    name = next(iter(runs[0].data_vars))
    for number, run in enumerate(runs):
        np.testing.assert_array_equal(joined[name].isel(run=number).sel(t=run.t), run[name])
    first, second = xr.align(*runs[:2], join="inner")
    np.testing.assert_array_equal(first.t, second.t)


def test_a_run_aligns_with_its_theory():
    sim = online(N=100, D=10)
    theory = hr.theory.HiddenManifoldODE.from_simulation(sim)
    run = sim.run(2.0)
    solved = theory.solve(run.t.values)
    assert not np.isnan((run.Q - solved.Q).values).any()
    assert (run.Q - solved.Q).dims == run.Q.dims


# -- rounding is not a user's mistake ----------------------------------------------------------------


def test_a_grid_may_overstep_the_end_by_rounding():
    grid = np.exp(np.linspace(-2, np.log(3), 10))
    assert grid[-1] > 3.0
    run = online().run(3, save_at=grid)
    assert run.t.values[-1] == 3.0
    assert flow().run(t_max=0.3, save_at=[0.1, 0.1 + 0.2]).t.values[-1] == 0.3
    assert particles().run(3, save_at=grid[-1:]).t.values.tolist() == [3.0]
    assert particles().run(30, save_at=[0.1 * 3 * 100]).t.values.tolist() == [30.0]


def test_a_grid_may_begin_before_the_present_by_rounding():
    sim = online()
    sim.run(0.3, save_at=[0.3])
    now = sim.t
    assert sim.run(1.0, save_at=[np.nextafter(now, 0), 1.0]).t.values.tolist() == [now, 1.0]
    # The end, too; that nothing is left to do is told.
    with pytest.warns(RuntimeWarning, match="one row"):
        assert sim.run(np.nextafter(1.0, 0)).t.values.tolist() == [1.0]
    with pytest.raises(hr.InvalidParameterError, match="already"):
        sim.run(0.999)


@given(
    t_max=st.floats(0.1, 1e6),
    steps=st.integers(2, 50),
    how=st.sampled_from(
        [np.linspace, np.geomspace, lambda a, b, n: np.exp(np.linspace(np.log(a), np.log(b), n))]
    ),
)
def test_every_usual_grid_to_the_end_is_taken(t_max, steps, how):
    times = save_times(t_max, how(t_max / 100, t_max, steps), 0.0, 1.0)
    assert times[-1] == pytest.approx(t_max, rel=1e-12)
    assert times[-1] <= t_max
    assert (np.diff(times) > 0).all()


@given(now=st.integers(0, 10**6), ahead=st.integers(0, 10**6))
def test_default_grids_of_steps_are_whole_and_end_where_they_should(now, ahead):
    steps = save_steps(now + ahead, None, now)
    assert steps[0] == now
    assert steps[-1] == now + ahead
    assert (np.diff(steps) > 0).all()
    assert len(steps) <= 62


@pytest.mark.parametrize(
    "start",
    [
        lambda save_at: online().run(200, save_at=save_at),
        lambda save_at: particles().run(200, save_at=save_at),
        lambda save_at: flow().run(t_max=200, save_at=save_at),
        lambda save_at: flow().run(save_steps=save_at),
    ],
)
@pytest.mark.parametrize("scalar", [200, 0.5, np.float64(3), np.array(7)])
def test_a_number_instead_of_a_grid_says_what_is_wanted(start, scalar):
    with pytest.raises(hr.InvalidParameterError, match=r"save_.* = .*not say how many.*pass a list"):
        start(scalar)


@pytest.mark.parametrize(
    "save_at",
    [[], [[0.0, 1.0]], [1.0, 0.5], [-1.0], [np.nan], [np.inf], ["a"], [1j], "abc", {}, [2.1]],
    ids=repr,
)
def test_other_grids_are_refused(save_at):
    for start in (online().run, particles().run, lambda t, save_at: flow().run(t_max=t, save_at=save_at)):
        with pytest.raises(hr.HmmError, match="save_at"):
            start(2, save_at=save_at)
    with pytest.raises(hr.HmmError, match="save_at"):
        particles().run(2, save_at=[0.5, 1])


@pytest.mark.parametrize("steps", [[1.5], [-1], [2**60], [3, 2], [np.nan]])
def test_steps_that_are_none_are_refused(steps):
    with pytest.raises(hr.HmmError, match="save_steps"):
        flow().run(save_steps=steps)
