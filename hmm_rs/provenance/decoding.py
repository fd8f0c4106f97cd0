"""Arguments of a run made from what a checkpoint or a result says of them."""

from __future__ import annotations

import dataclasses
import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType, ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from ..ground.arguments import shown
from ..ground.description import Description
from ..ground.errors import DtypeError, InvalidParameterError, ResourceError
from .encoding import DEEPEST, arrays_in, descriptions, digest, elementwise_functions

__all__ = ["Decoder"]

#: Words a SeedSequence may hold; the default is 4.
_LARGEST_POOL = 1024


class Decoder:
    """Turns JSON data and arrays back into arguments.

    Parameters
    ----------
    where
        What is read, for messages.
    arrays
        The file's arrays.
    functions, modules
        What the reader hands over: functions by name, and modules that define some.
    known
        Further classes that can be named, beside the descriptions of data and networks.
    makers
        Constructors of drawn descriptions that can be named.
    what, remedy
        What kind of thing is read, and what to do where it cannot be used, for messages.
    """

    def __init__(
        self,
        where: str,
        arrays: Mapping[str, npt.NDArray[Any]],
        *,
        functions: Mapping[str, Callable[..., Any]] | None = None,
        modules: Iterable[ModuleType] = (),
        known: Mapping[str, type] | None = None,
        makers: Mapping[str, Callable[..., Description]] | None = None,
        what: str = "checkpoint",
        remedy: str = "use an earlier checkpoint or start anew",
    ) -> None:
        self._known = dict(known or {})
        self._makers = dict(makers or {})
        self._what = what
        self._remedy = remedy
        self._where = where
        self._arrays = {key: value for key, value in arrays.items() if key.startswith("array")}
        self._unused = set(self._arrays)
        self._functions = _handed_over(functions)
        self._modules = _handed_over_modules(modules)
        #: Functions with the names under which they were found.
        self.names: list[tuple[object, str]] = []

    def engine(
        self,
        name: str,
        arguments: object,
        *,
        foreign: bool,
        engines: Mapping[str, type],
        base: type,
        beside: Mapping[str, Any] = MappingProxyType({}),
    ) -> Any:
        """Return the engine `name`, made of its stored arguments.

        It is one of `engines`, or for a `foreign` name a subclass of `base` that the reader hands over. Arguments
        `beside` those that are stored come from the reader too.
        """
        made = self.made(name, arguments, foreign=foreign, classes=engines, base=base, beside=beside)
        self.refuse_leftovers()
        return made

    def made(
        self,
        name: str,
        arguments: object,
        *,
        foreign: bool,
        classes: Mapping[str, type],
        base: type,
        beside: Mapping[str, Any] = MappingProxyType({}),
    ) -> Any:
        """Return an object of one of `classes`; what is not used yet may be used by calls."""
        cls = self._foreign_class(name, (base,)) if foreign else classes.get(name)
        if cls is None:
            raise self._refusal(f"holds a {shown(name)} run, which this version does not know")
        self.require_functions(arguments)
        return self._make(name, cls, arguments, beside)

    def arguments(self, arguments: object, allowed: Iterable[str]) -> dict[str, Any]:
        """Return the arguments of a call, all of them among the `allowed`."""
        if not isinstance(arguments, dict) or not set(arguments) <= set(allowed):
            raise self._refusal(f"holds {shown(arguments)} where the arguments of a call belong")
        self.require_functions(arguments)
        return {key: self._decode(item) for key, item in arguments.items()}

    def require_functions(self, arguments: object) -> None:
        """Refuse arguments that nest without end, or need functions that nobody handed over."""
        missing = []
        for item, depth in _within(arguments):
            if depth > DEEPEST:
                raise self._refusal("nests its arguments without end")
            if isinstance(item, dict) and item.get("is") == "function" and self._find_function(item) is None:
                missing.append(item)
        if missing:
            raise self._missing([str(item.get("name")) for item in missing])

    def refuse_leftovers(self) -> None:
        """Refuse arrays that nothing used."""
        if self._unused:
            raise self._refusal(f"holds arrays that nothing uses ({shown(sorted(self._unused))})")

    # -- values ----------------------------------------------------------------------------------

    def _decode(self, data: object) -> Any:
        if isinstance(data, list):
            return [self._decode(item) for item in data]
        if not isinstance(data, dict):
            return data
        kind = data.get("is")
        if kind == "array":
            name = self._fields(data, name=str)["name"]
            if name not in self._arrays:
                raise self._refusal(f"lacks the array {shown(name)}")
            self._unused.discard(name)
            return self._arrays[name]
        if kind == "tuple":
            return tuple(self._decode(item) for item in self._fields(data, items=list)["items"])
        if kind == "mapping":
            items = self._fields(data, items=dict)["items"]
            return {key: self._decode(item) for key, item in items.items()}
        if kind == "seed":
            return self._seed(self._fields(data, entropy=object, spawn_key=list, pool_size=int, children=int))
        if kind == "ufunc":
            return self._ufunc(self._fields(data, name=str)["name"])
        if kind == "function":
            return self._function(self._fields(data, name=str, argument=str))
        if kind in ("object", "foreign"):
            fields = self._fields(data, name=str, arguments=dict)
            name = fields["name"]
            foreign = kind == "foreign"
            listed = {**descriptions(), **self._known}
            cls = self._foreign_class(name, (Description,)) if foreign else listed.get(name)
            if cls is None:
                raise self._refusal(f"names the class {shown(name)}, which is no description of hmm_rs")
            return self._make(name, cls, fields["arguments"])
        if kind == "number":
            value = self._fields(data, value=str)["value"]
            if value not in ("inf", "-inf", "nan"):
                raise self._refusal(f"holds {shown(data)}, which is no valid 'number'")
            return float(value)
        if kind == "drawn":
            return self._drawn(self._fields(data, name=str, arguments=dict, sha256=list))
        raise self._refusal(f"holds {shown(data)}, which means nothing here")

    def _drawn(self, fields: dict[str, Any]) -> Any:
        """Return a description drawn again; say where its numbers are not those of the run."""
        maker = self._makers.get(fields["name"])
        if maker is None:
            raise self._refusal(f"holds weights drawn by {shown(fields['name'])}, which means nothing here")
        arguments = {key: self._decode(item) for key, item in fields["arguments"].items()}
        try:
            made = maker(**arguments)
        except ResourceError:
            raise
        except Exception as error:
            raise self._refusal(
                f"holds weights that cannot be drawn here ({type(error).__name__}: {error})"
            ) from error
        if [digest(item) for item in arrays_in(made)] != fields["sha256"]:
            warnings.warn(
                f"{self._where}: {fields['name']} makes other last digits here than where the run was made; the result "
                f"will agree to rounding only",
                stacklevel=2,
            )
        return made

    def _fields(self, data: dict[str, Any], **types: type) -> dict[str, Any]:
        """Return the fields of a tagged value; every one must be there and of its type."""
        wrong = set(data) != {"is", *types} or any(
            kind is not object and type(data[name]) is not kind for name, kind in types.items()
        )
        if wrong:
            raise self._refusal(f"holds {shown(data)}, which is no valid {shown(data.get('is'))}")
        return data

    def _make(
        self, name: str, cls: type, arguments: object, beside: Mapping[str, Any] = MappingProxyType({})
    ) -> Any:
        if not isinstance(arguments, dict):
            raise self._refusal(f"holds {shown(arguments)} where the arguments of {name} belong")
        decoded = {key: self._decode(item) for key, item in arguments.items()}
        try:
            return cls(**decoded, **beside)
        except ResourceError:
            raise
        except Exception as error:
            # Whatever a constructor says of a file's arguments, the file is what cannot be used.
            raise self._refusal(
                f"holds a {name} that cannot be made here ({type(error).__name__}: {error})"
            ) from error

    def _seed(self, fields: dict[str, Any]) -> np.random.SeedSequence:
        entropy, key, pool = (fields[name] for name in ("entropy", "spawn_key", "pool_size"))
        words = [*(entropy if isinstance(entropy, list) else [entropy]), *key, fields["children"]]
        if not all(type(word) is int and word >= 0 for word in words) or not 4 <= pool <= _LARGEST_POOL:
            raise self._refusal(f"holds {shown(fields)}, which is no valid 'seed'")
        return np.random.SeedSequence(
            entropy, spawn_key=tuple(key), pool_size=pool, n_children_spawned=fields["children"]
        )

    def _ufunc(self, path: str) -> Any:
        module, _, name = path.rpartition(".")
        known = elementwise_functions()
        found = known.get(module, {}).get(name)
        if found is None:
            raise self._refusal(
                f"names the function {shown(path)}, which is no elementwise one of {' or '.join(known)}"
            )
        return found

    # -- what the reader hands over --------------------------------------------------------------

    def _find(self, *names: object) -> Iterator[Any]:
        """Yield what the reader handed over under any of some names."""
        yield from (
            self._functions[name] for name in names if isinstance(name, str) and name in self._functions
        )
        yield from (_defined_in(module, names[0]) for module in self._modules)

    def _find_function(self, data: Mapping[str, Any]) -> Any:
        """Return the function of the reader that a stored one means, None if there is none."""
        found = self._find(data.get("name"), data.get("argument"))
        return next((item for item in found if item is not None and not isinstance(item, type)), None)

    def _function(self, fields: dict[str, Any]) -> Any:
        found = self._find_function(fields)
        if found is None:
            raise self._missing([fields["name"]])
        self.names.append((found, fields["name"]))
        return found

    def _foreign_class(self, name: str, bases: tuple[type, ...]) -> type:
        for found in self._find(name):
            if isinstance(found, type) and (
                issubclass(found, bases) or (Description in bases and dataclasses.is_dataclass(found))
            ):
                return found
        raise InvalidParameterError(
            f"{self._where}: the run uses the class {shown(name)}, which is not part of hmm_rs, and a {self._what} "
            f"never imports; pass modules=[the module that defines it] or functions={{{shown(name)}: the_class}}"
        )

    def _missing(self, names: list[str]) -> InvalidParameterError:
        unique = list(dict.fromkeys(names))
        typed = ", ".join(f"{name!r}: your_{name}" for name in unique)
        several = len(unique) > 1
        return InvalidParameterError(
            f"{self._where}: the run uses the function{'s' if several else ''} {', '.join(map(repr, unique))}, which a "
            f"{self._what} holds by name only and never imports; pass functions={{{typed}}}, or "
            f"modules=[the module that defines {'them' if several else 'it'}]"
        )

    def _refusal(self, what: str) -> InvalidParameterError:
        return InvalidParameterError(f"{self._where}: {what}; {self._remedy}")


