"""The explorer in a browser: one document of Bokeh for each window that is open."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any
from urllib.parse import urlencode

from ..ground.extras import extra
from .canvas import SPREAD, Canvas, message
from .fields import Field, Page, Slider, State, Value, read_link, write_link
from .pages import PAGES
from .script import script
from .work import Answer, Overlay, drawn, solved

__all__ = ["NEEDED_BY", "Explorer"]

NEEDED_BY = "hmm-rs explore"

#: Side by side; on a narrow screen a strip to swipe that stays in sight while sliders move below it.
_PICTURES = """
:host { display: flex; flex-flow: row wrap; gap: 8px; }
@media (max-width: 760px) {
  :host { position: sticky; top: 0; z-index: 2; background: white; flex-flow: row nowrap; overflow-x: auto;
    max-width: 100vw; scroll-snap-type: x proximity; }
}
"""
#: As many columns as there is room for.
_CONTROLS = """
:host { display: grid; grid-template-columns: repeat(auto-fill, minmax(225px, 1fr)); gap: 6px 28px; padding: 4px 12px;
  align-items: end; box-sizing: border-box; max-width: 100vw; }
"""
_BUTTONS = ":host { display: flex; flex-flow: row wrap; gap: 8px; padding: 4px 8px; }"
_WORDS = """
:host { font: 14px/1.45 system-ui, sans-serif; color: #333; padding: 4px 8px;
  box-sizing: border-box; max-width: min(75em, 100vw); }
"""
_WRONG = """
:host { font: 14px/1.45 system-ui, sans-serif; color: #a02000; padding: 0 8px;
  box-sizing: border-box; max-width: min(75em, 100vw); }
