"""The manual lists what the package offers: names, inherited methods, parameters, defaults."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable
from types import ModuleType
from typing import Literal

import pytest
from pages import write_pages
from parameters import complete, escape_bars, readable
from surface import aliases, defaults, entries, find, members, public_modules, sections

import hmm_rs as hr

ADDRESSES = {entry.address: entry for entry in entries()}
CALLABLES = {
    **{address: entry.target for address, entry in ADDRESSES.items() if entry.kind != "data"},
    **{
        f"{address}.{name}": getattr(entry.target, name)
        for address, entry in ADDRESSES.items()
        if entry.kind == "class"
        for name in members(entry.target)
    },
}


def test_every_name_of_every_public_module_has_an_entry():
    for module_name in public_modules():
        module = importlib.import_module(module_name)
        for name in module.__all__:
            address = f"{module_name}.{name}"
            if not isinstance(getattr(module, name), ModuleType):
                assert aliases().get(address, address) in ADDRESSES


def test_rooms_that_users_import_from_are_public():
    rooms = {
        "cnn",
        "data",
        "errors",
        "experiments",
        "figures",
        "generators",
        "kernels",
        "observables",
        "plot",
    }
    assert {f"hmm_rs.{room}" for room in rooms} <= set(public_modules())
    assert {"hmm_rs.theory", "hmm_rs.theory.replica", "hmm_rs.theory.equivalence"} <= set(public_modules())


def test_names_keep_the_address_users_type():
    assert find("hmm_rs.data.hidden_manifold.HiddenManifold") == "hmm_rs.HiddenManifold"
    assert find("hmm_rs.data.HiddenManifold") == "hmm_rs.HiddenManifold"
    assert find("hmm_rs.HiddenManifold.sample") == "hmm_rs.HiddenManifold.sample"
    assert find("SaadSolla") == "hmm_rs.theory.SaadSolla"
    assert find("no_such_name") is None
    assert ADDRESSES["hmm_rs.kernels.ntk"].target is hr.kernels.ntk


def test_inherited_methods_are_listed_and_foreign_ones_are_not():
    assert {"sample", "covariances", "moments"} <= set(members(hr.HiddenManifold))
    for driver in (hr.OnlineSGD, hr.GradientFlow, hr.KernelFlow, hr.Particles):
        assert {"run", "advance", "t"} <= set(members(driver))
    assert not {"with_traceback", "add_note"} & set(members(hr.DivergenceError))
    assert not {"count", "index"} & set(members(hr.kernels.SupportVectors))


def test_every_entry_stands_under_one_heading():
    listed = [entry.address for section in sections() for entry in section.entries]
    assert sorted(listed) == sorted(ADDRESSES)


def test_rooms_list_what_they_share_with_a_shorter_address():
    shared = {section.module: [entry.address for entry in section.borrowed] for section in sections()}
    assert {"hmm_rs.OnlineSGD", "hmm_rs.resume"} <= set(shared["hmm_rs.dynamics"])
    assert find("hmm_rs.errors.ShapeError") == "hmm_rs.ShapeError"


def test_a_room_without_a_list_only_repeats_other_addresses():
    listed = {section.module for section in sections()}
    for module in set(public_modules()) - listed:
        for name in importlib.import_module(module).__all__:
            value = getattr(importlib.import_module(module), name)
            assert isinstance(value, ModuleType) or f"{module}.{name}" in aliases()


def test_a_function_under_two_names_has_two_entries():
    assert ADDRESSES["hmm_rs.cnn.load_idx"].target is ADDRESSES["hmm_rs.data.images.read_idx"].target


def test_every_name_gets_a_page_and_every_page_is_in_the_index(tmp_path):
    write_pages(tmp_path / "api")
    pages = {path.stem for path in (tmp_path / "api").glob("*.rst")}
    assert set(ADDRESSES) <= pages
    index = (tmp_path / "api" / "index.rst").read_text(encoding="utf8")
    for section in sections():
        for entry in section.entries:
            assert f":py:obj:`~{entry.address}`" in index
    for page in pages - {"index"}:
        text = (tmp_path / "api" / f"{page}.rst").read_text(encoding="utf8")
        assert f"<{page}>" in index or f".. currentmodule:: {page.rpartition('.')[0]}" in text


def test_pages_of_removed_names_go(tmp_path):
    (tmp_path / "api").mkdir()
    (tmp_path / "api" / "hmm_rs.gone.rst").write_text("gone")
    write_pages(tmp_path / "api")
    assert not (tmp_path / "api" / "hmm_rs.gone.rst").exists()


@pytest.mark.parametrize("address", [a for a, target in CALLABLES.items()])
def test_every_name_says_what_it_is(address):
    assert (inspect.getdoc(CALLABLES[address]) or "").strip()


def rows(text):
    """Return the names of each row of a docstring's parameter list."""
    found = re.search(r"^Parameters\n-+\n(.*?)(?=^\w[\w ]*\n-{3,}$|\Z)", text, flags=re.S | re.M)
    lines = found[1].splitlines() if found else []
    return [line for line in lines if re.match(r"\*{0,2}\w", line)]


@pytest.mark.parametrize(
    "address", [a for a, target in CALLABLES.items() if rows(inspect.getdoc(target) or "")]
)
def test_every_documented_parameter_exists(address):
    known = defaults(CALLABLES[address])
    for row in rows(inspect.getdoc(CALLABLES[address])):
        for name in row.partition(" : ")[0].split(", "):
            assert name.strip("*") in known, f"{address} has no parameter {name}"


def demo(a, b: int = 3, *, c: float | None = None, d: str = "x", e=(), f=(), **options):
    """Do nothing.

    Parameters
    ----------
    a
        First.
    b
        Second; this line
        is not a row.
    c, d
        Unlike.
    e, f
        Alike.
    **options
        Others.
    unknown
        Not in the signature.

    Returns
    -------
    b
        Not a parameter.
    """


def test_rows_say_type_and_default_of_their_own_parameters():
    lines = inspect.getdoc(demo).splitlines()
    complete(lines, demo)
    shown = [line for line in lines if re.match(r"[\w*]+(, \w+)*( : .*)?$", line)]
    assert shown == [
        "Parameters",
        "a",
        "b : int, default: ``3``",
        "c, d : defaults: ``c=None``, ``d='x'``",
        "e, f : default: ``()``",
        "**options",
        "unknown",
        "Returns",
        "b",
    ]


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        ("npt.ArrayLike | None", "array_like or None"),
        ("Sequence[int]", "sequence of int"),
        ("Callable[[Floats], npt.ArrayLike]", "callable"),
        ("Literal['a', 'b'] | None", "{'a', 'b'} or None"),
        ("Any", ""),
        ("int | Any", ""),
        ("tuple[float, float]", "tuple"),
        ("not an annotation (", ""),
        ("Choice | None", "{'a', 'b'} or None"),
        ("Function", "str or callable"),
        ("Unknown", "Unknown"),
    ],
)
def test_annotations_in_words(annotation, words):
    names = {"Choice": Literal["a", "b"], "Function": str | Callable[[float], float]}
    assert readable(annotation, names) == words


def test_bars_of_text_are_escaped_and_those_of_formulas_are_not():
    lines = ["norm |w| of `|v|`", r"already \|x\|", ".. math:: |a|", "    |b|", "text |c|", ">>> x | y"]
    escape_bars(lines)
    assert lines == [
        r"norm \|w\| of `|v|`",
        r"already \|x\|",
        ".. math:: |a|",
        "    |b|",
        r"text \|c\|",
        ">>> x | y",
    ]
