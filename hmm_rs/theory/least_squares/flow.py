r"""Test and training error of least squares along training.

Gradient flow on :math:`\frac1{2n}|y - Vu|^2` from zero, with rows v of V (no factor :math:`1/\sqrt p`):

.. math:: u(t) = (1-e^{-tS})\,S^+\,V^Ty/n, \qquad S = V^TV/n ,

so that a direction of variance :math:`\omega` is learnt after a time :math:`1/\omega`. Gradient descent of step
:math:`\eta` has :math:`(1-\eta S)^k` in the place of :math:`e^{-tS}`, :math:`t = k\eta`. The averages are those of
:mod:`~hmm_rs.theory.least_squares.errors`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...ground.arguments import array, number
from ...ground.record import Record
from ...ground.results import dataset
from ...provenance.recording import recorded
from ..replica.spectrum import Spectrum
from .problem import CITE, Problem, finite_or_end, settled_step
from .stopping import stopping_time

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["least_squares_flow"]


@recorded("least_squares_flow")
def least_squares_flow(
    spectrum: Spectrum,
    *,
    alpha: npt.ArrayLike,
    t: npt.ArrayLike,
    noise: float = 0.0,
    lr: float | None = None,
) -> Record | xr.Dataset:
    r"""Return test and training error of least squares after training for a time t.

    Parameters
    ----------
    spectrum
        The problem.
    alpha
        Examples over student dimension, n/p > 0: a number, or several, shape (n,).
    t
        Times >= 0, a number or several; in units of one over the features' variance. ``math.inf`` is
        :func:`~hmm_rs.theory.replica.ridgeless`.
    noise
        Standard deviation of the noise on the teacher field.
    lr
        None for gradient flow; a number for full-batch gradient descent with steps of this length, at times
        that are rounded to whole steps.

    Returns
    -------
    xarray.Dataset
        ``test_mse`` (against noisy targets) and ``train_mse`` (no factor 1/2) over ``t``, over ``alpha`` and ``t`` if
        there are several alphas; ``t_stop`` and ``test_mse_stop``, where test error is smallest over all times and
        how small, as attributes or, over ``alpha``, as variables. With one alpha and one t, a record of all of them.

    Raises
    ------
    InvalidParameterError
        Negative times, ``alpha <= 0``, a step with which gradient descent diverges.

    Notes
    -----
    On given features V and targets y the same is ``u`` above; with X = V/sqrt p of :class:`hmm_rs.FullBatch` and its
    weights w = sqrt(p) u it is gradient flow on :math:`\frac{p}{2n}|y - Xw|^2`.

    Examples
    --------
    >>> from hmm_rs.theory import least_squares_flow, replica
    >>> spectrum = replica.Spectrum([2.0, 1.0, 0.25], [0.25, 0.5, 0.25], [0.6, 0.3, 0.05], 1.3)
    >>> run = least_squares_flow(spectrum, alpha=1.2, t=[0.0, 1.0, 10.0, float("inf")])
    >>> run.test_mse.round(4).values.tolist(), round(run.attrs["t_stop"], 2)
    ([1.3, 0.9461, 1.2471, 3.0], 0.96)
    """
    several = np.ndim(alpha) > 0
    alphas = array("alpha", alpha, (None,)) if several else [alpha]
    times, step = finite_or_end("t", t), settled_step(lr)
    spread = number("noise", noise, minimum=0.0)
    problems = [Problem.checked(spectrum, at, spread, step) for at in alphas]
    reached = problems[0].ticks(times)
    errors = [problem.errors(reached) for problem in problems]
    stops = [stopping_time(problem) for problem in problems]
    values = {
        "test_mse": np.array([test for test, _ in errors]),
        "train_mse": np.array([train for _, train in errors]),
    }
    best = {
        "t_stop": np.array([at for at, _, _ in stops]),
        "test_mse_stop": np.array([test for _, test, _ in stops]),
    }
    first = problems[0]
    settings = {
        "alpha": alphas if several else first.alpha,
        "noise": first.noise,
        "lr": step,
        "rho": first.spectrum.rho,
        "rho_lin": first.spectrum.rho_lin,
    }
    schema: dict[str, Any] = {
        "along": reached,
        "dim": "t",
        "label": "time",
        "source": "theory",
        "settings": settings,
        "cite": CITE,
    }
    if several:
        over = {**dict.fromkeys(values, ("alpha", "t")), **dict.fromkeys(best, ("alpha",))}
        result = dataset({**values, **best}, dims=over, **schema)
        return result.assign_coords(alpha=("alpha", alphas, {"long_name": "examples over student dimension"}))
    single = {name: row[0] for name, row in values.items()}
    numbers: dict[str, Any] = {name: float(row[0]) for name, row in best.items()}
    if np.ndim(t) == 0:
        return Record({**{name: float(row[0]) for name, row in single.items()}, **numbers}, **schema)
    return dataset(single, **schema, **numbers)
