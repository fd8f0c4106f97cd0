"""The manual as it is built: complete, without warnings, with the right defaults, and readable without a network."""

from __future__ import annotations

import copy
import inspect
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from surface import entries, members

import hmm_rs

DOCS = Path(__file__).parents[2] / "docs"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build the manual from a copy; warnings, unresolved references among them, are errors."""
    for package in ("sphinx", "myst_nb", "pydata_sphinx_theme", "bs4"):
        pytest.importorskip(package, reason="needs requirements/docs.txt")
    folder = tmp_path_factory.mktemp("manual")
    shutil.copytree(DOCS, folder / "docs", ignore=shutil.ignore_patterns("api", "gallery"))
    shutil.copytree(DOCS.parent / "examples", folder / "examples")
    command = [sys.executable, "-P", "-m", "sphinx", "-W", "--keep-going", "-j", "2", "-q"]
    built = subprocess.run(
        [*command, str(folder / "docs"), str(folder / "site")], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    return folder / "site"


@pytest.fixture(scope="module")
def pages(site):
    import bs4

    return {
        path.relative_to(site).as_posix(): bs4.BeautifulSoup(path.read_text(encoding="utf8"), "html.parser")
        for path in site.rglob("*.html")
    }


@pytest.fixture(scope="module")
def described(pages):
    """Return the description of every object by its address."""
    found = {}
    for page in pages.values():
        for signature in page.select("dl.py > dt.sig[id]"):
            found[signature["id"]] = signature.parent
    return found


def addresses():
    for entry in entries():
        yield entry.address, entry.target
        if entry.kind == "class":
            for name in members(entry.target):
                yield f"{entry.address}.{name}", getattr(entry.target, name)


def test_every_public_name_and_inherited_method_is_described(described):
    assert [address for address, _ in addresses() if address not in described] == []


def test_every_public_name_is_in_the_index(pages):
    listed = {
        link["href"].partition("#")[2] for link in pages["genindex.html"].select("table.indextable a[href]")
    }
    assert [address for address, _ in addresses() if address not in listed] == []


def own_rows(description):
    """Yield (names, defaults) of the rows of an object's own parameter list, not of its methods'."""
    body = description.find("dd", recursive=False)
    for fields in body.find_all("dl", class_="field-list", recursive=False):
        for title in fields.find_all("dt", recursive=False):
            if not title.get_text().startswith(("Parameters", "Other Parameters")):
                continue
            for row in title.find_next_sibling("dd").find_all("dt"):
                if row.find_parent("dl").find_parent("dd") is not title.find_next_sibling("dd"):
                    continue
                names = [name.strip(" *") for name in row.find("strong").get_text().split(",")]
                kind = row.find("span", class_="classifier")
                yield names, [c.get_text() for c in kind.find_all("code")] if kind else []


def test_every_default_shown_is_that_of_the_signature(described):
    compared = 0
    for address, target in addresses():
        parameters = None
        for names, shown in own_rows(described[address]):
            parameters = parameters or inspect.signature(target).parameters
            expected = {}
            for name in names:
                default = parameters[name].default
                if default is not inspect.Parameter.empty:
                    expected[name] = default.__qualname__ if inspect.isroutine(default) else repr(default)
            if set(expected) == set(names) and len(set(expected.values())) == 1:
                expected = [expected[names[0]]]
            else:
                expected = [f"{name}={default}" for name, default in expected.items()]
            assert shown == expected, (address, names)
            compared += len(names)
    assert compared > 500


def test_no_markup_is_left_as_text(pages):
    for name, page in pages.items():
        page = copy.copy(page)
        for code in page.select("pre, code, script, .math"):
            code.extract()
        text = page.get_text()
        assert not re.search(r":(?:math|func|class|meth|mod|py:obj|doc):|\.\. \w+::|\{code-cell\}", text), (
            name
        )
        assert not page.select(".system-message, .problematic"), name


def test_pages_load_nothing_from_elsewhere(pages):
    for name, page in pages.items():
        loaded = [tag.get("src") for tag in page.select("script[src], img[src]")]
        loaded += [tag.get("href") for tag in page.select("link[rel=stylesheet], link[rel=preload]")]
        assert [address for address in loaded if address.startswith(("http:", "https:", "//"))] == [], name


def test_formulas_come_with_the_pages(site, pages):
    loaded = [script["src"] for script in pages["works/hidden-manifold.html"].select("script[src]")]
    assert any(address.partition("?")[0].endswith("_static/mathjax/tex-chtml.js") for address in loaded)
    mathjax = site / "_static" / "mathjax"
    assert (mathjax / "tex-chtml.js").stat().st_size > 100_000
    assert len(list((mathjax / "output" / "chtml" / "fonts").rglob("*.woff"))) >= 20


def test_works_show_pictures(pages):
    for name in ("hidden-manifold", "gaussian-equivalence", "compression", "hinge"):
        assert len(pages[f"works/{name}.html"].select("div.cell_output img")) >= 3


def test_version_is_that_of_the_package(pages):
    assert hmm_rs.__version__ in pages["index.html"].title.get_text()
