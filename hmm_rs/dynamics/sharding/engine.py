"""The engine of particles in shards: asks, adds, tells; it holds no node itself."""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...ground.errors import InvalidParameterError, ResourceError
from ...ground.memory import require
from . import files
from .blueprint import Blueprint
from .crew import Call, Crew, Here, Holders
from .tree import Vector, cut, joined

__all__ = ["ShardedEngine"]

State = dict[str, npt.NDArray[Any]]

#: Most bytes of sums that are kept to let a lost shard catch up.
_MOST_KEPT = 1 << 30


class ShardedEngine:
    """An engine with the methods of the compiled one.

    Parameters
    ----------
    blueprint
        What the network is made from.
    shards
        Number of pieces.
    executor
        Where they are; None: in this process.
    """

    def __init__(self, blueprint: Blueprint, shards: int, executor: Executor | None) -> None:
        self._blueprint = blueprint
        self._shards = shards
        self._cuts = cut(blueprint.width, shards)
        self._executor = executor
        self._holders: Holders | None = None
        self._threads: int | None = None
        self._step = 0
        self._anchor = (0.0, 0, 1.0)
        self._over = False
        #: Sum of the initial outputs, of the present ones, and what was measured on these.
        self._initial: Vector | None = None
        self._total: Vector | None = None
        self._reading: Vector | None = None
        #: A step under way: its number, the outputs, its size.
        self._pending: tuple[int, Vector, float] | None = None
        #: The state that lost shards start from, and the steps since; None where they were too many to be kept.
        self._base: Mapping[str, Any] | tuple[str, int, int] | None = None
        self._taken: list[tuple[int, Vector, float]] | None = []

    # -- the contract of an engine ---------------------------------------------------------------------

    @property
    def t(self) -> float:
        """Present time."""
        t, step, dt = self._anchor
        return t + (self._step - step) * dt

    @property
    def step(self) -> int:
        """Steps taken."""
        return self._step

    @property
    def finished(self) -> str | None:
        """Why there is nothing left to do, or None."""
        return "satisfied" if self._over else None

    def advance(
        self,
        steps: int,
        *,
        until_step: int,
        until: float = math.inf,
        dt: float = 1.0,
        threads: int | None = None,
    ) -> bool:
        """Take at most `steps` steps; return whether `until_step` or `until` is reached."""
        holders = self._ready(threads)
        self._settle(holders)
        for left in range(steps, -1, -1):
            if self._over or self._step >= until_step or self.t >= until:
                return True
            if left:
                t = self.t
                if dt != self._anchor[2]:
                    self._anchor = (t, self._step, dt)
                self._pending = (self._step, self._outputs(holders), dt)
                self._settle(holders)
        return False

    def observe(self, threads: int | None = None) -> dict[str, Any]:
        """Measure now."""
        holders = self._ready(threads)
        self._settle(holders)
        total = self._outputs(holders)
        if self._reading is None:
            self._reading = self._joined(holders.ask("reading", self._used()))
        seen: dict[str, Any] = holders.ask("seen", total, self._reading, self._used())[0]
        return seen

    def query(self, what: str, *, threads: int | None = None) -> dict[str, Any]:
        """Answer a question of the compiled engine's list."""
        holders = self._ready(threads)
        self._settle(holders)
        told = self._by_number(holders.ask("query", what))
        if what == "first_satisfied":
            return told[0]
        return {name: np.concatenate([part[name] for part in told]) for name in told[0]}

    def snapshot(self) -> State:
        """Return the state of the whole network, as the compiled engine does."""
        itemsize = np.dtype(self._blueprint.dtype).itemsize
        require(
            2 * itemsize * self._blueprint.width * (self._blueprint.d + 1),
            "all nodes in one place",
            "leave the network in its shards",
        )
        holders = self._ready(self._threads)
        self._settle(holders)
        told = self._by_number(holders.ask("snapshot"))
        return told[0] | {name: np.concatenate([part[name] for part in told]) for name in ("a", "w")}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a state that :meth:`snapshot` gave."""
        shapes = {"a": (self._blueprint.width,), "w": (self._blueprint.width, self._blueprint.d)}
        for name, shape in shapes.items():
            if np.shape(state[name]) != shape:
                raise InvalidParameterError(
                    f"state: {name} has shape {np.shape(state[name])}: must be {shape}; restore a state of the same run"
                )
        self._rest(state, dict(state))

    def memory(self, *, threads: int | None = None) -> int:
        """Return the bytes that all shards take."""
        return sum(self._blueprint.memory(*ends, threads) for ends in self._cuts)

    def close(self) -> None:
        """Let the workers go, and what they hold."""
        if self._executor is not None and self._holders is not None:
            self._holders.close()

    # -- files -----------------------------------------------------------------------------------------

    def save(self, path: Path) -> State:
        """Have every shard write its file beside a checkpoint, and return what the checkpoint needs of it."""
        holders = self._ready(self._threads)
        self._settle(holders)
        folder = files.make_folder(path)
        token = secrets.randbits(64)
        holders.ask("save", str(folder), self._step, token)
        absent = files.missing(folder, self._shards, self._step, token)
        if absent:
            raise OSError(
                f"{absent[0].name} was written by a worker, but is not to be seen here: the folder of the checkpoint "
                "must be one that all workers and this process share"
            )
        self._base, self._taken = (str(folder), self._step, token), []
        t, step, dt = self._anchor
        return {
            "step": np.asarray(self._step, np.uint64),
            "anchor_t": np.asarray(t),
            "anchor_step": np.asarray(step, np.uint64),
            "dt": np.asarray(dt),
            "finished": np.asarray(self._over),
            "token": np.asarray(token, np.uint64),
        }

    def saved(self) -> None:
        """Remove the files of earlier saves: the checkpoint names the present one."""
        if isinstance(self._base, tuple):
            files.keep_only(Path(self._base[0]), {self._base[2]})

    def load(self, path: Path, state: Mapping[str, Any]) -> None:
        """Go to the state that :meth:`save` left beside a checkpoint."""
        folder, step, token = files.folder_of(path), int(state["step"]), int(state["token"])
        absent = files.missing(folder, self._shards, step, token)
        if absent:
            raise InvalidParameterError(
                f"{absent[0].name} is not in {folder}: shards lie beside their checkpoint; move both together"
            )
        self._rest(state, (str(folder), step, token))

    # -- inside ----------------------------------------------------------------------------------------

    def _rest(self, state: Mapping[str, Any], base: Mapping[str, Any] | tuple[str, int, int]) -> None:
        """Be in a state of which lost shards can be built again."""
        self._step = int(state["step"])
        self._anchor = (float(state["anchor_t"]), int(state["anchor_step"]), float(state["dt"]))
        self._over = bool(state["finished"])
        self._total = self._reading = self._pending = None
        self._base, self._taken = base, []
        if self._holders is None and self._executor is None:
            self._ready(self._threads)
        elif self._holders is not None:
            self._go_back(self._holders)

    def _go_back(self, holders: Holders) -> None:
        if self._base is not None:
            holders.each(self._base_call(0)[0], lambda number: self._base_call(number)[1])

    def _ready(self, threads: int | None) -> Holders:
        """Return those who hold the shards, once they do."""
        self._threads = threads
        if self._holders is not None:
            return self._holders
        # What is not known yet must not be told to shards that are built on the way.
        base, self._base, self._initial = self._base, None, None
        holders: Holders
        try:
            if self._executor is None:
                require(
                    self.memory(threads=threads),
                    f"this run (M={self._blueprint.width}, d={self._blueprint.d})",
                    "use fewer nodes, float32, or an executor with workers on other machines",
                )
                holders = Here(self._shards, self._build)
            else:
                holders = Crew(self._executor, self._shards, self._build)
            try:
                if self._blueprint.subtract_init:
                    self._initial = initial = self._joined(holders.ask("initial", self._used()))
                    holders.each("begin", lambda number: (number, initial))
                self._base = base
                self._go_back(holders)
            except BaseException:
                holders.close()
                raise
        finally:
            self._base = base
        self._holders = holders
        return holders

    def _used(self) -> int | None:
        """Return how many threads whoever holds shards uses."""
        return self._threads if self._executor is None else self._threads or 1

    def _outputs(self, holders: Holders) -> Vector:
        """Return the sum of what all shards give to the present outputs."""
        if self._total is None:
            self._total = self._joined(holders.ask("contribution", self._used()))
        return self._total

    def _settle(self, holders: Holders) -> None:
        """Finish the step that is under way."""
        if self._pending is None:
            return
        step, total, dt = self._pending
        try:
            told = holders.ask("step", step, total, dt, self._used())
        except Exception:
            # A step that cannot be taken is not under way; one that Ctrl-C interrupts is.
            self._pending = None
            raise
        over = told[0][0]
        following = None if over else self._joined([pieces for _, pieces in told])
        if over:
            self._over = True
        else:
            self._keep(step, total, dt)
            self._step, self._total, self._reading = step + 1, following, None
        # Last: where Ctrl-C falls in between, all of this is done again and changes nothing.
        self._pending = None

    def _keep(self, step: int, total: Vector, dt: float) -> None:
        """Keep what a lost shard needs to catch up, where shards can be lost."""
        if self._executor is None or self._taken is None:
            return
        self._taken.append((step, total, dt))
        if len(self._taken) * total.nbytes > _MOST_KEPT:
            self._taken = None

    def _joined(self, told: list[dict[tuple[int, int], Vector]]) -> Vector:
        return joined({ends: part for pieces in told for ends, part in pieces.items()}, self._shards)

    @staticmethod
    def _by_number(told: list[dict[int, dict[str, Any]]]) -> list[dict[str, Any]]:
        parts = {number: part for pieces in told for number, part in pieces.items()}
        return [parts[number] for number in sorted(parts)]

    def _build(self, number: int) -> list[Call]:
        """Return what is to be asked to build a shard as it should be now."""
        ends = self._cuts[number]
        calls: list[Call] = [("make", (number, self._blueprint.cut(*ends), self._used()))]
        if self._initial is not None:
            calls.append(("begin", (number, self._initial)))
        if self._base is not None:
            calls.append(self._base_call(number))
        if self._taken is None:
            raise ResourceError(
                "executor: a worker was lost, and the steps since the last save were too many to be kept; resume the "
                "run from its checkpoint, and save more often (checkpoint_every=)"
            )
        if self._taken:
            calls.append(("replay", (number, self._taken, self._used())))
        if self._total is not None and self._reading is not None:
            calls.append(("told", (number, self._total, self._reading, self._used())))
        return calls

    def _base_call(self, number: int) -> Call:
        base = self._base
        if isinstance(base, tuple):
            return "load", (number, *base)
        assert base is not None
        first, last = self._cuts[number]
        return "restore", (number, {**base, "a": base["a"][first:last], "w": base["w"][first:last]})
