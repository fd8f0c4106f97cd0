"""The gallery's page: every published figure with what is known of it; pictures and tables where they were made."""

from __future__ import annotations

import json
import shutil
import struct
from itertools import groupby
from pathlib import Path
from typing import Any

from hmm_rs.figures import Card, cards

__all__ = ["write_gallery"]

_TITLE = "Gallery"
_COLUMNS = ("quantity", "verdict", "theory", "simulation", "gap", "allowed")


def write_gallery(folder: Path, made: Path) -> None:
    """Write the page into `folder`; `made` is where ``make gallery`` leaves pictures (``.png``) and tables (``.json``).

    A figure that was not made there has its description alone.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    lines = [_TITLE, "=" * len(_TITLE), ""]
    lines += [
        "Every figure of the four papers that can be computed, simulation over theory, by name. One of them:",
        "",
        ".. code-block:: python",
        "",
        "   import hmm_rs as hr",
        "",
        '   data, picture, table = hr.figures.run("hinge-3")',
        "",
        "All of them, on one page with their tables: ``make gallery`` in a clone (about ten minutes on two cores), or",
        "``hmm-rs reproduce --all``; with ``--scale paper`` at the sizes of the papers, which takes hours and goes on",
        "from its checkpoints when called again.",
        "",
        "Verdicts: *agrees*, the gap is no larger than chance makes it; *allowed*, it is larger, and within an",
        "estimate of what the theory leaves out; *allowed, after the fact*, so it is, but the estimate was made when",
        "the gap was known; *no claim*, nothing bounds the gap; *FAILED*, beyond what is allowed.",
        "",
    ]
    if not any((made / f"{card.name}.png").is_file() for card in cards()):
        lines += [
            ".. note::",
            "",
            "   This manual was built without the pictures: run ``make gallery`` before ``make docs``.",
            "",
        ]
    for work, group in groupby(cards(), key=lambda card: card.work):
        heading = work[0].upper() + work[1:]
        lines += [heading, "-" * len(heading), ""]
        for card in group:
            lines += _figure(card, folder, made)
    (folder / "index.rst").write_text("\n".join(lines) + "\n", encoding="utf8")


def _figure(card: Card, folder: Path, made: Path) -> list[str]:
    lines = [f".. _figure-{card.name}:", "", card.title, "~" * len(card.title), "", _plain(card.content), ""]
    picture, table = made / f"{card.name}.png", made / f"{card.name}.json"
    if picture.is_file() and table.is_file():
        shutil.copy(picture, folder)
        rows = json.loads(table.read_text(encoding="utf8"))
        lines += [
            f".. image:: {picture.name}",
            f"   :alt: {card.title}",
            f"   :width: {_width(picture)}px",
            "",
        ]
        lines += [f".. dropdown:: Theory and simulation: {_summary(rows)}", "", *_table(rows), ""]
    ours = card.sureness == "none" and card.make is not None
    told = {
        "Name": f'``hr.figures.run("{card.name}")``' if card.make is not None else "",
        "Parameters": _plain(card.parameters),
        "How sure": "ours, no published figure is meant" if ours else card.sureness,
        "Missing": _plain(card.missing),
    }
    return [*lines, *(f"* {word}: {text}" for word, text in told.items() if text), ""]


def _width(picture: Path) -> int:
    """Return how wide to show a PNG of 200 points an inch: as on a page, half its pixels."""
    with picture.open("rb") as file:
        head = file.read(24)
    return struct.unpack(">I", head[16:20])[0] // 2


def _plain(text: str) -> str:
    """Return text whose marks mean nothing to reStructuredText."""
    for mark in ("\\", "*", "`", "|", "_"):
        text = text.replace(mark, f"\\{mark}")
    return text


def _summary(rows: list[dict[str, Any]]) -> str:
    found = [row["verdict"] for row in rows]
    words = {"agrees": "agree"}
    return "; ".join(
        f"{found.count(verdict)} {words.get(verdict, verdict)}" for verdict in dict.fromkeys(found)
    )


def _table(rows: list[dict[str, Any]]) -> list[str]:
    lines = ["   .. list-table::", "      :header-rows: 1", "      :widths: auto", ""]
    shown = [dict(zip(_COLUMNS, _COLUMNS, strict=True)), *rows]
    for row in shown:
        cells = [_plain(cell) if isinstance(cell := row[name], str) else f"{cell:.4g}" for name in _COLUMNS]
        lines += [f"      {'* -' if i == 0 else '  -'} {cell}" for i, cell in enumerate(cells)]
    reasons = dict.fromkeys((row["why"], row["quantity"]) for row in rows)
    return [*lines, "", *(f"   * {_plain(quantity)}: {_plain(why)}" for why, quantity in reasons)]
