"""Message passing on many draws: the optimal curve, by name of the seed."""

import math

import pytest
import xarray as xr

from hmm_rs.errors import InvalidParameterError
from hmm_rs.experiments.full_batch import amp_curve
from hmm_rs.theory.replica import Spectrum, bayes_optimal

SPECTRUM = Spectrum([2.0, 1.0, 0.0], [0.25, 0.5, 0.25], [0.8, 0.3, 0.0], 1.0)


@pytest.mark.parametrize(
    ("teacher", "flip", "noise"), [("sign", 0.1, 0.0), ("linear", 0.0, 0.5), ("logit", 0.0, 0.0)]
)
def test_the_mean_is_the_optimum(teacher, flip, noise):
    known = {"teacher": teacher, "flip": flip, "noise": noise}
    curve = amp_curve(SPECTRUM, [0.5, 2.0], p=240, repeats=24, seed=1, **known)
    best = bayes_optimal(SPECTRUM, alpha=curve.alpha.values, **known)
    name = "test_mse" if teacher == "linear" else "test_error"
    error = curve[name].std("seed", ddof=1).values / math.sqrt(24)
    # Three standard errors.
    assert (abs(curve[name].mean("seed").values - best[name].values) < 3 * error).all()
    assert curve.attrs["p"] == 240


def test_seeds_name_draws_and_threads_change_nothing():
    options = {"p": 40, "repeats": 2}
    runs = [amp_curve(SPECTRUM, [1.0], threads=threads, **options) for threads in (1, 3)]
    xr.testing.assert_identical(*runs)
    other = amp_curve(SPECTRUM, [1.0], seed=1, **options)
    assert (other.q != runs[0].q).all()
    twice = amp_curve(SPECTRUM, [1.0, 1.0], **options)
    assert (twice.q[0].values != twice.q[1].values).all()


def test_refused():
    with pytest.raises(InvalidParameterError, match="alphas hold -1"):
        amp_curve(SPECTRUM, [-1.0], p=40)
    with pytest.raises(InvalidParameterError, match="p = 0"):
        amp_curve(SPECTRUM, [1.0], p=0)
