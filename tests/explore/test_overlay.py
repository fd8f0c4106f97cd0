"""A simulation in a thread: progress, an end, and an end before that."""

from __future__ import annotations

import threading
import time

import pytest

from hmm_rs.explore import PAGES, State
from hmm_rs.explore.work import Overlay

NAMED = {page.name: page for page in PAGES}


def overlay(name: str, told: list[float], **changed) -> Overlay:
    page = NAMED[name]
    return Overlay(State(page, {**page.defaults(), **changed}, True), lambda one: told.append(one.done))


@pytest.mark.parametrize(
    ("name", "changed"),
    [("online", {"N": 100, "t_max": 10.0}), ("replica", {"p": 40, "repeats": 1, "alpha_max": 2.0})],
)
def test_it_tells_how_far_it_is_and_ends_with_an_answer(name, changed) -> None:
    told: list[float] = []
    work = overlay(name, told, **changed)
    work.start()
    work.join(60)
    assert work.answer is not None
    assert work.answer.result is not None
    assert not work.answer.words
    assert told == sorted(told)
    assert told[0] == 0.0
    assert told[-1] == 1.0
    assert len(told) > 5


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("online", {"N": 1000, "t_max": 1000.0, "delta": 1.0}),
        ("hinge", {"N": 20_000, "nodes": 300, "d": 50, "t_max": 10_000.0}),
    ],
)
def test_a_long_one_can_be_stopped(name, changed) -> None:
    begun = threading.Event()
    page = NAMED[name]
    work = Overlay(State(page, {**page.defaults(), **changed}, True), lambda _: begun.set())
    work.start()
    assert begun.wait(60)
    stopped = time.monotonic()
    work.cancel()
    work.join(30)
    assert work.answer is not None
    assert work.answer.words.startswith("stopped")
    # It would take minutes; a slice is 100 ms, or one step of the largest network.
    assert time.monotonic() - stopped < 15


def test_what_went_wrong_is_its_answer() -> None:
    work = overlay("online", [], spectrum="orthogonal", delta=2.0, N=100)
    work.start()
    work.join(60)
    assert work.answer is not None
    assert work.answer.result is None
    assert "D" in work.answer.words
