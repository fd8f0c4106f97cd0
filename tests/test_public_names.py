"""The public names and signatures, written down: what moved, what was added, and that nothing was lost.

After a change that is meant to be seen, renew the snapshots and read what `git diff` says of them::

    python tests/test_public_names.py

`python_before.txt` was taken before the rooms were rebuilt and is never renewed: every name and every
parameter in it must still be there.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import inspect
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import hmm_rs

SNAPSHOTS = Path(__file__).with_name("snapshots")
RUST = Path(__file__).parents[1] / "rust"
PURE_CRATES = ("hmm-core", "hmm-sim", "hmm-theory", "hidden-manifold")
RENEW = "renew with `python tests/test_public_names.py` if it is meant"

#: Packages that users address by name although the top of the package does not list them.
ADDRESSED = (
    "hmm_rs.data",
    "hmm_rs.data.images",
    "hmm_rs.dynamics",
    "hmm_rs.dynamics.full_batch",
    "hmm_rs.explore",
    "hmm_rs.networks",
)


# -- Python --------------------------------------------------------------------------------------------


def ours(thing: Any) -> bool:
    module = getattr(thing, "__module__", None) or ""
    return module.split(".")[0] == "hmm_rs"


def signature(thing: Any) -> str:
    """Names, kinds and defaults; annotations are mypy's business."""

    def shown(parameter: inspect.Parameter) -> inspect.Parameter:
        default = parameter.default
        if default is not parameter.empty:
            try:
                ast.literal_eval(repr(default))
            except (ValueError, SyntaxError):
                default = ...
        return parameter.replace(annotation=parameter.empty, default=default)

    try:
        found = inspect.signature(thing)
    except (ValueError, TypeError):
        return "(...)"
    parameters = [shown(p) for p in found.parameters.values()]
    text = str(inspect.Signature(parameters))
    return text.replace("Ellipsis", "...")


def of_class(address: str, cls: type) -> Iterator[str]:
    yield f"class {address}{signature(cls)}"
    annotated = {
        name
        for base in cls.__mro__
        if ours(base)
        for name in inspect.get_annotations(base)
        if not name.startswith("_")
    }
    for name in sorted({n for n in dir(cls) if not n.startswith("_")} | annotated):
        owner = next((base for base in cls.__mro__ if name in base.__dict__), None)
        if owner is None:
            yield f"attribute {address}.{name}"
        elif ours(owner):
            member = inspect.getattr_static(cls, name)
            if isinstance(member, (classmethod, staticmethod)) or inspect.isroutine(member):
                yield f"def {address}.{name}{signature(getattr(cls, name))}"
            else:
                yield f"attribute {address}.{name}"


def python_names() -> list[str]:
    """One line for every public name: its kind, address and signature."""
    lines: list[str] = []
    seen: dict[int, str] = {}
    waiting: list[tuple[str, Any]] = [
        ("hmm_rs", hmm_rs),
        *((name, importlib.import_module(name)) for name in ADDRESSED),
    ]
    while waiting:
        address, module = waiting.pop(0)
        if id(module) in seen:
            continue
        seen[id(module)] = address
        lines.append(f"module {address}")
        public = getattr(module, "__all__", None)
        for name in sorted(n for n in vars(module) if not n.startswith("_")) if public is None else public:
            thing, at = getattr(module, name), f"{address}.{name}"
            if isinstance(thing, types.ModuleType):
                if thing.__name__.split(".")[0] == "hmm_rs":
                    waiting.append((at, thing))
            elif inspect.isclass(thing) and ours(thing):
                if id(thing) in seen:
                    lines.append(f"class {at}{signature(thing)} is {seen[id(thing)]}")
                else:
                    seen[id(thing)] = at
                    lines.extend(of_class(at, thing))
            elif inspect.isroutine(thing) and ours(thing):
                lines.append(f"def {at}{signature(thing)}")
            elif public is not None:
                lines.append(f"value {at}")
    return sorted(lines, key=lambda line: line.split(" ", 1)[1])


def parameters(text: str) -> list[tuple[str, str, str | None]]:
    """Name, kind ("position", "keyword", "*", "**") and default of each parameter of "(a, *, b=1)"."""
    arguments = ast.parse(f"def f{text}: ...").body[0].args  # type: ignore[attr-defined]
    positions = [*arguments.posonlyargs, *arguments.args]
    padding = [None] * (len(positions) - len(arguments.defaults))
    result = [
        (a.arg, "position", None if d is None else ast.unparse(d))
        for a, d in zip(positions, [*padding, *arguments.defaults], strict=True)
    ]
    result += [
        (a.arg, "keyword", None if d is None else ast.unparse(d))
        for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    ]
    result += [(a.arg, kind, None) for a, kind in ((arguments.vararg, "*"), (arguments.kwarg, "**")) if a]
    return result


