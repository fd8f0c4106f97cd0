"""A result as bytes, bit for bit, and back: what a worker sends and a store keeps. Data, never code."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..experiments.joining import named
from ..ground.errors import DtypeError
from ..ground.results import as_json

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Parcel"]


#: Kinds of arrays that are numbers, texts, times.
_KINDS = "biufcUSmM"


@dataclass(frozen=True)
class Parcel:
    """A dataset in two pieces."""

    #: Names, dimensions, types and attributes, as JSON.
    table: str
    #: The numbers, one variable after the other.
    data: bytes

    @classmethod
    def of(cls, result: xr.Dataset) -> Parcel:
        """Pack a dataset."""
        entries, pieces = [], []
        result = named(result)
        for name, variable in result.variables.items():
            values = np.ascontiguousarray(variable.values)
            if values.dtype.kind not in _KINDS:
                # Texts of unequal length come as objects.
                if values.dtype.kind not in "OT" or not all(isinstance(item, str) for item in values.flat):
                    raise DtypeError(
                        f"{name} holds {values.dtype}: a result of a sweep must hold numbers or texts; leave it out"
                    )
                values = values.astype(str)
            entries.append(
                {
                    "name": name,
                    "dims": list(variable.dims),
                    "dtype": values.dtype.str,
                    "shape": list(variable.shape),
                    "attrs": dict(variable.attrs),
                    "coordinate": name in result.coords,
                }
            )
            pieces.append(values.tobytes())
        return cls(as_json({"variables": entries, "attrs": dict(result.attrs)}), b"".join(pieces))

    def dataset(self) -> xr.Dataset:
        """Unpack it.

        Raises
        ------
        Exception
            Of whatever class, where it is not as :meth:`of` packs it.
        """
        import xarray as xr

        table = json.loads(self.table)
        variables: dict[str, Any] = {}
        place = 0
        for entry in table["variables"]:
            kind = np.dtype(entry["dtype"])
            if kind.kind not in _KINDS or not all(
                isinstance(name, str) for name in (entry["name"], *entry["dims"])
            ):
                raise ValueError("no table of numbers and texts by name")
            size = int(np.prod(entry["shape"], dtype=np.int64))
            values = np.frombuffer(self.data, kind, size, place).reshape(entry["shape"]).copy()
            place += size * kind.itemsize
            variables[entry["name"]] = (entry["dims"], values, entry["attrs"])
        coordinates = [entry["name"] for entry in table["variables"] if entry["coordinate"]]
        return xr.Dataset(
            {name: item for name, item in variables.items() if name not in coordinates},
            coords={name: variables[name] for name in coordinates},
            attrs=table["attrs"],
        )

    def checksum(self) -> str:
        """Return what tells a whole parcel from a torn one."""
        made = hashlib.sha256(self.table.encode())
        made.update(self.data)
        return made.hexdigest()