def _within(data: object) -> Iterator[tuple[object, int]]:
    """Yield everything inside JSON data, with its depth, in order and without recursion."""
    waiting = [(data, 0)]
    while waiting:
        item, depth = waiting.pop()
        yield item, depth
        if depth <= DEEPEST and isinstance(item, (dict, list)):
            inside = list(item.values()) if isinstance(item, dict) else item
            waiting += [(part, depth + 1) for part in reversed(inside)]


def _defined_in(module: ModuleType, name: object) -> Any:
    """Return what a module defines itself under a name, None if it is nothing a run can use.

    What a module merely imported does not count: a file must not reach ``Popen`` through it.
    """
    if not isinstance(name, str):
        return None
    found = vars(module).get(name)
    if isinstance(found, np.ufunc):
        return found
    if inspect.isfunction(found) or isinstance(found, type):
        return found if found.__module__ == module.__name__ else None
    if inspect.isbuiltin(found) or inspect.ismodule(found):
        return None
    return found if callable(found) else None


def _handed_over(functions: Mapping[str, Callable[..., Any]] | None) -> dict[str, Callable[..., Any]]:
    if functions is None:
        return {}
    if not isinstance(functions, Mapping) or not all(
        isinstance(name, str) and callable(function) for name, function in functions.items()
    ):
        raise DtypeError(
            f"functions = {shown(functions)}: must map names to functions; pass functions={{'f': your_f}}"
        )
    return dict(functions)


def _handed_over_modules(modules: Iterable[ModuleType]) -> list[ModuleType]:
    if isinstance(modules, Iterable) and not isinstance(modules, str):
        listed = list(modules)
        if all(isinstance(module, ModuleType) for module in listed):
            return listed
    raise DtypeError(
        f"modules = {shown(modules)}: must be a list of modules; import the one that defines the functions and pass "
        f"modules=[that_module]"
    )
