"""One picture in a browser, and what tells it to draw."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from ..ground.extras import extra
from .pictures import Line, Panel

__all__ = ["SPREAD", "Canvas", "message"]

#: Colours that eyes of every kind tell apart (Okabe and Ito).
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
#: Pixels between the axes.
_HEIGHT = 250
_PICTURE = """
:host { flex: 1 1 290px; min-width: 290px; }
@media (max-width: 760px) { :host { flex: 0 0 88%; scroll-snap-align: start; } }
"""
_LEGEND = """
:host { font: 12px/1.25 system-ui, sans-serif; color: #333; padding-left: 50px; box-sizing: border-box; }
div { display: flex; flex-flow: row wrap; gap: 1px 14px; }
span { white-space: nowrap; }
"""
#: Takes a message apart, in the browser: numbers of all lines, one after the other, and what they are. All pictures
#: change before the first is painted.
SPREAD = """
if (told.tags.length == 2) {
  const [numbers, panels] = told.tags
  let at = 0
  const next = (count) => {
    const part = new Float64Array(numbers.buffer, numbers.byteOffset + 8 * at, count)
    at += count
    return part
  }
  panels.forEach(({legend, lines, marks}, number) => {
    const shown = {xs: lines.counts.map(next), ys: lines.counts.map(next)}
    const marked = {x: next(marks.total), y: next(marks.total)}
    const each = (values) => values.flatMap((value, at) => Array(marks.counts[at]).fill(value))
    all_lines[number].data = {...shown, colour: lines.colour, dash: lines.dash, label: lines.label}
    if (marks.total > 0 || all_marks[number].data.x.length > 0)
      all_marks[number].data = {...marked, colour: each(marks.colour), label: each(marks.label)}
    if (legends[number].text != legend) legends[number].text = legend
  })
}
"""
#: Powers of ten, and what lies between where there are few of them.
_TICKS = """
const low = Math.min(cb_data.range.start, cb_data.range.end), high = Math.max(cb_data.range.start, cb_data.range.end)
const decades = Math.log10(high / low)
const mantissas = decades < 1.3 ? [1, 2, 3, 5, 7] : decades < 4 ? [1, 2, 5] : [1]
const every = Math.max(1, Math.ceil(decades / 8))
const ticks = []
for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
  if (power % every == 0) for (const mantissa of mantissas) ticks.push(Number((mantissa * 10**power).toPrecision(3)))
}
return ticks.filter((tick) => low <= tick && tick <= high)
"""
_DASHES: dict[str, list[int]] = {"solid": [], "dashed": [7, 4], "dotted": [2, 3]}


class Canvas:
    """A figure of Bokeh with lines and marks.

    Parameters
    ----------
    panel
        Its axes.
    name
        Of its data in the document, followed by " lines" or " marks".
    """

    def __init__(self, panel: Panel, name: str) -> None:
        self.panel = panel
        models, plotting = (
            extra(f"bokeh.{module}", of="explore", needed_by="hmm-rs explore")
            for module in ("models", "plotting")
        )
        self.figure = plotting.figure(
            title=panel.title,
            x_axis_label=panel.x,
            y_axis_label=panel.y,
            x_axis_type="log" if panel.log_x else "linear",
            y_axis_type="log" if panel.log_y else "linear",
            **({"y_range": panel.between} if panel.between else {}),
            frame_height=_HEIGHT,
            sizing_mode="stretch_width",
            tools="pan,box_zoom,reset",
            active_drag=None,
            toolbar_location="above",
            output_backend="canvas",
            name=name,
        )
        self.figure.toolbar.logo = None
        for axis in self.figure.axis:
            axis.update(axis_label_text_font_style="normal", axis_label_text_font_size="13px")
        if panel.log_y:
            self.figure.yaxis.ticker = models.CustomJSTicker(major_code=_TICKS)
            self.figure.yaxis.formatter = models.CustomJSTickFormatter(code="return String(tick)")
        # The browser fills them (`SPREAD`), and has no reason to send back what came from here.
        self.lines = models.ColumnDataSource(
            data={"xs": [], "ys": [], "colour": [], "dash": [], "label": []},
            name=f"{name} lines",
            syncable=False,
        )
        self.marks = models.ColumnDataSource(
            data={"x": [], "y": [], "colour": [], "label": []}, name=f"{name} marks", syncable=False
        )
        drawn = self.figure.multi_line(
            "xs", "ys", line_color="colour", line_dash="dash", line_width=2, source=self.lines
        )
        marked = self.figure.scatter(
            "x", "y", line_color="colour", fill_color="white", size=6, line_width=1.5, source=self.marks
        )
        self.figure.add_tools(
            models.HoverTool(
                renderers=[drawn, marked], tooltips=[("", "@label"), ("x", "$x{0.000}"), ("y", "$y{0.0000}")]
            )
        )
        # Bokeh's own legend paints a canvas for each entry whenever its picture is painted: 5 to 15 ms of a move.
        self.legend = models.Div(
            name=f"{name} legend", disable_math=True, syncable=False, stylesheets=[_LEGEND]
        )
        self.layout = models.Column(
            self.figure, self.legend, sizing_mode="stretch_width", stylesheets=[_PICTURE]
        )

    def told(self, lines: Sequence[Line]) -> tuple[list[Any], dict[str, Any]]:
        """Return the arrays of some lines and marks, in the order that `SPREAD` takes them, and what they are."""
        curves = [line for line in lines if line.style != "marks"]
        marked = [line for line in lines if line.style == "marks"]
        of_curves, of_marks = ([self._points(line) for line in some] for some in (curves, marked))
        arrays = [
            *(x for x, _ in of_curves),
            *(y for _, y in of_curves),
            *(x for x, _ in of_marks),
            *(y for _, y in of_marks),
        ]
        what = {
            "legend": _legend(lines),
            "lines": {
                "counts": [x.size for x, _ in of_curves],
                "colour": [_COLOURS[line.colour] for line in curves],
                "dash": [_DASHES[line.style] for line in curves],
                "label": [line.label for line in curves],
            },
            "marks": {
                "counts": [x.size for x, _ in of_marks],
                "total": sum(x.size for x, _ in of_marks),
                "colour": [_COLOURS[line.colour] for line in marked],
                "label": [line.label for line in marked],
            },
        }
        return arrays, what

    def _points(self, line: Line) -> tuple[Any, Any]:
        """Return what of a line its axes can show."""
        x, y = np.asarray(line.x, dtype=float), np.asarray(line.y, dtype=float)
        x = np.where(x > 0.0, x, np.nan) if self.panel.log_x else x
        y = np.where(y > 0.0, y, np.nan) if self.panel.log_y else y
        shown = np.isfinite(x)
        return x[shown], y[shown]


def message(canvases: Sequence[Canvas], lines: Sequence[Sequence[Line]]) -> list[Any]:
    """Return what makes some pictures show some lines: one array of numbers, and a description of each picture."""
    told = [canvas.told(shown) for canvas, shown in zip(canvases, lines, strict=True)]
    arrays = [array for of, _ in told for array in of]
    return [np.concatenate([np.empty(0), *arrays]), [what for _, what in told]]


def _legend(lines: Sequence[Line]) -> str:
    """Return the legend of some lines as HTML; lines of one label share an entry."""
    entries: dict[str, str] = {}
    for line in lines:
        if line.style == "marks":
            shape = '<circle cx="11" cy="5" r="3.2" fill="white" stroke-width="1.5"'
        else:
            dash = " ".join(map(str, _DASHES[line.style]))
            shape = f'<path d="M0 5H22" stroke-width="2" stroke-dasharray="{dash}"'
        sample = f'{shape} stroke="{_COLOURS[line.colour]}"/>'
        entries.setdefault(
            line.label, f'<span><svg width="22" height="10">{sample}</svg> {escape(line.label)}</span>'
        )
    return f"<div>{''.join(entries.values())}</div>"
