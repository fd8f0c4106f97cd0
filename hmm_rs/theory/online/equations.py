"""Equations of one-pass SGD: three laws of the inputs, one way to solve them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from ... import _lib
from ...data.gaussian import GaussianEquivalent, TeacherStudent
from ...data.hidden_manifold import HiddenManifold
from ...ground.arguments import array, choice, count, number
from ...ground.errors import ConvergenceError, DivergenceError, DtypeError, InvalidParameterError
from ...ground.results import dataset
from ..order_parameters import NonlinearityOrMoments, centred_moments, feature_matrix, moments
from ..spectrum import marchenko_pastur
from ..units import Activation, described, resolve

if TYPE_CHECKING:
    import xarray as xr

    from ...dynamics import OnlineSGD

__all__ = ["CovarianceODE", "HiddenManifoldODE", "SaadSolla", "solve_many"]

_Array = npt.NDArray[np.float64]
METHODS = ("auto", "explicit", "stiff")


class OnlineODE:
    """Base of the three systems: rates, units, and solving.

    Attributes
    ----------
    settings : dict
        The numbers that define the problem, for the result's attributes.
    """

    _cite: ClassVar[tuple[str, ...]] = ("saad-solla",)
    settings: dict[str, Any]
    _equations: _lib.OnlineEquations
    _T: _Array

    def _prepare(
        self,
        *,
        v0: npt.ArrayLike,
        v_teacher: npt.ArrayLike,
        lr: float,
        lr_v: float,
        noise: float,
        weight_decay: float,
        batch: int,
        activation: Activation,
        teacher_activation: Activation | None,
    ) -> tuple[_lib.OnlineSetting, int, int]:
        """Check what all systems share; return it with K and M."""
        v = array("v0", v0, (None,), rule="= (K,)")
        v_t = array("v_teacher", v_teacher, (None,), rule="= (M,)")
        self.settings = {
            "system": type(self).__name__,
            "K": v.size,
            "M": v_t.size,
            "lr": number("lr", lr, minimum=0.0),
            "lr_v": number("lr_v", lr_v, minimum=0.0),
            "noise": number("noise", noise, minimum=0.0),
            "weight_decay": number("weight_decay", weight_decay, minimum=0.0),
            "batch": count("batch", batch),
            "activation": described(activation),
            "teacher_activation": described(teacher_activation or activation),
        }
        shared = self.settings
        setting = _lib.OnlineSetting(
            v.tolist(),
            v_t.tolist(),
            resolve("activation", activation),
            resolve("teacher_activation", teacher_activation or activation),
            **{name: shared[name] for name in ("lr", "lr_v", "noise", "weight_decay", "batch")},
        )
        return setting, v.size, v_t.size

    def solve(
        self, t_eval: npt.ArrayLike, *, rtol: float = 1e-8, atol: float = 1e-10, method: str = "auto"
    ) -> xr.Dataset:
        """Return the solution from t = 0 at the times `t_eval`.

        Parameters
        ----------
        t_eval
            Times (steps per number of inputs), >= 0 and ascending, shape (n,).
        rtol, atol
            Error allowed per step, relative to the size of each mode and absolute.
        method
            "explicit" (Dormand-Prince 8(5,3)), "stiff" (a Rosenbrock method on the modes), or
            "auto": explicit, and stiff from where stability would limit the explicit step.

        Returns
        -------
        xarray.Dataset
            eg, Q, R, T, v, and W, Sigma where the system has them; the attributes say what the
            integration took (method, steps, rejections, evaluations).

        Raises
        ------
        ConvergenceError
            If the tolerance cannot be met; ``.result`` holds the solution as far as it got.
        DivergenceError
            If the solution leaves the finite numbers (too large a learning rate); likewise.
        """
        return solve_many([self], t_eval, rtol=rtol, atol=atol, method=method, threads=1)[0]

    def _dataset(self, t: _Array, solution: Mapping[str, Any], method: str) -> xr.Dataset:
        K, M = self.settings["K"], self.settings["M"]
        n = solution["reached"]
        shapes = {"eg": (n,), "R": (n, K, M), "v": (n, K)}
        values = {
            name: rows.reshape(shapes.get(name, (n, K, K))) for name, rows in solution["values"].items()
        }
        values["T"] = self._T
        used = "explicit" if solution["stiff_from"] is None else "stiff"
        if method == "auto" and solution["stiff_from"]:
            used = f"explicit, stiff from t = {solution['stiff_from']:.6g}"
        return dataset(
            values,
            along=t[:n],
            label="time t = steps / N",
            source="theory",
            settings=self.settings,
            cite=self._cite,
            dims={"T": ("m", "m2")},
            method=used,
            steps=solution["steps"],
            rejections=solution["rejections"],
            evaluations=solution["evaluations"],
            jacobians=solution["jacobians"],
        )


def solve_many(
    systems: Sequence[OnlineODE],
    t_eval: npt.ArrayLike,
    *,
    rtol: float = 1e-8,
    atol: float = 1e-10,
    method: str = "auto",
    threads: int | None = None,
) -> list[xr.Dataset]:
    """Return the solutions of many systems at the same times, solved in parallel.

    Parameters
    ----------
    systems
        The systems to solve.
    t_eval, rtol, atol, method
        As in their own ``solve``.
    threads
        Number of threads; the results do not depend on it.

    Examples
    --------
    >>> import numpy as np
    >>> from hmm_rs.theory import SaadSolla, solve_many
    >>> systems = [SaadSolla(np.eye(1), np.zeros((1, 1)), T=np.eye(1), v0=[1.0], v_teacher=[1.0], lr=lr)
    ...            for lr in (0.1, 0.5)]
    >>> slow, fast = solve_many(systems, [0.0, 10.0])
    >>> bool(fast.eg[-1] < slow.eg[-1])
    True
    """
    for system in systems:
        if not isinstance(system, OnlineODE):
            raise DtypeError(
                f"systems holds {system!r:.60}: must be systems of equations; pass SaadSolla(...)"
            )
    t = array("t_eval", t_eval, (None,), rule="= (n,)")
    if (t < 0.0).any() or (np.diff(t) < 0.0).any():
        raise InvalidParameterError(
            "t_eval holds times below 0 or out of order: must be >= 0 and ascending; sort them"
        )
    rtol = number("rtol", rtol, minimum=1e-13, maximum=0.1)
    atol = number("atol", atol, minimum=0.0, exclusive=True)
    choice("method", method, METHODS)
    solutions = _lib.solve_online(
        [system._equations for system in systems],
        t.tolist(),
        rtol=rtol,
        atol=atol,
        method=method,
        threads=threads,
    )
    results = []
    for system, solution in zip(systems, solutions, strict=True):
        result = system._dataset(t, solution, method)
        if solution["outcome"] == "stalled":
            raise ConvergenceError(
                f"rtol = {rtol:g}, atol = {atol:g} cannot be met beyond t = {solution['last']:.6g}: "
                f"the step became too small or 200,000 steps did not suffice; loosen rtol, use method='auto', "
                f"or look at the solution so far in .result",
                result,
            )
        if solution["outcome"] == "diverged":
            raise DivergenceError(
                f"the solution diverged at t = {solution['last']:.6g}: lr = {system.settings['lr']:g} is too "
                f"large for these units; lower lr, or look at the solution so far in .result",
                result,
            )
        results.append(result)
    return results


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
        Learning rates of the first and the second layer; lr_v = 0 keeps the second layer fixed.
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

    def __init__(
        self,
        Q0: npt.ArrayLike,
        R0: npt.ArrayLike,
        *,
        T: npt.ArrayLike,
        v0: npt.ArrayLike,
        v_teacher: npt.ArrayLike,
        lr: float,
        lr_v: float = 0.0,
        noise: float = 0.0,
        weight_decay: float = 0.0,
        batch: int = 1,
        activation: Activation = "erf",
        teacher_activation: Activation | None = None,
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
        self._equations = _lib.OnlineEquations.saad_solla(setting, Q0, R0, self._T)

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
            w @ w.T / N,
            w @ w_teacher.T / N,
            T=w_teacher @ w_teacher.T / N,
            v0=v,
            v_teacher=v_teacher,
            **options,
        )

    @classmethod
    def from_simulation(cls, sim: OnlineSGD) -> Self:
        """Return the system of a simulation on :class:`hmm_rs.TeacherStudent`, from its initial weights."""
        if not isinstance(sim.model, TeacherStudent):
            raise DtypeError(
                f"sim.model is {type(sim.model).__name__}: must be TeacherStudent; "
                f"use HiddenManifoldODE or CovarianceODE"
            )
        student = sim.initial_student
        return cls.from_weights(
            student.w, sim.teacher.w, v=student.v, v_teacher=sim.teacher.v, **_options_of(sim)
        )


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
        lr: float,
        lr_v: float = 0.0,
        noise: float = 0.0,
        weight_decay: float = 0.0,
        batch: int = 1,
        activation: Activation = "erf",
        teacher_activation: Activation | None = None,
        teacher_modes: str = "exact",
        center: bool = True,
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
        choice("teacher_modes", teacher_modes, ("exact", "averaged", "published"))
        centred_moments(f, center=center)
        self.settings.update(delta=delta, f=f, moments=moments(f), modes=S, teacher_modes=teacher_modes)
        self._T = np.einsum("s,smn->mn", weights, t_modes)
        self._equations = _lib.OnlineEquations.hidden_manifold(
            setting,
            rho,
            weights,
            sigma0,
            r0,
            t_modes,
            W0,
            delta=delta,
            moments=moments(f),
            center=bool(center),
            teacher_modes=teacher_modes,
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
        lr: float,
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
        F = feature_matrix(F)
        N, D = F.shape
        w = array("w", w, (None, N), rule="= (K, N) with N rows of F")
        w_teacher = array("w_teacher", w_teacher, (None, D), rule="= (M, D) with D columns of F")
        S = w @ F / math.sqrt(N)
        gram = F.T @ F / N
        if np.abs(gram - np.eye(D)).max() < 1e-10:
            rho, weights = np.ones(1), np.ones(1)
            sigma0, r0, t = (
                (S @ S.T / D)[None],
                (S @ w_teacher.T / D)[None],
                (w_teacher @ w_teacher.T / D)[None],
            )
        else:
            rho, U = np.linalg.eigh(gram)
            # Round-off of zero.
            rho = np.maximum(rho, 0.0)
            weights = np.full(D, 1.0 / D)
            sigma0, r0, t = _products((S @ U).T, (w_teacher @ U).T)
        return cls(
            rho=rho,
            weights=weights,
            sigma0=sigma0,
            r0=r0,
            t_modes=t,
            W0=w @ w.T / N,
            v0=v,
            v_teacher=v_teacher,
            delta=D / N,
            f=f,
            lr=lr,
            **options,
        )

    @classmethod
    def from_simulation(cls, sim: OnlineSGD, *, teacher_modes: str = "exact") -> Self:
        """Return the finite-N system of a simulation, from its initial weights.

        Time counts from the start of the simulation, whatever it has done since.
        """
        model = sim.model.model if isinstance(sim.model, GaussianEquivalent) else sim.model
        if not isinstance(model, HiddenManifold) or sim.labels != "latent":
            raise DtypeError(
                f"sim has {type(sim.model).__name__} data and labels={sim.labels!r}: must be a hidden "
                f"manifold with labels on the latents; use CovarianceODE.from_simulation"
            )
        student = sim.initial_student
        return cls.from_weights(
            model.F,
            student.w,
            sim.teacher.w,
            v=student.v,
            v_teacher=sim.teacher.v,
            f=model.moments,
            center=model.center,
            teacher_modes=teacher_modes,
            **_options_of(sim),
        )

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
        lr: float,
        spectrum: str = "marchenko-pastur",
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
        choice("spectrum", spectrum, ("marchenko-pastur", "orthogonal"))
        if spectrum == "orthogonal":
            rho, weights = np.ones(1), np.ones(1)
        else:
            rho, weights = marchenko_pastur(delta, nodes)
        W0 = array("W0", W0, (None, None), rule="= (K, K)")
        R0 = array("R0", R0, (W0.shape[0], None), rule="= (K, M)")
        T = array("T", T, (R0.shape[1], R0.shape[1]), rule="= (M, M)")
        b, _, _ = centred_moments(f, center=bool(options.get("center", True)))
        root = np.sqrt(rho)
        spread = root / (weights @ root)
        return cls(
            rho=rho,
            weights=weights,
            sigma0=rho[:, None, None] * W0,
            r0=spread[:, None, None] * (R0 / b if b else R0),
            t_modes=np.broadcast_to(T, (rho.size, *T.shape)),
            W0=W0,
            v0=v0,
            v_teacher=v_teacher,
            delta=delta,
            f=f,
            lr=lr,
            **options,
        )


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

    def __init__(
        self,
        Omega: npt.ArrayLike,
        Phi: npt.ArrayLike | None,
        *,
        w: npt.ArrayLike,
        w_teacher: npt.ArrayLike,
        v: npt.ArrayLike,
        v_teacher: npt.ArrayLike,
        lr: float,
        lr_v: float = 0.0,
        labels: str = "latent",
        noise: float = 0.0,
        weight_decay: float = 0.0,
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
        choice("labels", labels, ("latent", "input"))
        w = array("w", w, (K, None), rule="= (K, N)")
        N = w.shape[1]
        Omega = array("Omega", Omega, (N, N), rule="= (N, N)")
        if np.abs(Omega - Omega.T).max() > 1e-8 * np.abs(Omega).max():
            raise InvalidParameterError("Omega is not symmetric: a covariance is; pass E[x xᵀ]")
        rho, U = np.linalg.eigh(Omega)
        if labels == "input":
            if Phi is not None:
                raise InvalidParameterError(
                    "Phi is given with labels='input': the teacher then sees the inputs only; pass Phi=None"
                )
            w_teacher = array("w_teacher", w_teacher, (M, N), rule="= (M, N) for labels='input'")
            drive = rho[:, None] * (U.T @ w_teacher.T)
            self._T = w_teacher @ Omega @ w_teacher.T / N
        else:
            if Phi is None:
                raise InvalidParameterError("Phi = None: labels on the latents need Phi = E[x cᵀ]; pass it")
            Phi = array("Phi", Phi, (N, None), rule="= (N, D)")
            D = Phi.shape[1]
            w_teacher = array("w_teacher", w_teacher, (M, D), rule="= (M, D)")
            drive = math.sqrt(N / D) * (U.T @ (Phi @ w_teacher.T))
            self._T = w_teacher @ w_teacher.T / D
        self.settings.update(N=N, labels=labels)
        q0, r0, t_modes = _products(U.T @ w.T, drive)
        self._equations = _lib.OnlineEquations.covariance(
            setting, self._T, rho, np.full(N, 1.0 / N), q0, r0, t_modes
        )

    @classmethod
    def from_simulation(
        cls,
        sim: OnlineSGD,
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
        """
        if covariances is None:
            if isinstance(sim.model, TeacherStudent):
                covariances = np.eye(sim.model.N), np.eye(sim.model.N)
            else:
                model: Any = sim.model
                covariances = model.covariances()
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
            **_options_of(sim),
        )


def _products(student: _Array, drive: _Array) -> tuple[_Array, _Array, _Array]:
    """Return student studentᵀ, student driveᵀ and drive driveᵀ of every mode."""
    return (
        student[:, :, None] * student[:, None, :],
        student[:, :, None] * drive[:, None, :],
        drive[:, :, None] * drive[:, None, :],
    )


def _options_of(sim: OnlineSGD) -> dict[str, Any]:
    """Return rates and units of a simulation; a fixed second layer has rate 0."""
    if sim.classify:
        raise InvalidParameterError(
            "sim.classify = True: the equations hold for labels that are the teacher's output; "
            "simulate with classify=False"
        )
    return {
        "lr": sim.lr,
        "lr_v": sim.lr_v if sim.train_second_layer else 0.0,
        "noise": sim.noise,
        "weight_decay": sim.weight_decay,
        "batch": sim.batch,
        "activation": sim.student.activation,
        "teacher_activation": sim.teacher.activation,
    }
