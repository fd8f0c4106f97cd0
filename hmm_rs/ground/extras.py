"""Libraries that only some rooms need: imported where they are used, missed in our words."""

from __future__ import annotations

import importlib
from typing import Any

from .errors import MissingExtraError

__all__ = ["extra"]


def extra(module: str, *, of: str, needed_by: str) -> Any:
    """Return the module called `module`; if it is not installed, say which extra of hmm_rs brings it.

    Parameters
    ----------
    module
        Name to import, "sklearn.svm" say.
    of
        The extra that installs it; "" where none does, because whoever has it chose its build.
    needed_by
        What the user called.

    Raises
    ------
    MissingExtraError
        An ImportError and an HmmError.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        # What an installed library fails to import itself is its own affair, but worth showing.
        library = module.partition(".")[0]
        what = f"'hmm_rs[{of}]'" if of else library
        raise MissingExtraError(
            f"{needed_by} needs {library} ({error}): it must be installed; pip install {what}"
        ) from error
