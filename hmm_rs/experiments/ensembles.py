"""The same run with many seeds: mean, spread and standard error."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..ground.arguments import count, function, items, shown
from ..ground.errors import DtypeError, InvalidParameterError
from ..provenance.story import ATTRIBUTE
from ..provenance.story import joined as joined_story
from .joining import join

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["ensemble", "join_seeds", "seed_list"]


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
        Every variable x with a dimension ``seed``, and of numbers ``x_mean``, ``x_std`` (of single runs, n - 1 in the
        denominator) and ``x_sem`` (of the mean). Attributes are those that all runs share; ``varied`` names
        the others.

    Raises
    ------
    DtypeError
        If `make` returns no dataset, or a variable that is numbers for one seed and dates for another.
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

    make = function("make", make, "of a seed that returns a result")
    numbers = seed_list(seeds)
    if len(numbers) < 2:
        raise InvalidParameterError(
            f"seeds = {numbers}: a spread needs at least two seeds, all different; pass seeds=8, say"
        )
    results: list[xr.Dataset] = []
    for seed in numbers:
        result = make(seed)
        if not isinstance(result, xr.Dataset):
            raise DtypeError(
                f"make({seed}) returned {type(result).__name__}: must be an xarray.Dataset; return sim.run(...)"
            )
        results.append(result)
    return join_seeds(results, numbers)


def join_seeds(results: Sequence[xr.Dataset], numbers: Sequence[int]) -> xr.Dataset:
    """Return results of several seeds along ``seed``, with their statistics and the stories of all of them."""
    stories = [result.attrs.get(ATTRIBUTE) for result in results]
    # Each run has its own story: not something that varied, but told as one below.
    bare = [result.copy(deep=False) for result in results]
    for result in bare:
        result.attrs.pop(ATTRIBUTE, None)
    joined = join(bare, {"seed": np.array(numbers)})
    joined.attrs["seeds"] = ",".join(map(str, numbers))
    statistics = {}
    for name, values in joined.data_vars.items():
        # Texts and dates have no spread.
        if "seed" in values.dims and values.dtype.kind in "biufc":
            spread = values.std("seed", ddof=1)
            statistics[f"{name}_mean"] = values.mean("seed")
            statistics[f"{name}_std"] = spread
            statistics[f"{name}_sem"] = spread / math.sqrt(len(numbers))
    joined = joined.assign(statistics)
    if all(isinstance(story, str) for story in stories):
        joined.attrs[ATTRIBUTE] = joined_story("seed", numbers, [str(story) for story in stories])
    return joined


def seed_list(seeds: int | Iterable[int]) -> list[int]:
    """Return the seeds that a number or a list of them means."""
    if isinstance(seeds, (str, bytes)):
        raise DtypeError(
            f"seeds = {shown(seeds)}: must be a number of seeds or a list of them; pass seeds=8, say"
        )
    given = (
        list(range(count("seeds", seeds)))
        if isinstance(seeds, int)
        else items("seeds", seeds, "seeds, or their number: seeds=8")
    )
    numbers = [count("seeds", seed, minimum=0) for seed in given]
    if not numbers or len(set(numbers)) < len(numbers):
        raise InvalidParameterError(
            f"seeds = {shown(numbers)}: must be at least one, all different; pass seeds=8, say"
        )
    return numbers
