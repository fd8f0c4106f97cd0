"""The results of a sweep on disk: a zarr hierarchy with one array a point, and the joined table as a group.

Points have the names of their content hashes, so that a larger grid finds what a smaller one left. Each is one array of
bytes with a checksum: what was torn by a crash or a full disk is seen, and computed again.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..ground.arguments import shown, told
from ..ground.errors import DtypeError, InvalidParameterError, ResourceError, SweepWarning
from ..ground.extras import extra
from .parcel import Parcel

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Store"]

_R = TypeVar("_R")

#: Attribute of the root that says whose store it is.
_MARK = "hmm_rs_sweep"
_POINTS, _TABLE = "points", "table"
#: File that says what a folder of the hierarchy is.
_SAYS = "zarr.json"
#: File of the one chunk of an array, below its folder.
_CHUNK = Path("c", "0")
#: Largest description that is read, in bytes: attributes of a result are some thousand.
_LONGEST = 1 << 28
#: Errors of file systems that know no locks.
_NO_LOCKS = ("ENOLCK", "ENOSYS", "EOPNOTSUPP")


class Store:
    """A store held by this process alone, from its making to :meth:`close`.

    Parameters
    ----------
    path
        Folder of the store; made if it is not there.
    identity
        What all points have in common; a store of another one is refused.
    resume
        Whether to keep what is there.
    """

    def __init__(self, path: Any, identity: Mapping[str, str], *, resume: bool) -> None:
        # Loading zarr takes a while: now, not while workers wait for their answers to be kept.
        self._zarr = extra("zarr", of="sweep", needed_by="hr.sweep(out=...)")
        if not isinstance(path, (str, os.PathLike)) or not isinstance(os.fspath(path), str):
            raise DtypeError(f'out = {shown(path)}: must be a path; pass "sweep.zarr", say')
        self.path = Path(path)
        if self.path.exists() and not self.path.is_dir():
            raise InvalidParameterError(f"out = {shown(str(path))}: is a file; pass the folder of a store")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(self.path)
        except OSError as error:
            raise self._unwritable(error) from None
        try:
            self._root = self._opened(identity, resume)
            description = self.path / _POINTS / _SAYS
            if description.exists() and not _is_description(description):
                _remove(description)
            self._points = self._mended(_POINTS, lambda: self._root.require_group(_POINTS))
        except OSError as error:
            self.close()
            raise self._unwritable(error) from None
        except BaseException:
            self.close()
            raise

    def _opened(self, identity: Mapping[str, str], resume: bool) -> Any:
        mine = {"format": 1, **identity}
        there_already = os.listdir(self.path)
        if not there_already:
            return self._new(mine)
        there = None
        if _is_description(self.path / _SAYS):
            try:
                # Without the list of all metadata, which says what was there and not what is. Format 2 is never
                # written here, and its filters can run code.
                root = self._zarr.open_group(str(self.path), mode="r+", use_consolidated=False, zarr_format=3)
                there = root.attrs.get(_MARK)
            except Exception:
                there = None
        if not isinstance(there, dict):
            raise InvalidParameterError(
                f"out = {shown(str(self.path))}: holds something else than a sweep; pass a new folder"
            )
        if not resume:
            for name in there_already:
                _remove(self.path / name)
            return self._new(mine)
        unlike = [name for name in mine if there.get(name) != mine[name]]
        if unlike:
            said = "; ".join(
                f"{name} {shown(there.get(name))} there, {shown(mine[name])} here"
                for name in unlike
                if name != "content" or len(unlike) == 1
            ).replace("content ", "the function's code, what it uses, or the times have the hash ")
            raise InvalidParameterError(
                f"out = {shown(str(self.path))}: is the store of another sweep ({said}); pass another folder, or "
                "resume=False to start it again"
            )
        return root

    def _new(self, mine: Mapping[str, Any]) -> Any:
        try:
            return self._zarr.create_group(str(self.path), zarr_format=3, attributes={_MARK: dict(mine)})
        except OSError as error:
            raise self._unwritable(error) from None

    def _unwritable(self, error: OSError) -> ResourceError:
        return ResourceError(f"out = {shown(str(self.path))} cannot be written ({error}); pass another place")

    def read(self, key: str) -> Parcel | None:
        """Return the result of a point; None if there is none, or none that is whole."""
        place = self.path / _POINTS / key
        if not _is_description(place / _SAYS):
            return None
        try:
            array = self._points[key]
            # The bytes as they were put there, never what a description makes of them: a chunk can be announced that
            # unpacks to any size, and a pipe never ends.
            chunk = place / _CHUNK
            if array.size and not (chunk.is_file() and chunk.stat().st_size == array.size):
                return None
            parcel = Parcel(array.attrs["table"], chunk.read_bytes() if array.size else b"")
            if array.attrs["checksum"] != parcel.checksum():
                return None
            parcel.dataset()
        except Exception:
            # Torn by a crash: as good as not there.
            return None
        return parcel

    def write(self, key: str, parcel: Parcel) -> None:
        """Keep the result of a point."""
        self._put(key, parcel.data, {"table": parcel.table, "checksum": parcel.checksum()})

    def write_failure(self, key: str, text: str) -> None:
        """Keep the reason why a point has no result."""
        self._put(key, b"", {"error": text})

    def _put(self, key: str, data: bytes, attributes: Mapping[str, str]) -> None:
        def put() -> None:
            array = self._points.create_array(
                key,
                shape=(len(data),),
                chunks=(max(len(data), 1),),
                dtype="u1",
                compressors=None,
                attributes=dict(attributes),
                overwrite=True,
            )
            if data:
                array[:] = np.frombuffer(data, np.uint8)

        self._mended(f"{_POINTS}/{key}", put)

    def write_table(self, table: xr.Dataset) -> None:
        """Put the joined table where ``xarray.open_zarr(path, group="table")`` finds it."""

        def put() -> None:
            with warnings.catch_warnings():
                # Texts and the list of all metadata have no final place in the format yet.
                warnings.filterwarnings("ignore", category=_unstable())
                warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part")
                table.to_zarr(str(self.path), group=_TABLE, mode="w", zarr_format=3, consolidated=True)

        self._mended(_TABLE, put)

    def _remove_unreadable(self) -> None:
        for place in (self.path / _POINTS).iterdir():
            try:
                if place.name != _SAYS:
                    self._points[place.name]
            except Exception:
                _remove(place)

    def _mended(self, name: str, work: Callable[[], _R]) -> _R:
        """Do something with a part of the store; where it is so damaged that zarr stumbles over it, clear the way."""
        try:
            return work()
        except Exception as error:
            if _of_the_disk(error):
                # A full disk is not mended by taking things away.
                raise
            there = self.path / name
            # The points are arrays of their own, whatever has become of the folder's description.
            _remove(there / _SAYS if name == _POINTS and there.is_dir() else there)
            if name == _TABLE:
                # Its list of all metadata takes in those of points that other grids have left.
                self._remove_unreadable()
        try:
            return work()
        except Exception as error:
            if _of_the_disk(error):
                raise
            raise ResourceError(
                f"out = {shown(str(self.path))}: the store is damaged and cannot be mended "
                f"({told(error)}); pass another folder, or resume=False to start it again"
            ) from None

    def close(self) -> None:
        """Let others have it."""
        _unlock(self._lock)


def _is_description(path: Path) -> bool:
    """Return whether a file can be read as a description: no pipe, no device, of a size that one has."""
    return path.is_file() and path.stat().st_size <= _LONGEST


def _of_the_disk(error: Exception) -> bool:
    """Return whether a disk failed, and not an order of files and folders that is none of a store."""
    return isinstance(error, OSError) and not isinstance(
        error, (FileExistsError, IsADirectoryError, NotADirectoryError)
    )


def _remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _unstable() -> type[Warning]:
    from zarr.errors import UnstableSpecificationWarning

    return UnstableSpecificationWarning


def _locked(path: Path) -> int:
    """Return the descriptor of a lock that goes with this process, however it ends."""
    import errno

    # Beside the store: nothing else may lie inside the hierarchy.
    descriptor = os.open(
        path.absolute().with_name(f".{path.absolute().name}.lock"), os.O_RDWR | os.O_CREAT, 0o666
    )
    try:
        _lock(descriptor)
    except OSError as error:
        if error.errno in {getattr(errno, name, None) for name in _NO_LOCKS}:
            warnings.warn(
                f"{path} lies on a file system without locks: take care that no second sweep writes to it",
                SweepWarning,
                stacklevel=2,
            )
            return descriptor
        owner = os.read(descriptor, 200).decode("utf8", "replace")
        os.close(descriptor)
        raise ResourceError(
            f"out = {shown(str(path))}: another sweep is writing to it{f' ({owner})' if owner else ''}; wait for it, "
            "or pass another folder"
        ) from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"process {os.getpid()} on {platform.node()}".encode())
    return descriptor


if sys.platform == "win32":
    import msvcrt

    #: Locked past the text, which others may read.
    _PLACE = 1 << 20

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, _PLACE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)

    def _unlock(descriptor: int) -> None:
        os.close(descriptor)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(descriptor: int) -> None:
        # A child that was forked in the meantime holds the same lock.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)
