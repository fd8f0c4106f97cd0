"""The clock of the hinge theory: the rotation as a function of time, and what it makes of nodes and examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from ...ground.arguments import choice, count, number
from ...ground.errors import InvalidParameterError
from ...ground.overflow import finite, within_range
from ...provenance.recording import recorded_method
from .arrays import Floats, flat, pair, times
from .problem import HingeProblem

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["TIME", "Rotation"]

#: Label of the time of the flow.
TIME = "time in steps of dt = 1"


class Rotation(HingeProblem):
    """What follows from the one rotation by which all nodes move."""

    def gamma(self, t: npt.ArrayLike, *, method: Literal["quadrature", "ode"] = "quadrature") -> Floats:
        """Return γ(t), in the shape of `t`.

        Parameters
        ----------
        t
            Times >= 0.
        method
            "quadrature" inverts t(γ) = ∫ dγ / (dγ/dt); "ode" integrates dγ/dt (an independent check).
        """
        choice("method", method, ("quadrature", "ode"))
        at, shape = flat("t", t)
        if method == "quadrature":
            return self._model.gamma(at).reshape(shape)
        order = np.argsort(at, kind="stable")
        result = np.empty_like(at)
        result[order] = self._model.gamma_by_flow(np.ascontiguousarray(at[order]))
        return result.reshape(shape)

    def gamma_dot(self, gamma: npt.ArrayLike) -> Floats:
        """Return dγ/dt at rotation `gamma`."""
        gammas, shape = flat("gamma", gamma)
        return self._model.gamma_dot(gammas).reshape(shape)

    def alignment(self, gamma: npt.ArrayLike) -> Floats:
        """Return S = E[a w_par] at rotation `gamma`; the network is f = κ S x_par / 2."""
        gammas, shape = flat("gamma", gamma)
        return self._model.alignment(gammas).reshape(shape)

    def time_of_gamma(self, g: npt.ArrayLike) -> Floats:
        """Return the time at which γ reaches `g`; infinite where it never does."""
        gammas, shape = flat("g", g)
        return self._model.time_of_gamma(gammas).reshape(shape)

    @property
    def plateau(self) -> float:
        """The rotation at which learning stops; infinite unless some examples pull backwards or none lie near z = 0."""
        return self._model.plateau()

    def nodes(self, t: npt.ArrayLike, a0: npt.ArrayLike, w0: npt.ArrayLike) -> tuple[Floats, Floats]:
        """Return (a, w_par) at times `t` of nodes that start at (`a0`, `w0`).

        The shape is that of `t` followed by that of `a0`. w_perp stays what it was.
        """
        gamma = self.gamma(t)
        a0, w0 = pair(a0, w0)
        gamma = gamma.reshape(gamma.shape + (1,) * a0.ndim)
        with within_range("t, a0 and w0", "pass earlier times, or smaller weights"):
            cosh, sinh = np.cosh(gamma), np.sinh(gamma)
            return a0 * cosh + w0 * sinh, w0 * cosh + a0 * sinh

    def satisfaction_time(self, m: npt.ArrayLike) -> tuple[Floats, Floats]:
        """Return (γ, t) at which an example with projection z = y x_par = `m` becomes satisfied.

        Both are infinite for examples that never are.
        """
        z, shape = flat("m", m)
        gamma = self._model.satisfaction_gamma(z)
        return gamma.reshape(shape), self._model.time_of_gamma(gamma).reshape(shape)

    @recorded_method
    def observables(self, t: npt.ArrayLike) -> xr.Dataset:
        """Return ``gamma``, ``chi``, ``unsatisfied`` and ``loss`` at times `t`.

        χ is the threshold on z below which examples are unsatisfied (above which, if negative);
        it is infinite while the network is zero. The classification error is zero for t > 0: test
        errors are effects of finite width and finite training sets.
        """
        at = times("t", t)
        gamma = self._model.gamma(at)
        return self._dataset({"gamma": gamma, **self._model.observables(gamma)}, along=at, label=TIME)

    # -- gradient descent ------------------------------------------------------------------

    @recorded_method
    def gd(self, steps: int, *, dt: float = 1.0) -> xr.Dataset:
        """Return the exact reduction of gradient descent after 0, ..., `steps` steps, over their times t = step × dt.

        Names, dimension and times are those of a run of :class:`hmm_rs.Particles`, so that ``run - theory.gd(...)``
        is their difference where the run was measured; ``step`` counts the steps (a coordinate of t:
        ``.sel(step=...)``, ``.swap_dims(t="step")``).

        A step multiplies a + w_par by 1 + η and a - w_par by 1 - η; ``P`` and ``Q`` are the products of
        these factors, ``S`` the alignment, ``gamma`` = ln P (not -ln Q). This, not the flow, is what a
        run with a large learning rate follows.
        """
        steps = count("steps", steps, minimum=0)
        dt = number("dt", dt, minimum=0.0, exclusive=True)
        course = self._model.gd(steps, dt)
        plain: dict[str, tuple[str, ...]] = dict.fromkeys("PQS", ("t",))
        step = np.arange(steps + 1)
        result = self._dataset(course, along=step * dt, label="time t = steps × dt", dims=plain, dt=dt)
        return result.assign_coords(step=("t", step, {"long_name": "step"}))

    def gd_nodes(
        self, steps: int, a0: npt.ArrayLike, w0: npt.ArrayLike, *, dt: float = 1.0
    ) -> tuple[Floats, Floats]:
        """Return (a, w_par) of nodes under gradient descent, shape (steps + 1, ...)."""
        table = self.gd(steps, dt=dt)
        a0, w0 = pair(a0, w0)
        P, Q = (table[name].values.reshape((-1,) + (1,) * a0.ndim) for name in "PQ")
        with within_range("steps, dt, a0 and w0", "pass fewer or smaller steps"):
            growing, decaying = 0.5 * (a0 + w0) * P, 0.5 * (a0 - w0) * Q
            return growing + decaying, growing - decaying

    # -- late times ------------------------------------------------------------------------

    @recorded_method
    def late_time(self, t: npt.ArrayLike) -> xr.Dataset:
        r"""Return the late-time law at times `t` (separable Gaussian data).

        .. math::
            R t = \frac{\sinh 4\gamma}{8A} - \frac{\gamma}{2A} + \frac{\gamma}{2} + K(A)
            - \frac{A}{12} e^{-4\gamma}

        ``gamma`` solves this, ``log_law`` is its leading form (1/4) log(16 A R t), and
        ``chi_times_sqrt_2Rt`` is χ √(2 R t)/σ_x, which tends to 1. Attributes R, A (with C1 and C0 in
        it) and K.
        """
        self._separable_gaussian("late_time")
        if abs(self.C0) == self.C1 or self.subtract_init:
            raise InvalidParameterError(
                f"C0 = {self.C0}: the late-time law needs |C0| < C1 and subtract_init=False; use gamma(t)"
            )
        at = times("t", t)
        if (at <= 0.0).any():
            raise InvalidParameterError("t: late times are positive; pass t > 0")
        law = finite("t", self._model.late_time(at), "pass times of order one and later")
        constants = {name: float(law.pop(name)) for name in ("R", "A", "K")}
        dims: dict[str, tuple[str, ...]] = dict.fromkeys(("log_law", "chi_times_sqrt_2Rt"), ("t",))
        return self._dataset(law, along=at, label=TIME, dims=dims, **constants)
