"""The numbers of a learning problem that enter the theory."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ... import _lib
from ...ground.arguments import array, count, flag, iterable, number
from ...ground.display import as_table
from ...ground.errors import InvalidParameterError, ShapeError
from ...ground.linear_algebra import gram, product
from ...ground.overflow import finite, within_range
from .moments import Moments

__all__ = ["FAR", "Spectrum", "checked_spectrum"]

Vector = npt.NDArray[np.float64]

#: Covariances beyond this, or below its inverse, leave the range of floats when they are decomposed.
FAR = 1e140


@dataclass(frozen=True, eq=False, repr=False)
class Spectrum:
    r"""The numbers of a learning problem that enter the theory.

    Parameters
    ----------
    omega
        Eigenvalues of the feature covariance :math:`\Omega`, shape (atoms,), each >= 0. Those below
        1e-12 of the largest count as zero, and so do negative ones of rounding size (1e-8 of it).
    weight
        Multiplicity of each over p, shape (atoms,), adding up to 1.
    t
        :math:`\sum (u_i\cdot b)^2` over the eigenvectors of each atom, :math:`b = E[\nu v]`, shape (atoms,).
    rho
        Variance of the teacher field, > 0. The part linear in the features,
        :math:`\rho_{lin} = \sum_j t_j/\omega_j`, cannot exceed it.

    Raises
    ------
    InvalidParameterError
        Negative or non-finite numbers, weights that do not add up to 1 within 1e-9, ``rho_lin > rho``.
    ShapeError
        Arrays of different lengths.
    """

    omega: Vector
    weight: Vector
    t: Vector
    rho: float
    #: Whether `rho` and `t` come from labels instead of a teacher field (:meth:`from_data`).
    from_labels: bool = field(default=False, kw_only=True)

    def __init__(
        self,
        omega: npt.ArrayLike,
        weight: npt.ArrayLike,
        t: npt.ArrayLike,
        rho: float,
        *,
        from_labels: bool = False,
    ) -> None:
        made = _lib.replica_spectrum(
            array("omega", omega, (None,)),
            array("weight", weight, (None,)),
            array("t", t, (None,)),
            number("rho", rho),
        )
        self._take(made, flag("from_labels", from_labels))

    def _take(self, made: Mapping[str, Any], from_labels: bool) -> None:
        """Store a spectrum that the core has checked."""
        for name in ("omega", "weight", "t"):
            values = made[name]
            values.setflags(write=False)
            object.__setattr__(self, name, values)
        object.__setattr__(self, "rho", made["rho"])
        object.__setattr__(self, "from_labels", from_labels)

    @classmethod
    def _made(cls, made: Mapping[str, Any], *, from_labels: bool = False) -> Spectrum:
        spectrum = object.__new__(cls)
        spectrum._take(made, from_labels)
        return spectrum

    def __repr__(self) -> str:
        numbers = f"rho={self.rho:.6g}, rho_lin={self.rho_lin:.6g}, rank={self.rank:.6g}"
        return f"Spectrum({self.omega.size} atoms, {numbers})"

    def _repr_html_(self) -> str:
        rows = {"omega": self.omega, "weight": self.weight, "t": self.t, "rho": self.rho}
        return as_table("Spectrum", {**rows, "rho_lin": self.rho_lin, "rank": self.rank}.items())

    @property
    def rho_lin(self) -> float:
        """Variance of the best linear predictor of the teacher field from the features."""
        seen = self.omega > 0
        return float((self.t[seen] / self.omega[seen]).sum())

    @property
    def rank(self) -> float:
        """Rank of the covariance over p."""
        return float(self.weight[self.omega > 0].sum())

    @property
    def atoms(self) -> tuple[Vector, Vector, Vector, float]:
        """The tuple (omega, weight, t, rho)."""
        return (self.omega, self.weight, self.t, self.rho)

    @classmethod
    def from_matrices(
        cls, Psi: npt.ArrayLike, Omega: npt.ArrayLike, Phi: npt.ArrayLike, theta: npt.ArrayLike
    ) -> Spectrum:
        r"""From covariances of teacher features u (k) and student features v (p).

        Parameters
        ----------
        Psi, Omega, Phi
            :math:`E uu^T` (k, k), :math:`E vv^T` (p, p), :math:`E uv^T` (k, p).
        theta
            Teacher weights, shape (k,): :math:`\rho = \theta^T\Psi\theta/k` and
            :math:`b = \Phi^T\theta/\sqrt k`.

        Examples
        --------
        >>> spectrum = Spectrum.from_matrices([[1.0]], [[1.0, 0.0], [0.0, 2.0]], [[0.3, 0.4]], [1.0])
        >>> round(spectrum.rho_lin, 12)
        0.17
        """
        weights = array("theta", theta, (None,))
        k = weights.size
        features = array("Omega", Omega, (None, None))
        cross = array("Phi", Phi, (k, features.shape[0]), rule="(teacher features, student features)")
        teacher = array("Psi", Psi, (k, k), rule="to match theta")
        # einsum, not BLAS: the bits of a prediction do not depend on how many threads numpy has.
        with within_range("Psi, Phi and theta"):
            rho = float(np.einsum("i,ij,j->", weights, teacher, weights)) / k
            b = np.einsum("ij,i->j", cross, weights) / math.sqrt(k)
        return cls.from_b(features, finite("Phi and theta", b), finite("Psi and theta", rho))

    @classmethod
    def from_b(cls, Omega: npt.ArrayLike, b: npt.ArrayLike, rho: float) -> Spectrum:
        r"""From the feature covariance (p, p), :math:`b = E[\nu v]` (p,) and the teacher's variance.

        The eigen-decomposition is one call of a library: an interrupted one (p = 2000 takes seconds) gives the
        prompt back at once and finishes in the background.

        Examples
        --------
        >>> Spectrum.from_b([[1.0, 0.0], [0.0, 2.0]], [0.3, 0.4], 1.0).t.round(12).tolist()
        [0.09, 0.16]
        """
        features = array("Omega", Omega, (None, None))
        if features.shape[0] != features.shape[1]:
            raise ShapeError(f"Omega has shape {features.shape}: must be square; pass a covariance (p, p)")
        vector = array("b", b, (features.shape[0],), rule="to match Omega")
        largest = float(np.abs(features).max())
        if not 1.0 / FAR < largest < FAR:
            raise InvalidParameterError(
                f"Omega: its largest entry is {largest:.3g}: must be between {1.0 / FAR:g} and {FAR:g}; rescale the "
                f"features to variances of order one"
            )
        return cls._made(_lib.replica_spectrum_from_covariance(features, vector, number("rho", rho)))

    @classmethod
    def from_samples(
        cls,
        nu: npt.NDArray[Any] | Sequence[float] | Iterable[tuple[npt.ArrayLike, npt.ArrayLike]],
        v: npt.ArrayLike | None = None,
    ) -> Spectrum:
        """From samples of teacher field and features, in one piece or as batches.

        Means are subtracted; covariances divide by the number of samples and are merged pairwise (Chan),
        so that a generator of batches needs no more memory than the covariance. Use at least 100 p
        samples; small eigenvalues are biased down, so avoid vanishing penalties.

        Parameters
        ----------
        nu, v
            Fields (n,) and features (n, p); or an iterable of such pairs as the only argument.

        Examples
        --------
        >>> rng = np.random.default_rng(0)
        >>> v = rng.standard_normal((4000, 3))
        >>> spectrum = Spectrum.from_samples([(v[:1000, 0], v[:1000]), (v[1000:, 0], v[1000:])])
        >>> round(spectrum.rho_lin / spectrum.rho, 6)
        1.0
        """
        example = "pairs (nu, v) of fields and features, or both arrays: from_samples(nu, v)"
        batches: Iterable[Any] = [(nu, v)] if v is not None else iterable("nu", nu, example)
        moments: Moments | None = None
        for batch in batches:
            try:
                field_values, feature_values = batch
            except (TypeError, ValueError):
                raise ShapeError(
                    f"samples hold {type(batch).__name__} where a pair (nu, v) is needed; "
                    "pass batches (nu, v) or both arrays: from_samples(nu, v)"
                ) from None
            features = array("v", feature_values, (None, None if moments is None else moments.size - 1))
            fields = array("nu", field_values, (features.shape[0],), rule="to match v")
            joint = np.column_stack([features, fields])
            if moments is None:
                moments = Moments(joint.shape[1])
            with within_range("nu and v"):
                moments.add(joint)
        if moments is None or moments.count < 2:
            raise ShapeError("samples has fewer than 2 rows: a covariance needs more; pass more samples")
        covariance = moments.covariance
        return cls.from_b(covariance[:-1, :-1], covariance[:-1, -1], float(covariance[-1, -1]))

    @classmethod
    def from_data(cls, v: npt.ArrayLike, y: npt.ArrayLike) -> Spectrum:
        r"""From a real data set, taken as the whole universe of examples.

        :math:`\Omega = V^TV/n_{tot}`, :math:`b = V^Ty/n_{tot}`, :math:`\rho = \overline{y^2}`. Ridge
        regression on n << n_tot of its rows then has its error over *all* rows predicted, training rows
        included: compare with ``(1 - n/n_tot) held_out + (n/n_tot) train``.

        Parameters
        ----------
        v
            Features, shape (n_tot, p); their mean is subtracted.
        y
            Targets, shape (n_tot,); not centred.
        """
        features = array("v", v, (None, None))
        targets = array("y", y, (features.shape[0],), rule="to match v")
        total = features.shape[0]
        with within_range("v and y"):
            features = features - features.mean(axis=0)
            rho = float((targets * targets).sum()) / total
        made = cls.from_b(
            finite("v", gram(features.T) / total),
            finite("v and y", product(features.T, targets) / total),
            rho,
        )
        object.__setattr__(made, "from_labels", True)
        return made

    @classmethod
    def random_features(
        cls, y: float, kappa: tuple[float, float], rho: float = 1.0, *, nodes: int = 400
    ) -> Spectrum:
        r"""Random features :math:`\sigma(Fz)` of infinite size, teacher linear in the latent z.

        Parameters
        ----------
        y
            Aspect ratio p/D.
        kappa
            :math:`(\kappa_1, \kappa_*)` of the activation: :math:`\kappa_1 = E[\xi\sigma(\xi)]`,
            :math:`\kappa_*^2 = E\sigma^2 - (E\sigma)^2 - \kappa_1^2`.
        rho
            Variance of the teacher field.
        nodes
            Atoms of the quadrature over the Marchenko-Pastur law.

        Examples
        --------
        >>> spectrum = Spectrum.random_features(1.5, (0.7978845608, 0.6028102749))
        >>> round(float(spectrum.weight @ spectrum.omega), 9)  # sign features have unit variance
        1.0
        """
        kappa1, kappa_star = array("kappa", kappa, (2,), rule="(kappa1, kappa_star)")
        return cls._made(
            _lib.replica_spectrum_random_features(
                number("y", y),
                float(kappa1),
                float(kappa_star),
                number("rho", rho),
                count("nodes", nodes),
            )
        )


def checked_spectrum(value: Any) -> Spectrum:
    """Return `value` if it is a spectrum."""
    if not isinstance(value, Spectrum):
        raise InvalidParameterError(
            f"spectrum = {value!r:.80}: must be a replica.Spectrum; pass Spectrum(omega, weight, t, rho)"
        )
    return value
