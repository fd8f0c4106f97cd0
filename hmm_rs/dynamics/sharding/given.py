"""What is given to particles: a network, weights and examples, checked."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ...ground import activations
from ...ground.arguments import array
from ...ground.errors import DtypeError, InvalidParameterError
from ...networks.mean_field import MeanFieldNetwork
from ...networks.random_nodes import RandomNodes

__all__ = ["check_network", "labelled", "narrowed"]


def check_network(network: object) -> None:
    """Refuse what particles cannot be made of."""
    if not isinstance(network, (MeanFieldNetwork, RandomNodes)):
        raise DtypeError(
            f"network = {network!r:.80}: must be a MeanFieldNetwork; pass MeanFieldNetwork(a, w), or RandomNodes(M, d)"
        )
    bias = isinstance(network, MeanFieldNetwork) and network.b is not None
    if bias or network.activation not in activations.PARTICLES:
        raise InvalidParameterError(
            f"network has activation={network.activation!r} and {'a ' if bias else ''}bias "
            f"b={'...' if bias else 'None'}: must have one of "
            f"{', '.join(activations.PARTICLES)} and no bias; pass MeanFieldNetwork(a, w, activation=...)"
        )


def narrowed(name: str, weights: npt.NDArray[Any], dtype: str) -> npt.NDArray[Any]:
    """Return weights of a network in the precision of the run; refuse what it does not reach."""
    with np.errstate(over="ignore"):
        taken = np.ascontiguousarray(weights, dtype=dtype)
    # A finite sum has finite terms: an array of truths is only made in doubt.
    if not np.isfinite(np.add.reduce(taken, axis=None)) and not np.isfinite(taken).all():
        raise InvalidParameterError(
            f"network.{name} holds {np.abs(weights).max():.3g}: {dtype} ends at {np.finfo(dtype).max:.3g}; "
            'scale the weights down, or pass dtype="float64"'
        )
    return taken


def labelled(
    X_name: str, y_name: str, X: npt.ArrayLike | None, y: npt.ArrayLike | None, d: int, dtype: str
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]] | None:
    """Return checked inputs and labels, or None if neither was given."""
    if X is None and y is None:
        return None
    if X is None or y is None:
        missing = X_name if X is None else y_name
        raise InvalidParameterError(
            f"{missing} = None: inputs and labels come together; pass {X_name} and {y_name}"
        )
    inputs = array(X_name, X, (None, d), rule="= (P, network.d)", dtype=dtype)
    labels = array(y_name, y, (len(inputs),), rule=f"(one label per row of {X_name})", dtype=dtype)
    if not (np.abs(labels) == 1.0).all():
        raise InvalidParameterError(f"{y_name} holds other values than +1 and -1: must be labels; pass signs")
    # The driver keeps them for copies and checkpoints: what happens to the caller's arrays must not reach it.
    frozen = inputs.copy(), labels.copy()
    for kept in frozen:
        kept.flags.writeable = False
    return frozen
