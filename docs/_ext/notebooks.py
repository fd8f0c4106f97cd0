"""The pages of the four works: the notebooks of the examples, as they stand there, with their links."""

from __future__ import annotations

import shutil
from pathlib import Path

__all__ = ["copy_notebooks"]

#: Where the manual lies as seen from a notebook, and as seen from its copy.
_FROM_EXAMPLES, _FROM_WORKS = "](../../docs/", "](../"


def copy_notebooks(examples: Path, works: Path) -> None:
    """Copy every notebook of `examples` into the manual's folder `works`; copies of removed ones go."""
    for old in works.glob("*.ipynb"):
        old.unlink()
    for path in sorted(examples.glob("*.ipynb")):
        text = path.read_text(encoding="utf8")
        (works / path.name).write_text(text.replace(_FROM_EXAMPLES, _FROM_WORKS), encoding="utf8")
        # The age of the original: Sphinx builds an unchanged page only once.
        shutil.copystat(path, works / path.name)
