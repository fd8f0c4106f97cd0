"""Pictures: what is drawn, labelled, and refused."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

import hmm_rs as hr


@pytest.fixture(scope="module")
def pair():
    model = hr.HiddenManifold(100, 20)
    student = hr.TwoLayer.random(2, 100, seed=1)
    sim = hr.OnlineSGD(model, hr.TwoLayer.random(2, 20), student=student, lr=0.2, test_size=200)
    ode = hr.theory.HiddenManifoldODE.from_simulation(sim)
    run = sim.run(5.0, save_at=[0.0, 0.5, 1.0, 5.0])
    return run, ode.solve(run.t.values)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_simulation_is_points_and_theory_a_line_of_the_same_colour(pair):
    ax = hr.plot.learning_curve(*pair)
    points, line = ax.get_lines()
    assert points.get_linestyle() == "None"
    assert points.get_marker() == "o"
    assert line.get_linestyle() == "-"
    assert points.get_color() == line.get_color()
    assert (points.get_xdata() > 0).all()  # t = 0 has no place on a logarithmic axis
    np.testing.assert_array_equal(points.get_ydata(), pair[0].eg.values[1:])
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["simulation", "theory"]
    assert ax.get_xlabel()
    assert ax.get_ylabel() == "generalisation error"
    assert ax.get_xscale() == ax.get_yscale() == "log"


def test_pictures_are_drawn_on_given_axes(pair):
    ax = plt.subplots()[1]
    assert hr.plot.learning_curve(pair[0], labels=["mine"], ax=ax) is ax
    assert ax.get_legend().get_texts()[0].get_text() == "mine"


def test_every_independent_entry_of_an_order_parameter_is_drawn_once(pair):
    ax = hr.plot.order_parameters(*pair)
    entries = 3 + 4  # Q11 Q12 Q22, R11 R12 R21 R22
    assert len(ax.get_lines()) == 2 * entries
    assert len(ax.get_legend().get_texts()) == entries


@pytest.mark.parametrize(
    ("error", "call"),
    [
        (hr.InvalidParameterError, lambda pair: hr.plot.learning_curve()),
        (hr.DtypeError, lambda pair: hr.plot.learning_curve([1, 2, 3])),
        (hr.InvalidParameterError, lambda pair: hr.plot.learning_curve(pair[0], variable="energy")),
        (hr.InvalidParameterError, lambda pair: hr.plot.learning_curve(pair[0], labels=["a", "b"])),
        (hr.InvalidParameterError, lambda pair: hr.plot.order_parameters(pair[0], variables=("P",))),
    ],
)
def test_what_cannot_be_drawn_is_refused(pair, error, call):
    with pytest.raises(error):
        call(pair)


@pytest.fixture(scope="module")
def hinge_run():
    law = hr.LinearlySeparable(20)
    network = hr.MeanFieldNetwork.random(50, 20, seed=1)
    X, y = law.sample(300, seed=1)
    run = hr.Particles(network, X, y, data=law, beta=1.0, test_size=200)
    return run.run(60, save_at=[0, 1, 10, 60]), X


def test_hinge_pictures(hinge_run):
    result, X = hinge_run
    theory = hr.theory.HingeMeanField(20)
    ax = hr.plot.particles(result, theory, nodes=3)
    # Three nodes: points, start and line each; two diagonals.
    assert len(ax.get_lines()) == 11
    ax = hr.plot.rotation(result, theory=theory)
    assert [text.get_text() for text in ax.get_legend().get_texts()][:2] == ["simulation", "mean field"]
    ax = hr.plot.satisfaction(result, X[:, 0], theory, M=50)
    assert ax.get_xscale() == "log"
    ax = hr.plot.overfitting(result, theory.memorisation(300, [1.0, 10.0, 60.0]))
    assert len(ax.get_lines()) == 6
    with pytest.raises(hr.InvalidParameterError, match="x_par"):
        hr.plot.satisfaction(result, X[:5, 0], theory)
    with pytest.raises(hr.InvalidParameterError, match="first_satisfied"):
        hr.plot.satisfaction(theory.observables([1.0]), X[:, 0], theory)


def test_fields_are_laid_over_what_gaussian_samples_would_give():
    model = hr.HiddenManifold(50, 25, f="erf")
    result = hr.theory.equivalence.test_gaussian_equivalence(model, np.ones(50), n_samples=2000)
    ax = hr.plot.gaussian_equivalence(result)
    lines = {line.get_label(): line for line in ax.get_lines()}
    assert list(lines) == result["name"].values.tolist()
    for i, line in enumerate(lines.values()):
        np.testing.assert_array_equal(line.get_ydata(), result.cdf.isel(field=i))
    # The grey band is as high as the floor of a Gaussian sample of this size, to both sides.
    [band] = ax.patches
    assert band.get_y() == -result.attrs["ks_floor"]
    assert band.get_height() == pytest.approx(2 * result.attrs["ks_floor"])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["Gaussian samples", *lines]


def test_rates_without_a_bound_have_no_line_for_it():
    rates = hr.theory.equivalence.rates([20, 40], f="erf", n_samples=2000, draws=2)
    whole, bare = hr.plot.equivalence_rates(rates), hr.plot.equivalence_rates(rates.drop_vars("beta"))
    told = [[text.get_text() for text in ax.get_legend().get_texts()] for ax in (whole, bare)]
    assert told[0][:3] == ["Stein bound", "|excess kurtosis|", "Kolmogorov distance"]
    assert told[1][:2] == ["|excess kurtosis|", "Kolmogorov distance"]


def test_refusals_of_pictures_say_what_to_pass(pair):
    none = r"results: none given; pass at least one"
    with pytest.raises(hr.InvalidParameterError, match=none):
        hr.plot.order_parameters()
    with pytest.raises(hr.InvalidParameterError, match=none):
        hr.plot.rotation()
    with pytest.raises(hr.InvalidParameterError, match=r"variables is empty: must name an order parameter"):
        hr.plot.order_parameters(pair[0], variables=())
    with pytest.raises(hr.InvalidParameterError, match=r"holds no test errors; pass what experiments"):
        hr.plot.error_curves(xr.Dataset({"x": ("p", [1.0])}, coords={"p": [2.0]}))
    errors = xr.Dataset({"x": ("p", [1.0], {"long_name": "test error"})}, coords={"p": [2.0]})
    with pytest.raises(hr.DtypeError, match=r"exponents = 3: must be a mapping"):
        hr.plot.error_curves(errors, exponents=3)
    run = xr.Dataset({"first_satisfied": ("example", [3, -1])}, coords={"t": [0.0]})
    field = hr.theory.HingeMeanField(10)
    for x_par, words in (
        ([1.0, 1e101], r"x_par reaches 1e\+101: no axis shows it; pass X\[:, 0\]"),
        ([1.0], r"x_par has shape \(1,\): the run has 2 examples; pass X\[:, 0\]"),
    ):
        with pytest.raises(hr.InvalidParameterError, match=words):
            hr.plot.satisfaction(run, x_par, field)
    with pytest.raises(
        hr.InvalidParameterError, match=r"no satisfied example: there is nothing to draw; run longer"
    ):
        hr.plot.satisfaction(run - 10, [1.0, 2.0], field)
