"""Checks of arguments: what is taken, and that everything else is refused in our words."""

import decimal
import fractions
import os

import numpy as np
import pytest
import scipy.sparse

import hmm_rs as hr
from hmm_rs.ground import arguments


class Hostile:
    def __repr__(self):
        raise RuntimeError("no repr")

    def __float__(self):
        raise ZeroDivisionError

    def __index__(self):
        raise TypeError


@pytest.mark.parametrize("value", [0.25, np.float32(0.25), np.array(0.25), decimal.Decimal("0.25")])
def test_numbers_of_other_types_are_taken(value):
    assert arguments.number("lr", value) == 0.25


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (10**400, hr.errors.InvalidParameterError),
        (10**5000, hr.errors.InvalidParameterError),
        (decimal.Decimal("1e999"), hr.errors.InvalidParameterError),
        (fractions.Fraction(10**400), hr.errors.InvalidParameterError),
        (float("nan"), hr.errors.InvalidParameterError),
        (decimal.Decimal("sNaN"), hr.errors.DtypeError),
        ("0.5", hr.errors.DtypeError),
        (b"0.5", hr.errors.DtypeError),
        ("\ud800", hr.errors.DtypeError),
        (np.array([0.5]), hr.errors.DtypeError),
        (0.5j, hr.errors.DtypeError),
        (np.complex128(0.5), hr.errors.DtypeError),
        (np.ma.masked, hr.errors.DtypeError),
        (np.datetime64("2020"), hr.errors.DtypeError),
        (None, hr.errors.DtypeError),
        ([[1], [1, 2]], hr.errors.DtypeError),
        (Hostile(), hr.errors.DtypeError),
    ],
    ids=arguments.shown,
)
def test_what_is_no_finite_number_is_refused(value, error):
    with pytest.raises(error, match="lr = ") as caught:
        arguments.number("lr", value)
    str(caught.value).encode()


@pytest.mark.parametrize(
    "value", [2**53 + 1, 2**63, 2**64 + 1, 2**70, 10**5000, np.uint64(2**64 - 1)], ids=arguments.shown
)
def test_counts_end_where_double_precision_stops_counting(value):
    with pytest.raises(hr.InvalidParameterError, match=r"N = .*<= 2\*\*53"):
        arguments.count("N", value)
    assert arguments.count("N", 2**53) == 2**53
    assert arguments.count("seed", value, maximum=None) == int(value)


@pytest.mark.parametrize("value", ["3", 3.0, None, object(), [3], Hostile()], ids=arguments.shown)
def test_what_is_no_integer_is_refused(value):
    with pytest.raises(hr.errors.DtypeError, match="N = "):
        arguments.count("N", value)


def test_seeds_may_be_as_large_as_numpy_draws_them():
    entropy = np.random.SeedSequence(2**127 + 5)
    np.testing.assert_array_equal(arguments.seed_words(2**127 + 5), arguments.seed_words(entropy))
    assert len(arguments.seed_words([1, 2**64])) == 8


@pytest.mark.parametrize("value", ["False", "no", "", "True", 2, None, [], "\ud800", 1.0])
def test_flags_are_true_or_false(value):
    with pytest.raises(hr.errors.DtypeError, match="classify = "):
        arguments.flag("classify", value)


def test_flags_of_numpy_and_zero_and_one_are_taken():
    assert arguments.flag("classify", np.bool_(True)) is True
    assert arguments.flag("classify", 0) is False
    assert arguments.flag("classify", np.int64(1)) is True


def test_threads_are_bounded_by_what_makes_sense(monkeypatch):
    assert arguments.threads("threads", None) is None
    for cores, most in [(1, 64), (16, 64), (32, 128), (512, 1024)]:
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        assert arguments.threads("threads", most) == most
        for more in (most + 1, 2**63, 10**5000):
            with pytest.raises(
                hr.InvalidParameterError, match=rf"<= {most} on this machine of {cores} cores"
            ):
                arguments.threads("threads", more)
    for nonsense in (object(), "2", 2.0):
        with pytest.raises(hr.errors.DtypeError, match="threads = "):
            arguments.threads("threads", nonsense)
    with pytest.raises(hr.InvalidParameterError, match="threads = 0"):
        arguments.threads("threads", 0)


def test_an_unknown_choice_says_what_may_have_been_meant():
    with pytest.raises(hr.InvalidParameterError, match=r"did you mean 'hinge'\?.*'hinge', 'linear'"):
        arguments.choice("loss", "higne", ["hinge", "linear"])
    with pytest.raises(hr.InvalidParameterError) as caught:
        arguments.choice("loss", "\ud800", ["hinge", "linear"])
    assert "did you mean" not in str(caught.value)
    str(caught.value).encode()
    for value in (5, ["hinge"], None, Hostile()):
        with pytest.raises(hr.InvalidParameterError, match="unknown choice"):
            arguments.choice("loss", value, ["hinge"])


