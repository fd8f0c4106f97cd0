"""Online learning of inputs of any covariance."""

from __future__ import annotations

from typing import Any, Self, get_args

import numpy as np
import numpy.typing as npt

from ... import _lib
from ...data.gaussian import TeacherStudent
from ...ground.arguments import array, choice
from ...ground.errors import DtypeError, InvalidParameterError
from ...ground.schedules import Rate
from ...provenance.recording import remembered
from ..order_parameters import centred_moments
from ..units import Activation
from .base import Labels, OnlineODE, Simulation, manifold_of, options_of, remedy
from .modes import Directions

__all__ = ["CovarianceODE"]


class CovarianceODE(OnlineODE):
    r"""Student on inputs of any covariance: images, deep generators, labels on latents or inputs.

    With Ω = Σ_τ ρ_τ u_τ u_τᵀ, w_τ = u_τ·w, and the teacher's drive b_τ = √N E[x_τ ν]:

    .. math::
        \dot r_\tau &= -\eta\rho L r_\tau + \eta G t_\tau - \kappa r_\tau \\
        \dot q_\tau &= -\eta\rho (Lq_\tau + q_\tau L^T) + \eta (G r_\tau^T + r_\tau G^T)
                       + \eta^2 \rho N - 2\kappa q_\tau

    with q_τ = w_τ w_τᵀ, r_τ = w_τ b_τᵀ, t_τ = b_τ b_τᵀ, Q = ⟨ρ q⟩, R = ⟨r⟩.

    Parameters
    ----------
    Omega
        E x xᵀ of the centred inputs, shape (N, N).
    Phi
        E x cᵀ, shape (N, D); None with ``labels="input"``.
    w
        First layer of the student, shape (K, N).
    w_teacher
        First layer of the teacher, shape (M, D), or (M, N) with ``labels="input"``.
    v, v_teacher
        Second layers, shapes (K,) and (M,).
    labels
        "latent": ν = w̃·c/√D. "input": ν = w̃·x/√N.
    lr, lr_v, noise, weight_decay, batch, activation, teacher_activation
        As in :class:`SaadSolla`.

    Notes
    -----
    Goldt et al., arXiv:2006.14709, section 3. Eigenvalues that agree to 1e-13 share one mode.

    Examples
    --------
    >>> import numpy as np
    >>> from hmm_rs.theory import CovarianceODE
    >>> rng = np.random.default_rng(0)
    >>> w, w_teacher = rng.standard_normal((2, 50)), rng.standard_normal((2, 50))
    >>> system = CovarianceODE(np.eye(50), None, w=w, w_teacher=w_teacher, v=[1, 1], v_teacher=[1, 1], lr=0.2,
    ...                        labels="input")
    >>> system.solve([0.0, 1.0]).sizes["t"]
    2
    """

    _cite = ("gaussian-equivalence",)

    @remembered
    def __init__(
        self,
        Omega: npt.ArrayLike,
        Phi: npt.ArrayLike | None,
        *,
        w: npt.ArrayLike,
        w_teacher: npt.ArrayLike,
        v: npt.ArrayLike,
        v_teacher: npt.ArrayLike,
        lr: Rate,
        lr_v: Rate = 0.0,
        labels: Labels = "latent",
        noise: Rate = 0.0,
        weight_decay: Rate = 0.0,
        batch: int = 1,
        activation: Activation = "erf",
        teacher_activation: Activation | None = None,
    ) -> None:
        setting, K, M = self._prepare(
            v0=v,
            v_teacher=v_teacher,
            lr=lr,
            lr_v=lr_v,
            noise=noise,
            weight_decay=weight_decay,
            batch=batch,
            activation=activation,
            teacher_activation=teacher_activation,
        )
        choice("labels", labels, get_args(Labels))
        w = array("w", w, (K, None), rule="= (K, N)")
        N = w.shape[1]
        Omega = array("Omega", Omega, (N, N), rule="= (N, N)")
        if labels == "input":
            if Phi is not None:
                raise InvalidParameterError(
                    "Phi is given with labels='input': the teacher then sees the inputs only; pass Phi=None"
                )
            w_teacher = array("w_teacher", w_teacher, (M, N), rule="= (M, N) for labels='input'")
        else:
            if Phi is None:
                raise InvalidParameterError("Phi = None: labels on the latents need Phi = E[x cᵀ]; pass it")
            Phi = array("Phi", Phi, (N, None), rule="= (N, D)")
            w_teacher = array("w_teacher", w_teacher, (M, Phi.shape[1]), rule="= (M, D)")
        self.settings.update(N=N, labels=labels)
        modes = _lib.covariance_modes(Omega, Phi, w, w_teacher)
        self._T = modes.pop("T")
        self._equations = _lib.OnlineEquations.covariance(setting, t=self._T, **modes)
        self._start = tuple(modes[name] for name in ("rho", "weights", "q0", "r0", "t_modes"))

    def _directions(self) -> Directions:
        rho, weights, q, r, t = self._start
        return Directions(np.maximum(rho, 0.0), weights, q, r, t)

    @classmethod
    def from_simulation(
        cls,
        sim: Simulation,
        *,
        covariances: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    ) -> Self:
        """Return the system of a simulation, from its initial weights.

        Parameters
        ----------
        sim
            The simulation; time counts from its start, whatever it has done since.
        covariances
            (Ω, Φ) to use; those of ``sim.model.covariances()`` unless given.

        Raises
        ------
        DtypeError
            If the data have no covariances and none are given (stored samples).
        InvalidParameterError
            If the inputs have means, which the equations do not know.
        """
        options = options_of(sim)
        if covariances is None:
            covariances = _covariances_of(sim)
        Omega, Phi = covariances
        student = sim.initial_student
        return cls(
            Omega,
            Phi if sim.labels == "latent" else None,
            w=student.w,
            w_teacher=sim.teacher.w,
            v=student.v,
            v_teacher=sim.teacher.v,
            labels=sim.labels,
            **options,
        )


def _covariances_of(sim: Simulation) -> tuple[npt.ArrayLike, npt.ArrayLike]:
    """Return (Ω, Φ) of a simulation's data, if its inputs are centred."""
    model: Any = sim.model
    if isinstance(model, TeacherStudent):
        return np.eye(model.N), np.eye(model.N)
    manifold = manifold_of(model)
    if manifold is not None:
        centred_moments(manifold.moments, center=manifold.center)
    if not hasattr(model, "covariances"):
        raise DtypeError(f"sim.model is {type(model).__name__}: has no covariances of its own; {remedy(sim)}")
    Omega, Phi = model.covariances()
    return Omega, Phi
