"""The figures of the hinge study: their parts quickly, each of them at its small scale in the slow tests."""

import math

import matplotlib.colors as mcolors
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

import hmm_rs as hr
from hmm_rs.figures import hinge
from hmm_rs.figures.allowance import binomial_error, confidence, paired_row, three_errors, two_sample_row
from hmm_rs.figures.hinge.setting import faster_memory, second_harmonic_left
from hmm_rs.plot.axes import distinct_colours

NAMES = [card.name for card in hinge.CARDS]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_figure_agrees_at_its_small_scale(name):
    made = hr.figures.run(name)
    plt.close(made.picture)
    assert made.passed, str(made)
    assert made.data
    # Two minutes on two quiet cores; here others may be at work too.
    assert made.seconds < 240


def test_a_quick_figure_has_data_picture_and_table():
    # The quickest of them: 80 runs of two steps.
    data, picture, table = hinge.early_error_of_finite_sets()
    assert set(data) == {"simulation", "theory"}
    assert len(picture.axes) == 2
    assert [ax.get_title(loc="left") for ax in picture.axes] == ["(a)", "(b)"]
    assert all(row.passed for row in table), table
    plt.close(picture)


def test_names_of_before_are_there():
    assert {"hinge-1", "hinge-2", "hinge-3", "hinge-mislabelled", "hinge-real-data"} <= set(NAMES)
    for function in (hinge.mean_field_trajectories, hinge.lazy_and_rich, hinge.overfitting_gap):
        assert function.__defaults__ == ("small",)


def lines_of(ax):
    return {line.get_label(): line for line in ax.get_lines() if not line.get_label().startswith("_")}


@pytest.mark.slow
def test_first_figure_shows_the_late_law_and_tells_theory_from_simulation():
    _, picture, _ = hinge.mean_field_trajectories("small")
    a, w, rotation, satisfaction = picture.axes
    # A run has its own C0 != 0; the published log(t)/4 line is there all the same, near the curve at the end.
    lines = lines_of(rotation)
    late = next(line for label, line in lines.items() if "log" in label)
    assert late.get_xdata().size > 10
    assert late.get_ydata()[-1] == pytest.approx(lines["mean field"].get_ydata()[-1], rel=0.02)
    for ax in (a, w):
        assert [text.get_text() for text in ax.get_legend().get_texts()] == ["simulation", "theory"]
        marks = [line for line in ax.get_lines() if line.get_marker() == "o"]
        assert len({mcolors.to_hex(line.get_color()) for line in marks}) == 10
        assert len(ax.get_lines()) == 20
    for ax in (rotation, satisfaction):
        assert ax.get_legend() is not None
    assert [ax.get_title(loc="left") for ax in picture.axes] == ["(a)", "(b)", "(c)", "(d)"]
    picture.canvas.draw()
    for ax in picture.axes:
        low, high = ax.get_xlim()
        assert 2 <= len([x for x in ax.get_xticks() if low <= x <= high]) <= 9
    plt.close(picture)


def test_no_colour_twice():
    for count in (1, 7, 10, 30):
        colours = [mcolors.to_hex(colour) for colour in distinct_colours(count)]
        assert len(set(colours)) == count


@pytest.fixture(scope="module")
def several():
    network = hr.MeanFieldNetwork.random(50, 20, seed=1)

    def one(seed):
        run = hr.Particles(network, data=hr.LinearlySeparable(20), batch=50, test_size=50, seed=seed)
        return run.run(10, save_at=[1, 3, 10])

    return hr.ensemble(one, seeds=4)


def test_several_seeds_have_error_bars(several):
    runs = several.drop_vars([name for name in several if name.endswith(("_mean", "_std", "_sem"))])
    ax = hr.plot.rotation(runs, theory=hr.theory.HingeMeanField(20))
    assert len(ax.containers) == 1
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert {"simulation", "mean field"} <= set(labels)
    plt.close(ax.figure)
    ax = hr.plot.overfitting(runs)
    assert len(ax.containers) == 4
    plt.close(ax.figure)


def test_a_mean_over_seeds_and_its_theory(several):
    theory = hr.theory.HingeMeanField(20).gd(10)
    ax = hr.plot.mean_over_seeds(several, "gamma", theory=theory, label="runs", colour="C3")
    [bars] = ax.containers
    np.testing.assert_allclose(bars.lines[0].get_ydata(), several.gamma.mean("seed"))
    plt.close(ax.figure)
    with pytest.raises(hr.InvalidParameterError, match="seed and one more"):
        hr.plot.mean_over_seeds(several.isel(seed=0), "gamma")
    assert isinstance(several, xr.Dataset)


def test_allowed_gaps_are_errors_of_means():
    rng = np.random.default_rng(0)
    # Three sigma: about one mean in 370 lies beyond, with four seeds as with forty.
    for n in (4, 40):
        samples = rng.normal(size=(4000, n))
        beyond = np.mean([abs(each.mean()) > three_errors(each) for each in samples])
        assert 0.0005 < beyond < 0.006
    assert confidence(1) > confidence(2) > 3.0
    assert math.isinf(three_errors([1.0]))
    row = paired_row("x", [1.0, 2.0, np.nan], [1.1, 2.1, 5.0], more=0.2, because="and rounding")
    assert (row.theory, row.simulation) == (1.5, pytest.approx(1.6))
    assert row.allowed == pytest.approx(0.2)
    assert "rounding" in row.why
    wide = two_sample_row("x", [1.0, 3.0], [1.0, 3.0])
    assert wide.gap == 0.0
    assert wide.allowed == pytest.approx(math.sqrt(2) * confidence(1))
    assert binomial_error(0.5, 900) == pytest.approx(0.05)


def test_memory_of_degree_two_is_that_of_a_smaller_set():
    theory = hr.theory.HingeMeanField(40, beta=2.0)
    # At the start nothing is taken back: (1/(2 pi))/(1/4 - 1/(2 pi)) = 1.752.
    assert faster_memory(theory, 10**6, 1.0) == pytest.approx(10**6 / 2.752, rel=1e-3)
    # Many examples take it back in the end: less of it is left, and many are there to do it.
    assert faster_memory(theory, 10**9, 3000.0) > 0.99 * 10**9
    left = [second_harmonic_left(theory, t) for t in (1.0, 100.0, 1000.0)]
    assert left == sorted(left, reverse=True)
    assert left[0] == pytest.approx(1.0, abs=1e-3)
