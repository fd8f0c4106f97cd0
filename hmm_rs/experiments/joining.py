"""Many results as one table: what varied becomes dimensions, what did not stays an attribute."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..ground.errors import DtypeError, InvalidParameterError
from ..ground.results import as_json

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["check_names", "join", "named"]

Array = npt.NDArray[Any]


def join(results: Sequence[xr.Dataset | None], dims: Mapping[str, Array]) -> xr.Dataset:
    """Return results as one dataset with the leading dimensions `dims`.

    Parameters
    ----------
    results
        One a point, the last of `dims` running fastest; None where there is none: there every variable is NaN.
    dims
        Labels by name. A result that has one of these dimensions itself must have it with one entry, which is the
        point.

    Returns
    -------
    xarray.Dataset
        Attributes that are the same in all results stay; ``settings`` keeps the common ones. Numbers among the others
        become coordinates, and ``varied`` names all that differ. ``wall_time`` is the sum.

    Raises
    ------
    InvalidParameterError
        If results lie over different axes, or over one of `dims` themselves. Sizes that merely count, like hidden
        units, may differ: what is missing is NaN.
    DtypeError
        If a variable is of kinds that have nothing in common, numbers and dates.
    """
    import xarray as xr

    given = [
        None
        if result is None
        else named(result).squeeze([d for d in dims if result.sizes.get(d) == 1], drop=True)
        for result in results
    ]
    there = [result for result in given if result is not None]
    for result in there:
        check_names(result, dims)
    axes = _axes(there)
    shape = tuple(len(values) for values in dims.values())
    variables: dict[str, Any] = {}
    coordinates: dict[str, Any] = {name: (name, values) for name, values in dims.items()}
    for name in _names(there):
        if name in dims:
            # What the result says of the point itself.
            continue
        first = next(result[name].variable for result in there if name in result.variables)
        if name in axes:
            coordinates[name] = (name, axes[name], first.attrs)
            continue
        inner = first.dims
        if any(name in result.variables and result[name].dims != inner for result in there):
            raise InvalidParameterError(
                f"{name} has different dimensions in different results: must lie over the same; rename one of them"
            )
        if any(name in result.coords for result in there):
            if all(name in r.variables and np.array_equal(r[name].values, first.values) for r in there):
                coordinates[name] = first
                continue
            target = coordinates
        else:
            target = variables
        stacked = _stacked(given, name, [len(axes[str(dim)]) for dim in inner])
        target[name] = ((*dims, *inner), stacked.reshape(*shape, *stacked.shape[1:]), first.attrs)
    attributes, numbers = _provenance(given)
    for name, values in numbers.items():
        if name not in variables and name not in coordinates:
            coordinates[name] = (tuple(dims), values.reshape(shape))
    return xr.Dataset(variables, coords=coordinates, attrs=attributes)


def check_names(result: xr.Dataset, dims: Mapping[str, Array]) -> None:
    """Refuse a result whose variables have the names of the dimensions it is to be put along."""
    for name in dims:
        if name in result.data_vars or result.sizes.get(name, 1) != 1:
            what = "a variable" if name in result.data_vars else f"an axis of {result.sizes[name]} entries"
            raise InvalidParameterError(
                f"{name} is a parameter that varies, and {what} of the results: must not be both; rename the "
                f"parameter of your function, or return result.rename({name}=...)"
            )


def named(result: xr.Dataset) -> xr.Dataset:
    """Return a result whose names are all texts; xarray takes numbers for names too."""
    names = {*result.variables, *result.dims}
    changed = {name: str(name) for name in names if not isinstance(name, str)}
    alike = sorted(
        {text for text in changed.values() if text in names or [*changed.values()].count(text) > 1}
    )
    if alike:
        raise InvalidParameterError(
            f"a result has several names that read {', '.join(alike)}: must be different texts; return "
            f"result.rename(...)"
        )
    return result.rename(changed) if changed else result


def _names(results: Sequence[xr.Dataset]) -> list[str]:
    found: dict[str, None] = {}
    for result in results:
        found.update(dict.fromkeys(map(str, result.variables)))
    return list(found)


def _axes(results: Sequence[xr.Dataset]) -> dict[str, Array]:
    """Return the axis of every inner dimension: the common one, or the longest of those that merely count."""
    axes: dict[str, Array] = {}
    for result in results:
        for dim, size in result.sizes.items():
            name = str(dim)
            here = result[name].values if name in result.coords else np.arange(size)
            known = axes.setdefault(name, here)
            if np.array_equal(known, here):
                continue
            if not (_counts(known) and _counts(here)):
                raise InvalidParameterError(
                    f"results that do not fit together: {name} has {len(known)} entries from {known[0]:.6g} to "
                    f"{known[-1]:.6g} in one and {len(here)} from {here[0]:.6g} to {here[-1]:.6g} in another; give "
                    "all of them the same save_at, or return what they have in common"
                    if known.size and here.size and known.dtype.kind in "biuf" and here.dtype.kind in "biuf"
                    else f"results that do not fit together: {name} is {known} in one and {here} in another; give all "
                    "of them the same axis"
                )
            axes[name] = max(known, here, key=len)
    return axes


def _counts(axis: Array) -> bool:
    return axis.dtype.kind in "iu" and np.array_equal(axis, np.arange(len(axis)))


def _stacked(results: Sequence[xr.Dataset | None], name: str, sizes: Sequence[int]) -> Array:
    """Return a variable of all results, shape (points, *sizes); NaN (or "") where there is none."""
    known = [None if r is None or name not in r.variables else r[name].values for r in results]
    try:
        kind = np.result_type(*(values.dtype for values in known if values is not None))
    except TypeError:
        kinds = ", ".join(sorted({str(values.dtype) for values in known if values is not None}))
        raise DtypeError(
            f"{name} holds {kinds} in different results: must be of one kind; return numbers from all of them"
        ) from None
    whole = all(values is not None and values.shape == tuple(sizes) for values in known)
    if kind.kind in "biu" and not whole:
        kind = np.dtype(np.float64)
    blank: Any = math.nan if kind.kind in "fc" else np.zeros((), kind)[()]
    stacked = np.full((len(known), *sizes), blank, kind)
    for number, values in enumerate(known):
        if values is not None:
            corner: tuple[slice, ...] = tuple(slice(size) for size in values.shape)
            stacked[number, ...][corner] = values
    return stacked


def _provenance(results: Sequence[xr.Dataset | None]) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return the attributes that all results share, and the numbers among the others, one a point."""
    there = [result.attrs for result in results if result is not None]
    varied: list[str] = []
    common: dict[str, Any] = {}
    numbers: dict[str, Array] = {}
    for name in dict.fromkeys(name for attrs in there for name in attrs):
        values = [attrs.get(name) for attrs in there]
        if name == "settings":
            common[name], unlike = _common_settings(values)
            varied += [f"settings.{key}" for key in unlike]
        elif name == "wall_time" and all(isinstance(value, (int, float)) for value in values):
            common[name] = math.fsum(values)  # type: ignore[arg-type]
        elif all(_same(value, values[0]) for value in values):
            common[name] = values[0]
        else:
            varied.append(name)
            if all(value is None or isinstance(value, (int, float)) for value in values):
                numbers[name] = np.array(
                    [
                        math.nan if r is None or r.attrs.get(name) is None else float(r.attrs[name])
                        for r in results
                    ]
                )
    if varied:
        common["varied"] = json.dumps(sorted(varied))
    return common, numbers


