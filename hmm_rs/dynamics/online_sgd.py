"""One-pass stochastic gradient descent of two-layer students."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Unpack, get_args

import numpy as np
import numpy.typing as npt

from .. import _lib
from ..data.gaussian import GaussianEquivalent, TeacherStudent
from ..data.hidden_manifold import HiddenManifold, rows_are_alike
from ..data.latent import LatentModel
from ..data.stored import StoredSamples
from ..ground.arguments import choice, count, dtype_name, flag, seed_words
from ..ground.arguments import seed as checked_seed
from ..ground.arguments import threads as checked_threads
from ..ground.errors import DtypeError, InvalidParameterError, ShapeError
from ..ground.memory import require
from ..ground.results import VARIABLES
from ..ground.schedules import Rate, told
from ..networks.two_layer import TwoLayer
from .driver import Driver, Observation
from .history import stepping
from .options import RunOptions, long_run
from .schedule import save_times
from .students import (
    DIMENSION,
    RATES,
    Students,
    compiled_for_each,
    of_student,
    rates_of,
    students_of,
    with_students,
)

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Labels", "OnlineSGD"]

#: What the teacher sees.
Labels = Literal["latent", "input"]


class OnlineSGD(Driver):
    r"""One-pass SGD: a two-layer student learns a teacher's labels from a stream of samples.

    .. math::
        w^k &\leftarrow w^k - \frac{\eta}{\sqrt N} v_k \Delta\, g'(\lambda^k)\, x
               - \frac{\kappa}{N} w^k, \qquad \Delta = \phi(x) - y \\
        v_k &\leftarrow v_k - \frac{\eta_v}{N} \Delta\, g(\lambda^k) - \frac{\kappa}{N} v_k

    Both layers are updated from the old weights; every sample is seen once. Time is
    t = steps / N; the error is ε_g = ½ E(φ - y*)² against the noiseless teacher.

    Parameters
    ----------
    model
        Data: ``HiddenManifold``, ``TeacherStudent``, ``GaussianEquivalent``, a generator, or
        ``data.StoredSamples``.
    teacher
        ``TwoLayer`` with w of shape (M, D) for labels="latent", (M, N) for labels="input".
    student
        ``TwoLayer`` with w of shape (K, N): the initial weights. A list of them is an ensemble on one stream: all
        learn from the same samples, which are made once, each with the bits that it has alone (see Notes).
    lr
        η, learning rate of the first layer: a number, a schedule (:mod:`hmm_rs.schedules`), or a function of times t
        that takes an array and returns as many rates. So are `lr_v`, `noise` and `weight_decay`; a step has
        the rates of its t = step / N. With a list of students each of the four may be a list too, one rate for each.
    lr_v
        η_v, rate of the second layer; None means `lr`. Used if `train_second_layer`.
    train_second_layer
        Whether v is trained.
    labels
        "latent": ν = w̃.c/√D. "input": ν = w̃.x/√N.
    classify
        Labels are the sign of the teacher's output (+1 for zero). ``eg`` is then the squared error
        against these labels, and ``eg_analytic`` is not defined and left out.
    noise
        Standard deviation σ of Gaussian noise on the training labels.
    weight_decay
        κ; applied to v too where it is trained.
    batch
        Samples per step; the gradient is averaged over them.
    test_size
        Samples of the fixed test set. Its own sampling error is about
        std(½Δ²)/√test_size, of order 1 % of ε_g at 10,000.
    dtype
        "float64" or "float32".
    seed
        Seed of the sample stream, the test set and the label noise.

    Notes
    -----
    HMM paper, section II. Results carry ``eg`` (test set), ``eg_analytic`` (from the order
    parameters), ``Q, R, T, W, Sigma, v``. For generators without linear features the order
    parameters are averages over the test set, and Sigma is not defined and left out; they are averages over the
    test set too where rows of a given F have unlike norms, so that one set of moments does not serve all inputs.
    The slope of relu at 0 is 0, as in the theory: a unit of exactly zero weights never learns.
    In single precision a slow weight decay acts on a scale that is kept in double precision beside the weights, so
    that it is not lost in their rounding.

    **Ensembles.** With a list of students, of one entry too, the result has the dimension ``student`` after ``t``; only
    ``T`` is the same for all. What tells the students apart, ``K`` and the rates that were lists, are coordinates along
    it, so that ``result.swap_dims(student="lr")`` is a result over rates. Where widths differ, ``Q``, ``R``, ``W``,
    ``Sigma`` and ``v`` have the units of the widest, NaN beyond a student's own. Seed, batch, test set, precision and
    `train_second_layer` are those of all. A student whose error grows beyond 1e8 has diverged: it leaves with a
    warning, everything measured of it later is NaN, and ``diverged`` is when; the others go on. Only where all have
    diverged is there a ``DivergenceError``. At N = 1000, D = 100 sixteen students of K = 2 cost about as much as two or
    three.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> model = hr.HiddenManifold(N=200, D=20, f="sign")
    >>> sim = hr.OnlineSGD(model, hr.TwoLayer.random(2, 20, seed=1),
    ...                    student=hr.TwoLayer.random(2, 200, seed=2), lr=0.2, test_size=500)
    >>> result = sim.run(2.0, save_at=[0.0, 1.0, 2.0])
    >>> bool(result.eg[-1] < result.eg[0])
    True

    Three rates on one stream:

    >>> rates = [0.1, 0.2, 0.4]
    >>> many = hr.OnlineSGD(model, hr.TwoLayer.random(2, 20, seed=1),
    ...                     student=[hr.TwoLayer.random(2, 200, seed=2)] * 3, lr=rates, test_size=500)
    >>> runs = many.run(2.0, save_at=[0.0, 1.0, 2.0])
    >>> runs.eg.dims, runs.lr.values
    (('t', 'student'), array([0.1, 0.2, 0.4]))
    >>> runs.eg.sel(student=1).equals(result.eg.assign_coords(runs.eg.sel(student=1).coords))
    True
    """

    _axis: ClassVar[tuple[str, str, str]] = ("t", "time t = steps / N", "")
    _cite: ClassVar[tuple[str, ...]] = ("hidden-manifold",)
    _by_steps: ClassVar[bool] = True

    def __init__(
        self,
        model: LatentModel,
        teacher: TwoLayer,
        *,
        student: TwoLayer | Iterable[TwoLayer],
        lr: Rate | Iterable[Rate],
        lr_v: Rate | Iterable[Rate] | None = None,
        train_second_layer: bool = False,
        labels: Labels = "latent",
        classify: bool = False,
        noise: Rate | Iterable[Rate] = 0.0,
        weight_decay: Rate | Iterable[Rate] = 0.0,
        batch: int = 1,
        test_size: int = 10_000,
        dtype: str = "float64",
        seed: Any = 0,
    ) -> None:
        if not isinstance(model, LatentModel):
            raise DtypeError(f"model = {model!r:.80}: must be a model of data; pass HiddenManifold(N, D)")
        if not isinstance(teacher, TwoLayer):
            raise DtypeError(f"teacher = {teacher!r:.80}: must be a TwoLayer; pass TwoLayer(w, v)")
        choice("labels", labels, get_args(Labels))
        seen, name = (model.D, "D") if labels == "latent" else (model.N, "N")
        if teacher.w.shape[1] != seen:
            raise ShapeError(
                f"teacher.w has shape {teacher.w.shape}: with labels={labels!r} its rows must have length "
                f"model.{name} = {seen}; pass TwoLayer.random(M, {seen})"
            )
        students = students_of(student, model.N)
        classify = flag("classify", classify)
        if classify and isinstance(model, StoredSamples):
            model.signs()
        self._arguments = {
            "model": model,
            "teacher": teacher,
            "student": students,
            "lr": rates_of("lr", lr, students),
            "lr_v": None if lr_v is None else rates_of("lr_v", lr_v, students),
            "train_second_layer": flag("train_second_layer", train_second_layer),
            "labels": labels,
            "classify": classify,
            "noise": rates_of("noise", noise, students),
            "weight_decay": rates_of("weight_decay", weight_decay, students),
            "batch": count("batch", batch),
            "test_size": count("test_size", test_size),
            "dtype": dtype_name(dtype),
            "seed": checked_seed(seed),
        }
        words = seed_words(self._arguments["seed"])
        for name, value in self._arguments.items():
            if name not in ("student", "lr_v"):
                setattr(self, name, value)
        self.lr_v = self.lr if lr_v is None else self._arguments["lr_v"]
        self._ensemble = not isinstance(students, TwoLayer)
        count_of = len(self.initial_students)
        self._engine = _lib.online_sgd(
            model.source(self.dtype),
            student=self.initial_students,
            ensemble=self._ensemble,
            teacher=teacher,
            moments=_field_moments(model),
            centred=_is_centred(model),
            labels=labels,
            classify=self.classify,
            lr=compiled_for_each("lr", self.lr, count_of),
            lr_v=compiled_for_each("lr_v", self.lr_v if self.train_second_layer else 0.0, count_of),
            train_second_layer=self.train_second_layer,
            noise=compiled_for_each("noise", self.noise, count_of),
            weight_decay=compiled_for_each("weight_decay", self.weight_decay, count_of),
            batch=self.batch,
            test_size=self.test_size,
            seed=words,
        )
        require(self.memory_estimate(), f"this run (N={model.N}, D={model.D})", "lower test_size or N")

    _engine: _lib.Engine
    #: Whether `student` was a list.
    _ensemble: bool
    #: Students whose divergence was told.
    _told: frozenset[int] = frozenset()
    model: LatentModel
    teacher: TwoLayer
    # A rate, or of an ensemble whose students have their own ones a tuple of them.
    lr: Any
    lr_v: Any
    train_second_layer: bool
    labels: Labels
    classify: bool
    noise: Any
    weight_decay: Any
    batch: int
    test_size: int
    dtype: str
    seed: Any

    @property
    def t(self) -> float:
        """Present time, steps / N."""
        return self._engine.t

    @property
    def step(self) -> int:
        """Steps done."""
        return self._engine.step

    @property
    def student(self) -> TwoLayer:
        """The student as it is now; of an ensemble see :attr:`students`."""
        self._refuse_ensemble("student", "students")
        weights = self._engine.query("weights")
        return TwoLayer(weights["w"], weights["v"], activation=self.initial_student.activation)

    @property
    def students(self) -> tuple[TwoLayer | None, ...]:
        """All students as they are now, None for those that have diverged."""
        if not self._ensemble:
            return (self.student,)
        # In this order: who diverges in between, in a run of another thread, has its last weights at worst.
        weights = self._engine.query("weights")
        gone = self._diverged()
        return tuple(
            None if i in gone else TwoLayer(weights[f"w{i}"], weights[f"v{i}"], activation=first.activation)
            for i, first in enumerate(self.initial_students)
        )

    @property
    def initial_student(self) -> TwoLayer:
        """The student at t = 0; of an ensemble see :attr:`initial_students`."""
        self._refuse_ensemble("initial_student", "initial_students")
        return self.initial_students[0]

    @property
    def initial_students(self) -> tuple[TwoLayer, ...]:
        """All students at t = 0."""
        given: Students = self._arguments["student"]
        return (given,) if isinstance(given, TwoLayer) else given

    def alone(self, i: int) -> OnlineSGD:
        """Return the run of student `i` alone, at t = 0: a new engine on the same stream that gives the same bits.

        It is what the equations of one student start from, ``HiddenManifoldODE.from_simulation(sim.alone(3))``.

        Parameters
        ----------
        i
            Number of the student, from 0 on: its ``student`` in the result.
        """
        i = count("i", i, minimum=0, maximum=len(self.initial_students) - 1)
        rates = {name: of_student(self._arguments[name], i) for name in RATES}
        return type(self)(**{**self._arguments, "student": self.initial_students[i], **rates})

    def _refuse_ensemble(self, name: str, instead: str) -> None:
        if self._ensemble:
            raise InvalidParameterError(
                f"{name}: this run has a list of {len(self.initial_students)} students; use {instead}, or alone(i), "
                f"the run of one of them"
            )

    def _diverged(self) -> dict[int, int]:
        """Return the steps at which students of an ensemble have diverged."""
        steps = self._engine.query("diverged", threads=1)["step"]
        return {i: int(step) for i, step in enumerate(steps) if step != np.iinfo(np.uint64).max}

    def _tell_divergence(self) -> None:
        """Warn of students that have diverged since the last call."""
        if not self._ensemble:
            return
        gone = self._diverged()
        fresh = sorted(set(gone) - self._told)
        self._told = frozenset(gone)
        # Where nobody is left, an error says so.
        if fresh and len(gone) < len(self.initial_students):
            listed = ", ".join(
                f"{i} (lr = {told(of_student(self.lr, i))}, at t = {gone[i] / self.model.N:.6g})"
                for i in fresh[:8]
            )
            warnings.warn(
                f"diverged: student {listed}{', ...' if len(fresh) > 8 else ''}; the others go on, what is measured of "
                f"it from now on is NaN; lower its learning rate",
                RuntimeWarning,
                stacklevel=3,
            )

    def memory_estimate(self, *, threads: int | None = None) -> int:
        """Return the bytes a run needs beside the feature matrix."""
        return self._engine.memory(threads=checked_threads("threads", threads))

    @stepping
    def advance(self, n_steps: int, *, threads: int | None = None) -> None:
        """Take `n_steps` steps (of `batch` samples each)."""
        self._engine.advance(
            count("n_steps", n_steps, minimum=0), threads=checked_threads("threads", threads)
        )
        self._tell_divergence()

    def observe(self, *, threads: int | None = None) -> Observation:
        """Return what is measured now: ``eg``, ``eg_analytic``, ``Q``, ``R``, ``T``, ``W``, ``Sigma``, ``v``.

        ``eg_analytic`` is left out where it is not defined (``classify``, inputs with a mean), ``Sigma`` where inputs
        have no linear features. Of an ensemble all but ``T`` have the students as their first axis.

        Raises
        ------
        DivergenceError
            If the weights are so large that a number is not finite; of an ensemble, if they are for every student.
        """
        return self._engine.observe(checked_threads("threads", threads))

    @long_run
    def run(
        self, t_max: float, *, save_at: npt.ArrayLike | None = None, **options: Unpack[RunOptions]
    ) -> xr.Dataset:
        """Train until time `t_max` (from where the driver is) and return what was measured.

        Parameters
        ----------
        t_max
            End of the run, in units of N steps.
        save_at
            Times to measure at, increasing; None: the present, 60 log-spaced times, the end.
            Each is moved to the next whole step; those that meet there are one.
        **options
            Options of every run, :class:`hmm_rs.dynamics.RunOptions`.

        Raises
        ------
        DivergenceError
            If the learning rate is too large, in an ensemble for every student; ``.result`` holds what was measured
            before.

        Notes
        -----
        Ctrl-C in an interactive session returns the partial result (``interrupted`` = 1); in a
        script it saves the checkpoint, if one was asked for, and raises KeyboardInterrupt. After every end,
        an error in a callback included, ``.result`` of the driver is what the run measured. :meth:`stop` ends
        the run from another thread.
        """
        return self._drive(save_times(t_max, save_at, self.t, 1.0 / self.model.N), **options)

    def _advance_towards(self, target: float, steps: int, threads: int | None) -> bool:
        reached = self._engine.advance(steps, until=target, threads=threads)
        self._tell_divergence()
        return reached

    def _observe(self, threads: int | None) -> Observation:
        return self.observe(threads=threads)

    def _state(self) -> dict[str, npt.NDArray[Any]]:
        state = self._engine.snapshot()
        return state | {"step": np.array(state["step"], dtype=np.uint64)}

    def _restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        self._engine.restore(dict(state))
        self._told = frozenset(self._diverged())

    def _first_slice(self) -> int:
        # Multiplications of a step; 10^8 take a few to some tens of ms.
        units = sum(student.w.shape[0] for student in self.initial_students)
        return max(1, int(1e8 / (self.batch * self.model.N * (2 * self.model.D + 6 * units))))

    def _postfix(self, seen: Observation) -> str:
        if not self._ensemble:
            return super()._postfix(seen)
        return f"eg={np.nanmin(seen['eg']):.3g}..{np.nanmax(seen['eg']):.3g}"

    def _dims(self, names: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
        if not self._ensemble:
            return {}
        return {name: ("t", DIMENSION, *VARIABLES[name][0]) for name in names if name != "T"}

    def _finish(self, result: xr.Dataset) -> xr.Dataset:
        if not self._ensemble or DIMENSION not in result.dims:
            return result
        students, gone = self.initial_students, self._diverged()
        diverged = [gone[i] / self.model.N if i in gone else np.nan for i in range(len(students))]
        return with_students(result, students, {name: getattr(self, name) for name in RATES}, diverged)


def _manifold_of(model: LatentModel) -> HiddenManifold | None:
    """Return the hidden manifold that a model is, or whose conjugate Gaussian data it has."""
    inner = model.model if isinstance(model, GaussianEquivalent) else model
    return inner if isinstance(inner, HiddenManifold) else None


def _is_centred(model: LatentModel) -> bool:
    """Return whether the local fields have no mean, as the analytic error supposes."""
    manifold = _manifold_of(model)
    return manifold is None or manifold.center or abs(manifold.moments[0]) <= 1e-12


def _field_moments(model: LatentModel) -> dict[str, float] | None:
    """Return b and ζ where order parameters follow from the weights alone, else None."""
    if isinstance(model, TeacherStudent):
        return {"b": 1.0, "zeta": 0.0}
    manifold = _manifold_of(model)
    if manifold is None or not _is_centred(model) or not rows_are_alike(manifold):
        return None
    a, b, c = manifold.moments
    return {"b": b, "zeta": max(c - a * a - b * b, 0.0)}
