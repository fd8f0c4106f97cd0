"""A run made again from its result alone."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from .. import _lib
from ..dynamics import checkpoint as checkpoints
from ..dynamics.resuming import load
from ..ground.arguments import shown, told
from ..ground.errors import DtypeError, InvalidParameterError
from ..ground.record import Record
from ..provenance.decoding import Decoder
from ..provenance.story import ATTRIBUTE, read, unpack
from .replay import made_again, references, replayed, untold

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["is_checkpoint", "rerun", "saved"]


def rerun(
    ds: xr.Dataset | Record | str | Path,
    *,
    arrays: Mapping[str, npt.ArrayLike] | None = None,
    functions: Mapping[str, Callable[..., Any]] | None = None,
    modules: Iterable[ModuleType] = (),
    threads: int | None = None,
    progress: bool = False,
) -> Any:
    """Make a run again from its result alone, bit for bit, on any number of threads.

    A result says in its attribute ``provenance`` what was made, with which arguments, and what was called: of runs
    of every engine, of solutions of the equations, of curves and single answers of the theory, and of
    :func:`hmm_rs.ensemble`. It survives ``to_netcdf``.

    Parameters
    ----------
    ds
        A result, an answer of the theory (a record), or the path of a saved one: netCDF, or the checkpoint of a run.
    arrays
        Arrays of more than 64 KiB that the caller gave to the run, by the names that the message says:
        ``{"X": X, "y": y}``. A result holds them by checksum only; checkpoints hold everything.
    functions, modules
        Functions of the run, which are held by name only, as in :func:`hmm_rs.resume`.
    threads, progress
        As of every run.

    Returns
    -------
    xarray.Dataset or Record
        The whole run, also where `ds` is a part of it; of a run that was ended early, as far as it measured. What
        else the attributes of `ds` say is kept.

    Raises
    ------
    InvalidParameterError
        If the result does not say enough: it was joined from others (``xr.concat``), computed from others, or made
        by a function that leaves no provenance; or if an array or a function is missing, and which.

    Warns
    -----
    UserWarning
        If it was made by another version or for another instruction set: the numbers then agree to rounding.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> model = hr.HiddenManifold(N=100, D=10)
    >>> sim = hr.OnlineSGD(model, hr.TwoLayer.random(2, 10, seed=1),
    ...                    student=hr.TwoLayer.random(2, 100, seed=2), lr=0.2, test_size=100)
    >>> run = sim.run(1.0)
    >>> hr.rerun(run).equals(run)
    True
    """
    options = {"threads": threads, "progress": progress}
    given = _named_arrays(arrays)
    if isinstance(ds, Record):
        text = ds.__dict__["_schema"][ATTRIBUTE]
        if not text:
            raise untold("the answer", "it says nothing of how it was got")
        return made_again("the answer", read("the answer", text), given, functions, modules, options)[0]
    if isinstance(ds, (str, os.PathLike)):
        path = Path(ds)
        where = f"ds = {shown(str(path))}"
        if is_checkpoint(path):
            return _from_checkpoint(path, where, functions, modules, options)
        result = saved(path, where)
    else:
        result, where = ds, "ds"
        if not hasattr(ds, "data_vars"):
            raise DtypeError(
                f"ds = {shown(ds)}: must be a result or the path of one; pass what run() returned"
            )
    if ATTRIBUTE not in result.attrs:
        raise untold(where, "it has no attribute 'provenance'")
    story = read(where, result.attrs[ATTRIBUTE])
    _check_sizes(where, story, result)
    _warn_of_differences(where, result)
    again, stopped_early = made_again(where, story, given, functions, modules, options)
    if isinstance(again, Record):
        again = again.to_dataset()
    kept = {key: value for key, value in result.attrs.items() if key not in again.attrs}
    ended = {
        key: result.attrs[key] for key in ("stopped", "interrupted") if stopped_early and key in result.attrs
    }
    again.attrs.update(kept | ended)
    return again


# -- what is passed ------------------------------------------------------------------------------


def _named_arrays(arrays: object) -> dict[str, npt.ArrayLike]:
    if arrays is None:
        return {}
    if not isinstance(arrays, Mapping) or not all(isinstance(name, str) for name in arrays):
        raise DtypeError(f"arrays = {shown(arrays)}: must map names to arrays; pass arrays={{'X': X}}")
    return dict(arrays)


def is_checkpoint(path: Path) -> bool:
    """Return whether a file is an archive, as checkpoints are; tables are not."""
    try:
        with path.open("rb") as file:
            return file.read(4) == b"PK\x03\x04"
    except OSError as error:
        raise InvalidParameterError(
            f"ds = {shown(str(path))}: cannot be read ({error.strerror}); pass the path of a saved result"
        ) from None


def saved(path: Path, where: str) -> xr.Dataset:
    """Return a result that was saved as netCDF."""
    import xarray as xr

    try:
        return xr.load_dataset(path)
    except Exception as error:
        # What the libraries raise where a file is damaged is not in their documentation: KeyError, IndexError, ...
        raise InvalidParameterError(
            f"{where}: is neither a checkpoint nor a netCDF file that can be read here ({told(error)}); pass a saved "
            f"result, and install hmm_rs[io] for netCDF"
        ) from None


def _from_checkpoint(
    path: Path,
    where: str,
    functions: Mapping[str, Callable[..., Any]] | None,
    modules: Iterable[ModuleType],
    options: Mapping[str, Any],
) -> xr.Dataset:
    """Return the run of a checkpoint made again from its start."""
    saved = load(path, functions=functions, modules=modules)
    header, _ = checkpoints.read(path)
    # The driver as it was made, which a checkpoint holds whole.
    driver = type(saved)(**saved._arguments)
    driver._names = saved._names
    history = saved._history
    lost = [call["lost"] for call in history.calls if "lost" in call]
    if lost:
        raise untold(where, lost[0] if "history" in header else "an earlier version wrote it")
    table: dict[str, Any] = {}
    for call in history.calls:
        table.update(call["arrays"])
    decoder = Decoder(
        where,
        unpack(where, table, {}, references(history.calls)),
        functions=functions,
        modules=modules,
        what="checkpoint",
    )
    return replayed(where, driver, history.calls, history.whole, decoder, options)[0]


# -- what cannot be made again -------------------------------------------------------------------


def _check_sizes(where: str, story: Mapping[str, Any], result: xr.Dataset) -> None:
    """Refuse a result that has grown: it was joined from several, of which the story is one's."""
    grown: dict[Any, int]
    if "joined" in story:
        runs = story.get("runs")
        seeds = len(runs) if isinstance(runs, list) else 0
        grown = {dim: n for dim, n in result.sizes.items() if dim == "seed" and n > seeds}
    else:
        sizes = story.get("sizes") or {}
        if not isinstance(sizes, Mapping) or not all(isinstance(n, int) for n in sizes.values()):
            raise untold(where, f"its sizes are {shown(sizes)}")
        grown = {dim: n for dim, n in result.sizes.items() if sizes and n > sizes.get(str(dim), 0)}
    if grown:
        listed = ", ".join(f"{dim} ({n}{_values(result, dim)})" for dim, n in grown.items())
        raise InvalidParameterError(
            f"{where}: was joined from several results along {listed}, and its provenance is that of one of them; "
            f"rerun the parts, or join seeds by hr.ensemble, which keeps all"
        )


def _values(result: xr.Dataset, dim: Any) -> str:
    """Return the values along a dimension in a few words."""
    if dim not in result.coords:
        return ""
    values = [
        f"{value:.6g}" if isinstance(value, float) else str(value)
        for value in result[dim].values[:4].tolist()
    ]
    return ": " + ", ".join([*values, *(["..."] if result.sizes[dim] > 4 else [])])


def _warn_of_differences(where: str, result: xr.Dataset) -> None:
    here = {"hmm_rs_version": _lib.__version__, "instruction_set": _lib.instruction_set()}
    for name, value in here.items():
        made = result.attrs.get(name, value)
        if not isinstance(made, str) or made != value:
            words = name.removeprefix("hmm_rs_").replace("_", " ")
            said = made if isinstance(made, str) else shown(made)
            warnings.warn(
                f"{where}: was made with {words} {said}, here it is {value}; the numbers will agree to rounding",
                stacklevel=3,
            )
