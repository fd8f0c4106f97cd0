"""What one reads off a kernel: labels in its eigenvectors, dimension, change."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ..ground import arguments
from ..ground.errors import InvalidParameterError, ShapeError
from ..ground.linear_algebra import eigh, frobenius, product
from ..ground.overflow import finite, within_range
from .positive import ROWS, both_labels, symmetric_gram

__all__ = [
    "intrinsic_dimension",
    "kernel_change",
    "kernel_statistics",
    "label_projections",
    "mutual_information",
]

Array = npt.NDArray[Any]


def label_projections(K: npt.ArrayLike, y: npt.ArrayLike) -> dict[str, Array]:
    """Project the labels on the eigenvectors of a Gram matrix.

    Parameters
    ----------
    K
        Gram matrix (p, p); it is not centred.
    y
        Labels, shape (p,).

    Returns
    -------
    dict
        ``eigenvalues`` (descending), ``eigenvectors`` (columns in that order), ``omega2`` =
        (phi_r.y)^2/p, which sums to one, ``cumulative`` = C_R, its running sum: C_10 is ``cumulative[9]``.

    Notes
    -----
    One eigenvector alone is not monotone during training, mass moves between the first few: read C_R.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> projections = hr.kernels.label_projections([[2.0, 1.0], [1.0, 2.0]], [1, -1])
    >>> projections["eigenvalues"].round(6), projections["omega2"].round(6)
    (array([3., 1.]), array([0., 1.]))
    """
    gram = symmetric_gram(K)
    labels = both_labels(y, len(gram))
    values, vectors = eigh(gram)
    values, vectors = values[::-1], vectors[:, ::-1]
    omega2 = product(vectors.T, labels) ** 2 / len(labels)
    return {
        "eigenvalues": finite("K", values),
        "eigenvectors": vectors,
        "omega2": omega2,
        "cumulative": np.cumsum(omega2),
    }


def mutual_information(phi: npt.ArrayLike, y: npt.ArrayLike, *, k: int = 5) -> float:
    r"""Return the nearest-neighbour mutual information I(phi; y) in bits.

    With r+ (r-) the distance from a point to its `k`-th nearest point of class + (-), itself included at
    distance zero, q = 1/(1 + (r+/r-)^D) estimates the probability of class + there, and I = H - mean h_2(q), h_2 the
    binary entropy. H is that of the labels: 1 bit for balanced classes, which includes counts that differ by
    chance. It is never exceeded.

    Parameters
    ----------
    phi
        Feature values, shape (P,) or (P, D), for instance an eigenvector of a kernel; standardised here.
    y
        Labels +1 and -1, shape (P,).
    k
        Which neighbour; each class needs that many points.

    Notes
    -----
    The published routine also adds noise of 1e-10 to break ties; here ties need no breaking, because
    distances carry an offset of 1e-10.

    References
    ----------
    Paccolat et al., J. Stat. Mech. 2021, 044001, and its public code.

    Examples
    --------
    >>> import numpy as np, hmm_rs as hr
    >>> y = np.repeat([1.0, -1.0], 50)
    >>> hr.kernels.mutual_information(y + np.linspace(0, 0.1, 100), y) > 0.9
    True
    """
    values = arguments.reals("phi", phi)
    values = arguments.array("phi", values[:, None] if values.ndim == 1 else values, (None, None))
    labels = both_labels(y, len(values))
    k = arguments.count("k", k)
    smallest = int(min((labels > 0).sum(), (labels < 0).sum()))
    if k > smallest:
        raise InvalidParameterError(
            f"k = {k}: the smaller class has {smallest} points; pass k={smallest} or less"
        )
    scale = np.abs(values).max(axis=0)
    values = values / np.where(scale > 0.0, scale, 1.0)
    centred = values - values.mean(axis=0)
    spread = np.sqrt((centred**2).sum(axis=0) / max(len(values) - 1, 1))
    # A constant says nothing about the label, and takes no part in distances or their dimension. Entries are at most
    # one in size here: what varies by less than their rounding is constant.
    varies = spread > 8.0 * np.finfo(np.float64).eps
    if not varies.any():
        return 0.0
    standard = centred[:, varies] / spread[varies]
    offset = 1e-10
    plus, minus = (
        _neighbour_distance(standard[labels == sign], standard, k) + offset for sign in (1.0, -1.0)
    )
    with np.errstate(over="ignore"):
        q = 1.0 / (1.0 + (plus / minus) ** standard.shape[1])
    entropy = _binary_entropy(np.array([(labels > 0).mean()]))[0]
    # Counts that differ by no more than a fair coin makes them (two standard deviations) are balanced classes.
    prior = 1.0 if abs(labels.sum()) <= 2.0 * math.sqrt(len(labels)) else entropy
    return float(min(prior - _binary_entropy(q).mean(), entropy))


def _binary_entropy(q: Array) -> Array:
    """Return -q log2 q - (1 - q) log2(1 - q)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(-np.nan_to_num(q * np.log2(q)) - np.nan_to_num((1 - q) * np.log2(1 - q)))


