"""The published phenomena as functions; numbers from the hidden-manifold note, section 7."""

from __future__ import annotations

import numpy as np
import pytest

import hmm_rs as hr
from hmm_rs.theory import phenomena


def test_late_error_is_proportional_to_delta():
    deltas = np.array([0.01, 0.02, 0.05, 0.1])
    result = phenomena.late_error_against_delta(deltas, spectrum="orthogonal")
    np.testing.assert_allclose(result.eg, [0.002281, 0.004532, 0.011118, 0.021561], rtol=1e-3)
    np.testing.assert_allclose(result.eg / deltas, 0.23, rtol=0.1)
    assert (result.change < 1e-3).all()


def test_late_error_is_affine_in_small_rates():
    rates = [0.01, 0.05, 0.1, 0.2]
    result = phenomena.late_error_against_learning_rate(rates, spectrum="orthogonal")
    np.testing.assert_allclose(result.eg, [0.019761, 0.020115, 0.020575, 0.021561], rtol=1e-4)
    line = np.polyfit(rates[:3], result.eg[:3], 1)
    assert abs(np.polyval(line, 0.1) - result.eg[2]) < 1e-4


def test_fewer_students_cannot_specialise():
    fixed = phenomena.late_error_against_students([1, 2, 3], spectrum="orthogonal")
    trained = phenomena.late_error_against_students([1, 2, 3], spectrum="orthogonal", train_second_layer=True)
    np.testing.assert_allclose(fixed.eg[:2], [0.0320, 0.00228], rtol=2e-3)
    np.testing.assert_allclose(trained.eg[:2], [0.01555, 0.00228], rtol=2e-3)
    # One unit too many costs something with a fixed second layer and nothing with a trained one.
    assert fixed.eg[2] > fixed.eg[1]
    assert trained.eg[2] < 1.001 * trained.eg[1]


def test_larger_students_leave_the_common_curve_later_and_end_lower():
    result = phenomena.increasing_complexity([1, 2, 4, 8], t_eval=[0, 100, 1000], spectrum="orthogonal")
    # t = 1000 does not remember the start: the note's other draw agrees to its three digits.
    np.testing.assert_allclose(result.eg.sel(t=1000.0), [0.2395, 0.186, 0.143, 0.087], atol=1e-3)
    assert (np.diff(result.eg.sel(t=100.0)) < 0).all()


def test_plateau_of_figure_3():
    times = np.geomspace(0.1, 1000.0, 300)
    system = phenomena.random_start(2, 2, delta=0.01, size=100)
    found = phenomena.plateau(system.solve(times))
    # Figure 3 setting: .129 to .118 between t = 0.56 and 1.9, half of it at t about 12.
    assert 0.11 < found["error"] < 0.14
    assert found["start"] < 1.0 < found["end"] < found["specialisation"] < 30.0


def test_no_plateau_in_a_plain_decay():
    system = hr.theory.SaadSolla([[0.01]], [[0.05]], T=[[1.0]], v0=[1.0], v_teacher=[1.0], lr=0.5)
    with pytest.raises(hr.ConvergenceError, match="no plateau"):
        phenomena.plateau(system.solve(np.geomspace(0.1, 30.0, 100)))
    with pytest.raises(hr.ConvergenceError, match="a plateau needs 5"):
        phenomena.plateau(system.solve([0.0, 1.0, 2.0]))


def test_a_plateau_that_has_not_ended_names_no_end():
    times = np.geomspace(0.1, 1000.0, 300)
    whole = phenomena.random_start(2, 2, delta=0.01, size=100).solve(times)
    full = phenomena.plateau(whole)
    part = whole.isel(t=times < 1.5 * full["end"])
    found = phenomena.plateau(part)
    assert "specialisation" not in found
    assert np.isfinite(list(found.values())).all()


def test_a_plateau_is_sought_in_one_curve():
    curves = phenomena.increasing_complexity([1, 2], t_eval=[0.0, 1.0, 2.0], spectrum="orthogonal")
    with pytest.raises(hr.ShapeError, match="select one"):
        phenomena.plateau(curves)
    with pytest.raises(hr.ShapeError):
        phenomena.plateau(5)


def test_late_errors_over_seeds_show_every_end_state():
    options = {"spectrum": "orthogonal"}
    result = phenomena.late_error_against_students([2, 3], seeds=range(6), **options)
    assert result.eg.dims == ("K", "seed")
    np.testing.assert_allclose(result.eg_mean, result.eg.mean("seed"))
    np.testing.assert_allclose(result.eg_std, result.eg.std("seed"), atol=1e-15)
    # K = M has one end state, K = 3 on M = 2 two of them.
    assert result.eg_std.sel(K=2) < 1e-5
    ends = result.eg.sel(K=3).values
    assert ends.max() > 1.3 * ends.min()
    for seed in (0, 4):
        alone = phenomena.late_error_against_students([2, 3], seed=seed, **options)
        np.testing.assert_array_equal(alone.eg, result.eg.sel(seed=seed))
    assert result.stationary.dtype == bool
    np.testing.assert_array_equal(result.stationary, result.change < 0.01)


def test_what_still_moves_is_not_stationary():
    early = phenomena.late_error_against_delta([0.1], t_max=2.0, seeds=[1, 2], spectrum="orthogonal")
    assert not early.stationary.any()
    late = phenomena.late_error_against_learning_rate([0.1, 0.5], seeds=[3], spectrum="orthogonal")
    assert late.stationary.all()
    assert late.eg.shape == (2, 1)
    np.testing.assert_allclose(late.t, [40_000.0, 8_000.0])


@pytest.mark.parametrize("seeds", [[], [-1], [0.5]])
def test_bad_seeds(seeds):
    with pytest.raises(hr.HmmError):
        phenomena.late_error_against_students([1], seeds=seeds)


def test_seed_and_seeds_are_not_given_together():
    with pytest.raises(hr.InvalidParameterError, match="both given"):
        phenomena.late_error_against_students([1], seeds=[1], seed=2)


@pytest.mark.parametrize(
    "call",
    [
        lambda: phenomena.late_error_against_delta([0.1, -0.1]),
        lambda: phenomena.late_error_against_learning_rate([0.0]),
        lambda: phenomena.late_error_against_students([0]),
        lambda: phenomena.random_start(2, 2, delta=0.1, std_w=-1.0),
    ],
)
def test_bad_sweeps(call):
    with pytest.raises(hr.InvalidParameterError):
        call()
