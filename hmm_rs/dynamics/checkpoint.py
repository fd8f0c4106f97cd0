"""Checkpoints: settings, state and stream position in one file, written whole or not at all.

A checkpoint is an uncompressed ``.npz`` archive (``numpy.load`` shows what is inside): a JSON header
and arrays of plain numbers. The archive's comment is the SHA-256 of all bytes before it. A file is
written beside its place and renamed, so a crash never leaves half of one. Reading believes nothing:
sizes are held against the file's before anything is allocated, and no part of it is evaluated.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import platform
import re
import secrets
import struct
import threading
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from .. import _lib
from ..ground.arguments import shown
from ..ground.errors import DtypeError, InvalidParameterError
from ..ground.memory import require

__all__ = ["FORMAT", "place", "read", "write"]

#: Layout of the file; raised when an older reader could misread a newer file.
FORMAT = 2
_MAGIC = "hmm_rs checkpoint"

#: The archive's comment: this, then the digest in hexadecimal.
_SEAL = b"sha256 "
_DIGITS = 2 * hashlib.sha256().digest_size

#: The header of an array in the archive, as numpy writes it; every type of plain numbers up to 8 bytes.
_NPY_MAGIC = b"\x93NUMPY\x01\x00"
_NPY_HEADER = re.compile(
    rb"\{'descr': '(\|b1|\|[iu]1|<[iuf][248])', 'fortran_order': False, "
    rb"'shape': \(((?:\d{1,19}, ?)*(?:\d{1,19})?)\), \} *\n"
)
_MAX_DIMENSIONS = 32

#: Told from other processes by a number and from earlier ones of the same number by this.
_PROCESS = secrets.token_hex(4)


def _is_text(value: object) -> bool:
    return type(value) is str


def _is_natural(value: object) -> bool:
    return type(value) is int and value >= 0


def _is_duration(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < math.inf


#: What names of arrays begin with: arguments, state and records of a run.
_PARTS = ("array", "state:", "record:")

#: Fields of the header, and what each must be.
_SCHEMA: dict[str, tuple[Callable[[object], bool], str]] = {
    "magic": (_is_text, "text"),
    "format": (_is_natural, "a natural number"),
    "hmm_rs_version": (_is_text, "text"),
    "driver": (_is_text, "text"),
    "foreign": (lambda value: type(value) is bool, "true or false"),
    "arguments": (lambda value: type(value) is dict, "an object"),
    "records": (lambda value: type(value) is list and all(map(_is_text, value)), "a list of names"),
    "past": (_is_natural, "a natural number"),
    "done": (_is_natural, "a natural number"),
    "checkpoint_every": (_is_duration, "a number of seconds"),
    "seconds": (_is_duration, "a number of seconds"),
    "finished": (lambda value: type(value) is bool, "true or false"),
    "stopped": (_is_text, "text"),
    "history": (lambda value: type(value) is dict, "an object"),
}
#: Fields that files of earlier versions lack.
_OPTIONAL = frozenset({"history"})


# -- writing -------------------------------------------------------------------------------------


def place(name: str, path: object) -> Path:
    """Return the absolute path of a file that can be written, links followed.

    Parameters
    ----------
    name
        Of the argument, for messages.
    path
        What the user passed.
    """
    if not isinstance(path, (str, os.PathLike)) or not isinstance(os.fspath(path), str):
        raise DtypeError(f"{name} = {shown(path)}: must be a path; pass a file's name, for example 'run.npz'")
    text = os.fspath(path)
    if not text or "\0" in text:
        raise InvalidParameterError(
            f"{name} = {shown(text)}: is no name of a file; pass one, for example 'run.npz'"
        )
    try:
        full = Path(os.path.realpath(text))
        if full.is_dir():
            raise InvalidParameterError(f"{name} = {shown(text)}: is a folder; pass the name of a file in it")
        if full.exists() and not full.is_file():
            raise InvalidParameterError(f"{name} = {shown(text)}: is no regular file; pass another name")
        if not full.parent.is_dir():
            raise InvalidParameterError(
                f"{name} = {shown(text)}: its folder does not exist; make {shown(str(full.parent))} first"
            )
    except (OSError, ValueError) as error:
        raise _cannot_write(name, text, error) from None
    return full


def _cannot_write(name: str, path: object, error: Exception) -> InvalidParameterError:
    reason = getattr(error, "strerror", None) or error
    return InvalidParameterError(
        f"{name} = {shown(str(path))}: cannot be written ({reason}); pass a place where files can be written"
    )


def write(
    path: Path, header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]], *, trial: bool = False
) -> None:
    """Write a checkpoint to a temporary file and rename it to `path` (a `trial` is removed instead)."""
    full = {"magic": _MAGIC, "format": FORMAT, "hmm_rs_version": _lib.__version__, **header}
    text = np.frombuffer(json.dumps(full).encode(), dtype=np.uint8)
    temporary = path.with_name(
        f"{_family(path)}-{os.getpid()}-{_PROCESS}-{threading.get_ident()}-{secrets.token_hex(4)}.tmp"
    )
    try:
        with temporary.open("x+b") as file:
            _write_archive(file, {"header": text, **arrays})
            file.flush()
            if not trial:
                os.fsync(file.fileno())
        if not trial:
            temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def try_place(
    name: str, path: Path, header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]
) -> None:
    """Write a checkpoint beside its place and remove it; refuse in our words what fails."""
    try:
        # The temporary file has a name of its own: whether this one is too long, only asking tells.
        with contextlib.suppress(FileNotFoundError):
            path.stat()
        write(path, header, arrays, trial=True)
    except (OSError, ValueError) as error:
        raise _cannot_write(name, path, error) from None


def _family(path: Path) -> str:
    """Return what the names of a file's temporaries begin with: short, and told by the machine too."""
    digest = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:12]
    machine = hashlib.sha256(platform.node().encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f".hmm_rs-{digest}-{machine}"


def remove_leftovers(path: Path) -> None:
    """Remove what processes that were killed inside a write left beside `path`."""
    family = _family(path)
    for temporary in path.parent.glob(f"{family}-*.tmp"):
        number, process, *rest = [*temporary.name[len(family) + 1 :].split("-"), ""]
        if rest and number.isdecimal() and not _is_writing(int(number), process):
            with contextlib.suppress(OSError):
                temporary.unlink()


def _is_writing(number: int, process: str) -> bool:
    """Return whether the process that made a temporary file may still be there."""
    if number == os.getpid():
        return process == _PROCESS
    if os.name != "posix":
        return True
    try:
        os.kill(number, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        pass
    return True


def _write_archive(file: IO[bytes], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, value in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy")
            with archive.open(member, "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, _plain_array(name, value), (1, 0), allow_pickle=False)
        archive.comment = _SEAL + b"0" * _DIGITS
    end = file.seek(-_DIGITS, os.SEEK_END)
    digest = _digest(file, end)
    file.seek(end)
    file.write(digest)


def _plain_array(name: str, value: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return an array as it is stored: little-endian numbers, row by row."""
    values = np.asarray(value, order="C")
    stored = values.astype(values.dtype.newbyteorder("<"), copy=False)
    if stored.dtype.kind not in "biuf" or stored.dtype.itemsize > 8 or stored.ndim > _MAX_DIMENSIONS:
        raise DtypeError(f"{name} has dtype {value.dtype}: a checkpoint holds plain numbers; pass floats")
    return stored


def _digest(file: IO[bytes], end: int) -> bytes:
    """Return the SHA-256 of the first `end` bytes, in hexadecimal."""
    file.seek(0)
    digest, left = hashlib.sha256(), end
    while left > 0:
        block = file.read(min(left, 1 << 20))
        if not block:
            raise _UnsoundError("it ends too early")
        digest.update(block)
        left -= len(block)
    return digest.hexdigest().encode()


# -- reading -------------------------------------------------------------------------------------


class _UnsoundError(Exception):
    """A file is not what it should be."""


def read(path: Path) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Return header and arrays of a checkpoint; refuse what is not a whole one of ours."""
    try:
        regular = path.is_file()
    except (OSError, ValueError):
        regular = False
    if not regular:
        raise InvalidParameterError(
            f"path = {shown(str(path))}: there is no such file; pass a checkpoint's path"
        )
    try:
        with path.open("rb") as file:
            sealed = _is_sealed(file)
            header, arrays = _contents(file, sealed=sealed)
    except _UnsoundError as error:
        raise _refusal(path, str(error)) from None
    except _DAMAGE as error:
        raise _refusal(path, str(error) or type(error).__name__) from None
    return header, arrays


#: What the libraries below raise on a file that is none.
_DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    IndexError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
    struct.error,
    zipfile.BadZipFile,
)


def _refusal(path: Path, why: str) -> InvalidParameterError:
    return InvalidParameterError(
        f"path = {shown(str(path))}: is not a whole checkpoint ({why}); use an earlier one or start anew"
    )


def _is_sealed(file: IO[bytes]) -> bool:
    """Return whether a file ends in its checksum; refuse one whose checksum is wrong."""
    size = os.fstat(file.fileno()).st_size
    if size < len(_SEAL) + _DIGITS:
        raise _UnsoundError("it is too short")
    file.seek(size - len(_SEAL) - _DIGITS)
    seal, digits = file.read(len(_SEAL)), file.read(_DIGITS)
    if seal != _SEAL:
        return False
    if digits != _digest(file, size - _DIGITS):
        raise _UnsoundError("its checksum is wrong: it is damaged")
    return True


def _contents(file: IO[bytes], *, sealed: bool) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Return header and arrays; of a file without checksum nothing but why it is refused."""
    size = os.fstat(file.fileno()).st_size
    require(size, "this checkpoint", "read it on a machine with more memory")
    with zipfile.ZipFile(file) as archive:
        members = _members(archive, size)
        if "header" not in members:
            raise _UnsoundError("it has no header")
        header = _parse_header(_read_array(archive, members["header"]))
        if not sealed:
            raise _UnsoundError("it ends too early, or something was appended to it")
        _check_header(header)
        arrays = {name: _read_array(archive, member) for name, member in members.items() if name != "header"}
    _check_records(header, arrays)
    return header, arrays


def _members(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """Return the archive's members by name, once it is sure that they lie inside it, uncompressed."""
    listed = archive.infolist()
    members = {member.filename.removesuffix(".npy"): member for member in listed}
    if len(members) != len(listed):
        raise _UnsoundError("it holds two arrays of one name")
    for name, member in members.items():
        if member.filename != f"{name}.npy" or member.compress_type != zipfile.ZIP_STORED:
            raise _UnsoundError(f"{shown(member.filename)} is no uncompressed array")
        if member.file_size != member.compress_size or member.flag_bits & 0x1:
            raise _UnsoundError(f"{shown(member.filename)} has a size that cannot be")
    if sum(member.file_size for member in listed) > size:
        raise _UnsoundError("its arrays are larger than the file")
    return members


def _read_array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> npt.NDArray[Any]:
    """Return one array; its header must agree with its member's size before it is allocated."""
    name = shown(member.filename)
    with archive.open(member) as stream:
        start = stream.read(len(_NPY_MAGIC) + 2)
        if start[:-2] != _NPY_MAGIC or len(start) != len(_NPY_MAGIC) + 2:
            raise _UnsoundError(f"{name} is no array")
        (length,) = struct.unpack("<H", start[-2:])
        match = _NPY_HEADER.fullmatch(stream.read(length))
        if match is None:
            raise _UnsoundError(f"{name} is no array of plain numbers")
        dtype = np.dtype(match[1].decode())
        shape = tuple(int(n) for n in match[2].replace(b",", b" ").split())
        needed = math.prod(shape) * dtype.itemsize
        if len(shape) > _MAX_DIMENSIONS or needed != member.file_size - len(start) - length:
            raise _UnsoundError(f"{name} has a shape that its size does not fit")
        values = np.empty(shape, dtype)
        left = memoryview(values.reshape(-1).view(np.uint8).data)
        while len(left):
            taken = stream.readinto(left)  # type: ignore[attr-defined]
            if not taken:
                raise _UnsoundError(f"{name} ends too early")
            left = left[taken:]
        # Only at its end the archive compares the checksum of a member.
        if stream.read(1):
            raise _UnsoundError(f"{name} is longer than it says")
    return values.astype(dtype.newbyteorder("="), copy=False)


def _parse_header(raw: npt.NDArray[Any]) -> dict[str, Any]:
    """Return the JSON header of one of our files, of whatever format."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) != len(pairs):
            raise _UnsoundError("its header names a field twice")
        return dict(pairs)

    header = json.loads(raw.tobytes().decode(), object_pairs_hook=unique)
    if not isinstance(header, dict) or header.get("magic") != _MAGIC:
        raise _UnsoundError("it was not written by hmm_rs")
    if header.get("format") != FORMAT:
        version = header.get("hmm_rs_version")
        raise _UnsoundError(
            f"it has format {shown(header.get('format'))}, this version reads {FORMAT}; finish the run with hmm_rs "
            f"{version if isinstance(version, str) else 'of that time'}"
        )
    return header


def _check_header(header: dict[str, Any]) -> None:
    for name, (fits, wanted) in _SCHEMA.items():
        if name not in header:
            if name in _OPTIONAL:
                continue
            raise _UnsoundError(f"its header lacks {name!r}")
        if not fits(header[name]):
            raise _UnsoundError(f"its header says {name} = {shown(header[name])}, which must be {wanted}")
    unknown = sorted(set(header) - set(_SCHEMA))
    if unknown:
        raise _UnsoundError(f"its header has unknown fields ({shown(unknown)})")


def _check_records(header: dict[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Check that records and targets are those of a run."""
    stray = [name for name in arrays if name != "targets" and not name.startswith(_PARTS)]
    if stray:
        raise _UnsoundError(f"it holds arrays that no run has ({shown(stray)})")
    names: list[str] = header["records"]
    recorded = {f"record:{name}" for name in names}
    found = {name for name in arrays if name.startswith("record:")}
    if len(recorded) != len(names) or recorded != found:
        raise _UnsoundError("its records are not those that its header names")
    if names and "t" not in names:
        raise _UnsoundError("its records have no time")
    targets = arrays.get("targets")
    if targets is None or not _is_axis(targets) or (np.diff(targets) < 0).any():
        raise _UnsoundError("its save times are missing or not in increasing order")
    length = 0
    if names:
        times = arrays["record:t"]
        if not _is_axis(times) or (np.diff(times) <= 0).any():
            raise _UnsoundError("the times of its records are not in increasing order")
        length = len(times)
        for name in recorded:
            if arrays[name].ndim < 1 or len(arrays[name]) != length:
                raise _UnsoundError(
                    f"{shown(name)} has shape {arrays[name].shape}, which must begin with {length}"
                )
    past, done = header["past"], header["done"]
    if past > length or done > len(targets) or length - past > done:
        raise _UnsoundError("its counts of records and save times disagree")


def _is_axis(values: npt.NDArray[Any]) -> bool:
    """Return whether `values` are a list of finite numbers."""
    return bool(values.ndim == 1 and values.dtype == np.float64 and np.isfinite(values).all())
