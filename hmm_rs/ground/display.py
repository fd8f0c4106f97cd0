"""How objects show themselves: aligned lines at a prompt, a small table in a notebook."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

import numpy as np

__all__ = ["Shown", "as_lines", "as_table", "spelled", "unlike_defaults", "worded"]

#: Columns of a line, as of a terminal that nobody has widened.
WIDTH = 80

#: Readable beside xarray's tables, in light and in dark notebooks.
_TABLE = "border-collapse:collapse;font-size:90%"
_CELL = "text-align:left;padding:1px 12px 1px 0;vertical-align:top"


class Shown:
    """Base of objects that show a title and rows of name and value."""

    def _title(self) -> str:
        """Return the first line: what it is, and how it stands."""
        return type(self).__name__

    def _rows(self) -> Iterable[tuple[str, Any]]:
        """Return names and values, in order."""
        return ()

    def __repr__(self) -> str:
        return as_lines(self._title(), self._rows())

    def _repr_html_(self) -> str:
        return as_table(self._title(), self._rows())


def unlike_defaults(cls: type, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a constructor that are not its defaults."""
    defaults = {name: p.default for name, p in inspect.signature(cls).parameters.items()}
    return {name: value for name, value in arguments.items() if not _is(value, defaults.get(name))}


def _is(value: Any, default: Any) -> bool:
    """Return whether a value is the default; 1.0 is 1, and an array is none."""
    if isinstance(value, (int, float)) and isinstance(default, (int, float)):
        return isinstance(value, bool) is isinstance(default, bool) and value == default
    return type(value) is type(default) and not isinstance(value, np.ndarray) and bool(value == default)


def spelled(value: Any) -> str:
    """Return a value in a few words that are the same in every process: no address, arrays by shape."""
    if isinstance(value, np.ndarray):
        return f"<array {value.shape}>"
    if isinstance(value, np.random.SeedSequence):
        return " ".join(repr(value).split())
    if isinstance(value, np.generic):
        return repr(value.item())
    if type(value) in (list, tuple):
        inside = ", ".join(map(spelled, value))
        return f"[{inside}]" if type(value) is list else f"({inside}{',' * (len(value) == 1)})"
    if isinstance(value, functools.partial):
        return f"<partial of {spelled(value.func)}>"
    # A schedule can be called, and is a description all the same.
    if callable(value) and not isinstance(getattr(value, "_arguments", None), dict):
        name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
        module = getattr(value, "__module__", None)
        return f"<{module}:{name}>" if name and module else f"<{name or type(value).__qualname__}>"
    return repr(value)


def worded(value: Any) -> str:
    """Return a value in a few words: numbers to six digits, arrays by shape unless they are small."""
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    if isinstance(value, (float, np.floating)):
        return f"{value:.6g}"
    if isinstance(value, np.ndarray) and value.size <= 6 and value.dtype.kind in "biuf":
        return np.array2string(value, precision=6, separator=", ").replace("\n", "")
    if type(value) is tuple and value:
        inside = ", ".join(map(worded, value))
        return f"({inside}{',' * (len(value) == 1)})"
    given = getattr(value, "_arguments", None)
    if isinstance(given, dict) and not isinstance(value, Shown):
        given = unlike_defaults(type(value), given)
        inside = ", ".join(f"{name}={spelled(item)}" for name, item in given.items())
        return f"{type(value).__name__}({inside})"
    return value if isinstance(value, str) else spelled(value)


def as_lines(title: str, rows: Iterable[tuple[str, Any]]) -> str:
    """Return title and rows as aligned lines, none wider than a terminal."""
    listed = [(name, worded(value)) for name, value in rows]
    column = max((len(name) for name, _ in listed), default=0)
    return "\n".join([title, *(_cut(f"  {name:<{column}}  {words}") for name, words in listed)])


def as_table(title: str, rows: Iterable[tuple[str, Any]]) -> str:
    """Return title and rows as a table of HTML."""
    body = "".join(
        f'<tr><th style="{_CELL}">{escape(name)}</th><td style="{_CELL}">{escape(worded(value))}</td></tr>'
        for name, value in rows
    )
    caption = f'<tr><th colspan="2" style="{_CELL}">{escape(title)}</th></tr>'
    return f'<table style="{_TABLE}">{caption}{body}</table>'


def _cut(line: str) -> str:
    return line if len(line) <= WIDTH else line[: WIDTH - 3] + "..."
