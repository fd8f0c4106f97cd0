"""Message passing on many independent teachers and samples: the optimal learning curve, measured."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ...dynamics import amp
from ...ground.arguments import array, count, number, seed_words
from ...ground.errors import InvalidParameterError
from ...ground.linear_algebra import product
from ...ground.memory import require
from ...ground.results import dataset
from ...theory.replica.spectrum import Spectrum, checked_spectrum

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["amp_curve"]

Vector = npt.NDArray[np.float64]


def amp_curve(
    spectrum: Spectrum,
    alphas: npt.ArrayLike,
    *,
    p: int,
    teacher: Literal["sign", "linear", "logit"] = "sign",
    flip: float = 0.0,
    noise: float = 0.0,
    repeats: int = 10,
    damping: float = 0.5,
    seed: Any = 0,
    threads: int | None = None,
) -> xr.Dataset:
    r"""Draw teachers of the prior and samples, and estimate each teacher by :func:`hmm_rs.amp`.

    What :func:`hmm_rs.theory.replica.bayes_optimal` predicts, on Gaussian features of finite number.

    Parameters
    ----------
    spectrum
        The problem; its atoms are spread over the features by their weights.
    alphas
        Values of n/p, shape (points,); rounded to whole examples.
    p
        Number of features.
    teacher, flip, noise
        As in :func:`hmm_rs.theory.replica.bayes_optimal`.
    repeats
        Independent draws per point.
    damping
        As in :func:`hmm_rs.amp`.
    seed
        Names the draws.
    threads
        Threads to use; the result does not depend on it.

    Returns
    -------
    xarray.Dataset
        Over (alpha, seed): ``test_error`` or ``test_mse`` against targets made like the training ones, ``q, m`` and
        ``iterations``.

    Raises
    ------
    ConvergenceError
        If the algorithm does not settle on a draw.

    Examples
    --------
    >>> from hmm_rs.theory.replica import Spectrum
    >>> curve = amp_curve(Spectrum([1.0], [1.0], [0.8], 1.0), [0.5, 2.0], p=60, repeats=3)
    >>> curve.test_error.dims
    ('alpha', 'seed')
    """
    problem = checked_spectrum(spectrum)
    size, draws = count("p", p), count("repeats", repeats)
    wanted = array("alphas", alphas, (None,))
    if (wanted <= 0).any():
        raise InvalidParameterError(f"alphas hold {wanted.min():g}: must be > 0; pass values of n/p")
    sizes = [max(1, round(float(alpha) * size)) for alpha in wanted]
    require(max(sizes) * size * 16, f"{max(sizes)} examples of {size} features", "use fewer of either")
    atom = np.searchsorted(np.cumsum(problem.weight), (np.arange(size) + 0.5) / size)
    atom = np.minimum(atom, problem.omega.size - 1)
    omega = problem.omega[atom]
    # Variance of a weight on v/sqrt p: that of the field on the atom over variance and weight.
    prior = np.zeros(size)
    seen = omega > 0
    prior[seen] = problem.t[atom][seen] / omega[seen] ** 2 / problem.weight[atom][seen]
    hidden = max(problem.rho - problem.rho_lin, 0.0) + number("noise", noise, minimum=0.0) ** 2
    known: dict[str, Any] = {"teacher": teacher, "flip": flip, "noise": math.sqrt(hidden), "prior": prior}
    rows: list[dict[str, float]] = []
    streams = iter(np.random.SeedSequence(seed_words(seed).tolist()).spawn(len(sizes) * draws))
    for n in sizes:
        for _ in range(draws):
            w, X, y = _examples(omega, n, known, np.random.default_rng(next(streams)), threads)
            run = amp(X, y, w_teacher=w, damping=damping, threads=threads, **known)
            rows.append(
                {
                    **{name: float(run[name].values[-1]) for name in ("q", "m")},
                    **{
                        name: float(run[name].values[-1])
                        for name in ("test_error", "test_mse")
                        if name in run
                    },
                    "iterations": run.attrs["iterations"],
                }
            )
    shape = (len(sizes), draws)
    values = {name: np.array([row[name] for row in rows]).reshape(shape) for name in rows[0]}
    return dataset(
        values,
        dims=dict.fromkeys(values, ("alpha", "seed")),
        along=np.array(sizes) / size,
        dim="alpha",
        label="examples over student dimension",
        source="simulation",
        settings={"teacher": teacher, "flip": flip, "noise": noise, "repeats": draws, "seed": repr(seed)},
        cite=("gaussian-covariate-model",),
        p=size,
    )


def _examples(
    omega: Vector, n: int, known: dict[str, Any], generator: np.random.Generator, threads: int | None
) -> tuple[Vector, Vector, Vector]:
    """Return a teacher, features (n, p) over sqrt p and targets."""
    p = omega.size
    w = generator.standard_normal(p) * np.sqrt(known["prior"])
    X = generator.standard_normal((n, p)) * np.sqrt(omega / p)
    field = product(X, w, threads=threads) + known["noise"] * generator.standard_normal(n)
    if known["teacher"] == "linear":
        return w, X, np.asarray(field)
    # A logistic variable added to the field makes a logit teacher of a sign.
    if known["teacher"] == "logit":
        field = field + generator.logistic(size=n)
    flipped = generator.random(n) < known["flip"]
    return w, X, np.where((field < 0) ^ flipped, -1.0, 1.0)
