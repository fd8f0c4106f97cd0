"""Teacher fields with the features of full-batch learning: Gaussian in their eigenbasis, or from a sampler."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..ground.activations import CLOSED, UNITS
from ..ground.activations import activation as checked_activation
from ..ground.arguments import array, choice, count, function, number, seed_words, shown
from ..ground.description import Description
from ..ground.errors import DtypeError, InvalidParameterError, ShapeError
from ..ground.linear_algebra import eigh, product
from .latent import LatentModel

__all__ = ["GaussianFeatures", "SampledFeatures"]

Vector = npt.NDArray[np.float64]

#: Negative variances above this share of the largest are rounding.
_ROUNDING = 1e-8


class GaussianFeatures(Description):
    r"""Jointly Gaussian teacher field and features, in the eigenbasis of the features.

    Every loss with an L2 penalty is invariant under rotations, so nothing is lost by the basis.

    Parameters
    ----------
    omega
        Variances of the features, shape (p,).
    b
        :math:`b_i = E[\nu v_i]`, shape (p,).
    rho
        Variance of the teacher field, at least :math:`\sum_i b_i^2/\omega_i`.

    Examples
    --------
    >>> features = GaussianFeatures([1.0, 2.0], [0.3, 0.4], 1.0)
    >>> features.p
    2
    """

    omega: Vector
    b: Vector
    rho: float

    def __init__(self, omega: npt.ArrayLike, b: npt.ArrayLike, rho: float) -> None:
        variances = array("omega", omega, (None,))
        # What rounding has put below zero is zero, as in the spectra of the theory.
        rounding = (variances < 0) & (variances >= -_ROUNDING * variances.max())
        variances = np.where(rounding, 0.0, variances)
        if (variances < 0).any():
            raise InvalidParameterError(
                f"omega holds {variances.min():g}: variances must be >= 0; pass the eigenvalues of a covariance"
            )
        self._describe(
            omega=variances,
            b=array("b", b, variances.shape, rule="to match omega"),
            rho=number("rho", rho, minimum=0.0),
        )

    @property
    def p(self) -> int:
        """Number of features."""
        return int(self.omega.size)

    @classmethod
    def from_covariance(cls, Omega: npt.ArrayLike, b: npt.ArrayLike, rho: float) -> GaussianFeatures:
        r"""From the feature covariance (p, p), :math:`b = E[\nu v]` (p,) and the teacher's variance."""
        covariance = array("Omega", Omega, (None, None))
        if covariance.shape[0] != covariance.shape[1]:
            raise ShapeError(f"Omega has shape {covariance.shape}: must be square; pass a covariance (p, p)")
        vector = array("b", b, covariance.shape[:1], rule="to match Omega")
        values, vectors = eigh(covariance)
        return cls(np.maximum(values, 0.0), product(vectors.T, vector), rho)


class SampledFeatures:
    r"""Teacher field and features from a sampler: nonlinear features, deep generators, real data.

    Parameters
    ----------
    draw
        ``draw(n, seed) -> (nu, v)``: teacher fields (n,) and *centred* features (n, p), independent for
        different seeds.
    p
        Number of features.

    Notes
    -----
    Test errors are measured on fresh samples: for features that are not Gaussian the closed form is the very
    claim under test.
    """

    def __init__(self, draw: Callable[[int, int], tuple[npt.ArrayLike, npt.ArrayLike]], *, p: int) -> None:
        self.draw = function("draw", draw, "of (n, seed) that returns (nu, v)")
        self.p = count("p", p)

    @classmethod
    def from_model(
        cls,
        model: LatentModel,
        weights: npt.ArrayLike,
        *,
        teacher: npt.ArrayLike,
        activation: Literal["erf", "relu", "linear", "identity"] = "erf",
        labels: Literal["latent", "input"] = "latent",
        mean_samples: int = 100_000,
        seed: Any = 0,
    ) -> SampledFeatures:
        r"""Return the hidden layer of a network on a model of data as features.

        :math:`v = g(W x/\sqrt N) - E[\cdot]`. Random W gives random features; the first layer of a trained
        network (``sim.student.w`` after :class:`hmm_rs.OnlineSGD`) gives pre-learned ones.

        Parameters
        ----------
        model
            A model of data or a generator.
        weights
            W, shape (p, N).
        teacher
            Weights of the linear teacher: (D,) on the latents, :math:`\nu = h\cdot c/\sqrt D`, or (N,) on the inputs.
        activation
            g: "erf" (of u/√2), "relu" or "linear".
        labels
            "latent" or "input": what the teacher acts on.
        mean_samples
            Samples of the mean that centres the features.
        seed
            Names these samples and, with the number of a draw, all others.

        Examples
        --------
        >>> import hmm_rs as hr
        >>> model = hr.generators.random_layers([10, 20, 30], "erf")
        >>> W = np.random.default_rng(0).standard_normal((8, 30))
        >>> features = SampledFeatures.from_model(model, W, teacher=np.ones(10), mean_samples=1000)
        >>> nu, v = features.fields(5, 0)
        >>> nu.shape, v.shape
        ((5,), (5, 8))
        """
        if not isinstance(model, LatentModel):
            raise DtypeError(
                f"model = {model!r:.80}: must be a model of data; pass HiddenManifold(...) or a generator"
            )
        W = array("weights", weights, (None, model.N), rule="= (features, N)")
        unit = checked_activation("activation", activation, CLOSED)
        size = model.D if choice("labels", labels, ("latent", "input")) == "latent" else model.N
        h = array("teacher", teacher, (size,), rule=f"with labels={labels!r}")
        words = seed_words(seed).tolist()

        def hidden(X: npt.NDArray[Any]) -> Vector:
            return np.asarray(UNITS[unit].value(product(X, W.T) / math.sqrt(model.N)))

        mean, step = np.zeros(len(W)), 10_000
        total = count("mean_samples", mean_samples)
        for start in range(0, total, step):
            X = model.sample(min(step, total - start), seed=[*words, 0], start=start)[0]
            mean += hidden(X).sum(axis=0)
        mean /= total

        def draw(n: int, stream: int) -> tuple[Vector, Vector]:
            X, C = model.sample(n, seed=[*words, 1, stream])
            latents = C if labels == "latent" else X
            return np.asarray(product(latents, h) / math.sqrt(size), np.float64), hidden(X) - mean

        return cls(draw, p=len(W))

    def fields(self, n: int, seed: int) -> tuple[Vector, Vector]:
        """Return `n` checked teacher fields and features of stream `seed`."""
        drawn = self.draw(n, seed)
        if not isinstance(drawn, (tuple, list)) or len(drawn) != 2:
            raise DtypeError(
                f"draw({n}, {seed}) returned {shown(drawn)}: must be a pair (nu, v); return fields (n,) and features "
                f"(n, p)"
            )
        nu, v = drawn
        return array("nu", nu, (n,), rule="from draw"), array("v", v, (n, self.p), rule="from draw")
