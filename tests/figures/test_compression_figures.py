"""The figures of the compression study: their experiments quickly, each figure at its small scale in the slow tests."""

import json
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest

import hmm_rs as hr
from hmm_rs.experiments import compression as experiments
from hmm_rs.figures import compression as figures

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
