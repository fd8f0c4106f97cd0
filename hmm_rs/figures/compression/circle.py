"""The tangent kernel on a circle, before and after training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ... import kernels, plot
from ...experiments import compression, ensemble
from ...ground.results import dataset
from ...networks.mean_field import MeanFieldNetwork
from ...theory import neuron_flow
from ..allowance import two_sample_row
from ..card import Card, Scale
from ..panels import panels
from ..reproduction import Parts, Row
from .setting import ALPHA, WORK

if TYPE_CHECKING:
    import numpy.typing as npt
    import xarray as xr

__all__ = ["CARD", "kernel_of_a_circle"]

#: Neurons of one draw of the one-neuron equations.
_NEURONS = 60


def kernel_of_a_circle(scale: str | Scale = "small") -> Parts:
    """Return the kernel on a circle at the start, at the first fit and at the end of training on the stripe, d = 2.

    Theory: the kernel of infinite width at the start; at the first fit that of neurons which moved by the one-neuron
    equations, each draw with its own noise of a training set.
    """
    scale = Scale.of(scale)
    p, points, h, seeds, draws, steps = scale.pick(
        small=(256, 60, 300, 8, 12, 4000), paper=(1000, 100, 10_000, 10, 40, 100_000)
    )

    def make(seed: int) -> xr.Dataset:
        run = compression.circle_kernel(
            p, points=points, h=h, alpha=ALPHA, seed=seed, max_steps=steps, checkpoints=scale.folder
        )
        return run.assign(t_star=float(run.attrs["t_star"]))

    runs = ensemble(make, seeds=seeds)
    angles = runs.phi.values
    circle = np.sqrt(2.0) * np.column_stack([np.cos(angles), np.sin(angles)])
    t_star = float(runs.t_star.mean())
    moved = np.array([_one_draw(number, p, h, t_star, circle) for number in range(draws)])
    theory = dataset(
        {"initial": _scaled(kernels.ntk(circle)), "first_fit": moved.mean(axis=0)},
        along=angles,
        dim="phi",
        label="angle from the informative axis",
        units="rad",
        source="theory",
        settings={"p": p, "h": h, "draws": draws},
        cite=("geometric-compression",),
        dims=dict.fromkeys(("initial", "first_fit"), ("phi", "phi2")),
    )
    figure, axes = panels(1, 2)
    for ax, origin in zip(axes[0], (0.0, np.pi / 2), strict=True):
        plot.circle_kernel(runs, theory=theory, origin=origin, ax=ax)
    return {"simulation": runs, "theory": theory}, figure, _rows(runs, theory, moved)


def _scaled(kernel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(kernel / np.diag(kernel).mean())


def _one_draw(
    number: int, p: int, h: int, t: float, circle: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the kernel at time `t` of one draw of neurons and noise."""
    start = MeanFieldNetwork.random(_NEURONS, 2, std_b=1.0, activation="sqrt2_relu", seed=[number, 5])
    # A set of Gaussian numbers that belongs to the draw: those of a data description.
    noise = MeanFieldNetwork.random(1, 2, seed=[number, 6]).w[0]
    end = neuron_flow(start, [t * _NEURONS / h], p=p, noise=noise, rtol=1e-3).isel(t=-1)
    moved = MeanFieldNetwork(end.a.values, end.w.values, end.bias.values, activation="sqrt2_relu")
    return _scaled(kernels.network_ntk(moved, circle))


def _rows(runs: xr.Dataset, theory: xr.Dataset, moved: npt.NDArray[np.float64]) -> list[Row]:
    """Return lines for a few entries of the kernel."""
    count = runs.sizes["phi"]
    places = {"0": 0, "pi/2": count // 4, "pi": count // 2}
    pairs = (("0", "0"), ("0", "pi/2"), ("0", "pi"), ("pi/2", "pi/2"))
    return [
        two_sample_row(
            f"Theta({first}, {second}) {words}",
            np.full(2, float(theory.initial[places[first], places[second]]))
            if name == "initial"
            else moved[:, places[first], places[second]],
            runs[name][:, places[first], places[second]].values,
            paper="the kernel becomes anisotropic (published code; high)" if name != "initial" else "",
        )
        for name, words in (("initial", "at the start"), ("first_fit", "at t*"))
        for first, second in pairs
    ]


CARD = Card(
    "compression-circle",
    WORK,
    "Tangent kernel on a circle",
    "Theta(0, phi) and Theta(pi/2, phi) over the angle, at the start, at t* and at the end of training: mean and "
    "standard "
    "error over networks; lines: infinite width at the start, one-neuron equations at t*.",
    "Stripe, d = 2, 100 points at radius sqrt2 (published code); p = 1000, h = 10^4 (60 points, p = 256, h = 300 "
    "at small "
    "scale) are ours.",
    "high",
    kernel_of_a_circle,
    "There is no theory of the kernel at the end of training.",
)
