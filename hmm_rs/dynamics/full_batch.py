r"""Full-batch learning: the experiment that matches :mod:`hmm_rs.theory.replica`.

.. math:: w = \mathrm{argmin} \sum_{\mu=1}^n \ell(y_\mu, x_\mu\cdot w) + \tfrac{\lambda}{2} |w|^2

with a certificate: every fit reports a duality gap, an upper bound on what the objective could still
fall by. Conventions as in the theory: a sum over examples, :math:`x = v/\sqrt p`, no intercept;
scikit-learn's ``C`` is :math:`1/\lambda`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from .. import _lib
from ..data.latent import LatentModel
from ..ground.activations import UNITS
from ..ground.arguments import array, choice, count, number, seed_words
from ..ground.arguments import threads as checked_threads
from ..ground.description import Description
from ..ground.errors import ConvergenceError, DtypeError, InvalidParameterError, ShapeError
from ..ground.memory import require
from ..ground.results import dataset

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "FullBatch",
    "GaussianFeatures",
    "SampledFeatures",
    "agreement",
    "finite_size_allowance",
    "full_batch_curve",
]

Vector = npt.NDArray[np.float64]

#: Losses, with the relative duality gap at which a fit stops and the steps it may take: refinements of the
#: normal equations, quasi-Newton and Newton steps, passes of coordinate descent over the examples.
STOP: dict[str, tuple[float, int]] = {
    "ridge": (1e-14, 20),
    "square": (1e-14, 20),
    "logistic": (1e-12, 1000),
    "hinge": (1e-9, 200_000),
}

#: Observables that are 0/1 errors, bounded between 0 and 1.
_ERRORS = ("train_error", "test_error")


class FullBatch:
    """Regularised empirical risk minimisation on given examples.

    Parameters
    ----------
    X
        Inputs, shape (n, p); scale features by ``1/sqrt(p)`` to meet the theory's convention.
    y
        Targets, shape (n,): real numbers for "ridge", labels -1 and 1 otherwise.
    loss
        "ridge" (squared error), "square" (the same on labels), "logistic" or "hinge".
    lam
        L2 penalty, > 0, on the *sum* of losses.

    Attributes
    ----------
    w, objective, gap, iterations, converged
        The last fit: weights (p,), minimised objective, upper bound on its distance from the minimum,
        Newton steps or passes, and whether the tolerance was met.

    Examples
    --------
    >>> import numpy as np
    >>> import hmm_rs as hr
    >>> X = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    >>> problem = hr.FullBatch(X, [1.0, 2.0, 3.0], loss="ridge", lam=1.0)
    >>> problem.fit().round(6).tolist()
    [0.875, 1.375]
    """

    w: Vector | None
    objective: float
    gap: float
    iterations: int
    converged: bool

    def __init__(self, X: npt.ArrayLike, y: npt.ArrayLike, *, loss: str, lam: float) -> None:
        self.X: Vector = array("X", X, (None, None))
        self.loss = choice("loss", loss, STOP)
        self.lam = number("lam", lam, minimum=0.0, exclusive=True)
        self.y: Vector = array("y", y, (self.X.shape[0],), rule="to match the rows of X")
        if loss != "ridge" and not np.isin(self.y, (-1.0, 1.0)).all():
            raise InvalidParameterError(
                f"y holds {self.y[~np.isin(self.y, (-1.0, 1.0))][0]:g}: labels must be -1 or 1; "
                'pass np.sign of the targets, or loss="ridge" for real targets'
            )
        self.w = None
        self.objective = self.gap = math.nan
        self.iterations = 0
        self.converged = False

    def fit(
        self,
        *,
        tol: float | None = None,
        max_iterations: int | None = None,
        threads: int | None = None,
        on_failure: Literal["raise", "flag"] = "raise",
    ) -> Vector:
        """Minimise the objective and return the weights, shape (p,).

        Ridge and square: normal equations (in the examples if n < p). Logistic: a quasi-Newton method,
        finished by Newton's where that is cheaper. Hinge: dual coordinate descent, finished by solving for
        the examples on the margin.

        Parameters
        ----------
        tol
            Largest duality gap relative to the objective. Default: 1e-12 or so, by the loss.
        max_iterations
            Newton steps or passes before giving up.
        threads
            Threads to use; the result does not depend on it.
        on_failure
            "raise" a :class:`ConvergenceError` (its ``result`` holds the weights), or "flag" it in
            ``converged``.
        """
        stop = _stop(self.loss, tol, max_iterations)
        choice("on_failure", on_failure, ("raise", "flag"))
        needed = min(self.X.shape) ** 2 * 16 + self.X.nbytes
        require(needed, f"FullBatch with X of shape {self.X.shape}", "use fewer examples or features")
        fitted = _lib.full_batch_fit(
            [(self.X, self.y)], self.loss, self.lam, stop, checked_threads("threads", threads)
        )[0]
        self.w = fitted["w"]
        self.objective, self.gap = fitted["objective"], fitted["gap"]
        self.iterations, self.converged = fitted["iterations"], fitted["converged"]
        if not self.converged and on_failure == "raise":
            raise ConvergenceError(
                f"FullBatch reached a relative gap of {self.gap / self.objective:.2g} > tol = {stop[0]:g} "
                f"in {self.iterations} iterations; the weights are in .result; raise max_iterations, loosen "
                'tol, or pass on_failure="flag"',
                self.w,
            )
        assert self.w is not None
        return self.w


def _stop(loss: str, tol: float | None, max_iterations: int | None) -> tuple[float, int]:
    default_tol, default_iterations = STOP[loss]
    return (
        default_tol if tol is None else number("tol", tol, minimum=0.0, exclusive=True),
        default_iterations if max_iterations is None else count("max_iterations", max_iterations),
    )


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
        values, vectors = np.linalg.eigh(covariance)
        return cls(np.maximum(values, 0.0), vectors.T @ vector, rho)


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
        self.draw = draw
        self.p = count("p", p)

    @classmethod
    def from_model(
        cls,
        model: LatentModel,
        weights: npt.ArrayLike,
        *,
        teacher: npt.ArrayLike,
        activation: str = "erf",
        labels: str = "latent",
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
        choice("activation", activation, ("erf", "relu", "linear"))
        size = model.D if choice("labels", labels, ("latent", "input")) == "latent" else model.N
        h = array("teacher", teacher, (size,), rule=f"with labels={labels!r}")
        words = seed_words(seed).tolist()

        def hidden(X: npt.NDArray[Any]) -> Vector:
            return np.asarray(UNITS[activation].value(X @ W.T / math.sqrt(model.N)))

        mean, step = np.zeros(len(W)), 10_000
        total = count("mean_samples", mean_samples)
        for start in range(0, total, step):
            X = model.sample(min(step, total - start), seed=[*words, 0], start=start)[0]
            mean += hidden(X).sum(axis=0)
        mean /= total

        def draw(n: int, stream: int) -> tuple[Vector, Vector]:
            X, C = model.sample(n, seed=[*words, 1, stream])
            latents = C if labels == "latent" else X
            return latents @ h / math.sqrt(size), hidden(X) - mean

        return cls(draw, p=len(W))

    def fields(self, n: int, seed: int) -> tuple[Vector, Vector]:
        """Return `n` checked teacher fields and features of stream `seed`."""
        nu, v = self.draw(n, seed)
        return array("nu", nu, (n,), rule="from draw"), array("v", v, (n, self.p), rule="from draw")


def full_batch_curve(
    features: GaussianFeatures | SampledFeatures,
    alphas: npt.ArrayLike,
    *,
    loss: str,
    lam: float,
    flip: float = 0.0,
    noise: float = 0.0,
    repeats: int = 20,
    test_size: int = 10_000,
    seed: Any = 0,
    tol: float | None = None,
    max_iterations: int | None = None,
    threads: int | None = None,
) -> xr.Dataset:
    r"""Fit many independent draws along `alphas`: the simulated learning curve.

    Draws differ between sample sizes too, so that errors of neighbouring points are independent.

    Parameters
    ----------
    features
        Where examples come from.
    alphas
        Values of n/p, shape (points,); rounded to whole examples.
    loss, lam
        As in :class:`FullBatch`.
    flip
        Probability that a training and test label is flipped.
    noise
        Variance of the noise on the teacher field.
    repeats
        Independent draws per point.
    test_size
        Fresh samples for test errors of :class:`SampledFeatures` (exact for :class:`GaussianFeatures`).
    seed
        Names the draws.
    tol, max_iterations, threads
        As in :meth:`FullBatch.fit`. Fits run in parallel; the numbers do not depend on `threads`.

    Returns
    -------
    xarray.Dataset
        Over (alpha, seed): ``train_loss, objective, norm2, gap, converged``; for classification
        ``train_error, test_error, margin``; for the square losses ``train_mse, test_mse``; for
        Gaussian features ``q, m``.

    Raises
    ------
    ConvergenceError
        If any fit misses its tolerance (the dataset is in ``result``).

    Examples
    --------
    >>> features = GaussianFeatures(np.ones(50), np.full(50, 0.1), 1.0)
    >>> curve = full_batch_curve(features, [0.5, 2.0], loss="ridge", lam=0.1, repeats=4)
    >>> curve.test_mse.dims
    ('alpha', 'seed')
    """
    choice("loss", loss, STOP)
    lam = number("lam", lam, minimum=0.0, exclusive=True)
    flip = number("flip", flip, minimum=0.0, maximum=0.5)
    noise = number("noise", noise, minimum=0.0)
    if loss == "ridge" and flip:
        raise InvalidParameterError(f'flip = {flip:g}: must be 0 for "ridge"; pass loss="square" for labels')
    repeats = count("repeats", repeats)
    wanted = array("alphas", alphas, (None,))
    if (wanted <= 0).any():
        raise InvalidParameterError(f"alphas hold {wanted.min():g}: must be > 0; pass values of n/p")
    sizes = [max(1, round(float(alpha) * features.p)) for alpha in wanted]
    stop = _stop(loss, tol, max_iterations)
    if isinstance(features, GaussianFeatures):
        observed = _lib.full_batch_gaussian(
            (features.omega, features.b, features.rho),
            sizes,
            repeats,
            (loss, lam, flip, noise, *stop),
            seed_words(seed),
            checked_threads("threads", threads),
        )
    else:
        observed = _sampled_curve(
            features,
            sizes,
            loss,
            lam,
            flip,
            noise,
            repeats,
            count("test_size", test_size),
            seed,
            stop,
            threads,
        )
    shape = (len(sizes), repeats)
    kept = {name: values.reshape(shape) for name, values in observed.items() if not np.isnan(values).all()}
    result = dataset(
        kept,
        along=np.array(sizes) / features.p,
        dim="alpha",
        label="examples over student dimension",
        source="simulation",
        settings={
            "loss": loss,
            "lam": lam,
            "flip": flip,
            "noise": noise,
            "repeats": repeats,
            "seed": repr(seed),
        },
        cite=("gaussian-covariate-model", "gaussian-equivalence"),
        dims=dict.fromkeys(kept, ("alpha", "seed")),
        p=features.p,
        loss=loss,
    )
    missed = int((result.converged == 0).sum())
    if missed:
        raise ConvergenceError(
            f"full_batch_curve: {missed} of {repeats * len(sizes)} fits missed tol = {stop[0]:g}; the "
            "dataset is in .result; raise max_iterations or loosen tol",
            result,
        )
    return result


def _targets(nu: Vector, loss: str, flip: float, noise: float, generator: np.random.Generator) -> Vector:
    """Return targets made of teacher fields."""
    if noise:
        nu = nu + math.sqrt(noise) * generator.standard_normal(nu.size)
    if loss == "ridge":
        return nu
    labels = np.where(nu < 0, -1.0, 1.0)
    return np.where(generator.random(nu.size) < flip, -labels, labels) if flip else labels


def _sampled_curve(
    features: SampledFeatures,
    sizes: Sequence[int],
    loss: str,
    lam: float,
    flip: float,
    noise: float,
    repeats: int,
    test_size: int,
    seed: Any,
    stop: tuple[float, int],
    threads: int | None,
) -> dict[str, Vector]:
    """Fit draws of a sampler; one size at a time, so that memory holds its draws only."""
    root_p = math.sqrt(features.p)
    streams = iter(np.random.SeedSequence(seed_words(seed).tolist()).spawn(1 + len(sizes) * repeats))

    def examples(n: int) -> tuple[Vector, Vector]:
        stream = next(streams)
        nu, v = features.fields(n, int(stream.generate_state(1, np.uint64)[0] >> 1))
        return v / root_p, _targets(nu, loss, flip, noise, np.random.default_rng(stream))

    X_test, y_test = examples(test_size)
    rows: list[dict[str, float]] = []
    for n in sizes:
        require(repeats * n * features.p * 8, f"{repeats} draws of {n} examples", "use fewer repeats")
        drawn = [examples(n) for _ in range(repeats)]
        fits = _lib.full_batch_fit(drawn, loss, lam, stop, checked_threads("threads", threads))
        rows.extend(
            _measure(fitted, X, y, X_test, y_test, loss, lam)
            for (X, y), fitted in zip(drawn, fits, strict=True)
        )
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _measure(
    fitted: dict[str, Any], X: Vector, y: Vector, X_test: Vector, y_test: Vector, loss: str, lam: float
) -> dict[str, float]:
    """Return the observables of one fit."""
    w: Vector = fitted["w"]
    p = w.size
    z, z_test = X @ w, X_test @ w
    norm2 = float(w @ w) / p
    row = {
        "norm2": norm2,
        "train_loss": (fitted["objective"] - lam / 2 * norm2 * p) / y.size,
        "objective": fitted["objective"] / p,
        "gap": fitted["gap"] / fitted["objective"],
        "converged": float(fitted["converged"]),
    }
    if loss != "ridge":
        row["train_error"] = float(np.mean(y * z < 0))
        row["test_error"] = float(np.mean(y_test * z_test < 0))
        row["margin"] = float((y * z).min()) / math.sqrt(norm2)
    if loss in ("ridge", "square"):
        row["train_mse"] = float(np.mean((y - z) ** 2))
        row["test_mse"] = float(np.mean((y_test - z_test) ** 2))
    return row


def finite_size_allowance(
    name: str, theory: npt.ArrayLike, standard_error: npt.ArrayLike, *, p: int, loss: str
) -> npt.NDArray[np.float64]:
    """Return how far a simulated mean at finite p may lie from the theory of infinite p.

    Four standard errors plus the finite-size bias: 0.5/p for 0/1 errors and the losses of classification,
    2/p relative for everything else. Measured biases times p: -0.09 to -0.16 (square), about -0.2 (logistic)
    for 0/1 errors, 0 to 0.1 for training losses.

    Parameters
    ----------
    name
        Observable.
    theory, standard_error
        Its predictions and the standard errors of the simulated means, shapes (points,).
    p
        Student dimension of the simulation.
    loss
        Which loss was learnt with.
    """
    predicted = np.abs(np.asarray(theory, dtype=np.float64))
    bounded = name in _ERRORS or (loss != "ridge" and name == "train_loss")
    bias = np.full_like(predicted, 0.5 / p) if bounded else 2.0 / p * predicted
    return np.asarray(4.0 * np.asarray(standard_error, dtype=np.float64) + bias)


def agreement(simulation: xr.Dataset, theory: xr.Dataset) -> xr.Dataset:
    """Lay a simulated curve beside its theory and judge the gap.

    Parameters
    ----------
    simulation
        From :func:`full_batch_curve`.
    theory
        From ``hmm_rs.theory.replica.learning_curve`` at the same alphas.

    Returns
    -------
    xarray.Dataset
        Over (observable, alpha): ``theory, simulation, standard_error, gap, allowed, within`` (0 or 1).
    """
    import xarray as xr

    if not np.allclose(simulation.alpha, theory.alpha, rtol=1e-9):
        raise InvalidParameterError(
            f"theory has alpha = {theory.alpha.values}: must match the simulation's "
            f"{simulation.alpha.values}; solve the theory at simulation.alpha"
        )
    skipped = ("converged", "gap", "residual", "iterations")
    names = [str(name) for name in simulation.data_vars if name in theory and name not in skipped]
    loss, p = str(simulation.attrs["loss"]), int(simulation.attrs["p"])
    table: dict[str, list[Vector]] = {
        key: [] for key in ("theory", "simulation", "standard_error", "gap", "allowed", "within")
    }
    for name in names:
        measured = simulation[name].values
        repeats = measured.shape[1]
        error = (
            measured.std(axis=1, ddof=1) / math.sqrt(repeats)
            if repeats > 1
            else np.full(len(measured), np.inf)
        )
        predicted = theory[name].values
        gap = measured.mean(axis=1) - predicted
        allowed = finite_size_allowance(name, predicted, error, p=p, loss=loss)
        columns = (
            predicted,
            measured.mean(axis=1),
            error,
            gap,
            allowed,
            (np.abs(gap) <= allowed).astype(float),
        )
        for key, values in zip(table, columns, strict=True):
            table[key].append(values)
    return xr.Dataset(
        {key: (("observable", "alpha"), np.array(values)) for key, values in table.items()},
        coords={"observable": names, "alpha": simulation.alpha.values},
        attrs={"p": p, "loss": loss},
    )