def lost_parameters(before: str, now: str) -> list[str]:
    """What a caller of the signature `before` can no longer do with the signature `now`."""
    if "(...)" in (before, now):
        return []
    new = {name: (kind, default) for name, kind, default in parameters(now)}
    positions = [name for name, kind, _ in parameters(now) if kind == "position"]
    lost = []
    for place, (name, kind, default) in enumerate(parameters(before)):
        if kind in ("*", "**"):
            if kind not in {k for k, _ in new.values()}:
                lost.append(f"{kind}{name} is gone")
        elif name not in new:
            lost.append(f"{name} is gone")
        elif kind == "position" and positions[place : place + 1] != [name]:
            lost.append(f"{name} is no longer the positional argument number {place}")
        elif default is not None and new[name][1] is None:
            lost.append(f"{name} had the default {default}")
        elif default is not None and new[name][1] != default:
            lost.append(f"{name} had the default {default}, has {new[name][1]}")
    old = {name for name, _, _ in parameters(before)}
    lost += [
        f"{name} is new and has no default"
        for name, (kind, default) in new.items()
        if name not in old and kind in ("position", "keyword") and default is None
    ]
    return lost


def resolve(address: str) -> Any:
    """The object at a dotted address, importing what is a module."""
    parts = address.split(".")
    found: Any = importlib.import_module(parts[0])
    for place, part in enumerate(parts[1:], start=2):
        try:
            found = getattr(found, part)
        except AttributeError:
            if not isinstance(found, types.ModuleType):
                raise
            found = importlib.import_module(".".join(parts[:place]))
    return found


def lost(line: str) -> list[str]:
    """What of one line of the snapshot of before is no longer there."""
    kind, address, text = re.fullmatch(r"(\w+) ([\w.]+)(\(.*\))?(?: is .*)?", line).groups()  # type: ignore[union-attr]
    if kind == "attribute":
        owner, name = address.rsplit(".", 1)
        try:
            cls = resolve(owner)
        except (AttributeError, ImportError) as error:
            return [f"{address}: {error}"]
        known = hasattr(cls, name) or any(name in inspect.get_annotations(b) for b in cls.__mro__)
        return [] if known else [f"{address} is gone"]
    try:
        thing = resolve(address)
    except (AttributeError, ImportError) as error:
        return [f"{address}: {error}"]
    if text is None:
        return []
    return [f"{address}{text}: {complaint}" for complaint in lost_parameters(text, signature(thing))]


# -- Rust ----------------------------------------------------------------------------------------------

ITEM = re.compile(
    r"\s*pub (?:(?:const|unsafe|async) (?=fn))*(fn|struct|enum|trait|type|const|static|use|mod)\b"
)
BLOCK = re.compile(r"(?:unsafe )?impl\b|(?:pub (?:unsafe )?)?(?:trait|struct|enum)\b")


def code_lines(source: str) -> list[str]:
    """Lines without comments, attributes and test modules."""
    source = source.split("#[cfg(test)]\nmod ")[0]
    return [line for line in source.splitlines() if not re.match(r"\s*(//|#!?\[)", line)]


def statement(lines: list[str], start: int) -> str:
    """The item that begins on line `start`, up to its body, on one line."""
    end = r";$" if re.match(r"\s*pub use\b", lines[start]) else r"\s*\{|;$"
    text = ""
    for line in lines[start:]:
        text += " " + line.strip()
        head = re.split(end, text)[0]
        if head != text:
            text = head
            break
    return re.sub(r",? ?\)", ")", re.sub(r"\( ", "(", re.sub(r"\s+", " ", text))).strip()


