"""What a configuration describes, made: an engine or a solver, and the call that gives its result."""

from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..data.files import numpy_arrays
from ..dynamics.full_batch import FullBatch
from ..dynamics.online_sgd import OnlineSGD
from ..dynamics.schedule import logtimes
from ..ground.arguments import shown
from ..ground.errors import HmmError, ResourceError
from ..ground.memory import require
from ..ground.record import Record
from .config import Config, ConfigError, Table
from .kinds import engine_names, kinds, method_of, parameters, solver_names, target

__all__ = ["Prepared", "prepare", "second"]

#: Tables that describe no argument.
_OWN = ("options", "run", "theory", "output", "plot")
#: Tables of samples, with the arguments that they give.
_SAMPLES = {"train": ("X", "y"), "test": ("X_test", "y_test")}
#: Words for arrays: an inline table with one of these keys.
_ARRAYS: dict[str, Callable[..., Any]] = {
    "linspace": np.linspace,
    "logtimes": logtimes,
    "arange": np.arange,
    "full": np.full,
    "eye": np.eye,
}
#: How many numbers each makes of how it is called.
_ENTRIES: dict[str, Callable[..., Any]] = {
    "linspace": lambda _start, _stop, n=50, *_: n,
    "logtimes": lambda _t0, _t1, n: n,
    "arange": lambda start, stop=None, step=1, *_: (start if stop is None else stop - start) / step,
    "full": lambda shape, *_: math.prod(shape) if isinstance(shape, list) else shape,
    "eye": lambda n, m=None, *_: n * (n if m is None else m),
}


@dataclass
class Prepared:
    """A run that a configuration describes.

    Parameters
    ----------
    name
        Of the engine or solver.
    made
        The engine or solver itself; None for a function.
    call
        What gives the result.
    arguments
        What it is called with.
    table
        Where these arguments stand.
    """

    name: str
    made: Any
    call: Callable[..., Any]
    arguments: dict[str, Any]
    table: Table
    #: Whether it is theory.
    theory: bool = False
    #: Arguments of a function, which have no object to stay with.
    others: list[Table] = field(default_factory=list)

    def run(self, **options: Any) -> Any:
        """Return the result."""
        taken = inspect.signature(self.call).parameters
        chosen = {key: value for key, value in options.items() if key in taken and key not in self.arguments}
        try:
            result = self.call(**self.arguments, **chosen)
        except HmmError as error:
            if not isinstance(error, (ValueError, TypeError)):
                raise
            raise self.table.blamed(error, self.others) from error
        if isinstance(self.made, FullBatch):
            result = self.made.result
        return result.to_dataset() if isinstance(result, Record) else result


def prepare(config: Config) -> Prepared:
    """Return the run that a configuration describes; nothing has been computed yet."""
    theory = "solver" in config.values
    if theory == ("engine" in config.values):
        raise ConfigError(
            f"{config.path}: must name what to run: either engine = (one of {', '.join(engine_names())}) or solver = "
            f"(one of {', '.join(solver_names())})"
        )
    key = "solver" if theory else "engine"
    name = config.values[key]
    function = target(name, theory=theory) if isinstance(name, str) else None
    if function is None:
        listed = solver_names() if theory else engine_names()
        near = difflib.get_close_matches(str(name), listed, n=1)
        guess = f" (did you mean {near[0]!r}?)" if near else ""
        raise config.error((key,), f"{key} = {shown(name)}: unknown{guess}; known are {', '.join(listed)}")
    options = config.table("options")
    arguments, tables = _arguments(config, key, name, function, options)
    if inspect.isfunction(function):
        config.table("run").refuse_unknown(())
        return Prepared(name, None, function, arguments, options, theory, tables)
    made = _made(function, arguments, options, tables)
    return _called(name, made, config.table("run"), theory)


def second(config: Config, first: Prepared, result: Any) -> Prepared | None:
    """Return the theory that a configuration lays over its run, None if there is none."""
    if "theory" not in config.values or first.theory:
        return None
    table = config.table("theory")
    name = table.take("solver", str)
    if name is None:
        raise table.error("solver", f"lacks the key solver; write one of {', '.join(solver_names())}")
    function = target(name, theory=True)
    if function is None or inspect.isfunction(function):
        raise table.error("solver", f"solver = {shown(name)}: must be one of {', '.join(solver_names())}")
    call = table.take("call", str)
    start = getattr(function, "from_simulation", None) if isinstance(first.made, OnlineSGD) else None
    given = {"sim": first.made} if start is not None else {}
    maker = start or function
    known = parameters(maker)
    mine = {key: _value(table, key) for key in list(table.values) if key in known}
    rest = {key: value for key, value in table.values.items() if key not in known}
    made = _made(maker, {**given, **mine}, table, [])
    inner = Table(config, table.path, {**rest, **({"call": call} if call else {})})
    inner_method = method_of(made, call)[1]
    asked = inspect.signature(inner_method).parameters
    # Unless it is said otherwise, the theory answers at the times of the run.
    for times in ("t", "t_eval"):
        if times in asked and times not in rest:
            given_times = {times: result[next(iter(result.sizes))].values}
            break
    else:
        given_times = {key: first.arguments[key] for key in ("steps", "dt") if key in first.arguments}
    prepared = _called(name, made, inner, theory=True, extra=known)
    prepared.arguments = {**{k: v for k, v in given_times.items() if k in asked}, **prepared.arguments}
    return prepared


