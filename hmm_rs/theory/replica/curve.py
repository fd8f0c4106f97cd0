"""The theory along the number of examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from ... import _lib
from ...ground.arguments import array
from ...ground.arguments import threads as checked_threads
from ...ground.overflow import finite, within_range
from ...ground.results import dataset
from ...provenance.recording import recorded
from .clusters import PER_CLUSTER, mixture_curve
from .mixture import Mixture
from .settings import (
    CITE,
    QUESTION,
    Loss,
    OnFailure,
    checked,
    checked_problem,
    ratio,
    required,
    told,
    undefined,
)
from .spectrum import Spectrum

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["learning_curve"]


@recorded("replica.learning_curve")
def learning_curve(
    spectrum: Spectrum | Mixture,
    alphas: npt.ArrayLike,
    *,
    loss: Loss,
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
        Threads (chunks of 20 neighbouring points run in parallel; those of a :class:`Mixture` follow one another);
        the numbers do not depend on it.

    Returns
    -------
    xarray.Dataset
        The entries of :func:`solve` along ``alpha``; those of single clusters over (alpha, cluster).
    """
    problem = checked_problem(spectrum)
    settings = checked(
        problem, name=loss, lam=lam, flip=flip, noise=noise, tol=tol, max_iterations=max_iterations
    )
    points = array("alphas", alphas, (None,))
    ratio(float(points.min()))
    ratio(float(points.max()))
    workers = checked_threads("threads", threads)
    solved: Mapping[str, Any]
    if isinstance(problem, Mixture):
        with within_range(QUESTION):
            solved = mixture_curve(problem, points, settings)
    else:
        solved = _lib.replica_curve(problem, points, settings, workers)
    missing = int((~solved["converged"]).sum())
    skipped = undefined(settings["loss"])
    kept = {name: values for name, values in solved.items() if name not in skipped}
    finite(QUESTION, {name: values[solved["converged"]] for name, values in kept.items()})
    result = dataset(
        kept,
        along=points,
        dim="alpha",
        label="examples over student dimension",
        source="theory",
        settings={**settings, **told(problem)},
        cite=CITE,
        dims={name: ("alpha", "cluster") for name in PER_CLUSTER if name in kept},
        converged_everywhere=missing == 0,
    )
    required(
        missing == 0,
        result,
        on_failure,
        f"learning_curve did not converge at {missing} of {points.size} points",
    )
    return result
