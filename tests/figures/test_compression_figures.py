"""The figures of the compression study: their experiments quickly, each figure at its small scale in the slow tests."""

import json
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

import hmm_rs as hr
from hmm_rs.experiments import compression as experiments
from hmm_rs.figures import Scale
from hmm_rs.figures import compression as figures
from hmm_rs.figures.compression import learning_curves

NAMES = [card.name for card in figures.CARDS]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_figure_agrees_at_its_small_scale(name):
    if name == "compression-images":
        pytest.importorskip("jax")
    made = hr.figures.run(name)
    plt.close(made.picture)
    assert made.passed, str(made)
    # Two minutes on two quiet cores; here others may be at work too.
    assert made.seconds < 240


def test_images_say_what_they_need():
    pytest.importorskip("sklearn")
    # A process of its own: here another test may have loaded JAX already.
    program = (
        "import sys\n"
        "sys.modules['jax'] = None\n"
        "import hmm_rs as hr\n"
        "try:\n"
        "    hr.figures.run('compression-images')\n"
        "except hr.HmmError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    assert "hmm_rs[cnn]" in done.stdout


def test_cards_say_how_sure_they_are():
    assert len(set(NAMES)) == len(NAMES)
    for card in figures.CARDS:
        assert card.sureness in ("high", "medium")
        assert "small scale" in card.parameters


# -- what the figures rest on --------------------------------------------------------------------------


def test_one_neuron_equations_find_the_first_fit():
    d, h = 3, 100
    times = np.linspace(0.0, 1.8, 37) * hr.theory.compression_time(
        h, 1e-6, max(point["growth"] for point in hr.theory.attractors(d))
    )
    solved = experiments.single_neurons(hr.Stripe(d), 2000, times, h=h, draws=4, neurons=30, rtol=1e-3)
    assert solved.attrs["source"] == "theory"
    assert solved["compression"].dims == ("t", "seed")
    runs = experiments.compression_scaling(d, sizes=[1000, 2000], seeds=4, h=h)
    # The output grows as e^{2rt}: a factor of two in it, what different draws make, is 3 % of t*; Euler steps of 2 %
    # lag by 3 % more.
    np.testing.assert_allclose(solved.t_star.mean(), runs.t_star.sel(p=2000).mean(), rtol=0.1)
    # Noise with two degrees of freedom: single draws scatter by a factor of two.
    ratio = np.exp(np.log(solved.lambda_star).mean() - np.log(runs.lambda_star.sel(p=2000)).mean())
    assert 0.4 < float(ratio) < 2.5
    # Too early a last time: no first fit, and no number that pretends to be one.
    early = experiments.single_neurons(hr.Stripe(d), 2000, times[:5], h=h, draws=1, neurons=10)
    assert np.isnan(early.t_star).all()
    with pytest.raises(hr.DtypeError, match="stretched"):
        experiments.single_neurons(hr.Stripe(3, stretch=0.5), 100, [1.0])


def test_every_convention_of_compression_is_returned():
    runs = experiments.compression_scaling(3, sizes=[64, 128], seeds=3, h=50)
    np.testing.assert_array_equal(runs.lambda_star, runs.lambda_star_ratio_of_rms)
    # By their definitions: the sum over d - 1 = 2 perpendicular components, and the mean of roots below the root of the
    # mean.
    np.testing.assert_allclose(runs.lambda_star_sum_perp * np.sqrt(2.0), runs.lambda_star_ratio_of_rms)
    assert (runs.lambda_star_mean_of_rms >= runs.lambda_star_ratio_of_rms - 1e-12).all()


def test_the_laplace_kernel_learns():
    result = experiments.learning_curves(
        hr.Stripe(2), sizes=[32, 256], seeds=3, curves=["laplace"], test_size=4000
    )
    first, last = result["laplace"].mean("seed").values
    # Between p = 32 and 256 the law p^(-1/2) falls by 2.8.
    assert last < 0.6 * first
    assert json.loads(result.attrs["settings"])["bandwidth"] == 100.0


def test_kernels_are_looked_at_on_either_set():
    options = {"seeds": 2, "h": 40, "fractions": (0.1,), "max_steps": 200, "test_size": 200}
    train, fresh = (
        experiments.kernel_evolution(hr.Stripe(3), 64, points=points, **options)
        for points in ("train", "kernel")
    )
    assert not np.allclose(train.omega2, fresh.omega2)
    # The same networks, learning the same fresh points when frozen.
    np.testing.assert_array_equal(train.frozen_error, fresh.frozen_error)
    assert (np.diff(train.eigenvalues.values, axis=-1) <= 0).all()


def test_pictures_of_kernels_and_neurons():
    result = experiments.circle_kernel(32, points=16, h=32, max_steps=60)
    ax = hr.plot.circle_kernel(result, theory=result[["initial"]], origin=np.pi / 2)
    assert r"\pi/2" in ax.get_ylabel()
    assert len(ax.containers) == 3
    plt.close(ax.figure)
    run = experiments.neuron_trajectories(hr.Stripe(5), 64, [0.0, 10.0], h=20)
    marks = hr.theory.attractors(5)
    ax = hr.plot.neuron_points(run, attractors=marks)
    stars = [line for line in ax.get_lines() if line.get_marker() == "*"]
    assert [line.get_xdata()[0] for line in stars] == [mark["z"] for mark in marks]
    plt.close(ax.figure)


@pytest.mark.slow
def test_learning_curves_of_images():
    pytest.importorskip("jax")
    result = experiments.image_learning_curves(
        *hr.cnn.digits(), sizes=[32], seeds=1, h=1, test=64, max_steps=5
    )
    assert set(result.data_vars) == {
        "network",
        "initial_ntk",
        "final_ntk",
        "initial_last",
        "final_last",
        "converged",
    }
    assert "test error" in result["final_last"].attrs["long_name"]
    # After five steps nothing has converged; the kernels learn all the same.
    assert float(result.converged[0, 0]) == 0.0
    assert float(result.initial_ntk[0, 0]) < 0.5


# -- each figure at a size of about a second: what is drawn, and what the table compares -------------------------------


# Two networks at so small a size: none may lie near the fastest attractor, and the mean of none is no number.
@pytest.mark.filterwarnings("ignore:Mean of empty slice:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_neurons_are_drawn_at_five_times_with_their_growth(tiny, labels_of):
    data, picture, table = figures.neurons_on_the_plane(tiny((3, 100, 20, 2)))
    *planes, growth = picture.axes
    assert [ax.get_title() for ax in planes] == [
        rf"$t = {t}\,t^*$" for t in ("0", "0.1", "0.3", "0.6", "0.9")
    ]
    stars = [line for line in planes[0].get_lines() if line.get_marker() == "*"]
    assert [line.get_xdata()[0] for line in stars] == [mark["z"] for mark in hr.theory.attractors(3)]
    assert labels_of(growth) == ["root mean square", "fastest attractor's rate"]
    assert data["simulation"].sizes["i"] == 20
    # The fastest attractor has the growth rate sqrt2 G, in units of 1/h.
    rate = np.sqrt(2.0) * max(mark["growth"] for mark in hr.theory.attractors(3))
    assert table[3].theory == pytest.approx(rate)
    # Close to it already at this size: Euler's lag and finite width take away a little.
    assert table[3].simulation == pytest.approx(rate, rel=0.15)


def test_compression_in_time_has_runs_theory_and_shares(tiny, labels_of):
    data, picture, table = figures.compression_in_time(tiny((3, 64, 20, 2, 2)))
    compression, shares = picture.axes
    assert labels_of(compression)[-1] == "one-neuron equations, ± 1 sd"
    assert labels_of(shares) == ["satisfied", "test error"]
    assert set(data) == {"simulation, seed 0", "simulation, seed 1", "theory"}
    for seed in (0, 1):
        run = data[f"simulation, seed {seed}"]
        assert float(run.satisfied[0]) < 0.1 < 0.8 < float(run.satisfied[-1])
        assert float(run["compression"][-1]) > float(run["compression"][0])
    assert [row.quantity for row in table] == [
        *(f"ln Lambda at {share} of the predicted t*" for share in (0.2, 0.5, 0.8)),
        "t*, a tenth of the examples fitted",
    ]


def test_compression_against_examples_has_both_conventions_and_the_law(tiny, labels_of):
    data, picture, table = figures.compression_against_examples(tiny(((32, 128), 3, 20, 2, 3)))
    for ax in picture.axes:
        assert "one-neuron equations" in labels_of(ax)
        assert r"\sqrt{p}" in labels_of(ax)[-1]
    assert [ax.texts[0].get_text() for ax in picture.axes] == ["ratio of rms", "mean of rms"]
    assert data["theory"].p.values.tolist() == [32.0, 128.0]
    laws = [row for row in table if row.quantity.endswith("law")]
    assert [row.theory for row in laws] == [0.5, 0.5]
    assert len(table) == 8


def test_one_neuron_equations_have_four_weights(tiny, labels_of):
    data, picture, table = figures.one_neuron_equations(tiny((3, 64, 20, 2, 2)))
    [ax] = picture.axes
    assert labels_of(ax) == [r"$\omega_1$", r"$\omega_i$", "$b$", r"$\beta$", "one-neuron equations"]
    # Both start from weights of variance one.
    for result in data.values():
        assert float(np.log(result.beta.isel(t=0)).mean()) == pytest.approx(0.0, abs=0.6)
    assert len(table) == 8


def test_the_circle_is_seen_from_both_axes(tiny, labels_of):
    data, picture, table = figures.kernel_of_a_circle(tiny((32, 16, 20, 2, 2, 1000)))
    first, second = picture.axes
    assert r"\pi/2" not in first.get_ylabel()
    assert r"\pi/2" in second.get_ylabel()
    wide = data["theory"].initial.values
    # Infinite width at the start: a function of the angle between two points alone.
    for shift in range(16):
        np.testing.assert_allclose(np.diagonal(np.roll(wide, shift, axis=1)), wide[0, -shift % 16], rtol=1e-9)
    assert [row.quantity for row in table[:2]] == [
        "Theta(0, 0) at the start",
        "Theta(0, pi/2) at the start",
    ]
    assert len(table) == 8


def test_kernel_components_have_three_panels(tiny, labels_of):
    data, picture, table = figures.kernel_principal_components(tiny((3, 64, 2, 20, 300)))
    shares, labels, information = picture.axes
    assert labels_of(shares) == ["start", "$t^*$", "end"]
    assert labels_of(labels) == ["start", "end of training"]
    assert labels_of(information)[-1] == "best of all"
    first = data["simulation"].eigenvalues.isel(stage=0)
    assert table[0].simulation == pytest.approx(float(first.isel(r=0).mean()))
    assert [row.theory > 0.0 for row in table] == [True] * 4


def test_curves_of_a_distribution_have_their_laws(labels_of):
    data, picture, table = learning_curves._figure(
        Scale(), [(hr.Stripe(3), "stripe, d = 3")], sizes=(128, 256), seeds=3, h=40, max_steps=2000
    )
    plt.close(picture)
    assert list(data) == ["stripe, d = 3"]
    assert picture.axes[0].get_title() == "stripe, d = 3"
    # Isotropic kernels follow d/(3d - 2), whoever learns features the law of two dimensions less steep by none.
    told = {row.quantity.partition("exponent, ")[2]: row.theory for row in table[:5]}
    exponents = hr.theory.learning_curve_exponents(3)
    assert told["kernel of infinite width"] == exponents["lazy"] == pytest.approx(3 / 7)
    assert sorted(set(told.values())) == sorted({exponents["lazy"], exponents["feature"]})
    # The initial kernel errs as one of infinite width does, but for its finite number of parameters.
    assert (
        table[-1].quantity == "stripe, d = 3: error of the initial kernel at p = 256, against infinite width"
    )
    assert table[-1].passed, table[-1]


def test_kernel_classifiers_need_no_network(tiny, labels_of):
    data, picture, table = figures.kernel_classifiers(tiny((64, 256), 3))
    assert [ax.get_title() for ax in picture.axes] == [f"stripe, d = {d}" for d in (2, 3, 5)]
    assert labels_of(picture.axes[0])[:2] == ["Laplace kernel", "kernel of infinite width"]
    assert [row.theory for row in table] == [pytest.approx(d / (3 * d - 2)) for d in (2, 2, 3, 3, 5, 5)]
    for result in data.values():
        assert (result.closed_ntk.isel(p=-1).mean() < result.closed_ntk.isel(p=0).mean()).all()


@pytest.mark.parametrize("make", [figures.curves_of_the_stripe, figures.curves_of_the_cylinder])
def test_curves_at_paper_scale_have_more_dimensions_and_sizes(make, monkeypatch):
    asked = []
    monkeypatch.setattr(
        learning_curves, "_figure", lambda scale, cases, **sizes: asked.append((cases, sizes))
    )
    make("small")
    make("paper")
    (small, little), (paper, much) = asked
    assert {law.d for law, _ in small} < {law.d for law, _ in paper}
    assert set(little["sizes"]) < set(much["sizes"])
    assert (much["sizes"][-1], much["h"], much["seeds"]) == (4096, 1000, 10)
    assert all(name.endswith(f"d = {law.d}") for law, name in (*small, *paper))


def test_errors_on_images_stand_beside_the_guides_of_the_published_plot(tiny, monkeypatch):
    p = np.array([32.0, 64.0])
    laws = {
        "network": 1 / 2,
        "initial_ntk": 1 / 3,
        "final_ntk": 1 / 2,
        "initial_last": 1 / 3,
        "final_last": 1 / 2,
    }

    def fallen(X, y, *, sizes, **options):
        # Errors that fall exactly as the guides: the fits must find the guides' exponents.
        curves = {
            name: (
                ("p", "seed"),
                0.4 * (p / 32.0)[:, None] ** -law * np.ones(2),
                {"long_name": f"test error, {name}"},
            )
            for name, law in laws.items()
        }
        return xr.Dataset(curves, coords={"p": p}, attrs={"source": "simulation"})

    monkeypatch.setattr(experiments, "image_learning_curves", fallen)
    _, picture, table = figures.images_at_small_size(tiny(((32, 64), 2, 1, 64, 4)))
    [ax] = picture.axes
    words = [text.get_text() for text in ax.texts] + [line.get_label() for line in ax.get_lines()]
    words += [text.get_text() for text in picture.legends[0].get_texts()] if picture.legends else []
    assert any("1/2" in word for word in words)
    assert any("1/3" in word for word in words)
    assert [row.simulation for row in table] == [pytest.approx(1 / 2), pytest.approx(1 / 3)]
    assert [row.theory for row in table] == [1 / 2, 1 / 3]
    assert {row.verdict for row in table} == {"no claim"}