# -- arguments -----------------------------------------------------------------------------------


def _arguments(
    config: Config, key: str, name: str, function: Callable[..., Any], options: Table
) -> tuple[dict[str, Any], list[Table]]:
    """Return what a function is called with, and the tables that said so."""
    takes_simulation = "sim" in inspect.signature(function).parameters
    known = dict(parameters(OnlineSGD) if takes_simulation else {}) | parameters(function)
    samples = [table for table, names in _SAMPLES.items() if names[0] in known or names[1] in known]
    special = [*samples, *(["kernel"] if "K" in known else []), *(["images"] if "theta" in known else [])]
    config.refuse_unknown([key, *_OWN, *special, *known])
    options.refuse_unknown(known)
    arguments: dict[str, Any] = {}
    tables: list[Table] = []
    for item in config.values:
        if item in known and item not in _OWN:
            if not isinstance(config.values[item], dict):
                raise config.error((item,), f"{item}: belongs into [options]; move it there")
            tables.append(config.table(item))
            arguments[item] = _described(config.table(item))
    for item in samples:
        if item in config.values:
            arguments |= _sampled(config.table(item), _SAMPLES[item], stream=item)
            tables.append(_giving(config.table(item), *_SAMPLES[item]))
    if "images" in special and "images" in config.values:
        arguments |= _images(config.table("images"))
        tables.append(_giving(config.table("images"), "X", "y", "X_test", "y_test"))
    if "kernel" in special:
        arguments = _kernels(config, arguments)
    for item in options.values:
        if item in arguments:
            raise options.error(item, f"{item}: is given by a table of its own too; drop one")
        arguments[item] = _value(options, item)
    empty = inspect.Parameter.empty
    missing = [
        n
        for n, p in known.items()
        if p.default is empty and n not in arguments and p.kind.name != "VAR_POSITIONAL"
    ]
    if missing:
        tabled = [table for table in special if table not in config.values]
        ways = f"write {missing[0]} = ... in [options], or a table [{missing[0]}]"
        if missing[0] in ("X", "y", "K") and tabled:
            ways = f'write a table [{tabled[0]}], or {missing[0]} = {{file = "..."}} in [options]'
        raise config.error((key,), f"{name} lacks {', '.join(missing)}; {ways}")
    if takes_simulation:
        own = parameters(function)
        sim = {n: v for n, v in arguments.items() if n not in own}
        made = _made(OnlineSGD, sim, options, tables)
        arguments = {"sim": made, **{n: v for n, v in arguments.items() if n in own}}
    return arguments, tables


def _made(
    function: Callable[..., Any], arguments: Mapping[str, Any], table: Table, others: Iterable[Table]
) -> Any:
    try:
        return function(**arguments)
    except HmmError as error:
        if isinstance(error, ConfigError) or not isinstance(error, (ValueError, TypeError)):
            raise
        raise table.blamed(error, others) from error


def _called(name: str, made: Any, table: Table, theory: bool, extra: Iterable[str] = ()) -> Prepared:
    """Return the call of an engine or solver, as a table asks for it."""
    call = table.take("call", str)
    try:
        _, method = method_of(made, call)
    except HmmError as error:
        raise table.error("call", str(error)) from None
    known = parameters(method)
    table.refuse_unknown(["call", *known, *extra] if extra else ["call", *known])
    arguments = {key: _value(table, key) for key in table.values}
    missing = [
        key for key, p in known.items() if p.default is inspect.Parameter.empty and key not in arguments
    ]
    if missing and not extra:
        raise table.error("", f"lacks {', '.join(missing)}, which {name} needs; write {missing[0]} = ...")
    return Prepared(name, made, method, arguments, table, theory)


def _described(table: Table) -> Any:
    """Return what a table describes: data, a network, a spectrum."""
    kind = table.take("kind", str)
    listed = kinds()
    if kind not in listed:
        near = difflib.get_close_matches(str(kind), listed, n=1)
        guess = f" (did you mean {near[0]!r}?)" if near else ""
        what = f"kind = {shown(kind)}: unknown{guess}" if kind is not None else "lacks the key kind"
        raise table.error("kind", f"{what}; known are {', '.join(listed)}")
    function = listed[kind]
    known = parameters(function)
    table.refuse_unknown(known)
    arguments = {key: _value(table, key) for key in table.values}
    empty = inspect.Parameter.empty
    missing = [key for key, parameter in known.items() if parameter.default is empty and key not in arguments]
    if missing:
        raise table.error("", f"{kind} lacks {', '.join(missing)}; write {missing[0]} = ...")
    return _made(function, arguments, table, ())


