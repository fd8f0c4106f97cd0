"""The story of a result: what was made and called to get it, as one JSON text in its attributes.

Small arrays stand in the text, as base64 of their bytes with type and shape. A larger one is named by its SHA-256 and
is handed over when the run is made again, unless its network remembers how it was drawn.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import hashlib
import json
import math
import re
import weakref
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..ground.arguments import shown
from ..ground.description import Description
from ..ground.errors import InvalidParameterError
from .encoding import Encoder, arrays_in, claim, digest, identifier

__all__ = [
    "ATTRIBUTE",
    "FORMAT",
    "LARGEST",
    "Call",
    "TextEncoder",
    "encoded_call",
    "encoded_maker",
    "joined",
    "read",
    "unpack",
    "write",
]

#: Attribute of a result that holds its story.
ATTRIBUTE = "provenance"
#: Layout of the story.
FORMAT = 1
#: Bytes of the largest array that stands in the text: 8192 numbers in double precision.
LARGEST = 1 << 16
#: The same for what a call was given, save times above all.
LARGEST_OF_A_CALL = 1 << 20

_DTYPE = re.compile(r"(\|b1|\|[iu]1|<[iuf][248])")
_DIGEST = re.compile(r"[0-9a-f]{64}")

#: Writes data as JSON, of which NaN is no part.
_as_text = json.JSONEncoder(allow_nan=False).encode

#: One call: its name, its arguments as data, the arrays in them, and how far it came.
Call = dict[str, Any]


class TextEncoder(Encoder):
    """Turns arguments into JSON data and a table of arrays that are JSON data too.

    Parameters
    ----------
    names
        Functions with the names under which they were handed over, which they keep.
    largest
        Bytes of the largest array whose numbers are kept.
    """

    _where = "provenance"

    def __init__(self, names: Iterable[tuple[object, str]] = (), *, largest: int = LARGEST) -> None:
        super().__init__(names)
        self._largest = largest
        self._path: list[str] = []
        self._labels: dict[str, object] = {}
        self._inside_description = False
        #: What is known of each array, by its reference in the data.
        self.table: dict[str, dict[str, Any]] = {}

    def _encode(self, value: Any, argument: str) -> Any:
        # Items of a list come under the name of the list.
        deeper = not self._path or self._path[-1] != argument
        if deeper:
            self._path.append(argument)
        try:
            return super()._encode(value, argument)
        finally:
            if deeper:
                self._path.pop()

    def _data(self, value: Any, argument: str) -> Any:
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, np.generic)):
            value = np.dtype(value).name
        if isinstance(value, float) and not math.isfinite(value):
            return {"is": "number", "value": str(value)}
        if hasattr(value, "__array__") and not isinstance(value, (np.ndarray, type)):
            # What says that it is an array and is none (a whole dataset, say) is what the call itself refuses.
            with contextlib.suppress(TypeError, ValueError):
                value = np.asarray(value)
        return super()._data(value, argument)

    def _array(self, value: npt.NDArray[Any], argument: str) -> dict[str, str]:
        self._check_array(value, argument)
        # A description's own arrays never change: they are looked at once, however often it is used.
        fixed = self._inside_description and not value.flags.writeable
        written = _written_once if fixed else _written
        entry = written(value, self._largest)
        checksum = entry["sha256"]
        reference = f"array-{checksum[:24]}"
        if reference not in self.table:
            self.table[reference] = {"label": claim(".".join(self._path), checksum, self._labels), **entry}
        return {"is": "array", "name": reference}

    def _object(self, value: Any, argument: str) -> dict[str, Any]:
        recipe = getattr(value, "_recipe", None)
        arrays = [] if recipe is None else list(arrays_in(value))
        if recipe is None or sum(item.nbytes for item in arrays) <= self._largest:
            before, self._inside_description = self._inside_description, _is_ours(type(value))
            try:
                return super()._object(value, argument)
            finally:
                self._inside_description = before
        name, arguments = recipe
        return {
            "is": "drawn",
            "name": name,
            "arguments": self.arguments(arguments),
            "sha256": [digest(_canonical(item)) for item in arrays],
        }

    def _name(self, cls: type) -> str | None:
        # Whoever reads the text has a closed list of what it may name.
        return super()._name(cls) or (cls.__name__ if _is_ours(cls) else None)


def _is_ours(cls: type) -> bool:
    """Return whether a class is one of ours that says what it was made of."""
    told = issubclass(cls, Description) or dataclasses.is_dataclass(cls)
    return told and cls.__module__.startswith("hmm_rs.") and identifier(cls.__name__)


def _canonical(value: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return an array in C order and little-endian: what its checksum and its bytes are of."""
    return np.asarray(value, dtype=value.dtype.newbyteorder("<"), order="C")


