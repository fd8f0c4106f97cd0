"""The explorer in a real browser, where there is one: Chromium without a window."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import pytest

import hmm_rs as hr
from hmm_rs.explore import PAGES, State, script

pytest.importorskip("bokeh", reason="needs Bokeh: pip install 'hmm_rs[explore]'")

sys.path.insert(0, str(Path(__file__).parent))
from browser import Browser, chromium

pytestmark = [
    # Seconds for a page, and minutes where a machine has other work.
    pytest.mark.slow,
    pytest.mark.skipif(
        chromium() is None, reason="no Chromium on this machine: install it, or set CHROMIUM to its path"
    ),
]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "hmm_rs", "explore", "--no-browser", "--port", "0"],
        env={**os.environ, "PYTHONPATH": str(Path(hr.__file__).parents[1])},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    yield re.search(r"http://\S+/", child.stdout.readline())[0]  # type: ignore[index]
    child.kill()
    child.communicate()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


MODEL = "Bokeh.documents[0].get_model_by_name({!r})"
#: The pixels of all canvases of a page that can be seen, as one number.
PIXELS = """(() => {
  let sum = 0
  const look = (node) => {
    if (node instanceof HTMLCanvasElement && node.width && node.offsetParent) {
      for (const byte of node.getContext("2d").getImageData(0, 0, node.width, node.height).data)
        sum = (sum * 31 + byte) % 1000000007
    }
    for (const child of node.children) look(child)
    if (node.shadowRoot) look(node.shadowRoot)
  }
  look(document.body)
  return sum
})()"""
#: Give the focus to the handle of a slider, however deep it lies.
FOCUS = """(() => {
  const view = Bokeh.index.find_one_by_id(%s.id)
  view.shadow_el.querySelector(".noUi-handle").focus()
})()"""


def asked(browser: Browser) -> dict[str, str]:
    return {name: texts[0] for name, texts in parse_qs(browser.run("location.search.slice(1)")).items()}


@pytest.mark.parametrize(
    ("page", "field", "panel"),
    [
        ("online", "lr", "eg"),
        ("hinge", "h", "gamma"),
        ("compression", "p", "factor"),
        ("replica", "lam", "test"),
    ],
)
def test_a_key_on_a_slider_redraws_the_picture_and_the_link(browser, address, page, field, panel) -> None:
    browser.open(f"{address}?page={page}")
    browser.wait(MODEL.format(f"{page} {panel} lines") + ".data.ys.length > 0")
    browser.run("new Promise((done) => setTimeout(done, 500))")
    before, link = browser.run(PIXELS), asked(browser)
    browser.run(FOCUS % MODEL.format(f"{page} {field}"))
    for _ in range(3):
        browser.key("ArrowRight", 39)
    browser.wait(f"{PIXELS} != {before}")
    browser.wait(
        f"location.search.includes('{field}=') && !location.search.includes('{field}={link[field]}&')"
    )
    after = asked(browser)
    assert {name for name in after if after[name] != link[name]} == {field}
    assert float(after[field]) > float(link[field])
    # Opened again, the address shows the same: the sliders stand there and the picture is the same to the pixel.
    browser.run("new Promise((done) => setTimeout(done, 500))")
    lines = MODEL.format(f"{page} {panel} lines") + ".data.ys.map((ys) => Array.from(ys))"
    shown = browser.run(lines)
    browser.open(browser.run("location.href"))
    browser.wait(MODEL.format(f"{page} {panel} lines") + ".data.ys.length > 0")
    assert asked(browser) == after
    assert browser.run(lines) == shown
    assert browser.complaints() == []


def test_a_simulation_is_laid_over_the_theory(browser, address) -> None:
    browser.open(f"{address}?page=online&N=100&t_max=10")
    browser.wait(MODEL.format("online eg lines") + ".data.ys.length > 0")
    browser.run(
        "Bokeh.index.find_one_by_id("
        + MODEL.format("online simulate")
        + ".id).shadow_el.querySelector('button').click()"
    )
    browser.wait(MODEL.format("online eg marks") + ".data.x.length > 10")
    browser.wait("location.search.includes('overlay=1')")
    assert browser.complaints() == []


def test_copy_as_code_gives_the_script(browser, address) -> None:
    browser.open(f"{address}?page=hinge&h=2")
    # The clipboard of a browser without a window depends on the system; what it is handed does not.
    browser.run(
        "Object.defineProperty(navigator, 'clipboard', {value: {writeText: async (text) => { window.copied = text }}})"
    )
    button = MODEL.format("hinge copy as code")
    browser.run(f"Bokeh.index.find_one_by_id({button}.id).shadow_el.querySelector('button').click()")
    page = PAGES[1]
    assert browser.wait("window.copied") == script(State(page, {**page.defaults(), "h": 2.0}))


def test_on_a_telephone_nothing_sticks_out(browser, address) -> None:
    browser.resize(390, 844)
    try:
        for page in PAGES:
            browser.open(f"{address}?page={page.name}")
            browser.wait(MODEL.format(f"{page.name} {page.panels[0].name} lines") + ".data.ys.length > 0")
            assert browser.run("document.documentElement.scrollWidth") <= 390
    finally:
        browser.resize(1280, 900)