def _common_settings(texts: Sequence[Any]) -> tuple[str, list[str]]:
    """Return the settings that all have, and the names of the others."""
    try:
        settings = [json.loads(text) for text in texts]
    except (TypeError, ValueError, RecursionError):
        settings = []
    if not settings or not all(isinstance(item, dict) for item in settings):
        return "{}", []
    common, unlike = {}, []
    for name in dict.fromkeys(name for item in settings for name in item):
        values = [item.get(name) for item in settings]
        if all(_same(value, values[0]) for value in values):
            common[name] = values[0]
            continue
        unlike.append(name)
        if (shared := _shared_words(values)) is not None:
            common[name] = shared
    return as_json(common), unlike


def _shared_words(values: Sequence[Any]) -> str | None:
    """Return descriptions that differ in some arguments as one, "Model(N=500, seed=...)"; None for other values."""
    if not all(isinstance(value, str) and value.endswith(")") for value in values):
        return None
    columns = list(zip(*(value[:-1].split(", ") for value in values), strict=False))
    heads = {tuple(word.partition("=")[0] for word in value[:-1].split(", ")) for value in values}
    if len(heads) > 1:
        return None
    words = [words[0] if len(set(words)) == 1 else f"{words[0].partition('=')[0]}=..." for words in columns]
    return ", ".join(words) + ")"


def _same(one: Any, other: Any) -> bool:
    # NaN in one result and NaN in the next are one value; so are a list and an array of numbers.
    if one is other or np.array_equal(one, other):
        return True
    return all(isinstance(value, (float, np.floating)) and math.isnan(value) for value in (one, other))
