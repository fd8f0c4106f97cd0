"""Figures of the hinge-loss study (Pellegrini & Biroli, NeurIPS 2020, arXiv:2006.11209).

The paper's full text was not at hand. The first figure follows its published caption; what the other
two show is known from the abstract, their parameters are ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy.typing as npt

from .. import plot
from ..data import LinearlySeparable
from ..dynamics import Particles
from ..ground.arguments import choice
from ..networks.mean_field import MeanFieldNetwork
from ..theory import HingeMeanField

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["Row", "lazy_and_rich", "mean_field_trajectories", "overfitting_gap"]

#: beta* / M = 10^3 / 400, our reading of the caption's learning rate.
_BETA = 2.5
_D = 100


class Row(NamedTuple):
    """One line of a table "theory | simulation"."""

    quantity: str
    theory: float
    simulation: float


Reproduction = tuple[dict[str, "xr.Dataset"], "Figure", list[Row]]


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


def mean_field_trajectories(scale: str = "small") -> Reproduction:
    """Return the first figure: ten a(t), ten w_par(t), gamma(t), satisfaction times.

    M = 400, d = 100, alpha = h = 1; N = 10^5 and 2000 steps at "paper", 10^4 and 300 at "small".
    """
    import xarray as xr

    N, steps = (100_000, 2000) if choice("scale", scale, ("small", "paper")) == "paper" else (10_000, 300)
    law = LinearlySeparable(_D)
    network = MeanFieldNetwork.random(400, _D, seed=1)
    X, y = law.sample(N, seed=1)
    result = Particles(network, X, y, data=law, beta=_BETA, test_size=N, dtype="float32").run(steps)
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
        )
        for step in (20, 100, steps)
        if step in result.t
    ]
    return {"simulation": result, "theory": exact}, figure, table


def lazy_and_rich(scale: str = "small") -> Reproduction:
    """Return node trajectories on the (a, w_par) plane: rich, crossover and lazy output scales.

    A lazy network (alpha >> 1) is the most demanding: its output of order 1/alpha has to stand out against
    1/sqrt(M) and against the noise of a batch, so d is 20 here and beta small.
    """
    M, batch = (10_000, 50_000) if choice("scale", scale, ("small", "paper")) == "paper" else (1000, 8000)
    d, beta, steps = 20, 0.3, 150
    law = LinearlySeparable(d)
    network = MeanFieldNetwork.random(M, d, paired="odd", seed=1)
    figure, axes = _panels(1, 3)
    data: dict[str, xr.Dataset] = {}
    table = []
    for ax, alpha in zip(axes[0], (0.1, 1.0, 30.0), strict=True):
        options: dict[str, Any] = {"alpha": alpha, "beta": beta, "subtract_init": True}
        run = Particles(network, data=law, batch=batch, test_size=1000, dtype="float32", **options)
        result = run.run(steps, save_at=range(0, steps + 1, 5))
        theory = _theory(network, **options)
        plot.particles(result, theory, ax=ax)
        ax.set_title(rf"$\alpha = {alpha:g}$")
        data[f"alpha={alpha:g}"] = result
        gamma = float(theory.gd(steps).gamma[-1])
        table.append(Row(f"gamma at alpha={alpha:g}", gamma, float(result.gamma[-1])))
    return data, figure, table


def overfitting_gap(scale: str = "small") -> Reproduction:
    """Return training and test curves on a finite training set, with the memorisation theory."""
    N = 20_000 if choice("scale", scale, ("small", "paper")) == "paper" else 5000
    law = LinearlySeparable(_D)
    X, y = law.sample(N, seed=1)
    network = MeanFieldNetwork.random(400, _D, seed=1)
    result = Particles(network, X, y, data=law, beta=_BETA, test_size=N, dtype="float32").run(3000)
    theory = HingeMeanField(_D, beta=_BETA).memorisation(N, result.t)
    figure, axes = _panels(1, 1)
    plot.overfitting(result, theory, ax=axes[0, 0])
    axes[0, 0].set_title(f"N = {N}", fontsize="medium")
    half = float(theory.attrs["t_end"]) / 2
    seen, expected = result.sel(t=half, method="nearest"), theory.sel(t=half, method="nearest")
    table = [
        Row("train unsatisfied at t_end/2", float(expected.train_unsatisfied), float(seen.unsatisfied)),
        Row("test unsatisfied at t_end/2", float(expected.test_unsatisfied), float(seen.test_unsatisfied)),
        Row("final gamma", float(theory.gamma[-1]), float(result.gamma[-1])),
        Row("end of training (rough)", float(theory.attrs["t_end"]), float(result.t[-1])),
    ]
    return {"simulation": result, "theory": theory}, figure, table
