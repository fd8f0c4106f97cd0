"""The table of docs/trust.md adds up what tests said, and nothing else of the page changes."""

import importlib.util
import json
from pathlib import Path

HERE = Path(__file__).parent
specification = importlib.util.spec_from_file_location("trust_table", HERE / "trust_table.py")
trust_table = importlib.util.module_from_spec(specification)
specification.loader.exec_module(trust_table)


def said(what, times, **badly):
    return json.dumps({"what": what, "times": times, "badly": badly})


def test_what_was_said_in_pieces_is_added_up():
    lines = [
        said("kills", 30, lost=0, differing=0),
        said("files", 7, crashed=1),
        said("kills", 12, lost=1, differing=0),
    ]
    made = trust_table.table("\n".join(lines), "1.2")
    assert "| files | 7 | 1 crashed |\n| kills | 42 | 1 lost, 0 differing |" in made
    assert "hmm_rs 1.2" in made


def test_only_the_table_of_the_page_changes():
    page = (HERE.parent / "docs" / "trust.md").read_text(encoding="utf-8")
    once = trust_table.written(page, "| first |")
    assert trust_table.written(once, "| second |").replace("| second |", "| first |") == once
    assert once.split(trust_table.BEGIN)[0] == page.split(trust_table.BEGIN)[0]
    assert once.split(trust_table.END)[1] == page.split(trust_table.END)[1]


def test_tests_say_it_where_they_are_asked(tmp_path, monkeypatch, tried):
    monkeypatch.setenv("HMM_RS_TRUST", str(tmp_path / "said"))
    tried("things", 3, {"lost": 0})
    assert trust_table.rows((tmp_path / "said").read_text()) == {"things": (3, {"lost": 0})}
