"""Compression in time: its rise while the loss is linear, and what becomes of it."""

from __future__ import annotations

import numpy as np

from ... import plot
from ...data import Stripe
from ...experiments import compression
from ...ground.results import dataset
from ...plot.axes import COLOURS
from ..allowance import two_sample_row
from ..card import Card, Scale
from ..panels import panels
from ..reproduction import Parts
from .setting import ALPHA, LAG, LAG_WHY, WORK, first_fit

__all__ = ["CARD", "compression_in_time"]


def compression_in_time(scale: str | Scale = "small") -> Parts:
    """Return Lambda(t) of several runs until every example is fitted, with the one-neuron equations up to t*."""
    scale = Scale.of(scale)
    d, p, h, seeds, draws = scale.pick(small=(5, 512, 200, 8, 16), paper=(10, 1000, 10_000, 8, 40))
    data = Stripe(d)
    t_star = first_fit(d, h)
    times = np.linspace(0.0, 1.6 * t_star, 41)
    theory = compression.single_neurons(
        data, p, times, h=h, alpha=ALPHA, draws=draws, checkpoints=scale.folder
    )
    runs = [
        compression.compression_curve(
            data, p, h=h, alpha=ALPHA, seed=seed, max_steps=30_000, checkpoints=scale.folder
        )
        for seed in range(seeds)
    ]

    figure, axes = panels(1, 2)
    ax = axes[0, 0]
    plot.compression_curve(runs[0], ax=ax)
    for run in runs[1:]:
        ax.plot(run.t[1:], run["compression"][1:], color="0.75", linewidth=0.7, zorder=0)
    before = theory.sel(t=slice(1e-9, float(theory.t_star.median())))
    log = np.log(before["compression"].transpose("t", "seed").values)
    middle, width = log.mean(axis=1), log.std(axis=1, ddof=1)
    ax.fill_between(before.t, np.exp(middle - width), np.exp(middle + width), color=COLOURS[4], alpha=0.3)
    ax.plot(before.t, np.exp(middle), color=COLOURS[4], linewidth=1.4, label="one-neuron equations, ± 1 sd")
    ax.legend(frameon=False, fontsize="small")
    shares = axes[0, 1]
    for i, run in enumerate(runs):
        style = {"color": COLOURS[0], "linewidth": 1.4} if i == 0 else {"color": "0.75", "linewidth": 0.7}
        shares.plot(run.t[1:], run.satisfied[1:], label="satisfied" if i == 0 else None, **style)
        style["color"] = COLOURS[1] if i == 0 else "0.75"
        shares.plot(run.t[1:], run.test_error[1:], label="test error" if i == 0 else None, **style)
    shares.axhline(0.1, color="0.4", linestyle=":", linewidth=1.0)
    shares.set(xscale="log", xlabel="code time", ylabel="fraction")
    shares.legend(frameon=False)

    table = []
    for share in (0.2, 0.5, 0.8):
        t = float(times[np.argmin(abs(times - share * t_star))])
        seen = [float(np.interp(t, run.t, np.log(run["compression"]))) for run in runs]
        lag = LAG * abs(float(np.log(theory["compression"].sel(t=t).values).mean()))
        table.append(
            two_sample_row(
                f"ln Lambda at {share:g} of the predicted t*",
                np.log(theory["compression"].sel(t=t).values),
                seen,
                more=lag,
                because=f"and {lag:.3f}: {LAG_WHY}",
            )
        )
    lag = LAG * float(theory.t_star.mean())
    table.append(
        two_sample_row(
            "t*, a tenth of the examples fitted",
            theory.t_star.values,
            [run.attrs.get("t_star", np.nan) for run in runs],
            more=lag,
            because=f"and {lag:.0f}: {LAG_WHY}",
            paper=f"t* ~ h ln(1/alpha), leading logarithm {t_star:.0f}",
        )
    )
    kept = {
        f"simulation, seed {seed}": dataset(
            {name: run[name].values for name in ("compression", "satisfied", "test_error")},
            along=run.t.values,
            label="code time",
            source="simulation",
            settings={"data": repr(data), "p": p, "h": h, "alpha": ALPHA, "seed": seed},
            cite=("geometric-compression",),
        )
        for seed, run in enumerate(runs)
    }
    return kept | {"theory": theory}, figure, table


CARD = Card(
    "compression-time",
    WORK,
    "Compression in time",
    "Lambda(t) with t* and the ends of the regimes, one run in colour and seven more in grey, with the one-neuron "
    "equations up to t* (mean and standard deviation over training sets); fractions of fitted examples and test error.",
    "Stripe, p = 1000, h = 10^4, alpha = 10^-6, hinge, d = 10 (d = 5, p = 512, h = 200 at small scale).",
    "medium",
    compression_in_time,
)
