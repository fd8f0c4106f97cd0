"""What a sweep has computed: in memory, in its store, and as one table."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..experiments.joining import check_names, join
from ..ground.arguments import shown
from ..ground.errors import HmmError, InvalidParameterError, SweepError, SweepWarning
from .grid import Plan
from .parcel import Parcel
from .store import Store
from .task import Outcome

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Kept"]


class Kept:
    """What has been computed, and where it is kept."""

    def __init__(self, plan: Plan, keys: list[str], store: Store | None, identity: Mapping[str, str]) -> None:
        self._identity = identity
        self._plan = plan
        self._keys = keys
        self._store = store
        self._parcels: list[Parcel | None] = [None] * len(keys)
        self._errors: dict[int, str] = {}
        self._unsaved: dict[int, Outcome] = {}
        self._checked = False
        #: Called whenever a point is done.
        self.moved: Callable[[], None] = lambda: None
        if store is not None:
            self._parcels = [store.read(key) for key in keys]

    def missing(self) -> list[int]:
        """Return the numbers of the points that are to be computed."""
        return [number for number, parcel in enumerate(self._parcels) if parcel is None]

    def take(self, number: int, outcome: Outcome) -> None:
        """Keep what became of a point, in the store if there is one."""
        self.hold(number, outcome)
        try:
            self.save()
        except OSError as error:
            raise SweepError(
                f"the store cannot be written ({error}); make room, or save .result of this error elsewhere, and call "
                "hr.sweep again: it computes only what is not in the store"
            ) from error
        self.moved()
        if outcome.parcel is not None and not self._checked:
            self._checked = True
            try:
                check_names(outcome.parcel.dataset(), self._plan.dims)
            except InvalidParameterError as error:
                raise SweepError(f"results cannot be joined: {error}") from None

    def hold(self, number: int, outcome: Outcome) -> None:
        """Keep what became of a point in memory."""
        self._parcels[number] = outcome.parcel
        if outcome.parcel is None:
            self._errors[number] = outcome.text
        if self._store is not None:
            self._unsaved[number] = outcome

    def save(self) -> None:
        """Put what is only in memory into the store."""
        for number, outcome in list(self._unsaved.items()):
            assert self._store is not None  # nothing is unsaved without a store
            if outcome.parcel is not None:
                self._store.write(self._keys[number], outcome.parcel)
            else:
                self._store.write_failure(self._keys[number], outcome.text)
            del self._unsaved[number]

    def remark(self) -> str:
        """Say what is there and how to go on."""
        there = sum(parcel is not None for parcel in self._parcels)
        where = (
            f"they are in {str(self._store.path)!r}, and the same call goes on from there"
            if self._store is not None
            else "they are in .result of the error; with out= they would be in a store to go on from"
        )
        return f"{there} of {len(self._keys)} points are done; {where}"

    def partial(self) -> Any:
        """Return a table of what is there, or a list where no table can be made."""
        results = [None if parcel is None else parcel.dataset() for parcel in self._parcels]
        try:
            joined = self._joined(results)
        except HmmError:
            return results
        return joined.assign_attrs(interrupted=1)

    def table(self) -> xr.Dataset:
        """Return the table of all points, and put it into the store."""
        results = [None if parcel is None else parcel.dataset() for parcel in self._parcels]
        if all(result is None for result in results):
            number, text = next(iter(self._errors.items()))
            raise SweepError(
                f"all {len(results)} points failed, {shown(self._plan.points[number])} with {text}; call the function "
                "yourself with one of them",
                results,
            )
        try:
            joined = self._joined(results)
        except HmmError as error:
            where = ".result of this error" if self._store is None else f"the store {str(self._store.path)!r}"
            raise SweepError(
                f"results cannot be joined: {error}; all of them are in {where}", results
            ) from None
        if self._store is not None:
            try:
                self._store.write_table(joined)
            except OSError as error:
                raise SweepError(
                    f"the table cannot be written to the store ({error}); it is in .result of this error",
                    joined,
                ) from error
        if self._errors:
            number, text = next(iter(self._errors.items()))
            warnings.warn(
                f"{len(self._errors)} of {len(results)} points failed, the first with {text}; see the coordinate "
                "'error' of the table",
                SweepWarning,
                stacklevel=3,
            )
        return joined

    def _joined(self, results: list[xr.Dataset | None]) -> xr.Dataset:
        dims = self._plan.dims
        joined = join(results, dims)
        for name, (dim, values) in self._plan.along.items():
            joined = joined.assign_coords({name: (dim, values)})
        if self._errors:
            shape = tuple(len(values) for values in dims.values())
            errors = np.array([self._errors.get(number, "") for number in range(len(results))])
            joined = joined.assign_coords(error=(tuple(dims), errors.reshape(shape)))
        return joined.assign_attrs(
            sweep=json.dumps({**self._identity, "parameters": self._plan.parameters, "points": len(results)}),
            failed=len(self._errors),
        )
