"""One picture in a browser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..ground.extras import extra
from .pictures import Line, Panel

__all__ = ["Canvas"]

#: Colours that eyes of every kind tell apart (Okabe and Ito).
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
#: Pixels between the axes.
_HEIGHT = 250
_FIGURE = """
:host { flex: 1 1 290px; min-width: 290px; }
@media (max-width: 760px) { :host { flex: 0 0 88%; scroll-snap-align: start; } }
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
            tools="pan,box_zoom,reset,save",
            active_drag=None,
            toolbar_location="above",
            output_backend="canvas",
            stylesheets=[_FIGURE],
            name=name,
        )
        self.figure.toolbar.logo = None
        for axis in self.figure.axis:
            axis.update(axis_label_text_font_style="normal", axis_label_text_font_size="13px")
        if panel.log_y:
            self.figure.yaxis.ticker = models.CustomJSTicker(major_code=_TICKS)
            self.figure.yaxis.formatter = models.CustomJSTickFormatter(code="return String(tick)")
        self.lines = models.ColumnDataSource(
            data={"xs": [], "ys": [], "colour": [], "dash": [], "label": []}, name=f"{name} lines"
        )
        self.marks = models.ColumnDataSource(
            data={"x": [], "y": [], "colour": [], "label": []}, name=f"{name} marks"
        )
        drawn = self.figure.multi_line(
            "xs", "ys", line_color="colour", line_dash="dash", line_width=2, source=self.lines
        )
        marked = self.figure.scatter(
            "x", "y", line_color="colour", fill_color="white", size=6, line_width=1.5, source=self.marks
        )
        legend = models.Legend(
            items=[models.LegendItem(label={"field": "label"}, renderers=[each]) for each in (drawn, marked)],
            label_text_font_size="12px",
            border_line_color=None,
            spacing=0,
            padding=2,
            margin=2,
            glyph_height=14,
            label_height=14,
        )
        self.figure.add_layout(legend, "below")
        self.figure.add_tools(
            models.HoverTool(
                renderers=[drawn, marked], tooltips=[("", "@label"), ("x", "$x{0.000}"), ("y", "$y{0.0000}")]
            )
        )

    def draw(self, lines: Sequence[Line]) -> None:
        """Show some lines and marks in place of the present ones."""
        curves = [line for line in lines if line.style != "marks"]
        kept = [self._points(line) for line in curves]
        self.lines.data = {
            "xs": [x for x, _ in kept],
            "ys": [y for _, y in kept],
            "colour": [_COLOURS[line.colour] for line in curves],
            "dash": [_DASHES[line.style] for line in curves],
            "label": [line.label for line in curves],
        }
        marked = [(line, *self._points(line)) for line in lines if line.style == "marks"]
        if not marked and not len(self.marks.data["x"]):
            return
        self.marks.data = {
            "x": np.concatenate([np.empty(0), *(x for _, x, _ in marked)]),
            "y": np.concatenate([np.empty(0), *(y for _, _, y in marked)]),
            "colour": [_COLOURS[line.colour] for line, x, _ in marked for _ in x],
            "label": [line.label for line, x, _ in marked for _ in x],
        }

    def _points(self, line: Line) -> tuple[Any, Any]:
        """Return what of a line its axes can show."""
        x, y = np.asarray(line.x, dtype=float), np.asarray(line.y, dtype=float)
        x = np.where(x > 0.0, x, np.nan) if self.panel.log_x else x
        y = np.where(y > 0.0, y, np.nan) if self.panel.log_y else y
        shown = np.isfinite(x)
        return x[shown], y[shown]
