"""The API pages: one per public name, one list per module, and their index, written from the package."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path

from surface import HEADINGS, Entry, Section, entries, members, sections

__all__ = ["stem_of", "write_pages"]


def write_pages(folder: Path) -> None:
    """Write one page per public name, one list per module, and their index into `folder`."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for entry in entries():
        _write(folder / f"{entry.address}.rst", _page(entry))
    for section in sections():
        _write(folder / f"{_stem(section)}.rst", _list(section))
    _write(folder / "index.rst", _index(list(sections())))


def _stem(section: Section) -> str:
    return section.title.lower().replace(" ", "-") if section.module == "hmm_rs" else section.module


def stem_of(module: str) -> str:
    """Return the page that lists the names of a module."""
    headings = {room: title for title, rooms in HEADINGS.items() for room in rooms if room != "hmm_rs"}
    homes = {entry.module for entry in entries()}
    return (
        headings[module].lower().replace(" ", "-") if module in headings and module not in homes else module
    )


def _list(section: Section) -> list[str]:
    lines = [section.title, "=" * len(section.title), ""]
    if section.module != "hmm_rs":
        lines += [_first_sentence(section.module), ""]
    lines += _table(section.entries)
    if section.borrowed:
        lines += ["Names of the top level that stand here too:", "", *_table(section.borrowed)]
    lines += [".. toctree::", "   :hidden:", "   :maxdepth: 1", ""]
    return lines + [f"   {entry.name} <{entry.address}>" for entry in section.entries]


def _table(listed: tuple[Entry, ...]) -> list[str]:
    return [".. autosummary::", "   :nosignatures:", "", *[f"   ~{entry.address}" for entry in listed], ""]


def _index(listed: list[Section]) -> list[str]:
    lines = ["API", "===", "", "Every public name. With ``import hmm_rs as hr`` those of the first list are"]
    lines += ["``hr.Name``; the others carry their room, as ``hr.theory.SaadSolla``.", ""]
    top = [section for section in listed if section.module == "hmm_rs"]
    rooms = [section for section in listed if section.module != "hmm_rs"]
    for heading, chosen in (("At the top level", top), ("Rooms", rooms)):
        lines += [heading, "-" * len(heading), "", ".. list-table::", "   :widths: auto"]
        lines += ["   :class: api-overview", ""]
        for section in chosen:
            names = [f":py:obj:`~{entry.address}`" for entry in section.entries]
            lines += [f"   * - :doc:`{_stem(section)}`", f"     - {', '.join(names)}"]
        lines += [""]
    lines += [".. toctree::", "   :hidden:", "   :maxdepth: 2", ""]
    # Without the package's name: the side bar is narrow.
    return lines + [f"   {section.title.removeprefix('hmm_rs.')} <{_stem(section)}>" for section in listed]


def _first_sentence(module: str) -> str:
    """Return the first sentence of a module's docstring, without references to rooms behind it."""
    text = (importlib.import_module(module).__doc__ or "").strip().split("\n\n")[0]
    return " ".join(text.partition(": the public address of")[0].split()).rstrip(".") + "."


def _page(entry: Entry) -> list[str]:
    title = entry.name.replace("_", r"\_")
    lines = [title, "=" * len(title), "", f".. currentmodule:: {entry.module}", ""]
    lines += [f".. auto{entry.kind}:: {entry.name}"]
    if entry.kind == "data" and len(repr(entry.target)) > 200:
        lines += ["   :no-value:"]
    if entry.kind in ("class", "exception"):
        lines += ["   :show-inheritance:"] if entry.kind == "exception" else []
        listed = members(entry.target)
        if listed:
            lines += ["   :members: " + ", ".join(listed), "   :undoc-members:"]
    return lines


def _write(path: Path, lines: list[str]) -> None:
    path.write_text("\n".join(lines) + "\n", encoding="utf8")
