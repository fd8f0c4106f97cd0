"""The public surface of hmm_rs, read off the package itself: which names, at which address.

The pages of the manual and their tests both start from here, so no list of names is kept by hand.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

__all__ = [
    "HEADINGS",
    "Entry",
    "Section",
    "defaults",
    "entries",
    "find",
    "members",
    "public_modules",
    "sections",
    "target_of",
]

#: Code that is a name of the package and nothing more, or a call of it.
_NAME = re.compile(r"(?:hr|hmm_rs)((?:\.[A-Za-z_]\w*)+)(?:\(.*\))?", flags=re.S)

#: Rooms a user may import from although ``hmm_rs.__all__`` does not list them; absent ones are passed over.
ROOMS = ("data", "data.images", "networks", "dynamics", "dynamics.full_batch", "testing")

#: Headings for what stands at the top level, by the rooms that define it.
HEADINGS = {
    "Data": ("hmm_rs.data",),
    "Networks": ("hmm_rs.networks",),
    "Engines and runs": ("hmm_rs.dynamics",),
    "Measuring and comparing": (
        "hmm_rs.measure",
        "hmm_rs.compar",
        "hmm_rs.experiments",
        "hmm_rs.sweep",
        "hmm_rs.reruns",
        "hmm_rs.frames",
    ),
    "Errors": ("hmm_rs.ground.errors",),
    "Session": ("hmm_rs",),
}


@dataclass(frozen=True)
class Entry:
    """One public name."""

    address: str
    kind: str
    target: Any

    @property
    def module(self) -> str:
        """Module part of the address."""
        return self.address.rpartition(".")[0]

    @property
    def name(self) -> str:
        """Last part of the address."""
        return self.address.rpartition(".")[2]


@dataclass(frozen=True)
class Section:
    """Names that stand under one heading: at home here, or at a shorter address (`borrowed`)."""

    title: str
    module: str
    entries: tuple[Entry, ...]
    borrowed: tuple[Entry, ...] = ()


def public_modules() -> list[str]:
    """Return the modules whose ``__all__`` is public, shallow ones first."""
    found: dict[str, None] = {}
    waiting = ["hmm_rs"]
    while waiting:
        name = waiting.pop(0)
        if name in found:
            continue
        found[name] = None
        module = importlib.import_module(name)
        for item in module.__all__:
            value = getattr(module, item)
            if isinstance(value, ModuleType):
                # The address a user types, not the room that the door leads to.
                waiting.append(f"{name}.{item}")
        if name == "hmm_rs":
            waiting += [f"hmm_rs.{room}" for room in ROOMS if _exists(f"hmm_rs.{room}")]
    return sorted(found, key=lambda name: name.count("."))


def _exists(module: str) -> bool:
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("hmm_rs"):
            return False
        raise
    return True


def _kind(value: Any) -> str:
    if isinstance(value, type):
        return "exception" if issubclass(value, BaseException) else "class"
    return "function" if callable(value) and hasattr(value, "__name__") else "data"


@functools.cache
def entries() -> tuple[Entry, ...]:
    """Return every public name once, at its shortest address."""
    found: dict[Any, Entry] = {}
    for module_name in public_modules():
        module = importlib.import_module(module_name)
        for name in module.__all__:
            value = getattr(module, name)
            if isinstance(value, ModuleType):
                continue
            kind = _kind(value)
            # Equal constants of two modules are two names; a class listed twice is one, unless renamed.
            key = f"{module_name}.{name}" if kind == "data" else (id(value), name)
            found.setdefault(key, Entry(f"{module_name}.{name}", kind, value))
    return tuple(found.values())


def aliases() -> dict[str, str]:
    """Return public address by every other address: of other public modules, and where it is defined."""
    public = {(id(entry.target), entry.name): entry.address for entry in entries() if entry.kind != "data"}
    other: dict[str, str] = {}
    for entry in entries():
        if entry.kind != "data":
            other.setdefault(f"{entry.target.__module__}.{entry.target.__qualname__}", entry.address)
    for module_name in public_modules():
        module = importlib.import_module(module_name)
        for name in module.__all__:
            known = public.get((id(getattr(module, name)), name))
            if known is not None:
                other[f"{module_name}.{name}"] = known
    return {address: target for address, target in other.items() if address != target}


def find(name: str) -> str | None:
    """Return the public address that `name` (of any address, or the end of one) means, if only one does."""
    head, _, tail = name.rpartition(".")
    whole = aliases()
    if name in whole:
        return whole[name]
    if head in whole:
        return f"{whole[head]}.{tail}"
    known = [entry.address for entry in entries()]
    known += [
        f"{entry.address}.{m}" for entry in entries() if entry.kind == "class" for m in members(entry.target)
    ]
    ends = [address for address in known if address == name or address.endswith(f".{name}")]
    return ends[0] if len(ends) == 1 else None


def target_of(text: str) -> tuple[str, str] | None:
    """Return role and address of the public object or room that a piece of code names, if it names one alone."""
    match = _NAME.fullmatch(text)
    if match is None:
        return None
    address = f"hmm_rs{match[1]}"
    found = find(address)
    if found is not None:
        return "obj", found
    return ("mod", address) if address in public_modules() else None


def members(cls: type) -> list[str]:
    """Return the public methods and properties of a class, inherited ones included."""
    fields = getattr(cls, "_fields", ())
    return [
        name for name in dir(cls) if not name.startswith("_") and name not in fields and _is_ours(cls, name)
    ]


def _is_ours(cls: type, name: str) -> bool:
    for base in cls.__mro__:
        if name in vars(base):
            value = vars(base)[name]
            described = isinstance(value, property | classmethod | staticmethod | functools.cached_property)
            return base.__module__.startswith("hmm_rs") and (described or inspect.isfunction(value))
    return False


def sections() -> Iterator[Section]:
    """Yield the public names by heading: the top level by room, then module by module."""
    top = [entry for entry in entries() if entry.module == "hmm_rs"]
    for title, rooms in HEADINGS.items():
        chosen = [e for e in top if str(getattr(e.target, "__module__", "hmm_rs")).startswith(rooms)]
        top = [entry for entry in top if entry not in chosen]
        if chosen:
            yield Section(title, "hmm_rs", tuple(chosen))
    known = {entry.address: entry for entry in entries()}
    moved = aliases()
    for module in sorted(public_modules()[1:]):
        listed = [f"{module}.{name}" for name in importlib.import_module(module).__all__]
        chosen = [known[address] for address in listed if address in known]
        borrowed = [known[moved[address]] for address in listed if address in moved]
        # A room that only repeats the top level is named on the pages of its names' headings.
        if chosen:
            yield Section(module, module, tuple(chosen), tuple(borrowed))


def defaults(target: Any) -> dict[str, tuple[str, str | None]]:
    """Return annotation and default (as Python text, None if there is none) by parameter."""
    try:
        signature = inspect.signature(target)
    except (TypeError, ValueError):
        return {}
    empty = inspect.Parameter.empty
    return {
        name: (
            "" if item.annotation is empty else str(item.annotation),
            None if item.default is empty else _text(item.default),
        )
        for name, item in signature.parameters.items()
    }


def _text(default: Any) -> str:
    return default.__qualname__ if callable(default) and hasattr(default, "__qualname__") else repr(default)
