"""The points of a sweep: checked, in order, with the dimensions and labels of the table they make."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..experiments.ensembles import seed_list
from ..ground.arguments import shown
from ..ground.description import spelled
from ..ground.errors import DtypeError, InvalidParameterError
from .fingerprint import digest

__all__ = ["Grid", "Plan", "planned"]

#: Values to combine, by parameter; or the points themselves.
Grid = Mapping[str, Iterable[Any]] | Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Plan:
    """What a sweep computes."""

    #: Keywords of the function, one dictionary a point; the last dimension runs fastest.
    points: list[dict[str, Any]]
    #: Labels by dimension of the table.
    dims: dict[str, np.ndarray[Any, Any]]
    #: Further coordinates: dimension and labels by parameter.
    along: dict[str, tuple[str, np.ndarray[Any, Any]]]

    @property
    def parameters(self) -> list[str]:
        """Names of the function's keywords."""
        return list(self.points[0])


def planned(grid: Grid, seeds: int | Iterable[int] | None) -> Plan:
    """Return the points of a grid or of a list of points, each with every seed."""
    numbers = None if seeds is None else seed_list(seeds)
    if isinstance(grid, Mapping):
        plan = _combined(grid, numbers)
    elif isinstance(grid, Iterable) and not isinstance(grid, (str, bytes)):
        plan = _listed(list(grid), numbers)
    else:
        raise DtypeError(
            f"grid = {shown(grid)}: must be a dictionary of lists or a list of dictionaries; "
            'pass {"lr": [0.1, 0.2]}, say'
        )
    return plan


def _combined(grid: Mapping[str, Iterable[Any]], seeds: list[int] | None) -> Plan:
    values: dict[str, list[Any]] = {}
    for name, given in grid.items():
        _check_name(name, seeds)
        if isinstance(given, (str, bytes, Mapping)) or not _iterates(given):
            raise DtypeError(
                f"grid[{name!r}] = {shown(given)}: must be a list of values; pass [{shown(given, 30)}]"
            )
        values[name] = [_plain(value) for value in given]
        if not values[name]:
            raise InvalidParameterError(
                f"grid[{name!r}] is empty: there is nothing to compute; pass at least one value"
            )
        _refuse_doubles(f"grid[{name!r}]", values[name])
    if seeds is not None:
        values["seed"] = list(seeds)
    if not values:
        raise InvalidParameterError(
            'grid is empty: there is nothing to compute; pass {"lr": [0.1, 0.2]}, say, or seeds=5'
        )
    points = [
        dict(zip(values, combination, strict=True)) for combination in itertools.product(*values.values())
    ]
    return Plan(points, {name: labels(given) for name, given in values.items()}, {})


def _listed(given: list[Any], seeds: list[int] | None) -> Plan:
    if not given:
        raise InvalidParameterError("grid is empty: there is nothing to compute; pass at least one point")
    names: list[str] | None = None
    points: list[dict[str, Any]] = []
    for number, point in enumerate(given):
        if not isinstance(point, Mapping):
            raise DtypeError(
                f"grid[{number}] = {shown(point)}: must be a dictionary of the function's arguments; "
                'pass [{"lr": 0.1}, {"lr": 0.2}], say'
            )
        for name in point:
            _check_name(name, seeds)
        if names is not None and set(point) != set(names):
            raise InvalidParameterError(
                f"grid[{number}] has the arguments {sorted(point)}, grid[0] has {sorted(names)}: all points must "
                "have the same; pass every argument in every point"
            )
        names = list(point) if names is None else names
        points.append({name: _plain(point[name]) for name in names})
    _refuse_doubles("grid", points)
    assert names is not None
    if "point" in names:
        raise InvalidParameterError(
            'grid: "point" is the name of the table\'s dimension; rename the argument of the function'
        )
    dims = {"point": np.arange(len(points))}
    along = {name: ("point", labels([point[name] for point in points], unique=False)) for name in names}
    if seeds is not None:
        dims["seed"] = np.array(seeds)
        points = [{**point, "seed": seed} for point in points for seed in seeds]
    if not points[0]:
        raise InvalidParameterError("grid: its points are empty; pass the arguments of the function")
    return Plan(points, dims, along)


def _check_name(name: object, seeds: list[int] | None) -> None:
    if not isinstance(name, str) or not name.isidentifier():
        raise DtypeError(f"grid: {shown(name)} must be the name of an argument of the function; pass a text")
    if name == "seed" and seeds is not None:
        raise InvalidParameterError('grid has "seed" and seeds is given: must be one of them; leave out one')


def _iterates(value: Any) -> bool:
    try:
        iter(value)
    except TypeError:
        return False
    return True


def _plain(value: Any) -> Any:
    """Return a number of numpy as one of Python, anything else as it is."""
    return value.item() if isinstance(value, np.generic) else value


def _refuse_doubles(name: str, values: Sequence[Any]) -> None:
    seen: dict[Any, int] = {}
    for number, value in enumerate(values):
        # 1 and 1.0 are one label of the table.
        key = float(value) if isinstance(value, (int, float)) else digest(value)
        if key in seen:
            raise InvalidParameterError(
                f"{name} holds {shown(value)} twice, at {seen[key]} and {number}: must be different; "
                "leave out one (for repeated runs pass seeds=)"
            )
        seen[key] = number


def labels(values: Sequence[Any], *, unique: bool = True) -> np.ndarray[Any, Any]:
    """Return labels of values for an axis: numbers, texts, or else a few words each."""
    if all(isinstance(value, (int, float)) for value in values):
        return np.array(values)
    words = [value if isinstance(value, str) else spelled(value) for value in values]
    if unique and len(set(words)) < len(words):
        words = [f"{number}: {word}" for number, word in enumerate(words)]
    return np.array(words)


def check_arguments(fn: Callable[..., Any], plan: Plan) -> None:
    """Refuse a function that cannot be called with the parameters of a plan."""
    try:
        signature = inspect.signature(fn)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(**plan.points[0])
    except TypeError as error:
        raise InvalidParameterError(
            f"fn{signature} does not take the arguments {', '.join(plan.parameters)} ({error}); "
            "name them as the grid does (seeds= come as seed)"
        ) from None
