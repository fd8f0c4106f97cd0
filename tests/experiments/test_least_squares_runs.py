"""Least squares on draws of Gaussian features: exact in time, the theory's in the mean."""

import math

import numpy as np
import pytest
import xarray as xr

from hmm_rs.errors import DtypeError, InvalidParameterError
from hmm_rs.experiments.full_batch import GaussianFeatures, least_squares_runs
from hmm_rs.theory import least_squares_flow
from hmm_rs.theory.replica import Spectrum

P = 120
OMEGA = 2.0 * np.arange(1, P + 1) ** -0.4
B = OMEGA**1.2 * np.cos(np.arange(P)) * 0.1
FEATURES = GaussianFeatures(OMEGA, B, 1.0)
SPECTRUM = Spectrum(OMEGA, np.full(P, 1 / P), B**2, 1.0)


@pytest.mark.parametrize("lr", [None, 0.05])
@pytest.mark.parametrize("alpha", [0.5, 2.0])
def test_the_mean_is_the_theory(alpha, lr):
    times = [0.0, 0.5, 2.0, 10.0, 50.0]
    runs = least_squares_runs(FEATURES, alpha=alpha, t=times, repeats=40, lr=lr)
    theory = least_squares_flow(SPECTRUM, alpha=alpha, t=times, lr=lr)
    for name in ("test_mse", "train_mse"):
        mean = runs[name].mean("seed").values
        error = runs[name].std("seed", ddof=1).values / math.sqrt(40)
        # Four standard errors, and 1/p of finite size.
        assert (np.abs(mean - theory[name].values) <= 4 * error + 1.0 / P).all()


@pytest.mark.parametrize("alpha", [0.5, 2.0])
def test_a_flow_is_the_limit_of_steps(alpha):
    times = [1.0, 5.0]
    flow = least_squares_runs(FEATURES, alpha=alpha, t=times, repeats=2, seed=3)
    coarse, fine = (
        least_squares_runs(FEATURES, alpha=alpha, t=times, repeats=2, seed=3, lr=lr) for lr in (1e-2, 1e-3)
    )
    # Euler's method is of first order.
    assert float(np.abs(coarse - flow).test_mse.max()) == pytest.approx(
        10 * float(np.abs(fine - flow).test_mse.max()), rel=0.1
    )


def test_the_end_is_least_squares():
    run = least_squares_runs(FEATURES, alpha=0.5, t=[1e9], repeats=1)
    assert float(run.train_mse[0, 0]) == pytest.approx(0.0, abs=1e-20)
    start = least_squares_runs(FEATURES, alpha=0.5, t=[0.0], repeats=1)
    assert float(start.test_mse[0, 0]) == pytest.approx(FEATURES.rho, rel=1e-12)


def test_bits_do_not_depend_on_threads_and_seeds_name_draws():
    options = {"alpha": 0.7, "t": [0.5, 5.0], "repeats": 3}
    runs = [least_squares_runs(FEATURES, threads=threads, **options) for threads in (1, 2, 3, 7)]
    for run in runs[1:]:
        xr.testing.assert_identical(run, runs[0])
    other = least_squares_runs(FEATURES, seed=1, **options)
    assert (other.test_mse != runs[0].test_mse).all()


def test_refused():
    with pytest.raises(DtypeError, match="GaussianFeatures"):
        least_squares_runs(OMEGA, alpha=1.0, t=[1.0])
    with pytest.raises(InvalidParameterError, match="t holds -1"):
        least_squares_runs(FEATURES, alpha=1.0, t=[-1.0])
    with pytest.raises(InvalidParameterError, match="alpha = 0"):
        least_squares_runs(FEATURES, alpha=0.0, t=[1.0])
