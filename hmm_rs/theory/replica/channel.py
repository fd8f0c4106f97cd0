r"""The channel side for one cluster of a mixture: proximal averages shifted by the mean overlap.

Within a cluster the student's field is :math:`\omega\sim N(s, q)`, and the teacher's given :math:`\omega` is
:math:`N(M + (m/q)(\omega - s),\ V_*)` with :math:`V_* = R - m^2/q`. A label is +1 with probability
:math:`P_+ = \eta + (1-2\eta)\,\Phi(\cdot/\sqrt{V_*})`, and every loss of a label is one of the margin
:math:`y\omega`. With f, the proximal force for label +1,

.. math:: \hat V = \alpha_c\,\mathbb E\textstyle\sum_y P_y\,(-f'(y\omega)), \quad
   \hat q = \alpha_c\,\mathbb E\sum_y P_y\,f(y\omega)^2, \quad
   \hat s = \alpha_c\,\mathbb E\sum_y P_y\,y f(y\omega), \quad
   \hat m = \alpha_c\,(1-2\eta)\,N(M; 0, R)\;\mathbb E_*\big[f(\omega) + f(-\omega)\big],

where the last average is over fields of the student's at which the teacher's vanishes,
:math:`\omega\sim N(s - mM/R,\ qV_*/R)`.

Panels of 16 Gauss-Legendre nodes shrink towards where the integrand is narrow: the teacher's step, and the kinks or
poles of the proximal operator.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ... import _lib

__all__ = ["Cluster", "Conjugates", "Law", "conjugates", "linear_targets", "mass_below", "training_loss"]

Vector = npt.NDArray[np.float64]

#: Standard deviations covered: the Gaussian beyond is below 1e-18.
_REACH = 9.0
#: Smallest part of the teacher's variance that the student does not see: keeps the realisable limit finite.
_FLOOR = 1e-14
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_TAU = 2.0 * math.pi


@dataclass(frozen=True)
class Cluster:
    """One cluster's targets: mean M and variance R of the teacher's (noisy) field, and the flips."""

    mean: float
    variance: float
    flip: float = 0.0


@dataclass(frozen=True)
class Law:
    """Joint law of the student's and the teacher's field in a cluster."""

    s: float
    q: float
    m: float
    cluster: Cluster

    @property
    def unseen(self) -> float:
        """Variance of the teacher's field that the student's does not carry."""
        R = self.cluster.variance
        return max(R - self.m**2 / self.q, _FLOOR * R)

    def probability(self, label: float, omega: Vector) -> Vector:
        """Return the probability of a label at student fields."""
        from scipy.special import ndtr

        M, flip = self.cluster.mean, self.cluster.flip
        if self.cluster.variance == 0.0:
            true = np.full_like(omega, float((M >= 0.0) == (label > 0.0)))
        else:
            true = ndtr(label * (M + self.m / self.q * (omega - self.s)) / math.sqrt(self.unseen))
        return flip + (1.0 - 2.0 * flip) * true

    def density(self, omega: Vector) -> Vector:
        """Return the density of student fields."""
        return np.exp(-((omega - self.s) ** 2) / (2.0 * self.q)) / math.sqrt(_TAU * self.q)

    @property
    def where_teacher_vanishes(self) -> Law:
        """The student's field where the teacher's vanishes: Gaussian and of no further correlation."""
        R = self.cluster.variance
        return Law(self.s - self.m * self.cluster.mean / R, self.q * self.unseen / R, 0.0, self.cluster)

    def of_margins(self, label: float) -> _Reach:
        """Return where the margins of a label lie."""
        edges = []
        if self.m != 0.0:
            step = self.s - self.q * self.cluster.mean / self.m
            edges.append((label * step, math.sqrt(self.unseen) * self.q / abs(self.m)))
        return _Reach(label * self.s, math.sqrt(self.q), tuple(edges))


@dataclass(frozen=True)
class Conjugates:
    """What one cluster's examples exert on the weights."""

    V: float
    q: float
    m: float
    s: float


def conjugates(loss: str, alpha: float, V: float, law: Law) -> Conjugates:
    """Return the conjugates for a loss of labels; `alpha`: examples of the cluster over student dimension."""
    V_hat = q_hat = m_hat = s_hat = tilted = 0.0
    R, M, flip = law.cluster.variance, law.cluster.mean, law.cluster.flip
    for label in (1.0, -1.0):
        margin, weights, _, f, slope = _margins(loss, V, law, label)
        weights = weights * law.density(label * margin) * law.probability(label, label * margin)
        V_hat += float((weights * slope).sum())
        q_hat += float((weights * f**2).sum())
        s_hat += label * float((weights * f).sum())
        if R > 0.0:
            narrow = law.where_teacher_vanishes
            margin, weights, _, f, _ = _margins(loss, V, narrow, label)
            tilted += float((weights * narrow.density(label * margin) * f).sum())
    if R > 0.0:
        m_hat = (1.0 - 2.0 * flip) * math.exp(-(M**2) / (2.0 * R)) / math.sqrt(_TAU * R) * tilted
    return Conjugates(V=alpha * V_hat, q=alpha * q_hat, m=alpha * m_hat, s=alpha * s_hat)


