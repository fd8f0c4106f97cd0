"""Files to read: regular ones only, data and never code, in our words."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..ground.arguments import shown, told
from ..ground.errors import DtypeError, HmmError, InvalidParameterError
from ..ground.memory import require

__all__ = ["numpy_arrays", "regular_file"]


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


def numpy_arrays(value: Any, names: Collection[Any] | None = None) -> dict[str, npt.NDArray[Any]]:
    """Return arrays of a file of numpy's: the one of a ``.npy``, under the name "", or those of a ``.npz``.

    Parameters
    ----------
    value
        A text or a path object.
    names
        Those to read of a ``.npz``; all of them by default.

    Raises
    ------
    InvalidParameterError
        No such file, no file of numpy's, a damaged one, one that holds objects (which would run code), or one that
        holds no array of a name.
    ResourceError
        Arrays larger than the free memory, once they are unpacked.
    """
    path = regular_file(value, "a file of numpy's, .npy or .npz", name="file")
    try:
        # Opened here: what fails inside numpy leaves its own file open.
        with path.open("rb") as file:
            # An archive is read member by member, anything else whole.
            if not zipfile.is_zipfile(file):
                require(path.stat().st_size, f"reading {path}", "keep less in one file")
            file.seek(0)
            found = np.load(file, allow_pickle=False)
            if isinstance(found, np.ndarray):
                return {"": found}
            if names is None:
                names = found.files
            elif not set(names) <= set(found.files):
                raise InvalidParameterError(f"{path} holds {', '.join(found.files)}; write key = one of them")
            members = found.zip.infolist()
            wanted = sum(
                member.file_size for member in members if member.filename.removesuffix(".npy") in names
            )
            require(wanted, f"reading {path}", "keep less in one file")
            return {name: found[name] for name in names}
    except HmmError:
        raise
    # What numpy and zipfile raise where a file is damaged is in no documentation: OSError, ValueError, zlib.error, ...
    except Exception as error:
        raise InvalidParameterError(
            f"file = {shown(str(path))}: cannot be read ({told(error)}); pass a file of numpy's, .npy or .npz"
        ) from None
