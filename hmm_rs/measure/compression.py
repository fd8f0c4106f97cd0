"""What the compression study measures on a network: factors, hyperplane points, invariants."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..ground import arguments
from ..ground.errors import InvalidParameterError
from ..ground.linear_algebra import scale_of
from ..ground.overflow import finite, within_range
from ..networks.mean_field import MeanFieldNetwork

__all__ = [
    "compression",
    "conserved_quantity",
    "invariants",
    "neuron_alignment",
    "neuron_points",
    "temporal_regime",
]

Array = npt.NDArray[np.float64]


def compression(w: npt.ArrayLike, *, d_par: int = 1) -> dict[str, float]:
    r"""Return how much larger a network's informative weights are than its other ones.

    .. math:: \Lambda = \sqrt{\langle\bar\omega_\parallel^2\rangle / \langle\bar\omega_\perp^2\rangle}

    with the mean over neurons and over the components of each group.

    Parameters
    ----------
    w
        Input weights, shape (h, d); the first `d_par` columns are the informative directions.
    d_par
        Number of informative directions.

    Returns
    -------
    dict
        ``ratio_of_rms`` is the factor above, the one to quote. ``mean_of_rms`` is
        mean_par(rms_i)/mean_perp(rms_i), ``sum_perp`` divides by the sum over perpendicular components
        instead of their mean. All are infinite where the perpendicular weights vanish.

    References
    ----------
    Paccolat, Petrini, Geiger, Tyloo & Wyart, J. Stat. Mech. 2021, 044001.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> hr.compression([[3.0, 1.0, -1.0], [-3.0, 1.0, 1.0]])["ratio_of_rms"]
    3.0
    """
    weights = arguments.array("w", w, (None, None), rule="(neurons, inputs)")
    d_par = arguments.count("d_par", d_par)
    d = weights.shape[1]
    if d_par >= d:
        raise InvalidParameterError(
            f"d_par = {d_par}: must be below d = {d} for something to compress; pass fewer"
        )
    # Weights grow exponentially: take out their scale before they are squared.
    scale = np.abs(weights).max()
    if scale == 0.0:
        raise InvalidParameterError(
            "w = 0: weights that vanish are compressed in no direction; pass the weights of a network"
        )
    square = ((weights / scale) ** 2).mean(axis=0)
    par, perp = square[:d_par], square[d_par:]
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "ratio_of_rms": float(np.sqrt(par.mean() / perp.mean())),
            "mean_of_rms": float(np.sqrt(par).mean() / np.sqrt(perp).mean()),
            "sum_perp": float(np.sqrt(par.mean() / perp.sum())),
        }


def _network(value: Any) -> MeanFieldNetwork:
    return arguments.instance("network", value, MeanFieldNetwork, "MeanFieldNetwork.random(h, d, std_b=1.0)")


def _with_bias(network: MeanFieldNetwork) -> tuple[Array, Array, Array]:
    network = _network(network)
    if network.b is None:
        raise InvalidParameterError(
            "network = one without biases: this needs them; pass std_b when you make it"
        )
    return network.w.astype(np.float64), network.b.astype(np.float64), network.a.astype(np.float64)


def neuron_points(network: MeanFieldNetwork) -> Array:
    r"""Return the foot of every neuron's ReLU hyperplane, z_n = -sqrt(d) b_n omega_n/\|omega_n\|^2, (h, d).

    A neuron whose input weights vanish has no hyperplane: its row is NaN.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> network = hr.MeanFieldNetwork([1.0], [[2.0, 0.0, 0.0, 0.0]], [3.0], activation="sqrt2_relu")
    >>> hr.observables.neuron_points(network)
    array([[-3., -0., -0., -0.]])
    """
    w, b, _ = _with_bias(network)
    scale = scale_of(w)
    w = w / scale
    square = (w**2).sum(axis=1, keepdims=True)
    with within_range("network"), np.errstate(invalid="ignore"):
        return np.asarray(-np.sqrt(w.shape[1]) * b[:, None] * w / square / scale)


def neuron_alignment(network: MeanFieldNetwork, *, d_par: int = 1) -> Array:
    r"""Return cos^2 = \|omega_par\|^2/\|omega\|^2 of every neuron, shape (h,).

    A neuron whose input weights vanish points nowhere: NaN.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> network = hr.MeanFieldNetwork([1.0], [[3.0, 4.0]], [0.0], activation="sqrt2_relu")
    >>> hr.observables.neuron_alignment(network)
    array([0.36])
    """
    w = _network(network).w.astype(np.float64)
    d_par = arguments.count("d_par", d_par, maximum=w.shape[1])
    square = (w / scale_of(w)) ** 2
    with np.errstate(invalid="ignore"):
        return np.asarray(square[:, :d_par].sum(axis=1) / square.sum(axis=1))


def conserved_quantity(network: MeanFieldNetwork) -> Array:
    r"""Return beta_n^2 - \|omega_n\|^2 - b_n^2 of every neuron, which gradient flow conserves, shape (h,).

    Explicit Euler steps drift from it by an amount that says how coarse they are.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> network = hr.MeanFieldNetwork([3.0], [[1.0, 2.0]], [1.0], activation="sqrt2_relu")
    >>> hr.observables.conserved_quantity(network)
    array([3.])
    """
    return finite("network", invariants(network))


def invariants(network: MeanFieldNetwork) -> Array:
    """Return :func:`conserved_quantity` of weights that a run may have driven beyond all bounds."""
    w, b, a = _with_bias(network)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(a**2 - (w**2).sum(axis=1) - b**2)


def temporal_regime(satisfied: npt.ArrayLike, p: int) -> list[str]:
    """Return the regime of training at each fraction of satisfied examples.

    "compressing" while at most a tenth is fitted (t < t*, neurons evolve independently), "over-fitting"
    once fewer than ten examples or a hundredth of them are left, "fitting" between.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> hr.observables.temporal_regime([0.0, 0.5, 0.999], 1000)
    ['compressing', 'fitting', 'over-fitting']
    """
    fractions = arguments.array("satisfied", satisfied, (None,))
    p = arguments.count("p", p)
    few = max(0.01, min(10 / p, 0.5))

    def regime(fraction: Any) -> str:
        if fraction <= 0.1:
            return "compressing"
        return "over-fitting" if 1.0 - fraction < few else "fitting"

    return [regime(fraction) for fraction in fractions]
