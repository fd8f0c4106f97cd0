"""What the hidden-manifold equations say: late errors, growing complexity, plateaus.

Each function is a sweep over :class:`~hmm_rs.theory.HiddenManifoldODE`, solved in parallel, from
random initial weights of a finite size: their overlaps break the symmetry between hidden units.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..ground.arguments import array, count, items, number
from ..ground.arguments import seed as checked_seed
from ..ground.errors import InvalidParameterError
from ..ground.linear_algebra import gram
from ..ground.overflow import finite, within_range
from ..theory.online import HiddenManifoldODE, solve_many
from ..theory.order_parameters import NonlinearityOrMoments, centred_moments
from .plateaus import plateau

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
    rng = np.random.default_rng(checked_seed(seed))
    b, _, _ = centred_moments(f)
    # Teacher vectors along the first M axes: the student's components there are the overlaps.
    with within_range("std_w"):
        weights = number("std_w", std_w, minimum=0.0) * rng.standard_normal((K, size))
        finite("std_w", gram(weights))
    v0 = np.full(K, float(v)) if std_v is None else number("std_v", std_v) * rng.standard_normal(K)
    return HiddenManifoldODE.continuum(
        delta=delta,
        W0=gram(weights) / size,
        R0=b * weights[:, :M] / math.sqrt(size),
        T=np.eye(M),
        v0=v0,
        v_teacher=np.ones(M),
        f=f,
        lr=lr,
        lr_v=lr if train_second_layer else 0.0,
        **options,
    )


#: Relative change since half the time below which a late error counts as stationary.
_STATIONARY = 0.01


def _late(
    name: str,
    label: str,
    values: Sequence[float] | npt.ArrayLike,
    start: Callable[[int, int], HiddenManifoldODE],
    times: Sequence[float],
    seeds: Sequence[int] | None,
    threads: int | None,
) -> xr.Dataset:
    """Return late errors over one parameter and, if `seeds` are given, over them.

    `start` makes the system of value i and a seed; value i is read at times[i].
    """
    import xarray as xr

    numbers = (
        [0]
        if seeds is None
        else [count("seeds", s, minimum=0) for s in items("seeds", seeds, "seeds, range(5)")]
    )
    if not numbers:
        raise InvalidParameterError("seeds is empty: must hold a seed at least; pass seeds=range(5), say")
    late = np.empty((len(times), len(numbers)))
    before = np.empty_like(late)
    systems = [[start(i, seed) for seed in numbers] for i in range(len(times))]
    # Systems read at the same time are solved side by side.
    for t_max in dict.fromkeys(times):
        rows = [i for i, t in enumerate(times) if t == t_max]
        results = iter(
            solve_many(
                [system for i in rows for system in systems[i]], [0.0, t_max / 2, t_max], threads=threads
            )
        )
        for i in rows:
            for j in range(len(numbers)):
                eg = next(results).eg.values
                before[i, j], late[i, j] = eg[-2], eg[-1]
    change = np.abs(late - before) / np.maximum(np.abs(late), 1e-15)
    dims: tuple[str, ...] = (name, "seed")
    columns = {
        "eg": (late, "generalisation error"),
        "change": (change, "relative change since half the time"),
        "stationary": (change < _STATIONARY, "whether it changes by less than 1 percent"),
    }
    coords: dict[str, Any] = {name: (name, np.asarray(values), {"long_name": label})}
    data = {key: (dims, value, {"long_name": text}) for key, (value, text) in columns.items()}
    if seeds is None:
        data = {key: (dims[:1], value[:, 0], about) for key, (_, value, about) in data.items()}
    else:
        coords["seed"] = ("seed", numbers, {"long_name": "seed of the initial overlaps"})
        for key, value, text in (
            ("eg_mean", late.mean(axis=1), "mean over the seeds"),
            ("eg_std", late.std(axis=1), "standard deviation over the seeds"),
        ):
            data[key] = (dims[:1], value, {"long_name": text})
    attrs: dict[str, Any] = {"source": "theory", "cite": "hidden-manifold"}
    if len(set(times)) == 1:
        attrs["t"] = float(times[0])
    else:
        data["t"] = (dims[:1], np.asarray(times), {"long_name": "time at which the error is read"})
    return xr.Dataset(data, coords=coords, attrs=attrs)


def late_error_against_delta(
    deltas: npt.ArrayLike,
    *,
    K: int = 2,
    M: int = 2,
    lr: float = 0.2,
    t_max: float | None = None,
    seeds: Sequence[int] | None = None,
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
        much it still moves, ``stationary`` whether that is less than 1 percent.
    seeds
        Seeds of the initial overlaps: one error for each, over a further dimension ``seed``, with ``eg_mean`` and
        ``eg_std`` over it. None: the seed in `options` alone (0 unless given) and no such dimension.
    threads
        Number of threads.

    Returns
    -------
    xarray.Dataset
        eg, change and stationary over delta (and seed).

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
    values = deltas.tolist()

    def start(i: int, seed: int) -> HiddenManifoldODE:
        return random_start(K, M, delta=values[i], lr=lr, **_seeded(options, seeds, seed))

    times = [_late_time(t_max, lr)] * len(values)
    return _late("delta", "ratio D/N", deltas, start, times, seeds, threads)


def late_error_against_learning_rate(
    lrs: npt.ArrayLike,
    *,
    K: int = 2,
    M: int = 2,
    delta: float = 0.1,
    steps: float = 4000.0,
    seeds: Sequence[int] | None = None,
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
    seeds
        As in :func:`late_error_against_delta`.
    threads
        Number of threads.

    Returns
    -------
    xarray.Dataset
        eg, change, stationary and the time t at which they are read over lr (and seed).

    Examples
    --------
    >>> from hmm_rs.theory.phenomena import late_error_against_learning_rate
    >>> result = late_error_against_learning_rate([0.1, 1.0], spectrum="orthogonal")
    >>> [round(float(eg), 4) for eg in result.eg]
    [0.0206, 0.0344]
    """
    lrs = array("lrs", lrs, (None,))
    if (lrs <= 0.0).any():
        raise InvalidParameterError("lrs holds rates <= 0: nothing is learnt; pass positive rates")
    values = lrs.tolist()
    steps = number("steps", steps, minimum=0.0, exclusive=True)

    def start(i: int, seed: int) -> HiddenManifoldODE:
        return random_start(K, M, delta=delta, lr=values[i], **_seeded(options, seeds, seed))

    return _late("lr", "learning rate", lrs, start, [steps / lr for lr in values], seeds, threads)


