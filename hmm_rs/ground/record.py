"""Named numbers of one answer: a dictionary to programs, a table to the eye, a dataset of the schema on request."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .display import as_lines, as_table
from .errors import InvalidParameterError
from .results import dataset

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Record"]


class Record(dict[str, Any]):
    """A dictionary of numbers and arrays whose entries are attributes too.

    What a function returns where one answer is no curve: ``out["q"]``, ``out.q``, ``dict(out)``, ``json.dumps(out)``
    and, to lay it beside runs and curves, :meth:`to_dataset`.

    Parameters
    ----------
    values
        Numbers, arrays, words by name.
    source
        "theory" or "simulation".
    dim, along, label
        Name, values (n,) and plain-words label of the axis the answer lies on; numbers of an answer at one point
        (n = 1) lie on it as well.
    settings
        What was asked for.
    cite
        Citation keys.
    provenance
        How the answer was got, for :func:`hmm_rs.rerun`.
    dims
        Dimensions of arrays that an answer at one point has, by name.

    Examples
    --------
    >>> from hmm_rs.ground.record import Record
    >>> record = Record({"q": 0.5, "converged": True}, source="theory", dim="alpha", along=[2.0])
    >>> record.q, record["converged"]
    (0.5, True)
    >>> record.to_dataset().q.dims
    ('alpha',)
    """

    def __init__(
        self,
        values: Mapping[str, Any],
        *,
        source: str,
        dim: str,
        along: npt.ArrayLike,
        label: str = "",
        settings: Mapping[str, Any] | None = None,
        cite: Sequence[str] = (),
        provenance: str = "",
        dims: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        super().__init__(values)
        self.__dict__["_schema"] = {
            "source": source,
            "dim": dim,
            "along": np.atleast_1d(np.asarray(along, dtype=np.float64)),
            "label": label or dim,
            "settings": dict(settings or {}),
            "cite": tuple(cite),
            "provenance": provenance,
            "dims": dict(dims or {}),
        }

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            listed = ", ".join(self)
            raise AttributeError(f"no number {name!r}: there are {listed}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"cannot set {name}: change a copy, dict(record)")

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (dict(self), self.__dict__["_schema"])

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self]

    def __repr__(self) -> str:
        return as_lines(self._title(), self.items())

    def _repr_html_(self) -> str:
        return as_table(self._title(), self.items())

    def _title(self) -> str:
        schema = self.__dict__["_schema"]
        along = schema["along"]
        at = f" at {schema['dim']} = {along[0]:.6g}" if along.size == 1 else ""
        return f"Record of {schema['source']}{at}"

    def to_dataset(self) -> xr.Dataset:
        """Return the answer as a dataset of the schema that runs and curves have; words become attributes.

        ``xr.concat`` of several such datasets along their axis is a curve.
        """
        schema = dict(self.__dict__["_schema"])
        points, inner = schema["along"].size, schema.pop("dims")
        values: dict[str, Any] = {}
        dims: dict[str, tuple[str, ...]] = {}
        words: dict[str, Any] = {}
        for name, value in self.items():
            numbers = np.asarray(value)
            if numbers.dtype.kind not in "biuf":
                words[name] = value if isinstance(value, str) else " | ".join(map(str, np.ravel(value)))
            elif name in inner:
                values[name], dims[name] = numbers[None], (schema["dim"], *inner[name])
            elif numbers.size == points:
                values[name], dims[name] = numbers.ravel(), (schema["dim"],)
            elif numbers.ndim and numbers.shape[0] == points:
                others = tuple(f"{name}_{axis}" for axis in range(1, numbers.ndim))
                values[name], dims[name] = numbers, (schema["dim"], *others)
            elif numbers.ndim == 0:
                values[name], dims[name] = numbers, ()
            else:
                raise InvalidParameterError(
                    f"{name} has shape {numbers.shape}: must lie along {schema['dim']} ({points}); "
                    "leave it out of the dataset"
                )
        if not schema["provenance"]:
            schema = {key: value for key, value in schema.items() if key != "provenance"}
        result = dataset(values, dims=dims, **schema, **words)
        if "provenance" in schema:
            # Sizes tell a curve of several answers from one.
            sizes = {str(dim): int(size) for dim, size in result.sizes.items()}
            result.attrs["provenance"] = json.dumps({**json.loads(schema["provenance"]), "sizes": sizes})
        return result


def _rebuild(values: dict[str, Any], schema: dict[str, Any]) -> Record:
    return Record(values, **schema)
