"""Figure 3: error and order parameters of two units learning two, one-pass SGD on the equations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ... import plot
from ...data import HiddenManifold
from ...dynamics import OnlineSGD
from ...experiments import ensemble
from ...networks.two_layer import TwoLayer
from ...theory import HiddenManifoldODE
from ..allowance import over_seeds
from ..card import Card, Scale
from ..finite_size import NEGLECTED, neglected
from ..panels import panels
from ..reproduction import Parts, Row

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["CARD", "compared", "make"]


def make(scale: str | Scale = "small") -> Parts:
    """Return eps_g(t), Q(t) and R(t) of K = M = 2, sign data, erf units, lr = .2.

    N = 2000, D = 100, t <= 100 and 6 sample streams at "small"; N = 10^4, D = 100, t <= 1000 and 3 at "paper".
    """
    scale = Scale.of(scale)
    N, t_max, seeds = scale.pick(small=(2000, 100.0, 6), paper=(10_000, 1000.0, 3))
    return compared(scale, HiddenManifold(N, 100, f="sign", seed=1), t_max=t_max, seeds=seeds)


def compared(scale: Scale, model: HiddenManifold, *, t_max: float, seeds: int) -> Parts:
    """Return the figure for one model of data: several sample streams from the same initial weights."""
    teacher, student = TwoLayer.random(2, model.D, seed=1), TwoLayer.random(2, model.N, seed=2)
    times = np.geomspace(0.1, t_max, 25)

    def engine(seed: int) -> OnlineSGD:
        return OnlineSGD(model, teacher, student=student, lr=0.2, seed=seed)

    runs = ensemble(lambda seed: scale.run(f"stream-{seed}", engine(seed), t_max, save_at=times), seeds=seeds)
    equations = HiddenManifoldODE.from_simulation(engine(0))
    theory = equations.solve(np.geomspace(0.1, t_max, 200))
    figure, axes = panels(1, 2)
    plot.learning_curve(runs, theory, ax=axes[0, 0], labels=["SGD", "equations"])
    plot.order_parameters(runs.mean("seed", keep_attrs=True), theory, ax=axes[0, 1])
    left_out = neglected(engine(0), runs.t)
    return {"simulation": runs, "theory": theory}, figure, _table(runs, equations.solve(runs.t), left_out)


def _table(runs: xr.Dataset, theory: xr.Dataset, left_out: xr.Dataset) -> list[Row]:
    """Return the error at a few times, and the overlaps of the first unit at the end."""
    last = runs.sizes["t"] - 1
    seen = [int(np.abs(np.log(runs.t.values / t)).argmin()) for t in (0.5, 5.0, 30.0)]
    entries: list[tuple[str, str, tuple[int, ...]]] = [
        (f"eps_g at t = {float(runs.t[i]):.3g}", "eg", (i,)) for i in dict.fromkeys([*seen, last])
    ]
    entries += [(f"{name}_11 at t = {float(runs.t[last]):.3g}", name, (last, 0, 0)) for name in ("Q", "R")]
    return [
        over_seeds(
            quantity,
            theory[name].values[place],
            [each[place] for each in runs[name].values],
            neglected=float(left_out[name].values[place]),
            because=NEGLECTED,
            paper="points on the line (high)",
        )
        for quantity, name, place in entries
    ]


CARD = Card(
    "hidden-manifold-3",
    "hidden manifold",
    "Learning curve and order parameters",
    "Generalisation error over time (left), Q and R over time (right); points: one-pass SGD, mean and spread over "
    "sample streams; lines: the equations from the same initial weights.",
    "N = 10^4, D = 100, K = M = 2, lr = .2, sign data, erf units, second layer fixed at 1; N = 2000 at small scale.",
    "high",
    make,
)