def late_error_against_students(
    Ks: Sequence[int],
    *,
    M: int = 2,
    delta: float = 0.01,
    lr: float = 0.2,
    t_max: float | None = None,
    seeds: Sequence[int] | None = None,
    threads: int | None = None,
    **options: Any,
) -> xr.Dataset:
    """Return the late error against the student's hidden units K.

    With fewer units than the teacher specialisation is incomplete; more units with a fixed second
    layer are slightly worse, with a trained one as good or slightly better. There may be more than one end
    state: K = 3, M = 2 ends at .0025 or .0040 by the initial overlaps, hence `seeds`.

    Parameters
    ----------
    Ks
        Numbers of hidden units.
    M, delta, lr, **options
        As in :func:`random_start`; ``train_second_layer=True`` trains both layers.
    t_max, seeds, threads
        As in :func:`late_error_against_delta`.

    Returns
    -------
    xarray.Dataset
        eg, change and stationary over K (and seed).

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
    Ks = [count("Ks", K) for K in items("Ks", Ks, "numbers of hidden units, [1, 2]")]

    def start(i: int, seed: int) -> HiddenManifoldODE:
        return random_start(Ks[i], M, delta=delta, lr=lr, **_seeded(options, seeds, seed))

    times = [_late_time(t_max, lr)] * len(Ks)
    return _late("K", "student units K", Ks, start, times, seeds, threads)


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

    Ks = [count("Ks", K) for K in items("Ks", Ks, "numbers of hidden units, [1, 2]")]
    if not Ks:
        raise InvalidParameterError("Ks is empty: must hold a number of hidden units; pass [1, 2], say")
    times = np.concatenate([[0.0], np.geomspace(0.1, 1000.0, 100)]) if t_eval is None else t_eval
    systems = [
        random_start(K, M, delta=delta, lr=lr, std_w=std_w, std_v=std_v, train_second_layer=True, **options)
        for K in Ks
    ]
    results = solve_many(systems, times, threads=threads)
    combined = xr.concat([result[["eg"]].drop_attrs(deep=False) for result in results], "K")
    return combined.assign_coords(K=("K", Ks)).assign_attrs(source="theory", cite="hidden-manifold")


def _seeded(options: Mapping[str, Any], seeds: Sequence[int] | None, seed: int) -> dict[str, Any]:
    """Return the options of :func:`random_start` with the seed of a series, if there is one."""
    if seeds is None:
        return dict(options)
    if "seed" in options:
        raise InvalidParameterError(
            f"seed = {options['seed']!r} and seeds are both given: one says it all; pass seeds alone"
        )
    return {**options, "seed": seed}


def _late_time(t_max: float | None, lr: float) -> float:
    if t_max is not None:
        return number("t_max", t_max, minimum=0.0, exclusive=True)
    return 4000.0 / number("lr", lr, minimum=0.0, exclusive=True)
