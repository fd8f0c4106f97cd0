"""Gaussian covariates, figure 3: logistic regression on features that a network has learnt before."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ... import plot
from ...data.generators import digits_flow
from ...dynamics import OnlineSGD
from ...experiments.full_batch import full_batch_curve
from ...networks.two_layer import TwoLayer
from ...theory import replica
from ..card import Card, Scale
from ..panels import panels
from ..reproduction import Parts, Row
from .full_batch import features_of, rows_of, spectrum_of, teacher_of

__all__ = ["CARD", "make"]

_LAM = 0.01


def make(scale: str | Scale = "small") -> Parts:
    """Return test error and training loss over n/p <= .5 for features before and after learning.

    p = 250 and 4 10^4 samples of the covariance at "small", p = 1000 and 10^6 at "paper"; 10 draws a point.
    """
    scale = Scale.of(scale)
    p, samples = scale.pick(small=(250, 40_000), paper=(1000, 1_000_000))
    return _made(p=p, samples=samples, alphas=(0.06, 0.12, 0.2, 0.35, 0.5), repeats=10, t_max=200.0)


def _made(*, p: int, samples: int, alphas: Sequence[float], repeats: int, t_max: float) -> Parts:
    import xarray as xr

    model = digits_flow()
    sim = OnlineSGD(
        model,
        teacher_of(model),
        student=TwoLayer.random(p, model.N, v=p**-0.5, seed=13),
        # Each of p units moves by 1/sqrt(p) of what a single one would.
        lr=5.0,
        test_size=1000,
        seed=14,
    )
    stages = [0.0, t_max]
    line = np.geomspace(min(alphas), max(alphas), 30)
    figure, axes = panels(1, 2)
    table: list[Row] = []
    fits, lines = [], []
    for t in stages:
        sim.advance(round(t * model.N) - sim.step)
        features = features_of(model, sim.student.w)
        spectrum = spectrum_of(features, samples)
        simulation = full_batch_curve(
            features, alphas, loss="logistic", lam=_LAM, repeats=repeats, test_size=20_000, seed=3
        )
        at_points = replica.learning_curve(spectrum, simulation.alpha, loss="logistic", lam=_LAM)
        table += rows_of(f"features at t = {t:g}", simulation, at_points, ("test_error", "train_loss"))
        fits.append(simulation)
        lines.append(replica.learning_curve(spectrum, line, loss="logistic", lam=_LAM))
    data = {
        name: xr.concat(several, "learnt", combine_attrs="drop_conflicts").assign_coords(learnt=stages)
        for name, several in (("simulation", fits), ("theory", lines))
    }
    for ax, name in zip(axes[0], ("test_error", "train_loss"), strict=True):
        plot.learning_curve(
            data["simulation"], data["theory"], variable=name, labels=["fits", "replica"], bars=True, ax=ax
        )
    return data, figure, table


CARD = Card(
    "gaussian-covariates-3",
    "Gaussian equivalence",
    "Logistic regression on learnt features",
    "Test error and training loss over examples per feature, n/p, for the first layer of a network before and after it "
    "has learnt (legend: its time); points: fits, mean and spread over draws; lines: replica theory with the features' "
    "covariances.",
    "Published: DCGAN of CIFAR10, network of widths 3072, 3072, 3072 trained for up to 200 epochs, lam = .01, n/p from "
    ".01 to .5, 10 seeds, covariances from 10^6 samples. Ours: the flow trained on digits, erf features of an online "
    "student, p = 1000 (250 at small scale), the same lam and seeds.",
    "high",
    make,
    "The weights of the published generator and network are an external download.",
)
