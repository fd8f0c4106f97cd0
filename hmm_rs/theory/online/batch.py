"""Many systems at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy.typing as npt

from ...ground.arguments import iterable, shown
from ...ground.arguments import threads as checked_threads
from ...ground.errors import DtypeError
from ...provenance.recording import attach, maker_of
from ...provenance.story import encoded_call
from .base import Method, OnlineODE, solve_systems

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["solve_many"]


def solve_many(
    systems: Sequence[OnlineODE],
    t_eval: npt.ArrayLike,
    *,
    rtol: float = 1e-8,
    atol: float = 1e-10,
    method: Method = "auto",
    threads: int | None = None,
) -> list[xr.Dataset]:
    """Return the solutions of many systems at the same times, solved in parallel.

    Parameters
    ----------
    systems
        The systems to solve.
    t_eval, rtol, atol, method
        As in their own ``solve``.
    threads
        Number of threads; the results do not depend on it.

    Examples
    --------
    >>> import numpy as np
    >>> from hmm_rs.theory import SaadSolla, solve_many
    >>> systems = [SaadSolla(np.eye(1), np.zeros((1, 1)), T=np.eye(1), v0=[1.0], v_teacher=[1.0], lr=lr)
    ...            for lr in (0.1, 0.5)]
    >>> slow, fast = solve_many(systems, [0.0, 10.0])
    >>> bool(fast.eg[-1] < slow.eg[-1])
    True
    """
    given = list(iterable("systems", systems, "systems of equations, [SaadSolla(...), ...]"))
    for system in given:
        if not isinstance(system, OnlineODE):
            raise DtypeError(
                f"systems holds {shown(system, 60)}: must be systems of equations; pass SaadSolla(...)"
            )
    workers = checked_threads("threads", threads)
    results = solve_systems(given, t_eval, rtol=rtol, atol=atol, method=method, threads=workers)
    # Each is what its system answers by itself.
    call = encoded_call("solve", {"t_eval": t_eval, "rtol": rtol, "atol": atol, "method": method})
    for system, result in zip(given, results, strict=True):
        attach(result, maker_of(system), [call])
    return results
