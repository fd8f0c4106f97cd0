"""The register of figures: names, cards, what is written, what an interrupted gallery leaves."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

import hmm_rs as hr
from hmm_rs.figures import Card, Row, Scale, gallery, registry


def parts(scale, gap=0.1):
    figure, ax = plt.subplots()
    ax.plot([0.0, 1.0])
    return (
        {"run": xr.Dataset({"x": ("t", [1.0, 2.0])})},
        figure,
        [Row("x < 2", 1.0, 1.0 + gap, 0.2, "rounding")],
    )


def card(name, make):
    return Card(name, "hinge mean field", f"Title of {name}", "x over t", "none.", "low", make)


@pytest.fixture
def shelf(monkeypatch):
    """Put figures of our own in the place of the published ones."""

    def put(*made):
        monkeypatch.setattr(registry, "_CARDS", made)
        monkeypatch.setattr(registry, "_BY_NAME", {each.name: each for each in made})

    return put


def test_every_card_is_complete_and_every_name_different():
    every = hr.figures.cards()
    assert len({each.name for each in every}) == len(every)
    for each in every:
        assert all((each.title, each.content, each.parameters))
        assert each.make is not None or each.missing, each.name
        assert each.work in (
            "hidden manifold",
            "Gaussian equivalence",
            "geometric compression",
            "hinge mean field",
            "beyond the papers",
        )
    assert set(hr.figures.names()) == {each.name for each in every if each.make}


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(hr.InvalidParameterError, match="hinge-1"):
        hr.figures.run("hinge1")
    with pytest.raises(hr.HmmError, match=r"scale = 'large'"):
        hr.figures.run("hinge-3", scale="large")


def test_a_gap_that_is_too_large_or_no_number_fails():
    assert Row("x", 1.0, 1.1, 0.2, "").passed
    assert not Row("x", 1.0, 1.3, 0.2, "").passed
    assert not Row("x", 1.0, np.nan, 0.2, "").passed


def test_what_is_made_is_written_and_shown(shelf, tmp_path):
    shelf(card("one", parts))
    made = hr.figures.run("one", out=tmp_path)
    data, picture, table = made
    assert made.passed
    assert data["run"].x.values.tolist() == [1.0, 2.0]
    assert {path.name for path in tmp_path.iterdir()} == {"one.png", "one.pdf", "one.json", "one.run.nc"}
    [row] = json.loads((tmp_path / "one.json").read_text())
    assert row["quantity"] == "x < 2"
    assert row["gap"] == pytest.approx(0.1)
    assert "x &lt; 2" in made._repr_html_()
    assert "agrees" in str(made)
    assert table[0].why == "rounding"
    plt.close(picture)


def test_a_gallery_marks_failures_and_goes_on(shelf, tmp_path, capsys):
    def broken(scale):
        raise hr.ConvergenceError("no end; more steps")

    calls = []

    def counted(scale):
        calls.append(scale.name)
        return parts(scale, gap=0.3)

    absent = Card(
        "four", "hinge mean field", "Sketch", "a sketch", "none.", "none", None, "nothing to compute"
    )
    shelf(card("one", parts), card("two", broken), card("three", counted), absent)
    page, failed = gallery(out=tmp_path)
    assert failed == ("two", "three")
    text = page.read_text()
    assert "no end; more steps" in text
    assert "1 of 1 FAILED" in text
    assert "nothing to compute" in text
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["one", "two", "three"]
    # What is finished is not made again, but for another scale, whose picture takes its place.
    gallery(out=tmp_path, progress=False)
    assert calls == ["small"]
    gallery(["three"], out=tmp_path, scale="paper", progress=False)
    gallery(["three"], out=tmp_path, progress=False)
    assert calls == ["small", "paper", "small"]


def test_a_gallery_of_failures_alone_is_a_page(shelf, tmp_path):
    def broken(scale):
        raise hr.ConvergenceError("no end; more steps")

    shelf(card("two", broken))
    assert "no end" in gallery(out=tmp_path / "new" / "folder", progress=False).page.read_text()
    (tmp_path / "file").touch()
    with pytest.raises(hr.InvalidParameterError, match="out = "):
        gallery(out=tmp_path / "file" / "folder", progress=False)


def test_a_long_run_goes_on_from_its_checkpoint(tmp_path):
    def engine():
        network = hr.MeanFieldNetwork.random(4, 3)
        return hr.Particles(network, data=hr.LinearlySeparable(3), batch=4, test_size=4)

    scale = Scale("small", tmp_path / "kept")
    first = scale.run("nodes", engine(), 5)
    assert (tmp_path / "kept" / "nodes.npz").is_file()
    xr.testing.assert_equal(scale.run("nodes", engine(), 5), first)
    assert Scale("paper").pick(small=1, paper=2) == 2