def _written(value: npt.NDArray[Any], largest: int) -> dict[str, Any]:
    """Return type, shape and checksum of an array, and its numbers if they take at most `largest` bytes."""
    kept = _canonical(value)
    entry = {"dtype": kept.dtype.str, "shape": list(kept.shape), "sha256": digest(kept)}
    if kept.nbytes <= largest:
        entry["data"] = base64.b64encode(kept.tobytes()).decode()
    return entry


#: What has been written of arrays that never change, while they live: by address, with a reference that tells whether
#: the array there is still the same.
_WRITTEN: dict[tuple[int, int], tuple[weakref.ref[npt.NDArray[Any]], dict[str, Any]]] = {}


def _written_once(value: npt.NDArray[Any], largest: int) -> dict[str, Any]:
    """Return :func:`_written`, remembered as long as the array lives."""
    key = id(value), largest
    known = _WRITTEN.get(key)
    if known is not None and known[0]() is value:
        return known[1]
    entry = _written(value, largest)
    _WRITTEN[key] = weakref.ref(value, lambda _: _WRITTEN.pop(key, None)), entry
    return entry


def encoded_call(name: str, arguments: Mapping[str, Any], names: Iterable[tuple[object, str]] = ()) -> Call:
    """Return a call as data, with its arrays; where that cannot be, why it cannot be told."""
    encoder = TextEncoder(names, largest=LARGEST_OF_A_CALL)
    try:
        return {"name": name, "arguments": encoder.arguments(arguments), "arrays": encoder.table}
    except InvalidParameterError as error:
        return {"name": name, "lost": str(error)}


def encoded_maker(
    cls: type, arguments: Mapping[str, Any], names: Iterable[tuple[object, str]] = ()
) -> dict[str, Any]:
    """Return a class and the arguments of its constructor as data, with their arrays."""
    encoder = TextEncoder(names)
    foreign = not cls.__module__.startswith("hmm_rs.")
    try:
        data = encoder.arguments(arguments)
    except InvalidParameterError as error:
        return {"name": cls.__name__, "foreign": foreign, "lost": str(error)}
    return {"name": cls.__name__, "foreign": foreign, "arguments": data, "arrays": encoder.table}


def write(
    maker: Mapping[str, Any] | None, calls: Sequence[Call], *, whole: int, sizes: Mapping[Any, int]
) -> str:
    """Return the story as text.

    Parameters
    ----------
    maker
        What was made, None for the call of a function.
    calls
        What was called, in order.
    whole
        Number of the first call whose measurements are in the result.
    sizes
        Sizes of the result's dimensions.
    """
    lost = [part["lost"] for part in (*([maker] if maker else []), *calls) if "lost" in part]
    sized = {str(dim): int(size) for dim, size in sizes.items()}
    if lost:
        return json.dumps({"format": FORMAT, "lost": lost[0], "sizes": sized})
    arrays: dict[str, Any] = {}

    def without_arrays(part: Mapping[str, Any]) -> dict[str, Any]:
        arrays.update(part["arrays"])
        return {key: value for key, value in part.items() if key != "arrays"}

    told = _as_text(
        {
            "format": FORMAT,
            "maker": None if maker is None else without_arrays(maker),
            "calls": [without_arrays(call) for call in calls],
            "whole": whole,
            "sizes": sized,
        }
    )
    return f'{told[:-1]}, "arrays": {_table_text(arrays)}}}'


