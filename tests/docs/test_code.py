"""The manual's code runs as it stands: every page is one session, from its first block to its last."""

import json
import os
import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

DOCS = Path(__file__).parents[2] / "docs"
NOTEBOOKS = DOCS.parent / "examples" / "notebooks"
# ```python, ```{code-cell} python, with the cell's :tags: lines left out.
BLOCK = re.compile(r"^```(?:python|\{code-cell\}[^\n]*)\n(?::[^\n]*\n)*(.*?)^```$", flags=re.S | re.M)
PAGES = {
    page.relative_to(DOCS).as_posix(): blocks
    for page in sorted(DOCS.rglob("*.md"))
    if (blocks := BLOCK.findall(page.read_text(encoding="utf8")))
} | {
    page.name: [
        "".join(cell["source"])
        for cell in json.loads(page.read_text(encoding="utf8"))["cells"]
        if cell["cell_type"] == "code"
    ]
    for page in sorted(NOTEBOOKS.glob("*.ipynb"))
}


def test_pages_with_code_are_found():
    works = {f"{name}.ipynb" for name in ("hidden-manifold", "gaussian-equivalence", "compression", "hinge")}
    assert {"start.md", *works} <= set(PAGES)


def test_no_code_block_escapes_the_pattern():
    fences = r"^[ \t]*(?:```|~~~|:::)[ \t]*\{?(?:python|code-cell|code-block|ipython3|py)\b"
    for page in DOCS.rglob("*.md"):
        text = page.read_text(encoding="utf8")
        assert len(re.findall(fences, text, flags=re.M)) == len(BLOCK.findall(text)), page


@pytest.mark.parametrize("page", PAGES)
def test_code_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    session = {"__name__": os.fspath(page)}
    try:
        for block in PAGES[page]:
            exec(compile(block, page, "exec"), session)
    finally:
        plt.close("all")
