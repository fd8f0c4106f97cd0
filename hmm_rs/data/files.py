"""Paths of files to read: regular ones only, in our words."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..ground.arguments import shown
from ..ground.errors import DtypeError, HmmError, InvalidParameterError

__all__ = ["regular_file"]


def regular_file(
    value: Any, what: str, *, name: str = "path", error: type[HmmError] = InvalidParameterError
) -> Path:
    """Return the path of a regular file; devices and pipes, which may never end, are refused.

    Parameters
    ----------
    value
        A text or a path object.
    what
        What to pass instead, for the message.
    name
        Name of the argument.
    error
        What is raised where there is no such file.
    """
    if not isinstance(value, (str, os.PathLike)) or not isinstance(os.fspath(value), str):
        raise DtypeError(f"{name} = {shown(value)}: must be a path; pass {what}")
    try:
        path = Path(value)
        mode_is_regular = path.is_file()
        exists = mode_is_regular or path.exists()
    except (OSError, ValueError) as reason:
        raise error(f"{name} = {shown(value)}: cannot be read ({reason}); pass {what}") from None
    if not mode_is_regular:
        why = "no regular file" if exists else "no such file"
        raise error(f"{name} = {shown(str(value))}: cannot be read ({why}); pass {what}")
    return path
