"""The figures beyond the papers at their small scale: theory and samples agree, and the curves have their order."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import hmm_rs as hr


@pytest.fixture
def made(request):
    figure = hr.figures.run(request.param)
    yield figure
    plt.close(figure.picture)


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


@pytest.mark.slow
@pytest.mark.parametrize("made", ["optimal-errors"], indirect=True)
def test_optimal_errors(made):
    assert made.passed, str(made)
    for teacher, error in (("sign", "test_error"), ("linear", "test_mse")):
        best = made.data[f"{teacher}-optimal"][error].values
        others = [
            curve[error].values
            for name, curve in made.data.items()
            if name.startswith(teacher) and not name.endswith(("optimal", "amp"))
        ]
        assert len(others) >= 2
        for other in others:
            assert (best <= other * (1 + 1e-9)).all()
    assert all(ax.get_xlabel() and ax.get_ylabel() and labels(ax) for ax in made.picture.axes)


@pytest.mark.slow
@pytest.mark.parametrize("made", ["finite-size-spread"], indirect=True)
def test_finite_size_spread(made):
    assert made.passed, str(made)
    band, *spreads = made.picture.axes
    assert any("one standard deviation" in label for label in labels(band))
    assert all(ax.get_xlabel() and ax.get_ylabel() and labels(ax) for ax in spreads)


@pytest.mark.parametrize("made", ["training-time"], indirect=True)
def test_training_time(made):
    assert made.passed, str(made)
    best = made.data["stopping"]
    optimum = best["Bayes-optimal"].values
    for name in ("stopped_in_time", "ridge_best_penalty", "trained_to_the_end"):
        assert (optimum <= best[name].values * (1 + 1e-9)).all()
    assert (best.stopped_in_time.values <= best.trained_to_the_end.values + 1e-12).all()
    # Double descent at the end of training, none where one stops in time.
    assert (np.diff(best.stopped_in_time.values) < 0).all()
    assert (np.diff(best.trained_to_the_end.values) > 0).any()
    assert "best time to stop" in labels(made.picture.axes[0])
