"""Copy as code: the script that computes what a page shows."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

from .fields import State

__all__ = ["script"]


def script(state: State) -> str:
    """Return a script with the numbers of a state: the functions that drew the picture, called with its values.

    Parameters
    ----------
    state
        The page and its values; with an overlay the script runs the simulation too.
    """
    page = state.page
    wanted = [page.theory, *([page.simulation] if state.overlay else [])]
    values = dict(state.values) if state.overlay else page.of_theory(state.values)
    listed = "".join(f"    {name}={value!r},\n" for name, value in values.items())
    shared = ", ".join(f'"{name}"' for name in page.of_theory(state.values))
    if state.overlay:
        calls = "curves = theory(**{name: settings[name] for name in shared})\nrun = simulation(**settings)\n"
        calls = f"shared = [{shared}]\n{calls}"
    else:
        calls = "curves = theory(**settings)\nrun = None\n"
    sources = "\n\n".join(_source(function) for function in wanted)
    return (
        f'"""{page.title}, as hmm-rs explore showed it."""\n\n'
        "from __future__ import annotations\n\n"
        "import numpy as np\n\n"
        "import hmm_rs as hr\n\n"
        f"settings = dict(\n{listed})\n\n\n"
        f"{sources}\n\n"
        f"{calls}\n"
        f"{page.plot.strip()}\n"
    )


@cache
def _source(function: Callable[..., Any]) -> str:
    """Return the text of a function; it is asked for at every move of a slider."""
    return inspect.getsource(function)
