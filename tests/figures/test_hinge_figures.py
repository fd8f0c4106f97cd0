"""The figures of the hinge study at their small scale: drawn, and theory near simulation."""

import matplotlib.colors as mcolors
import matplotlib.pyplot as plt
import pytest
import xarray as xr

import hmm_rs as hr
from hmm_rs.figures import hinge
from hmm_rs.plot.axes import distinct_colours


@pytest.mark.parametrize(
    ("figure", "gap"),
    [
        # Finite training set (N = 10^4) and M = 400.
        (hinge.mean_field_trajectories, 0.1),
        # M = 1000 and batches of 8000.
        (hinge.lazy_and_rich, 0.05),
        # N = d^2/2: at the edge of the theory's domain, whose end is a rough estimate.
        (hinge.overfitting_gap, 0.5),
    ],
)
def test_small_figures(figure, gap):
    data, picture, table = figure("small")
    assert data
    assert picture.axes
    for row in table:
        assert abs(row.simulation - row.theory) < gap * abs(row.theory), row
    plt.close(picture)


def lines_of(ax):
    return {line.get_label(): line for line in ax.get_lines() if not line.get_label().startswith("_")}


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
        styles = {(line.get_linestyle(), line.get_marker()) for line in ax.get_lines()}
        assert len(styles) >= 2
        assert ax.get_legend() is not None
    plt.close(picture)


def test_no_colour_twice():
    for count in (1, 7, 10, 30):
        colours = [mcolors.to_hex(colour) for colour in distinct_colours(count)]
        assert len(set(colours)) == count


def test_several_seeds_have_error_bars():
    network = hr.MeanFieldNetwork.random(50, 20, seed=1)

    def one(seed):
        run = hr.Particles(network, data=hr.LinearlySeparable(20), batch=50, test_size=50, seed=seed)
        return run.run(10, save_at=[1, 3, 10])

    several = xr.concat([one(seed) for seed in range(4)], dim="seed", combine_attrs="drop_conflicts")
    ax = hr.plot.rotation(several, theory=hr.theory.HingeMeanField(20))
    assert len(ax.containers) == 1
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert {"simulation", "mean field"} <= set(labels)
    plt.close(ax.figure)
    ax = hr.plot.overfitting(several)
    assert len(ax.containers) == 4
    plt.close(ax.figure)


def test_logarithmic_axes_have_readable_ticks():
    _, picture, _ = hinge.mean_field_trajectories("small")
    picture.canvas.draw()
    for ax in picture.axes:
        labels = [text.get_text() for text in ax.get_xticklabels() if text.get_text()]
        low, high = ax.get_xlim()
        inside = [x for x in ax.get_xticks() if low <= x <= high]
        assert 2 <= len(inside) <= 9
        assert labels
    plt.close(picture)
