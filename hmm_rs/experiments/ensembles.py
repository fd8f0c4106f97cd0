"""The same run with many seeds: mean, spread and standard error."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np

from ..ground.arguments import count, shown
from ..ground.errors import DtypeError, InvalidParameterError
from .joining import join

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["ensemble", "seed_list"]


def ensemble(make: Callable[[int], xr.Dataset], *, seeds: int | Iterable[int]) -> xr.Dataset:
    """Return the results of `make(seed)` along a dimension `seed`, with mean, spread and standard error.

    Parameters
    ----------
    make
        Function of a seed that returns a result, for instance
        ``lambda seed: hr.OnlineSGD(..., seed=seed).run(10.0)``.
    seeds
        The seeds, or their number.

    Returns
    -------
    xarray.Dataset
        Every variable x with a dimension ``seed``, and ``x_mean``, ``x_std`` (of single runs, n - 1 in the
        denominator) and ``x_sem`` (of the mean). Attributes are those that all runs share; ``varied`` names
        the others.

    Raises
    ------
    InvalidParameterError
        If there are fewer than two seeds, a seed comes twice, or the runs end at different times.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> def make(seed):
    ...     student = hr.TwoLayer.random(1, 100, seed=seed)
    ...     sim = hr.OnlineSGD(hr.HiddenManifold(100, 20), hr.TwoLayer.random(1, 20), student=student,
    ...                        lr=0.2, test_size=200, seed=seed)
    ...     return sim.run(1.0, save_at=[0.0, 1.0])
    >>> runs = hr.ensemble(make, seeds=3)
    >>> runs.eg.dims, runs.eg_sem.dims
    (('seed', 't'), ('t',))
    """
    import xarray as xr

    numbers = seed_list(seeds)
    if len(numbers) < 2:
        raise InvalidParameterError(
            f"seeds = {numbers}: a spread needs at least two seeds, all different; pass seeds=8, say"
        )
    results = []
    for seed in numbers:
        result = make(seed)
        if not isinstance(result, xr.Dataset):
            raise DtypeError(
                f"make({seed}) returned {type(result).__name__}: must be an xarray.Dataset; return sim.run(...)"
            )
        results.append(result)
    joined = join(results, {"seed": np.array(numbers)})
    joined.attrs["seeds"] = ",".join(map(str, numbers))
    statistics = {}
    for name, values in joined.data_vars.items():
        if "seed" in values.dims:
            spread = values.std("seed", ddof=1)
            statistics[f"{name}_mean"] = values.mean("seed")
            statistics[f"{name}_std"] = spread
            statistics[f"{name}_sem"] = spread / math.sqrt(len(numbers))
    return joined.assign(statistics)


def seed_list(seeds: int | Iterable[int]) -> list[int]:
    """Return the seeds that a number or a list of them means."""
    try:
        given = [*seeds]  # type: ignore[misc]
    except TypeError:
        given = list(range(count("seeds", seeds)))
    numbers = [count("seeds", seed, minimum=0) for seed in given]
    if not numbers or len(set(numbers)) < len(numbers):
        raise InvalidParameterError(
            f"seeds = {shown(numbers)}: must be at least one, all different; pass seeds=8, say"
        )
    return numbers
