"""Neurons on the plane: their hyperplanes flow to the attractors of the informative axis."""

from __future__ import annotations

import math

import numpy as np

from ... import plot
from ...data import Stripe
from ...experiments import compression, ensemble
from ...measure.compression import neuron_points
from ...networks.mean_field import MeanFieldNetwork
from ...theory import attractors, neuron_flow
from ..allowance import paired_row
from ..card import Card, Scale
from ..panels import panels
from ..reproduction import Parts
from .setting import ALPHA, LAG, LAG_WHY, WORK, fastest, first_fit

__all__ = ["CARD", "neurons_on_the_plane"]

#: Output weights beyond which a neuron counts as active (the published code's mark).
_ACTIVE = 100.0


def neurons_on_the_plane(scale: str | Scale = "small") -> Parts:
    """Return the feet z_n of the neurons' hyperplanes at five times, with the attractors."""
    scale = Scale.of(scale)
    d, p, h, seeds = scale.pick(small=(5, 1000, 150, 6), paper=(10, 1000, 10_000, 6))
    data = Stripe(d)
    t_star = first_fit(d, h)
    times = np.array([0.0, 0.1, 0.3, 0.6, 0.9]) * t_star
    runs = ensemble(
        lambda seed: compression.neuron_trajectories(
            data, p, times, h=h, alpha=ALPHA, seed=seed, checkpoints=scale.folder
        ),
        seeds=seeds,
    )
    marks = attractors(d)
    figure, axes = panels(2, 3)
    for i, ax in enumerate(axes.ravel()[: len(times)]):
        plot.neuron_points(runs.isel(seed=0), time=i, attractors=marks, ax=ax)
        ax.set_title(rf"$t = {times[i] / t_star:g}\,t^*$")
        if i:
            ax.get_legend().remove()
    last = axes.ravel()[-1]
    growth = abs(runs.a.isel(seed=0))
    last.semilogy(times / t_star, growth.values, color="0.7", linewidth=0.5)
    last.semilogy(
        times / t_star, np.sqrt((growth**2).mean("i")), "k-", linewidth=1.6, label="root mean square"
    )
    start = float(np.sqrt((growth[-1] ** 2).mean()))
    point = fastest(d)
    rate = math.sqrt(2.0) * point["growth"] / h
    last.semilogy(
        times[1:] / t_star,
        start * np.exp(rate * (times[1:] - times[-1])),
        "--",
        color="C1",
        label="fastest attractor's rate",
    )
    last.set(xlabel="$t/t^*$", ylabel=r"output weight $|\beta_n|$")
    last.legend(frameon=False)

    feet, flows, rates, expected_rates, aligned = [], [], [], [], []
    for seed in range(seeds):
        run = runs.isel(seed=seed)
        network = MeanFieldNetwork.random(
            h, d, std_b=1.0, activation="sqrt2_relu", dtype="float32", seed=[seed, 1]
        )
        flow = neuron_flow(network, times[-2:], p=p, rtol=1e-4)
        end = MeanFieldNetwork(flow.a[-1], flow.w[-1], flow.bias[-1], activation="sqrt2_relu")
        chosen = (
            (np.abs(run.a[-1]) > _ACTIVE)
            & (run.w[-1, :, 0] * point["s"] > 0)
            & (run.a[-1] * point["beta_sign"] > 0)
        )
        feet.append(float(np.median(run.z[-1, chosen.values, 0])))
        flows.append(float(np.median(neuron_points(end)[chosen.values, 0])))
        size = np.log((run.a.values[-2:] ** 2).mean(axis=1)) / 2.0
        rates.append((size[1] - size[0]) / (times[-1] - times[-2]))
        expected_rates.append(float(np.diff(np.log(flow.beta.values))[0] / (times[-1] - times[-2])))
        aligned.append(float(np.sqrt((run.z[-1, chosen.values, 1:] ** 2).mean())))
    relaxing = abs(float(np.mean(flows)) - point["z"])
    hastening = abs(float(np.mean(expected_rates)) - rate)
    table = [
        paired_row(
            "foot of neurons near the fastest attractor, population flow at .9 t*",
            flows,
            feet,
            paper="neurons move to a few points of the informative axis (content high)",
        ),
        paired_row(
            "the same against the attractor",
            point["z"],
            feet,
            more=relaxing,
            because=f"and {relaxing:.3f} that the population flow is still away from it",
        ),
        paired_row(
            "growth rate of the output weights, population flow, times h",
            np.multiply(expected_rates, h),
            np.multiply(rates, h),
            more=LAG * float(np.mean(expected_rates)) * h,
            because=LAG_WHY,
        ),
        paired_row(
            "the same against the attractor's sqrt2 G",
            rate * h,
            np.multiply(rates, h),
            more=hastening * h + LAG * rate * h,
            because=f"{LAG_WHY} and {hastening * h:.3f} that the population flow differs from it",
        ),
    ]
    return {"simulation": runs}, figure, table


CARD = Card(
    "compression-neurons",
    WORK,
    "Neurons flow to attractors",
    "Feet z_n of the neurons' hyperplanes (informative axis across, one perpendicular component up) at five times "
    "before "
    "t*, with the attractors of the theory as stars; growth of the output weights.",
    "Stripe, p = 1000, h = 10^4, alpha = 10^-6, hinge; d = 10 is read off a file name (d = 5, h = 150 at small scale).",
    "medium",
    neurons_on_the_plane,
)
