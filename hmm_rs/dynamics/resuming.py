"""Reading a run from its file: to finish it, or to go on with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Unpack

from ..ground.arguments import shown
from ..ground.errors import DtypeError, InvalidParameterError, ResourceError
from ..provenance.decoding import Decoder
from . import checkpoint as checkpoints
from .driver import Driver
from .gradient_flow import GradientFlow
from .history import History
from .kernel_flow import KernelFlow
from .online_sgd import OnlineSGD
from .options import DEFAULTS, ResumeOptions, RunOptions, documented, refuse_unknown, settled
from .particles import Particles
from .records import Records

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["engines", "load", "resume"]


def engines() -> dict[str, type[Driver]]:
    """Return the engines that can stand in a checkpoint, by their names there.

    The list is closed and literal; names stay when classes move or are renamed, so that files stay readable.
    """
    # The extra [cnn] is looked for only when it is asked for.
    from .convolutional_flow import CNNFlow

    return {
        "OnlineSGD": OnlineSGD,
        "Particles": Particles,
        "GradientFlow": GradientFlow,
        "KernelFlow": KernelFlow,
        "CNNFlow": CNNFlow,
    }


@documented(ResumeOptions, checkpoint_every=None)
def resume(
    path: str | Path,
    *,
    functions: Mapping[str, Callable[..., Any]] | None = None,
    modules: Iterable[ModuleType] = (),
    executor: Any = None,
    **options: Unpack[ResumeOptions],
) -> xr.Dataset:
    """Continue a run from its checkpoint and return the whole run's result.

    The result is bit for bit that of a run that was never stopped, on any number of threads. The
    checkpoint is kept up to date, `checkpoint_every` as many seconds as before unless it is given; resuming a
    finished run returns its result. To run longer than was asked for at first, :func:`load` the run instead.

    Parameters
    ----------
    path
        The file given to ``run(checkpoint=...)``.
    functions
        Functions of the run by name, ``{"f": your_f}``. A checkpoint is data: it holds functions by name only
        (their own, or for a lambda that of the argument), and nothing is ever imported because a
        file says so. numpy's and scipy.special's elementwise functions need not be passed.
    modules
        Modules that define such functions, instead: ``[my_module]``.
    executor
        Where the shards of :class:`hmm_rs.Particles` are to live; None: in this process.
    **options
        As of every run.

    Raises
    ------
    InvalidParameterError
        If the file is truncated, foreign, or of another format, or if it needs a function: the message says
        which, and what to pass.
    """
    refuse_unknown(options, ResumeOptions)
    driver, header, records = _read(path, functions, modules, executor)
    every = options.get("checkpoint_every")
    asked: RunOptions = {**DEFAULTS, **options, "checkpoint": path}
    asked["checkpoint_every"] = header["checkpoint_every"] if every is None else every
    chosen = settled(asked)
    if header["finished"]:
        return driver._result(records, header["stopped"], records.seconds, chosen.threads)
    with driver._claimed():
        return driver._continue(records, chosen, resumed=True)


def load(
    path: str | Path,
    *,
    functions: Mapping[str, Callable[..., Any]] | None = None,
    modules: Iterable[ModuleType] = (),
    executor: Any = None,
) -> Any:
    """Return the driver of a checkpoint in its saved state, with what the run has measured.

    Its ``run`` goes on where the file ends and returns the whole run, from its first record on: the way to
    extend a finished run, or to end an unfinished one otherwise than was asked for.

    Parameters
    ----------
    path, functions, modules, executor
        As in :func:`resume`.

    Examples
    --------
    >>> import tempfile
    >>> import hmm_rs as hr
    >>> model = hr.HiddenManifold(N=100, D=10)
    >>> sim = hr.OnlineSGD(model, hr.TwoLayer.random(2, 10, seed=1),
    ...                    student=hr.TwoLayer.random(2, 100, seed=2), lr=0.2, test_size=100)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = sim.run(1.0, save_at=[0, 1], checkpoint=f"{folder}/run.npz")
    ...     longer = hr.load(f"{folder}/run.npz").run(t_max=2.0, save_at=[2])
    >>> longer.t.values
    array([0., 1., 2.])
    """
    driver, _, records = _read(path, functions, modules, executor)
    driver._records = records
    return driver


def _read(
    path: str | Path,
    functions: Mapping[str, Callable[..., Any]] | None,
    modules: Iterable[ModuleType],
    executor: Any,
) -> tuple[Driver, dict[str, Any], Records]:
    """Return the driver of a checkpoint in its saved state, the file's header and its records."""
    if not isinstance(path, (str, os.PathLike)):
        raise DtypeError(f"path = {shown(path)}: must be a path; pass a checkpoint's file name")
    header, arrays = checkpoints.read(Path(path))
    where = f"path = {shown(str(path))}"
    decoder = Decoder(where, arrays, functions=functions, modules=modules)
    elsewhere: dict[str, Any] = {}
    if executor is not None:
        if header["driver"] != "Particles":
            raise InvalidParameterError(
                f"executor: {where} holds a {header['driver']} run, which has no shards; leave executor out"
            )
        elsewhere = {"executor": executor}
    driver: Driver = decoder.engine(
        header["driver"],
        header["arguments"],
        foreign=header["foreign"],
        engines=engines(),
        base=Driver,
        beside=elsewhere,
    )
    driver._names = tuple(decoder.names)
    prefix = "state:"
    state = {key[len(prefix) :]: value for key, value in arrays.items() if key.startswith(prefix)}
    try:
        driver._restore_saved(state, Path(path).absolute())
    except ResourceError:
        raise
    except Exception as error:
        # Whatever an engine says of a state, the file is what cannot be used.
        raise InvalidParameterError(
            f"{where}: holds a state that its {header['driver']} cannot take ({type(error).__name__}: {error}); use an "
            f"earlier checkpoint or start anew"
        ) from error
    columns = {name: arrays[f"record:{name}"] for name in header["records"]}
    length = len(columns["t"]) if columns else 0
    rows = [{name: values[i] for name, values in columns.items()} for i in range(length)]
    records = Records(
        arrays["targets"], rows, past=header["past"], done=header["done"], seconds=float(header["seconds"])
    )
    _tell_history(driver, header, records, where)
    return driver, header, records


def _tell_history(driver: Driver, header: Mapping[str, Any], records: Records, where: str) -> None:
    """Let a driver know what was done with it before it was saved."""
    if "history" in header:
        try:
            history = History(header["history"])
        except InvalidParameterError as error:
            raise InvalidParameterError(
                f"{where}: {error}; use an earlier checkpoint or start anew"
            ) from None
        if history.calls:
            vars(driver)["_calls"] = history
            history.end(driver, len(records.rows) - records.past, unfinished=not header["finished"])
            return
    driver._history.begin(driver, "run", None)
