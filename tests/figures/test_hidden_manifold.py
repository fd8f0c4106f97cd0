"""Figures of the hidden manifold: what is drawn at tiny sizes, and that theory and simulation agree at small ones."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import hmm_rs as hr
from hmm_rs.figures import Scale
from hmm_rs.figures.hidden_manifold import (
    CARDS,
    growing_complexity,
    independent_students,
    learning_curve,
    learning_rate,
    manifold_dimension,
    memorisation,
    orthogonal,
    sketch,
    students,
)

OWN = "equations at the runs' size and time"
TINY = Scale("small")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def labels_of(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_learning_curve_lays_streams_of_one_start_over_its_equations():
    model = hr.HiddenManifold(150, 30, seed=1)
    data, figure, table = learning_curve.compared(TINY, model, t_max=5.0, seeds=3)
    error, overlaps = figure.axes
    assert labels_of(error) == ["SGD", "equations"]
    assert len(labels_of(overlaps)) == 7
    # One start: streams differ by their samples alone. The first time is a step or two later.
    start = data["simulation"].Q.sel(t=0.1, method="nearest")
    assert float(start.std("seed").max()) < 0.2
    assert [row.quantity.split()[0] for row in table] == ["eps_g"] * 2 + ["Q_11", "R_11"]
    assert all("seeds" in row.why and "covariance" in row.why for row in table)


def test_checkpoints_of_an_interrupted_figure_are_used(tmp_path):
    model = hr.HiddenManifold(60, 10, seed=1)
    scale = Scale("small", tmp_path)
    first = learning_curve.compared(scale, model, t_max=1.0, seeds=2)[0]["simulation"]
    assert {path.name for path in tmp_path.iterdir()} == {"stream-0.npz", "stream-1.npz"}
    again = learning_curve.compared(scale, model, t_max=1.0, seeds=2)[0]["simulation"]
    np.testing.assert_array_equal(first.eg, again.eg)


def test_late_errors_have_bars_over_seeds_and_a_line():
    data, figure, table = manifold_dimension._made(TINY, deltas=(0.1, 0.2), D=10, t_max=20.0, seeds=2)
    [ax] = figure.axes
    assert len(ax.containers) == 1
    assert set(labels_of(ax)) == {"SGD, D = 10", "equations", OWN}
    assert data["simulation"].eg.dims == ("seed", "delta")
    assert [row.quantity.startswith("late eps_g at D/N") for row in table] == [True, True, False]
    # At late times the error is about proportional to D/N in the theory.
    line = data["theory"].eg
    assert 0.4 < float(line.sel(delta=0.1, method="nearest") / line[-1]) < 0.6


def test_late_errors_over_rates_are_read_at_times_that_fit_the_rate():
    data, _, table = learning_rate._made(TINY, lrs=(0.5, 1.0), D=10, steps=5.0, seeds=2)
    assert data["simulation"].lr.values.tolist() == [0.5, 1.0]
    assert len(table) == 2


def test_students_show_every_seed_and_what_still_moves():
    data, figure, table = students._made(
        TINY, delta=0.5, D=10, t_max=5.0, seeds=2, students={1: (1, 2)}, simulated={1: (1,)}
    )
    assert data["equations M=1"].eg.dims == ("K", "seed")
    [legend] = figure.legends
    told = [text.get_text() for text in legend.get_texts()]
    assert {"M = 1", "equations, each seed", "equations, still moving", "SGD", OWN} == set(told)
    assert len(table) == 1


def test_growing_complexity_has_one_colour_a_width_in_both_panels():
    _, figure, table = growing_complexity._made(
        TINY, N=60, D=10, M=3, Ks=(1, 2), t_max=2.0, seeds=2, t_digits=5.0
    )
    for ax in figure.axes:
        assert labels_of(ax)[:2] == ["K = 1", "K = 2"]
    assert [row.side for row in table] == ["both", "both", "above"]


def test_independent_students_panels_and_statements():
    _, figure, table = independent_students._made(N=60, t_max=5.0, tests=200, seeds=2)
    assert len(figure.axes) == 4
    assert [row.side for row in table] == ["both", "both", "above", "above"]


def test_memorisation_panels_and_statements():
    sizes = {"N": 32, "M": 32, "train_per_class": 20, "test_per_class": 10}
    data, figure, _ = memorisation._made(K=16, epochs=2, lr=0.05, groups=2, sizes=sizes)
    assert labels_of(figure.axes[0]) == list(memorisation._TASKS.values())
    assert data["digits"].test_overlap.dims == ("seed", "epoch")


def test_the_sheet_has_two_dimensions():
    data, figure, table = sketch.make()
    assert table[0].passed
    assert figure.axes[0].name == "3d"
    assert data["sheet"].x.shape == (2000, 3)


def asked_of(module, name, scale, monkeypatch):
    """Return the sizes that a figure asks for at a scale, without making it."""
    asked = {}

    def remember(*given, **sizes):
        asked.update(sizes, given=given)
        return {}, None, []

    monkeypatch.setattr(module, name, remember)
    assert module.make(scale) == ({}, None, [])
    return asked


@pytest.mark.parametrize(
    ("module", "published"),
    [
        (manifold_dimension, {"deltas": (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0), "D": 100, "seeds": 5}),
        (learning_rate, {"D": 100, "seeds": 5}),
        (students, {"delta": 0.01, "D": 50}),
        (growing_complexity, {"N": 500, "D": 25, "M": 10, "Ks": (1, 2, 3, 4, 5, 6, 7, 8), "t_max": 1000.0}),
        (independent_students, {"N": 784, "t_max": 1000.0}),
        (memorisation, {"K": 4096, "lr": 0.01}),
    ],
    ids=lambda value: value.CARD.name if hasattr(value, "CARD") else "",
)
def test_paper_scale_has_the_sizes_on_the_card(module, published, monkeypatch):
    paper, small = (asked_of(module, "_made", scale, monkeypatch) for scale in ("paper", "small"))
    assert {name: paper[name] for name in published} == published
    # The small scale asks the same questions, and is smaller in some answer.
    assert set(small) == set(paper)
    assert small != paper


def test_learning_curves_at_paper_scale_have_the_sizes_on_the_card(monkeypatch):
    for module, N, D in ((learning_curve, 10_000, 100), (orthogonal, 1023, 1023)):
        paper, small = (asked_of(module, "compared", scale, monkeypatch) for scale in ("paper", "small"))
        model = paper["given"][1]
        assert (model.N, model.D, paper["t_max"]) == (N, D, 1000.0)
        assert small["t_max"] < paper["t_max"]
        assert small["given"][1].N <= N


@pytest.mark.slow
@pytest.mark.parametrize("card", [card for card in CARDS if card.make], ids=lambda card: card.name)
def test_small_figures_pass(card):
    made = hr.figures.run(card.name)
    assert made.passed, str(made)
    assert made.seconds < 120.0
