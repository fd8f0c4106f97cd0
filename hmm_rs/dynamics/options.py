"""The options that every run takes: typed, documented and checked in one place."""

from __future__ import annotations

import difflib
import functools
import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, TypedDict, TypeVar

from ..ground.arguments import flag, items, number, shown, threads
from ..ground.errors import DtypeError
from .progress import bar_wanted

if TYPE_CHECKING:
    from .driver import Driver

__all__ = [
    "DEFAULTS",
    "Callback",
    "ResumeOptions",
    "RunOptions",
    "Settled",
    "documented",
    "long_run",
    "refuse_unknown",
    "settled",
]

#: Called with the driver and what was measured.
Callback = Callable[[Any, dict[str, Any]], object]

_P = ParamSpec("_P")
_R = TypeVar("_R")
_D = TypeVar("_D", bound="Driver")
_F = TypeVar("_F", bound=Callable[..., Any])


class ResumeOptions(TypedDict, total=False):
    """Options of every run and of :func:`hmm_rs.resume`.

    Attributes
    ----------
    progress
        Show a bar in physical time with the time that is left. It stays silent where standard error is
        neither a terminal nor a notebook, as in a batch job; "always" shows it there too.
    checkpoint_every
        Seconds between two saves; None for 60, and in ``resume`` for as many as before.
    callbacks
        Functions (driver, observation) called after each measurement; raising ``hmm_rs.StopRun`` in one
        ends the run normally. They get a copy: what they change in it is not recorded.
    threads
        Threads to use; the result does not depend on it.
    max_seconds
        Wall-clock budget after which the run ends normally.
    """

    progress: bool | Literal["always"]
    checkpoint_every: float | None
    callbacks: Iterable[Callback]
    threads: int | None
    max_seconds: float | None


class RunOptions(ResumeOptions, total=False):
    """Options of every run.

    Attributes
    ----------
    checkpoint
        File to save the run in every `checkpoint_every` seconds and at its end; ``hmm_rs.resume``
        continues from it. The place is tried before the first step; a later save that fails is a
        ``CheckpointWarning``, and the run goes on. While such a run is on, SIGTERM (what a batch system
        sends at its time limit) saves it and leaves with exit code 85, unless the program handles SIGTERM
        itself.
    overwrite
        A file that is there already is written over only if it is a checkpoint of this very run (the same
        driver with the same arguments), or if this is True.
    """

    checkpoint: str | Path | None
    overwrite: bool


#: Seconds between two saves.
_EVERY = 60.0

#: Every option with its default, in the order in which they are shown.
DEFAULTS: RunOptions = {
    "progress": False,
    "checkpoint": None,
    "checkpoint_every": _EVERY,
    "overwrite": False,
    "callbacks": (),
    "threads": None,
    "max_seconds": None,
}


@dataclass(frozen=True)
class Settled:
    """All options of a run, checked and in their final types."""

    progress: bool | Literal["always"]
    checkpoint: str | Path | None
    checkpoint_every: float
    overwrite: bool
    callbacks: Sequence[Callback]
    threads: int | None
    max_seconds: float


def settled(options: RunOptions) -> Settled:
    """Return all options, checked."""
    refuse_unknown(options, RunOptions)
    every: RunOptions = {**DEFAULTS, **options}
    progress, seconds, budget = every["progress"], every["checkpoint_every"], every["max_seconds"]
    return Settled(
        progress=bar_wanted(progress),
        checkpoint=every["checkpoint"],
        checkpoint_every=number("checkpoint_every", _EVERY if seconds is None else seconds, minimum=0.0),
        overwrite=flag("overwrite", every["overwrite"]),
        callbacks=_functions(every["callbacks"]),
        threads=threads("threads", every["threads"]),
        max_seconds=math.inf if budget is None else number("max_seconds", budget, minimum=0.0),
    )


def refuse_unknown(options: Mapping[str, Any], kind: type) -> None:
    """Refuse keywords that are no options."""
    known = [name for name in DEFAULTS if name in kind.__annotations__]
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            guess = f" (did you mean {near[0]}?)" if near else ""
            raise DtypeError(f"{name}: there is no such option{guess}; pass some of {', '.join(known)}")


def _functions(callbacks: object) -> Sequence[Callback]:
    listed = tuple(items("callbacks", callbacks, "[function], a function of (driver, observation)"))
    if not all(callable(callback) for callback in listed):
        raise DtypeError(
            f"callbacks = {shown(callbacks)}: must be a sequence of functions (driver, observation); pass [function]"
        )
    return listed


def long_run(
    run: Callable[Concatenate[_D, _P], _R],
) -> Callable[Concatenate[_D, _P], _R]:
    """Make a method that ends in ``**options: Unpack[RunOptions]`` the ``run`` of a driver.

    Its signature and its help show every option; a driver that is running already refuses to start
    again before anything is changed.
    """
    signature = inspect.signature(run)

    @functools.wraps(run)
    def started(driver: _D, /, *args: _P.args, **keywords: _P.kwargs) -> _R:
        with driver._claimed():
            asked = {**signature.bind(driver, *args, **keywords).arguments}
            # The driver itself, and options, which change nothing of a result.
            driver._asked = {key: value for key, value in list(asked.items())[1:] if key != "options"}
            try:
                return run(driver, *args, **keywords)
            finally:
                driver._asked = None

    return documented(RunOptions)(started)


def documented(options: type, **defaults: object) -> Callable[[_F], _F]:
    """Show every option in signature and help of a function that ends in ``**options: Unpack[...]``.

    `defaults` are those that differ from :data:`DEFAULTS`.
    """
    types = {name: annotation.__forward_arg__ for name, annotation in options.__annotations__.items()}
    named = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=types[name])
        for name, default in {**DEFAULTS, **defaults}.items()
        if name in types
    ]

    def document(function: _F) -> _F:
        as_written = inspect.signature(function)
        own = [p for p in as_written.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
        function.__signature__ = as_written.replace(parameters=[*own, *named])  # type: ignore[attr-defined]
        function.__doc__ = _explained(function.__doc__, options)
        return function

    return document


def _explained(doc: str | None, options: type) -> str | None:
    """Return a docstring with every option where ``**options`` stood."""
    if doc is None:
        return None
    before, _, after = inspect.cleandoc(doc).partition("**options\n")
    rest = after.splitlines(keepends=True)
    while rest and rest[0].startswith(" "):
        del rest[0]
    kinds = (RunOptions, ResumeOptions) if options is RunOptions else (ResumeOptions,)
    return before + "".join(map(_entries, kinds)) + "".join(rest)


def _entries(options: type) -> str:
    """Return the part of a class's docstring that explains its fields."""
    return inspect.cleandoc(options.__doc__ or "").partition("----------\n")[2].rstrip() + "\n"
