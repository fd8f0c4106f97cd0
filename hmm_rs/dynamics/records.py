"""What a run is to measure and has measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .schedule import Times

__all__ = ["Observation", "Records"]

#: What a driver measures at one time: arrays and numbers by variable name.
Observation = dict[str, Any]


@dataclass
class Records:
    """What a run is to measure and has measured."""

    targets: Times
    rows: list[Observation]
    #: Rows of earlier runs, from before the first target.
    past: int = 0
    #: Targets reached.
    done: int = 0
    #: Seconds that earlier parts of the run took.
    seconds: float = 0.0

    def take(self, seen: Observation, target: int) -> bool:
        """Record a measurement at a target; return whether it has a row of its own.

        Targets that are moved to the same step are one row, and the axis of a result stays unique.
        """
        repeated = bool(self.rows) and self.rows[-1]["t"] == seen["t"]
        if repeated:
            self.rows[-1] = seen
        else:
            self.rows.append(seen)
        # Last: where Ctrl-C falls in between, the same row is taken again.
        self.done = target + 1
        return not repeated

    def stacked(self) -> dict[str, npt.NDArray[Any]]:
        """Return the records as arrays by name."""
        names = self.rows[0] if self.rows else ()
        return {name: np.stack([np.asarray(r[name]) for r in self.rows]) for name in names}