def refused(value, error, match, **options):
    with pytest.raises(error, match=match):
        arguments.array("X", value, (None, None), **options)


def test_arrays_that_are_not_dense_and_real_are_refused():
    X = np.ones((2, 3))
    masked = np.ma.masked_array(X, mask=[[0, 0, 1], [0, 0, 0]])
    refused(masked, hr.errors.DtypeError, "masked")
    refused([masked[0], masked[1]], hr.errors.DtypeError, "masked")
    refused(X + 0j, hr.errors.DtypeError, "complex")
    refused([[1j]], hr.errors.DtypeError, "complex")
    for sparse in (scipy.sparse.csr_matrix(X), scipy.sparse.coo_array(X)):
        refused(sparse, hr.errors.DtypeError, r"pass X\.toarray\(\)")
    for value in ([["1", "2"]], np.zeros((2, 2), "M8[s]"), np.zeros((2, 2), "f8,i4"), [[1], [1, 2]], [[{}]]):
        refused(value, hr.errors.DtypeError, "real numbers")
    refused(object(), hr.errors.ShapeError, "shape")
    # A mask that hides nothing is no reason to refuse.
    np.testing.assert_array_equal(arguments.array("X", np.ma.masked_array(X), (2, 3)), X)


def test_numbers_beyond_the_range_of_the_dtype_are_named():
    refused([[1e39, 1.0]], hr.InvalidParameterError, "beyond the range of float32", dtype=np.float32)
    refused([[10**400, 1]], hr.InvalidParameterError, "beyond the range of float64")
    refused([[np.inf, 1.0]], hr.InvalidParameterError, "1 non-finite values", dtype=np.float32)


def test_a_broadcast_giant_is_refused_before_it_is_copied():
    for shape, value in [((10**7, 10**7), 1.0), ((10**9, 10**6), np.float32(1))]:
        refused(np.broadcast_to(value, shape), hr.ResourceError, "GiB")
    # One that fits is copied.
    assert arguments.array("X", np.broadcast_to(1.0, (3, 4)), (3, 4)).flags.c_contiguous


FLAGS = {
    "center": lambda value: hr.HiddenManifold(4, 2, center=value),
    "normalise_rows": lambda value: hr.HiddenManifold(4, 2, normalise_rows=value),
    "clean": lambda value: hr.LinearlySeparable(2).sample(2, clean=value),
    "center of layers": lambda value: hr.generators.random_layers([2, 3], "erf", center=value),
    "center of a function": lambda value: hr.generators.from_callable(lambda c: c, 2, center=value),
    "center of a file": lambda value: hr.generators.digits_flow(center=value),
    "subtract_init": lambda value: hr.theory.HingeMeanField(3, subtract_init=value),
}


@pytest.mark.parametrize("name", FLAGS)
def test_a_text_is_no_flag_in_any_room(name):
    for value in ("False", "no", "", None):
        with pytest.raises(hr.errors.DtypeError, match=f"{name.split()[0]} = .*True or False"):
            FLAGS[name](value)
    FLAGS[name](False)
    FLAGS[name](np.True_)


def test_a_list_is_what_has_entries_to_go_through():
    for value in ([1, 2], (1, 2), range(1, 3), np.array([1, 2]), iter([1, 2]), {1: 0, 2: 0}.keys()):
        assert arguments.items("N", value, "numbers") == [1, 2]
    for value in ("12", b"12", {1: 0}, 3, None, np.array(3), np.int64(3), abs, np.ma.masked):
        with pytest.raises(hr.errors.DtypeError, match=r"N = .*must be a list; pass numbers"):
            arguments.items("N", value, "numbers")


def test_arrays_of_any_shape_are_real_numbers():
    assert arguments.reals("t", 2).shape == ()
    assert arguments.reals("t", []).shape == (0,)
    assert arguments.reals("t", [[1, 2]]).dtype == np.float64
    assert arguments.reals("t", [np.inf], infinite=True) == np.inf
    assert np.isnan(arguments.reals("t", [np.nan], missing=True))
    for value in (
        np.nan,
        [np.inf],
        [[1.0], [1.0, 2.0]],
        "1",
        1j,
        np.ma.masked,
        np.datetime64("2020"),
        None,
        [10**400],
    ):
        with pytest.raises(hr.HmmError, match="t "):
            arguments.reals("t", value)
    assert arguments.whole_numbers("classes", [1.0, 2.0]).dtype == np.int64
    with pytest.raises(hr.errors.DtypeError, match="whole numbers"):
        arguments.whole_numbers("classes", [0.5])
