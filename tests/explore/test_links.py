"""A link restores a state, and nothing that stands in one can do harm."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hmm_rs.explore import PAGES, State, read_link, write_link
from hmm_rs.explore.fields import Slider


def within(state: State) -> bool:
    return all(
        field.low <= state.values[field.name] <= field.high
        if isinstance(field, Slider)
        else state.values[field.name] in field.options
        for field in state.page.fields
    )


@st.composite
def states(draw: st.DrawFn) -> State:
    page = draw(st.sampled_from(PAGES))
    values = {}
    for field in page.fields:
        if isinstance(field, Slider):
            ends = field.position(field.low), field.position(field.high)
            values[field.name] = field.at(draw(st.floats(*ends)))
        else:
            values[field.name] = draw(st.sampled_from(field.options))
    return State(page, values, draw(st.booleans()))


@settings(max_examples=100, deadline=None)
@given(state=states())
def test_a_link_opens_the_state_it_was_made_of(state: State) -> None:
    opened, said = read_link(write_link(state), PAGES)
    assert opened == state
    assert not said


@settings(max_examples=200, deadline=None)
@given(query=st.one_of(st.text(), st.builds(lambda v: f"page=online&lr={v}&K={v}&units={v}", st.text())))
def test_whatever_a_link_says_a_state_is_opened(query: str) -> None:
    opened, said = read_link(query, PAGES)
    assert within(opened)
    assert all(isinstance(words, str) for words in said)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_defaults_are_values_of_the_sliders(page) -> None:
    state = State(page, page.defaults())
    assert within(state)
    assert read_link(f"page={page.name}", PAGES) == (state, [])


@pytest.mark.parametrize(
    ("query", "name", "value", "words"),
    [
        ("lr=1e9", "lr", 10.0, "lr = 1e+09: must be a number from 0.01 to 10; 10 is taken"),
        ("lr=-1", "lr", 0.01, "lr = -1: must be a number from 0.01 to 10; 0.01 is taken"),
        ("lr=nan", "lr", 0.2, "lr = 'nan': must be a number from 0.01 to 10; 0.2 is taken"),
        ("lr=inf", "lr", 0.2, "lr = 'inf': must be"),
        ("lr=__import__('os').abort()", "lr", 0.2, "must be a number"),
        ("K=2.5", "K", 2, "K = 2.5: must be a whole number; 2 is taken"),
        ("K=99", "K", 4, "K = 99: must be a number from 1 to 4; 4 is taken"),
        ("units=tanh", "units", "erf", "units = 'tanh': must be one of erf, relu; erf is taken"),
        ("lr=0.5&lr=0.7", "lr", 0.5, "'lr' stands in the link twice; the first is taken"),
        ("speed=3", "lr", 0.2, "'speed': there is no such field on this page; it is left out"),
        (
            "page=nowhere",
            "lr",
            0.2,
            "page = 'nowhere': must be one of online, hinge, compression, replica; online",
        ),
        ("overlay=yes", "lr", 0.2, "overlay = 'yes': must be 0 or 1; 0 is taken"),
        ("lr=0.5&" + "x" * 5000, "lr", 0.2, "the link has 5007 characters: must be at most 4000"),
    ],
)
def test_bad_values_are_clamped_or_refused_in_words(query, name, value, words) -> None:
    state, said = read_link(query, PAGES)
    assert state.values[name] == value
    assert state.page is PAGES[0]
    assert len(said) == 1
    assert words in said[0]


def test_a_logarithmic_slider_takes_the_digits_that_it_shows() -> None:
    rate = next(field for field in PAGES[0].fields if field.name == "lr")
    assert rate.at(math.log10(0.123456)) == 0.123
    assert rate.at(5.0) == rate.high
    assert rate.at(rate.position(0.2)) == 0.2
