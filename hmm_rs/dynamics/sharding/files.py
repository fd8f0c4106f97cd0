"""A file a shard, beside the checkpoint of the run: written by whoever holds the shard."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from ...ground.arguments import shown
from ...ground.errors import InvalidParameterError
from .. import checkpoint as checkpoints

__all__ = ["folder_of", "keep_only", "make_folder", "missing", "read_shard", "write_shard"]

_FILE = re.compile(r"shard-\d+-of-\d+-step-(\d+)-([0-9a-f]{16})\.npz")
#: What a checkpoint's header says, of a file that is a part of one.
_HEADER: dict[str, Any] = {
    "driver": "a shard of Particles",
    "foreign": False,
    "arguments": {},
    "records": [],
    "past": 0,
    "done": 0,
    "checkpoint_every": 0.0,
    "seconds": 0.0,
    "finished": False,
    "stopped": "",
}


def folder_of(path: Path) -> Path:
    """Return the folder of the shards of a checkpoint."""
    return path.with_name(path.name + ".shards")


def _path(folder: Path, place: tuple[int, int], step: int, token: int) -> Path:
    number, shards = place
    return folder / f"shard-{number}-of-{shards}-step-{step}-{token:016x}.npz"


def write_shard(
    folder: Path, place: tuple[int, int], step: int, token: int, state: Mapping[str, Any]
) -> None:
    """Write the state of a shard; `place` is its number and that of all shards."""
    path = _path(folder, place, step, token)
    checkpoints.remove_leftovers(path)
    arrays = {f"state:{name}": np.asarray(value) for name, value in state.items()}
    checkpoints.write(path, _HEADER, {"targets": np.empty(0), **arrays})


def read_shard(folder: Path, place: tuple[int, int], step: int, token: int) -> dict[str, Any]:
    """Return the state of a shard from its file."""
    _, arrays = checkpoints.read(_path(folder, place, step, token))
    state: dict[str, Any] = {
        name.removeprefix("state:"): value for name, value in arrays.items() if name != "targets"
    }
    counters: dict[str, Any] = {
        name: np.uint64(state[name]) for name in ("step", "anchor_step") if name in state
    }
    return {**state, **counters, "finished": np.bool_(state.get("finished", False))}


def missing(folder: Path, shards: int, step: int, token: int) -> list[Path]:
    """Return the files of a save that this process does not see."""
    paths = (_path(folder, (number, shards), step, token) for number in range(shards))
    return [path for path in paths if not path.is_file()]


def keep_only(folder: Path, tokens: set[int]) -> None:
    """Remove the files of all saves but some."""
    for path in folder.glob("shard-*.npz"):
        match = _FILE.fullmatch(path.name)
        if match and int(match[2], 16) not in tokens:
            with suppress(OSError):
                path.unlink()


def make_folder(path: Path) -> Path:
    """Return the folder of the shards of a checkpoint, made if need be."""
    folder = folder_of(path)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise InvalidParameterError(
            f"checkpoint = {shown(str(path))}: its shards cannot be written to {shown(str(folder))} ({error}); pass a "
            "place where a folder can be made"
        ) from None
    return folder
