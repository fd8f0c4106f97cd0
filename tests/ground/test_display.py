"""What objects say of themselves at a prompt and in a notebook."""

from __future__ import annotations

import copy
import html.parser

import numpy as np
import pytest

import hmm_rs as hr
from hmm_rs.ground.display import as_lines, as_table, unlike_defaults, worded


def stripe():
    return hr.Stripe(3).sample(20, seed=1)


def network(**options):
    return hr.MeanFieldNetwork.random(10, 3, seed=1, **options)


def online():
    return hr.OnlineSGD(
        hr.HiddenManifold(40, 4),
        hr.TwoLayer.random(2, 4),
        student=hr.TwoLayer.random(2, 40, seed=1),
        lr=0.25,
        test_size=20,
    )


def spectrum():
    return hr.theory.replica.Spectrum([2.0, 1.0], [0.5, 0.5], [0.6, 0.3], 1.3)


THINGS = {
    "HiddenManifold": lambda: hr.HiddenManifold(40, 4),
    "TwoLayer": lambda: hr.TwoLayer.random(2, 40),
    "OnlineSGD": online,
    "GradientFlow": lambda: hr.GradientFlow(network(std_b=1.0, activation="sqrt2_relu"), *stripe()),
    "KernelFlow": lambda: hr.KernelFlow(hr.kernels.ntk(stripe()[0]), stripe()[1]),
    "Particles": lambda: hr.Particles(network(), data=hr.LinearlySeparable(3), test_size=20),
    "FullBatch": lambda: hr.FullBatch(*stripe(), loss="logistic", lam=0.1),
    "HiddenManifoldODE": lambda: hr.theory.HiddenManifoldODE.from_simulation(online()),
    "SaadSolla": lambda: hr.theory.SaadSolla([[0.1]], [[0.0]], T=[[1.0]], v0=[1.0], v_teacher=[1.0], lr=0.5),
    "HingeMeanField": lambda: hr.theory.HingeMeanField(30),
    "ProjectedMeanField": lambda: hr.theory.ProjectedMeanField(20, x_par=[1.0, -1.0], y=[1, -1], nodes=4),
    "Spectrum": spectrum,
    "Record": lambda: hr.theory.replica.solve(spectrum(), loss="ridge", alpha=1.5, lam=0.1),
}


class Cells(html.parser.HTMLParser):
    """The text of a table's cells, once it is sure that every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.cells: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        if tag in ("th", "td"):
            self.cells.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.cells[-1] += data


@pytest.mark.parametrize("name", THINGS)
def test_things_show_what_they_are(name):
    thing = THINGS[name]()
    text, cells = repr(thing), Cells(thing._repr_html_()).cells
    assert text.startswith(name)
    assert cells[0].startswith(name)
    assert "0x" not in text
    assert "0x" not in "".join(cells)
    lines = text.splitlines()
    if len(lines) > 1:
        assert max(map(len, lines)) <= 80
        # Names and values stand in columns of their own, the same as in the table.
        assert [line.split()[0] for line in lines[1:]] == cells[1::2]
        starts = {len(line) - len(line[2:].lstrip().split(" ", 1)[1].lstrip()) for line in lines[1:]}
        assert len(starts) == 1


@pytest.mark.parametrize("name", THINGS)
def test_no_numbers_of_large_arrays_are_shown(name):
    assert len(repr(THINGS[name]())) < 1200
    assert len(THINGS[name]()._repr_html_()) < 6000


def test_an_engine_says_where_it_is_and_what_is_not_its_default():
    sim = online()
    sim.advance(20)
    assert repr(sim).splitlines() == [
        "OnlineSGD at t = 0.5",
        "  model      HiddenManifold(N=40, D=4)",
        "  teacher    TwoLayer(w=<array (2, 4)>, v=<array (2,)>)",
        "  student    TwoLayer(w=<array (2, 40)>, v=<array (2,)>)",
        "  lr         0.25",
        "  test_size  20",
    ]
    assert repr(copy.deepcopy(sim)) == repr(sim)


def test_a_fit_says_how_it_went():
    problem = THINGS["FullBatch"]()
    assert repr(problem).startswith("FullBatch, not fitted\n")
    problem.fit()
    assert "fitted in" in repr(problem)
    assert "objective" in repr(problem)


def test_words_are_escaped_and_cut():
    table = as_table("a < b", [("f", "<script>alert(1)</script>")])
    assert "<script>" not in table
    assert Cells(table).cells == ["a < b", "f", "<script>alert(1)</script>"]
    (_, line) = as_lines("title", [("name", "x" * 200)]).splitlines()
    assert len(line) == 80
    assert line.endswith("...")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (True, "True"),
        (np.float64(1 / 3), "0.333333"),
        (np.array([1.0, 0.5]), "[1. , 0.5]"),
        (np.ones((3, 4)), "<array (3, 4)>"),
        ((0.0, 2 / 3), "(0, 0.666667)"),
        ("words", "words"),
        (None, "None"),
    ],
)
def test_values_in_a_few_words(value, words):
    assert worded(value) == words


def test_defaults_are_left_out():
    class Thing:
        def __init__(self, a, b=1, c=False, d=None):
            pass

    assert unlike_defaults(Thing, {"a": 1, "b": 1.0, "c": 0, "d": None}) == {"a": 1, "c": 0}
