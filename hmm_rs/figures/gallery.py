"""All figures on one page, the summary of their tables on top."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ..ground.arguments import choice
from ..ground.errors import HmmError, InvalidParameterError
from ..ground.extras import extra
from .card import Card
from .registry import cards, names, run
from .reproduction import Row, table_html

__all__ = ["Gallery", "gallery"]

_STYLE = """
body { font: 16px/1.45 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
img { max-width: 100%; height: auto } h2 { margin-top: 3rem } .note { color: #555 }
table { border-collapse: collapse; font-size: .85rem; display: block; overflow-x: auto; margin: 1rem 0 }
th, td { border-bottom: 1px solid #ccc; padding: .25rem .6rem; text-align: left; vertical-align: top }
.failed td { background: #fbe3e0 } .allowed td { background: #fdf6dd }
"""


class Gallery(NamedTuple):
    """What :func:`gallery` made: the page, and the names of the figures that failed."""

    page: Path
    failed: tuple[str, ...]


class _Made(NamedTuple):
    """What the page needs of one figure."""

    card: Card
    seconds: float
    rows: tuple[Row, ...]
    error: str

    @property
    def passed(self) -> bool:
        return not self.error and all(row.passed for row in self.rows)

    @property
    def verdict(self) -> str:
        if self.error:
            return "not made"
        counts = Counter(row.verdict for row in self.rows)
        words = {"FAILED": f"of {len(self.rows)} FAILED", "agrees": "agree"}
        found = [
            f"{counts[verdict]} {words.get(verdict, verdict)}"
            for verdict in ("FAILED", "agrees", "allowed", "allowed, after the fact", "no claim")
            if counts[verdict]
        ]
        return "; ".join(found)


def gallery(
    wanted: Iterable[str] | None = None,
    *,
    scale: Literal["small", "paper"] = "small",
    out: str | Path = "gallery",
    progress: bool = True,
) -> Gallery:
    """Make figures and lay them on one page: summary on top, then picture and table of each.

    A figure that fails is marked and does not stop the others. Those that an interrupted call has finished at
    this scale are not made again.

    Parameters
    ----------
    wanted
        Names of figures; None for all.
    scale
        "small" or "paper", as in :func:`run`.
    out
        Folder for the page ``index.html``, pictures, tables, data and checkpoints.
    progress
        Print one line a figure.

    Returns
    -------
    Gallery
        The ``page``, and the names of the figures that ``failed``: not made, or with a gap beyond what is allowed.

    Raises
    ------
    InvalidParameterError
        If a name is unknown or `out` cannot be made.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> hr.figures.gallery(["hinge-3"])  # doctest: +SKIP
    """
    chosen = names() if wanted is None else tuple(choice("wanted", name, names()) for name in wanted)
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidParameterError(
            f"out = {str(out)!r}: cannot be made ({error}); pass another one"
        ) from error
    made = [_made(card, scale, folder, progress) for card in cards() if card.name in chosen]
    page = folder / "index.html"
    page.write_text(_page(made, scale, whole=wanted is None), encoding="utf-8")
    return Gallery(page, tuple(item.card.name for item in made if not item.passed))


def _made(card: Card, scale: Literal["small", "paper"], folder: Path, progress: bool) -> _Made:
    """Make a figure, or read what an interrupted call has left."""
    pyplot = extra("matplotlib.pyplot", of="plot", needed_by="hr.figures")
    # One record beside one picture: that of another scale is made anew.
    done = folder / "checkpoints" / card.name / "done.json"
    kept: dict[str, Any] = json.loads(done.read_text(encoding="utf-8")) if done.is_file() else {}
    if kept.get("scale") == scale and (folder / f"{card.name}.png").is_file():
        result = _Made(card, kept["seconds"], tuple(Row(*row) for row in kept["rows"]), "")
    else:
        try:
            reproduction = run(card.name, scale=scale, out=folder)
        except HmmError as error:
            result = _Made(card, 0.0, (), f"{type(error).__name__}: {error}")
        else:
            pyplot.close(reproduction.picture)
            result = _Made(card, reproduction.seconds, tuple(reproduction.table), "")
            done.parent.mkdir(parents=True, exist_ok=True)
            done.write_text(
                json.dumps({"scale": scale, "seconds": result.seconds, "rows": result.rows}, default=float),
                encoding="utf-8",
            )
    if progress:
        print(f"{card.name:32} {result.seconds:6.1f} s  {result.verdict}", flush=True)
    return result


def _page(made: list[_Made], scale: str, *, whole: bool) -> str:
    """Return the page's text."""
    summary = "".join(
        f"<tr{'' if item.passed else ' class=failed'}>"
        f"<td><a href='#{item.card.name}'>{escape(item.card.name)}</a></td><td>{escape(item.card.work)}</td>"
        f"<td>{escape(item.card.title)}</td><td>{item.card.sureness}</td><td>{escape(item.verdict)}</td>"
        f"<td>{item.seconds:.0f} s</td></tr>"
        for item in made
    )
    absent = [card for card in cards() if card.make is None] if whole else []
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>Published figures</title><style>{_STYLE}</style><h1>Published figures, made with hmm_rs</h1>"
        f"<p class=note>Scale: {scale}. Each table lays simulation beside theory. <b>agrees</b>: the gap is no larger "
        "than chance makes it. <b>allowed</b>: it is larger, and within an estimate of what the theory leaves out at "
        "this size. <b>allowed, after the fact</b>: so it is, but that estimate was made when the gap was known: "
        "the line tests little. <b>no claim</b>: nothing bounds the gap. <b>FAILED</b>: beyond what is allowed. How "
        "sure we are of content and parameters of the published figure stands with each.</p>"
        "<table><thead><tr><th>figure</th><th>work</th><th>what</th><th>sureness</th><th>verdict</th><th>time</th></tr>"
        f"</thead><tbody>{summary}</tbody></table>"
        + "".join(_section(item) for item in made)
        + ("<h2>Figures that cannot be made</h2>" if absent else "")
        + "".join(
            f"<h3>{escape(card.title)}</h3><p>{escape(card.content)}</p><p class=note>{escape(card.missing)}</p>"
            for card in absent
        )
        + "</html>"
    )


def _section(item: _Made) -> str:
    """Return one figure's part of the page."""
    card = item.card
    picture = (
        f"<p class=failed>{escape(item.error)}</p>"
        if item.error
        else f"<img src='{card.name}.png' alt='{escape(card.title)}'>{table_html(item.rows)}"
    )
    return (
        f"<h2 id='{card.name}'>{escape(card.title)}</h2><p>{escape(card.content)}</p>"
        f"<p class=note>{escape(card.work)}. Parameters: {escape(card.parameters)} Sureness: {card.sureness}. "
        f"{escape(card.missing)}</p>{picture}"
    )
