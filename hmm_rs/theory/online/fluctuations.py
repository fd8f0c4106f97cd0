"""The spread of single runs about the equations, at finite N."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import _lib
from ...ground.errors import InvalidParameterError
from ...ground.linear_algebra import eigvalsh
from ..order_parameters import Array
from .modes import Directions
from .rules import normal_rules

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["grouped_equations", "with_fluctuations"]

#: Units that are odd: averages over the fields are then even.
_ODD = ("erf", "linear", "identity", "tanh")
#: Groups of directions, and deviations at most.
_GROUPS, _MOST = 8, 400
#: What the equations of the mean path need at least.
_TOLERANCE = 1e-6


def grouped_equations(
    setting: _lib.OnlineSetting, directions: Directions, T: Array, *, groups: int = _GROUPS
) -> _lib.OnlineEquations:
    """Return the equations of groups of directions, from which fluctuations are taken."""
    K, M = directions.r.shape[1:]
    rows = K * M + K * (K + 1) // 2
    few = directions.grouped(max(min(groups, _MOST // rows), 4))
    return _lib.OnlineEquations.covariance(
        setting, t=T, rho=few.rho, weights=few.share, q0=few.q, r0=few.r, t_modes=few.t
    )


def with_fluctuations(
    result: xr.Dataset,
    equations: _lib.OnlineEquations,
    settings: dict[str, Any],
    *,
    rtol: float,
    atol: float,
    method: str,
) -> xr.Dataset:
    """Return a solution with ``eg_std``, ``R_std``, ``Q_std``, ``v_std`` and the covariance of eg at two times.

    Parameters
    ----------
    result
        The solution.
    equations
        Those of :func:`grouped_equations`.
    settings
        The system's; they hold N.
    rtol, atol, method
        Of the integration; the mean path need not be more exact than 1e-6 here.
    """
    import xarray as xr

    N = settings.get("N")
    if N is None:
        raise InvalidParameterError(
            f"fluctuations = True: they are of order 1/√N, and this system does not know N; pass N= to "
            f"{settings['system']}, or make it by from_weights or from_simulation"
        )
    K, M, t = settings["K"], settings["M"], result["t"].values
    names = settings["activation"], settings["teacher_activation"]
    rules = normal_rules(
        K + M,
        variance=float(np.nanmax(np.diagonal(result["Q"].values, axis1=1, axis2=2))),
        even=all(name in _ODD for name in names),
    )
    found = [
        equations.fluctuations(
            t,
            rtol=max(rtol, _TOLERANCE),
            atol=atol,
            method=method,
            nodes=nodes,
            weights=weights,
            threads=None,
        )
        for nodes, weights in rules
    ]
    overlaps = np.mean([each["overlaps"] for each in found], axis=0) / N
    error = np.mean([each["error"] for each in found], axis=0) / N
    n = len(error)
    _warn(t[:n], overlaps, N)
    overlaps = np.pad(overlaps, [(0, len(t) - n), (0, 0), (0, 0)], constant_values=np.nan)
    error = np.pad(error, [(0, len(t) - n)] * 2, constant_values=np.nan)
    std = np.sqrt(np.maximum(np.diagonal(overlaps, axis1=1, axis2=2), 0.0))
    Q = np.zeros((len(t), K, K))
    upper = np.triu_indices(K)
    Q[:, upper[0], upper[1]] = Q[:, upper[1], upper[0]] = std[:, K * M : K * M + len(upper[0])]
    told = f"at N = {N}, over data streams"
    added = {
        "eg_std": (("t",), np.sqrt(np.maximum(np.diagonal(error), 0.0)), f"spread of eg {told}"),
        "Q_std": (("t", "k", "k2"), Q, f"spread of Q {told}"),
        "R_std": (("t", "k", "m"), std[:, : K * M].reshape(-1, K, M), f"spread of R {told}"),
        "eg_covariance": (("t", "t2"), error, f"covariance of eg at two times {told}"),
    }
    if std.shape[1] > K * M + len(upper[0]):
        added["v_std"] = (("t", "k"), std[:, -K:], f"spread of v {told}")
    result = result.assign(
        {
            name: xr.DataArray(values, dims=dims, attrs={"long_name": words})
            for name, (dims, values, words) in added.items()
        }
    ).assign_coords(t2=("t2", t, result["t"].attrs))
    result.attrs.update(spread=f"{told}, given weights and features", fluctuation_steps=found[0]["steps"])
    if len(found) > 1:
        last = [np.sqrt(np.maximum(np.diagonal(each["error"]), 0.0)) for each in found]
        apart = np.abs(last[0] - last[1]).max() / max(float(last[0].max()), 1e-300)
        result.attrs["fluctuation_rule_error"] = float(0.5 * apart)
    return result


def _warn(t: Array, overlaps: Array, N: int) -> None:
    """Say from when on deviations are too large for linear equations."""
    largest = np.array([eigvalsh(each)[-1] for each in overlaps])
    beyond = np.flatnonzero(largest > 0.1)
    if beyond.size:
        first = beyond[0]
        warnings.warn(
            f"order parameters of single runs at N = {N} spread by {largest[first] ** 0.5:.2g} at t = {t[first]:.6g}, "
            f"more than linear equations can tell (√.1): from there on eg_std is an order of magnitude, as where a "
            f"symmetric plateau is left at a time that chance sets",
            RuntimeWarning,
            stacklevel=5,
        )
