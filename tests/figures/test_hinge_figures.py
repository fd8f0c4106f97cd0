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
from hmm_rs.figures.hinge import trajectories
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


def test_a_quick_figure_has_data_picture_and_table(tiny):
    # The quickest of them: 40 runs of two steps.
    data, picture, table = hinge.early_error_of_finite_sets(tiny((1000, 8, 5000)))
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


# -- each figure at a size of about a second: what is drawn, and what the table compares -------------------------------


def letters_of(picture):
    return [ax.get_title(loc="left") for ax in picture.axes]


def test_first_figure_has_nodes_rotation_and_satisfaction(tiny, labels_of, monkeypatch):
    monkeypatch.setattr(trajectories, "_D", 20)
    monkeypatch.setattr(trajectories, "_M", 100)
    data, picture, table = hinge.mean_field_trajectories(tiny((3000, 100)))
    a, w, rotation, satisfaction = picture.axes
    for ax in (a, w):
        # Ten nodes, each with the line of its theory.
        assert labels_of(ax) == ["simulation", "theory"]
        assert len(ax.get_lines()) == 20
    assert labels_of(rotation)[:2] == ["simulation", "mean field"]
    assert labels_of(satisfaction) == ["examples (run)", "mean field", "± 1 sd at M = 100"]
    assert data["simulation"].sizes["i"] == 100
    # Three steps of the rotation, two kinds of weights, two projections; the rotation starts as the theory's.
    assert [row.quantity.split()[0] for row in table] == ["gamma"] * 3 + ["slope"] * 2 + ["median"] * 2
    assert table[0].passed, table[0]


def test_second_figure_goes_from_rich_to_lazy(tiny, labels_of):
    data, picture, table = hinge.lazy_and_rich(tiny((40, 100)))
    assert [ax.get_title() for ax in picture.axes] == [rf"$\alpha = {alpha}$" for alpha in ("0.1", "1", "30")]
    assert letters_of(picture) == ["(a)", "(b)", "(c)"]
    for ax in picture.axes:
        assert labels_of(ax) == ["simulation", "theory"]
        assert ax.get_xlabel() == "output weight $a$"
    assert [row.quantity for row in table][:2] == [f"gamma at alpha = 0.1, step {step}" for step in (50, 150)]
    assert all(row.passed for row in table), table
    # The lazier, the less its nodes move from where they start.
    moved = [float(abs(runs.a.isel(t=-1) - runs.a.isel(t=0)).mean()) for runs in data.values()]
    assert moved == sorted(moved, reverse=True)


def test_third_figure_and_the_mislabelled_one_compare_training_and_test(tiny, labels_of):
    sizes = (10, 1000, 20, 2.0, 100)
    data, picture, table = hinge.overfitting_gap(tiny(sizes))
    [ax] = picture.axes
    assert {"train, unsatisfied", "test, unsatisfied (theory)"} <= set(labels_of(ax))
    assert len(ax.containers) == 4
    assert len(table) == 6
    assert all(row.passed for row in table), table
    clean = data["simulation"]

    data, picture, table = hinge.mislabelled_examples(tiny(sizes))
    rotation, unsatisfied, error = picture.axes
    assert labels_of(rotation) == ["0% mislabelled", "2% mislabelled", "5% mislabelled"]
    assert labels_of(unsatisfied) == ["training set", "fresh examples", "theory"]
    # Two kinds of marks for each share of flipped labels.
    assert len(unsatisfied.containers) == len(error.containers) == 6
    assert len(table) == 18
    # One problem in both figures, and flipped labels leave more examples unsatisfied at the end.
    xr.testing.assert_equal(data["simulation, flip=0"], clean)
    left = [
        float(data[f"simulation, flip={flip}"].unsatisfied.isel(t=-1).mean())
        for flip in ("0", "0.02", "0.05")
    ]
    assert left == sorted(left)


def test_real_images_have_the_theory_of_their_moments(tiny, labels_of):
    data, picture, table = hinge.realistic_data(tiny((20, 2)))
    a, w, rotation = picture.axes
    assert len(a.get_lines()) == len(w.get_lines()) == 20
    assert labels_of(rotation) == ["simulation", "mean field"]
    assert [row.quantity for row in table] == [
        *(f"gamma at step {step}" for step in (10, 20, 40)),
        "unsatisfied fraction at step 20",
    ]
    # What real data leave out shows later; at first every network turns as its theory says.
    assert table[0].simulation == pytest.approx(table[0].theory, rel=0.05)
    assert data["simulation"].sizes["seed"] == 2


def test_error_of_finite_width_has_three_stages(tiny, labels_of):
    data, picture, table = hinge.error_of_finite_width(tiny((50, 200), (3, 400, 1000)))
    [ax] = picture.axes
    assert labels_of(ax) == [
        "step 2, frozen fluctuations",
        "step 10, frozen fluctuations",
        "step 50, residual fluctuations",
        "theory",
    ]
    assert [row.quantity for row in table][:2] == [f"test error at step 2, M = {M}" for M in (50, 200)]
    errors = data["simulation"].test_error.mean("seed")
    # A wider network errs less, and a later one.
    assert (errors.sel(M=200, t=[2, 10]) < errors.sel(M=50, t=[2, 10])).all()
    assert (np.diff(errors.values, axis=list(errors.dims).index("t")) < 0).all()
