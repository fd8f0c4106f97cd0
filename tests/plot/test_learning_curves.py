"""Learning curves of everything a function returns: seeds, sweeps, theory beside them, readable ticks."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

import hmm_rs as hr


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def curves(source, dims, sizes):
    """A dataset `eg` over t and `dims`, decreasing in t, different for every other index."""
    t = np.geomspace(0.1, 100.0, 7)
    shape = (7, *sizes)
    values = (
        1.0 / (1.0 + t.reshape(-1, *(1 for _ in sizes))) * (1.0 + np.arange(np.prod(sizes)).reshape(sizes))
    )
    data = xr.Dataset(
        {"eg": (("t", *dims), np.broadcast_to(values, shape))},
        coords={"t": t, **{dim: np.arange(1, size + 1) for dim, size in zip(dims, sizes, strict=True)}},
    )
    return data.assign_attrs(source=source)


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_a_sweep_is_one_curve_a_value_whatever_the_order_of_dimensions():
    data = curves("theory", ("K",), (3,)).transpose("K", "t")
    ax = hr.plot.learning_curve(data)
    assert ax.get_xlabel() == "t"
    assert legend(ax) == ["K = 1", "K = 2", "K = 3"]
    assert len({line.get_color() for line in ax.get_lines()}) == 3
    np.testing.assert_array_equal(ax.get_lines()[1].get_ydata(), data.eg.sel(K=2))


def test_the_published_sweep_over_widths_has_one_curve_a_width():
    ax = hr.plot.learning_curve(hr.theory.phenomena.increasing_complexity([1, 2, 4]))
    assert legend(ax) == ["K = 1", "K = 2", "K = 4"]
    assert ax.get_xlabel().startswith("time")


def test_seeds_are_a_mean_and_a_band():
    data = curves("simulation", ("seed",), (4,))
    spread = data.eg.std("seed", ddof=1)
    for band, half in (("std", spread), ("sem", spread / 2.0)):
        ax = hr.plot.learning_curve(data, band=band)
        (line,) = ax.get_lines()
        np.testing.assert_allclose(line.get_ydata(), data.eg.mean("seed"))
        upper = ax.collections[0].get_paths()[0].vertices[:, 1].max()
        assert upper == pytest.approx(float((data.eg.mean("seed") + half).max()))


def test_simulation_and_theory_of_a_sweep_share_colours_and_are_told_apart():
    run, theory = curves("simulation", ("lr", "seed"), (2, 3)), curves("theory", ("lr",), (2,))
    ax = hr.plot.learning_curve(run, theory)
    assert legend(ax) == ["lr = 1", "lr = 2", "simulation", "theory"]
    lines = [line for line in ax.get_lines() if len(line.get_xdata())]
    assert [line.get_color() for line in lines[:2]] == [line.get_color() for line in lines[2:]]
    assert [line.get_linestyle() for line in lines] == ["None", "None", "-", "-"]


@pytest.mark.parametrize(
    ("result", "match"),
    [
        (curves("simulation", ("K", "lr"), (2, 2)), r"\.sel\(lr=\.\.\.\)"),
        (curves("simulation", ("k",), (2,)).drop_vars("k"), "order_parameters"),
        (xr.Dataset({"eg": 5.0}), "one number"),
        (curves("simulation", (), ()).isel(t=slice(0, 0)), "nothing to draw"),
    ],
)
def test_what_does_not_fit_into_one_picture_is_refused_with_the_way_out(result, match):
    with pytest.raises(hr.InvalidParameterError, match=match):
        hr.plot.learning_curve(result)


def test_order_parameters_of_several_seeds_are_refused_with_the_way_out():
    values = xr.DataArray(np.ones((3, 2, 2, 2)), dims=("t", "seed", "k", "k2"))
    result = xr.Dataset({"Q": values}, coords={"t": [1.0, 2.0, 3.0]})
    with pytest.raises(hr.InvalidParameterError, match=r"mean\('seed'\)"):
        hr.plot.order_parameters(result, variables=("Q",))
    assert len(hr.plot.order_parameters(result.mean("seed"), variables=("Q",)).get_lines()) == 3


def test_results_over_different_dimensions_are_drawn_apart():
    with pytest.raises(hr.InvalidParameterError, match="draw them apart"):
        hr.plot.learning_curve(curves("simulation", ("K",), (2,)), curves("theory", (), ()))


@pytest.mark.parametrize("high", [1.3, 3.0, 9.0, 40.0, 1e3, 1e9])
def test_labels_on_logarithmic_axes_do_not_run_into_each_other(high):
    x = np.geomspace(1.0, high, 20)
    data = xr.Dataset({"eg": ("t", 1.0 / x)}, coords={"t": x}).assign_attrs(source="theory")
    ax = hr.plot.learning_curve(data)
    figure = ax.get_figure()
    figure.canvas.draw()
    for axis, side in ((ax.xaxis, 0), (ax.yaxis, 1)):
        shown = [label for label in axis.get_ticklabels(which="both") if label.get_text()]
        boxes = sorted(
            (box.intervalx if side == 0 else box.intervaly).tolist()
            for box in (label.get_window_extent() for label in shown)
        )
        assert len(boxes) >= 2
        assert all(before[1] < after[0] for before, after in itertools.pairwise(boxes))


def test_points_along_a_parameter_may_have_error_bars():
    run, theory = curves("simulation", ("seed",), (4,)), curves("theory", (), ())
    ax = hr.plot.learning_curve(run, theory, bars=True)
    assert len(ax.containers) == 1
    # Simulations have bars in the place of bands; the theory has neither.
    assert not [shape for shape in ax.collections if type(shape).__name__ == "FillBetweenPolyCollection"]
    with pytest.raises(hr.HmmError, match="bars"):
        hr.plot.learning_curve(run, bars="yes")


def test_more_than_seven_values_have_a_colour_each():
    ax = hr.plot.learning_curve(curves("theory", ("K",), (9,)))
    assert len({line.get_color() for line in ax.get_lines()}) == 9


def test_values_below_zero_keep_their_band():
    data = curves("simulation", ("seed",), (3,)) - 2.0
    ax = hr.plot.learning_curve(data, bars=True)
    (bars,) = ax.containers
    low = min(segment[:, 1].min() for segment in bars.lines[2][0].get_segments())
    spread = data.eg.std("seed", ddof=1)
    assert low == pytest.approx(float((data.eg.mean("seed") - spread).min()))
