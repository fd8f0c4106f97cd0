"""What a page of the explorer can be asked: its fields, their values as a link, and back."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode

from ..ground.arguments import shown
from .pictures import Line, Panel

__all__ = ["Choice", "Field", "Page", "Slider", "State", "Value", "read_link", "write_link"]

Value = float | int | str
#: Longest link that is read; no page needs a tenth of it.
LONGEST_LINK = 4000
#: Significant digits of a value on a slider, on screen and in the link.
DIGITS = 3


@dataclass(frozen=True)
class Slider:
    """A number between two ends.

    Parameters
    ----------
    name
        In the link and in the script.
    label
        On screen.
    low, high
        Ends, themselves allowed.
    default
        Value of a page that is opened without a link.
    step
        Between neighbouring values; of the logarithm to base 10 where `log` is set.
    log, whole
        A logarithmic slider; whole numbers.
    of
        Whether theory and simulation depend on it, or the simulation alone.
    """

    name: str
    label: str
    low: float
    high: float
    default: float
    step: float
    log: bool = False
    whole: bool = False
    of: Literal["theory", "simulation"] = "theory"

    def rounded(self, value: float) -> Value:
        """Return what the slider shows and the link says of a value."""
        return round(value) if self.whole else float(f"{value:.{DIGITS}g}")

    def read(self, text: str) -> tuple[Value, str]:
        """Return the value that a text stands for, and what is to be said of it ("" if nothing)."""
        rule = f"must be a number from {self.low:g} to {self.high:g}"
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            value = self.rounded(self.default)
            return value, f"{self.name} = {shown(text, 40)}: {rule}; {value:g} is taken"
        value = self.rounded(min(max(number, self.low), self.high))
        if not self.low <= number <= self.high:
            return value, f"{self.name} = {number:g}: {rule}; {value:g} is taken"
        if self.whole and number != value:
            return value, f"{self.name} = {number:g}: must be a whole number; {value:g} is taken"
        return value, ""

    def position(self, value: Value) -> float:
        """Return where the slider stands at a value."""
        return math.log10(float(value)) if self.log else float(value)

    def at(self, position: float) -> Value:
        """Return the value where the slider stands."""
        value = 10.0**position if self.log else position
        return self.rounded(min(max(value, self.low), self.high))


@dataclass(frozen=True)
class Choice:
    """One of several words.

    Parameters
    ----------
    name, label, of
        As of a :class:`Slider`.
    options
        The words, the first one the default.
    """

    name: str
    label: str
    options: tuple[str, ...]
    of: Literal["theory", "simulation"] = "theory"

    @property
    def default(self) -> str:
        """The first option."""
        return self.options[0]

    def rounded(self, value: str) -> Value:
        """Return the word itself."""
        return value

    def read(self, text: str) -> tuple[Value, str]:
        """Return the word, and what is to be said of it ("" if nothing)."""
        if text in self.options:
            return text, ""
        listed = ", ".join(self.options)
        return (
            self.default,
            f"{self.name} = {shown(text, 40)}: must be one of {listed}; {self.default} is taken",
        )


Field = Slider | Choice


@dataclass(frozen=True)
class Page:
    """One subject of the explorer.

    Parameters
    ----------
    name, title, about
        In the link, on the tab, and the sentence above the pictures.
    fields
        What can be moved.
    panels
        The pictures.
    theory
        Function of the fields of the theory, by keyword: what is drawn while a slider moves. It and `simulation` use
        nothing but numpy and the public names of the package, so that their source is the script a user copies.
    simulation
        Function of all fields and of ``watch``, which is called with the share that is done and the driver that is at
        work (None: several fits), and may raise StopRun.
    lines
        Function of what the two return (None: no simulation) that says what each panel shows.
    plot
        Last lines of the script: the picture.
    partial
        Names under which the result that an error carries can be drawn, of theory and of simulation; "": it cannot.
    """

    name: str
    title: str
    about: str
    fields: tuple[Field, ...]
    panels: tuple[Panel, ...]
    theory: Callable[..., Mapping[str, Any]]
    simulation: Callable[..., Mapping[str, Any]]
    lines: Callable[[Mapping[str, Any], Mapping[str, Any] | None], Mapping[str, Sequence[Line]]]
    plot: str
    partial: tuple[str, str] = ("", "")

    def defaults(self) -> dict[str, Value]:
        """Return the values of a page that is opened without a link."""
        return {field.name: field.rounded(field.default) for field in self.fields}  # type: ignore[arg-type]

    def of_theory(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """Return the values that the theory depends on."""
        return {field.name: values[field.name] for field in self.fields if field.of == "theory"}


@dataclass(frozen=True)
class State:
    """All that a picture hangs on: the page, its values, and whether a simulation lies over the theory."""

    page: Page
    values: Mapping[str, Value]
    overlay: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", MappingProxyType(dict(self.values)))


def write_link(state: State) -> str:
    """Return the query of the link that opens a state."""
    given: dict[str, Any] = {"page": state.page.name, **state.values}
    return urlencode(given | ({"overlay": 1} if state.overlay else {}))


def read_link(query: str, pages: Sequence[Page]) -> tuple[State, list[str]]:
    """Return the state that a link opens, and what is to be said of what it asks for in vain.

    A link is data: numbers are clamped to the ends of their sliders, words compared with lists, all else left out.

    Parameters
    ----------
    query
        What stands behind the question mark.
    pages
        The pages; the first one is opened where the link names none.
    """
    said: list[str] = []
    if len(query) > LONGEST_LINK:
        said.append(f"the link has {len(query)} characters: must be at most {LONGEST_LINK}; it is left out")
        query = ""
    given: dict[str, str] = {}
    for name, text in parse_qsl(query, keep_blank_values=True, errors="replace"):
        if name in given:
            said.append(f"{shown(name, 40)} stands in the link twice; the first is taken")
        else:
            given[name] = text
    named = {page.name: page for page in pages}
    asked = given.pop("page", pages[0].name)
    page = named.get(asked, pages[0])
    if asked not in named:
        said.append(f"page = {shown(asked, 40)}: must be one of {', '.join(named)}; {page.name} is opened")
    overlay = given.pop("overlay", "0")
    if overlay not in ("0", "1"):
        said.append(f"overlay = {shown(overlay, 40)}: must be 0 or 1; 0 is taken")
    values = page.defaults()
    for field in page.fields:
        if field.name in given:
            values[field.name], words = field.read(given.pop(field.name))
            said += [words] if words else []
    said += [f"{shown(name, 40)}: there is no such field on this page; it is left out" for name in given]
    return State(page, values, overlay == "1"), said
