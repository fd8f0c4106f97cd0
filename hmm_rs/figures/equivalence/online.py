"""One-pass SGD on a generator beside the equations with its covariances: what three figures share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ... import plot
from ...data.latent import LatentModel
from ...dynamics import OnlineSGD
from ...experiments import ensemble
from ...networks.two_layer import TwoLayer
from ...theory import CovarianceODE
from ..allowance import over_seeds
from ..card import Scale
from ..reproduction import Row

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = ["PAPER", "draw", "engine_of", "rows", "streams"]

#: What the paper shows of these figures.
PAPER = "crosses on the line (high)"


def engine_of(model: LatentModel, seed: int, *, test_size: int = 10_000) -> OnlineSGD:
    """Return the published task on a model: K = M = 2 erf units, both layers trained, lr = .2, one stream a seed."""
    return OnlineSGD(
        model,
        TwoLayer.random(2, model.D, seed=1),
        student=TwoLayer.random(2, model.N, std_v=1.0, seed=2),
        lr=0.2,
        train_second_layer=True,
        test_size=test_size,
        seed=seed,
    )


def streams(scale: Scale, key: str, model: LatentModel, *, t_max: float, seeds: int) -> xr.Dataset:
    """Return the runs of several sample streams from the same initial weights."""
    times = np.geomspace(0.1, t_max, 20)
    return ensemble(
        lambda seed: scale.run(f"{key}-stream-{seed}", engine_of(model, seed), t_max, save_at=times),
        seeds=seeds,
    )


def draw(runs: xr.Dataset, theory: xr.Dataset, axes: Sequence[Axes]) -> None:
    """Draw error, and order parameters if there is a second panel."""
    plot.learning_curve(runs, theory, labels=["SGD", "equations"], ax=axes[0])
    if len(axes) > 1:
        plot.order_parameters(runs.mean("seed", keep_attrs=True), theory, ax=axes[1])


def rows(
    name: str, runs: xr.Dataset, equations: CovarianceODE, neglected: npt.ArrayLike, because: str
) -> list[Row]:
    """Return the error at four times, laid beside the equations.

    `neglected` is the size of what they leave out at each of the runs' times.
    """
    theory = equations.solve(runs.t)
    left_out = np.asarray(neglected, dtype=np.float64)
    last = runs.sizes["t"] - 1
    chosen = [int(np.abs(np.log(runs.t.values / t)).argmin()) for t in (0.5, 3.0, 20.0)]
    return [
        over_seeds(
            f"{name}eps_g at t = {float(runs.t[i]):.3g}",
            theory.eg[i],
            runs.eg[:, i],
            neglected=float(left_out[i]),
            because=because,
            paper=PAPER,
        )
        for i in dict.fromkeys([*chosen, last])
    ]
