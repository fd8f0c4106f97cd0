"""The one-neuron equations beside the network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ... import plot
from ...data import Stripe
from ...experiments import compression, ensemble
from ...plot.axes import COLOURS
from ..allowance import two_sample_row
from ..card import Card, Scale
from ..panels import panels
from ..reproduction import Parts
from .setting import ALPHA, LAG, LAG_WHY, WORK, first_fit

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["CARD", "one_neuron_equations"]

_WORDS = {"omega_1": r"$\omega_1$", "omega_perp": r"$\omega_i$", "b": "$b$", "beta": r"$\beta$"}


def one_neuron_equations(scale: str | Scale = "small") -> Parts:
    """Return root-mean-square weights over time: of networks on training sets, and of one-neuron equations."""
    scale = Scale.of(scale)
    d, p, h, seeds, draws = scale.pick(small=(5, 1024, 150, 10, 20), paper=(10, 4096, 1000, 20, 100))
    data = Stripe(d)
    t_star = first_fit(d, h)
    times = np.linspace(0.0, 0.9, 10) * t_star

    def make(seed: int) -> xr.Dataset:
        run = compression.neuron_trajectories(
            data, p, times, h=h, alpha=ALPHA, seed=seed, checkpoints=scale.folder
        )
        squares = {
            "omega_1": (run.w[..., 0] ** 2).mean("i"),
            "omega_perp": (run.w[..., 1:] ** 2).mean(("i", "j")),
            "b": (run.bias**2).mean("i"),
            "beta": (run.a**2).mean("i"),
        }
        return run.assign({name: np.sqrt(square) for name, square in squares.items()})[list(squares)]

    runs = ensemble(make, seeds=seeds)
    fine = np.linspace(0.0, 0.9, 37) * t_star
    theory = compression.single_neurons(
        data, p, fine, h=h, alpha=ALPHA, draws=draws, checkpoints=scale.folder
    )
    figure, axes = panels(1, 1)
    ax = axes[0, 0]
    table = []
    for (name, words), colour in zip(_WORDS.items(), COLOURS, strict=False):
        seen, solved = (np.log(each[name].transpose("t", "seed").values) for each in (runs, theory))
        plot.mean_over_seeds(runs, name, average="geometric", log="y", label=words, colour=colour, ax=ax)
        middle, error = solved.mean(axis=1), solved.std(axis=1, ddof=1) / draws**0.5
        ax.plot(fine, np.exp(middle), color=colour, linewidth=1.4)
        ax.fill_between(fine, np.exp(middle - error), np.exp(middle + error), color=colour, alpha=0.2)
        for i in (3, 9):
            at = int(np.argmin(np.abs(fine - times[i])))
            lag = LAG * abs(float(middle[at] - middle[0]))
            table.append(
                two_sample_row(
                    f"ln rms {name} at {times[i] / t_star:.1f} t*",
                    solved[at],
                    seen[i],
                    more=lag,
                    because=f"and {lag:.3f}: {LAG_WHY}",
                )
            )
    ax.plot([], [], color="0.3", linewidth=1.4, label="one-neuron equations")
    ax.set(xlabel="code time", ylabel="root mean square over neurons")
    ax.legend(frameon=False, fontsize="small")
    return {"simulation": runs, "theory": theory}, figure, table


CARD = Card(
    "compression-one-neuron",
    WORK,
    "One-neuron equations",
    "Root mean squares of omega_1, omega_i, b and beta over the neurons of trained networks (circles: geometric "
    "mean and "
    "standard error over training sets) and of the one-neuron equations (lines: over draws of their noise).",
    "Stripe; d = 10, p = 4096, h = 1000 (d = 5, p = 1024, h = 150 at small scale) are ours; start N(0, 1) as "
    "published.",
    "high",
    one_neuron_equations,
)
