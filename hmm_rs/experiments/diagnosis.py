"""When a prediction of the Gaussian model cannot be trusted: samples and theory looked at together."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..ground.arguments import array, count, number
from ..ground.errors import InvalidParameterError, ShapeError
from ..ground.linear_algebra import frobenius
from ..ground.losses import FULL_BATCH
from ..ground.losses import loss as checked_loss
from ..ground.record import Record
from ..measure.equivalence.distances import excess_kurtosis
from ..theory.replica.limits import separability_threshold
from ..theory.replica.spectrum import Spectrum, checked_spectrum

__all__ = ["diagnose"]

Vector = npt.NDArray[np.float64]

#: Below and above these excess kurtoses of the teacher field a classification prediction is off: at -0.34 the
#: 0/1 error is off by 8 %, at -1 by more than half. A rule of thumb, not a theorem.
KURTOSIS_RANGE = (-0.2, 1.0)
#: Scatter of the features' squared lengths, variance over squared mean, beyond that of one Gaussian, from which on
#: ridge regression is off by some 3 %: two widths with a scatter of 0.25 cost 8 %, with 0.64 a quarter. A rule of
#: thumb.
LARGEST_SCATTER = 0.1
#: What to do about examples that come in clusters.
_REMEDY = (
    "where examples come in clusters, pass replica.Mixture.from_samples(nu, v, clusters) to the theory in place of the "
    "spectrum"
)
#: Latent dimension below which corrections of order 1/D show.
SMALL_LATENT = 50
#: Monte Carlo samples per feature below which small eigenvalues are biased.
SAMPLES_PER_FEATURE = 100


def diagnose(
    spectrum: Spectrum | None = None,
    *,
    loss: Literal["ridge", "square", "squared", "logistic", "hinge"] | None = None,
    alpha: float | None = None,
    lam: float | None = None,
    flip: float = 0.0,
    nu: npt.ArrayLike | None = None,
    v: npt.ArrayLike | None = None,
    w: npt.ArrayLike | None = None,
    latents: int | None = None,
    n_samples: int | None = None,
    p: int | None = None,
) -> Record:
    r"""Say when a prediction of the Gaussian model cannot be trusted, and why.

    Every argument is optional; what is given is looked at.

    Parameters
    ----------
    spectrum
        The problem: :math:`\rho_{lin}\pi/2 > \rho` on labels means that no Gaussian teacher makes them.
    loss
        Classification losses need a Gaussian teacher field; "ridge" depends on second moments only.
    alpha, lam, flip
        Where the prediction is made: near the separability threshold at small penalty it is delicate.
    nu
        Samples of the teacher field: a bimodal one (negative excess kurtosis) breaks classification.
    v
        Independent samples of the features, shape (samples, p): lengths that scatter more than those of one Gaussian
        break every prediction, that of ridge regression too.
    w
        Weights: localised ones break the equivalence.
    latents
        Latent dimension D.
    n_samples, p
        Monte Carlo samples behind a covariance of p features.

    Returns
    -------
    Record
        ``trustworthy`` (bool), ``findings`` (sentences), and the numbers looked at.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> bimodal = np.sign(rng.standard_normal(10_000)) + 0.3 * rng.standard_normal(10_000)
    >>> diagnose(nu=bimodal, loss="logistic")["trustworthy"]
    False
    >>> diagnose(nu=bimodal, loss="ridge")["trustworthy"]
    True
    """
    name = None if loss is None else checked_loss("loss", loss, FULL_BATCH)
    alpha = None if alpha is None else number("alpha", alpha, minimum=0.0, exclusive=True)
    lam = None if lam is None else number("lam", lam, minimum=0.0)
    flip = number("flip", flip, minimum=0.0, maximum=0.5)
    labels = name != "ridge"
    findings: list[str] = []
    numbers: dict[str, float] = {}
    if nu is not None:
        _diagnose_field(array("nu", nu, (None,)), labels, numbers, findings)
    if v is not None:
        _diagnose_lengths(array("v", v, (None, None)), numbers, findings)
    if spectrum is not None:
        _diagnose_spectrum(checked_spectrum(spectrum), labels, alpha, lam, flip, numbers, findings)
    if w is not None:
        vector = array("w", w, (None,))
        numbers["delocalisation"] = float(np.abs(vector).max() / max(frobenius(vector), 1e-300))
        random = math.sqrt(2 * math.log(max(vector.size, 2)) / vector.size)
        if numbers["delocalisation"] > 3 * random:
            findings.append(
                f"one weight carries {numbers['delocalisation']:.2g} of the norm (random weights: {random:.2g}): "
                "its field is as far from Gaussian as a single input"
            )
    if latents is not None and count("latents", latents) < SMALL_LATENT:
        findings.append(f"latent dimension {latents} < {SMALL_LATENT}: corrections of order 1/D show")
    if n_samples is not None and p is not None:
        numbers["samples_per_feature"] = count("n_samples", n_samples) / count("p", p)
        if numbers["samples_per_feature"] < SAMPLES_PER_FEATURE:
            findings.append(
                f"covariance from {numbers['samples_per_feature']:.3g} samples per feature: at least "
                f"{SAMPLES_PER_FEATURE} are needed, small eigenvalues are biased down"
            )
        if lam is not None and lam < math.sqrt(p / n_samples) * 1e-2:
            findings.append(
                f"lam = {lam:g} is below the error of the sampled covariance: vanishing penalties amplify it"
            )
    return Record(
        {"trustworthy": not findings, "findings": findings, **numbers},
        source="theory",
        dim="verdict",
        along=[0],
        settings={"loss": name, "alpha": alpha, "lam": lam, "flip": flip},
    )


def _diagnose_field(nu: Vector, labels: bool, numbers: dict[str, float], findings: list[str]) -> None:
    """Look at the kurtosis of the teacher field."""
    numbers["kurtosis"] = excess_kurtosis(nu)
    numbers["kurtosis_error"] = math.sqrt(24 / nu.size)
    low, high = KURTOSIS_RANGE
    if labels and not low <= numbers["kurtosis"] <= high:
        bimodal = numbers["kurtosis"] < low
        shape = "bimodal" if bimodal else "heavy-tailed"
        unless = "" if bimodal else " unless lengths of the features scatter too (pass v)"
        findings.append(
            f"the teacher field has excess kurtosis {numbers['kurtosis']:.3g}, outside [{low}, {high}] ({shape}): "
            f"predictions of classification errors are off; those of ridge regression hold{unless}; {_REMEDY}"
        )


def _diagnose_lengths(v: Vector, numbers: dict[str, float], findings: list[str]) -> None:
    r"""Look at how much the squared lengths of features scatter.

    Those of a Gaussian have the relative variance :math:`2\,\mathrm{tr}\,\Omega^2/(\mathrm{tr}\,\Omega)^2`, and the
    squared product of two examples has the mean :math:`\mathrm{tr}\,\Omega^2`.
    """
    if len(v) < 2:
        raise ShapeError(f"v has shape {v.shape}: must hold two samples at least; pass more")
    size = float(np.abs(v).max())
    if size == 0.0:
        raise InvalidParameterError(
            "v is 0 everywhere: lengths that are 0 have no scatter; pass features that vary"
        )
    # The scatter is relative: squares of features in units of the largest stay in range.
    scaled = v / size
    lengths = (scaled**2).sum(axis=1)
    gaussian = 2.0 * float(((scaled[1:] * scaled[:-1]).sum(axis=1) ** 2).mean())
    numbers["scatter_of_lengths"] = (float(lengths.var()) - gaussian) / float(lengths.mean()) ** 2
    if numbers["scatter_of_lengths"] > LARGEST_SCATTER:
        findings.append(
            f"squared lengths of the features have a relative variance {numbers['scatter_of_lengths']:.2g} beyond that "
            f"of one Gaussian (above {LARGEST_SCATTER}): predictions are off, those of ridge regression too; {_REMEDY}"
        )


def _diagnose_spectrum(
    spectrum: Spectrum,
    labels: bool,
    alpha: float | None,
    lam: float | None,
    flip: float,
    numbers: dict[str, float],
    findings: list[str],
) -> None:
    """Look at the labels' covariance and at the distance from the separability threshold."""
    numbers["rho_lin"] = spectrum.rho_lin
    numbers["label_bound"] = spectrum.rho_lin * math.pi / 2 / spectrum.rho
    if labels and spectrum.from_labels and numbers["label_bound"] > 1:
        findings.append(
            f"rho_lin pi/2 is {numbers['label_bound']:.3g} times the mean square of the labels: "
            "no Gaussian teacher makes them; only ridge regression is predicted"
        )
    if labels and alpha is not None and lam is not None:
        numbers["separability_threshold"] = separability_threshold(spectrum, flip=flip)
        distance = abs(alpha / numbers["separability_threshold"] - 1)
        if distance < 0.05 and lam < 1e-3:
            findings.append(
                f"alpha = {alpha:g} is within 5 % of the separability threshold "
                f"{numbers['separability_threshold']:.4g} at lam = {lam:g}: finite sizes differ strongly there"
            )
