"""Marks with error bars: means, errors, what a logarithmic axis cannot hold; power laws with their exponents."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

import hmm_rs as hr
from hmm_rs.plot.marks import error_bars, power_law


@pytest.fixture
def ax():
    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


def runs(values, x=(1.0, 10.0, 100.0)):
    return xr.Dataset({"e": (("x", "seed"), np.asarray(values))}, coords={"x": list(x)})


def below(ax):
    return [line for line in ax.lines if line.get_gid() == "not positive"]


def marks(ax):
    line, _, (bars,) = ax.containers[0].lines
    return line, bars


def heights(bars):
    return np.array([np.ptp(segment[:, 1]) / 2 for segment in bars.get_segments()])


VALUES = np.array([[1.0, 3.0, 2.0], [4.0, 8.0, 6.0], [0.5, 0.5, 2.0]])


@pytest.mark.parametrize(("band", "over"), [("sem", 3**0.5), ("std", 1.0)])
def test_marks_are_means_and_bars_their_error_or_the_spread(ax, band, over):
    hr.plot.mean_over_seeds(runs(VALUES), "e", band=band, ax=ax)
    line, bars = marks(ax)
    np.testing.assert_allclose(line.get_ydata(), VALUES.mean(axis=1))
    np.testing.assert_allclose(heights(bars), VALUES.std(axis=1, ddof=1) / over)


def test_a_geometric_mean_has_the_error_of_the_mean_logarithm(ax):
    hr.plot.mean_over_seeds(runs(VALUES), "e", average="geometric", log="y", ax=ax)
    line, bars = marks(ax)
    expected = np.exp(np.log(VALUES).mean(axis=1))
    np.testing.assert_allclose(line.get_ydata(), expected)
    np.testing.assert_allclose(heights(bars), expected * np.log(VALUES).std(axis=1, ddof=1) / 3**0.5)
    with pytest.raises(hr.InvalidParameterError, match="must be positive, its smallest value is -1"):
        hr.plot.mean_over_seeds(runs(VALUES - 1.5), "e", average="geometric", ax=ax)


def test_a_mean_of_zero_is_marked_at_the_edge_of_a_logarithmic_axis_and_named_once(ax):
    for _ in range(2):
        hr.plot.mean_over_seeds(runs(VALUES * [[1], [0], [1]]), "e", log="xy", label="runs", ax=ax)
    assert [list(line.get_xdata()) for line in below(ax)] == [[10.0], [10.0]]
    # In units of the panel's height, at its lower edge.
    assert below(ax)[0].get_transform() == ax.get_xaxis_transform()
    assert below(ax)[0].get_ydata()[0] < 0.05
    assert ax.get_legend_handles_labels()[1].count("zero, below the axis") == 1
    np.testing.assert_array_equal(marks(ax)[0].get_xdata(), [1.0, 100.0])


def test_a_mean_of_zero_is_an_ordinary_point_of_a_linear_axis(ax):
    hr.plot.mean_over_seeds(runs(VALUES * [[1], [0], [1]]), "e", ax=ax)
    assert below(ax) == []
    np.testing.assert_array_equal(marks(ax)[0].get_ydata(), [2.0, 0.0, 1.0])


def test_one_seed_has_no_error_and_a_start_no_place_on_logarithmic_time(ax):
    ax.set_xscale("log")
    error_bars(ax, [0.0, 1.0], [1.0, 2.0], [np.nan, np.nan])
    line, bars = marks(ax)
    np.testing.assert_array_equal(line.get_xdata(), [1.0])
    np.testing.assert_array_equal(heights(bars), [0.0])


def test_the_line_of_the_theory_has_the_colour_of_its_marks(ax):
    theory = xr.Dataset({"law": ("x", [2.0, 6.0, 0.0])}, coords={"x": [1.0, 10.0, 100.0]})
    hr.plot.mean_over_seeds(
        runs(VALUES),
        "e",
        theory=theory,
        expected="law",
        theory_label="law",
        colour="#123456",
        log="xy",
        ax=ax,
    )
    (line,) = (line for line in ax.lines if line.get_label() == "law")
    assert line.get_color() == marks(ax)[0].get_color() == "#123456"
    np.testing.assert_array_equal(line.get_ydata(), [2.0, 6.0])


def test_a_power_law_goes_through_its_point_and_says_its_exponent(ax):
    ax.set(xscale="log", yscale="log")
    power_law(ax, [10.0, 20.0, 1000.0], -0.5, through=(10.0, 3.0))
    (line,) = ax.lines
    np.testing.assert_allclose(line.get_xdata(), [10.0, 1000.0])
    np.testing.assert_allclose(line.get_ydata(), [3.0, 0.3])
    assert [text.get_text() for text in ax.texts] == ["slope \N{MINUS SIGN}0.50"]
