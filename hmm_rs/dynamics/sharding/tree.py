"""Sums over shards in one order, wherever the shards are.

The shards are the leaves of a binary tree that depends on their number alone. Who holds all leaves below a node adds
them up; the rest is added where the pieces meet.

>>> import numpy as np
>>> from hmm_rs.dynamics.sharding.tree import joined, summed
>>> parts = {number: np.array([0.1 * number]) for number in range(5)}
>>> here, there = ({number: parts[number] for number in held} for held in ([0, 1, 3], [2, 4]))
>>> pieces = summed(here, 5) | summed(there, 5)
>>> joined(pieces, 5) == joined(summed(parts, 5), 5)
array([ True])
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

__all__ = ["Pieces", "cut", "joined", "summed"]

Vector = npt.NDArray[np.float64]
#: Sums by the leaves they are over: from the first to before the last.
Pieces = Mapping[tuple[int, int], Vector]


def cut(width: int, shards: int) -> list[tuple[int, int]]:
    """Return first and last node of every shard: as equal as can be."""
    ends = [width * number // shards for number in range(shards + 1)]
    return list(itertools.pairwise(ends))


def summed(parts: Mapping[int, Vector], shards: int) -> dict[tuple[int, int], Vector]:
    """Return the sums over the largest parts of the tree whose leaves are all there."""
    pieces: dict[tuple[int, int], Vector] = {}

    def below(first: int, last: int) -> Vector | None:
        if last - first == 1:
            return parts.get(first)
        middle = (first + last) // 2
        left, right = below(first, middle), below(middle, last)
        if left is not None and right is not None:
            return left + right
        if left is not None:
            pieces[first, middle] = left
        if right is not None:
            pieces[middle, last] = right
        return None

    # What overflows is seen where outputs are looked at.
    with np.errstate(over="ignore", invalid="ignore"):
        whole = below(0, shards)
    return pieces if whole is None else {(0, shards): whole}


def joined(pieces: Pieces, shards: int) -> Vector:
    """Return the sum over all shards from those of :func:`summed`."""

    def below(first: int, last: int) -> Vector:
        found = pieces.get((first, last))
        if found is not None:
            return found
        middle = (first + last) // 2
        return below(first, middle) + below(middle, last)

    with np.errstate(over="ignore", invalid="ignore"):
        return below(0, shards)