def _value(table: Table, key: str) -> Any:
    """Return what a key says: a value, an array, something described."""
    value = table.values[key]
    if not isinstance(value, dict):
        return value
    if "kind" in value:
        return _described(table.inner(key))
    if len(value) == 1 and (word := next(iter(value))) in _ARRAYS:
        numbers = value[word]
        listed = numbers if isinstance(numbers, list) else [numbers]
        try:
            require(_bytes(word, listed), f"{key}: {word} = {shown(numbers)}", "write a smaller one")
            return _ARRAYS[word](*listed)
        except ResourceError as error:
            raise table.error(key, str(error)) from None
        except (TypeError, ValueError, OverflowError, ZeroDivisionError) as error:
            raise table.error(key, f"{key}: {word} = {shown(numbers)} makes no array ({error})") from None
    if "file" in value and set(value) <= {"file", "key"}:
        return _loaded(table, key, value)
    words = ", ".join(_ARRAYS)
    raise table.error(
        key,
        f"{key} = {shown(value)}: must be a value, {{kind = ...}}, {{file = ...}}, or one of {words}; write one",
    )


def _bytes(word: str, numbers: list[Any]) -> int:
    """Return how large an array will be; 0 for what makes none, which what would make it says in its words."""
    try:
        return 8 * int(_ENTRIES[word](*numbers))
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        return 0


def _loaded(table: Table, key: str, value: Mapping[str, Any]) -> Any:
    """Return an array of a file of numpy's; paths count from where the configuration lies."""
    path = table.config.path.parent / Path(str(value["file"]))
    try:
        (found,) = numpy_arrays(path, [value.get("key")]).values()
    except HmmError as error:
        raise table.error(key, f"{key}: {error}") from None
    return found


def _giving(table: Table, *names: str) -> Table:
    table.gives = names
    return table


# -- samples -------------------------------------------------------------------------------------


def _sampled(table: Table, names: tuple[str, str], *, stream: str) -> dict[str, Any]:
    """Return inputs and labels drawn as a table says."""
    size = table.take("samples", int)
    seed = table.take("seed", int, 0)
    scale = table.values.pop("scale", 1.0)
    if size is None:
        raise table.error("", "lacks samples, the number of examples; write samples = ...")
    if size < 1:
        raise table.error(
            "samples", f"samples = {shown(size)}: must be at least 1; write samples = 1 or more"
        )
    if not isinstance(scale, (int, float)) or isinstance(scale, bool):
        raise table.error(
            "scale", f"scale = {shown(scale)}: must be a number that inputs are multiplied by; write one"
        )
    law = _described(table)
    try:
        X, y = law.sample(size, seed=seed, stream=stream)
    except TypeError:
        raise table.error(
            "kind", f"{type(law).__name__} has no labels; choose labelled data, Stripe say"
        ) from None
    except HmmError as error:
        raise table.blamed(error) from error
    return {names[0]: scale * X if scale != 1.0 else X, names[1]: y}


def _images(table: Table) -> dict[str, Any]:
    """Return scikit-learn's digits, cut into sets and labelled by parity."""
    from ..data.parity import digits, parity_sets

    known = [name for name in parameters(parity_sets) if name not in ("images", "classes")]
    table.refuse_unknown(known)
    arguments = {"kernel": 10, **{key: _value(table, key) for key in table.values}}
    for name in ("train", "test"):
        if name not in arguments:
            raise table.error("", f"lacks {name}, the number of images; write {name} = ...")
    try:
        sets = parity_sets(*digits(), **arguments)
    except HmmError as error:
        raise table.blamed(error) from error
    return dict(zip(("X", "y", "X_test", "y_test"), (*sets.train, *sets.test), strict=True))


def _kernels(config: Config, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return Gram matrices in place of the inputs of a kernel flow."""
    from .. import kernels

    if "kernel" not in config.values or "X" not in arguments:
        return arguments
    table = config.table("kernel")
    kind = table.take("kind", str, "ntk")
    functions: dict[str, Callable[..., Any]] = {"ntk": kernels.ntk, "laplace": kernels.laplace}
    if kind not in functions:
        raise table.error("kind", f"kind = {shown(kind)}: unknown; known are {', '.join(functions)}")
    kernel = functions[kind]
    table.refuse_unknown(name for name in parameters(kernel) if name not in ("X", "Y"))
    chosen = {key: _value(table, key) for key in table.values}
    X, X_test = arguments.pop("X"), arguments.pop("X_test", None)
    try:
        arguments["K"] = kernel(X, **chosen)
        if X_test is not None:
            arguments["K_test"] = kernel(X_test, X, **chosen)
    except HmmError as error:
        raise table.blamed(error) from error
    return arguments
