"""The one-neuron equations over many draws of the noise: what they say of a network on p examples."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...data.manifolds import SingleInterface, Stripe
from ...ground.arguments import array, count, number
from ...ground.errors import DtypeError
from ...ground.results import dataset
from ...networks.mean_field import MeanFieldNetwork
from ...theory.compression import neuron_flow
from .keeping import Keeper
from .runs import CITE, Array, in_parallel, needs_compression

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["single_neurons"]

#: Points of the population on which the output is looked at; its fractions are good to .7 %.
_POINTS = 2000
#: What one draw gives as a curve.
_CURVES = ("omega_1", "omega_perp", "b", "beta", "compression", "compression_mean_of_rms", "satisfied")


def single_neurons(
    data: Stripe | SingleInterface,
    p: int,
    times: npt.ArrayLike,
    *,
    h: int = 200,
    alpha: float = 1e-6,
    draws: int = 20,
    neurons: int = 50,
    seed: int = 0,
    rtol: float = 1e-4,
    checkpoints: str | Path | None = None,
) -> xr.Dataset:
    """Solve the one-neuron equations for many draws of initial neurons and of the noise of a training set.

    Parameters
    ----------
    data
        Stripe or single interface, not stretched.
    p, h, alpha
        Number of examples, width and output scale of the network that is meant. A neuron does not feel the others; the
        width is the clock alone.
    times
        Ascending, in the code time of that network.
    draws
        Each has its own neurons and its own noise.
    neurons
        Neurons that are integrated in each draw.
    seed
        Of the draws.
    rtol
        Tolerance of :func:`hmm_rs.theory.neuron_flow`.
    checkpoints
        Folder to keep finished draws in, as in :func:`learning_curves`.

    Returns
    -------
    xarray.Dataset
        Over ``t`` and ``seed`` (the draw): root-mean-square ``omega_1``, ``omega_perp``, ``b``, ``beta``,
        ``compression``, ``compression_mean_of_rms``, and ``satisfied``, the fraction of the population with
        y F > 1; over ``seed``: ``t_star``, when a tenth of it is satisfied, ``lambda_star`` and
        ``lambda_star_mean_of_rms``, the compression there (NaN where t* lies beyond the last time).

    Examples
    --------
    >>> import hmm_rs as hr
    >>> result = hr.experiments.compression.single_neurons(hr.Stripe(3), 500, [0.0, 200.0], draws=2, neurons=10)
    >>> bool((result.compression[:, 1] > result.compression[:, 0]).all())
    True
    """
    if not isinstance(data, (Stripe, SingleInterface)) or getattr(data, "stretch", 1.0) != 1.0:
        raise DtypeError(
            f"data = {data!r:.80}: the equations are for labels along one axis, not stretched; pass hr.Stripe(d) or "
            "hr.SingleInterface(d)"
        )
    needs_compression(data)
    at = array("times", times, (None,), rule="(times)")
    p, h, neurons = count("p", p), count("h", h), count("neurons", neurons)
    alpha = number("alpha", alpha, minimum=0.0, exclusive=True)
    if isinstance(data, Stripe):
        labels: dict[str, Any] = {name: getattr(data, name) for name in ("xmin", "xmax", "inside_label")}
    else:
        labels = {"x0": data.x0}
    X, y = data.sample(_POINTS, seed=seed, stream="test")

    def draw(number: int) -> dict[str, Array]:
        network = MeanFieldNetwork.random(
            neurons, data.d, std_b=1.0, activation="sqrt2_relu", seed=[seed, number, 2]
        )
        noise = np.random.default_rng([seed, number, 3]).normal(size=data.d)
        # Rates go like one over the width: the same neurons in a network of width h are slower.
        course = neuron_flow(network, at * (neurons / h), p=p, noise=noise, rtol=rtol, **labels)
        start = network.forward(X)
        weights = zip(course.a.values, course.w.values, course.bias.values, strict=True)
        outputs = [MeanFieldNetwork(a, w, b, activation="sqrt2_relu").forward(X) for a, w, b in weights]
        satisfied = [(y * alpha * (output - start) > 1.0).mean() for output in outputs]
        curves = {name: course[name].values for name in _CURVES[:-1]} | {"satisfied": np.array(satisfied)}
        return curves | _at_first_fit(at, curves)

    kept = Keeper(
        checkpoints,
        "draws",
        data=data,
        p=p,
        times=at.tolist(),
        h=h,
        alpha=alpha,
        neurons=neurons,
        seed=seed,
        rtol=rtol,
    )
    found = in_parallel(
        lambda number: kept.point((number,), partial(draw, number)),
        [(number,) for number in range(count("draws", draws))],
    )
    values = {name: np.array([each[name] for each in found]).T for name in found[0]}
    return dataset(
        values,
        along=at,
        label="code time",
        source="theory",
        settings={"data": repr(data), "p": p, "h": h, "alpha": alpha, "neurons": neurons, "rtol": rtol},
        cite=CITE,
        dims={name: ("t", "seed") if name in _CURVES else ("seed",) for name in values},
    )


def _at_first_fit(times: Array, curves: dict[str, Array]) -> dict[str, Array]:
    """Return t* and the compression there, between the times on either side."""
    names = {"lambda_star": "compression", "lambda_star_mean_of_rms": "compression_mean_of_rms"}
    fraction = curves["satisfied"]
    after = int(np.argmax(fraction > 0.1))
    if after == 0:
        return dict.fromkeys(("t_star", *names), np.array(np.nan))
    # The output grows exponentially: fractions are interpolated over t, compressions with it.
    share = (0.1 - fraction[after - 1]) / (fraction[after] - fraction[after - 1])

    def between(values: Array) -> Array:
        return np.asarray((1.0 - share) * values[after - 1] + share * values[after])

    return {"t_star": between(times)} | {star: between(curves[name]) for star, name in names.items()}
