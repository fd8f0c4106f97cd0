"""Sphinx extension: pages of the public names, complete parameter lists, references, formulas without a network."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from typing import Any

from links import LinkNames
from notebooks import copy_notebooks
from pages import stem_of, write_pages
from parameters import complete, escape_bars
from published import write_gallery
from sphinx.errors import ExtensionError, PycodeError
from sphinx.ext import autosummary
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.nodes import make_refnode
from surface import entries, find

__all__ = ["setup"]

#: Roots of other libraries that docstrings name; their manuals are not fetched at build.
_FOREIGN = ("numpy", "xarray", "matplotlib", "scipy", "sklearn", "concurrent", "np", "xr", "npt")


def _write_into_sources(app: Any) -> None:
    write_pages(Path(app.srcdir) / "api")
    top = Path(app.srcdir).parent
    copy_notebooks(top / "examples" / "notebooks", Path(app.srcdir) / "works")
    write_gallery(Path(app.srcdir) / "gallery", top / "gallery")
    # What a record has from tuple, dict or an exception is not worth a list; all else that is inherited is.
    app.config.numpydoc_show_inherited_class_members = {
        name: not {tuple, dict, BaseException} & set(entry.target.__mro__)
        for entry in entries()
        if entry.kind in ("class", "exception")
        for name in (entry.address, f"{entry.target.__module__}.{entry.target.__qualname__}")
    }


def _escape(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:  # noqa: ARG001
    escape_bars(lines)


def _show_public_bases(app: Any, name: str, obj: Any, options: Any, bases: list[Any]) -> None:  # noqa: ARG001
    """Name the nearest public ancestors in place of private ones."""
    listed = {entry.target for entry in entries() if entry.kind in ("class", "exception")}
    shown = []
    for base in bases:
        while base.__module__.startswith("hmm_rs") and base not in listed:
            base = base.__base__
        shown.append(base)
    bases[:] = shown


def _complete(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:  # noqa: ARG001
    if what in ("class", "exception", "function", "method"):
        complete(lines, obj)
    elif what == "data":
        lines[:] = _comment(name.rpartition(".")[2], obj)


def _comment(name: str, value: Any) -> list[str]:
    """Return the #: comment of a constant, wherever it is defined; its own docstring is that of its type."""
    for module_name, module in sorted(sys.modules.items()):
        if module_name.partition(".")[0] == "hmm_rs" and getattr(module, name, None) is value:
            try:
                comments = ModuleAnalyzer.for_module(module_name).find_attr_docs()
            except PycodeError:
                continue
            if ("", name) in comments:
                return list(comments["", name])
    return []


def _resolve(app: Any, env: Any, node: Any, contnode: Any) -> Any:
    """Lead a reference to a room's own address, or to a bare name, to the public page."""
    if node.get("refdomain") != "py":
        return None
    target = str(node["reftarget"])
    if target.partition(".")[0] in _FOREIGN:
        return contnode
    if node.get("reftype") == "mod":
        page = f"api/{stem_of(target)}"
        if page in env.all_docs:
            return make_refnode(app.builder, node["refdoc"], page, "", contnode)
        return contnode
    if target.rpartition(".")[2].startswith("_"):
        # Docstrings for those who write engines name private methods; they have no page.
        return contnode
    address = find(target) or find(f"{node.get('py:class', '')}.{target}")
    if address is None:
        return None
    return env.get_domain("py").resolve_xref(env, node["refdoc"], app.builder, "obj", address, node, contnode)


def _bundle_mathjax(app: Any, error: Exception | None) -> None:
    """Copy the part of MathJax that the pages load, so that formulas need no network."""
    if error is not None or app.builder.format != "html":
        return
    spec = importlib.util.find_spec("sphinx-mathjax-offline")
    if spec is None or spec.origin is None:
        raise ExtensionError("MathJax is missing: pip install sphinx-mathjax-offline")
    source = Path(spec.origin).parent / "static" / "mathjax"
    target = Path(app.outdir) / "_static" / "mathjax"
    target.mkdir(parents=True, exist_ok=True)
    shutil.copy(source / "tex-chtml.js", target)
    for part in ("output/chtml/fonts", "input/tex/extensions"):
        shutil.copytree(source / part, target / part, dirs_exist_ok=True)


def setup(app: Any) -> dict[str, Any]:
    """Connect everything."""
    # A summary ends at the first full stop that is not part of one of these.
    autosummary.WELL_KNOWN_ABBREVIATIONS += ("i.i.d.",)
    app.connect("builder-inited", _write_into_sources, priority=100)
    # Before numpydoc (500) reads the docstring.
    app.connect("autodoc-process-docstring", _complete, priority=400)
    app.connect("autodoc-process-docstring", _escape, priority=600)
    app.connect("autodoc-process-bases", _show_public_bases)
    app.connect("missing-reference", _resolve)
    app.add_transform(LinkNames)
    app.connect("build-finished", _bundle_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
