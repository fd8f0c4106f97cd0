"""Results as tidy tables: one row per saved time, seed and swept point."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from .ground.arguments import shown
from .ground.errors import DtypeError, InvalidParameterError
from .ground.memory import require

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["to_frame"]

#: Dimensions inside one measurement: units of student and teacher, nodes. Their entries are columns.
INNER = ("k", "k2", "m", "m2", "i")
#: Dimensions that make a variable one of two times.
PAIRS = {"t2"}
#: Most columns that one variable may take.
MOST_COLUMNS = 400


def to_frame(ds: xr.Dataset, *, variables: Iterable[str] | None = None) -> pd.DataFrame:
    """Return a result as a tidy table: one row per saved time, seed and swept point.

    Parameters
    ----------
    ds
        A result, also one of :func:`hmm_rs.ensemble`, of a sweep, or joined by ``xr.concat``.
    variables
        Names of those to take; None: all but covariances between two times.

    Returns
    -------
    pandas.DataFrame
        A column for every dimension of the rows (``t``, ``seed``, ...), for every further coordinate along them,
        and for every variable; of one with entries inside a measurement for every entry: ``Q[0,1]``, ``v[1]``.
        What does not depend on a dimension is repeated along it. Rows are ordered as the dimensions, the last one
        fastest.

    Raises
    ------
    InvalidParameterError
        If a variable does not fit: it lies along another dimension than the rest, or takes more than 400 columns.
    ResourceError
        If the table does not fit into memory.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> model = hr.HiddenManifold(N=100, D=10)
    >>> sim = hr.OnlineSGD(model, hr.TwoLayer.random(1, 10), student=hr.TwoLayer.random(2, 100, seed=1), lr=0.2,
    ...                    test_size=100)
    >>> table = hr.to_frame(sim.run(1.0, save_at=[0.0, 1.0]), variables=["eg", "R"])
    >>> list(table.columns), len(table)
    (['t', 'eg', 'R[0,0]', 'R[1,0]'], 2)
    """
    if not hasattr(ds, "data_vars"):
        raise DtypeError(f"ds = {shown(ds)}: must be a result; pass what run() or solve() returned")
    chosen = _chosen(ds, variables)
    rows = _rows(ds, chosen)
    columns: dict[str, Any] = {}
    size = int(np.prod([ds.sizes[dim] for dim in rows], dtype=np.int64)) if rows else 1
    for name in chosen:
        _check_columns(ds, name)
    count = sum(_entries(ds, name) for name in chosen) + len(rows)
    require(16 * size * count, f"a table of {size} rows and {count} columns", "pass fewer variables")
    template = [ds.sizes[dim] for dim in rows]
    for dim in rows:
        values = ds[dim].values if dim in ds.coords else np.arange(ds.sizes[dim])
        columns[dim] = _spread(values, (dim,), rows, template)
    for key, values in ds.coords.items():
        dims = tuple(map(str, values.dims))
        if str(key) not in columns and dims and set(dims) <= set(rows):
            columns[str(key)] = _spread(values.values, dims, rows, template)
    for name in chosen:
        columns |= _of_variable(ds, name, rows, template)
    import pandas as pd

    return pd.DataFrame(columns)


def _chosen(ds: xr.Dataset, variables: Iterable[str] | None) -> list[str]:
    held = [str(name) for name in ds.data_vars]
    if variables is None:
        return [name for name in held if not PAIRS & {*ds[name].dims}]
    if isinstance(variables, str) or not isinstance(variables, Iterable):
        raise DtypeError(f"variables = {shown(variables)}: must be a list of names; pass ['eg', 'R']")
    listed = list(variables)
    unknown = [name for name in listed if name not in held]
    if unknown:
        raise InvalidParameterError(
            f"variables = {shown(listed)}: the result has no {', '.join(map(repr, unknown))}; it has {', '.join(held)}"
        )
    return listed


def _rows(ds: xr.Dataset, chosen: list[str]) -> tuple[str, ...]:
    """Return the dimensions of the rows: those of the variable that has most; all others lie within."""
    outer = {name: tuple(str(d) for d in ds[name].dims if d not in INNER) for name in chosen}
    widest = max(outer, key=lambda name: len(outer[name]), default=None)
    rows = outer[widest] if widest is not None else ()
    for name, dims in outer.items():
        if not set(dims) <= set(rows):
            stray = ", ".join(dim for dim in dims if dim not in rows)
            fitting = [other for other in chosen if set(outer[other]) <= set(rows)]
            raise InvalidParameterError(
                f"variables: {name} lies along {stray}, where {widest} lies along {', '.join(rows) or 'nothing'}: one "
                f"table cannot hold both; pass variables={shown(fitting, 60)}, or the others by themselves"
            )
    return rows


def _entries(ds: xr.Dataset, name: str) -> int:
    return int(np.prod([n for dim, n in zip(ds[name].dims, ds[name].shape, strict=True) if dim in INNER]))


def _check_columns(ds: xr.Dataset, name: str) -> None:
    count = _entries(ds, name)
    if count > MOST_COLUMNS:
        inner = [str(dim) for dim in ds[name].dims if dim in INNER]
        raise InvalidParameterError(
            f"variables: {name} has {count} entries along {', '.join(inner)}, each of which would be a column: at most "
            f"{MOST_COLUMNS} are; leave it out, or pass ds.isel({inner[-1]}=slice(10))"
        )


def _of_variable(ds: xr.Dataset, name: str, rows: tuple[str, ...], shape: list[int]) -> dict[str, Any]:
    """Return the columns of a variable."""
    values = ds[name]
    inner = [str(dim) for dim in values.dims if dim in INNER]
    outer = tuple(str(dim) for dim in values.dims if dim not in INNER)
    turned = values.transpose(*outer, *inner).values
    labels = [ds[dim].values.tolist() if dim in ds.coords else range(ds.sizes[dim]) for dim in inner]
    columns: dict[str, Any] = {}
    for place, label in zip(np.ndindex(*turned.shape[len(outer) :]), itertools.product(*labels), strict=True):
        title = f"{name}[{','.join(map(str, label))}]" if label else name
        columns[title] = _spread(turned[(..., *place)], outer, rows, shape)
    return columns


def _spread(values: Any, dims: tuple[str, ...], rows: tuple[str, ...], shape: list[int]) -> Any:
    """Return values along some of the rows' dimensions for every row."""
    ordered = np.transpose(values, [dims.index(dim) for dim in rows if dim in dims])
    lengths = [n if dim in dims else 1 for dim, n in zip(rows, shape, strict=True)]
    return np.broadcast_to(ordered.reshape(lengths), shape).reshape(-1)
