"""Results as bits: a fingerprint of any result, and where two results differ."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..ground.description import Description

__all__ = ["difference", "fingerprint"]

#: Attributes of a result that say how it was computed, not what was computed.
HOW = frozenset({"threads", "provenance", "wall_time"})

#: What a result is made of: an address inside it, and a number array or a text.
Leaf = tuple[str, "np.ndarray[Any, Any] | str"]


def leaves(value: Any, where: str = "result") -> Iterator[Leaf]:
    """Yield the arrays and texts that `value` consists of, each with its address."""
    if isinstance(value, (np.ndarray, np.generic, bool, int, float, complex)):
        array = np.asarray(value)
        if array.dtype.kind in "OUS" or not isinstance(value, (np.ndarray, np.generic, float)):
            yield where, repr(array.tolist())
        else:
            yield where, array
    elif value is None or isinstance(value, (str, bytes)):
        yield where, repr(value)
    elif type(value).__module__.split(".")[0] == "xarray":
        yield from _labelled_leaves(value, where)
    elif isinstance(value, (Mapping, list, tuple)) and not value:
        yield where, "empty mapping" if isinstance(value, Mapping) else "empty sequence"
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from leaves(item, f"{where}[{key!r}]")
    elif isinstance(value, (list, tuple)):
        names = getattr(value, "_fields", range(len(value)))
        for name, item in zip(names, value, strict=True):
            yield from leaves(item, f"{where}[{name}]" if isinstance(name, int) else f"{where}.{name}")
    elif isinstance(value, (set, frozenset)):
        yield where, repr(sorted(map(repr, value)))
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield f"{where} type", type(value).__qualname__
        for field in dataclasses.fields(value):
            yield from leaves(getattr(value, field.name), f"{where}.{field.name}")
    elif isinstance(value, Description):
        yield f"{where} type", type(value).__qualname__
        for name, argument in value._arguments.items():
            yield from leaves(argument, f"{where}.{name}")
    elif isinstance(value, type) or hasattr(value, "__qualname__"):
        yield where, f"{value.__module__}.{value.__qualname__}"
    else:
        # Whatever else can be pickled is what its pickle would hold.
        yield f"{where} type", type(value).__qualname__
        _, arguments, *state = value.__reduce_ex__(2)
        yield from leaves(list(arguments), f"{where} arguments")
        yield from leaves(state[0] if state else None, f"{where} state")


def _labelled_leaves(value: Any, where: str) -> Iterator[Leaf]:
    """Yield the leaves of an xarray object, without what says how it was computed."""
    variables = value.variables if hasattr(value, "data_vars") else {"values": value, **value.coords}
    for name in sorted(variables, key=str):
        yield f"{where}.{name} dims", repr(variables[name].dims)
        yield from leaves(np.asarray(variables[name].values), f"{where}.{name}")
    for name in sorted(set(value.attrs) - HOW):
        yield from leaves(value.attrs[name], f"{where}.attrs[{name!r}]")


def fingerprint(value: Any) -> str:
    """Return a digest of every bit of a result.

    Arrays enter with their dtype and shape; of a dataset, all but the attributes ``threads`` and
    ``wall_time``, which say how it was computed.

    Parameters
    ----------
    value
        Numbers, arrays, datasets, networks and other descriptions, drivers, containers of these.

    Examples
    --------
    >>> import numpy as np
    >>> from hmm_rs.testing import fingerprint
    >>> fingerprint({"a": np.arange(3)}) == fingerprint({"a": np.arange(3)})
    True
    >>> fingerprint(0.1 + 0.2) == fingerprint(0.3)
    False
    """
    digest = hashlib.sha256()
    for where, leaf in leaves(value):
        digest.update(where.encode())
        if isinstance(leaf, str):
            digest.update(leaf.encode())
        else:
            digest.update(f"{leaf.dtype.str}{leaf.shape}".encode())
            digest.update(np.ascontiguousarray(leaf).tobytes())
    return digest.hexdigest()


def difference(one: Any, other: Any) -> str:
    """Return where two results differ, in words, or "" if every bit agrees.

    Parameters
    ----------
    one, other
        What :func:`fingerprint` takes.

    Examples
    --------
    >>> import numpy as np
    >>> from hmm_rs.testing import difference
    >>> difference(np.ones(3), np.ones(3))
    ''
    >>> difference([1.0, 2.0], [1.0, 2.5])
    'result[1] differs in 1 of 1 values, by at most 0.5: 2.0 and 2.5'
    """
    first, second = dict(leaves(one)), dict(leaves(other))
    for where in [*first, *(name for name in second if name not in first)]:
        if where not in first or where not in second:
            return f"{where} is only in the {'first' if where in first else 'second'} result"
        told = _leaf_difference(first[where], second[where])
        if told:
            return f"{where} {told}"
    return ""


def _leaf_difference(one: np.ndarray[Any, Any] | str, other: np.ndarray[Any, Any] | str) -> str:
    if isinstance(one, str) or isinstance(other, str):
        same = isinstance(one, str) and isinstance(other, str) and one == other
        return "" if same else f"is {one!s:.200} and {other!s:.200}"
    if (one.dtype, one.shape) != (other.dtype, other.shape):
        return f"is {one.dtype}{list(one.shape)} and {other.dtype}{list(other.shape)}"
    width = one.dtype.itemsize
    bits = [np.ascontiguousarray(side).reshape(-1).view(np.uint8).reshape(-1, width) for side in (one, other)]
    wrong = np.flatnonzero((bits[0] != bits[1]).any(axis=1))
    if not len(wrong):
        return ""
    left, right = one.reshape(-1)[wrong], other.reshape(-1)[wrong]
    with np.errstate(all="ignore"):
        gap = np.abs(left.astype(np.complex128) - right.astype(np.complex128))
    largest = np.nanmax(gap) if np.isfinite(gap).any() else np.nan
    return (
        f"differs in {len(wrong)} of {one.size} values, by at most {float(largest):.3g}: "
        f"{left[0].item()!r} and {right[0].item()!r}"
    )
