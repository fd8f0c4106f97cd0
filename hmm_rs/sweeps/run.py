"""``hr.sweep``: one function at many points, on any executor, as one table."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from .. import _lib
from ..dynamics.progress import Bar, bar_wanted
from ..dynamics.signals import interactive
from ..ground.arguments import array, choice, count, flag, shown
from ..ground.errors import DtypeError, HmmError, InvalidParameterError, SweepError
from ..ground.workers import check_executor
from ..theory.online.base import OnlineODE
from ..theory.online.batch import solve_many
from .fingerprint import digest, function_digest, function_name
from .grid import Grid, Plan, check_arguments, planned
from .keeping import Kept
from .local import LocalWorkers, processes
from .loop import hand_out, pickled
from .parcel import Parcel
from .store import Store
from .task import Outcome, as_dataset, in_words, packed

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["sweep"]

#: Systems of equations solved in one call: enough for all cores, few enough that what is done is soon kept.
_BATCH = 32


def sweep(
    fn: Callable[..., Any],
    grid: Grid,
    *,
    seeds: int | Iterable[int] | None = None,
    at: npt.ArrayLike | None = None,
    executor: Executor | Literal["here"] | None = None,
    workers: int | None = None,
    out: str | Path | None = None,
    resume: bool = True,
    progress: bool | Literal["always"] = False,
) -> xr.Dataset:
    """Call ``fn(**point)`` at every point of a grid and return the results as one table.

    Parameters
    ----------
    fn
        Function of the parameters that returns a result: a dataset (of a run, of a solution), a record, a dictionary of
        numbers, or a number. With `at` it may return an engine that has not run or equations that are not solved.
    grid
        Values by parameter: every combination is a point, every parameter a dimension. Or a list of dictionaries, the
        points themselves, along a dimension ``point``.
    seeds
        The seeds, or their number: a further dimension, passed as ``seed``.
    at
        Times at which to measure the engine or the equations that `fn` returns; a run ends at the last one. Equations
        of online learning are then solved many at a time.
    executor
        Where to compute: any executor of the standard library's kind (Dask's ``client.get_executor()``,
        ``MPIPoolExecutor``, ...). None: processes of this machine. "here": this process, one point after the other.
    workers
        Number of processes of this machine; None: one a core. Each uses one thread.
    out
        Folder of a zarr store in which every result is kept as it comes. At the end the table is there too:
        ``xarray.open_zarr(out, group="table")``. Needs ``pip install 'hmm_rs[sweep]'``.
    resume
        Take what is in the store already instead of computing it again: points that failed are tried again, a larger
        grid computes what is new. False: start the store again.
    progress
        Show a bar with the time that is left; "always" shows it in a batch job too.

    Returns
    -------
    xarray.Dataset
        Every variable over the dimensions of the grid, ``seed``, and its own. Attributes are what all points have in
        common; ``varied`` names the others, ``sweep`` says what was called. Where points failed, their variables are
        NaN, the coordinate ``error`` has the reasons, and the attribute ``failed`` their number.

    Raises
    ------
    InvalidParameterError
        If there is no point, a point comes twice, `fn` does not take the parameters, or the store is that of another
        sweep: another function (body, defaults, or what it uses from around it), other times, or another version of
        the package.
    DtypeError
        If `fn` or a value of the grid cannot go to another process.
    ResourceError
        If the store cannot be written at the start, or another sweep is writing to it.
    SweepError
        If no point has a result, the store cannot be written any more, the executor takes no more points, a worker has
        another version of the package, or the results do not fit together. ``.result`` holds what was computed: a
        table, or a list with one entry a point.

    Warns
    -----
    SweepWarning
        If points failed; the others are in the table.

    Notes
    -----
    The result does not depend on the executor, the number of workers or their order: it is that of
    ``executor="here"`` to the bit. A point whose worker is lost is computed again by another one; after three lost
    workers it counts as failed.

    Ctrl-C keeps what is done: in the store, and at a prompt as the returned table (in a script in ``.result`` of the
    KeyboardInterrupt).

    Examples
    --------
    >>> import numpy as np
    >>> import hmm_rs as hr
    >>> def equations(lr, K):
    ...     return hr.theory.SaadSolla(np.eye(K), np.full((K, 1), 0.1), T=np.eye(1), v0=np.ones(K),
    ...                                v_teacher=[1.0], lr=lr)
    >>> theory = hr.sweep(equations, {"lr": [0.2, 0.5], "K": [1, 2]}, at=[0.0, 10.0], executor="here")
    >>> theory.eg.dims
    ('lr', 'K', 't')
    >>> "settings.lr" in theory.attrs["varied"]
    True
    """
    if not callable(fn):
        raise DtypeError(f"fn = {shown(fn)}: must be a function that returns a result; pass one")
    plan = planned(grid, seeds)
    check_arguments(fn, plan)
    times = None if at is None else _times(at)
    _check_executor(executor, workers)
    wanted = bar_wanted(progress)
    identity = {
        "function": function_name(fn),
        "content": digest([function_digest(fn), times]),
        "hmm_rs": _lib.__version__,
    }
    keys = [digest([identity, point]) for point in plan.points]
    store = None if out is None else Store(out, identity, resume=flag("resume", resume))
    try:
        kept = Kept(plan, keys, store, identity)
        try:
            missing = kept.missing()
            with _bar(wanted, len(keys), missing) as kept.moved:
                _compute(fn, plan, times, missing, executor, workers, kept)
        except (SweepError, KeyboardInterrupt) as error:
            # A disk that is full does not take the rest either: it is in .result.
            with contextlib.suppress(OSError):
                kept.save()
            partial: xr.Dataset = kept.partial()
            if isinstance(error, KeyboardInterrupt) and interactive():
                return partial
            error.result = partial  # type: ignore[union-attr]
            error.add_note(f"hmm_rs: {kept.remark()}")
            raise
        return kept.table()
    finally:
        if store is not None:
            store.close()


def _compute(
    fn: Callable[..., Any],
    plan: Plan,
    times: npt.NDArray[np.float64] | None,
    missing: list[int],
    executor: Executor | Literal["here"] | None,
    workers: int | None,
    kept: Kept,
) -> None:
    """Compute the missing points wherever they are to be computed."""
    if not missing:
        return
    if times is not None and executor in (None, "here") and workers is None:
        missing = _solve_together(fn, plan, times, missing, kept)
    if executor == "here":
        for number in missing:
            kept.take(number, _here(fn, plan.points[number], times))
        return
    if not missing:
        return
    job = packed(fn, times)
    points = {number: pickled(plan.points[number]) for number in missing}
    if executor is not None:
        hand_out(executor, job, points, kept)
        return
    local = LocalWorkers(min(processes() if workers is None else workers, len(missing)))
    try:
        hand_out(local, job, points, kept)
    finally:
        # Whoever is still at work computes for nobody.
        local.shutdown(cancel_futures=True)


def _here(fn: Callable[..., Any], point: dict[str, Any], times: npt.NDArray[np.float64] | None) -> Outcome:
    """Compute a point in this process."""
    try:
        result = as_dataset(fn(**point), times)
        # At a prompt an engine returns what it has after Ctrl-C.
        if result.attrs.get("interrupted") == 1:
            raise KeyboardInterrupt
        return Outcome("done", parcel=Parcel.of(result))
    except Exception as error:
        return Outcome("failed", in_words(error))


def _solve_together(
    fn: Callable[..., Any],
    plan: Plan,
    times: npt.NDArray[np.float64],
    missing: list[int],
    kept: Kept,
) -> list[int]:
    """Solve what the function returns, if that is equations, many at a time; return the points that are left."""
    left: list[int] = []
    for first in range(0, len(missing), _BATCH):
        systems: dict[int, OnlineODE] = {}
        failed: list[int] = []
        for number in missing[first : first + _BATCH]:
            try:
                made = fn(**plan.points[number])
            except Exception:
                # Told by whoever computes it alone.
                failed.append(number)
                continue
            if not isinstance(made, OnlineODE):
                return left + missing[first:]
            systems[number] = made
        left += failed
        try:
            solutions = solve_many(list(systems.values()), times)
        except HmmError:
            left += systems
            continue
        for number, solution in zip(systems, solutions, strict=True):
            kept.take(number, Outcome("done", parcel=Parcel.of(solution)))
    return left


def _times(at: npt.ArrayLike) -> npt.NDArray[np.float64]:
    times = array("at", at, (None,))
    if not (np.diff(times) > 0).all() or times[0] < 0:
        raise InvalidParameterError(
            "at holds times below 0 or out of order: must be >= 0 and ascending; sort them"
        )
    return times


def _check_executor(executor: Any, workers: Any) -> None:
    if workers is not None:
        count("workers", workers, maximum=max(64, 4 * (os.cpu_count() or 1)))
        if executor is not None:
            raise InvalidParameterError(
                f"workers = {workers} with an executor: must be one of them; the executor has its own workers"
            )
    if isinstance(executor, str):
        choice("executor", executor, ["here"])
    elif executor is not None:
        check_executor(executor)


@contextlib.contextmanager
def _bar(wanted: bool | Literal["always"], total: int, missing: list[int]) -> Iterator[Callable[[], None]]:
    """Show how many points are done."""
    there = total - len(missing)
    bar = Bar(wanted, now=there, end=total, title="sweep", axis="points")

    def moved() -> None:
        nonlocal there
        there += 1
        bar.advance_to(there)

    try:
        yield moved
    finally:
        bar.close()