def training_loss(loss: str, V: float, law: Law) -> float:
    """Return the mean of the loss, logistic or hinge, over the cluster's training examples."""
    total = 0.0
    for label in (1.0, -1.0):
        margin, weights, prox, _, _ = _margins(loss, V, law, label)
        weights = weights * law.density(label * margin) * law.probability(label, label * margin)
        values = np.logaddexp(0.0, -prox) if loss == "logistic" else np.maximum(0.0, 1.0 - prox)
        total += float((weights * values).sum())
    return total


def mass_below(threshold: float, law: Law) -> float:
    """Return the fraction of examples whose margin, label times student field, is below the threshold."""
    total = 0.0
    for label in (1.0, -1.0):
        margin, weights = _panels(law.of_margins(label), upper=threshold)
        density = law.density(label * margin) * law.probability(label, label * margin)
        total += float((weights * density).sum())
    return total


def linear_targets(loss: str, cluster: Cluster) -> tuple[float, float, float]:
    """Return mean, slope in the teacher's field, and mean square of a cluster's targets: all that square losses see."""
    from scipy.special import ndtr

    M, R = cluster.mean, cluster.variance
    if loss == "ridge":
        return M, 1.0, M**2 + R
    keep = 1.0 - 2.0 * cluster.flip
    if R == 0.0:
        return keep * (1.0 if M >= 0.0 else -1.0), 0.0, 1.0
    slope = 2.0 * math.exp(-(M**2) / (2.0 * R)) / math.sqrt(_TAU * R)
    return keep * (2.0 * float(ndtr(M / math.sqrt(R))) - 1.0), keep * slope, 1.0


def _margins(loss: str, V: float, law: Law, label: float) -> tuple[Vector, Vector, Vector, Vector, Vector]:
    """Return margins of a label, weights of an integral over them, proximal points, f and -f' there.

    The logistic integral runs over the proximal point x, from which the margin x - V/(1 + e^x) is explicit.
    """
    from scipy.special import expit

    reach = law.of_margins(label)
    if loss != "logistic":
        kinks = [(1.0, math.inf), (1.0 - V, math.inf)] if loss == "hinge" else []
        margin, weights = _panels(replace(reach, edges=(*reach.edges, *kinks)))
        found = _lib.replica_prox(margin, V, loss)
        return margin, weights, found["prox"], found["f"], found["minus_df_ds"]
    cuts = _lib.replica_prox(_cuts(reach), V, loss)["prox"]
    # The sigmoid has its poles pi off the real axis.
    x, weights = _nodes(np.unique(np.concatenate([cuts, _graded(0.0, 2.0, cuts[0], cuts[-1])])))
    f = np.asarray(expit(-x), np.float64)
    slope = f * (1.0 - f)
    jacobian = 1.0 + V * slope
    return x - V * f, weights * jacobian, x, f, slope / jacobian


@dataclass(frozen=True)
class _Reach:
    """Where a Gaussian lies, and where what multiplies it is narrow: centres and widths."""

    centre: float
    width: float
    edges: tuple[tuple[float, float], ...]


def _panels(reach: _Reach, *, upper: float = math.inf) -> tuple[Vector, Vector]:
    """Return nodes and weights over a Gaussian's reach, up to a limit."""
    cuts = _cuts(reach, upper)
    return _nodes(cuts) if cuts.size else (cuts, cuts)


def _cuts(reach: _Reach, upper: float = math.inf) -> Vector:
    """Return the ends of panels, ascending: they double away from where something is narrow, up to two widths."""
    lower = reach.centre - _REACH * reach.width
    upper = min(upper, reach.centre + _REACH * reach.width)
    if upper <= lower:
        return np.empty(0)
    steps = math.ceil((upper - lower) / (2.0 * reach.width))
    parts = [np.linspace(lower, upper, steps + 1)]
    parts += [_graded(centre, width, lower, upper) for centre, width in reach.edges]
    return np.unique(np.concatenate(parts))


def _graded(centre: float, width: float, lower: float, upper: float) -> Vector:
    """Return a centre and its surroundings at distances width 2^k, as far as they lie between the limits."""
    far = max(upper - centre, centre - lower)
    narrow = max(width, 1e-16 * far)
    distances = narrow * 2.0 ** np.arange(math.ceil(math.log2(far / narrow))) if narrow < far else np.empty(0)
    found = np.concatenate([centre - distances, [centre], centre + distances])
    return found[(found > lower) & (found < upper)]


def _nodes(cuts: Vector) -> tuple[Vector, Vector]:
    """Return nodes and weights of the panels between cuts."""
    half = 0.5 * np.diff(cuts)[:, None]
    return (cuts[:-1, None] + half * (1.0 + _NODES)).ravel(), (half * _WEIGHTS).ravel()
