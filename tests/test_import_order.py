"""The order of the rooms: a room imports only from its left, when it is imported and when it runs."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import hmm_rs

ROOT = Path(hmm_rs.__file__).parent

#: Rooms from left to right; those in one row stand side by side and never import each other.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("_lib",),
    ("ground",),
    ("networks",),
    ("data",),
    ("kernels",),
    ("measure",),
    ("provenance",),
    ("dynamics", "theory"),
    ("comparison",),
    ("experiments",),
    ("reruns", "frames"),
    ("plot",),
    ("figures",),
    ("testing", "sklearn", "cli", "sweeps", "explore", "__main__"),
)
FLOOR = {room: number for number, row in enumerate(FLOORS) for room in row}
FACADE = "hmm_rs"

#: Where a computed name may be imported although the module is no door: what is imported is listed there.
COMPUTED = {
    "hmm_rs.provenance.encoding": "classes of a closed list",
    "hmm_rs.ground.extras": "libraries of the extras",
}

#: Packages that cost time to import; each is imported where it is used.
HEAVY = (
    "xarray",
    "pandas",
    "matplotlib",
    "scipy.special",
    "scipy.linalg",
    "sklearn",
    "jax",
    "tqdm",
    "hypothesis",
)


def modules(root: Path = ROOT) -> dict[str, Path]:
    """Every module of the package, by dotted name."""
    found = {}
    for path in sorted(root.rglob("*.py")):
        parts = (root.name, *path.relative_to(root).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def is_type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def running(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes below `node` that can run: what only a type checker reads is left out."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and is_type_checking(child.test):
            for statement in child.orelse:
                yield statement
                yield from running(statement)
        else:
            yield child
            yield from running(child)


def is_door(tree: ast.Module) -> bool:
    """Whether a module only gives names an address: imports, constants and a lazy ``__getattr__``."""
    for node in tree.body:
        if isinstance(node, (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign)):
            continue
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if isinstance(node, ast.If) and is_type_checking(node.test):
            continue
        if isinstance(node, ast.FunctionDef) and node.name in ("__getattr__", "__dir__"):
            continue
        return False
    return True


def absolute(node: ast.ImportFrom, module: str, path: Path) -> str:
    """The dotted name that a ``from ... import`` names, relative dots resolved."""
    if not node.level:
        return node.module or ""
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    base = package[: len(package) - node.level + 1]
    return ".".join([*base, node.module] if node.module else base)


def imports(module: str, path: Path, known: dict[str, Path]) -> Iterator[tuple[str, int]]:
    """Modules of this package that a module imports anywhere in its code, with the line."""
    for node in running(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = absolute(node, module, path)
            names = [
                full if (full := f"{base}.{alias.name}") in known or full == f"{FACADE}._lib" else base
                for alias in node.names
            ]
        else:
            continue
        for name in dict.fromkeys(names):
            if name.split(".")[0] == FACADE:
                yield name, node.lineno


def room(module: str) -> str:
    """The room of a module: the first name below the package ("" for the facade itself)."""
    return module.split(".")[1] if "." in module else ""


KNOWN = modules()
DOORS = {name for name, path in KNOWN.items() if is_door(ast.parse(path.read_text()))}
#: One-file doors beside the rooms (``hmm_rs.errors``): an address only, on no floor of its own.
ADDRESSES = {name for name in DOORS if room(name) and room(name) not in FLOOR}
EDGES = {name: list(imports(name, path, KNOWN)) for name, path in KNOWN.items()}


def behind(module: str, seen: frozenset[str] = frozenset()) -> Iterator[str]:
    """A module, or all that stands behind a door."""
    yield module
    if module in DOORS and module not in seen:
        for target, _ in EDGES[module]:
            yield from behind(target, seen | {module})


def wrong_imports() -> Iterator[str]:
    for module, targets in EDGES.items():
        here = room(module)
        # Those who use the whole package may use it as a user does.
        if module in DOORS or here not in FLOOR or here in FLOORS[-1]:
            continue
        for target, line in targets:
            for final in dict.fromkeys(behind(target)):
                there = room(final)
                if final in ADDRESSES or there == here:
                    continue
                via = "" if final == target else f" through the door {target}"
                if there not in FLOOR:
                    yield f"{module}:{line} imports the facade{via}"
                    break
                if FLOOR[there] >= FLOOR[here]:
                    yield f"{module}:{line} imports {final}{via}: {here} stands left of or beside {there}"
                    break


def test_every_module_stands_in_a_room() -> None:
    strangers = [name for name in KNOWN if room(name) and room(name) not in FLOOR and name not in ADDRESSES]
    assert not strangers, f"put into a room, or name the room in FLOORS: {strangers}"


def test_rooms_import_only_from_their_left() -> None:
    complaints = list(dict.fromkeys(wrong_imports()))
    assert not complaints, "\n".join(complaints)


def test_only_doors_import_by_a_computed_name() -> None:
    """An import that a reader of the code cannot follow is one this test cannot follow either."""
    complaints = []
    for module, path in KNOWN.items():
        if module in DOORS or module in COMPUTED or not room(module):
            continue
        for node in running(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            literal = isinstance(node.args[0], ast.Constant) and not str(node.args[0].value).startswith(
                (".", FACADE)
            )
            if called in ("import_module", "__import__") and not literal:
                complaints.append(f"{module}:{node.lineno} imports by a computed name")
    assert not complaints, "\n".join(complaints)


def circles() -> list[list[str]]:
    """Strongly connected sets of modules (Tarjan), imports inside functions counted."""
    graph: dict[str, set[str]] = {}
    for module, targets in EDGES.items():
        needed = set()
        for target, _ in targets:
            # Importing a module imports the packages above it, unless one stands inside them.
            parts = target.split(".")
            above = {".".join(parts[:n]) for n in range(2, len(parts))}
            needed |= {target} | {name for name in above if not f"{module}.".startswith(f"{name}.")}
        graph[module] = {name for name in needed if name in KNOWN and name not in (module, FACADE)}
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in sorted(graph[node]):
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            component = []
            while not component or component[-1] != node:
                component.append(stack.pop())
            if len(component) > 1:
                found.append(sorted(component))

    for module in graph:
        if module not in index:
            visit(module)
    return found


def test_no_circle_of_imports() -> None:
    found = circles()
    assert not found, "\n".join(" <-> ".join(circle) for circle in found)


def loaded_by(statement: str) -> set[str]:
    """The modules that a fresh process holds after `statement`."""
    program = f"import sys\n{statement}\nprint(*sys.modules)"
    answer = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    return set(answer.stdout.split())


@pytest.mark.parametrize(("one", "other"), [("theory", "dynamics"), ("dynamics", "theory")])
def test_simulation_and_theory_load_without_each_other(one: str, other: str) -> None:
    loaded = loaded_by(f"import hmm_rs.{one}")
    assert f"hmm_rs.{one}" in loaded
    wrong = sorted(name for name in loaded if f"{name}.".startswith(f"hmm_rs.{other}."))
    assert not wrong, f"import hmm_rs.{one} loads {', '.join(wrong)}"


def test_importing_the_package_is_quick() -> None:
    heavy = sorted(loaded_by("import hmm_rs") & set(HEAVY))
    assert not heavy, f"import hmm_rs loads {', '.join(heavy)}: import them where they are used"


@pytest.mark.parametrize("name", ["data", "dynamics", "generators", "kernels", "networks", "theory"])
def test_a_room_is_there_without_an_import_of_its_own(name: str) -> None:
    assert f"hmm_rs.{name}" in loaded_by(f"import hmm_rs\nhmm_rs.{name}.__all__")


@pytest.mark.parametrize("name", [name for name in KNOWN if name.count(".") == 1])
def test_every_room_loads_by_itself(name: str) -> None:
    """A room that only loads after another has been loaded hides a circle."""
    missing = {
        "hmm_rs.cnn": "jax",
        "hmm_rs.plot": "matplotlib",
        "hmm_rs.sklearn": "sklearn",
        "hmm_rs.testing": "hypothesis",
    }.get(name)
    if missing is not None:
        pytest.importorskip(missing)
    if name == "hmm_rs.__main__":
        pytest.skip("it runs the command line")
    assert name in loaded_by(f"import {name}")


# -- the reader of imports, on a tree of its own ---------------------------------------------------------


def test_the_reader_sees_what_runs_and_not_what_is_only_typed(tmp_path: Path) -> None:
    package = tmp_path / FACADE
    (package / "data").mkdir(parents=True)
    (package / "ground").mkdir()
    for folder in (package, package / "data", package / "ground"):
        (folder / "__init__.py").write_text("")
    (package / "ground" / "errors.py").write_text("")
    (package / "data" / "a.py").write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from ..theory import x\nelse:\n    from . import b\n"
        "def f():\n    from ..ground.errors import E\n"
        "from .. import _lib, ground\nimport numpy\n"
    )
    (package / "data" / "b.py").write_text("X = 1\ndef __getattr__(name): ...\n")
    known = modules(package)
    seen = [target for target, _ in imports("hmm_rs.data.a", known["hmm_rs.data.a"], known)]
    assert seen == ["hmm_rs.data.b", "hmm_rs.ground.errors", "hmm_rs._lib", "hmm_rs.ground"]
    assert is_door(ast.parse(known["hmm_rs.data.b"].read_text()))
    assert not is_door(ast.parse(known["hmm_rs.data.a"].read_text()))
