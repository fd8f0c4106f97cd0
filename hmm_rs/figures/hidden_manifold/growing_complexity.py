"""Figure 8: students of growing size follow one curve, then leave it one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ... import plot
from ...data import HiddenManifold
from ...dynamics import OnlineSGD
from ...experiments import ensemble
from ...experiments.increasing_complexity import increasing_complexity
from ...networks.two_layer import TwoLayer
from ...theory import HiddenManifoldODE, solve_many
from ..allowance import exceeds, over_seeds
from ..card import Card, Scale
from ..finite_size import NEGLECTED, neglected
from ..panels import panels
from ..reproduction import Parts, Row

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["CARD", "make"]

_LR, _STD = 0.2, 1e-3


def make(scale: str | Scale = "small") -> Parts:
    """Return eps_g(t) for K = 1..8 on a teacher of M = 10 units, N = 500, D = 25; and the like on digits.

    Six seeds and t <= 300 at "small", ten and t <= 1000 at "paper"; digits twenty times as long.
    """
    scale = Scale.of(scale)
    t_max, seeds = scale.pick(small=(300.0, 6), paper=(1000.0, 10))
    return _made(
        scale, N=500, D=25, M=10, Ks=tuple(range(1, 9)), t_max=t_max, seeds=seeds, t_digits=20 * t_max
    )


def _made(
    scale: Scale, *, N: int, D: int, M: int, Ks: Sequence[int], t_max: float, seeds: int, t_digits: float
) -> Parts:
    times = np.geomspace(0.5, t_max, 25)
    model, teacher = HiddenManifold(N, D, f="sign", seed=1), TwoLayer.random(M, D, seed=2)

    def engine(K: int, seed: int) -> OnlineSGD:
        student = TwoLayer.random(K, N, std_w=_STD, std_v=_STD, seed=3)
        return OnlineSGD(model, teacher, student=student, lr=_LR, train_second_layer=True, seed=seed)

    def simulated(seed: int) -> xr.Dataset:
        return _over_widths(
            [scale.run(f"K-{K}-stream-{seed}", engine(K, seed), t_max, save_at=times) for K in Ks], Ks
        )

    runs = ensemble(simulated, seeds=seeds)
    systems = [HiddenManifoldODE.from_simulation(engine(K, 0)) for K in Ks]
    theory = _over_widths(solve_many(systems, np.geomspace(0.5, t_max, 150)), Ks)
    at_runs = _over_widths(solve_many(systems, runs.t), Ks)
    widths = [K for K in (1, 2, 4, 8) if K in Ks]
    digits = ensemble(lambda seed: _digits(widths, t_digits, seed), seeds=seeds)
    figure, axes = panels(1, 2, width=5.0, height=4.0)
    plot.learning_curve(runs, theory, labels=["SGD", "equations"], ax=axes[0, 0])
    plot.learning_curve(digits, variable="train_mse", ax=axes[0, 1])
    left_out = {K: float(neglected(engine(K, 0), [t_max]).eg[0]) for K in Ks}
    table = _table(runs, at_runs, left_out) + _digit_rows(digits)
    return {"simulation": runs, "equations": theory, "digits": digits}, figure, table


def _over_widths(results: Sequence[xr.Dataset], Ks: Sequence[int]) -> xr.Dataset:
    """Return the errors of students of several widths along K."""
    import xarray as xr

    joined = xr.concat([result[["eg"]] for result in results], "K", combine_attrs="drop_conflicts")
    return joined.assign_coords(K=("K", list(Ks), {"long_name": "hidden units of the student"}))


def _digits(Ks: Sequence[int], t_max: float, seed: int) -> xr.Dataset:
    """Return training errors on even and odd digits, from small weights."""
    times = np.geomspace(0.5, t_max, 25)
    result = increasing_complexity(K=Ks, t_max=t_max, lr=_LR, std_w=0.1, std_v=0.1, save_at=times, seed=seed)
    return result[["train_mse", "test_mse"]]


def _table(runs: xr.Dataset, theory: xr.Dataset, left_out: dict[int, float]) -> list[Row]:
    """Return the end of every second curve."""
    end = float(runs.t[-1])
    return [
        over_seeds(
            f"eps_g of K = {K} at t = {end:g}",
            theory.eg.sel(K=K).isel(t=-1),
            runs.eg.sel(K=K).isel(t=-1),
            neglected=left_out[K],
            because=NEGLECTED,
            paper="larger students end lower (high)",
        )
        for K in list(left_out)[:: max(1, len(left_out) // 4)]
    ]


def _digit_rows(digits: xr.Dataset) -> list[Row]:
    """Return whether the smallest student ends above every other."""
    errors = digits.train_mse.isel(t=-1)
    smallest = errors.isel(K=0)
    return [
        exceeds(
            f"digits: training error of K = {float(smallest.K):g} at the end, against K = {K:g}",
            errors.sel(K=K),
            smallest,
            paper="larger students end lower (high)",
        )
        for K in digits.K.values[1:]
    ]


CARD = Card(
    "hidden-manifold-8",
    "hidden manifold",
    "Functions of increasing complexity",
    "Generalisation error over time of students with K = 1..8 units: all follow one curve, larger ones leave it later "
    "and end lower. (a) hidden manifold, points: one-pass SGD, mean and spread over sample streams, lines: equations "
    "from the same initial weights; (b) training error on scikit-learn's digits, even against odd.",
    "Teacher of M = 10, N = 500, D = 25, lr = .2, sign data, erf units, both layers trained from weights of size .001. "
    "Digits: lr = .2, weights of size .1, ours.",
    "high",
    make,
    "MNIST, Fashion-MNIST and CIFAR10 are not part of the package: digits take their place "
    "(hmm_rs.experiments.increasing_complexity takes local files).",
)
