"""Online learning of i.i.d. Gaussian inputs."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ... import _lib
from ...data.gaussian import TeacherStudent
from ...ground.arguments import array, count
from ...ground.errors import DtypeError
from ...ground.schedules import Rate
from ...provenance.recording import remembered
from ..units import Activation
from .base import OnlineODE, Simulation, options_of, remedy
from .modes import Directions

__all__ = ["SaadSolla"]


class SaadSolla(OnlineODE):
    r"""Vanilla teacher and student with i.i.d. Gaussian inputs.

    .. math:: \dot R = -\eta L R + \eta G T - \kappa R, \qquad
        \dot Q = -\eta (LQ + QL^T) + \eta (G R^T + R G^T) + \eta^2 N - 2\kappa Q

    Parameters
    ----------
    Q0, R0
        Overlaps at t = 0, shapes (K, K) and (K, M).
    T
        Overlaps of the teacher, shape (M, M).
    v0, v_teacher
        Second layers, shapes (K,) and (M,).
    lr, lr_v
        Learning rates of the first and the second layer; lr_v = 0 keeps the second layer fixed. They, `noise` and
        `weight_decay` are numbers, schedules (:mod:`hmm_rs.schedules`) or functions of times t that take an array and
        return as many rates.
    noise
        Standard deviation of the output noise.
    weight_decay
        κ: each step shrinks the weights by κ/N.
    batch
        Samples per step.
    activation, teacher_activation
        "erf", "relu" or "linear", also mixed; the teacher's is the student's unless given. For
        K + M <= 4 also "tanh" or any smooth vectorised function, by quadrature over the fields
        (1e-8 for tanh at unit variances; 10 to 1000 times slower).
    N
        Number of inputs: needed for ``solve(..., fluctuations=True)`` alone.

    Notes
    -----
    Saad and Solla, Phys. Rev. E 52, 4225 (1995), in a form without divisions.

    Examples
    --------
    >>> import numpy as np
    >>> from hmm_rs.theory import SaadSolla
    >>> system = SaadSolla(0.1 * np.eye(1), np.zeros((1, 1)), T=np.eye(1), v0=[1.0], v_teacher=[1.0], lr=0.5)
    >>> result = system.solve([0.0, 50.0])
    >>> bool(result.eg[-1] < 1e-3)
    True
    """

    @remembered
    def __init__(
        self,
        Q0: npt.ArrayLike,
        R0: npt.ArrayLike,
        *,
        T: npt.ArrayLike,
        v0: npt.ArrayLike,
        v_teacher: npt.ArrayLike,
        lr: Rate,
        lr_v: Rate = 0.0,
        noise: Rate = 0.0,
        weight_decay: Rate = 0.0,
        batch: int = 1,
        activation: Activation = "erf",
        teacher_activation: Activation | None = None,
        N: int | None = None,
    ) -> None:
        setting, K, M = self._prepare(
            v0=v0,
            v_teacher=v_teacher,
            lr=lr,
            lr_v=lr_v,
            noise=noise,
            weight_decay=weight_decay,
            batch=batch,
            activation=activation,
            teacher_activation=teacher_activation,
        )
        Q0 = array("Q0", Q0, (K, K), rule="= (K, K)")
        R0 = array("R0", R0, (K, M), rule="= (K, M)")
        self._T = array("T", T, (M, M), rule="= (M, M)")
        if N is not None:
            self.settings["N"] = count("N", N)
        self._start = Q0.copy(), R0.copy()
        self._equations = _lib.OnlineEquations.saad_solla(setting, q0=Q0, r0=R0, t=self._T)

    def _directions(self) -> Directions:
        one, (Q, R) = np.ones(1), self._start
        return Directions(one, one, Q[None], R[None], self._T[None])

    @classmethod
    def from_weights(
        cls,
        w: npt.ArrayLike,
        w_teacher: npt.ArrayLike,
        *,
        v: npt.ArrayLike,
        v_teacher: npt.ArrayLike,
        **options: Any,
    ) -> Self:
        """Return the system of weights w (K, N) and w_teacher (M, N); `options` as in the class."""
        w = array("w", w, (None, None), rule="= (K, N)")
        N = w.shape[1]
        w_teacher = array("w_teacher", w_teacher, (None, N), rule="= (M, N)")
        return cls(
            _lib.weight_overlaps(w, w),
            _lib.weight_overlaps(w, w_teacher),
            T=_lib.weight_overlaps(w_teacher, w_teacher),
            v0=v,
            v_teacher=v_teacher,
            N=N,
            **options,
        )

    @classmethod
    def from_simulation(cls, sim: Simulation) -> Self:
        """Return the system of a simulation on :class:`hmm_rs.TeacherStudent`, from its initial weights."""
        options = options_of(sim)
        if not isinstance(sim.model, TeacherStudent):
            raise DtypeError(
                f"sim.model is {type(sim.model).__name__}: must be TeacherStudent; {remedy(sim)}"
            )
        student = sim.initial_student
        return cls.from_weights(student.w, sim.teacher.w, v=student.v, v_teacher=sim.teacher.v, **options)