def rust_module(folder: Path, file: Path, path: str, only: set[str] | None = None) -> Iterator[str]:
    """Public items of a module and of its public submodules; of a private one, those that are re-exported."""
    lines = code_lines(file.read_text())
    block = ""
    for number, line in enumerate(lines):
        if line.startswith("}"):
            block = ""
        elif BLOCK.match(line):
            block = re.sub(r"^pub ", "", statement(lines, number))
            # The type's name alone: of "impl<T: Real> Trait for Type<T>" it is Type.
            block = re.sub(r"^((?:unsafe )?\w+)(<(?:[^<>]|<[^<>]*>)*>)? ?", r"\1 ", block)
            block = re.sub(r"^(struct|enum|trait) (\w+).*", r"\1 \2", block)
            if not line.startswith("pub") and not block.startswith("impl"):
                block = ""
        name = re.match(r"(?:impl|struct|enum|trait) (?:[\w:]+(?:<.*?>)? for )?(\w+)", block)
        item = ITEM.match(line)
        if item and item[1] == "mod":
            named = re.match(r"\s*pub mod (\w+)", line)
            if named:  # in a macro the name may be an argument
                yield f"{path}::{named[1]}: mod"
                yield from rust_file(folder, named[1], f"{path}::{named[1]}")
        elif item and item[1] == "use":
            text = re.sub(r"^pub ", "", statement(lines, number))
            yield f"{path}: {text}"
            module = re.match(r"use (?:self::|crate::)?(\w+)::", text)
            private = module and not any(re.match(rf"\s*pub mod {module[1]}\b", other) for other in lines)
            if module and private:
                yield from rust_file(folder, module[1], path, set(re.findall(r"\w+", text.split("::", 1)[1])))
        elif item and not line.startswith(" "):
            text = re.sub(r"^pub ", "", statement(lines, number))
            called = re.search(rf"\b{item[1]} (\w+)", text)
            if only is None or (called and called[1] in only):
                yield f"{path}: {text}"
        elif name and (only is None or name[1] in only) and line.startswith("    "):
            member = (
                re.match(r"    (?:const |unsafe |async )*fn \w+|    (type|const) \w+", line)
                if block.startswith("trait")
                else re.match(r"    [A-Z]\w*", line)
                if block.startswith("enum")
                else re.match(r"    pub \w+: ", line)
                if block.startswith("struct")
                else item
            )
            if member:
                text = line if block.startswith(("struct", "enum")) else statement(lines, number)
                yield f"{path} {block}: {re.sub(r'^pub ', '', text.strip().rstrip(',;'))}"
        elif item and not block:
            text = re.sub(r"^pub ", "", statement(lines, number))
            if only is None:
                yield f"{path}: {text}"


def rust_file(folder: Path, name: str, path: str, only: set[str] | None = None) -> Iterator[str]:
    for candidate in (folder / f"{name}.rs", folder / name / "mod.rs"):
        if candidate.is_file():
            yield from rust_module(folder / name, candidate, path, only)


def rust_names() -> list[str]:
    """One line for every public item of the pure crates."""
    lines: list[str] = []
    for crate in PURE_CRATES:
        source = RUST / crate / "src"
        if (source / "lib.rs").is_file():
            lines.extend(rust_module(source, source / "lib.rs", crate.replace("-", "_")))
    return sorted(set(lines))


# -- tests ---------------------------------------------------------------------------------------------

NOW = {"python.txt": python_names, "rust.txt": rust_names}


@pytest.mark.parametrize("file", NOW)
def test_public_names_are_those_written_down(file: str) -> None:
    if file == "rust.txt" and not RUST.is_dir():
        pytest.skip("the sources of the crates are not here")
    written = (SNAPSHOTS / file).read_text().splitlines()
    difference = list(difflib.unified_diff(written, NOW[file](), "written down", "now", lineterm="", n=0))
    assert not difference, "\n".join([f"tests/snapshots/{file}: {RENEW}", *difference])


def test_no_public_name_or_parameter_of_before_is_lost() -> None:
    before = (SNAPSHOTS / "python_before.txt").read_text().splitlines()
    assert len(before) > 400  # an empty snapshot would pass
    complaints = [complaint for line in before for complaint in lost(line)]
    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize(
    ("before", "now", "complaint"),
    [
        ("(a, b=1)", "(a, b=1, *, c=2)", ""),
        ("(a, *, b=1)", "(a, b=1)", ""),
        ("(a, b=1)", "(a, *, b=1)", "b is no longer the positional argument number 1"),
        ("(a, b)", "(b, a)", "a is no longer the positional argument number 0"),
        ("(a, *, b=1)", "(a)", "b is gone"),
        ("(a, *, b=1)", "(a, *, b)", "b had the default 1"),
        ("(a, *, b=1)", "(a, *, b=2)", "b had the default 1, has 2"),
        ("(a)", "(a, *, b)", "b is new and has no default"),
        ("(a, **options)", "(a)", "**options is gone"),
    ],
)
def test_a_lost_parameter_is_named(before: str, now: str, complaint: str) -> None:
    assert complaint in (lost_parameters(before, now) or [""])


def test_a_lost_name_is_named() -> None:
    assert lost("def hmm_rs.logtimes(t0, t1, n)") == []
    assert lost("def hmm_rs.no_such_function(x)")[0].startswith("hmm_rs.no_such_function: ")
    assert lost("attribute hmm_rs.TwoLayer.no_such_attribute") == [
        "hmm_rs.TwoLayer.no_such_attribute is gone"
    ]


def renew() -> None:
    for file, names in NOW.items():
        (SNAPSHOTS / file).write_text("\n".join(names()) + "\n")
        print(f"wrote {SNAPSHOTS / file}")


if __name__ == "__main__":
    if sys.argv[1:] == ["--before"]:
        print("\n".join(python_names()))
    else:
        renew()
