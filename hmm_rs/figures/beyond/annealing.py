"""Annealing: the error that a constant learning rate leaves behind goes away with the rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ...data import HiddenManifold
from ...dynamics import OnlineSGD
from ...experiments import ensemble
from ...ground.results import dataset
from ...ground.schedules import Constant, Power, Schedule, Step
from ...networks.two_layer import TwoLayer
from ...plot.axes import COLOURS, readable_log
from ...plot.marks import error_bars
from ...theory import HiddenManifoldODE
from ..allowance import exceeds, over_seeds
from ..card import Card, Scale
from ..finite_size import NEGLECTED, neglected, orthogonal_teacher
from ..panels import panels
from ..reproduction import Parts, Row
from .power_law import WORK

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["CARDS", "annealing"]

Vector = npt.NDArray[np.float64]

_DELTA = 0.1
#: The rate at t = 0, large enough for its floor to lie far above the one without noise of the steps.
_LR = 1.0
#: Where the power law ends in the equations of an infinite system, in time.
_LATE = 1e5


def annealing(scale: str | Scale = "small") -> Parts:
    """Return eps_g(t) at a constant rate, after a drop and along a power law, and eps_g against the present rate.

    D/N = .1, orthogonal features; N = 1000, t <= 200 and 6 sample streams at "small"; N = 4000, t <= 1000 and 8 at
    "paper".
    """
    scale = Scale.of(scale)
    N, t_max, streams = scale.pick(small=(1000, 200.0, 6), paper=(4000, 1000.0, 8))
    D = round(_DELTA * N)
    model = HiddenManifold(N, D, f="sign", F="dct", seed=1)
    teacher, student = orthogonal_teacher(2, D, seed=1), TwoLayer.random(2, N, seed=2)
    laws = {
        f"constant, η = {_LR:g}": Constant(_LR),
        f"dropped to {_LR / 10:g} at t = 40": Step([_LR, _LR / 10], at=[40.0]),
        "power law, η = 1/(1 + t/20)": Power(_LR, b=20.0, c=1.0),
    }
    times = np.geomspace(0.5, t_max, 16)
    floor = _floor(np.geomspace(0.01, _LR, 13))
    figure, axes = panels(1, 2, width=5.2)
    data: dict[str, xr.Dataset] = {"floor": floor}
    table: list[Row] = []
    last: dict[str, Vector] = {}
    for (name, law), colour in zip(laws.items(), COLOURS, strict=False):
        kind = type(law).__name__.lower()

        def engine(seed: int, law: Schedule = law) -> OnlineSGD:
            return OnlineSGD(model, teacher, student=student, lr=law, test_size=1, seed=seed)

        runs = ensemble(
            lambda seed, engine=engine, kind=kind: scale.run(  # type: ignore[misc]
                f"{kind}-{seed}", engine(seed), t_max, save_at=times
            ),
            seeds=streams,
        )
        equations = HiddenManifoldODE.from_simulation(engine(0))
        theory = equations.solve(np.geomspace(0.5, t_max, 300))
        data |= {f"simulation-{kind}": runs, f"theory-{kind}": theory}
        errors = runs.eg_analytic
        last[kind] = errors.values[:, -1]
        for ax, x, line in (
            (axes[0, 0], runs.t.values, theory.t.values),
            (axes[0, 1], law(runs.t.values), law(theory.t.values)),
        ):
            # Against the rate, what comes before the late stage would hide it.
            seen, drawn = (runs.t.values > 20.0, theory.t.values > 20.0) if ax is axes[0, 1] else (..., ...)
            ax.plot(line[drawn], theory.eg.values[drawn], color=colour, linewidth=1.4, label=name)
            error_bars(
                ax,
                x[seen],
                errors.mean("seed").values[seen],
                errors.std("seed", ddof=1).values[seen],
                colour=colour,
            )
        left_out = neglected(engine(0), times[[-1]]).eg.values[0]
        table.append(
            over_seeds(
                f"eps_g at t = {t_max:g}, {name}",
                equations.solve([t_max]).eg.values[0],
                errors.values[:, -1],
                neglected=float(left_out),
                because=NEGLECTED,
            )
        )
    table.append(exceeds("floor of the constant rate above the power law's", last["power"], last["constant"]))
    table.append(_limit(floor))
    rest = float(floor.attrs["floor"])
    axes[0, 1].plot(
        floor.lr, floor.eg, color="black", linewidth=1.2, linestyle="--", label="stationary, N → ∞"
    )
    for ax in axes[0]:
        ax.axhline(rest, color="0.5", linewidth=0.9, linestyle=":", label=f"η → 0: {rest:.4f}")
        ax.plot([], [], "o", color="0.4", markerfacecolor="none", markersize=4, label=f"SGD, N = {N}")
        readable_log(ax, "x")
        ax.set(ylabel="generalisation error")
        ax.legend(frameon=False, fontsize="small")
    readable_log(axes[0, 0], "y")
    axes[0, 0].set(xlabel="time t = steps / N")
    axes[0, 1].set(xlabel="present learning rate η(t)")
    return data, figure, table


def _equations(lr: Schedule) -> HiddenManifoldODE:
    """Return the equations for N, D → ∞, from a start that is on its way to specialise."""
    return HiddenManifoldODE.continuum(
        delta=_DELTA,
        W0=np.diag([1.0, 0.9]),
        R0=0.1 * np.eye(2),
        T=np.eye(2),
        v0=np.ones(2),
        v_teacher=np.ones(2),
        f="sign",
        lr=lr,
        spectrum="orthogonal",
    )


def _floor(lrs: Vector) -> xr.Dataset:
    """Return the stationary error over the rate; its attribute `floor` is the limit at rate 0, from the first two."""
    late = [float(_equations(Constant(float(lr))).solve([400.0 / lr]).eg[0]) for lr in lrs]
    slope = (late[1] - late[0]) / (lrs[1] - lrs[0])
    return dataset(
        {"eg": late},
        along=lrs,
        dim="lr",
        label="learning rate",
        source="theory",
        settings={"delta": _DELTA, "F": "orthogonal", "t": "400/lr"},
        cite=("hidden-manifold",),
        floor=late[0] - slope * lrs[0],
        slope=slope,
    )


def _limit(floor: xr.Dataset) -> Row:
    """Return the line of the limit: where a power law ends that falls slowly enough to arrive."""
    law = Power(_LR, b=20.0, c=0.8)
    end = float(_equations(law).solve([_LATE]).eg[0])
    rate = float(law(_LATE))
    return Row(
        f"equations at t = {_LATE:g} with η = 1/(1 + t/20)^0.8, against the floor of η → 0",
        float(floor.attrs["floor"]),
        end,
        2.0 * float(floor.attrs["slope"]) * rate,
        f"twice the floor's slope times the rate that is left ({rate:.2g}): half of it is expected",
    )


CARDS = (
    Card(
        "annealing",
        WORK,
        "The error floor falls with the learning rate",
        "Generalisation error over time at a constant rate, after a drop, and along a power law, and over the present "
        "rate beside the stationary error; points: one-pass SGD, mean and spread over sample streams; lines: the "
        "equations from the same initial weights.",
        "Ours: sign data, orthogonal features, D/N = .1, K = M = 2, erf units, orthogonal teacher; N = 1000 (4000 at "
        "paper scale).",
        "none",
        annealing,
    ),
)
