"""Students that learn from one stream: the lists a user passes for them, and what a result says of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Set
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _lib
from ..ground.arguments import items, iterable, shown
from ..ground.errors import DtypeError, InvalidParameterError, ShapeError
from ..ground.schedules import Rate, Schedule, compiled, rate, told
from ..networks.two_layer import TwoLayer

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Rates", "Students", "compiled_for_each", "of_student", "rates_of", "students_of", "with_students"]

#: One student, or those of an ensemble.
Students = TwoLayer | tuple[TwoLayer, ...]
#: One rate for all, or one for each student of an ensemble.
Rates = Rate | tuple[Rate, ...]

#: What the results of an ensemble lie along.
DIMENSION = "student"
#: What its students may have each for themselves, in words.
RATES = {
    "lr": "learning rate",
    "lr_v": "learning rate of the second layer",
    "noise": "standard deviation of the label noise",
    "weight_decay": "weight decay",
}


def students_of(value: Any, inputs: int) -> Students:
    """Return a user's student, or list of students, with rows of length `inputs`."""
    if isinstance(value, TwoLayer):
        _check_student("student", value, inputs)
        return value
    if isinstance(value, Set | Mapping) or not isinstance(value, Iterable):
        raise DtypeError(
            f"student = {shown(value)}: must be a TwoLayer, or a list of them; pass TwoLayer(w, v)"
        )
    listed = tuple(items("student", value, "TwoLayer(w, v), or a list of them"))
    if not listed:
        raise InvalidParameterError(
            "student is an empty list: there is nobody to learn; pass at least one TwoLayer"
        )
    for i, student in enumerate(listed):
        _check_student(f"student[{i}]", student, inputs)
    return listed


def _check_student(name: str, student: Any, inputs: int) -> None:
    if not isinstance(student, TwoLayer):
        raise DtypeError(f"{name} = {shown(student)}: must be a TwoLayer; pass TwoLayer(w, v)")
    if student.w.shape[1] != inputs:
        raise ShapeError(
            f"{name}.w has shape {student.w.shape}: its rows must have length model.N = {inputs}; "
            f"pass TwoLayer.random(K, {inputs})"
        )


def rates_of(name: str, value: Any, student: Students) -> Rates:
    """Return a user's rate, or list of rates, one for each student."""
    one = callable(value) or isinstance(value, (Schedule, str, bytes, Set, Mapping))
    if one or not isinstance(value, Iterable) or getattr(value, "ndim", None) == 0:
        return rate(name, value)
    if isinstance(student, TwoLayer):
        raise DtypeError(
            f"{name} = {shown(value)}: is a list of rates, for one student; pass one rate, or student=[...], a list "
            f"of as many students"
        )
    # One more than there may be: a generator may have no end.
    given = iterable(name, value, "rates, one for each student")
    listed = list(itertools.islice(given, len(student) + 1))
    if len(listed) != len(student):
        many = f"more than {len(student)}" if len(listed) > len(student) else str(len(listed))
        raise ShapeError(
            f"{name} has {many} entries for {len(student)} students: must be one for each; pass as many, or one rate "
            f"for all"
        )
    # A function is known by the name of its argument, also where it fails.
    return tuple(rate(name if callable(item) else f"{name}[{i}]", item) for i, item in enumerate(listed))


def of_student(rates: Rates, i: int) -> Rate:
    """Return the rate of one student."""
    return rates[i] if isinstance(rates, tuple) else rates


def compiled_for_each(name: str, rates: Rates, students: int) -> list[float | _lib.Schedule]:
    """Return what the engine takes: a rate for each student; those that are the same object are compiled once."""
    made: dict[int, float | _lib.Schedule] = {}
    listed = rates if isinstance(rates, tuple) else (rates,) * students
    return [made.setdefault(id(item), compiled(name, item)) for item in listed]


def with_students(
    result: xr.Dataset, students: tuple[TwoLayer, ...], rates: Mapping[str, Rates], diverged: Any
) -> xr.Dataset:
    """Return the result of an ensemble with what tells its students apart, and when they have `diverged`."""
    apart: dict[str, Any] = {
        "K": (DIMENSION, [student.w.shape[0] for student in students], {"long_name": "hidden units"})
    }
    units = [student.activation for student in students]
    if len(set(units)) > 1:
        apart["activation"] = (DIMENSION, units, {"long_name": "unit"})
    for name, each in rates.items():
        if isinstance(each, tuple):
            values = [told(item) for item in each]
            if any(isinstance(item, str) for item in values):
                values = [item if isinstance(item, str) else f"{item:g}" for item in values]
            apart[name] = (DIMENSION, values, {"long_name": RATES[name]})
    result = result.assign_coords(apart)
    words = "time at which the student diverged, NaN if it did not"
    return result.assign(diverged=(DIMENSION, np.asarray(diverged), {"long_name": words}))
