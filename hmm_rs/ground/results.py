"""The one result schema: simulation and theory return the same labelled table.

Every driver and solver returns an :class:`xarray.Dataset` made here. Variable names, dimensions and
labels are the same on both sides, so laying theory over simulation is one line. Attributes are
strings and numbers only, so ``to_netcdf`` always works.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .. import _lib
from .arguments import reals, shown
from .errors import DtypeError, InvalidParameterError, ShapeError

if TYPE_CHECKING:
    import xarray as xr
    from xarray.indexes import PandasIndex

__all__ = [
    "VARIABLES",
    "as_json",
    "attribute_of",
    "axis_of",
    "dataset",
    "indexed",
    "leading",
    "numbers_of",
    "result_of",
    "variable_of",
]

#: Dimensions (after the leading one) and plain-words label of every variable of the schema.
VARIABLES: dict[str, tuple[tuple[str, ...], str]] = {
    "eg": ((), "generalisation error"),
    "eg_analytic": ((), "generalisation error from the order parameters"),
    "Q": (("k", "k2"), "student-student overlap"),
    "R": (("k", "m"), "student-teacher overlap"),
    "T": (("m", "m2"), "teacher-teacher overlap"),
    "W": (("k", "k2"), "weight overlap w.w/N"),
    "Sigma": (("k", "k2"), "latent overlap S.S/D"),
    "v": (("k",), "second-layer weights"),
    "gamma": ((), "rotation parameter"),
    "chi": ((), "satisfaction threshold"),
    "unsatisfied": ((), "fraction of unsatisfied examples"),
    "satisfied": ((), "fraction of satisfied examples"),
    "loss": ((), "training loss"),
    "train_loss": ((), "training loss"),
    "train_error": ((), "training error"),
    "test_error": ((), "test error"),
    "test_mse": ((), "test mean squared error"),
    "train_mse": ((), "training mean squared error"),
    "compression": ((), "compression factor"),
    "a": (("i",), "output weight"),
    "w_par": (("i",), "input weight along the teacher"),
}


def as_json(value: Any) -> str:
    """Return `value` as JSON; arrays become lists, other objects their repr."""

    def plain(item: Any) -> Any:
        if isinstance(item, np.generic):
            plainer = item.item()
            # A long double is its own item.
            return float(plainer) if isinstance(plainer, np.floating) else plainer
        if isinstance(item, np.ndarray):
            return item.tolist()
        return repr(item)

    return json.dumps(value, default=plain)


def result_of(name: str, value: Any, kind: str = "what a run or a solver returned") -> xr.Dataset:
    """Return `value` if it is a dataset; `kind` is what to pass instead."""
    import xarray as xr

    if isinstance(value, xr.Dataset):
        return value
    raise DtypeError(f"{name} = {shown(value)}: must be an xarray.Dataset; pass {kind}")


def variable_of(
    name: str,
    result: Any,
    variable: str,
    dims: Sequence[str] | None = None,
    *,
    axis: str | None = None,
    either: Sequence[str] = (),
    known: bool = True,
) -> xr.DataArray:
    """Return a variable of a result as :func:`numbers_of` does; `name` is the argument that holds the result."""
    result_of(name, result)
    if not isinstance(variable, str) or variable not in result:
        listed = ", ".join(map(repr, result.data_vars)) or "none"
        raise InvalidParameterError(
            f"{name} has no variable {shown(variable)}: it holds {listed}; pass another one"
        )
    return numbers_of(f"{name}.{variable}", result[variable], dims, axis=axis, either=either, known=known)


def numbers_of(
    name: str,
    values: Any,
    dims: Sequence[str] | None = None,
    *,
    axis: str | None = None,
    either: Sequence[str] = (),
    known: bool = True,
) -> xr.DataArray:
    """Return labelled values as real numbers over the dimensions that a function works on.

    Parameters
    ----------
    name
        What they are called in messages: "result.eg".
    values
        A DataArray; the order of its dimensions does not matter.
    dims
        Dimensions that it must have, in the order in which they come back; None: as they are.
    axis
        The one of them whose coordinate must hold finite numbers.
    either
        Further dimensions that it may have, after the others.
    known
        Whether one number at least must be finite.

    Raises
    ------
    DtypeError
        If it is no DataArray, or holds texts or other objects.
    ShapeError
        If it lies along other dimensions.
    InvalidParameterError
        If it holds nothing but NaN, nothing at all, or no coordinate `axis`.
    """
    import xarray as xr

    if not isinstance(values, xr.DataArray):
        raise DtypeError(
            f"{name} = {shown(values)}: must be an xarray.DataArray; pass a variable of a result"
        )
    found: xr.DataArray = values
    if dims is not None:
        missing = [dim for dim in dims if dim not in found.dims]
        extra = [str(dim) for dim in found.dims if dim not in (*dims, *either)]
        if missing or extra:
            remedy = (
                f"pass the whole result, or .isel({missing[0]}=[0]) for one entry of it"
                if missing
                else f"choose with .isel({extra[0]}=0), say"
            )
            raise ShapeError(
                f"{name} has the dimensions ({', '.join(map(str, found.dims))}): must have "
                f"({', '.join(dims)}); {remedy}"
            )
        found = found.transpose(*dims, *(dim for dim in either if dim in found.dims))
    if found.size == 0:
        sizes = ", ".join(f"{dim}: {size}" for dim, size in found.sizes.items())
        raise InvalidParameterError(
            f"{name} holds no values ({sizes}): nothing to draw or to compare; run longer, or pass the whole result"
        )
    numbers = reals(name, found.values, infinite=True, missing=True)
    if known and not np.isfinite(numbers).any():
        raise InvalidParameterError(
            f"{name} holds no finite number: nothing to draw or to compare; pass a result that measured it"
        )
    if numbers.dtype != found.dtype:
        found = found.copy(data=numbers)
    if axis is None:
        return found
    places = axis_of(name, found, axis)
    if places.dtype == found[axis].dtype or found[axis].dtype.kind in "iuf":
        return found
    return found.assign_coords({axis: found[axis].copy(data=places)})


def axis_of(name: str, values: xr.DataArray | xr.Dataset, axis: str) -> npt.NDArray[np.float64]:
    """Return the coordinate of a dimension, finite numbers."""
    if axis not in values.coords:
        raise InvalidParameterError(
            f"{name} has a dimension {axis!r} without values: it must say where its entries lie; pass the whole "
            f"result, or .assign_coords({axis}=...)"
        )
    return reals(f"{name}.{axis}", values[axis].values)


def attribute_of(name: str, result: xr.Dataset, key: str) -> float:
    """Return an attribute of a result that is a number; one that was not reached is NaN."""
    if key not in result.attrs:
        raise InvalidParameterError(
            f"{name} has no attribute {key!r}: it must say it; pass the result with its attributes, "
            f"xarray.set_options(keep_attrs=True)"
        )
    found = reals(f"{name}.attrs[{key!r}]", result.attrs[key], infinite=True, missing=True)
    if found.size != 1:
        raise ShapeError(
            f"{name}.attrs[{key!r}] has shape {found.shape}: must be one number; pass the result as it was returned"
        )
    return float(found.reshape(-1)[0])


def leading(dims: Sequence[Any]) -> str | None:
    """Return the dimension along which things go on, `seed` apart: time-like ones before any other."""
    rest = [str(dim) for dim in dims if dim != "seed"]
    return next((dim for dim in ("t", "step", "alpha", "p") if dim in rest), rest[0] if rest else None)


def dataset(
    values: Mapping[str, npt.ArrayLike],
    *,
    along: npt.ArrayLike,
    dim: str = "t",
    label: str = "time",
    units: str = "",
    source: str,
    settings: Mapping[str, Any],
    cite: Sequence[str] = (),
    dims: Mapping[str, tuple[str, ...]] | None = None,
    **attributes: str | float,
) -> xr.Dataset:
    """Return a dataset of the schema.

    Parameters
    ----------
    values
        Arrays by variable name; the first axis of each is `dim`. Names in :data:`VARIABLES` get
        their dimensions and label from there.
    along
        Coordinate of the leading dimension, shape (n,).
    dim, label, units
        Name, plain-words label and unit of the leading dimension.
    source
        "simulation" or "theory".
    settings
        What was asked for; stored as JSON.
    cite
        Citation keys of the works the numbers rest on.
    dims
        Full dimensions of variables that are not in :data:`VARIABLES` or differ from it.
    **attributes
        Further attributes: strings and numbers (booleans become 0 or 1).
    """
    import xarray as xr
    from xarray.indexes import PandasIndex

    data: dict[str, Any] = {}
    sizes: dict[str, int] = {}
    for name, value in values.items():
        inner, long_name = VARIABLES.get(name, ((), name))
        full = (dims or {}).get(name, (dim, *inner))
        array = np.asarray(value, dtype=np.float64)
        data[name] = xr.Variable(full, array, {"long_name": long_name}, fastpath=True)
        sizes.update(zip(full, array.shape, strict=True))
    # Every coordinate at once, with its index: xarray would spend as long on making them as on the rest.
    times = xr.Variable(dim, np.asarray(along, dtype=np.float64), {"long_name": label, "units": units})
    indexes, coords = {}, {}
    for other, size in sizes.items():
        if other != dim:
            indexes[other], coords[other] = _counting(other, size)
    indexes[dim] = PandasIndex(times.values, dim)
    coords[dim] = indexes[dim].create_variables({dim: times})[dim]
    return xr.Dataset(
        data,
        coords=xr.Coordinates(coords, indexes=indexes),
        attrs={
            "source": source,
            "hmm_rs_version": _lib.__version__,
            "settings": as_json(settings),
            "cite": " ".join(cite),
            "instruction_set": _lib.instruction_set(),
            **{key: int(item) if isinstance(item, bool) else item for key, item in attributes.items()},
        },
    )


@functools.lru_cache(maxsize=64)
def _counting(dim: str, size: int) -> tuple[PandasIndex, xr.Variable]:
    """Return the index 0, 1, 2, ... of a dimension and its coordinate, of which every dataset takes a copy."""
    from xarray.indexes import PandasIndex

    index = PandasIndex(np.arange(size), dim)
    return index, index.create_variables()[dim]


def indexed(result: xr.Dataset) -> xr.Dataset:
    """Return a dataset in which every dimension has a coordinate: 0, 1, 2, ... where there was none.

    Then xarray can align and concatenate results of different sizes, three students with two.
    """
    bare = {str(dim): np.arange(size) for dim, size in result.sizes.items() if dim not in result.coords}
    return result.assign_coords(bare) if bare else result
