"""Complete the parameter lists of docstrings: type and default of every row, from the signature.

Docstrings name a parameter and say what it means; what it accepts and what it is if left out stand in the
signature. A row gets both from there, so that it cannot say another parameter's default.
"""

from __future__ import annotations

import ast
import inspect
import re
import typing
from collections.abc import Mapping
from typing import Any

from surface import defaults

__all__ = ["complete", "escape_bars", "readable"]

_ROW = re.compile(r"^\*{0,2}\w+(, \*{0,2}\w+)*$")
_NAMES = {
    "ArrayLike": "array_like",
    "NDArray": "ndarray",
    "Callable": "callable",
    "Mapping": "mapping",
    "MutableMapping": "mapping",
    "Path": "path",
    "Dataset": "Dataset",
    "Any": "",
    "None": "None",
}
_OF = {"Sequence": "sequence", "Iterable": "iterable", "list": "list", "Collection": "collection"}


def readable(annotation: str, names: Mapping[str, Any] | None = None) -> str:
    """Return an annotation in words, as numpydoc writes types; aliases among `names` are spelt out."""
    try:
        return _words(ast.parse(annotation, mode="eval").body, names or {})
    except SyntaxError:
        return ""


def _words(node: ast.expr, names: Mapping[str, Any]) -> str:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        sides = [_words(node.left, names), _words(node.right, names)]
        return " or ".join(dict.fromkeys(sides)) if all(sides) else ""
    if isinstance(node, ast.Constant):
        return repr(node.value)
    if isinstance(node, ast.Attribute):
        return _NAMES.get(node.attr, node.attr)
    if isinstance(node, ast.Name):
        value = names.get(node.id)
        if node.id not in _NAMES and typing.get_origin(value) is not None:
            return readable(str(value))
        return _NAMES.get(node.id, node.id)
    if isinstance(node, ast.Subscript):
        name = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
        inside = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if name == "Literal":
            return "{" + ", ".join(_words(item, names) for item in inside) + "}"
        if name in _OF:
            of = _words(inside[0], names)
            return f"{_OF[name]} of {of}" if of else _OF[name]
        return _NAMES.get(name, name)
    return ""


def complete(lines: list[str], target: Any) -> None:
    """Write type and default into the rows of a docstring's parameter list, in place."""
    known = defaults(target)
    function = inspect.unwrap(target.__init__ if isinstance(target, type) else target)
    names = getattr(function, "__globals__", {})
    inside = False
    for i, line in enumerate(lines):
        if i + 1 < len(lines) and re.fullmatch(r"-{3,}", lines[i + 1].strip()):
            inside = line.strip() in ("Parameters", "Other Parameters")
        elif inside and _ROW.match(line):
            row = [name.strip("*") for name in line.split(", ")]
            if all(name in known for name in row):
                lines[i] = line + _tail({name: known[name] for name in row}, names)


def escape_bars(lines: list[str]) -> None:
    """Keep |w| of plain text from being read as a substitution, in place; formulas and examples stay."""
    verbatim = -1
    for i, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if line.strip() and indent <= verbatim:
            verbatim = -1
        if line.lstrip().startswith(".. math::"):
            verbatim = indent
        elif verbatim < 0 and not line.lstrip().startswith(">>>"):
            parts = re.split(r"(`[^`]*`)", line)
            parts[::2] = [re.sub(r"(?<!\\)\|", r"\\|", part) for part in parts[::2]]
            lines[i] = "".join(parts)


def _tail(row: Mapping[str, tuple[str, str | None]], names: Mapping[str, Any]) -> str:
    types = {readable(annotation, names) for annotation, _ in row.values()}
    parts = [types.pop()] if len(types) == 1 else []
    shown = [default for _, default in row.values()]
    if len(set(shown)) == 1 and shown[0] is not None:
        parts.append(f"default: ``{shown[0]}``")
    elif any(default is not None for default in shown):
        told = [f"``{name}={default}``" for name, (_, default) in row.items() if default is not None]
        parts.append("defaults: " + ", ".join(told))
    tail = ", ".join(part for part in parts if part)
    return f" : {tail}" if tail else ""
