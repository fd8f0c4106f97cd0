"""Figures of Gaussian equivalence: what is drawn at tiny sizes, and that theory and simulation agree at small ones."""

import matplotlib.pyplot as plt
import pytest

import hmm_rs as hr
from hmm_rs.figures import Scale
from hmm_rs.figures.equivalence import (
    CARDS,
    full_batch,
    one_layer,
    pre_learned,
    random_deep,
    theorem,
    trained,
)

TINY = Scale("small")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.mark.parametrize(
    ("module", "sizes"),
    [
        (one_layer, {"N": 60, "D": 20}),
        (random_deep, {"widths": (20, 30, 40), "samples": 2000}),
    ],
)
def test_online_figures_have_error_and_overlaps(module, sizes):
    data, figure, table = module._made(TINY, t_max=2.0, seeds=3, **sizes)
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["SGD", "equations"]
    assert figure.axes[1].get_ylabel() == "order parameters"
    assert data["simulation"].sizes["seed"] == 3
    # The equations start where the runs start, up to the test set's sampling error of a percent or two.
    assert table[0].theory == pytest.approx(table[0].simulation, rel=0.2)


def test_trained_generators_have_a_panel_each_and_an_allowance_from_their_fields():
    data, figure, table = trained._made(TINY, t_max=1.0, seeds=2, samples=5000)
    assert len(figure.axes) == len(trained._GENERATORS)
    assert all("kurtosis" in row.why for row in table)
    assert set(data) == {
        f"{name} {what}" for name in trained._GENERATORS for what in ("simulation", "theory")
    }


def test_theorem_bound_holds_and_one_weight_never_becomes_gaussian():
    _, figure, table = theorem._made(sizes=(30, 60), samples=20_000, draws=2, seeds=2)
    assert len(figure.axes) == 2
    bound, control = table[-2:]
    assert bound.passed
    assert control.passed
    assert control.theory == -1.2


def test_full_batch_points_lie_on_the_replica_line():
    _, figure, table = full_batch._made(
        widths=(40, 60, 80), p=50, samples=20_000, alphas=(0.5, 2.0), repeats=8
    )
    assert len(figure.axes) == 4
    assert [len(ax.containers) for ax in figure.axes] == [1, 1, 1, 1]
    assert all(row.passed for row in table), [row for row in table if not row.passed]


def test_features_before_and_after_learning_have_a_colour_each():
    data, figure, _ = pre_learned._made(p=20, samples=5000, alphas=(0.5,), repeats=3, t_max=5.0)
    told = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert told == ["learnt = 0", "learnt = 5", "fits", "replica"]
    assert dict(data["simulation"].test_error.sizes) == {"learnt": 2, "alpha": 1, "seed": 3}


@pytest.mark.parametrize(
    ("module", "published"),
    [
        (one_layer, {"N": 3072, "D": 100, "t_max": 500.0}),
        (random_deep, {"widths": (100, 1000, 1000, 3072), "t_max": 500.0}),
        (trained, {"t_max": 1000.0}),
        (theorem, {"sizes": (50, 100, 200, 400, 800, 1600)}),
        (full_batch, {"p": 1024}),
        (pre_learned, {"p": 1000}),
    ],
    ids=("one layer", "random deep", "trained", "theorem", "full batch", "learnt before"),
)
def test_paper_scale_has_the_sizes_on_the_card(module, published, monkeypatch):
    asked = {}
    monkeypatch.setattr(module, "_made", lambda *given, **sizes: asked.setdefault(scale, sizes))
    for scale in ("small", "paper"):
        module.make(scale)
    assert {name: asked["paper"][name] for name in published} == published
    # The small scale asks the same questions, with other answers.
    assert set(asked["small"]) == set(asked["paper"])
    assert all(asked["small"][name] != value for name, value in published.items() if name != "D")


@pytest.mark.slow
@pytest.mark.parametrize("card", [card for card in CARDS if card.make], ids=lambda card: card.name)
def test_small_figures_pass(card):
    made = hr.figures.run(card.name)
    assert made.passed, str(made)
    assert made.seconds < 120.0
