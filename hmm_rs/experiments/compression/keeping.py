"""What an experiment keeps in a folder: runs under way as checkpoints, finished points as numbers."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..._lib import __version__
from ...data.files import numpy_arrays
from ...dynamics.convolutional_flow import CNNFlow
from ...dynamics.gradient_flow import GradientFlow
from ...dynamics.resuming import load, resume
from ...ground.errors import DtypeError, InvalidParameterError
from .runs import Array

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Keeper"]

Flow = TypeVar("Flow", GradientFlow, CNNFlow)


class Keeper:
    """The folder of an experiment: called again with the same settings, it computes only what is missing.

    Parameters
    ----------
    folder
        Where to; it is made if it does not exist. None: nothing is kept.
    experiment, settings
        What is kept belongs to: under other settings, or another version of the package, nothing of it is used.
    """

    def __init__(self, folder: str | Path | None, experiment: str, **settings: Any) -> None:
        if folder is not None and not isinstance(folder, (str, os.PathLike)):
            raise DtypeError(f"checkpoints = {folder!r:.80}: must be a path; pass a folder's name, 'study'")
        self._folder = None if folder is None else Path(folder)
        told = repr((__version__, sorted((name, repr(value)) for name, value in settings.items())))
        self._name = f"{experiment}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"
        if self._folder is not None:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InvalidParameterError(
                    f"checkpoints = {str(folder)!r}: cannot be made ({error}); pass another folder"
                ) from error

    def _path(self, folder: Path, job: tuple[Any, ...], stage: str) -> Path:
        return folder / f"{self._name}-{'-'.join(f'{part}' for part in job)}-{stage}.npz"

    def run(self, flow: Flow, job: tuple[Any, ...], stage: str, **rules: Any) -> tuple[Flow, xr.Dataset]:
        """Run a flow by some rules; one that an earlier call began goes on from its checkpoint.

        Returns
        -------
        flow, xarray.Dataset
            The flow at its end, `flow` itself or the one of the checkpoint, and the run.
        """
        if self._folder is None:
            return flow, flow.run(**rules)
        path = self._path(self._folder, job, stage)
        if path.is_file():
            result = resume(path)
            return load(path), result
        return flow, flow.run(**rules, checkpoint=path)

    def point(self, job: tuple[Any, ...], compute: Callable[[], Mapping[str, Any]]) -> dict[str, Array]:
        """Return the numbers of one point: those that are kept, or those computed now, kept from now on."""
        if self._folder is None:
            return {name: np.asarray(value) for name, value in compute().items()}
        path = self._path(self._folder, job, "done")
        if path.is_file():
            # Damaged since: as good as not there.
            with contextlib.suppress(InvalidParameterError):
                return numpy_arrays(path)
        found: dict[str, Any] = {name: np.asarray(value) for name, value in compute().items()}
        # Written whole or not at all, whatever interrupts it.
        temporary = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.tmp")
        with temporary.open("wb") as file:
            np.savez(file, **found)
        temporary.replace(path)
        # The numbers stand for the runs behind them.
        for checkpoint in self._folder.glob(self._path(self._folder, job, "*").name):
            if checkpoint != path:
                checkpoint.unlink()
        return found
