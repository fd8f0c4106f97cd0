"""What a configuration may name: engines and solvers, and the things they are made of."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from ..dynamics.resuming import engines
from ..ground.errors import InvalidParameterError
from ..provenance.encoding import descriptions
from ..reruns.lists import DRAWN, FUNCTIONS, KNOWN, SOLVERS

__all__ = ["constructors", "engine_names", "kinds", "method_of", "parameters", "solver_names", "target"]

#: Parameters that a configuration cannot give: functions, what the command line says itself.
DROPPED = frozenset({"self", "callbacks", "progress", "ax", "sim"})

#: Simulations among the functions and solvers; all others are theory.
_SIMULATIONS = ("FullBatch", "full_batch_curve")


@functools.cache
def runs() -> Mapping[str, Callable[..., Any]]:
    """Return what can be run or solved, by name: engines, solvers, functions."""
    return {**engines(), **{cls.__name__: cls for cls in SOLVERS}, **FUNCTIONS}


def target(name: str, *, theory: bool) -> Callable[..., Any] | None:
    """Return the engine or solver called `name`, or one of its constructors: "SaadSolla.from_weights"."""
    listed = runs()
    found = listed.get(name)
    if found is None:
        base, _, constructor = name.rpartition(".")
        cls = listed.get(base)
        found = constructors(cls).get(constructor) if isinstance(cls, type) else None
    base = name if name in listed else name.rpartition(".")[0]
    return found if (base in solver_names()) is theory else None


def solver_names() -> list[str]:
    """Return the names of solvers of the theory."""
    return [name for name in runs() if name not in engines() and name not in _SIMULATIONS]


def engine_names() -> list[str]:
    """Return the names of what simulates."""
    return [name for name in runs() if name not in solver_names()]


def constructors(cls: type) -> dict[str, Callable[..., Any]]:
    """Return the further constructors of a class: its public class methods."""
    return {
        name: getattr(cls, name)
        for base in reversed(cls.__mro__)
        for name, member in vars(base).items()
        if isinstance(member, classmethod) and not name.startswith("_")
    }


@functools.cache
def kinds() -> Mapping[str, Callable[..., Any]]:
    """Return what a table of a configuration can describe, by its `kind`: data, networks, spectra."""
    from ..data.generators import from_onnx, from_safetensors, random_layers

    generators: tuple[Callable[..., Any], ...] = (from_onnx, from_safetensors, random_layers)
    found: dict[str, Callable[..., Any]] = {**descriptions(), **KNOWN, **DRAWN}
    for name, cls in KNOWN.items():
        found |= {f"{name}.{made}": constructor for made, constructor in constructors(cls).items()}
    return found | {function.__name__: function for function in generators}


def parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return what a configuration can give to a function: ``**options`` stand for those of its class."""
    listed = inspect.signature(function).parameters
    found = {
        name: parameter
        for name, parameter in listed.items()
        if name not in DROPPED and parameter.kind is not inspect.Parameter.VAR_KEYWORD
    }
    owner = getattr(function, "__self__", None)
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in listed.values()) and isinstance(owner, type):
        # What a constructor fills in itself is not asked for.
        inherited = parameters(owner)
        found |= {
            name: parameter
            for name, parameter in inherited.items()
            if name not in found and parameter.default is not inspect.Parameter.empty
        }
    return found


def method_of(made: object, name: str | None) -> tuple[str, Callable[..., Any]]:
    """Return the call that gives the result of an engine or solver."""
    allowed = next((names for cls, names in SOLVERS.items() if type(made) is cls), ("run",))
    chosen = allowed[0] if name is None else name
    if chosen not in allowed:
        raise InvalidParameterError(
            f"call = {chosen!r}: {type(made).__name__} has {', '.join(allowed)}; pass one"
        )
    return chosen, getattr(made, chosen)