"""

#: Where there is no clipboard (plain http from another machine) or it is refused, the old way still works.
_COPY = """
const label = button.label
const done = () => { button.label = "copied"; setTimeout(() => { button.label = label }, 1200) }
const byHand = () => {
  const area = document.createElement("textarea")
  area.value = TEXT
  document.body.append(area)
  area.select()
  document.execCommand("copy")
  area.remove()
  done()
}
if (navigator.clipboard) navigator.clipboard.writeText(TEXT).then(done, byHand)
else byHand()
"""
#: The width of a telephone is its own, not a shrunken desk's.
_TEMPLATE = """{% block preamble %}<meta name="viewport" content="width=device-width, initial-scale=1">{% endblock %}
"""
_ADDRESS = 'history.replaceState(null, "", "?" + texts.tags[0])'


def _bokeh(module: str) -> Any:
    return extra(f"bokeh.{module}", of="explore", needed_by=NEEDED_BY)


class Explorer:
    """What one window shows.

    Parameters
    ----------
    document
        The document of the window.
    query
        What its link says, without the question mark; None: as the window was opened.
    """

    def __init__(self, document: Any, query: str | None = None) -> None:
        models = _bokeh("models")
        self.document = document
        state, said = read_link(_asked(document) if query is None else query, PAGES)
        self.views = [
            View(self, page, state.values if page is state.page else page.defaults()) for page in PAGES
        ]
        #: Link and script of what is shown, for the address bar and the buttons; no picture waits for them. No model
        #: that has a place on the page: whatever changes of such a one, Bokeh lays out the whole page anew.
        self.texts = models.ColumnDataSource(tags=["", ""], name="texts")
        self.tabs = models.Tabs(
            tabs=[
                models.TabPanel(child=view.build(self.texts), title=view.page.title) for view in self.views
            ],
            active=PAGES.index(state.page),
            sizing_mode="stretch_width",
            name="tabs",
        )
        self.tabs.on_change("active", lambda _attr, _old, _new: self.view.show())
        self.texts.js_on_change("tags", models.CustomJS(args={"texts": self.texts}, code=_ADDRESS))
        refused = models.Div(
            text="<br>".join(escape(words) for words in said),
            visible=bool(said),
            stylesheets=[_WRONG],
            name="refused",
        )
        document.title = "hmm_rs explorer"
        document.template = _TEMPLATE
        document.js_on_event("document_ready", models.CustomJS(args={"texts": self.texts}, code=_ADDRESS))
        document.add_root(
            models.Column(refused, self.tabs, tags=[self.texts], sizing_mode="stretch_width", name="explorer")
        )
        if hasattr(document, "on_session_destroyed") and document.session_context is not None:
            document.on_session_destroyed(lambda _: self.close())
        self.view.show()
        if state.overlay:
            self.view.simulate()

    @property
    def view(self) -> View:
        """The page that is in sight."""
        shown: View = self.views[self.tabs.active]
        return shown

    def tell(self) -> None:
        """Write link and script of what is in sight."""
        state = self.view.state
        self.texts.tags = [write_link(state), script(state)]

    def close(self) -> None:
        """End what is still at work."""
        for view in self.views:
            view.clear()


class View:
    """One page in a window: its fields, its pictures, and the simulation over them.

    Parameters
    ----------
    explorer
        The window.
    page, values
        What is shown at first.
    """

    def __init__(self, explorer: Explorer, page: Page, values: Mapping[str, Value]) -> None:
        self.explorer = explorer
        self.page = page
        self.values = dict(values)
        self.overlay: Overlay | None = None
        self.theory: Answer | None = None
        self._solving = False
        self._solved: State | None = None

    @property
    def state(self) -> State:
        """What is asked for."""
        return State(self.page, self.values, self.overlay is not None)

    # -- what is on screen -----------------------------------------------------------------------

    def build(self, texts: Any) -> Any:
        """Return the page as a layout."""
        models = _bokeh("models")
        self.widgets = {field.name: self._widget(field) for field in self.page.fields}
        self.button = models.Button(
            label="simulate", button_type="primary", name=f"{self.page.name} simulate"
        )
        self.button.on_click(self._pressed)
        copying = []
        for label, text in (("copy as code", "texts.tags[1]"), ("copy link", "window.location.href")):
            button = models.Button(label=label, name=f"{self.page.name} {label}")
            code = _COPY.replace("TEXT", text)
            button.js_on_click(models.CustomJS(args={"texts": texts, "button": button}, code=code))
            copying.append(button)
        self.wrong = models.Div(text="", stylesheets=[_WRONG], visible=False, name=f"{self.page.name} wrong")
        self.canvases = {
            panel.name: Canvas(panel, f"{self.page.name} {panel.name}") for panel in self.page.panels
        }
        canvases = list(self.canvases.values())
        #: What the pictures show (`canvas.message`), in one property, so that one message brings all of it.
        self.told = models.ColumnDataSource(tags=[], name=f"{self.page.name} told")
        spread = models.CustomJS(
            args={
                "told": self.told,
                "all_lines": [canvas.lines for canvas in canvases],
                "all_marks": [canvas.marks for canvas in canvases],
                "legends": [canvas.legend for canvas in canvases],
            },
            code=SPREAD,
        )
        self.told.js_on_change("tags", spread)
        # What was drawn before the window was connected.
        self.explorer.document.js_on_event("document_ready", spread)
        of_theory = [self.widgets[field.name] for field in self.page.fields if field.of == "theory"]
        of_simulation = [self.widgets[field.name] for field in self.page.fields if field.of == "simulation"]
        buttons = models.Row(self.button, *copying, stylesheets=[_BUTTONS], sizing_mode="stretch_width")
        controls = models.Column(
            *of_theory, *of_simulation, stylesheets=[_CONTROLS], sizing_mode="stretch_width"
        )
        pictures = models.Row(
            *(canvas.layout for canvas in canvases),
            stylesheets=[_PICTURES],
            sizing_mode="stretch_width",
            name=f"{self.page.name} pictures",
        )
        return models.Column(
            models.Div(text=escape(self.page.about), stylesheets=[_WORDS]),
            self.wrong,
            pictures,
            buttons,
            controls,
            tags=[self.told],
            sizing_mode="stretch_width",
        )

    def _widget(self, field: Field) -> Any:
        models = _bokeh("models")
        value = self.values[field.name]
        name = f"{self.page.name} {field.name}"
        if not isinstance(field, Slider):
            made = models.Select(
                title=field.label,
                value=value,
                options=list(field.options),
                sizing_mode="stretch_width",
                name=name,
            )
        else:
            made = models.Slider(
                title=field.label,
                start=field.position(field.low),
                end=field.position(field.high),
                step=field.step,
                value=field.position(value),
                sizing_mode="stretch_width",
                name=name,
                **({"format": _logarithmic(field)} if field.log else {}),
            )
        made.on_change("value", lambda _attr, _old, new: self._moved(field, new))
        return made

    def show(self) -> None:
        """Draw, if what is asked for is not drawn yet."""
        self.explorer.tell()
        if self._solved != self.state:
            self._ask()

    # -- theory ----------------------------------------------------------------------------------

    def _moved(self, field: Field, position: Any) -> None:
        value = field.at(position) if isinstance(field, Slider) else position
        if self.values[field.name] == value:
            return
        self.values[field.name] = value
        # A simulation belongs to the numbers it was made with.
        self.clear()
        if field.of == "theory":
            self._ask()
        else:
            self._draw()
            self.explorer.tell()

    def _ask(self) -> None:
        """Solve soon; what moves until then, or meanwhile, is solved once."""
        if not self._solving:
            self._solving = True
            self.explorer.document.add_next_tick_callback(self._solve)

    async def _solve(self) -> None:
        wanted = self.state
        # In a thread: other windows go on. This one takes in what has moved before it solves again.
        answer = await asyncio.get_running_loop().run_in_executor(None, solved, wanted)
        self._solving = False
        self.theory, self._solved = answer, wanted
        self._draw()
        self.explorer.tell()
        if self.state.values != wanted.values:
            self._ask()

    def _draw(self) -> None:
        """Show what there is: theory, simulation, and what is to be said of either."""
        if self.theory is None:
            return
        simulated = None if self.overlay is None else self.overlay.answer
        lines: Mapping[str, Sequence[Any]] = drawn(self.page, self.theory, simulated)
        self.told.tags = message(
            list(self.canvases.values()), [lines.get(name, ()) for name in self.canvases]
        )
        said = [self.theory.words, "" if simulated is None else simulated.words]
        text = "<br>".join(escape(words) for words in said if words)
        if text != self.wrong.text:
            self.wrong.update(text=text, visible=bool(text))

    # -- simulation ------------------------------------------------------------------------------

    def _pressed(self) -> None:
        if self.overlay is not None and self.overlay.answer is None:
            self.overlay.cancel()
        else:
            self.simulate()

    def simulate(self) -> None:
        """Lay a simulation over the theory."""
        self.clear()
        document = self.explorer.document
        # Its thread may touch nothing here, but may ask to be looked at.
        self.overlay = Overlay(
            self.state, lambda told: document.add_next_tick_callback(lambda: self._progress(told))
        )
        self.button.update(label="stop (0 %)", button_type="warning")
        self.overlay.start()
        self.explorer.tell()

    def _progress(self, told: Overlay) -> None:
        if told is not self.overlay:
            return
        if told.answer is None:
            self.button.label = f"stop ({100 * told.done:.0f} %)"
            return
        self.button.update(label="simulate again", button_type="primary")
        self._draw()

    def clear(self) -> None:
        """Take the simulation away, and end it if it is at work."""
        if self.overlay is not None:
            self.overlay.cancel()
            self.overlay = None
            self.button.update(label="simulate", button_type="primary")


def _asked(document: Any) -> str:
    """Return the query that a window was opened with."""
    context = document.session_context
    request = None if context is None else context.request
    given = {} if request is None else request.arguments
    pairs = [
        (name, text.decode("utf-8", "replace") if isinstance(text, bytes) else text)
        for name, texts in given.items()
        for text in texts
        if not name.startswith("bokeh-")
    ]
    return urlencode(pairs)


def _logarithmic(field: Slider) -> Any:
    """Return how a slider of logarithms shows its value, with the digits that are taken."""
    number = "Math.round(10**tick)" if field.whole else "Number((10**tick).toPrecision(3))"
    code = f"return String({number}).replace('e-', ' × 10^-')"
    return _bokeh("models").CustomJSTickFormatter(code=code)
