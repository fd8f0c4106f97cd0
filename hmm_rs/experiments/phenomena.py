"""What the hidden-manifold equations say: late errors, growing complexity, plateaus.

Each function is a sweep over :class:`~hmm_rs.theory.HiddenManifoldODE`, solved in parallel, from
random initial weights of a finite size: their overlaps break the symmetry between hidden units.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..ground.arguments import array, count, number
from ..ground.errors import InvalidParameterError
from ..theory.online.equations import HiddenManifoldODE, solve_many
from ..theory.order_parameters import NonlinearityOrMoments, centred_moments

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "increasing_complexity",
    "late_error_against_delta",
    "late_error_against_learning_rate",
    "late_error_against_students",
    "plateau",
    "random_start",
]


def random_start(
    K: int,
    M: int,
    *,
    delta: float,
    f: NonlinearityOrMoments = "sign",
    lr: float = 0.2,
    train_second_layer: bool = False,
    std_w: float = 1.0,
    v: float = 1.0,
    std_v: float | None = None,
    size: int = 1000,
    seed: int = 0,
    **options: Any,
) -> HiddenManifoldODE:
    r"""Return the continuum system of random initial weights and a teacher with T = 1, ṽ = 1.

    Parameters
    ----------
    K, M
        Hidden units of student and teacher.
    delta
        D/N.
    f
        Nonlinearity of the data.
    lr, train_second_layer
        Learning rate, of both layers if the second one is trained.
    std_w
        Standard deviation of the student's first layer.
    v, std_v
        Second layer of the student: v for all units, or N(0, std_v²).
    size
        Latent dimension whose overlaps of random vectors, of order 1/√size, the start has.
    seed
        Seed of those overlaps.
    **options
        ``spectrum``, ``nodes`` and everything else :meth:`HiddenManifoldODE.continuum` takes.

    Examples
    --------
    >>> from hmm_rs.theory.phenomena import random_start
    >>> result = random_start(2, 2, delta=0.1).solve([0.0, 1000.0])
    >>> bool(0.02 < result.eg[-1] < 0.03)
    True
    """
    K, M, size = count("K", K), count("M", M), count("size", size, minimum=K + M)
    rng = np.random.default_rng(seed)
    b, _, _ = centred_moments(f)
    # Teacher vectors along the first M axes: the student's components there are the overlaps.
    weights = number("std_w", std_w, minimum=0.0) * rng.standard_normal((K, size))
    v0 = np.full(K, float(v)) if std_v is None else number("std_v", std_v) * rng.standard_normal(K)
    return HiddenManifoldODE.continuum(
        delta=delta,
        W0=weights @ weights.T / size,
        R0=b * weights[:, :M] / math.sqrt(size),
        T=np.eye(M),
        v0=v0,
        v_teacher=np.ones(M),
        f=f,
        lr=lr,
        lr_v=lr if train_second_layer else 0.0,
        **options,
    )


def _late(
    name: str,
    label: str,
    values: Sequence[float] | npt.ArrayLike,
    systems: Sequence[HiddenManifoldODE],
    t_max: float,
    threads: int | None,
) -> xr.Dataset:
    """Return eg at `t_max` and its relative change since `t_max`/2, over one parameter."""
    import xarray as xr

    results = solve_many(systems, [0.0, t_max / 2, t_max], threads=threads)
    late = np.array([float(result.eg[-1]) for result in results])
    before = np.array([float(result.eg[-2]) for result in results])
    dataset = xr.Dataset(
        {
            "eg": (name, late, {"long_name": "generalisation error"}),
            "change": (
                name,
                np.abs(late - before) / np.maximum(np.abs(late), 1e-15),
                {"long_name": "relative change since half the time"},
            ),
        },
        coords={name: (name, np.asarray(values), {"long_name": label})},
        attrs={"source": "theory", "cite": "hidden-manifold", "t": float(t_max)},
    )
    return dataset


def late_error_against_delta(
    deltas: npt.ArrayLike,
    *,
    K: int = 2,
    M: int = 2,
    lr: float = 0.2,
    t_max: float | None = None,
    threads: int | None = None,
    **options: Any,
) -> xr.Dataset:
    """Return the late error against D/N: about 0.23 D/N for sign data and K = M = 2.

    The task is not realisable: the weights that F does not see act as noise, and there is more of
    it the larger the manifold.

    Parameters
    ----------
    deltas
        Values of D/N, shape (n,).
    K, M, lr, **options
        As in :func:`random_start`.
    t_max
        Time at which the error is read; 4000/lr unless given. ``change`` in the result says how
        much it still moves.
    threads
        Number of threads.

    Returns
    -------
    xarray.Dataset
        eg and change over delta.

    Notes
    -----
    HMM paper, Fig. 5.

    Examples
    --------
    >>> from hmm_rs.theory.phenomena import late_error_against_delta
    >>> result = late_error_against_delta([0.05, 0.1], spectrum="orthogonal")
    >>> [round(float(eg), 4) for eg in result.eg]
    [0.0111, 0.0216]
    """
    deltas = array("deltas", deltas, (None,))
    systems = [random_start(K, M, delta=delta, lr=lr, **options) for delta in deltas.tolist()]
    return _late("delta", "ratio D/N", deltas, systems, _late_time(t_max, lr), threads)


def late_error_against_learning_rate(
    lrs: npt.ArrayLike,
    *,
    K: int = 2,
    M: int = 2,
    delta: float = 0.1,
    steps: float = 4000.0,
    threads: int | None = None,
    **options: Any,
) -> xr.Dataset:
    """Return the late error against the learning rate: affine at small rates.

    Parameters
    ----------
    lrs
        Learning rates, shape (n,).
    K, M, delta, **options
        As in :func:`random_start`.
    steps
        Every error is read at t = steps/lr.
    threads
        Number of threads.

    Returns
    -------
    xarray.Dataset
        eg and change over lr.

    Examples
    --------
    >>> from hmm_rs.theory.phenomena import late_error_against_learning_rate
    >>> result = late_error_against_learning_rate([0.1, 1.0], spectrum="orthogonal")
    >>> [round(float(eg), 4) for eg in result.eg]
    [0.0206, 0.0344]
    """
    import xarray as xr

    lrs = array("lrs", lrs, (None,))
    if (lrs <= 0.0).any():
        raise InvalidParameterError("lrs holds rates <= 0: nothing is learnt; pass positive rates")
    # Rates have their own times: one solve each.
    parts = [
        _late(
            "lr",
            "learning rate",
            [lr],
            [random_start(K, M, delta=delta, lr=lr, **options)],
            number("steps", steps, minimum=0.0, exclusive=True) / lr,
            threads,
        ).drop_attrs(deep=False)
        for lr in lrs.tolist()
    ]
    return xr.concat(parts, "lr").assign_attrs(source="theory", cite="hidden-manifold")


def late_error_against_students(
    Ks: Sequence[int],
    *,
    M: int = 2,
    delta: float = 0.01,
    lr: float = 0.2,
    t_max: float | None = None,
    threads: int | None = None,
    **options: Any,
) -> xr.Dataset:
    """Return the late error against the student's hidden units K.

    With fewer units than the teacher specialisation is incomplete; more units with a fixed second
    layer are slightly worse, with a trained one as good or slightly better.

    Parameters
    ----------
    Ks
        Numbers of hidden units.
    M, delta, lr, **options
        As in :func:`random_start`; ``train_second_layer=True`` trains both layers.
    t_max, threads
        As in :func:`late_error_against_delta`.

    Returns
    -------
    xarray.Dataset
        eg and change over K.

    Notes
    -----
    HMM paper, Fig. 7.

    Examples
    --------
    >>> from hmm_rs.theory.phenomena import late_error_against_students
    >>> result = late_error_against_students([1, 2], spectrum="orthogonal")
    >>> bool(result.eg[1] < 0.1 * result.eg[0])
    True
    """
    Ks = [count("Ks", K) for K in Ks]
    systems = [random_start(K, M, delta=delta, lr=lr, **options) for K in Ks]
    return _late("K", "student units K", Ks, systems, _late_time(t_max, lr), threads)


def increasing_complexity(
    Ks: Sequence[int] = tuple(range(1, 9)),
    *,
    t_eval: npt.ArrayLike | None = None,
    M: int = 10,
    delta: float = 0.05,
    lr: float = 0.2,
    std_w: float = 1e-3,
    std_v: float = 1e-3,
    threads: int | None = None,
    **options: Any,
) -> xr.Dataset:
    """Return learning curves of growing students on one complex teacher, both layers trained.

    All follow one curve at first, the one of simpler functions; larger students leave it later and
    end lower.

    Parameters
    ----------
    Ks
        Numbers of hidden units.
    t_eval
        Times; 100 log-spaced ones up to 1000 unless given.
    M, delta, lr, std_w, std_v, **options
        As in :func:`random_start`.
    threads
        Number of threads.

    Returns
    -------
    xarray.Dataset
        eg over K and t.

    Notes
    -----
    HMM paper, Fig. 8.

    Examples
    --------
    >>> from hmm_rs.theory.phenomena import increasing_complexity
    >>> result = increasing_complexity([1, 4], t_eval=[0.0, 100.0, 1000.0])
    >>> bool(result.eg.sel(K=4, t=1000.0) < result.eg.sel(K=1, t=1000.0))
    True
    """
    import xarray as xr

    Ks = [count("Ks", K) for K in Ks]
    times = np.concatenate([[0.0], np.geomspace(0.1, 1000.0, 100)]) if t_eval is None else t_eval
    systems = [
        random_start(K, M, delta=delta, lr=lr, std_w=std_w, std_v=std_v, train_second_layer=True, **options)
        for K in Ks
    ]
    results = solve_many(systems, times, threads=threads)
    combined = xr.concat([result[["eg"]].drop_attrs(deep=False) for result in results], "K")
    return combined.assign_coords(K=("K", Ks)).assign_attrs(source="theory", cite="hidden-manifold")


def plateau(result: xr.Dataset) -> dict[str, float]:
    r"""Return the plateau of a learning curve and when specialisation ends it.

    The plateau is where -d ln ε_g/d ln t is smallest between two falls of the curve.

    Parameters
    ----------
    result
        Solution or simulation with eg over t, densely spaced in log t.

    Returns
    -------
    dict
        ``error``: ε_g on the plateau; ``start``, ``end``: first times at which ε_g is below 1.1 and
        0.9 of it; ``specialisation``: first time below one half of it. Without a second fall all
        are NaN; a time never reached is NaN.

    Notes
    -----
    Saad and Solla (1995); HMM paper, Fig. 3.

    Examples
    --------
    >>> import numpy as np
    >>> from hmm_rs.theory.phenomena import plateau, random_start
    >>> times = np.geomspace(0.1, 1000.0, 200)
    >>> found = plateau(random_start(2, 2, delta=0.01).solve(times))
    >>> bool(found["start"] < found["end"] < found["specialisation"])
    True
    """
    nothing = dict.fromkeys(("error", "start", "end", "specialisation"), math.nan)
    positive = (result.t.values > 0.0) & (result.eg.values > 0.0)
    t, eg = result.t.values[positive], result.eg.values[positive]
    if t.size < 5:
        return nothing
    slope = -np.gradient(np.log(eg), np.log(t))
    # Largest slopes before and after each point: a plateau is low against the lesser of the two.
    before, after = np.maximum.accumulate(slope), np.maximum.accumulate(slope[::-1])[::-1]
    depth = np.minimum(before, after) - slope
    at = int(np.argmax(depth))
    if depth[at] <= 0.05:
        return nothing
    error = float(eg[at])

    def first(level: float, start: int) -> float:
        below = np.flatnonzero(eg[start:] < level)
        return float(t[start + below[0]]) if below.size else math.nan

    return {
        "error": error,
        "start": first(1.1 * error, 0),
        "end": first(0.9 * error, at),
        "specialisation": first(0.5 * error, at),
    }


def _late_time(t_max: float | None, lr: float) -> float:
    if t_max is not None:
        return number("t_max", t_max, minimum=0.0, exclusive=True)
    return 4000.0 / number("lr", lr, minimum=0.0, exclusive=True)
