"""Features in clusters: the numbers of a learning problem where one Gaussian is not enough."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from ...ground.arguments import array, flag, iterable, reals, shown, whole_numbers
from ...ground.description import Description
from ...ground.display import as_table
from ...ground.errors import InvalidParameterError, ShapeError
from ...ground.linear_algebra import is_positive_definite
from ...ground.memory import require
from ...ground.overflow import within_range
from .covariate import Covariate, covariate
from .moments import Moments
from .spectrum import FAR, Spectrum

__all__ = ["Mixture"]

Array = npt.NDArray[np.float64]

#: Largest violation of a covariance matrix that counts as rounding, relative to its diagonal.
_ROUNDING = 1e-8
#: Variance of a field, over its squared mean, below which it is constant.
_CONSTANT = 1e-24


class Mixture(Description):
    r"""Features and teacher field that are Gaussian within each of several clusters.

    Given cluster c, of probability :math:`p_c`, the features are :math:`v\sim N(\mu_c,\Omega_c)`, and the teacher's
    field is Gaussian with mean :math:`M_c`, variance :math:`\rho_c` and :math:`\mathrm{Cov}(\nu, v) = b_c`. It goes
    where a :class:`Spectrum` goes in :func:`solve` and :func:`learning_curve`.

    Parameters
    ----------
    probability
        :math:`p_c`, shape (C,), > 0, adding up to 1 within 1e-9.
    mean
        :math:`\mu_c`, shape (C, p). Nothing is subtracted: learners here have no intercept, so centre the features
        as a whole (:meth:`from_samples` does).
    Omega
        :math:`\Omega_c`, shape (C, p, p); or (p, p), one covariance of all clusters. They need not commute; where
        they do a point takes milliseconds, else some inverses of matrices.
    b
        :math:`b_c`, shape (C, p): covariance, not second moment, of field and features within the cluster.
    nu
        :math:`M_c`, shape (C,). With ``rho = 0`` the cluster decides the label: classification of clusters.
    rho
        :math:`\rho_c`, shape (C,), >= 0.

    Raises
    ------
    InvalidParameterError
        Probabilities that do not add up to 1; a joint covariance of features and field that is none.
    ShapeError
        Arrays that do not fit.

    Examples
    --------
    Two clusters around +-a, the teacher along their axis:

    >>> import numpy as np
    >>> from hmm_rs.theory import replica
    >>> axis = np.zeros(50)
    >>> axis[0] = 1.0
    >>> clusters = replica.Mixture(
    ...     [0.5, 0.5], [2 * axis, -2 * axis], np.eye(50), b=[axis, axis], nu=[2.0, -2.0], rho=[1.4, 1.4]
    ... )
    >>> one = clusters.gaussian_equivalent()
    >>> [round(replica.solve(s, loss="logistic", alpha=2.0, lam=0.1).test_error, 3) for s in (clusters, one)]
    [0.051, 0.137]
    """

    probability: Array
    mean: Array
    Omega: Array
    b: Array
    nu: Array
    rho: Array

    def __init__(
        self,
        probability: npt.ArrayLike,
        mean: npt.ArrayLike,
        Omega: npt.ArrayLike,
        b: npt.ArrayLike,
        nu: npt.ArrayLike,
        rho: npt.ArrayLike,
    ) -> None:
        shares = array("probability", probability, (None,))
        clusters = shares.size
        if not ((shares > 0) & (shares <= 1)).all() or abs(float(shares.sum()) - 1.0) > 1e-9:
            raise InvalidParameterError(
                f"probability = {shares.tolist()!s:.80}: must be > 0 and add up to 1 within 1e-9; pass shares"
            )
        means = array("mean", mean, (clusters, None), rule="= (clusters, features)")
        p = means.shape[1]
        shared = reals("Omega", Omega).ndim == 2
        covariances = array(
            "Omega", Omega, (p, p) if shared else (clusters, p, p), rule="= (p, p) or (clusters, p, p)"
        )
        cross = array("b", b, (clusters, p), rule="= (clusters, features)")
        fields = array("nu", nu, (clusters,), rule="to match probability")
        variances = array("rho", rho, (clusters,), rule="to match probability")
        for c in range(clusters):
            _check(c, covariances if shared else covariances[c], cross[c], float(variances[c]))
        self._describe(probability=shares, mean=means, Omega=covariances, b=cross, nu=fields, rho=variances)

    def __repr__(self) -> str:
        which = "one covariance" if self.Omega.ndim == 2 else "a covariance each"
        return f"Mixture({self.clusters} clusters, p={self.p}, {which})"

    def _repr_html_(self) -> str:
        rows = {name: getattr(self, name) for name in ("clusters", "p", "probability", "nu", "rho")}
        return as_table("Mixture", rows.items())

    @property
    def clusters(self) -> int:
        """Number of clusters C."""
        return int(self.probability.size)

    @property
    def p(self) -> int:
        """Number of features."""
        return int(self.mean.shape[1])

    @property
    def field_variance(self) -> float:
        """Variance of the teacher's field over all clusters."""
        shares = self.probability
        centre = float((shares * self.nu).sum())
        return float((shares * (self.rho + (self.nu - centre) ** 2)).sum())

    def gaussian_equivalent(self) -> Spectrum:
        """Return the spectrum of one Gaussian with the same covariances: what fails where clusters matter.

        Means over all clusters are subtracted, of the features and of the field.

        Examples
        --------
        >>> clusters = Mixture([0.5, 0.5], [[1.0], [-1.0]], [[1.0]], b=[[0.5], [0.5]], nu=[1.0, -1.0], rho=[1.0, 1.0])
        >>> one = clusters.gaussian_equivalent()
        >>> float(one.omega[0]), float(one.t[0]), one.rho
        (2.0, 2.25, 2.0)
        """
        shares = self.probability
        away = self.mean - (shares[:, None] * self.mean).sum(axis=0)
        field = self.nu - float((shares * self.nu).sum())
        within = self.Omega if self.Omega.ndim == 2 else np.einsum("c,cij->ij", shares, self.Omega)
        return Spectrum.from_b(
            within + np.einsum("c,ci,cj->ij", shares, away, away),
            (shares[:, None] * (self.b + field[:, None] * away)).sum(axis=0),
            self.field_variance,
        )

    @classmethod
    def from_samples(
        cls,
        nu: npt.ArrayLike | Iterable[tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike]],
        v: npt.ArrayLike | None = None,
        clusters: npt.ArrayLike | None = None,
        *,
        shared: bool = False,
    ) -> Mixture:
        r"""From samples of teacher field, features and cluster, in one piece or as batches.

        The mean of all features is subtracted; the field is left as it is, because labels are its signs. Means and
        covariances of n samples scatter: :math:`|\mu_c|^2` comes out too large by
        :math:`\mathrm{tr}\,\Omega_c/n_c`, and small eigenvalues too small by a share :math:`\sqrt{p/n_c}`. Use at
        least 100 p samples of the rarest cluster, and no vanishing penalties.

        Parameters
        ----------
        nu, v, clusters
            Fields (n,), features (n, p) and whole numbers (n,), one for each cluster, in ascending order in the
            result; or an iterable of such triples as the only argument.
        shared
            Give all clusters one covariance of features and field, the mean one: less scatter and much faster, right
            where clusters differ by their means only.

        Examples
        --------
        >>> rng = np.random.default_rng(0)
        >>> y = np.where(rng.random(4000) < 0.5, 1, -1)
        >>> v = y[:, None] * [1.0, 0.0] + rng.standard_normal((4000, 2))
        >>> clusters = Mixture.from_samples(v[:, 0], v, y)
        >>> clusters.mean[:, 0].round(1).tolist()
        [-1.0, 1.0]
        """
        example = "triples (nu, v, clusters), or the arrays: from_samples(nu, v, clusters)"
        batches: Iterable[Any] = [(nu, v, clusters)] if v is not None else iterable("nu", nu, example)
        found: dict[int, Moments] = {}
        size: int | None = None
        for batch in batches:
            fields, features, labels = _triple(batch, size)
            size = features.shape[1]
            joint = np.column_stack([features, fields])
            for label in np.unique(labels).tolist():
                moments = found.setdefault(int(label), Moments(size + 1))
                with within_range("nu and v"):
                    moments.add(joint[labels == label])
        poor = [label for label, moments in found.items() if moments.count < 2]
        if not found or poor:
            which = f"cluster {poor[0]} has" if poor else "samples have"
            raise ShapeError(f"{which} fewer than 2 rows: a covariance needs more; pass more samples")
        return cls._measured([found[label] for label in sorted(found)], flag("shared", shared))

    @classmethod
    def _measured(cls, moments: list[Moments], shared: bool) -> Mixture:
        """Return the mixture with these moments of (features, field) in each cluster."""
        counts = np.array([one.count for one in moments], dtype=np.float64)
        shares = counts / counts.sum()
        p = moments[0].size - 1
        require(3 * len(moments) * p * p * 8, f"covariances of {len(moments)} clusters", "use fewer features")
        means = np.array([one.mean for one in moments])
        covariances = np.array([one.covariance for one in moments])
        centred = means[:, :p] - (shares[:, None] * means[:, :p]).sum(axis=0)
        # A field that is constant within a cluster scatters by rounding only.
        constant = covariances[:, p, p] <= _CONSTANT * means[:, p] ** 2
        covariances[constant, p, :] = covariances[constant, :, p] = 0.0
        if shared:
            covariances[:] = np.einsum("c,cij->ij", shares, covariances)
        return cls(
            shares,
            centred,
            covariances[0, :p, :p] if shared else covariances[:, :p, :p],
            covariances[:, :p, p],
            means[:, p],
            covariances[:, p, p],
        )

    @property
    def _covariate(self) -> Covariate:
        """Covariances and directions ready for the fixed point, made at first use."""
        made: Covariate | None = self.__dict__.get("_prepared")
        if made is None:
            made = covariate(self.Omega, np.concatenate([self.b, self.mean]))
            object.__setattr__(self, "_prepared", made)
        return made


