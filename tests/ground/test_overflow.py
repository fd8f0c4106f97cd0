"""Numbers beyond the range of floats are refused with the arguments to blame, not warned about."""

import numpy as np
import pytest

import hmm_rs as hr
from hmm_rs.ground.linear_algebra import eigh, eigvalsh, scale_of
from hmm_rs.ground.overflow import finite, within_range


def test_overflow_division_by_zero_and_what_has_no_value_are_refused():
    for call in (
        lambda: np.array([1e200]) ** 2,
        lambda: np.array([1.0]) / np.array([0.0]),
        lambda: np.sqrt(np.array([-1.0])),
    ):
        with pytest.raises(hr.InvalidParameterError, match=r"^w: .*; rescale"), within_range("w"):
            call()


def test_errors_of_the_package_come_through_as_they_are():
    with pytest.raises(hr.DivergenceError, match="mine"), within_range("w"):
        raise hr.DivergenceError("mine")


def test_results_of_the_core_are_looked_at():
    assert finite("w", {"a": np.ones(2), "name": "x", "n": 3})["n"] == 3
    with pytest.raises(hr.InvalidParameterError, match=r"w: .*b is not finite"):
        finite("w", {"a": 1.0, "b": np.array([1.0, np.nan])})


@pytest.mark.parametrize("size", [1e-300, 1e-160, 1.0, 1e160, 1e300])
def test_decompositions_do_not_depend_on_the_size_of_the_matrix(size):
    matrix = np.array([[2.0, 1.0], [1.0, 2.0]])
    values, vectors = eigh(size * matrix)
    # Two roundings of the entries, and as many of the result: 1e-15 each at most.
    np.testing.assert_allclose(values / size, [1.0, 3.0], rtol=4e-15)
    np.testing.assert_allclose(eigvalsh(size * matrix), values, rtol=4e-15)
    np.testing.assert_allclose(abs(vectors), np.sqrt(0.5), rtol=4e-15)


def test_a_scale_is_a_power_of_two_just_below_the_largest_entry():
    for largest in (5e-324, 1e-300, 0.75, 4.0, 1.7e308):
        scale = scale_of(np.array([0.0, -largest]))
        assert np.frexp(scale)[0] == 0.5
        assert 1.0 <= largest / scale < 2.0
    assert scale_of(np.zeros(3)) == 1.0
