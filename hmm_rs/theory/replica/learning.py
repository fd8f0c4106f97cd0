r"""Learning curves of full-batch learning on Gaussian features: the replica theory.

Conventions. Teacher field :math:`\nu = \theta\cdot u/\sqrt k`, student preactivation
:math:`w\cdot v/\sqrt p`, features centred. The estimator minimises

.. math:: \sum_{\mu=1}^{n} \ell(y_\mu, w\cdot v_\mu/\sqrt p) + \tfrac{\lambda}{2} |w|^2,
   \qquad \alpha = n/p,

a sum (not a mean) over the examples. Targets are :math:`y = \nu + \sqrt{\mathrm{noise}}\,\xi` for
``"ridge"``; labels are :math:`y = \mathrm{sign}(\nu + \sqrt{\mathrm{noise}}\,\xi)`, flipped with
probability ``flip``, for ``"square"``, ``"logistic"`` and ``"hinge"``. scikit-learn has
:math:`C = 1/\lambda` on :math:`X = v/\sqrt p`, without intercept.

Source: Loureiro, Gerbelot, Cui, Goldt, Krzakala, Mézard and Zdeborová, "Learning curves of generic features
maps for realistic datasets with a teacher-student model" (2021); limits and thresholds after Goldt, Loureiro,
Reeves, Krzakala, Mézard and Zdeborová, "The Gaussian equivalence of generative models for learning with
shallow neural networks" (2020).

Examples
--------
>>> from hmm_rs.theory import replica
>>> spectrum = replica.Spectrum([2.0, 1.0, 0.25], [0.25, 0.5, 0.25], [0.6, 0.3, 0.05], 1.3)
>>> curve = replica.learning_curve(spectrum, [0.5, 1.5, 4.0], loss="logistic", lam=0.1)
>>> [round(float(e), 4) for e in curve.test_error]
[0.3999, 0.3407, 0.2798]
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ... import _lib
from ...ground.arguments import array, choice, count, number
from ...ground.errors import ConvergenceError, InvalidParameterError, ShapeError
from ...ground.results import dataset

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "LOSSES",
    "Spectrum",
    "learning_curve",
    "max_margin",
    "optimal_ridge",
    "prox",
    "ridgeless",
    "separability_threshold",
    "solve",
]

#: The losses: squared error on real targets, and on labels; logistic; hinge.
LOSSES = ("ridge", "square", "logistic", "hinge")

#: Works the numbers rest on.
CITE = ("gaussian-covariate-model", "gaussian-equivalence")

Vector = npt.NDArray[np.float64]
OnFailure = Literal["raise", "flag"]


@dataclass(frozen=True, eq=False)
class Spectrum:
    r"""The numbers of a learning problem that enter the theory.

    Parameters
    ----------
    omega
        Eigenvalues of the feature covariance :math:`\Omega`, shape (atoms,), each >= 0. Those below
        1e-12 of the largest count as zero.
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
        atoms = (
            array("omega", omega, (None,)),
            array("weight", weight, (None,)),
            array("t", t, (None,)),
            number("rho", rho),
        )
        self._take(_lib.replica_spectrum(atoms), from_labels)

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
        rho = float(weights @ teacher @ weights) / k
        return cls.from_b(features, cross.T @ weights / math.sqrt(k), rho)

    @classmethod
    def from_b(cls, Omega: npt.ArrayLike, b: npt.ArrayLike, rho: float) -> Spectrum:
        r"""From the feature covariance (p, p), :math:`b = E[\nu v]` (p,) and the teacher's variance.

        Examples
        --------
        >>> Spectrum.from_b([[1.0, 0.0], [0.0, 2.0]], [0.3, 0.4], 1.0).t.round(12).tolist()
        [0.09, 0.16]
        """
        features = array("Omega", Omega, (None, None))
        if features.shape[0] != features.shape[1]:
            raise ShapeError(f"Omega has shape {features.shape}: must be square; pass a covariance (p, p)")
        vector = array("b", b, (features.shape[0],), rule="to match Omega")
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
        batches: Iterable[Any] = [(nu, v)] if v is not None else nu
        moments: _Moments | None = None
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
                moments = _Moments(joint.shape[1])
            moments.add(joint)
        if moments is None or moments.count < 2:
            raise ShapeError("samples has fewer than 2 rows: a covariance needs more; pass more samples")
        covariance = moments.scatter / moments.count
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
        features = features - features.mean(axis=0)
        total = features.shape[0]
        made = cls.from_b(
            features.T @ features / total, features.T @ targets / total, float(targets @ targets) / total
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


class _Moments:
    """Mean and centred scatter, merged pairwise after Chan, Golub and LeVeque (1979)."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.count = 0
        self.mean = np.zeros(size)
        self.scatter = np.zeros((size, size))

    def add(self, batch: Vector) -> None:
        mean = batch.mean(axis=0)
        centred = batch - mean
        shift = mean - self.mean
        total = self.count + len(batch)
        self.scatter += centred.T @ centred
        self.scatter += np.outer(shift, shift) * (self.count * len(batch) / total)
        self.mean += shift * (len(batch) / total)
        self.count = total


def _spectrum(value: Any) -> Spectrum:
    if not isinstance(value, Spectrum):
        raise InvalidParameterError(
            f"spectrum = {value!r:.80}: must be a replica.Spectrum; pass Spectrum(omega, weight, t, rho)"
        )
    return value


def _options(
    spectrum: Spectrum, loss: str, lam: float, flip: float, noise: float, tol: float, max_iterations: int
) -> tuple[str, float, float, float, float, int]:
    """Check the options of the solver; warn where labels admit no Gaussian teacher."""
    choice("loss", loss, LOSSES)
    if loss != "ridge" and spectrum.from_labels and spectrum.rho_lin * math.pi / 2 > spectrum.rho:
        warnings.warn(
            f"rho_lin pi/2 = {spectrum.rho_lin * math.pi / 2:.3g} exceeds the mean square "
            f"{spectrum.rho:.3g} of the labels: no Gaussian teacher makes such labels, and "
            "predictions of classification errors are off by tens of per cent; ridge predictions hold",
            stacklevel=3,
        )
    return (
        loss,
        number("lam", lam),
        number("flip", flip),
        number("noise", noise),
        number("tol", tol),
        count("max_iterations", max_iterations),
    )


def _undefined(loss: str) -> tuple[str, ...]:
    """Return the numbers that `loss` does not define."""
    if loss == "ridge":
        return ("test_error", "test_error_clean", "train_error")
    return () if loss == "square" else ("test_mse", "train_mse")


def _mapping(solved: Mapping[str, Any], loss: str) -> dict[str, Any]:
    """Return the only point of `solved` as plain numbers."""
    result = {name: values[0].item() for name, values in solved.items() if name not in _undefined(loss)}
    result["iterations"] = int(result["iterations"])
    return result


def _require(converged: bool, result: Any, on_failure: str, message: str) -> None:
    """Raise unless the solver converged or the caller looks at the flag."""
    choice("on_failure", on_failure, ("raise", "flag"))
    if not converged and on_failure == "raise":
        raise ConvergenceError(
            f"{message}; the best iterate is in .result; raise max_iterations, loosen tol, or pass "
            'on_failure="flag"',
            result,
        )


def solve(
    spectrum: Spectrum,
    *,
    loss: str,
    alpha: float,
    lam: float,
    flip: float = 0.0,
    noise: float = 0.0,
    tol: float = 1e-10,
    max_iterations: int = 20_000,
    on_failure: OnFailure = "raise",
) -> dict[str, Any]:
    r"""Solve the theory at one alpha.

    Parameters
    ----------
    spectrum
        The problem.
    loss
        "ridge", "square", "logistic" or "hinge".
    alpha
        Examples over student dimension, n/p > 0.
    lam
        L2 penalty > 0; for the limit 0 see :func:`ridgeless` and :func:`max_margin`.
    flip
        Probability that a label is flipped, in [0, 1/2].
    noise
        Variance of the noise on the teacher field.
    tol
        Largest change of the fixed point (relative in V and q) at the end.
    max_iterations
        Evaluations of the fixed-point map before giving up.
    on_failure
        "raise" a :class:`ConvergenceError`, or "flag" it in ``converged``.

    Returns
    -------
    dict
        ``V, q, m, V_hat, q_hat, m_hat, norm2`` (order parameters); ``train_loss`` (mean, without penalty),
        ``objective`` (minimised sum over p); for classification ``train_error, test_error`` (against labels
        made like the training ones), ``test_error_clean`` (no noise, no flips); for the square losses
        ``test_mse, train_mse`` (no factor 1/2); ``converged, iterations, residual``.

    Examples
    --------
    >>> spectrum = Spectrum([2.0, 1.0, 0.25], [0.25, 0.5, 0.25], [0.6, 0.3, 0.05], 1.3)
    >>> round(solve(spectrum, loss="ridge", alpha=1.5, lam=0.1)["test_mse"], 6)
    0.994659
    """
    problem = _spectrum(spectrum)
    options = _options(problem, loss, lam, flip, noise, tol, max_iterations)
    solved = _lib.replica_curve(problem.atoms, np.array([number("alpha", alpha)]), options, 1)
    result = _mapping(solved, loss)
    _require(
        result["converged"],
        result,
        on_failure,
        f"solve did not converge at alpha = {alpha:g}, lam = {lam:g}: "
        f"residual {result['residual']:.2g} after {result['iterations']} iterations",
    )
    return result


def learning_curve(
    spectrum: Spectrum,
    alphas: npt.ArrayLike,
    *,
    loss: str,
    lam: float,
    flip: float = 0.0,
    noise: float = 0.0,
    tol: float = 1e-10,
    max_iterations: int = 20_000,
    on_failure: OnFailure = "raise",
    threads: int | None = None,
) -> xr.Dataset:
    """Solve the theory along `alphas`, each point starting from its neighbour.

    Parameters
    ----------
    spectrum, loss, lam, flip, noise, tol, max_iterations, on_failure
        As in :func:`solve`.
    alphas
        Values of n/p, shape (n,), in any order.
    threads
        Threads (chunks of 20 neighbouring points run in parallel); the numbers do not depend on it.

    Returns
    -------
    xarray.Dataset
        The entries of :func:`solve` along ``alpha``.
    """
    problem = _spectrum(spectrum)
    options = _options(problem, loss, lam, flip, noise, tol, max_iterations)
    points = array("alphas", alphas, (None,))
    solved = _lib.replica_curve(
        problem.atoms, points, options, None if threads is None else count("threads", threads)
    )
    missing = int((~solved["converged"]).sum())
    result = dataset(
        {name: values for name, values in solved.items() if name not in _undefined(loss)},
        along=points,
        dim="alpha",
        label="examples over student dimension",
        source="theory",
        settings={
            "loss": loss,
            "lam": lam,
            "flip": flip,
            "noise": noise,
            "tol": tol,
            "rho": problem.rho,
            "rho_lin": problem.rho_lin,
        },
        cite=CITE,
        converged_everywhere=missing == 0,
    )
    _require(
        missing == 0,
        result,
        on_failure,
        f"learning_curve did not converge at {missing} of {points.size} points",
    )
    return result


def ridgeless(spectrum: Spectrum, *, alpha: float, noise: float = 0.0) -> dict[str, float]:
    r"""Least squares of minimal norm, the limit :math:`\lambda\to0^+` of ridge regression.

    With f the rank over p: for :math:`\alpha > f` the error is
    :math:`(\rho-\rho_{lin})\,\alpha/(\alpha-f)`; for :math:`\alpha < f` the training error vanishes. At f the
    test error diverges (the double-descent peak), and the function refuses.

    Returns
    -------
    dict
        ``test_mse, train_mse`` (no factor 1/2).

    Examples
    --------
    >>> spectrum = Spectrum([2.0, 1.0, 0.25], [0.25, 0.5, 0.25], [0.6, 0.3, 0.05], 1.3)
    >>> round(ridgeless(spectrum, alpha=1.2)["test_mse"], 10)
    3.0
    """
    test_mse, train_mse = _lib.replica_ridgeless(
        _spectrum(spectrum).atoms, number("alpha", alpha), number("noise", noise)
    )
    return {"test_mse": test_mse, "train_mse": train_mse}


def max_margin(
    spectrum: Spectrum,
    *,
    alpha: float,
    flip: float = 0.0,
    noise: float = 0.0,
    tol: float = 1e-10,
    max_iterations: int = 20_000,
    on_failure: OnFailure = "raise",
) -> dict[str, Any]:
    r"""Hard-margin classifier: hinge and (in direction) logistic loss for :math:`\lambda\to0^+`.

    Only below :func:`separability_threshold`; convergence slows down critically near it.

    Returns
    -------
    dict
        ``margin`` (geometric, :math:`\min_\mu y_\mu w\cdot v_\mu/|w|`), ``test_error, test_error_clean``,
        ``V`` (:math:`\lim \lambda V`), ``q, m, norm2`` of the vector with functional margin 1, ``threshold,
        converged, iterations, residual``.

    Examples
    --------
    >>> spectrum = Spectrum([2.0, 1.0, 0.25], [0.25, 0.5, 0.25], [0.6, 0.3, 0.05], 1.3)
    >>> round(max_margin(spectrum, alpha=0.8)["margin"], 6)
    0.729176
    """
    result: dict[str, Any] = _lib.replica_max_margin(
        _spectrum(spectrum).atoms,
        number("alpha", alpha),
        number("flip", flip),
        number("noise", noise),
        number("tol", tol),
        count("max_iterations", max_iterations),
    )
    _require(
        result["converged"],
        result,
        on_failure,
        f"max_margin did not converge at alpha = {alpha:g} (separability threshold "
        f"{result['threshold']:.6g}): residual {result['residual']:.2g} after "
        f"{result['iterations']} iterations",
    )
    return result


def separability_threshold(spectrum: Spectrum, *, flip: float = 0.0, noise: float = 0.0) -> float:
    r"""Return :math:`\alpha_c`: examples are linearly separable up to :math:`n = \alpha_c p`.

    2 for random labels, infinite for a noiseless linear teacher. Depends on
    :math:`\rho_{lin}/\rho`, the flips and the rank only.

    Examples
    --------
    >>> round(separability_threshold(Spectrum([1.0], [1.0], [0.5], 1.0)), 6)
    2.695348
    """
    threshold: float = _lib.replica_threshold(
        _spectrum(spectrum).atoms, number("flip", flip), number("noise", noise)
    )
    return threshold


def optimal_ridge(
    spectrum: Spectrum,
    *,
    loss: str,
    alpha: float,
    flip: float = 0.0,
    noise: float = 0.0,
    lam_min: float = 1e-4,
    lam_max: float = 1e2,
    tol: float = 1e-11,
    max_iterations: int = 20_000,
    on_failure: OnFailure = "raise",
) -> dict[str, Any]:
    r"""Find the penalty that minimises the predicted test error: cross-validation without data.

    A logarithmic grid between `lam_min` and `lam_max`, widened (by three decades, at most twice) while the
    minimum sits at its edge, then a golden section.

    Returns
    -------
    dict
        ``lam``; ``at_edge``: the minimum lies beyond the widened grid, and `lam` is a bound; and everything
        :func:`solve` returns there (``test_mse`` is minimised for "ridge", ``test_error`` otherwise).

    Examples
    --------
    >>> spectrum = Spectrum([2.0, 1.0, 0.25], [0.25, 0.5, 0.25], [0.6, 0.3, 0.05], 1.3)
    >>> round(optimal_ridge(spectrum, loss="ridge", alpha=1.5)["lam"], 3)
    0.601
    """
    problem = _spectrum(spectrum)
    lower = number("lam_min", lam_min, minimum=0.0, exclusive=True)
    upper = number("lam_max", lam_max, minimum=lower, exclusive=True)
    options = _options(problem, loss, lower, flip, noise, tol, max_iterations)
    lam, at_edge, solved = _lib.replica_optimal_ridge(
        problem.atoms, number("alpha", alpha), options, lower, upper
    )
    result = {"lam": lam, "at_edge": at_edge, **_mapping(solved, loss)}
    _require(
        result["converged"],
        result,
        on_failure,
        f"optimal_ridge did not converge at its minimum lam = {lam:g}",
    )
    return result


def prox(s: npt.ArrayLike, V: float, *, loss: str) -> dict[str, Any]:
    r"""Evaluate the proximal operator :math:`\mathrm{argmin}_x\,(x-s)^2/(2V) + \ell(x)` for label +1.

    Parameters
    ----------
    s
        Points, any shape.
    V
        Width, > 0.
    loss
        One of :data:`LOSSES`.

    Returns
    -------
    dict
        ``prox``; ``f`` = (prox - s)/V without its cancellation; ``minus_df_ds``; ``moreau``, the minimum.
        Arrays of the shape of `s`, floats for a scalar.

    Examples
    --------
    >>> prox(0.4, 0.9, loss="hinge")["prox"]
    1.0
    """
    points = array("s", np.atleast_1d(np.asarray(s, dtype=np.float64)).ravel(), (None,))
    choice("loss", loss, LOSSES)
    columns = _lib.replica_prox(points, number("V", V, minimum=0.0, exclusive=True), loss)
    names = ("prox", "f", "minus_df_ds", "moreau")
    shape = np.shape(s)
    return {
        name: values.reshape(shape) if shape else float(values[0])
        for name, values in zip(names, columns, strict=True)
    }