def _triple(batch: Any, size: int | None) -> tuple[Array, Array, npt.NDArray[np.int64]]:
    """Return fields, features and clusters of a batch, checked."""
    try:
        field_values, feature_values, labels = batch
    except (TypeError, ValueError):
        raise ShapeError(
            f"samples = {shown(batch)}: must be triples (nu, v, clusters); pass batches of them, or the three arrays"
        ) from None
    features = array("v", feature_values, (None, size))
    fields = array("nu", field_values, (features.shape[0],), rule="to match v")
    members = whole_numbers("clusters", labels)
    if members.shape != fields.shape:
        raise ShapeError(
            f"clusters has shape {members.shape}: must be {fields.shape} to match v; pass one number a sample"
        )
    return fields, features, members


def _check(c: int, Omega: Array, b: Array, rho: float) -> None:
    """Refuse what is no joint covariance of features and field."""
    scale = float(np.abs(Omega).max())
    if not 1.0 / FAR < scale < FAR or max(abs(rho), float(np.abs(b).max())) > FAR:
        raise InvalidParameterError(
            f"Omega, b and rho of cluster {c}: must be zero nowhere as a whole and between {1.0 / FAR:g} and {FAR:g}; "
            "rescale features and field to variances of order one"
        )
    if float(np.abs(Omega - Omega.T).max()) > _ROUNDING * scale:
        raise InvalidParameterError(
            f"Omega of cluster {c}: must be symmetric; pass the covariance of features within a cluster"
        )
    joint = np.block([[Omega, b[:, None]], [b[None, :], np.array([[rho]])]])
    widths = np.sqrt(np.maximum(np.diag(joint), 0.0))
    # Features without variance have no correlation with anything: their rows must be zero as they are.
    widths[widths == 0.0] = np.sqrt(scale)
    correlations = joint / widths / widths[:, None]
    correlations[np.diag_indices(widths.size)] += _ROUNDING
    if rho < 0.0 or (rho == 0.0 and b.any()) or not is_positive_definite(correlations):
        raise InvalidParameterError(
            f"cluster {c}: Omega, b and rho = {rho:g} must be a covariance of features and field "
            "(b^T Omega^-1 b <= rho); pass moments within the cluster, its means subtracted"
        )
