"""Trained generators that come with the package, beside the equations with their covariances."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ...data.generators import digits_convolutional, digits_flow
from ...data.latent import LatentModel
from ...measure.equivalence import test_gaussian_equivalence
from ...theory import CovarianceODE
from ..card import Card, Scale
from ..panels import panels
from ..reproduction import Parts, Row
from .online import draw, engine_of, rows, streams

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["CARD", "make"]

_GENERATORS = {"flow": digits_flow, "convolutional": digits_convolutional}
_BECAUSE = (
    "first order in the fields' skewness and kurtosis, sqrt(2/6) and sqrt(2/24) of them, which bounds size and "
    "leaves the sign open: these fields are not Gaussian"
)


def make(scale: str | Scale = "small") -> Parts:
    """Return eps_g(t) of K = M = 2 on a flow and on a convolutional generator, both trained on digits (N = 64).

    12 sample streams and t <= 300 at "small", 64 and t <= 1000 at "paper".
    """
    scale = Scale.of(scale)
    t_max, seeds, samples = scale.pick(small=(300.0, 12, 100_000), paper=(1000.0, 64, 1_000_000))
    return _made(scale, t_max=t_max, seeds=seeds, samples=samples)


def _made(scale: Scale, *, t_max: float, seeds: int, samples: int) -> Parts:
    figure, axes = panels(1, 2)
    data: dict[str, xr.Dataset] = {}
    table: list[Row] = []
    for ax, (name, make_generator) in zip(axes[0], _GENERATORS.items(), strict=True):
        model = make_generator()
        runs = streams(scale, name, model, t_max=t_max, seeds=seeds)
        sim = engine_of(model, 0)
        equations = CovarianceODE.from_simulation(sim, covariances=model.covariances(samples, seed=2))
        theory = equations.solve(np.geomspace(0.1, t_max, 200))
        draw(runs, theory, [ax])
        ax.set_title(f"{name}, D = {model.D}", fontsize="medium")
        data[f"{name} simulation"], data[f"{name} theory"] = runs, theory
        table += rows(
            f"{name}: ", runs, equations, _non_gaussian(model, t_max) * equations.solve(runs.t).eg, _BECAUSE
        )
    return data, figure, table


def _non_gaussian(model: LatentModel, t_max: float) -> float:
    r"""Return how far the fields' third and fourth cumulants move the error, relative to it.

    To first order (Edgeworth) they change the mean of h = Delta^2/2 by kappa_3/6 E[He_3 h] + kappa_4/24 E[He_4 h], and
    |E[He_n h]| <= sqrt(n!) std(h), with std(h) = sqrt(2) E[h] for a residual Delta that is nearly Gaussian.
    """
    sim = engine_of(model, 0, test_size=1)
    sim.run(t_max, save_at=[t_max])
    weights = np.concatenate([sim.initial_student.w, sim.student.w])
    fields = test_gaussian_equivalence(
        model, weights, teacher=sim.teacher.w, n_samples=20_000, directions=0, mmd_samples=200
    )
    third, fourth = float(abs(fields.skewness).max()), float(abs(fields.excess_kurtosis).max())
    return third * math.sqrt(2.0 / 6.0) + fourth * math.sqrt(2.0 / 24.0)


CARD = Card(
    "gaussian-equivalence-trained",
    "Gaussian equivalence",
    "Learning from trained generators",
    "Generalisation error over time on two trained generators; points: one-pass SGD, mean and spread over sample "
    "streams; lines: the equations with covariances estimated from samples.",
    "K = M = 2, lr = .2, erf units, both layers trained. Published: a DCGAN (D = 100) and a real NVP (D = 3072) "
    "trained on CIFAR10, N = 3072; ours: a flow (D = 64) and a convolutional generator (D = 20) trained on digits, "
    "N = 64 pixels.",
    "high",
    make,
    "The published weights and covariances are not at hand; at N = 64 single runs scatter far more.",
)
