"""Where Gaussian equivalence fails: clusters behind a one-layer generator, beside the theory that knows of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...data.draws import generator
from ...data.features import SampledFeatures
from ...experiments.diagnosis import KURTOSIS_RANGE
from ...experiments.full_batch import full_batch_curve
from ...ground.linear_algebra import product
from ...measure.equivalence.distances import excess_kurtosis
from ...networks.two_layer import TwoLayer
from ...plot.axes import COLOURS, readable_log
from ...plot.marks import error_bars
from ...theory import replica
from ..card import Card, Scale
from ..panels import panels
from ..reproduction import Parts, Row
from .power_law import WORK

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = ["CARDS", "clusters"]

Vector = npt.NDArray[np.float64]

#: Sets of fits; each has test examples of its own.
_SETS = 8
#: Standard deviation of the noise on the teacher's field, and the penalty.
_NOISE, _LAM = 0.5, 0.1


@dataclass(frozen=True)
class _Generator:
    """Latents in two clusters, pixels of one layer: x = erf(F c/sqrt 2), with rows of F of length one.

    Attributes
    ----------
    F
        Shape (p, D).
    distance
        Of either cluster's centre from the origin, along the first latent.
    widths
        Standard deviations of the latents in each cluster.
    shares
        Their probabilities.
    slant
        Cosine between teacher and the clusters' axis; the rest of it lies along the second latent.
    """

    F: Vector
    distance: float
    widths: tuple[float, float]
    shares: tuple[float, float]
    slant: float

    def draw(self, n: int, seed: int) -> tuple[Vector, Vector, npt.NDArray[np.bool_]]:
        """Return fields, features and clusters of n examples."""
        from scipy.special import erf

        stream = generator(seed, n)
        first = stream.random(n) < self.shares[0]
        latents = stream.standard_normal((n, self.F.shape[1]))
        latents *= np.where(first, *self.widths)[:, None]
        latents[:, 0] += np.where(first, self.distance, -self.distance)
        nu = self.slant * latents[:, 0] + math.sqrt(1.0 - self.slant**2) * latents[:, 1]
        nu += _NOISE * stream.standard_normal(n)
        return nu, erf(product(latents, self.F.T) / math.sqrt(2.0)), first

    def features(self) -> SampledFeatures:
        """Return the sampler of fits."""
        return SampledFeatures(lambda n, seed: self.draw(n, seed)[:2], p=len(self.F))

    def mixture(self, samples: int) -> replica.Mixture:
        """Return the clusters' moments, measured."""

        def batches() -> Iterator[tuple[Vector, Vector, npt.NDArray[np.bool_]]]:
            for number in range(samples // 10_000):
                # Seeds of fits are large random words.
                yield self.draw(10_000, number)

        return replica.Mixture.from_samples(batches(), shared=self.widths[0] == self.widths[1])


def clusters(scale: str | Scale = "small") -> Parts:
    """Return learning curves on clusters, with the theory of clusters and that of one Gaussian.

    Left logistic regression, the teacher along the clusters' axis; middle ridge regression on two clusters of unlike
    width; right logistic regression over the clusters' distance.
    """
    scale = Scale.of(scale)
    p, D, samples, draws = scale.pick(small=(300, 150, 100_000, 4), paper=(1000, 500, 300_000, 4))
    F = TwoLayer.random(p, D, seed=3).w
    F = F / np.sqrt((F**2).sum(axis=1))[:, None]
    figure, axes = panels(1, 3, width=4.2)
    data: dict[str, xr.Dataset] = {}
    table: list[Row] = []
    apart = _Generator(F, 2.0, (1.0, 1.0), (0.5, 0.5), 0.8)
    unlike = _Generator(F, 0.0, (2.0, 0.2), (0.3, 0.7), 1.0)
    alphas = np.array([0.5, 1.0, 2.0, 4.0])
    for ax, name, made, loss, error in (
        (axes[0, 0], "logistic", apart, "logistic", "test_error"),
        (axes[0, 1], "ridge", unlike, "ridge", "test_mse"),
    ):
        known = made.mixture(samples)
        options: dict[str, Any] = {"loss": loss, "lam": _LAM}
        runs = _runs(made, alphas, draws, **options)
        line = np.geomspace(0.4, 5.0, 25)
        theories: dict[str, replica.Mixture | replica.Spectrum] = {
            "clusters": known,
            "one Gaussian": known.gaussian_equivalent(),
        }
        curves = {key: replica.learning_curve(theory, line, **options) for key, theory in theories.items()}
        at = {key: replica.learning_curve(theory, runs.alpha, **options) for key, theory in theories.items()}
        _draw(ax, line, {key: curve[error].values for key, curve in curves.items()}, runs, error, p)
        data |= {f"{name}-runs": runs} | {
            f"{name}-{key.replace(' ', '-')}": curve for key, curve in curves.items()
        }
        table += _rows(
            f"{name}, alpha = {{:g}}",
            alphas,
            runs[error].values,
            *(at[key][error].values for key in theories),
            p=p,
        )
    found, rows = _over_distance(axes[0, 2], F, samples, draws)
    data["distance"] = found
    table += rows
    axes[0, 0].set(ylabel="test error (0/1)", title="logistic, clusters apart")
    axes[0, 1].set(ylabel="test mean squared error", title="ridge, clusters of unlike width")
    axes[0, 2].set(
        xlabel="distance of the clusters' centres from the origin",
        ylabel="test error (0/1)",
        title="logistic, α = 2",
    )
    return data, figure, table


def _runs(made: _Generator, alphas: npt.ArrayLike, draws: int, **options: Any) -> xr.Dataset:
    """Return fits over (alpha, set, seed): sets of `draws`, each with test examples of its own."""
    import xarray as xr

    sets = [
        full_batch_curve(made.features(), alphas, repeats=draws, test_size=20_000, seed=seed, **options)
        for seed in range(1, _SETS + 1)
    ]
    return xr.concat(sets, "set", combine_attrs="drop_conflicts").transpose("alpha", "set", "seed")


def _mean_and_error(values: Vector) -> tuple[float, float]:
    """Return mean and standard error of (sets, seeds): fits of one set share their test examples."""
    means = values.mean(axis=1)
    return float(means.mean()), float(means.std(ddof=1)) / math.sqrt(means.size)


def _rows(name: str, points: Vector, values: Vector, known: Vector, gaussian: Vector, *, p: int) -> list[Row]:
    """Return two lines a point: the theory of clusters agrees, that of one Gaussian does not."""
    rows = []
    for index, point in enumerate(points):
        mean, error = _mean_and_error(values[index])
        expected = float(known[index])
        rows.append(
            Row(
                name.format(point),
                expected,
                mean,
                max(0.03 * expected, 4.0 * error),
                f"3 %, or four standard errors of {values[index].size} fits at p = {p} ({4 * error:.2g})",
                chance=4.0 * error,
            )
        )
        rows.append(
            Row(
                f"how far one Gaussian is off, {name.format(point)}",
                0.1,
                abs(float(gaussian[index]) / mean - 1.0),
                0.0,
                "a statement of more: 10 % at least",
                side="above",
            )
        )
    return rows


def _draw(ax: Axes, line: Vector, curves: dict[str, Vector], runs: xr.Dataset, error: str, p: int) -> None:
    """Draw both theories over alpha, and the fits."""
    _theories(ax, line, curves)
    _fits(ax, runs.alpha.values, runs[error].values, p)
    readable_log(ax, "x")
    ax.set(xlabel="examples per feature  α = n/p", ylim=(0, None))
    ax.legend(frameon=False, fontsize="small")


def _theories(ax: Axes, line: Vector, curves: dict[str, Vector]) -> None:
    for (name, values), colour, style in zip(curves.items(), COLOURS, ("-", "--"), strict=False):
        ax.plot(line, values, color=colour, linestyle=style, label=f"theory of {name}")


def _fits(ax: Axes, points: Vector, values: Vector, p: int) -> None:
    """Draw means and standard errors of fits, values (points, sets, seeds)."""
    measured = np.array([_mean_and_error(each) for each in values])
    error_bars(
        ax,
        points,
        measured[:, 0],
        measured[:, 1],
        colour="black",
        face="white",
        label=f"{values[0].size} fits, p = {p}",
    )


def _over_distance(ax: Axes, F: Vector, samples: int, draws: int) -> tuple[xr.Dataset, list[Row]]:
    """Draw logistic regression at alpha = 2 over the clusters' distance; return the numbers and their lines."""
    import xarray as xr

    distances = np.array([0.0, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0])
    options: dict[str, Any] = {"loss": "logistic", "lam": _LAM}
    known, gaussian, values, kurtosis = [], [], [], []
    for distance in distances:
        made = _Generator(F, float(distance), (1.0, 1.0), (0.5, 0.5), 0.8)
        mixture = made.mixture(samples)
        theory = replica.solve(mixture, alpha=2.0, **options)
        one = replica.solve(mixture.gaussian_equivalent(), alpha=2.0, **options)
        runs = _runs(made, [2.0], draws, **options)
        known.append(theory.test_error)
        gaussian.append(one.test_error)
        values.append(runs.test_error.values[0])
        kurtosis.append(excess_kurtosis(made.draw(100_000, 1)[0]))
    data = xr.Dataset(
        {
            "clusters": ("distance", known),
            "one_gaussian": ("distance", gaussian),
            "test_error": (("distance", "set", "seed"), values),
            "kurtosis": ("distance", kurtosis),
        },
        coords={"distance": distances},
        attrs={"source": "theory"},
    )
    warned = np.array(kurtosis) < KURTOSIS_RANGE[0]
    ax.axvspan(float(distances[warned].min()), float(distances.max()), color="0.92", zorder=0)
    ax.annotate(
        "diagnose warns",
        (float(distances.max()), 0.97),
        xycoords=("data", "axes fraction"),
        ha="right",
        va="top",
        fontsize="small",
    )
    _theories(ax, distances, {"clusters": np.array(known), "one Gaussian": np.array(gaussian)})
    _fits(ax, distances, np.array(values), len(F))
    ax.set(ylim=(0, None))
    ax.legend(frameon=False, fontsize="small", loc="lower left")
    far = distances >= 1.5
    rows = _rows(
        "logistic, alpha = 2, distance {:g}",
        distances[far],
        np.array(values)[far],
        np.array(known)[far],
        np.array(gaussian)[far],
        p=len(F),
    )
    return data, rows


CARDS = (
    Card(
        "clusters",
        WORK,
        "Clusters, where one Gaussian is not enough",
        "Test error of logistic and of ridge regression over alpha, and over the distance of two clusters; points: "
        "fits on the output of a generator; lines: replica theory of clusters (solid) and of one Gaussian with the "
        "same covariances (dashed).",
        "Ours: latents in two clusters through one erf layer, moments measured on samples; logistic: centres at +-2, "
        "teacher at cosine .8 with their axis; ridge: widths 2 and .2, shares .3 and .7; noise .5, lam = .1; p = 300, "
        "D = 150 (1000, 500 at paper scale).",
        "none",
        clusters,
    ),
)