def _neighbour_distance(points: Array, places: Array, k: int) -> Array:
    """Return the distance of every place to its k-th nearest point."""
    from scipy.spatial import cKDTree

    tree = cKDTree(points)
    # Signals are looked at between stretches; the worst case visits every point.
    stretch = max(1, 2_000_000 // (len(points) * places.shape[1]))
    found = [tree.query(places[i : i + stretch], k=[k])[0] for i in range(0, len(places), stretch)]
    return np.asarray(np.concatenate(found))[:, 0]


def _squared_distances(gram: Array, rows: slice) -> Array:
    """Return squared distances of some points to all, shape (rows, p), infinite to themselves."""
    diagonal = np.diag(gram)
    # Distances do not see where the origin is; entries of its size would round them away. What one point shares with
    # all others is taken out exactly where it dominates.
    with within_range("K"):
        square: Array = (diagonal[rows, None] - gram[rows]) + (diagonal[None, :] - gram[rows])
    own = np.arange(len(gram))[rows]
    square[own - own[0], own] = np.inf
    return square


def intrinsic_dimension(K: npt.ArrayLike) -> tuple[float, float]:
    r"""Return the TwoNN estimate of the dimension that a kernel sees, and its error.

    With mu_i the ratio of the distances to the second and first neighbour, distances
    d_ij^2 = K_ii + K_jj - 2 K_ij: d = (n + 1)/sum ln mu_i, error sqrt(n - 1)/sum ln mu_i.

    References
    ----------
    Facco, d'Errico, Rodriguez & Laio, Sci. Rep. 7, 12140 (2017).

    Examples
    --------
    >>> import numpy as np, hmm_rs as hr
    >>> x = np.random.default_rng(0).normal(size=(500, 3))
    >>> abs(hr.kernels.intrinsic_dimension(x @ x.T)[0] - 3) < 0.5
    True
    """
    gram = symmetric_gram(K)
    n = len(gram)
    if n < 3:
        raise ShapeError(f"K has shape {gram.shape}: two neighbours need three points; pass more points")
    diagonal = np.diag(gram)
    # Rows at a time: no second matrix of this size, and Ctrl-C waits for one block.
    nearest = [
        np.partition(_squared_distances(gram, slice(start, start + ROWS)), 1, axis=1)[:, :2]
        for start in range(0, n, ROWS)
    ]
    first, second = np.concatenate(nearest).T
    # Distances below the rounding of the kernel entries say nothing.
    rounding = 4.0 * np.finfo(np.float64).eps * np.abs(diagonal)
    if (first <= rounding).any():
        square = _squared_distances(gram, slice(None))
        middle = float(np.median(square[np.isfinite(square)]))
        if middle <= 1e4 * float(rounding.max()):
            raise InvalidParameterError(
                f"K: squared distances of about {middle:.1e} drown in the rounding of entries of size "
                f"{np.abs(diagonal).max():.1e}; subtract the mean from the points before you take their kernel"
            )
        raise InvalidParameterError(
            "K: two points coincide, so the ratio of distances diverges; drop duplicates"
        )
    total = float((0.5 * np.log(second / first)).sum())
    if total == 0.0:
        raise InvalidParameterError(
            "K: all first and second neighbours are equally far; pass irregular points"
        )
    return (n + 1) / total, math.sqrt(n - 1) / total


def kernel_change(K: npt.ArrayLike, K0: npt.ArrayLike) -> float:
    r"""Return \|K - K_0\|_F/\|K_0\|_F.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> hr.kernels.kernel_change([[2.0, 0.0], [0.0, 2.0]], [[1.0, 0.0], [0.0, 1.0]])
    1.0
    """
    initial = arguments.array("K0", K0, (None, None))
    now = arguments.array("K", K, initial.shape, rule="(the shape of K0)")
    if not initial.any():
        raise InvalidParameterError(
            "K0 = 0: a relative change needs a kernel that does not vanish; pass another"
        )
    # A common scale, so that neither difference nor squares leave the range of floats.
    scale = max(float(np.abs(initial).max()), float(np.abs(now).max()))
    change = frobenius(now / scale - initial / scale)
    norm = frobenius(initial / scale)
    if norm == 0.0 or not change / norm < np.inf:
        raise InvalidParameterError(
            "K and K0: their ratio leaves the range of floating-point numbers; pass kernels of comparable size"
        )
    return change / norm


def kernel_statistics(K: npt.ArrayLike) -> dict[str, float]:
    """Return mean, standard deviation and Frobenius norm of a kernel's entries.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> hr.kernels.kernel_statistics([[1.0, 0.0], [0.0, 1.0]])["mean"]
    0.5
    """
    kernel = arguments.array("K", K, (None, None))
    scale = float(np.abs(kernel).max()) or 1.0
    unit = kernel / scale
    found = {"mean": scale * float(unit.mean()), "std": scale * float(unit.std()), "norm": frobenius(kernel)}
    if not np.isfinite(list(found.values())).all():
        raise InvalidParameterError(
            f"K: entries reach {scale:.1e}, their norm leaves the range of floats; rescale K"
        )
    return found
