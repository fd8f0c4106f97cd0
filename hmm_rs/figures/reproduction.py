"""A figure that was made: its data, its picture and the table of theory against simulation."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from ..ground.errors import InvalidParameterError

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["Parts", "Reproduction", "Row", "table_html"]


class Row(NamedTuple):
    """One line of the table "quantity | theory | simulation | gap | allowed, and why | paper, and how sure".

    Attributes
    ----------
    quantity
        What is compared, in words.
    theory, simulation
        Its two values.
    allowed
        Largest gap |simulation - theory| that is no contradiction.
    why
        Where that size comes from: finite size, sampling error, a rough estimate.
    paper
        What the paper says of it, and how sure we are; empty where nothing is known.
    side
        "both": the gap may be `allowed` to either side. "above", "below": a statement of more or of less; the
        simulation may lie beyond the theory to that side by anything, and by `allowed` only to the other (a negative
        one asks for that much at least).
    chance
        The part of `allowed` that sampling error alone explains; None: all of it.
    afterwards
        Whether what is allowed beyond chance was derived after the gap had been seen: such a line tests little.
    """

    quantity: str
    theory: float
    simulation: float
    allowed: float = math.inf
    why: str = "no bound is known"
    paper: str = ""
    side: Literal["both", "above", "below"] = "both"
    chance: float | None = None
    afterwards: bool = False

    @property
    def gap(self) -> float:
        """Simulation minus theory."""
        return self.simulation - self.theory

    @property
    def passed(self) -> bool:
        """Whether the gap is within what is allowed; a gap that is no number is not."""
        beyond = {"both": abs(self.gap), "above": -self.gap, "below": self.gap}[self.side]
        return bool(beyond <= self.allowed)

    @property
    def verdict(self) -> str:
        """The line's judgement in words.

        "agrees": the gap is no larger than chance makes it. "allowed": it is larger, and smaller than what the theory
        leaves out at this size. "allowed, after the fact": so it is, but the size of what is left out was derived when
        the gap was known. "no claim": nothing bounds the gap. "FAILED": it is too large.
        """
        if not self.passed:
            return "FAILED"
        if math.isinf(self.allowed):
            return "no claim"
        if self.chance is None or abs(self.gap) <= self.chance:
            return "agrees"
        return "allowed, after the fact" if self.afterwards else "allowed"


#: What a figure's function returns: datasets by name, the picture, the lines of the table.
Parts = tuple[dict[str, "xr.Dataset"], "Figure", list[Row]]

_CLASSES = {"FAILED": " class=failed", "allowed": " class=allowed", "no claim": " class=allowed"}
_HEADINGS = ("quantity", "theory", "simulation", "gap", "allowed", "why", "paper", "verdict")


@dataclass(frozen=True, eq=False)
class Reproduction:
    """A published figure, made here.

    It unpacks into ``data, picture, table``, and shows picture and table in a notebook.

    Attributes
    ----------
    name, title
        As in ``hmm_rs.figures.names()``.
    scale
        "small" or "paper".
    data
        Datasets by name.
    picture
        The matplotlib figure.
    table
        One :class:`Row` for each comparison.
    seconds
        How long it took.
    """

    name: str
    title: str
    scale: str
    data: Mapping[str, xr.Dataset]
    picture: Figure
    table: Sequence[Row]
    seconds: float

    def __iter__(self) -> Iterator[object]:
        return iter((self.data, self.picture, self.table))

    @property
    def passed(self) -> bool:
        """Whether every gap of the table is within what is allowed."""
        return all(row.passed for row in self.table)

    def save(self, folder: str | Path) -> Path:
        """Write picture (png, pdf), table (json) and data (netCDF) as ``<folder>/<name>.*``; return the png's path.

        Parameters
        ----------
        folder
            Where to; it is made if it does not exist.

        Raises
        ------
        InvalidParameterError
            If the folder cannot be written.
        """
        folder = Path(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for suffix in ("png", "pdf"):
                self.picture.savefig(folder / f"{self.name}.{suffix}", dpi=200)
            rows = [{**row._asdict(), "gap": row.gap, "verdict": row.verdict} for row in self.table]
            table = json.dumps(rows, indent=1, default=float)
            (folder / f"{self.name}.json").write_text(table, encoding="utf-8")
            for key, data in self.data.items():
                data.to_netcdf(folder / f"{self.name}.{key}.nc")
        except OSError as error:
            raise InvalidParameterError(
                f"folder = {str(folder)!r}: cannot be written ({error}); pass another one"
            ) from error
        return folder / f"{self.name}.png"

    def _repr_html_(self) -> str:
        import base64
        from io import BytesIO

        image = BytesIO()
        self.picture.savefig(image, format="png", dpi=100)
        coded = base64.b64encode(image.getvalue()).decode()
        return (
            f"<h4>{escape(self.title)}</h4><img src='data:image/png;base64,{coded}' alt='{escape(self.title)}'>"
            f"{table_html(self.table)}"
        )

    def __str__(self) -> str:
        cells = [_HEADINGS[:5] + _HEADINGS[7:], *((*_cells(row)[:5], _cells(row)[7]) for row in self.table)]
        widths = [max(len(line[column]) for line in cells) for column in range(6)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells
        ]
        return "\n".join(
            [f"{self.name} ({self.scale}, {self.seconds:.0f} s): {self.title}", *map(str.rstrip, lines)]
        )


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.quantity,
        *(f"{value:.4g}" for value in (row.theory, row.simulation, row.gap)),
        {
            "both": f"{row.allowed:.4g}",
            "above": f">= {-row.allowed + 0.0:.4g}",
            "below": f"<= {row.allowed:.4g}",
        }[row.side],
        row.why,
        row.paper,
        row.verdict,
    )


def table_html(table: Sequence[Row]) -> str:
    """Return the table as HTML; a line that failed has the class ``failed``, one that is allowed ``allowed``."""
    head = "".join(f"<th>{heading}</th>" for heading in _HEADINGS)
    body = "".join(
        f"<tr{_CLASSES.get(row.verdict.partition(',')[0], '')}>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in _cells(row))
        + "</tr>"
        for row in table
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
