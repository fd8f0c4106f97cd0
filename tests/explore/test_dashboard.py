"""What a window shows, without a browser: the document, its events, and what they change in it."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest

from hmm_rs.explore.dashboard import Explorer

document = pytest.importorskip("bokeh.document", reason="needs Bokeh: pip install 'hmm_rs[explore]'")


class Window:
    """A document, and the turns of the loop that a server would give it."""

    def __init__(self, query: str) -> None:
        self.document = document.Document()
        self.explorer = Explorer(self.document, query)

    def __getitem__(self, name: str) -> Any:
        return self.document.select_one({"name": name})

    async def _turn(self) -> None:
        for callback in list(self.document.session_callbacks):
            self.document.remove_next_tick_callback(callback)
            returned = callback.callback()
            if inspect.isawaitable(returned):
                await returned

    def wait(self, true: Callable[[], Any], seconds: float = 30.0) -> None:
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, "nothing came"
            asyncio.run(self._turn())
            time.sleep(0.002)

    def _shown(self, page: str, panel: str, kind: str) -> list[list[float]]:
        """The ordinates of the lines or marks of a picture, as the browser takes them out of the message."""
        view = next(view for view in self.explorer.views if view.page.name == page)
        if not view.told.tags:
            return []
        numbers, panels = view.told.tags
        at, found = 0, {}
        for name, told in zip(view.canvases, panels, strict=True):
            for each in ("lines", "marks"):
                counts = told[each]["counts"]
                # Abscissae of all come before the ordinates.
                starts = at + sum(counts) + np.cumsum([0, *counts])
                found[name, each] = [
                    numbers[start : start + count].tolist()
                    for start, count in zip(starts, counts, strict=False)
                ]
                at += 2 * sum(counts)
        assert at == numbers.size
        return found[panel, kind]

    def lines(self, name: str) -> list[list[float]]:
        return self._shown(*name.split(), "lines")

    def marks(self, name: str) -> list[float]:
        return [y for ys in self._shown(*name.split(), "marks") for y in ys]


@pytest.fixture
def window() -> Iterator[Callable[..., Window]]:
    opened: list[Window] = []

    def open_window(**asked: str) -> Window:
        opened.append(Window(urlencode(asked)))
        return opened[-1]

    yield open_window
    for each in opened:
        each.explorer.close()


def test_a_slider_moves_the_theory(window) -> None:
    here = window()
    here.wait(lambda: here.lines("online eg"))
    before = here.lines("online eg")
    here["online lr"].value = 0.0  # a logarithm: lr = 1
    here.wait(lambda: here.lines("online eg") != before)
    here.wait(lambda: "lr=1.0" in here["texts"].tags[0])
    assert "lr=1.0,\n" in here["texts"].tags[1]
    # A larger rate learns faster at first.
    assert here.lines("online eg")[0][10] < before[0][10]


def test_a_link_opens_what_another_window_shows(window) -> None:
    one = window()
    one.wait(lambda: one.lines("online eg"))
    one["tabs"].active = 1
    one["hinge h"].value = 2.0
    one.wait(lambda: "h=2.0" in one["texts"].tags[0] and one.lines("hinge gamma"))
    link = one["texts"].tags[0]
    other = window(**dict(pair.split("=") for pair in link.split("&")))
    other.wait(lambda: other.lines("hinge gamma"))
    assert other["tabs"].active == 1
    assert other["hinge h"].value == 2.0
    assert not other["refused"].visible
    one.wait(lambda: one.lines("hinge gamma") == other.lines("hinge gamma"))


def test_a_wrong_link_is_answered_in_plain_words(window) -> None:
    here = window(page="replica", lam="1e99", loss="<script>alert(1)</script>")
    here.wait(lambda: here.lines("replica test"))
    assert here["refused"].visible
    assert "lam = 1e+99: must be a number from 0.0001 to 100; 100 is taken" in here["refused"].text
    # Shown as text, not run.
    assert "&lt;script&gt;" in here["refused"].text
    assert "<script" not in here["refused"].text


def test_an_error_of_the_package_stands_beside_the_picture(window) -> None:
    here = window(page="compression", xmin="1", xmax="-1")
    here.wait(lambda: here["compression wrong"].visible)
    assert "xm" in here["compression wrong"].text
    assert here.lines("compression factor") == []
    here["compression xmin"].value = -1.5
    here.wait(lambda: here.lines("compression factor"))
    assert not here["compression wrong"].visible


def test_a_link_with_an_overlay_simulates_and_a_slider_takes_it_away(window) -> None:
    here = window(page="online", N="100", t_max="10", overlay="1")
    here.wait(lambda: len(here.marks("online eg")) > 10)
    assert here["online simulate"].label == "simulate again"
    assert "overlay=1" in here["texts"].tags[0]
    assert "run = simulation(**settings)" in here["texts"].tags[1]
    here["online noise"].value = 0.5
    here.wait(lambda: len(here.marks("online eg")) == 0)
    assert "overlay" not in here["texts"].tags[0]