def _table_text(arrays: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the table of arrays as JSON; base64 stands there as it is, which spares a look at every letter."""
    rows = []
    for reference, entry in arrays.items():
        told = _as_text({key: value for key, value in entry.items() if key != "data"})
        data = f', "data": "{entry["data"]}"' if "data" in entry else ""
        rows.append(f"{json.dumps(reference)}: {told[:-1]}{data}}}")
    return "{" + ", ".join(rows) + "}"


def joined(dim: str, values: Sequence[int], texts: Sequence[str]) -> str:
    """Return the story of results that were joined along a dimension; arrays they share stand there once."""
    stories = [
        read(f"the result of {dim} = {value}", text) for value, text in zip(values, texts, strict=True)
    ]
    arrays: dict[str, Any] = {}
    for value, story in zip(values, stories, strict=True):
        table = story.pop("arrays", {})
        if not isinstance(table, dict):
            raise InvalidParameterError(
                f"the result of {dim} = {value}: the arrays of its provenance are no table; pass a result as it was "
                "made or saved"
            )
        arrays.update(table)
    return json.dumps({"format": FORMAT, "joined": dim, "values": values, "runs": stories, "arrays": arrays})


def read(where: str, text: object) -> dict[str, Any]:
    """Return the story that an attribute holds, its outermost layer checked."""
    try:
        story = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        story = None
    if not isinstance(story, dict) or "format" not in story:
        raise InvalidParameterError(
            f"{where}: its attribute {ATTRIBUTE!r} is no story of hmm_rs; pass a result as it was made or saved"
        )
    if story["format"] != FORMAT:
        raise InvalidParameterError(
            f"{where}: its provenance has format {shown(story['format'])}, this version reads {FORMAT}; use the "
            f"version of hmm_rs that made it"
        )
    return story


def unpack(
    where: str, table: object, given: Mapping[str, npt.ArrayLike], needed: Iterable[str]
) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a story by reference.

    Parameters
    ----------
    where
        What is read, for messages.
    table
        The arrays of the story.
    given
        Arrays that the reader hands over, by their labels.
    needed
        References of the arrays to return; others are left alone.
    """
    if not isinstance(table, dict):
        raise _damaged(where, "it has no table of arrays")
    found: dict[str, npt.NDArray[Any]] = {}
    missing: list[dict[str, Any]] = []
    labels = {entry["label"] for entry in table.values() if isinstance(entry, dict) and "label" in entry}
    unknown = sorted(set(given) - labels)
    if unknown:
        raise InvalidParameterError(
            f"arrays names {', '.join(map(repr, unknown))}: the run has no such array; it has "
            f"{', '.join(sorted(map(str, labels))) or 'none'}"
        )
    for reference in dict.fromkeys(needed):
        entry = _checked_entry(where, reference, table.get(reference))
        if entry["label"] in given:
            found[reference] = _handed_over(entry, given[entry["label"]])
        elif "data" in entry:
            found[reference] = _decoded(where, entry)
        else:
            missing.append(entry)
    if missing:
        listed = ", ".join(f"{e['label']} {tuple(e['shape'])}" for e in missing)
        typed = ", ".join(f"{e['label']!r}: ..." for e in missing)
        raise InvalidParameterError(
            f"{where}: holds {listed} by checksum only, which is what is kept of arrays beyond {LARGEST // 1024} KiB; "
            f"pass arrays={{{typed}}}, or the run's checkpoint, which holds everything"
        )
    return found


def _checked_entry(where: str, reference: str, entry: object) -> dict[str, Any]:
    sound = (
        isinstance(entry, dict)
        and isinstance(entry.get("label"), str)
        and isinstance(entry.get("dtype"), str)
        and _DTYPE.fullmatch(entry["dtype"]) is not None
        and isinstance(entry.get("shape"), list)
        and len(entry["shape"]) <= 32
        and all(type(n) is int and n >= 0 for n in entry["shape"])
        and isinstance(entry.get("sha256"), str)
        and _DIGEST.fullmatch(entry["sha256"]) is not None
    )
    if not sound or not isinstance(entry, dict):
        raise _damaged(where, f"it has no array {shown(reference)}")
    return entry


def _decoded(where: str, entry: Mapping[str, Any]) -> npt.NDArray[Any]:
    dtype, shape = np.dtype(entry["dtype"]), tuple(entry["shape"])
    try:
        raw = base64.b64decode(entry["data"], validate=True)
    except (TypeError, ValueError):
        raw = b""
    if len(raw) != math.prod(shape) * dtype.itemsize or hashlib.sha256(raw).hexdigest() != entry["sha256"]:
        raise _damaged(where, f"the numbers of {entry['label']} do not fit their checksum")
    return np.frombuffer(raw, dtype=dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _handed_over(entry: Mapping[str, Any], value: npt.ArrayLike) -> npt.NDArray[Any]:
    """Return an array of the reader, once it is sure that it is the run's."""
    shape = tuple(entry["shape"])
    try:
        kept: npt.NDArray[Any] = np.ascontiguousarray(value, dtype=np.dtype(entry["dtype"])).reshape(
            np.shape(value)
        )
    except (TypeError, ValueError):
        kept = np.empty((0, 0))
    if kept.shape != shape or digest(kept) != entry["sha256"]:
        raise InvalidParameterError(
            f"arrays[{entry['label']!r}]: is not the array of the run, which has shape {shape} and another checksum; "
            f"pass the very same numbers"
        )
    return kept.astype(kept.dtype.newbyteorder("="), copy=False)


def _damaged(where: str, why: str) -> InvalidParameterError:
    return InvalidParameterError(f"{where}: its provenance is damaged ({why}); pass a result as it was made")
