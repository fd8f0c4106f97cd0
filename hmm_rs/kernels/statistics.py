"""Kernels of networks: closed forms, finite networks, and how to read them.

Conventions: networks f(x) = (1/h) sum_n a_n g(w_n.x/sqrt d + b_n); tangent kernels are returned as
h Theta, which has a limit at infinite width.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .. import _lib
from ..ground import arguments
from ..ground.errors import ConvergenceError, DtypeError, InvalidParameterError, ShapeError
from ..ground.memory import require

if TYPE_CHECKING:
    from ..networks.mean_field import MeanFieldNetwork

__all__ = [
    "SupportVectors",
    "intrinsic_dimension",
    "kernel_change",
    "kernel_statistics",
    "label_projections",
    "laplace",
    "memory_estimate",
    "mutual_information",
    "network_ntk",
    "ntk",
    "positive_gram",
    "svc",
]

Array = npt.NDArray[Any]

#: Factor s of the activations s max(0, u) whose tangent kernel is offered.
_SLOPES = {"relu": 1.0, "sqrt2_relu": math.sqrt(2.0)}
_SUFFIX = {"float32": "f32", "float64": "f64"}


def _points(X: npt.ArrayLike, Y: npt.ArrayLike | None, dtype: str = "float64") -> tuple[Array, Array | None]:
    x = arguments.array("X", X, (None, None), rule="(points, inputs)", dtype=dtype)
    if Y is None:
        return x, None
    return x, arguments.array("Y", Y, (None, x.shape[1]), rule="(points, inputs of X)", dtype=dtype)


def _gram(K: npt.ArrayLike, name: str = "K") -> Array:
    """Return a symmetric (P, P) matrix in double precision."""
    single = getattr(K, "dtype", None) == np.float32
    gram = arguments.array(name, K, (None, None), rule="(P, P)")
    if gram.shape[0] != gram.shape[1]:
        raise ShapeError(
            f"{name} has shape {gram.shape}: must be square; pass the Gram matrix of one point set"
        )
    # Rounding of the entries' own precision, with room for sums in another order.
    if np.abs(gram - gram.T).max() > (1e-5 if single else 1e-10) * np.abs(gram).max():
        raise InvalidParameterError(
            f"{name}: must be symmetric; pass (K + K.T)/2 if the difference is rounding"
        )
    return gram


def positive_gram(K: npt.ArrayLike, name: str = "K") -> Array:
    """Return a symmetric positive semi-definite matrix in double precision, or refuse it.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> hr.kernels.positive_gram([[1, 0], [0, 1]])
    array([[1., 0.],
           [0., 1.]])
    """
    single = getattr(K, "dtype", None) == np.float32
    gram = _gram(K, name)
    scale = float(np.diag(gram).mean()) or 1.0
    # Semi-definite up to the rounding of the entries.
    slack = (1e-6 if single else 1e-8) * len(gram)
    try:
        np.linalg.cholesky(gram / scale + slack * np.eye(len(gram)))
    except np.linalg.LinAlgError:
        raise InvalidParameterError(f"{name}: must be positive semi-definite; pass a Gram matrix") from None
    return gram


def _labels(y: npt.ArrayLike, size: int) -> Array:
    """Return labels of +1 and -1, both present."""
    labels = arguments.array("y", y, (size,), rule="(one label per point)")
    if not np.isin(labels, (-1.0, 1.0)).all():
        raise InvalidParameterError("y: labels must be +1 or -1; pass np.where(condition, 1, -1)")
    if abs(labels.sum()) == size:
        raise InvalidParameterError("y: both labels must occur; pass points of both classes")
    return labels


def ntk(
    X: npt.ArrayLike, Y: npt.ArrayLike | None = None, *, bias: str = "normal", threads: int | None = None
) -> Array:
    r"""Return the neural tangent kernel of an infinitely wide network at its start, h Theta (P, Q).

    .. math::
        h\Theta = \tfrac1\pi [a a' (\sin\theta + (\pi-\theta)\cos\theta)
                  + (x\cdot x'/d + \gamma)(\pi-\theta)], \quad a = \sqrt{|x|^2/d + v_b}

    for f(x) = (1/h) sum_n beta_n sigma(omega_n.x/sqrt d + b_n), sigma(u) = sqrt2 max(0, u), weights of unit
    variance, cos th = (x.x'/d + v_b)/(a a').

    Parameters
    ----------
    X, Y
        Points, shapes (P, d) and (Q, d); `Y=None` stands for `X` (half the work, exactly symmetric).
    bias
        "normal": drawn from N(0, 1) and trained (v_b = gamma = 1); "zero": zero at the start and trained
        (v_b = 0, gamma = 1); "none": absent (v_b = gamma = 0).
    threads
        Number of threads; None for the default. The result does not depend on it.

    Notes
    -----
    The angle is 2 atan2(\|u - v\|, \|u + v\|) of the unit vectors, so the diagonal is exact:
    a^2 + \|x\|^2/d + gamma. Without biases a point at the origin has kernel 0.

    References
    ----------
    Jacot, Gabriel & Hongler, NeurIPS 2018; Paccolat et al., J. Stat. Mech. 2021, 044001.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> hr.kernels.ntk([[1.0, 1.0], [-1.0, 1.0]]).round(4)
    array([[4.    , 1.8847],
           [1.8847, 4.    ]])
    """
    arguments.choice("bias", bias, ("normal", "zero", "none"))
    x, y = _points(X, Y)
    return _lib.ntk(x, y, bias, threads)


def laplace(
    X: npt.ArrayLike, Y: npt.ArrayLike | None = None, *, scale: float, threads: int | None = None
) -> Array:
    r"""Return the isotropic kernel K(x, y) = exp(-\|x - y\|/scale), shape (P, Q).

    Examples
    --------
    >>> import hmm_rs as hr
    >>> hr.kernels.laplace([[0.0, 0.0]], [[3.0, 4.0]], scale=5.0).round(6)
    array([[0.367879]])
    """
    x, y = _points(X, Y)
    return _lib.laplace(x, y, arguments.number("scale", scale, minimum=0.0, exclusive=True), threads)


def memory_estimate(
    P: int, Q: int | None = None, *, dtype: str = "float64", block: int = 256, threads: int | None = None
) -> dict[str, int]:
    """Return the bytes that :func:`network_ntk` takes: ``output``, ``scratch`` and ``total``.

    The scratch memory does not grow with the number of points or neurons.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> hr.kernels.memory_estimate(2000)["output"]
    32000000
    """
    P = arguments.count("P", P)
    Q = P if Q is None else arguments.count("Q", Q)
    dtype = arguments.dtype_name(dtype)
    output = P * Q * np.dtype(dtype).itemsize
    scratch = _lib.network_ntk_bytes(arguments.count("block", block), dtype == "float32", threads)
    return {"output": output, "scratch": scratch, "total": output + scratch}


def network_ntk(
    network: MeanFieldNetwork,
    X: npt.ArrayLike,
    Y: npt.ArrayLike | None = None,
    *,
    part: str = "full",
    block: int = 256,
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    r"""Return the neural tangent kernel of a finite network at its weights, h Theta (P, Q).

    .. math:: h\Theta = \tfrac{s^2}{h} [R R'^T + (A A'^T) \circ ((M B)(M' B)^T)]

    with A = (x/sqrt d, 1), R the rectified pre-activations, M where they are positive, B = diag(a) and
    activation s max(0, u): two masked Gram products, never a Jacobian.

    Parameters
    ----------
    network
        A :class:`hmm_rs.MeanFieldNetwork` with activation "relu" or "sqrt2_relu". Products are taken in its
        precision, sums over blocks of neurons in double precision.
    X, Y
        Points, shapes (P, d), (Q, d); `Y=None` stands for `X`: the symmetric half only is computed.
    part
        "full", or "last": gradients with respect to the output weights alone (the kernel of the features).
    block
        Points per side of a tile. Raise it for inputs of many dimensions.
    out
        Array of shape (P, Q) and of the network's dtype to write to, for instance a :class:`numpy.memmap`.
    threads
        Number of threads; None for the default. The result does not depend on it.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> network = hr.MeanFieldNetwork([2.0], [[1.0]], [0.0], activation="sqrt2_relu")
    >>> hr.kernels.network_ntk(network, [[3.0]])  # 2 (3^2 + (3^2 + 1) 2^2)
    array([[98.]])
    """
    if network.activation not in _SLOPES:
        raise InvalidParameterError(
            f"network.activation = {network.activation!r}: the tangent kernel is that of rectified units; "
            f'pass a network with activation "relu" or "sqrt2_relu"'
        )
    arguments.choice("part", part, ("full", "last"))
    dtype = arguments.dtype_name(network.w.dtype)
    x, y = _points(X, Y, dtype)
    if x.shape[1] != network.d:
        raise ShapeError(
            f"X has shape {x.shape}: network has d = {network.d}; pass X with {network.d} columns"
        )
    shape = (len(x), len(x if y is None else y))
    if out is None:
        require(
            memory_estimate(*shape, dtype=dtype, block=block, threads=threads)["total"],
            f"a kernel of shape {shape}",
            f'pass out=np.memmap(path, "{dtype}", "w+", shape={shape})',
        )
        out = np.empty(shape, dtype)
    elif not isinstance(out, np.ndarray) or out.dtype != dtype or not out.flags.c_contiguous:
        raise DtypeError(f"out: must be a C-contiguous array of {dtype}; pass np.empty({shape}, {dtype!r})")
    elif out.shape != shape:
        raise ShapeError(f"out has shape {out.shape}: must be {shape}; pass np.empty({shape}, {dtype!r})")
    evaluate = getattr(_lib, f"network_ntk_{_SUFFIX[dtype]}")
    evaluate(
        (network.a, network.w, network.b),
        _SLOPES[network.activation],
        x,
        y,
        part == "last",
        arguments.count("block", block),
        out,
        threads,
    )
    return out


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
    gram = _gram(K)
    labels = _labels(y, len(gram))
    values, vectors = np.linalg.eigh(gram)
    values, vectors = values[::-1], vectors[:, ::-1]
    omega2 = (vectors.T @ labels) ** 2 / len(labels)
    return {
        "eigenvalues": values,
        "eigenvectors": vectors,
        "omega2": omega2,
        "cumulative": np.cumsum(omega2),
    }


def mutual_information(phi: npt.ArrayLike, y: npt.ArrayLike, *, k: int = 5) -> float:
    r"""Return the nearest-neighbour mutual information I(phi; y) in bits, for balanced classes.

    With r+ (r-) the distance from a point to its `k`-th nearest point of class + (-), itself included at
    distance zero, q = 1/(1 + (r+/r-)^D) and I = 1 - mean h_2(q), h_2 the binary entropy.

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
    from scipy.spatial import cKDTree

    values = np.asarray(phi, dtype=np.float64)
    values = arguments.array("phi", values[:, None] if values.ndim == 1 else values, (None, None))
    labels = _labels(y, len(values))
    k = arguments.count("k", k)
    smallest = int(min((labels > 0).sum(), (labels < 0).sum()))
    if k > smallest:
        raise InvalidParameterError(
            f"k = {k}: the smaller class has {smallest} points; pass k={smallest} or less"
        )
    spread = values.std(axis=0, ddof=1)
    if not (spread > 0).all():
        return 0.0  # a constant says nothing about the label
    values = (values - values.mean(axis=0)) / spread
    offset = 1e-10
    plus, minus = (
        np.asarray(cKDTree(values[labels == sign]).query(values, k=[k])[0])[:, 0] + offset
        for sign in (1.0, -1.0)
    )
    q = 1.0 / (1.0 + (plus / minus) ** values.shape[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = -np.nan_to_num(q * np.log2(q)) - np.nan_to_num((1 - q) * np.log2(1 - q))
    return float(1.0 - entropy.mean())


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
    gram = _gram(K)
    n = len(gram)
    if n < 3:
        raise ShapeError(f"K has shape {gram.shape}: two neighbours need three points; pass more points")
    diagonal = np.diag(gram)
    square = diagonal[:, None] + diagonal[None, :] - 2.0 * gram
    np.fill_diagonal(square, np.inf)
    first, second = np.partition(square, 1, axis=1)[:, :2].T
    # Distances below the rounding of the kernel entries are those of equal points.
    if (first <= 4.0 * np.finfo(np.float64).eps * diagonal).any():
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
    norm = np.linalg.norm(initial)
    if norm == 0.0:
        raise InvalidParameterError(
            "K0 = 0: a relative change needs a kernel that does not vanish; pass another"
        )
    return float(np.linalg.norm(now - initial) / norm)


def kernel_statistics(K: npt.ArrayLike) -> dict[str, float]:
    """Return mean, standard deviation and Frobenius norm of a kernel's entries.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> hr.kernels.kernel_statistics([[1.0, 0.0], [0.0, 1.0]])["mean"]
    0.5
    """
    kernel = arguments.array("K", K, (None, None))
    return {"mean": float(kernel.mean()), "std": float(kernel.std()), "norm": float(np.linalg.norm(kernel))}


@dataclass(frozen=True, eq=False)
class SupportVectors:
    """A fitted support-vector classifier on a precomputed kernel."""

    #: Dual coefficients, shape (P,), 0 <= alpha <= C.
    alpha: Array
    #: Labels, shape (P,).
    y: Array
    #: Points with alpha > 0, ascending.
    support: npt.NDArray[np.intp]
    #: b of the decision function.
    intercept: float
    #: sum alpha - 1/2 sum alpha alpha' y y' K.
    dual_objective: float
    #: Largest violation of the optimality conditions, in units of the margin.
    kkt_violation: float

    def decision(self, K_test: npt.ArrayLike) -> Array:
        """Return sum_mu alpha_mu y_mu K(x, x_mu) + b for test points.

        Parameters
        ----------
        K_test
            Kernel of test points against the training points, shape (Q, P), or against the support points
            alone, shape (Q, len(support)): the other columns are never read.
        """
        kernel = arguments.array("K_test", K_test, (None, None))
        if kernel.shape[1] not in (len(self.y), len(self.support)):
            raise ShapeError(
                f"K_test has shape {kernel.shape}: must have a column per training point ({len(self.y)}) or "
                f"per support point ({len(self.support)}); pass kernel(X_test, X[fit.support])"
            )
        if kernel.shape[1] != len(self.support):
            kernel = kernel[:, self.support]
        return np.asarray(kernel @ (self.alpha * self.y)[self.support] + self.intercept)

    def error(self, K_test: npt.ArrayLike, y_test: npt.ArrayLike) -> float:
        """Return the fraction of test points on the wrong side; a decision of zero counts as wrong."""
        decision = self.decision(K_test)
        labels = arguments.array("y_test", y_test, (len(decision),))
        return float((decision * labels <= 0.0).mean())


def svc(K: npt.ArrayLike, y: npt.ArrayLike, *, C: float = 1e20, max_iter: int = 1_000_000) -> SupportVectors:
    """Fit a support-vector classifier on a precomputed kernel.

    max_alpha sum alpha - 1/2 sum alpha alpha' y y' K with 0 <= alpha <= C and sum alpha y = 0.
    scikit-learn's solver finds the support; the linear system of the optimality conditions on it is then
    solved exactly, and points that violate them change sides until none does.

    Parameters
    ----------
    K
        Symmetric positive semi-definite Gram matrix (P, P).
    y
        Labels +1 and -1, shape (P,).
    C
        Bound of the dual coefficients; the default is a hard margin.
    max_iter
        Most iterations of scikit-learn's solver, which at a hard margin need not end by itself.

    Raises
    ------
    ConvergenceError
        If the optimality conditions are still violated by more than 1e-3 of the margin, for instance for a
        hard margin that no solution has; ``.result`` holds the best classifier found.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> x = [[-1.0], [-0.5], [0.7], [2.0]]
    >>> fit = hr.kernels.svc(hr.kernels.laplace(x, scale=1.0), [-1, -1, 1, 1])
    >>> fit.error(hr.kernels.laplace([[0.4], [-0.4]], x, scale=1.0), [1, -1])
    0.0
    """
    gram = positive_gram(K)
    labels = _labels(y, len(gram))
    bound = arguments.number("C", C, minimum=0.0, exclusive=True)
    max_iter = arguments.count("max_iter", max_iter)
    # The coefficients sum to zero with the labels, so a constant added to rows and columns changes nothing;
    # without it the single-precision cache of the solver keeps the digits that matter.
    rows = gram.mean(axis=0)
    centred = gram - rows[:, None] - rows[None, :] + rows.mean()
    scale = float(np.diag(centred).mean())
    if not scale > 0.0:
        raise InvalidParameterError("K: is constant, all points are the same; pass distinct points")
    alpha = _smo(centred / scale, labels, min(bound * scale, 1e20), max_iter) / scale
    alpha, intercept = _polish(gram, labels, np.minimum(alpha, bound), bound)
    coefficients = alpha * labels
    result = SupportVectors(
        alpha=alpha,
        y=labels,
        support=np.flatnonzero(alpha > 0.0),
        intercept=intercept,
        dual_objective=float(alpha.sum() - 0.5 * coefficients @ gram @ coefficients),
        kkt_violation=_violation(gram, labels, alpha, intercept, bound),
    )
    if not result.kkt_violation < 1e-3:
        raise ConvergenceError(
            f"the support-vector fit violates its optimality conditions by {result.kkt_violation:.1e} of the "
            f"margin (max_iter = {max_iter}); classes may not be separable; pass a finite C or more max_iter",
            result,
        )
    return result


def _smo(gram: Array, labels: Array, bound: float, max_iter: int) -> Array:
    """Return the dual coefficients that scikit-learn finds."""
    try:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.svm import SVC
    except ImportError:
        raise ImportError("hr.kernels.svc needs scikit-learn; pip install 'hmm_rs[sklearn]'") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        machine = SVC(kernel="precomputed", C=bound, tol=1e-6, max_iter=max_iter, cache_size=500)
        machine.fit(gram, labels)
    alpha = np.zeros(len(labels))
    alpha[machine.support_] = np.abs(machine.dual_coef_[0])
    return alpha


def _violation(gram: Array, labels: Array, alpha: Array, intercept: float, bound: float) -> float:
    """Return the largest violation of y f >= 1 (alpha = 0), = 1 (free), <= 1 (alpha = C)."""
    slack = labels * (gram @ (alpha * labels) + intercept) - 1.0
    worst = np.where(alpha <= 0.0, np.maximum(-slack, 0.0), np.abs(slack))
    worst[alpha >= bound] = np.maximum(slack, 0.0)[alpha >= bound]
    worst = worst.max()
    return float(worst) if np.isfinite(worst) else math.inf


def _polish(gram: Array, labels: Array, alpha: Array, bound: float) -> tuple[Array, float]:
    """Return coefficients and intercept that solve the optimality conditions on their free set."""
    free = (alpha > 0.0) & (alpha < bound)
    clipped = alpha >= bound
    best, best_intercept, best_violation = alpha, 0.0, math.inf
    for _ in range(100):
        size = int(free.sum())
        if size == 0:
            break
        at_bound = np.where(clipped, bound * labels, 0.0)
        system = np.ones((size + 1, size + 1))
        system[:size, :size] = gram[np.ix_(free, free)]
        system[size, size] = 0.0
        right = np.append(labels[free] - gram[free] @ at_bound, -at_bound.sum())
        try:
            solution = np.linalg.solve(system, right)
        except np.linalg.LinAlgError:
            solution = np.linalg.lstsq(system, right, rcond=None)[0]
        trial = np.where(clipped, bound, 0.0)
        trial[free] = solution[:size] * labels[free]
        intercept = float(solution[size])
        low, high = free & (trial < 0.0), free & (trial > bound)
        if low.any() or high.any():
            # One at a time where the set is nearly right, else all: both end, the first more exactly.
            free &= ~(low | high)
            clipped |= high
            continue
        violation = _violation(gram, labels, trial, intercept, bound)
        if violation < best_violation:
            best, best_intercept, best_violation = trial, intercept, violation
        slack = labels * (gram @ (trial * labels) + intercept) - 1.0
        enter = np.where(free, 0.0, np.where(clipped, slack, -slack))
        if enter.max() <= 1e-12 * max(1.0, float(np.abs(trial).max()) * float(np.abs(gram).max())):
            break
        worst = int(enter.argmax())
        free[worst], clipped[worst] = True, False
    return best, best_intercept
