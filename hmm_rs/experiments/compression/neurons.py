"""One run in time: its compression, and its neurons."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy.typing as npt

from ...data.manifolds import LabelledGaussian
from ...ground.arguments import array, choice
from ...ground.results import dataset
from ...measure.compression import compression, neuron_alignment, neuron_points
from .keeping import Keeper
from .runs import CITE, Convention, described, flow_of, needs_compression

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["compression_curve", "neuron_trajectories"]


def compression_curve(
    data: LabelledGaussian,
    p: int,
    *,
    h: int = 1000,
    alpha: float = 1e-6,
    seed: int = 0,
    stop_margin: float = 0.9,
    max_steps: int = 100_000,
    checkpoints: str | Path | None = None,
) -> xr.Dataset:
    """Return Lambda(t) and all else of one run until every margin exceeds `stop_margin`.

    It rises into the fitting regime and falls while the last examples drive the dynamics. A run under way is kept in
    `checkpoints`, as in :func:`learning_curves`.
    """
    X_test, y_test = described(data).sample(10_000, seed=seed, stream="test")
    flow = flow_of(data, p, h, alpha, seed, X_test=X_test, y_test=y_test)
    kept = Keeper(checkpoints, "curve", data=data, h=h, alpha=alpha, stop=stop_margin, max_steps=max_steps)
    return kept.run(flow, (p, seed), "whole", stop_margin=stop_margin, max_steps=max_steps)[1]


def neuron_trajectories(
    data: LabelledGaussian,
    p: int,
    times: npt.ArrayLike,
    *,
    h: int = 200,
    alpha: float = 1e-6,
    seed: int = 0,
    convention: Convention = "ratio_of_rms",
    checkpoints: str | Path | None = None,
) -> xr.Dataset:
    """Follow every neuron: its hyperplane's foot z_n, its alignment and its growth a_n w_n.

    A run under way is kept in `checkpoints`, as in :func:`learning_curves`.

    Returns
    -------
    xarray.Dataset
        ``z(t, i, j)``, ``alignment(t, i)``, ``w(t, i, j)``, ``a(t, i)``, ``bias(t, i)`` and ``compression(t)``, by
        `convention` as in :func:`compression_scaling`. While
        the loss is linear (t < t*) the z_n flow to the points of :func:`hmm_rs.theory.attractors`.
    """
    needs_compression(described(data))
    choice("convention", convention, get_args(Convention))
    flow = flow_of(data, p, h, alpha, seed)
    saved = array("times", times, (None,))
    seen: dict[str, list[Any]] = {name: [] for name in ("z", "alignment", "w", "a", "bias", "compression")}
    kept = Keeper(checkpoints, "neurons", data=data, h=h, alpha=alpha, times=saved.tolist())
    for i, t in enumerate(saved):
        flow, _ = kept.run(flow, (p, seed), f"{i}", save_at=[float(t)])
        network = flow.network
        seen["z"].append(neuron_points(network))
        seen["alignment"].append(neuron_alignment(network, d_par=data.informative))
        seen["w"].append(network.w)
        seen["a"].append(network.a)
        seen["bias"].append(network.b)
        seen["compression"].append(compression(network.w, d_par=data.informative)[convention])
    return dataset(
        seen,
        along=saved,
        label="code time",
        source="simulation",
        settings={
            "data": repr(data),
            "p": p,
            "h": h,
            "alpha": alpha,
            "seed": seed,
            "convention": convention,
        },
        cite=CITE,
        dims={
            "z": ("t", "i", "j"),
            "alignment": ("t", "i"),
            "w": ("t", "i", "j"),
            "a": ("t", "i"),
            "bias": ("t", "i"),
        },
    )
