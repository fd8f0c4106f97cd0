"""Rules of the house that a reader would otherwise have to keep in mind."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import hmm_rs

ROOT = Path(hmm_rs.__file__).parent
RUST = Path(__file__).parents[1] / "rust"

#: Longest module; a longer one holds more than one subject.
MOST_LINES = 450
#: Names that say nothing of what is inside.
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "tools", "lib"}
#: Rooms that may draw random numbers with numpy.
DRAW = {"data", "networks", "experiments", "testing"}
#: What of numpy.random says which stream, and draws nothing.
SEEDS = {"SeedSequence", "Generator"}

SOURCES = sorted(ROOT.rglob("*.py"))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def randomness(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of every use of numpy's random numbers (code only: examples are strings)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute):
            owner = node.value
            if (
                owner.attr == "random"
                and isinstance(owner.value, ast.Name)
                and owner.value.id in ("np", "numpy")
            ):
                yield node.lineno, node.attr
        elif isinstance(node, ast.ImportFrom) and node.module == "numpy.random":
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "numpy":
            yield from ((node.lineno, "random") for alias in node.names if alias.name == "random")
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module]
            yield from ((node.lineno, str(name)) for name in names if name in ("random", "numpy.random"))
        elif isinstance(node, ast.Name) and node.id == "default_rng":
            yield node.lineno, node.id


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_random_numbers_are_drawn_where_they_belong(path: Path) -> None:
    if room(path) in DRAW:
        pytest.skip("this room draws")
    allowed = set() if room(path) == "theory" else SEEDS
    found = [
        f"{name_of(path)}:{line} {name}"
        for line, name in randomness(ast.parse(path.read_text()))
        if name not in allowed
    ]
    assert not found, "\n".join(found)


def test_theory_does_not_draw_through_other_rooms() -> None:
    found = [
        f"{name_of(path)}:{node.lineno} {name}"
        for path in SOURCES
        if room(path) == "theory"
        for node in ast.walk(ast.parse(path.read_text()))
        for name in [getattr(node, "attr", None) or getattr(node, "id", None)]
        if name
        in ("sample", "seed_words", "weight_normals", "random_nodes_f32", "random_nodes_f64", "Source")
    ]
    assert not found, "\n".join(found)


#: Products, decompositions and fits of numpy go through BLAS, whose bits depend on its number of threads.
BLAS = {"dot", "vdot", "inner", "matmul", "tensordot", "cov", "corrcoef", "polyfit", "convolve", "correlate"}
#: Modules that may multiply with numpy all the same, and why no bit of a result hangs on it.
MULTIPLY: dict[str, str] = {
    "experiments/compression/exponents.py": "a line through a handful of sizes: far below where LAPACK splits its work",
    "experiments/gaussian_rates.py": "a line through a handful of sizes: far below where LAPACK splits its work",
    "measure/equivalence/harness.py": "an orthonormal pair of vectors of K + M numbers",
    "networks/convolutional.py": "JAX's own product, traced",
}


def products(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of what numpy or scipy hands to BLAS or LAPACK."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.BinOp, ast.AugAssign)) and isinstance(node.op, ast.MatMult):
            yield node.lineno, "@"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            name, keywords = node.func.attr, {keyword.arg: keyword.value for keyword in node.keywords}
            owner = ast.unparse(node.func.value)
            optimised = ast.unparse(keywords.get("optimize", ast.Constant(False))) != "False"
            if (
                (name in BLAS and owner in ("np", "numpy"))
                or name == "dot"
                or (name == "einsum" and optimised)
                or (owner.endswith("linalg") and not (name == "norm" and "axis" in keywords))
            ):
                yield node.lineno, f"{owner}.{name}"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_no_bit_hangs_on_the_threads_of_blas(path: Path) -> None:
    if name_of(path) in MULTIPLY:
        pytest.skip(MULTIPLY[name_of(path)])
    found = [f"{name_of(path)}:{line} {name}" for line, name in products(ast.parse(path.read_text()))]
    assert not found, "use the products of hmm_rs._lib, or say in MULTIPLY why not:\n" + "\n".join(found)


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_a_module_holds_one_subject(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= MOST_LINES, (
        f"{name_of(path)} has {lines} lines: must be at most {MOST_LINES}; cut it by subject"
    )


def test_names_say_what_is_inside() -> None:
    paths = [
        *SOURCES,
        *(path for path in RUST.rglob("*.rs") if path.name != "lib.rs"),
        *Path(__file__).parent.rglob("*.py"),
    ]
    empty = [str(path) for path in paths if EMPTY_NAMES & {path.stem, *path.parts[-3:-1]}]
    assert not empty, f"rename by what is inside: {empty}"


# -- Rust: no arm swallows an unknown name -----------------------------------------------------------


def bare(source: str) -> str:
    """Rust source without comments, so that braces count."""
    return re.sub(r"//[^\n]*", "", source)


def arms(block: str) -> Iterator[tuple[int, str, str]]:
    """Place, pattern and expression of each arm of a match whose body is `block`."""
    depth = 0
    start = 0
    pattern = ""
    place = 0
    text = False
    position = 0
    while position < len(block):
        letter = block[position]
        if text:
            if letter == "\\":
                position += 1
            elif letter == '"':
                text = False
        elif letter == '"':
            text = True
        elif letter in "({[":
            depth += 1
        elif letter in ")}]":
            depth -= 1
            if depth == 0 and letter == "}" and pattern:
                rest = block[position + 1 :].lstrip()
                if not rest.startswith((",", ".", "?")):
                    yield place, pattern, block[start : position + 1]
                    pattern, start = "", position + 1
        elif depth == 0 and block.startswith("=>", position) and not pattern:
            pattern, place = block[start:position].strip(), start
            start = position + 2
            position += 1
        elif depth == 0 and letter == "," and pattern:
            yield place, pattern, block[start:position]
            pattern, start = "", position + 1
        position += 1
    if pattern:
        yield place, pattern, block[start:]


def matches(source: str) -> Iterator[tuple[int, str]]:
    """Place and body of every match expression."""
    for found in re.finditer(r"\bmatch\b[^;{]*\{", source):
        depth, position, text = 1, found.end(), False
        while depth and position < len(source):
            letter = source[position]
            if text:
                if letter == "\\":
                    position += 1
                elif letter == '"':
                    text = False
            elif letter == '"':
                text = True
            elif letter == "{":
                depth += 1
            elif letter == "}":
                depth -= 1
            position += 1
        yield found.end(), source[found.end() : position - 1]


def silent_arms(source: str) -> list[str]:
    """Arms of matches on text that take any other text for a choice."""
    source = bare(source)
    found = []
    for begin, body in matches(source):
        listed = list(arms(body))
        if not any(re.search(r'"[^"]*"', pattern) for _, pattern, _ in listed):
            continue
        for place, pattern, expression in listed:
            wild = r"(?:_|[a-z]\w*)"
            catches_all = re.fullmatch(rf"{wild}|\({wild}(?:, {wild})*\)|{wild} if .*", pattern)
            refuses = re.search(r"\bErr\(|\bError::|\bErr\b|\bunknown\w*\(|\brefuse\w*\(", expression)
            if catches_all and not refuses:
                line = (
                    source[: begin + place].count("\n")
                    + 1
                    + len(re.match(r"\s*", body[place:])[0].splitlines() or [""])
                    - 1
                )  # type: ignore[index]
                found.append(f"{line}: {pattern} => {' '.join(expression.split())[:70]}")
    return found


@pytest.mark.skipif(not RUST.is_dir(), reason="the sources of the crates are not here")
def test_no_arm_swallows_an_unknown_name() -> None:
    found = [
        f"{path.relative_to(RUST)}:{arm}"
        for path in sorted(RUST.rglob("src/**/*.rs"))
        for arm in silent_arms(path.read_text())
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ('match name { "a" => A, _ => B }', 1),
        ('match name { "a" => A, _ => return Err(wrong()) }', 0),
        ('match (kind, x) { ("a", None) => A, _ => B, }', 1),
        ('match (kind, x) { (_, Some(y)) => A, ("a", None) => B, other => Err(Error::invalid(other)) }', 0),
        ("match number { 1 => A, _ => B }", 0),
        (
            'match name {\n "a" => {\n A\n }\n // _ => B\n other => Err(Error::invalid("name", other, "}", "x")),\n}',
            0,
        ),
        ('match x { Some(n) => match n { "a" => 1, _ => 2 }, None => 3 }', 1),
    ],
)
def test_the_reader_of_arms(source: str, count: int) -> None:
    assert len(silent_arms(source)) == count
