"""Directions of the inputs in one form for all three systems, and few groups of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ..order_parameters import Array

__all__ = ["Directions"]

#: Eigenvalues below this share of the largest are zero, and directions below this share of all are none.
_ZERO = 1e-12


@dataclass(frozen=True, eq=False)
class Directions:
    """Directions of the inputs with their averages, as in :class:`CovarianceODE`: Q = Σ p ρ q, R = Σ p r.

    Attributes
    ----------
    rho
        Variance of the inputs along them, shape (S,).
    share
        Their share p of the N directions, shape (S,).
    q, r, t
        Averages of w wᵀ, w bᵀ, b bᵀ with the teacher's drive b, shapes (S, K, K), (S, K, M), (S, M, M).
    """

    rho: Array
    share: Array
    q: Array
    r: Array
    t: Array

    @classmethod
    def of_manifold(
        cls,
        rho: Array,
        weights: Array,
        sigma: Array,
        r: Array,
        t: Array,
        W: Array,
        *,
        delta: float,
        b: float,
        zeta: float,
    ) -> Self:
        """Return those of a hidden manifold: one for each latent mode that F sees, and the rest of the inputs' space.

        An eigenvector of Ω of a latent mode has w² = σ/ρ and b = (b/δ) √ρ ω̃; see section IV of the HMM paper.
        """
        seen = rho > _ZERO * max(float(rho.max()), 0.0)
        rho, weights, sigma, r, t = (values[seen] for values in (rho, weights, sigma, r, t))
        scale = b / delta
        q = sigma / rho[:, None, None]
        share = delta * weights
        rest = 1.0 - float(share.sum())
        variance, r, t = zeta + b * scale * rho, scale * r, scale * scale * rho[:, None, None] * t
        if rest > 1e-9:
            unseen = (W - np.einsum("s,skl->kl", share, q)) / rest
            variance, share = np.append(variance, zeta), np.append(share, rest)
            q = np.concatenate([q, unseen[None]])
            r, t = (np.concatenate([x, np.zeros((1, *x.shape[1:]))]) for x in (r, t))
        return cls(variance, share, q, r, t)

    def grouped(self, most: int) -> Directions:
        """Return at most `most` groups of directions with nearly equal ρ.

        The groups are halved where most is gained: where the logarithm of ρ varies most, weighed by what the directions
        add to Q and to T. Q, R and the linear part of T stay as they are, and so does the trace of Ω.
        """
        kept = self.share > 0.0
        rho, share, q, r, t = (x[kept] for x in (self.rho, self.share, self.q, self.r, self.t))
        floor = _ZERO * max(float(rho.max()), 0.0)
        along = np.log(np.maximum(rho, floor if floor > 0.0 else 1.0))
        inverse = np.where(rho > floor, 1.0 / np.where(rho > floor, rho, 1.0), 0.0)
        added = share * rho * np.trace(q, axis1=1, axis2=2), share * inverse * np.trace(t, axis1=1, axis2=2)
        weight = 1e-6 * share
        for part in added:
            total = float(part.sum())
            weight = weight + (np.maximum(part, 0.0) / total if total > 0.0 else 0.0)
        groups = [np.argsort(along, kind="stable")]
        gains = [_split(groups[0], along, weight)]
        while len(groups) < most:
            which = int(np.argmax([gain for gain, _ in gains]))
            gain, cut = gains[which]
            if gain <= 0.0:
                break
            left, right = groups[which][:cut], groups[which][cut:]
            groups[which : which + 1] = [left, right]
            gains[which : which + 1] = [_split(left, along, weight), _split(right, along, weight)]
        variance, size = (np.zeros(len(groups)) for _ in range(2))
        means = [np.zeros((len(groups), *x.shape[1:])) for x in (q, r, t)]
        for g, members in enumerate(groups):
            p = share[members]
            size[g] = p.sum()
            variance[g] = (p * rho[members]).sum() / size[g]
            scales = p * rho[members], p, p * inverse[members]
            sums = [np.einsum("s,sij->ij", w, x[members]) for w, x in zip(scales, (q, r, t), strict=True)]
            # Of directions without variance the weights matter to nothing but W.
            own = np.einsum("s,sij->ij", p, q[members]) / size[g]
            means[0][g] = sums[0] / (size[g] * variance[g]) if variance[g] > floor else own
            means[1][g] = sums[1] / size[g]
            means[2][g] = variance[g] * sums[2] / size[g]
        return Directions(variance, size, *means)


def _split(members: npt.NDArray[np.integer[Any]], along: Array, weight: Array) -> tuple[float, int]:
    """Return what halving a group gains, and where: the group is sorted."""
    x, w = along[members], weight[members]
    if x[-1] - x[0] < 1e-9:
        return 0.0, 0
    mean = float((w * x).sum() / w.sum())
    cut = min(max(int(np.searchsorted(x, mean, side="right")), 1), len(x) - 1)
    return float((w * (x - mean) ** 2).sum()), cut
