"""Second figure: nodes on the (a, w_par) plane, from rich to lazy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ... import plot
from ...data import LinearlySeparable
from ...dynamics import Particles
from ...experiments import ensemble
from ...networks.mean_field import MeanFieldNetwork
from ...theory import HingeMeanField
from ..allowance import paired_row
from ..card import Card, Scale
from ..panels import panels
from ..reproduction import Parts
from .setting import WORK, theory_of

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["CARD", "lazy_and_rich"]

_D, _BETA, _STEPS = 20, 0.3, 150


def lazy_and_rich(scale: str | Scale = "small") -> Parts:
    """Return node trajectories on the (a, w_par) plane: rich, crossover and lazy output scales.

    A lazy network (alpha >> 1) is the most demanding: its output of order 1/alpha has to stand out against
    1/sqrt(M) and against the noise of a batch, so d is 20 here and beta small.
    """
    scale = Scale.of(scale)
    M, batch = scale.pick(small=(1000, 4000), paper=(10_000, 50_000))
    law = LinearlySeparable(_D)
    figure, axes = panels(1, 3)
    data: dict[str, xr.Dataset] = {}
    table = []
    for ax, alpha in zip(axes[0], (0.1, 1.0, 30.0), strict=True):
        options: dict[str, Any] = {"alpha": alpha, "beta": _BETA, "subtract_init": True}

        def make(seed: int, options: dict[str, Any] = options) -> xr.Dataset:
            network = MeanFieldNetwork.random(M, _D, paired="odd", seed=seed)
            engine = Particles(
                network, data=law, batch=batch, test_size=1000, dtype="float32", seed=seed, **options
            )
            key = f"alpha-{options['alpha']:g}-{seed}"
            result = scale.run(key, engine, _STEPS, save_at=range(0, _STEPS + 1, 5))
            expected = theory_of(network, **options).gd(_STEPS).gamma.values[::5]
            return result.assign(gamma_theory=("t", expected))

        runs = ensemble(make, seeds=range(1, 5))
        network = MeanFieldNetwork.random(M, _D, paired="odd", seed=1)
        theory = theory_of(network, **options)
        plot.particles(runs.isel(seed=0), theory, ax=ax)
        ax.set_title(rf"$\alpha = {alpha:g}$")
        data[f"alpha={alpha:g}"] = runs
        table += [
            paired_row(
                f"gamma at alpha = {alpha:g}, step {step}",
                runs.gamma_theory.sel(t=step).values,
                runs.gamma.sel(t=step).values,
                more=_smearing(theory, M, step),
                because=f"and {_smearing(theory, M, step):.3f}: outputs of width {M} smear the threshold",
            )
            for step in (50, _STEPS)
        ]
    return data, figure, table


def _smearing(theory: HingeMeanField, M: int, step: int) -> float:
    """Return the rotation by which fluctuations of the output at width M may change the speed.

    The speed is E[|x| 1(|x| < chi)]; a spread sigma of chi changes it by (sigma/chi)^2 of what examples near the
    threshold contribute, at most all of it; sigma/chi = (alpha/h) sqrt(V/M), V what is left of the fluctuation after
    the constant and the linear modes.
    """
    gamma = float(theory.gd(step).gamma[-1])
    end, start = (float(theory.fluctuations([g], M, xpar=0.0).var_node[0]) for g in (gamma, 0.0))
    spread = abs(end - start) * (1.0 - 2.0 / math.pi) / 2.0 / M
    return gamma * spread * (theory.alpha / theory.h) ** 2


CARD = Card(
    "hinge-2",
    WORK,
    "Lazy and rich trajectories",
    "Nodes in the (a, w_par) plane: straight lines when lazy, hyperbolas when rich.",
    "Ours: d = 20, beta = .3, alpha = .1, 1, 30, M = 10^4 (1000 at small scale); the published ones are not known.",
    "high",
    lazy_and_rich,
)
