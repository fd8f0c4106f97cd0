"""Generators from safetensors files, evaluated without any framework."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from ...ground.errors import HmmError, InvalidParameterError
from ...ground.memory import require
from ..files import regular_file
from .stack import LayerStack, names_of, plain_layers

__all__ = ["from_safetensors", "read_safetensors"]

#: Types of arrays that are read; half precision of the other kind is the upper half of single precision.
_FORMATS = {
    **{"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "BOOL": "|b1"},
    **{f"{kind}{8 * size}": f"<{kind.lower()}{size}" for kind in "IU" for size in (1, 2, 4, 8)},
}
#: Bytes of an entry of the types that are known but not read.
_UNREAD = {"F8_E4M3": 1, "F8_E5M2": 1}
#: Largest header, as the format's own library has it; what is no larger may stand beside the file.
_LARGEST_HEADER = 100_000_000
#: Axes of an array that numpy can have.
_MOST_AXES = 64


@dataclass(frozen=True)
class _Entry:
    """Where an array lies in a file."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


class _FormatError(Exception):
    """A file that is no safetensors file, with what is wrong."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _FormatError("its header holds a name twice")
    return found


def _number(digits: str) -> int:
    """Return a whole number of a header; the product of a header full of longer ones would take hours."""
    if len(digits) > 20:
        raise ValueError
    return int(digits)


def _header(file: BinaryIO, size: int) -> tuple[int, dict[str, _Entry], dict[str, str]]:
    """Return where the arrays begin, the entries and the metadata; refuse what the format forbids."""
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if len(start) < 8 or length > min(size - 8, _LARGEST_HEADER):
        raise _FormatError("it is truncated within its header")
    text = file.read(length)
    try:
        header = json.loads(text.decode(), object_pairs_hook=_unique, parse_int=_number)
    except (ValueError, RecursionError):
        raise _FormatError("its header is no JSON") from None
    if not isinstance(header, dict):
        raise _FormatError("its header is no JSON object")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise _FormatError("its metadata are no texts by name")
    entries = {name: _entry(name, entry) for name, entry in header.items()}
    end = 0
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].begin, item[1].end)):
        if entry.begin != end:
            raise _FormatError(f"{name!r} begins at byte {entry.begin} of the arrays, where {end} is next")
        end = entry.end
    if end != size - 8 - length:
        raise _FormatError(f"its arrays take {end} bytes of {size - 8 - length}")
    return 8 + length, entries, metadata


def _entry(name: str, entry: Any) -> _Entry:
    def whole(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and value >= 0

    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise _FormatError(f"{name!r} is described by other keys than dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    lists = isinstance(shape, list) and isinstance(offsets, list) and len(offsets) == 2
    sound = isinstance(dtype, str) and lists and all(map(whole, (*shape, *offsets)))
    if not sound or len(shape) > _MOST_AXES:
        raise _FormatError(f"{name!r} has the shape {shape!r:.40} and the offsets {offsets!r:.40}")
    size = _UNREAD.get(dtype) or (np.dtype(_FORMATS[dtype]).itemsize if dtype in _FORMATS else None)
    if size is not None and offsets[1] - offsets[0] != math.prod(shape) * size:
        raise _FormatError(f"{name!r} of shape {shape!r:.40} does not fill its bytes")
    if offsets[1] < offsets[0]:
        raise _FormatError(f"{name!r} ends before it begins")
    return _Entry(dtype, tuple(shape), offsets[0], offsets[1])


def _array(path: Path, file: BinaryIO, start: int, name: str, entry: _Entry) -> npt.NDArray[Any]:
    if entry.dtype not in _FORMATS:
        raise HmmError(
            f"path = {str(path)!r}: {name!r} holds {entry.dtype}: {', '.join(_FORMATS)} are read; convert it"
        )
    require(4 * (entry.end - entry.begin), f"the array {name!r} of {path.name}", "pass a smaller file")
    file.seek(start + entry.begin)
    flat = np.frombuffer(file.read(entry.end - entry.begin), dtype=_FORMATS[entry.dtype])
    if entry.dtype == "BF16":
        flat = (flat.astype(np.uint32) << 16).view(np.float32)
    try:
        shaped = flat.reshape(entry.shape)
    except ValueError:
        raise _FormatError(f"{name!r} has {len(entry.shape)} axes") from None
    return (
        shaped.astype(np.float64) if flat.dtype.kind == "f" else shaped.astype(flat.dtype.newbyteorder("="))
    )


def _read(
    path: str | Path, wanted: Iterable[str] | None
) -> tuple[dict[str, npt.NDArray[Any]], dict[str, str]]:
    """Return the arrays of the names `wanted` (None: all) and the metadata."""
    path = regular_file(path, "a safetensors file", error=HmmError)
    try:
        with path.open("rb") as file:
            start, entries, metadata = _header(file, path.stat().st_size)
            names = entries.keys() if wanted is None else [name for name in wanted if name in entries]
            arrays = {name: _array(path, file, start, name, entries[name]) for name in names}
    except _FormatError as error:
        raise HmmError(
            f"path = {str(path)!r}: is no safetensors file or is damaged: {error}; write it anew"
        ) from None
    except OSError as error:
        raise HmmError(
            f"path = {str(path)!r}: cannot be read ({error.strerror}); pass a safetensors file"
        ) from None
    return arrays, metadata


def read_safetensors(path: str | Path) -> tuple[dict[str, npt.NDArray[Any]], dict[str, str]]:
    """Return the arrays and the metadata of a safetensors file.

    The format is an 8-byte length, a JSON header and raw arrays. Floating-point arrays are read as doubles, integers
    and booleans as they are.

    Raises
    ------
    HmmError
        If the file is missing or damaged (arrays that overlap, leave holes or do not fill their bytes, names that
        occur twice, bytes that are left over), or holds types other than F64, F32, F16, BF16, integers and BOOL.
    ResourceError
        If an array does not fit into memory.
    """
    return _read(path, None)


def from_safetensors(
    path: str | Path, description: Mapping[str, Any] | None = None, *, center: bool = True
) -> LayerStack:
    r"""Return a trained generator from a safetensors file, evaluated without any framework.

    Parameters
    ----------
    path
        The file. Arrays that no layer names are not read.
    description
        ``{"latents": D, "layers": [...]}``; read from the file's metadata key "hmm_rs" (JSON), or from
        ``<path>.json``, if it is not given. Layers, with the names of their arrays:

        * ``{"type": "dense", "weight", "bias"}``: (outputs, inputs) and (outputs,).
        * ``{"type": "conv2d", "weight", "bias", "input": [channels, height, width], "stride", "padding"}``:
          (out, in, height, width).
        * ``{"type": "conv_transpose2d", ...}``: (in, out, height, width).
        * ``{"type": "activation", "f"}``: "sign", "erf", "relu", "tanh", "identity", "sigmoid", "leaky_relu" (with
          "slope").
        * ``{"type": "affine", "scale", "shift"}``: per channel or per input (a batch normalisation at rest).
        * ``{"type": "coupling", "keep": [...], "change": [...], "scale": [layers], "shift": [layers]}``.

        Biases may be left out. Images are flattened channel by channel, as torch does. Other keys, such as "groups",
        are refused: they would change what a layer does.
    center
        Subtract the mean of the outputs.

    Raises
    ------
    HmmError
        If the file is missing or damaged.
    InvalidParameterError
        If there is no description, or a layer is unknown or does not fit.
    ResourceError
        If arrays, or a block of samples, do not fit into memory.

    Examples
    --------
    >>> from hmm_rs.generators import digits_flow
    >>> model = digits_flow()
    >>> model.N, model.D
    (64, 64)
    """
    if description is None:
        description = _description(regular_file(path, "a safetensors file", error=HmmError))
    if not isinstance(description, Mapping) or "latents" not in description or "layers" not in description:
        raise InvalidParameterError(
            f"description = {description!r:.80}: must be a mapping with 'latents' and 'layers'; see from_safetensors"
        )
    unknown = set(description) - {"latents", "layers"}
    if unknown:
        raise InvalidParameterError(
            f"description: the key {min(map(str, unknown))!r} is unknown; leave it out, or see from_safetensors"
        )
    layers = plain_layers(description["layers"])
    tensors, _ = _read(path, names_of(layers))
    return LayerStack(json.dumps(layers), tensors, latents=description["latents"], center=center)


def _description(path: Path) -> Any:
    """Return the description in the file's metadata or beside it."""
    beside = Path(f"{path}.json")
    text = _read(path, ())[1].get("hmm_rs")
    if text is None and beside.is_file():
        text = _text_beside(beside)
    if text is None:
        raise InvalidParameterError(
            f"path = {str(path)!r}: the file has no description of its layers; pass description={{...}}, or "
            f"write it to {beside.name}"
        )
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidParameterError(
            f"path = {str(path)!r}: the description of its layers is no JSON; write it anew"
        ) from None


def _text_beside(path: Path) -> str:
    """Return what the file of a description says."""
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_HEADER + 1)
        if len(content) > _LARGEST_HEADER:
            raise InvalidParameterError(
                f"path = {str(path)!r}: has more than {_LARGEST_HEADER} bytes: must be a description of layers; "
                f"write it anew"
            )
        return content.decode()
    except OSError as error:
        raise InvalidParameterError(
            f"path = {str(path)!r}: cannot be read ({error.strerror}); pass description={{...}}"
        ) from None
    except UnicodeDecodeError:
        raise InvalidParameterError(
            f"path = {str(path)!r}: the description of layers is no text; write it anew"
        ) from None
