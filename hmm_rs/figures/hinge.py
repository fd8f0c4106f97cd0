"""Figures of the hinge-loss study (Pellegrini & Biroli, NeurIPS 2020, arXiv:2006.11209).

The paper's full text was not at hand. The first figure follows its published caption; what the other
two show is known from the abstract, their parameters are ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from .. import plot
from ..data import LinearlySeparable
from ..dynamics import Particles
from ..networks.mean_field import MeanFieldNetwork
from ..theory import HingeMeanField
from .card import Card, Scale
from .reproduction import Parts, Row

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["CARDS", "lazy_and_rich", "mean_field_trajectories", "overfitting_gap"]

#: beta* / M = 10^3 / 400, our reading of the caption's learning rate.
_BETA = 2.5
_D = 100


def _theory(network: MeanFieldNetwork, **options: Any) -> HingeMeanField:
    """Return the mean field with the empirical C0 and C1 of a finite network."""
    a, w = network.a.astype(float), network.w[:, 0].astype(float)
    return HingeMeanField(network.d, C0=float((a * w).mean()), C1=float((a**2 + w**2).mean() / 2), **options)


def _panels(rows: int, columns: int) -> tuple[Figure, npt.NDArray[Any]]:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        rows, columns, figsize=(5.0 * columns, 3.8 * rows), layout="constrained", squeeze=False
    )
    return figure, axes


def mean_field_trajectories(scale: str | Scale = "small") -> Parts:
    """Return the first figure: ten a(t), ten w_par(t), gamma(t), satisfaction times.

    M = 400, d = 100, alpha = h = 1; N = 10^5 and 2000 steps at "paper", 10^4 and 300 at "small".
    """
    import xarray as xr

    scale = Scale.of(scale)
    N, steps = scale.pick(small=(10_000, 300), paper=(100_000, 2000))
    law = LinearlySeparable(_D)
    network = MeanFieldNetwork.random(400, _D, seed=1)
    X, y = law.sample(N, seed=1)
    engine = Particles(network, X, y, data=law, beta=_BETA, test_size=N, dtype="float32")
    result = scale.run("nodes", engine, steps)
    theory = _theory(network, beta=_BETA)
    exact = theory.gd(steps)
    a, w = theory.gd_nodes(steps, network.a[:10], network.w[:10, 0])
    figure, axes = _panels(2, 2)
    a_lines, w_lines = (xr.DataArray(x, dims=("t", "i"), coords={"t": exact.t}) for x in (a, w))
    plot.trajectories(result, a_lines, variable="a", ax=axes[0, 0])
    plot.trajectories(result, w_lines, variable="w_par", ax=axes[0, 1])
    plot.rotation(result, theory=theory, ax=axes[1, 0])
    plot.satisfaction(result, X[:, 0], theory, M=400, ax=axes[1, 1])
    table = [
        Row(
            f"gamma at step {step}",
            float(exact.gamma[step]),
            float(result.gamma.sel(t=step, method="nearest")),
            0.1 * float(exact.gamma[step]),
            f"finite N = {N} and M = 400 nodes",
        )
        for step in (20, 100, steps)
        if step in result.t
    ]
    return {"simulation": result, "theory": exact}, figure, table


def lazy_and_rich(scale: str | Scale = "small") -> Parts:
    """Return node trajectories on the (a, w_par) plane: rich, crossover and lazy output scales.

    A lazy network (alpha >> 1) is the most demanding: its output of order 1/alpha has to stand out against
    1/sqrt(M) and against the noise of a batch, so d is 20 here and beta small.
    """
    scale = Scale.of(scale)
    M, batch = scale.pick(small=(1000, 8000), paper=(10_000, 50_000))
    d, beta, steps = 20, 0.3, 150
    law = LinearlySeparable(d)
    network = MeanFieldNetwork.random(M, d, paired="odd", seed=1)
    figure, axes = _panels(1, 3)
    data: dict[str, xr.Dataset] = {}
    table = []
    for ax, alpha in zip(axes[0], (0.1, 1.0, 30.0), strict=True):
        options: dict[str, Any] = {"alpha": alpha, "beta": beta, "subtract_init": True}
        run = Particles(network, data=law, batch=batch, test_size=1000, dtype="float32", **options)
        result = scale.run(f"alpha-{alpha:g}", run, steps, save_at=range(0, steps + 1, 5))
        theory = _theory(network, **options)
        plot.particles(result, theory, ax=ax)
        ax.set_title(rf"$\alpha = {alpha:g}$")
        data[f"alpha={alpha:g}"] = result
        gamma = float(theory.gd(steps).gamma[-1])
        why = f"M = {M} nodes and batches of {batch}"
        table.append(Row(f"gamma at alpha={alpha:g}", gamma, float(result.gamma[-1]), 0.05 * abs(gamma), why))
    return data, figure, table


def overfitting_gap(scale: str | Scale = "small") -> Parts:
    """Return training and test curves on a finite training set, with the memorisation theory."""
    scale = Scale.of(scale)
    N = scale.pick(small=5000, paper=20_000)
    law = LinearlySeparable(_D)
    X, y = law.sample(N, seed=1)
    network = MeanFieldNetwork.random(400, _D, seed=1)
    engine = Particles(network, X, y, data=law, beta=_BETA, test_size=N, dtype="float32")
    result = scale.run("finite-set", engine, 3000)
    theory = HingeMeanField(_D, beta=_BETA).memorisation(N, result.t)
    figure, axes = _panels(1, 1)
    plot.overfitting(result, theory, ax=axes[0, 0])
    axes[0, 0].set_title(f"N = {N}", fontsize="medium")
    half = float(theory.attrs["t_end"]) / 2
    seen, expected = result.sel(t=half, method="nearest"), theory.sel(t=half, method="nearest")
    pairs = {
        "train unsatisfied at t_end/2": (expected.train_unsatisfied, seen.unsatisfied),
        "test unsatisfied at t_end/2": (expected.test_unsatisfied, seen.test_unsatisfied),
        "final gamma": (theory.gamma[-1], result.gamma[-1]),
        "end of training (rough)": (theory.attrs["t_end"], result.t[-1]),
    }
    why = "N is of order d^2: the edge of the theory's domain, whose end is a rough estimate"
    table = [
        Row(quantity, float(theory), float(run), 0.5 * abs(float(theory)), why)
        for quantity, (theory, run) in pairs.items()
    ]
    return {"simulation": result, "theory": theory}, figure, table


_WORK = "hinge mean field"
CARDS = (
    Card(
        "hinge-1",
        _WORK,
        "Nodes and rotation of the mean field",
        "Ten a(t) and ten w_par(t); gamma(t) with its linear start and log(t)/4; satisfaction times.",
        "M = 400, N = 10^5, d = 100, alpha = h = 1, beta* = 10^3, 2000 steps (N = 10^4, 300 steps at small scale).",
        "high",
        mean_field_trajectories,
    ),
    Card(
        "hinge-2",
        _WORK,
        "Lazy and rich trajectories",
        "Nodes in the (a, w_par) plane: straight lines when lazy, hyperbolas when rich.",
        "Ours: d = 20, beta = .3, alpha = .1, 1, 30; the published ones are not known.",
        "high",
        lazy_and_rich,
    ),
    Card(
        "hinge-3",
        _WORK,
        "Over-fitting of a finite training set",
        "Training and test fractions of unsatisfied examples over steps, with the memorisation theory.",
        "Ours: M = 400, d = 100, N = 20,000 (5000 at small scale); the published ones are not known.",
        "high",
        overfitting_gap,
    ),
)
