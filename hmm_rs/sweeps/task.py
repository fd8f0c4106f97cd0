"""One point of a sweep, as it goes to a worker and is computed there."""

from __future__ import annotations

import functools
import inspect
import os
import pickle
import platform
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from .. import _lib
from ..dynamics.driver import Driver
from ..ground.arguments import shown
from ..ground.errors import DtypeError
from ..ground.workers import other_version
from ..theory.online.base import OnlineODE
from .fingerprint import function_name
from .parcel import Parcel

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Job", "Outcome", "as_dataset", "compute", "in_words", "packed"]

Times = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Job:
    """What all points of a sweep have in common."""

    #: The function, pickled: by name where it can be imported, else whole.
    function: bytes
    name: str
    #: Times at which to measure runs and solutions that the function returns unmade.
    at: Times | None
    version: str
    #: Who asked: a worker inside that process leaves its threads alone.
    home: tuple[str, int]


@dataclass(frozen=True)
class Outcome:
    """What became of a point."""

    kind: Literal["done", "failed", "refused"]
    #: Why it failed, or why this worker cannot compute any point.
    text: str = ""
    parcel: Parcel | None = None
    #: How long it took.
    seconds: float = 0.0


def packed(fn: Callable[..., Any], at: Times | None) -> Job:
    """Return a function ready to travel.

    Raises
    ------
    DtypeError
        If it cannot be pickled.
    """
    name = function_name(fn)
    try:
        data = _dumps(fn)
    except Exception as error:
        raise DtypeError(
            f"fn = {name} cannot go to another process ({error}): must be picklable; define it at the top of a module "
            f"that you import, pip install 'hmm_rs[sweep]' for functions of notebooks, scripts and other functions, "
            f'or pass executor="here"'
        ) from None
    return Job(data, name, at, _lib.__version__, (platform.node(), os.getpid()))


def _dumps(fn: Callable[..., Any]) -> bytes:
    try:
        import cloudpickle
    except ImportError:
        data = pickle.dumps(fn, protocol=5)
        if b"__main__" in data:
            raise pickle.PicklingError("it is defined in the script or notebook itself") from None
        return data
    return bytes(cloudpickle.dumps(fn, protocol=5))


def compute(job: Job, point: bytes, attempt: int = 0) -> Outcome:
    """Compute one point. Whatever goes wrong is told, not raised.

    Parameters
    ----------
    job
        What all points have in common.
    point
        The function's keywords, pickled.
    attempt
        How often this point was lost before: schedulers that remember tasks by their arguments must not remember it.
    """
    del attempt
    refusal = other_version(job.version)
    if refusal:
        return Outcome("refused", refusal)
    try:
        function, keywords = _function(job.function), pickle.loads(point)
    except Exception as error:
        return Outcome(
            "refused",
            f"the worker {platform.node()} cannot load {job.name} ({in_words(error)}): its module must be installed "
            "there; install it, send it (Dask: client.upload_file), or define the function in the script itself",
        )
    begun = time.monotonic()
    try:
        with _one_thread(job.home):
            parcel = Parcel.of(as_dataset(function(**keywords), job.at))
    except Exception as error:
        return Outcome("failed", in_words(error), seconds=time.monotonic() - begun)
    return Outcome("done", parcel=parcel, seconds=time.monotonic() - begun)


@functools.lru_cache(maxsize=4)
def _function(data: bytes) -> Callable[..., Any]:
    loaded: Callable[..., Any] = pickle.loads(data)
    return loaded


def in_words(error: BaseException) -> str:
    """Return type and text of an error."""
    return "".join(traceback.format_exception_only(error)).strip()


def as_dataset(made: Any, at: Times | None) -> xr.Dataset:
    """Return what a function returned as a dataset: runs are run, equations solved at the times `at`."""
    import xarray as xr

    if isinstance(made, (Driver, OnlineODE)):
        if at is None:
            raise DtypeError(
                f"the function returned {type(made).__name__}: must be a result, or at must say when to measure; "
                "pass at=[0.0, 1.0, 10.0], or return .run(...) or .solve(...)"
            )
        return _measured(made, at)
    if isinstance(made, xr.DataArray):
        made = made.to_dataset(name=made.name or "value")
    if hasattr(made, "to_dataset"):
        made = made.to_dataset()
    if isinstance(made, Mapping) and not isinstance(made, xr.Dataset):
        values = {name: np.asarray(value) for name, value in made.items()}
        if not all(isinstance(name, str) and value.ndim == 0 for name, value in values.items()):
            raise DtypeError(
                f"the function returned {shown(made)}: a dictionary must hold single numbers by name; return an "
                "xarray.Dataset for arrays"
            )
        made = xr.Dataset({name: ((), value) for name, value in values.items()})
    elif isinstance(made, (int, float, np.number)):
        made = xr.Dataset({"value": ((), made)})
    if not isinstance(made, xr.Dataset):
        raise DtypeError(
            f"the function returned {type(made).__name__}: must be an xarray.Dataset, a dictionary of numbers or a "
            "number; return sim.run(...)"
        )
    return made


def _measured(made: Driver | OnlineODE, at: Times) -> xr.Dataset:
    if isinstance(made, OnlineODE):
        return made.solve(at)
    run: Callable[..., xr.Dataset] = made.run  # type: ignore[attr-defined]
    if "t_max" in inspect.signature(run).parameters:
        return run(t_max=float(at[-1]), save_at=at)
    return run(int(at[-1]), save_at=at.astype(np.int64))


_COUNTING = threading.Lock()
_at_work = 0
_threads_before = 0


@contextmanager
def _one_thread(home: tuple[str, int]) -> Iterator[None]:
    """Use one thread while points are computed in this worker, unless it is the process that asked."""
    global _at_work, _threads_before
    if (platform.node(), os.getpid()) == home:
        yield
        return
    # The threads of one worker may compute several points at once: the last one puts things back.
    with _COUNTING:
        if _at_work == 0:
            _threads_before = _lib.get_num_threads()
            _lib.set_num_threads(1)
        _at_work += 1
    try:
        yield
    finally:
        with _COUNTING:
            _at_work -= 1
            if _at_work == 0:
                _lib.set_num_threads(_threads_before)
