"""Online learning on a hidden manifold."""

from __future__ import annotations

from typing import Any, Literal, Self, get_args

import numpy as np
import numpy.typing as npt

from ... import _lib
from ...ground.arguments import array, choice, count, flag, number
from ...ground.errors import DtypeError, InvalidParameterError
from ...ground.overflow import within_range
from ...ground.schedules import Rate
from ...provenance.recording import remembered
from ..order_parameters import (
    NonlinearityOrMoments,
    centred_moments,
    check_rows,
    feature_matrix,
    moments,
    neglected_covariance,
)
from ..spectrum import marchenko_pastur
from ..units import Activation
from .base import OnlineODE, Simulation, manifold_of, options_of, remedy
from .modes import Directions

__all__ = ["HiddenManifoldODE"]

#: How the teacher enters the modes.
TeacherModes = Literal["exact", "averaged", "published"]
#: Spectra of FᵀF/N for N, D → ∞.
Spectrum = Literal["marchenko-pastur", "orthogonal"]


class HiddenManifoldODE(OnlineODE):
    r"""Student on a hidden manifold, x = f(F c/√D) - a, teacher on the latents.

    .. math::
        \dot r(\rho) &= -\eta d L r + \eta p G t \\
        \dot \sigma(\rho) &= -\eta d (L\sigma + \sigma L^T) + \eta p (G r^T + r G^T) + \eta^2 \gamma N \\
        \dot W &= -\eta (LQ + QL^T) + \eta (GR^T + RG^T) + \eta^2 (c - a^2) N

    with d = ζ + b²ρ/δ, p = bρ/δ, γ = ζρ + b²ρ²/δ, Q = ζW + b²⟨σ⟩, R = b⟨r⟩.

    Parameters
    ----------
    rho, weights
        Eigenvalues of FᵀF/N and their weights (which sum to 1), shapes (S,).
    sigma0, r0, t_modes
        σ(ρ), r(ρ) at t = 0 and t(ρ), shapes (S, K, K), (S, K, M), (S, M, M). T is the mean of t.
    W0
        w wᵀ/N at t = 0, shape (K, K).
    v0, v_teacher
        Second layers, shapes (K,) and (M,).
    delta
        D/N.
    f
        Nonlinearity of the data: a name, a function, or its moments (a, b, c).
    lr, lr_v, noise, weight_decay, batch, activation, teacher_activation
        As in :class:`SaadSolla`.
    teacher_modes
        "exact": t(ρ) as given. "averaged": T in place of every t(ρ). "published": ⟨ρ t⟩ in its place,
        as in the code published with the paper (eq. B29): inconsistent at finite D, where R and T then
        disagree; for comparison with that code only.
    center
        Whether the inputs have the mean a subtracted. The equations hold for centred inputs only.
    N
        Number of inputs: needed for ``solve(..., fluctuations=True)`` alone.

    Notes
    -----
    HMM paper, section IV, with compact right-hand sides.

    Examples
    --------
    >>> import numpy as np
    >>> from hmm_rs.theory import HiddenManifoldODE
    >>> rng = np.random.default_rng(0)
    >>> F, w, w_teacher = (rng.standard_normal(s) for s in ((400, 40), (2, 400), (2, 40)))
    >>> system = HiddenManifoldODE.from_weights(F, w, w_teacher, v=[1, 1], v_teacher=[1, 1], f="sign", lr=0.2)
    >>> result = system.solve([0.0, 10.0, 100.0])
    >>> bool(result.eg[-1] < result.eg[0])
    True
    """

    _cite = ("hidden-manifold",)

    @remembered
    def __init__(
        self,
        *,
        rho: npt.ArrayLike,
        weights: npt.ArrayLike,
        sigma0: npt.ArrayLike,
        r0: npt.ArrayLike,
        t_modes: npt.ArrayLike,
        W0: npt.ArrayLike,
        v0: npt.ArrayLike,
        v_teacher: npt.ArrayLike,
        delta: float,
        f: NonlinearityOrMoments,
        lr: Rate,
        lr_v: Rate = 0.0,
        noise: Rate = 0.0,
        weight_decay: Rate = 0.0,
        batch: int = 1,
        activation: Activation = "erf",
        teacher_activation: Activation | None = None,
        teacher_modes: TeacherModes = "exact",
        center: bool = True,
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
        rho = array("rho", rho, (None,), rule="= (S,)")
        S = rho.size
        weights = array("weights", weights, (S,), rule="= (S,)")
        sigma0 = array("sigma0", sigma0, (S, K, K), rule="= (S, K, K)")
        r0 = array("r0", r0, (S, K, M), rule="= (S, K, M)")
        t_modes = array("t_modes", t_modes, (S, M, M), rule="= (S, M, M)")
        W0 = array("W0", W0, (K, K), rule="= (K, K)")
        delta = number("delta", delta, minimum=0.0, exclusive=True)
        choice("teacher_modes", teacher_modes, get_args(TeacherModes))
        center = flag("center", center)
        centred_moments(f, center=center)
        a, b, c = moments(f)
        if N is not None:
            self.settings["N"] = count("N", N)
        self.settings.update(delta=delta, f=f, moments=(a, b, c), modes=S, teacher_modes=teacher_modes)
        with within_range("weights and t_modes"):
            self._T = np.einsum("s,smn->mn", weights, t_modes)
        self._equations = _lib.OnlineEquations.hidden_manifold(
            setting,
            rho=rho,
            weights=weights,
            sigma0=sigma0,
            r0=r0,
            t_modes=t_modes,
            w0=W0,
            delta=delta,
            moments={"a": a, "b": b, "c": c},
            center=center,
            teacher_modes=teacher_modes,
        )
        self._start = tuple(x.copy() for x in (rho, weights, sigma0, r0, t_modes, W0))

    def _directions(self) -> Directions:
        modes, (a, b, c) = self.settings["teacher_modes"], self.settings["moments"]
        if modes == "published":
            raise InvalidParameterError(
                "teacher_modes = 'published': R and T then disagree, and fields without a covariance have no "
                "fluctuations; pass teacher_modes='exact'"
            )
        rho, weights, sigma, r, t, W = self._start
        if modes == "averaged":
            t = np.broadcast_to(self._T, t.shape)
        zeta = max(c - a * a - b * b, 0.0)
        return Directions.of_manifold(
            rho, weights, sigma, r, t, W, delta=self.settings["delta"], b=b, zeta=zeta
        )

    @classmethod
    def from_weights(
        cls,
        F: Any,
        w: npt.ArrayLike,
        w_teacher: npt.ArrayLike,
        *,
        v: npt.ArrayLike,
        v_teacher: npt.ArrayLike,
        f: NonlinearityOrMoments,
        lr: Rate,
        **options: Any,
    ) -> Self:
        """Return the finite-N system of given weights: one mode per eigenvector of FᵀF/N.

        Parameters
        ----------
        F
            Feature matrix, shape (N, D), or a model that has one. Where its columns are orthogonal
            with squared norm N (within 1e-10) all modes obey one equation and are added up.
        w, w_teacher
            First layers, shapes (K, N) and (M, D).
        v, v_teacher
            Second layers, shapes (K,) and (M,).
        f, lr, **options
            As in the class.
        """
        check_rows(F, f)
        F = feature_matrix(F)
        N, D = F.shape
        w = array("w", w, (None, N), rule="= (K, N) with N rows of F")
        w_teacher = array("w_teacher", w_teacher, (None, D), rule="= (M, D) with D columns of F")
        return cls(
            **_lib.manifold_modes(F, w, w_teacher),
            v0=v,
            v_teacher=v_teacher,
            delta=D / N,
            f=f,
            lr=lr,
            N=N,
            **options,
        )

    @classmethod
    def from_simulation(cls, sim: Simulation, *, teacher_modes: TeacherModes = "exact") -> Self:
        """Return the finite-N system of a simulation, from its initial weights.

        Time counts from the start of the simulation, whatever it has done since.

        The equations assume that D is large. The attribute ``neglected_covariance`` of the solutions is the
        share of the inputs' covariance that they leave out at this D: what f adds beyond its linear part, and
        the spread of the norms of F's rows. Where it is not small, late errors are off: for sign, N = 500 and
        t = 100 it is .47 at D = 5, where a simulation ends at .031 and the equations at .010. The local fields
        are then not Gaussian either, so that no other equations help.

        Raises
        ------
        DtypeError
            If the data are no hidden manifold with labels on the latents.
        InvalidParameterError
            If its inputs have means, or the rows of F unlike norms; the message names the equations that fit.
        """
        options = options_of(sim)
        model = manifold_of(sim.model)
        if model is None or sim.labels != "latent":
            raise DtypeError(
                f"sim has {type(sim.model).__name__} data and labels={sim.labels!r}: must be a hidden "
                f"manifold with labels on the latents; {remedy(sim)}"
            )
        student = sim.initial_student
        system = cls.from_weights(
            model,
            student.w,
            sim.teacher.w,
            v=student.v,
            v_teacher=sim.teacher.v,
            f=model.moments,
            center=model.center,
            teacher_modes=teacher_modes,
            **options,
        )
        system._remarks = {"neglected_covariance": neglected_covariance(model.F, model.f)}
        return system

    @classmethod
    def continuum(
        cls,
        *,
        delta: float,
        W0: npt.ArrayLike,
        R0: npt.ArrayLike,
        T: npt.ArrayLike,
        v0: npt.ArrayLike,
        v_teacher: npt.ArrayLike,
        f: NonlinearityOrMoments,
        lr: Rate,
        spectrum: Spectrum = "marchenko-pastur",
        nodes: int = 30,
        **options: Any,
    ) -> Self:
        r"""Return the system for N, D → ∞ at given overlaps of random initial weights.

        Weights drawn independently of F have σ(ρ) = ρ W0. The overlap with the teacher, of order
        1/√D for random weights and the seed of specialisation, is spread over the modes as
        r(ρ) = √ρ R0/(b ⟨√ρ⟩).

        Parameters
        ----------
        delta
            D/N.
        W0, R0, T
            Overlaps at t = 0, shapes (K, K), (K, M), (M, M). R0 = 0 with exactly symmetric W0 never
            specialises.
        spectrum
            "marchenko-pastur" (F i.i.d. Gaussian) or "orthogonal" (a single mode).
        nodes
            Nodes in the bulk of the spectrum.
        v0, v_teacher, f, lr, **options
            As in the class.
        """
        choice("spectrum", spectrum, get_args(Spectrum))
        if spectrum == "orthogonal":
            rho, weights = np.ones(1), np.ones(1)
        else:
            rho, weights = marchenko_pastur(delta, nodes)
        W0 = array("W0", W0, (None, None), rule="= (K, K)")
        R0 = array("R0", R0, (W0.shape[0], None), rule="= (K, M)")
        T = array("T", T, (R0.shape[1], R0.shape[1]), rule="= (M, M)")
        b, _, _ = centred_moments(f, center=flag("center", options.get("center", True)))
        root = np.sqrt(rho)
        with within_range("delta, W0 and R0"):
            spread = root / (weights * root).sum()
            sigma0 = rho[:, None, None] * W0
            r0 = spread[:, None, None] * (R0 / b if b else R0)
        return cls(
            rho=rho,
            weights=weights,
            sigma0=sigma0,
            r0=r0,
            t_modes=np.broadcast_to(T, (rho.size, *T.shape)),
            W0=W0,
            v0=v0,
            v_teacher=v_teacher,
            delta=delta,
            f=f,
            lr=lr,
            **options,
        )
