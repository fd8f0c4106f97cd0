"""The progress bar of a run."""

from __future__ import annotations

import sys
from typing import Any, Literal

from ..ground.arguments import flag, shown
from ..ground.errors import InvalidParameterError

__all__ = ["Bar", "bar_wanted"]


class Bar:
    """A progress bar in physical time, or nothing.

    Parameters
    ----------
    wanted
        Whether to show it where someone can see it, or "always".
    now, end
        Where the run is and where it ends, in units of `axis`.
    title, axis
        What runs, and the name of its time.
    """

    def __init__(
        self, wanted: bool | Literal["always"], *, now: float, end: float, title: str, axis: str
    ) -> None:
        self._bar: Any = None
        if wanted == "always" or (wanted and _visible()):
            from tqdm.auto import tqdm

            self._bar = tqdm(
                total=end,
                initial=now,
                desc=title,
                bar_format="{desc}: {percentage:3.0f}%|{bar}| "
                + axis
                + "={n:.4g}/{total:.4g} [{elapsed}<{remaining}{postfix}]",
            )

    def advance_to(self, now: float) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.update(min(now, self._bar.total) - self._bar.n)

    def say(self, postfix: str) -> None:
        """Show a few words behind the bar."""
        if self._bar is not None and postfix:
            self._bar.set_postfix_str(postfix, refresh=False)

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()


def bar_wanted(progress: bool | Literal["always"]) -> bool | Literal["always"]:
    """Return the option `progress`, checked."""
    if not isinstance(progress, str):
        return flag("progress", progress)
    if progress != "always":
        raise InvalidParameterError(
            f'progress = {shown(progress)}: must be True, False or "always"; pass one of them'
        )
    return "always"


def _visible() -> bool:
    """Return whether someone can see a bar: at a terminal or in a notebook."""
    try:
        return "ipykernel" in sys.modules or sys.stderr.isatty()
    except (AttributeError, ValueError):
        # Standard error is closed, or not there at all (pythonw).
        return False
