"""What the three systems of online learning share: rates, units, solving, reading a simulation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt

from ... import _lib
from ...data.gaussian import GaussianEquivalent, TeacherStudent
from ...data.hidden_manifold import HiddenManifold, rows_are_alike
from ...data.latent import LatentModel
from ...ground.arguments import array, choice, count, flag, number, shown
from ...ground.display import Shown, worded
from ...ground.errors import ConvergenceError, DivergenceError, DtypeError, InvalidParameterError
from ...ground.results import dataset
from ...ground.schedules import Rate, compiled, rate, told
from ...networks.two_layer import TwoLayer
from ...provenance.recording import recorded_method
from ..order_parameters import Array
from ..units import Activation, described, resolve
from .fluctuations import grouped_equations, with_fluctuations
from .modes import Directions

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "Labels",
    "Method",
    "OnlineODE",
    "Simulation",
    "manifold_of",
    "options_of",
    "remedy",
    "solve_systems",
]

#: What the teacher sees.
Labels = Literal["latent", "input"]
#: Integrators.
Method = Literal["auto", "explicit", "stiff"]


class Simulation(Protocol):
    """What the equations read off a simulation: an :class:`hmm_rs.OnlineSGD`, or anything with its attributes."""

    model: LatentModel
    teacher: TwoLayer
    labels: Labels
    classify: bool
    lr: Rate
    lr_v: Rate
    train_second_layer: bool
    noise: Rate
    weight_decay: Rate
    batch: int

    @property
    def initial_student(self) -> TwoLayer:
        """The student at t = 0."""


class OnlineODE(Shown):
    """Base of the three systems: rates, units, and solving.

    Attributes
    ----------
    settings : dict
        The numbers that define the problem, for the result's attributes.
    """

    _cite: ClassVar[tuple[str, ...]] = ("saad-solla",)
    settings: dict[str, Any]
    _equations: _lib.OnlineEquations
    _setting: _lib.OnlineSetting
    _T: Array
    _remarks: Mapping[str, Any] = MappingProxyType({})

    def _prepare(
        self,
        *,
        v0: npt.ArrayLike,
        v_teacher: npt.ArrayLike,
        lr: Rate,
        lr_v: Rate,
        noise: Rate,
        weight_decay: Rate,
        batch: int,
        activation: Activation,
        teacher_activation: Activation | None,
    ) -> tuple[_lib.OnlineSetting, int, int]:
        """Check what all systems share; return it with K and M."""
        v = array("v0", v0, (None,), rule="= (K,)")
        v_t = array("v_teacher", v_teacher, (None,), rule="= (M,)")
        given = {"lr": lr, "lr_v": lr_v, "noise": noise, "weight_decay": weight_decay}
        rates = {name: rate(name, value) for name, value in given.items()}
        self.settings = {
            "system": type(self).__name__,
            "K": v.size,
            "M": v_t.size,
            **{name: told(value) for name, value in rates.items()},
            "batch": count("batch", batch),
            "activation": described(activation),
            "teacher_activation": described(teacher_activation or activation),
        }
        setting = _lib.OnlineSetting(
            v0=v,
            v_teacher=v_t,
            student=resolve("activation", activation),
            teacher=resolve("teacher_activation", teacher_activation or activation),
            batch=self.settings["batch"],
            **{name: compiled(name, value) for name, value in rates.items()},
        )
        self._setting = setting
        return setting, v.size, v_t.size

    def _directions(self) -> Directions:
        """Return the directions of the inputs with their averages at t = 0."""
        raise NotImplementedError

    @recorded_method
    def solve(
        self,
        t_eval: npt.ArrayLike,
        *,
        rtol: float = 1e-8,
        atol: float = 1e-10,
        method: Method = "auto",
        fluctuations: bool = False,
    ) -> xr.Dataset:
        r"""Return the solution from t = 0 at the times `t_eval`.

        Parameters
        ----------
        t_eval
            Times (steps per number of inputs), >= 0 and ascending, shape (n,).
        rtol, atol
            Error allowed per step, relative to the size of each mode and absolute. Where all of R, of the
            student's modes, or of v are far below `atol`, the stiff method goes by their own size.
        method
            "explicit" (Dormand-Prince 8(5,3)), "stiff" (a Rosenbrock method on the modes), or
            "auto": explicit, and stiff from where stability would limit the explicit step.
        fluctuations
            Also return how far single runs at this N stray: ``eg_std``, ``Q_std``, ``R_std``, ``v_std`` (where v
            learns), the standard deviations over data streams given weights and features, and
            ``eg_covariance`` of the error at two times. To leading order in 1/N, from the linear equations

            .. math:: \dot C = J C + C J^T + D, \qquad C(0) = 0

            with the derivative J of the equations and the covariance D of one step.

        Returns
        -------
        xarray.Dataset
            eg, Q, R, T, v, and W, Sigma where the system has them, over t as a run's; the attributes say
            what the integration took (method, steps, rejections, evaluations).

        Warns
        -----
        RuntimeWarning
            If order parameters of single runs spread too far for the leading order, with the time from when on.

        Raises
        ------
        ConvergenceError
            If the tolerance cannot be met; ``.result`` holds the solution as far as it got.
        DivergenceError
            If the solution leaves the finite numbers (too large a learning rate); likewise.
        InvalidParameterError
            If fluctuations are asked of a system that does not know N.
        """
        wanted = flag("fluctuations", fluctuations)
        result = solve_systems([self], t_eval, rtol=rtol, atol=atol, method=method, threads=1)[0]
        if not wanted:
            return result
        equations = grouped_equations(self._setting, self._directions(), self._T)
        return with_fluctuations(result, equations, self.settings, rtol=rtol, atol=atol, method=method)

    def _title(self) -> str:
        return f"{type(self).__name__}, K = {self.settings['K']}, M = {self.settings['M']}"

    def _rows(self) -> Iterable[tuple[str, Any]]:
        return [(name, value) for name, value in self.settings.items() if name not in ("system", "K", "M")]

    def _dataset(self, t: Array, solution: Mapping[str, Any], method: str) -> xr.Dataset:
        n, M = solution["reached"], self.settings["M"]
        values = {**solution["values"], "T": np.broadcast_to(self._T, (n, M, M))}
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
            method=used,
            steps=solution["steps"],
            rejections=solution["rejections"],
            evaluations=solution["evaluations"],
            jacobians=solution["jacobians"],
            **self._remarks,
        )


def solve_systems(
    systems: Sequence[OnlineODE],
    t_eval: npt.ArrayLike,
    *,
    rtol: float,
    atol: float,
    method: Method,
    threads: int | None,
) -> list[xr.Dataset]:
    """Return the solutions of `systems` at the same times; see :func:`solve_many`."""
    t = array("t_eval", t_eval, (None,), rule="= (n,)")
    if (t < 0.0).any() or (np.diff(t) < 0.0).any():
        raise InvalidParameterError(
            "t_eval holds times below 0 or out of order: must be >= 0 and ascending; sort them"
        )
    rtol = number("rtol", rtol, minimum=1e-13, maximum=0.1)
    atol = number("atol", atol, minimum=0.0, exclusive=True)
    choice("method", method, get_args(Method))
    solutions = _lib.solve_online(
        [system._equations for system in systems],
        t,
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
                f"the solution diverged at t = {solution['last']:.6g}: lr = {worded(system.settings['lr'])} is too "
                f"large for these units; lower lr, or look at the solution so far in .result",
                result,
            )
        results.append(result)
    return results


#: Attributes that make a simulation.
_SIMULATION = ("model", "teacher", "labels", "classify", "lr", "noise", "batch", "initial_student")


def options_of(sim: Simulation) -> dict[str, Any]:
    """Return rates and units of a simulation; a fixed second layer has rate 0."""
    missing = [name for name in _SIMULATION if not hasattr(sim, name)]
    if missing:
        raise DtypeError(
            f"sim = {shown(sim, 60)}: must be a simulation of online learning, this has no {missing[0]!r}; "
            f"pass an OnlineSGD"
        )
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
        "activation": sim.initial_student.activation,
        "teacher_activation": sim.teacher.activation,
    }


def manifold_of(model: LatentModel) -> HiddenManifold | None:
    """Return the hidden manifold that a model is, or whose conjugate Gaussian data it has."""
    inner = model.model if isinstance(model, GaussianEquivalent) else model
    return inner if isinstance(inner, HiddenManifold) else None


def remedy(sim: Simulation) -> str:
    """Return which equations fit a simulation."""
    model = sim.model
    if isinstance(model, TeacherStudent):
        return "use SaadSolla.from_simulation"
    manifold = manifold_of(model)
    if manifold is not None and sim.labels == "latent" and rows_are_alike(manifold):
        return "use HiddenManifoldODE.from_simulation"
    if hasattr(model, "covariances"):
        return "use CovarianceODE.from_simulation"
    return (
        "use CovarianceODE.from_simulation(sim, covariances=(Omega, Phi)) with those of its inputs; of centred stored "
        "samples they are X.T @ X / P and X.T @ y[:, None] / P"
    )
