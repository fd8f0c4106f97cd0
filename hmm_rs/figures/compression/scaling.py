"""Compression at the first fit against the number of examples."""

from __future__ import annotations

from functools import partial

import numpy as np

from ... import plot
from ...data import Stripe
from ...experiments import compression
from ..allowance import two_sample_row
from ..card import Card, Scale
from ..panels import panels
from ..reproduction import Parts, Row
from .setting import ALPHA, WORK, fastest, first_fit

__all__ = ["CARD", "compression_against_examples"]

_NAMES = {"ratio_of_rms": "lambda_star", "mean_of_rms": "lambda_star_mean_of_rms"}


def compression_against_examples(scale: str | Scale = "small") -> Parts:
    """Return Lambda*(p) in both conventions, with the one-neuron equations at the same sizes and the law sqrt p."""
    import xarray as xr

    scale = Scale.of(scale)
    sizes, seeds, h, draws, d = scale.pick(
        small=((128, 256, 512, 1024, 2048), 24, 200, 16, 5),
        paper=((128, 256, 512, 1024, 2048, 4096, 8192), 60, 1000, 60, 5),
    )
    data = Stripe(d)
    runs = compression.compression_scaling(
        d, sizes=sizes, seeds=seeds, h=h, alpha=ALPHA, checkpoints=scale.folder
    )
    times = np.concatenate([[0.0], np.linspace(0.6, 1.8, 40) * first_fit(d, h)])
    solve = partial(
        compression.single_neurons,
        data,
        times=times,
        h=h,
        alpha=ALPHA,
        draws=draws,
        neurons=40,
        rtol=1e-3,
        checkpoints=scale.folder,
    )
    solved = [solve(p)[["lambda_star", "lambda_star_mean_of_rms", "t_star"]] for p in sizes]
    theory = xr.concat(solved, dim="p", combine_attrs="drop_conflicts").assign_coords(
        p=list(map(float, sizes))
    )
    theory.attrs["source"] = "theory"
    law = float(fastest(d)["lambda_over_sqrtp"])

    figure, axes = panels(1, 2)
    table = []
    for ax, (convention, name) in zip(axes[0], _NAMES.items(), strict=True):
        shown = runs.assign(lambda_star=runs[f"lambda_star_{convention}"])
        plot.compression(shown, law=law, theory=theory[name], ax=ax)
        ax.text(0.97, 0.05, convention.replace("_", " "), transform=ax.transAxes, ha="right")
        seen = runs[f"lambda_star_{convention}"]
        for p in (sizes[1], sizes[-1]):
            table.append(
                two_sample_row(
                    f"ln Lambda* at p = {p} ({convention})",
                    np.log(theory[name].sel(p=p).values),
                    np.log(seen.sel(p=p).values),
                )
            )
        fits = [
            compression.fit_exponent(sizes, values.values, average="inverse_square")
            for values in (theory[name], seen)
        ]
        error = 3.0 * float(np.hypot(fits[0].error, fits[1].error))
        table.append(
            Row(
                f"slope of Lambda*(p) ({convention}), one-neuron equations",
                fits[0].exponent,
                fits[1].exponent,
                error,
                f"three bootstrap errors over {seeds} training sets and {draws} draws",
            )
        )
        away = abs(fits[0].exponent - 0.5)
        table.append(
            Row(
                f"slope of Lambda*(p) ({convention}), law",
                0.5,
                fits[1].exponent,
                3.0 * fits[1].error + away,
                f"three bootstrap errors over {seeds} training sets, and {away:.3f} by which the one-neuron equations "
                "differ from the law at these sizes",
                "Lambda* ~ sqrt p (abstract; high)" if convention == "mean_of_rms" else "",
                chance=3.0 * fits[1].error,
            )
        )
    return {"simulation": runs, "theory": theory}, figure, table


CARD = Card(
    "compression-scaling",
    WORK,
    "Compression against the number of examples",
    "Lambda* at t*, a tenth of the examples fitted, against p: every training set, their average, the one-neuron "
    "equations at the same sizes, and the law of the fastest attractor. Left: ratio of root mean squares, the theory's "
    "convention; right: the published one, the mean of the components' root mean squares below the line.",
    "Stripe, alpha = 10^-6, hinge, fraction .1 (published); d = 5, h = 1000, p = 128 to 8192, 60 training sets (h "
    "= 200, "
    "p to 2048, 24 sets at small scale) are ours.",
    "high",
    compression_against_examples,
)
