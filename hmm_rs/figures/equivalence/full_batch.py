"""Full-batch learning on a deep generator's features: simulated points on the replica theory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from ... import plot
from ...data.features import SampledFeatures
from ...data.generators import random_layers
from ...data.latent import LatentModel
from ...experiments.full_batch import agreement, full_batch_curve
from ...networks.two_layer import TwoLayer
from ...theory import replica
from ..card import Card, Scale
from ..panels import panels
from ..reproduction import Parts, Row

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["CARD", "features_of", "make", "rows_of", "spectrum_of", "teacher_of"]

_LOSSES: tuple[tuple[Literal["ridge", "logistic"], tuple[str, str]], ...] = (
    ("ridge", ("test_mse", "train_mse")),
    ("logistic", ("test_error", "train_loss")),
)


def teacher_of(model: LatentModel) -> TwoLayer:
    """Return the direction on the latents that labels follow, as a network of one unit."""
    return TwoLayer.random(1, model.D, seed=11)


def features_of(model: LatentModel, weights: npt.ArrayLike, *, seed: int = 0) -> SampledFeatures:
    """Return erf features of a model, with a linear teacher on its latents."""
    return SampledFeatures.from_model(
        model, weights, teacher=teacher_of(model).w[0], activation="erf", seed=seed
    )


def spectrum_of(features: SampledFeatures, samples: int) -> replica.Spectrum:
    """Return the spectrum that enters the theory, from samples of the same features."""

    def batches() -> Iterator[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
        size = 10_000
        for number in range(max(1, samples // size)):
            # Streams of the draws begin elsewhere.
            yield features.fields(min(size, samples), 10**9 + number)

    return replica.Spectrum.from_samples(batches())


def rows_of(name: str, simulation: xr.Dataset, theory: xr.Dataset, observables: Sequence[str]) -> list[Row]:
    """Return first, middle and last point of some observables."""
    judged = agreement(simulation, theory)
    repeats, p = simulation.sizes["seed"], int(simulation.attrs["p"])
    points = dict.fromkeys((0, judged.sizes["alpha"] // 2, judged.sizes["alpha"] - 1))
    return [
        Row(
            f"{name}: {observable} at n/p = {float(judged.alpha[i]):.3g}",
            float(judged.theory.sel(observable=observable)[i]),
            float(judged.simulation.sel(observable=observable)[i]),
            float(judged.allowed.sel(observable=observable)[i]),
            f"4 standard errors over {repeats} draws and the bias of p = {p}, measured on Gaussian features "
            "(.5/p of an error or loss of labels, 2/p relative of others)",
            "points on the line (medium)",
        )
        for observable in observables
        for i in points
    ]


def make(scale: str | Scale = "small") -> Parts:
    """Return test and training errors of ridge and logistic regression over n/p.

    p = 200 features of a generator of widths 100, 200, 256 and 20 draws a point at "small"; p = 1024, widths 100, 512,
    1024 and 20 draws at "paper".
    """
    scale = Scale.of(scale)
    widths, p, samples = scale.pick(
        small=((100, 200, 256), 200, 40_000), paper=((100, 512, 1024), 1024, 400_000)
    )
    return _made(widths=widths, p=p, samples=samples, alphas=(0.25, 0.5, 1.0, 1.5, 2.0, 3.0), repeats=20)


def _made(*, widths: Sequence[int], p: int, samples: int, alphas: Sequence[float], repeats: int) -> Parts:
    model = random_layers(widths, "tanh", seed=1)
    features = features_of(model, TwoLayer.random(p, model.N, seed=2).w)
    spectrum = spectrum_of(features, samples)
    figure, axes = panels(2, 2, height=3.2)
    data: dict[str, xr.Dataset] = {}
    table: list[Row] = []
    for row, (loss, observables) in zip(axes, _LOSSES, strict=True):
        simulation = full_batch_curve(
            features, alphas, loss=loss, lam=0.1, repeats=repeats, test_size=20_000, seed=3
        )
        line = np.geomspace(min(alphas), max(alphas), 40)
        theory = replica.learning_curve(spectrum, line, loss=loss, lam=0.1)
        for ax, name in zip(row, observables, strict=True):
            plot.learning_curve(
                simulation, theory, variable=name, labels=["fits", "replica"], bars=True, ax=ax
            )
            ax.set_title(loss, fontsize="medium")
        at_points = replica.learning_curve(spectrum, simulation.alpha, loss=loss, lam=0.1)
        table += rows_of(loss, simulation, at_points, observables)
        data[f"{loss} simulation"], data[f"{loss} theory"] = simulation, theory
    return data, figure, table


CARD = Card(
    "gaussian-equivalence-full-batch",
    "Gaussian equivalence",
    "Full-batch learning on a deep generator",
    "Test and training errors of ridge and of logistic regression over examples per feature, n/p; points: fits, mean "
    "and spread over draws; lines: replica theory with the features' covariances.",
    "Published: features of a DCGAN, random projections and sign, 1024 to 1024, 2048, 4096. Ours: erf features of "
    "three random tanh layers, lam = .1; p = 1024, or 200 at small scale.",
    "medium",
    make,
    "The trained DCGAN and its parameters are not at hand.",
)
