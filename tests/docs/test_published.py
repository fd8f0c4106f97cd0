"""The gallery's page lists every published figure, made or not, and shows what was made."""

import json

import pytest
from published import write_gallery

from hmm_rs.figures import cards, names

#: The head of a PNG, 900 pixels wide and 600 high.
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (900).to_bytes(4) + (600).to_bytes(4)


@pytest.fixture
def page(tmp_path):
    def written():
        write_gallery(tmp_path / "page", tmp_path / "made")
        return (tmp_path / "page" / "index.rst").read_text(encoding="utf8")

    return written


def test_every_figure_is_listed_with_its_call_or_why_there_is_none(page):
    text = page()
    for card in cards():
        assert f".. _figure-{card.name}:" in text
        assert (f'hr.figures.run("{card.name}")' in text) == (card.name in names())
    assert "without the pictures" in text
    assert ".. image::" not in text


def test_a_figure_that_was_made_is_shown_with_its_table(page, tmp_path):
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "hinge-3.png").write_bytes(PNG)
    row = {"quantity": "gamma_1 at t = 3", "theory": 1.0, "simulation": 1.25, "gap": 0.25, "allowed": 0.5}
    rows = [{**row, "why": "few seeds", "verdict": "agrees"}, {**row, "why": "few", "verdict": "allowed"}]
    (tmp_path / "made" / "hinge-3.json").write_text(json.dumps(rows))
    text = page()
    assert "without the pictures" not in text
    assert text.count(".. image::") == 1
    assert "1 agree; 1 allowed" in text
    # A page's width, not the picture's: 900 pixels at 200 an inch.
    assert ":width: 450px" in text
    assert r"gamma\_1 at t = 3" in text
    assert "- 1.25\n" in text
    assert (tmp_path / "page" / "hinge-3.png").is_file()
