r"""Mean-field theory of hinge-loss learning in one-hidden-layer ReLU networks.

After F. Pellegrini and G. Biroli, "An analytic theory of shallow networks dynamics for hinge loss
classification", NeurIPS 2020 (arXiv:2006.11209). Conventions:

* f(x) = (1/M) Σ a_i max(κ w_i·x, 0), κ = 1/√d; labels y = ±1; teacher direction e_1.
* Loss α^(-p) ⟨max(0, h - α y f)⟩. An example is unsatisfied while α y f < h.
* The learning rate β multiplies M times the gradient; time is in steps of dt = 1.
* γ is the rotation: a = a0 cosh γ + w0 sinh γ, w_par = w0 cosh γ + a0 sinh γ, w_perp constant.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ... import _lib
from ...ground.arguments import array, choice, count, number
from ...ground.description import Description
from ...ground.errors import DtypeError, InvalidParameterError, ShapeError
from ...ground.results import dataset

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["HingeMeanField", "ProjectedMeanField", "lazy_master", "rich_front"]

Floats = npt.NDArray[np.float64]

_CITE = ("hinge-mean-field",)
_TIME = "time in steps of dt = 1"


def _flat(name: str, value: npt.ArrayLike) -> tuple[Floats, tuple[int, ...]]:
    """Return `value` as a one-dimensional array without NaN, and its shape."""
    try:
        full = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise DtypeError(f"{name} = {value!r:.80}: must be real numbers; pass floats") from None
    if np.isnan(full).any():
        raise InvalidParameterError(f"{name} holds NaN: must be numbers; remove them")
    return np.ascontiguousarray(full.ravel()), full.shape


def _times(name: str, value: npt.ArrayLike) -> Floats:
    """Return `value` as a one-dimensional array of times."""
    return array(name, np.atleast_1d(np.asarray(value)), (None,), rule="(times)")


class HingeMeanField(Description):
    r"""Exact mean-field dynamics: every node rotates by the same γ(t).

    .. math::
        \dot\gamma = \frac{c\,\kappa}{2}\,\langle u\, z\rangle, \qquad c = \beta\,\alpha^{1-p},
        \qquad S(\gamma) = C_0\cosh 2\gamma + C_1\sinh 2\gamma

    where z = y x_par and u marks the unsatisfied examples, κ S z / 2 < h/α.

    Parameters
    ----------
    d
        Dimension of the inputs.
    alpha, h, beta, p
        Output scale, margin threshold, mean-field learning rate and exponent of the loss.
    kappa
        Input scale; None: 1/√d.
    sigma_x, sigma_a, sigma_w
        Standard deviations of the inputs and of the initial weights.
    C0, C1
        E[a0 w0] and E[a0² + w0²]/2 of the initial nodes; None: 0 and (sigma_a² + sigma_w²)/2. The
        empirical values of a finite network capture the leading shift of its γ.
    law
        "gaussian" (y = sign x_par), "sphere" (uniform, with `radius`), "mixture" (x = y mu e_1 + sigma_x ξ),
        or a vectorised density ρ(z) of z = y x_par.
    radius, mu
        Of the sphere and the mixture.
    flip
        Probability of a flipped label.
    support
        Interval outside which a density given as `law` vanishes.
    subtract_init
        Train f - f(t=0) instead of f.

    Notes
    -----
    Exact for M → ∞ when (x, y) → (-x, -y) is a symmetry of the data, E[x_perp | x_par, y] = 0, and the
    initial nodes are symmetric under (a, w) → (-a, -w) with isotropic w_perp. The speed of γ only
    falls, so γ(t) is monotone and ends on a plateau exactly if some examples pull backwards.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> theory = hr.theory.HingeMeanField(100)
    >>> theory.gamma([10.0, 1000.0]).round(6)
    array([0.398942, 2.925522])
    """

    d: int
    alpha: float
    h: float
    beta: float
    p: float
    kappa: float
    sigma_x: float
    sigma_a: float
    sigma_w: float
    C0: float
    C1: float
    law: str | Callable[[Floats], npt.ArrayLike]
    radius: float | None
    mu: float | None
    flip: float
    support: tuple[float, float]
    subtract_init: bool

    def __init__(
        self,
        d: int,
        *,
        alpha: float = 1.0,
        h: float = 1.0,
        beta: float = 1.0,
        p: float = 1,
        kappa: float | None = None,
        sigma_x: float = 1.0,
        sigma_a: float = 1.0,
        sigma_w: float = 1.0,
        C0: float | None = None,
        C1: float | None = None,
        law: str | Callable[[Floats], npt.ArrayLike] = "gaussian",
        radius: float | None = None,
        mu: float | None = None,
        flip: float = 0.0,
        support: tuple[float, float] = (-math.inf, math.inf),
        subtract_init: bool = False,
    ) -> None:
        d = count("d", d)
        if not callable(law):
            choice("law", law, ("gaussian", "sphere", "mixture"))
        for name, value, wanted in (("radius", radius, "sphere"), ("mu", mu, "mixture")):
            if (value is None) != (law != wanted):
                verb = "needs" if law == wanted else "has no"
                raise InvalidParameterError(
                    f"{name} = {value!r}: law={law!r:.40} {verb} {name}; "
                    f"{f'pass {name}=' if law == wanted else f'leave {name} out'}"
                )
        sigma_x, sigma_a, sigma_w = (
            number(name, value, minimum=0.0, exclusive=name == "sigma_x")
            for name, value in (("sigma_x", sigma_x), ("sigma_a", sigma_a), ("sigma_w", sigma_w))
        )
        try:
            lower, upper = (float(edge) for edge in support)
        except (TypeError, ValueError):
            raise DtypeError(
                f"support = {support!r}: must be two numbers (lower, upper); pass them"
            ) from None
        self._describe(
            d=d,
            alpha=number("alpha", alpha, minimum=0.0, exclusive=True),
            h=number("h", h, minimum=0.0, exclusive=True),
            beta=number("beta", beta, minimum=0.0, exclusive=True),
            p=number("p", p),
            kappa=d**-0.5 if kappa is None else number("kappa", kappa, minimum=0.0, exclusive=True),
            sigma_x=sigma_x,
            sigma_a=sigma_a,
            sigma_w=sigma_w,
            C0=0.0 if C0 is None else number("C0", C0),
            C1=0.5 * (sigma_a**2 + sigma_w**2)
            if C1 is None
            else number("C1", C1, minimum=0.0, exclusive=True),
            law=law,
            radius=radius if radius is None else number("radius", radius, minimum=0.0, exclusive=True),
            mu=mu if mu is None else number("mu", mu),
            flip=number("flip", flip, minimum=0.0, maximum=1.0),
            support=(lower, upper),
            subtract_init=bool(subtract_init),
        )
        model = _lib.HingeTheory(
            self.law,
            d=float(d),
            scale=self.sigma_x if self.radius is None else self.radius,
            mu=self.mu or 0.0,
            flip=self.flip,
            support=self.support,
            loss=(self.alpha, self.h, self.beta, self.p),
            kappa=self.kappa,
            moments=(self.C0, self.C1),
            subtract_init=self.subtract_init,
        )
        object.__setattr__(self, "_model", model)

    _model: _lib.HingeTheory

    # -- the clock -----------------------------------------------------------------------------

    def gamma(self, t: npt.ArrayLike, *, method: str = "quadrature") -> Floats:
        """Return γ(t), in the shape of `t`.

        Parameters
        ----------
        t
            Times >= 0.
        method
            "quadrature" inverts t(γ) = ∫ dγ / (dγ/dt); "ode" integrates dγ/dt (an independent check).
        """
        choice("method", method, ("quadrature", "ode"))
        times, shape = _flat("t", t)
        if method == "quadrature":
            return self._model.gamma(times).reshape(shape)
        order = np.argsort(times, kind="stable")
        result = np.empty_like(times)
        result[order] = self._model.gamma_by_flow(np.ascontiguousarray(times[order]))
        return result.reshape(shape)

    def gamma_dot(self, gamma: npt.ArrayLike) -> Floats:
        """Return dγ/dt at rotation `gamma`."""
        gammas, shape = _flat("gamma", gamma)
        return self._model.gamma_dot(gammas).reshape(shape)

    def alignment(self, gamma: npt.ArrayLike) -> Floats:
        """Return S = E[a w_par] at rotation `gamma`; the network is f = κ S x_par / 2."""
        gammas, shape = _flat("gamma", gamma)
        return self._model.alignment(gammas).reshape(shape)

    def time_of_gamma(self, g: npt.ArrayLike) -> Floats:
        """Return the time at which γ reaches `g`; infinite where it never does."""
        gammas, shape = _flat("g", g)
        return self._model.time_of_gamma(gammas).reshape(shape)

    @property
    def plateau(self) -> float:
        """The rotation at which learning stops; infinite for laws without backward pull."""
        end = self._model.plateau()
        start = float(self._model.gamma_dot(np.zeros(1))[0])
        return math.copysign(math.inf, start) if end is None else end

    def nodes(self, t: npt.ArrayLike, a0: npt.ArrayLike, w0: npt.ArrayLike) -> tuple[Floats, Floats]:
        """Return (a, w_par) at times `t` of nodes that start at (`a0`, `w0`).

        The shape is that of `t` followed by that of `a0`. w_perp stays what it was.
        """
        gamma = self.gamma(t)
        a0, w0 = _pair(a0, w0)
        gamma = gamma.reshape(gamma.shape + (1,) * a0.ndim)
        cosh, sinh = np.cosh(gamma), np.sinh(gamma)
        return a0 * cosh + w0 * sinh, w0 * cosh + a0 * sinh

    def satisfaction_time(self, m: npt.ArrayLike) -> tuple[Floats, Floats]:
        """Return (γ, t) at which an example with projection z = y x_par = `m` becomes satisfied.

        Both are infinite for examples that never are.
        """
        z, shape = _flat("m", m)
        gamma = self._model.satisfaction_gamma(z)
        return gamma.reshape(shape), self._model.time_of_gamma(gamma).reshape(shape)

    def observables(self, t: npt.ArrayLike) -> xr.Dataset:
        """Return ``gamma``, ``chi``, ``unsatisfied`` and ``loss`` at times `t`.

        χ is the threshold on z below which examples are unsatisfied (above which, if negative);
        it is infinite while the network is zero. The classification error is zero for t > 0: test
        errors are effects of finite width and finite training sets.
        """
        times = _times("t", t)
        gamma = self._model.gamma(times)
        chi, unsatisfied, loss = self._model.observables(gamma)
        values = {"gamma": gamma, "chi": chi, "unsatisfied": unsatisfied, "loss": loss}
        return self._dataset(values, along=times, label=_TIME)

    # -- gradient descent ----------------------------------------------------------------------

    def gd(self, steps: int, *, dt: float = 1.0) -> xr.Dataset:
        """Return the exact reduction of gradient descent over step = 0, ..., `steps`.

        A step multiplies a + w_par by 1 + η and a - w_par by 1 - η; ``P`` and ``Q`` are the products of
        these factors, ``S`` the alignment, ``gamma`` = ln P (not -ln Q). This, not the flow, is what a
        run with a large learning rate follows.
        """
        steps = count("steps", steps, minimum=0)
        dt = number("dt", dt, minimum=0.0, exclusive=True)
        P, Q, S, chi, unsatisfied, loss = self._model.gd(steps, dt)
        values = {
            "P": P,
            "Q": Q,
            "S": S,
            "gamma": np.log(P),
            "chi": chi,
            "unsatisfied": unsatisfied,
            "loss": loss,
        }
        plain: dict[str, tuple[str, ...]] = dict.fromkeys("PQS", ("step",))
        return self._dataset(values, along=np.arange(steps + 1), dim="step", label="step", dims=plain)

    def gd_nodes(
        self, steps: int, a0: npt.ArrayLike, w0: npt.ArrayLike, *, dt: float = 1.0
    ) -> tuple[Floats, Floats]:
        """Return (a, w_par) of nodes under gradient descent, shape (steps + 1, ...)."""
        table = self.gd(steps, dt=dt)
        a0, w0 = _pair(a0, w0)
        P, Q = (table[name].values.reshape((-1,) + (1,) * a0.ndim) for name in "PQ")
        growing, decaying = 0.5 * (a0 + w0) * P, 0.5 * (a0 - w0) * Q
        return growing + decaying, growing - decaying

    # -- late times ----------------------------------------------------------------------------

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
        times = _times("t", t)
        if (times <= 0.0).any():
            raise InvalidParameterError("t: late times are positive; pass t > 0")
        R = float(self.gamma_dot(0.0)) if self.C0 == 0.0 else self._ballistic_rate()
        A = 2.0 * (self.h / (self.alpha * self.kappa * self.sigma_x)) ** 2
        # S = √(C1² - C0²) sinh(2γ + artanh(C0/C1)): the standard problem, shifted.
        shift = 0.5 * math.atanh(self.C0 / self.C1)
        A /= self.C1**2 - self.C0**2
        gamma = self._model.late_gamma(A, shift, R * times)
        chi = self._model.observables(self._model.gamma(times))[0]
        values = {
            "gamma": gamma,
            "log_law": 0.25 * np.log(16.0 * A * R * times) - shift,
            "chi_times_sqrt_2Rt": chi * np.sqrt(2.0 * R * times) / self.sigma_x,
        }
        dims = {"log_law": ("t",), "chi_times_sqrt_2Rt": ("t",)}
        constant = _lib.hinge_late_constant(A)
        return self._dataset(values, along=times, label=_TIME, dims=dims, R=R, A=A, K=constant)

    # -- finite width, finite training set -----------------------------------------------------

    def fluctuations(
        self, gamma: npt.ArrayLike, M: int, *, xpar: float = 0.0, xperp2: float | None = None
    ) -> xr.Dataset:
        """Return what finite width M adds, at rotations `gamma` (population of infinite size).

        ``var_node`` is the variance V of one node's contribution at a point with projection `xpar` and
        |x_perp|² = `xperp2` (None: (d - 1) sigma_x²); the output's variance is V / M. For Gaussian inputs
        also ``test_error_frozen``, the test error with the initial fluctuations (early), and
        ``test_error_residual``, the one after training has removed the constant and the linear modes
        (late); the crossover lies where A = S². Averages over initial conditions: a single network
        scatters by 15-20 % early.
        """
        M = count("M", M)
        gammas = _times("gamma", gamma)
        point = (number("xpar", xpar), self._xperp2(xperp2))
        sigmas = {"sigma_a": self.sigma_a, "sigma_w": self.sigma_w}
        values = {"var_node": self._model.node_variance(gammas, point=point, **sigmas)}
        if self.law == "gaussian":
            errors = self._model.test_errors(gammas, width=float(M), d=float(self.d), **sigmas)
            values["test_error_frozen"], values["test_error_residual"] = errors
        dims: dict[str, tuple[str, ...]] = dict.fromkeys(values, ("gamma",))
        return self._dataset(values, along=gammas, dim="gamma", label="rotation parameter", dims=dims, M=M)

    def satisfaction_band(
        self, gamma: npt.ArrayLike, M: int, *, kind: str = "residual", xperp2: float | None = None
    ) -> tuple[Floats, Floats]:
        """Return the projections satisfied at `gamma` one standard deviation early and late.

        At width M an example's output is that of the mean field plus or minus √(V/M). `kind` "residual"
        keeps the even harmonics of degree >= 2 in V, "frozen" the whole initial fluctuation.
        """
        gammas, shape = _flat("gamma", gamma)
        low, high = self._model.satisfaction_band(
            gammas,
            sigma_a=self.sigma_a,
            sigma_w=self.sigma_w,
            width=float(count("M", M)),
            xperp2=self._xperp2(xperp2),
            residual=choice("kind", kind, ("residual", "frozen")) == "residual",
        )
        return low.reshape(shape), high.reshape(shape)

    def memorisation(self, N: int, t: npt.ArrayLike) -> xr.Dataset:
        """Return learning from N stored examples at the increasing times `t` (infinite width).

        Variables ``gamma``, ``extra_margin`` (what an unsatisfied training example has gained from its
        own updates), ``train_unsatisfied``, ``test_unsatisfied``. An approximate theory; its limits
        stand in the attribute ``limits``, and ``t_end`` is its rough end of training.
        """
        self._separable_gaussian("memorisation")
        N = count("N", N)
        times = _times("t", t)
        sigmas = (self.sigma_x, self.sigma_a, self.sigma_w)
        columns, end = self._model.memorisation(times, d=float(self.d), samples=float(N), sigmas=sigmas)
        names = ("gamma", "extra_margin", "train_unsatisfied", "test_unsatisfied")
        values = dict(zip(names, columns, strict=True))
        dims = dict.fromkeys(names[1:], ("t",))
        enough = 2.0 * N / self.d**2
        limits = (
            f"approximate: only kernel harmonics of degree >= 3 are memorised, which needs N >> d^2/2 "
            f"(here N/(d^2/2) = {enough:.3g}); unsatisfied fractions are good to 5-20 % until t_end/2, "
            "then training ends too abruptly because every example gets the same extra margin"
        )
        return self._dataset(values, along=times, label=_TIME, dims=dims, N=N, t_end=end, limits=limits)

    # -- pieces --------------------------------------------------------------------------------

    def _ballistic_rate(self) -> float:
        """Return R, the speed of γ while everything is unsatisfied."""
        c = self.beta * math.pow(self.alpha, 1.0 - self.p)
        return c * self.kappa * self.sigma_x / math.sqrt(2.0 * math.pi)

    def _xperp2(self, value: float | None) -> float:
        default = (self.d - 1) * self.sigma_x**2
        return default if value is None else number("xperp2", value, minimum=0.0)

    def _separable_gaussian(self, what: str) -> None:
        if self.law != "gaussian" or self.flip:
            raise InvalidParameterError(
                f"law = {self.law!r:.40}, flip = {self.flip}: {what} is for separable Gaussian data; "
                'use law="gaussian", flip=0'
            )

    def _dataset(self, values: dict[str, Floats], **options: Any) -> xr.Dataset:
        settings = {
            "theory": type(self).__name__,
            **{
                k: v if isinstance(v, (bool, int, float, str, type(None))) else repr(v)
                for k, v in self._arguments.items()
            },
        }
        return dataset(values, source="theory", settings=settings, cite=_CITE, **options)


def _pair(a0: npt.ArrayLike, w0: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Return initial weights as arrays of one shape."""
    a, w = np.asarray(a0, dtype=np.float64), np.asarray(w0, dtype=np.float64)
    if a.shape != w.shape:
        raise ShapeError(f"w0 has shape {w.shape}: must be that of a0, {a.shape}; pass one w_par per a")
    return a, w


def lazy_master(s: npt.ArrayLike) -> Floats:
    r"""Return the universal lazy curve G(s): dG/ds = 1 - exp(-1/G²), G(0) = 0.

    For α → ∞ on separable Gaussian data, 2 C1 γ/√A = G(2 C1 R t/√A) with A = 2 (h/(α κ σ_x))² and
    R = c κ σ_x/√(2π); the error is O(γ²). G ~ s early and (3 s)^(1/3) late.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> hr.theory.lazy_master([0.5, 10.0]).round(9)
    array([0.49914011, 2.90900946])
    """
    values, shape = _flat("s", s)
    return _lib.hinge_lazy_master(values).reshape(shape)


def rich_front(tau: npt.ArrayLike) -> Floats:
    r"""Return the universal rich front D(τ): dD/dτ = 1 - exp(-exp(-4D)), D → τ as τ → -∞.

    For α → 0 on separable Gaussian data γ = γ_f + D(R t - γ_f) with γ_f = (1/2) log(2 √A / C1).

    Examples
    --------
    >>> import hmm_rs as hr
    >>> float(hr.theory.rich_front(0.0).round(12))
    -0.047791173719
    """
    values, shape = _flat("tau", tau)
    return _lib.hinge_rich_front(values).reshape(shape)


class ProjectedMeanField:
    r"""Self-consistent mean field for labels that depend on k projections of the input.

    No closed form, still deterministic: y depends on x_par ∈ R^k, the other inputs are independent
    N(0, sigma_x²) in many dimensions, so that a node is a point (a, w_par, |w_perp|) and

    .. math::
        f(x_\parallel) = \kappa\,\mathrm E\big[a\,(m\,\Phi(m/s) + s\,\varphi(m/s))\big],
        \quad m = w_\parallel\cdot x_\parallel,\ s = |w_\perp||x_\perp|/\sqrt{d-k}.

    Each node is a single node trained with a linear loss on the examples that are unsatisfied at
    that time; nodes meet only through that set. Nodes and examples carry quadrature weights.

    Parameters
    ----------
    d
        Dimension of the inputs.
    x_par, y
        Points in the space of projections, shape (P, k) (or (P,) for k = 1), and their labels.
    weights
        Probabilities of the points (None: equal).
    alpha, h, beta, p
        As in :class:`HingeMeanField`.
    sigma_x, sigma_a, sigma_w
        Standard deviations of the orthogonal inputs and of the initial weights.
    nodes
        Gauss-Hermite points per initial coordinate: nodes ** (k + 1) nodes in all.
    lengths
        Gauss points of the law of |x_perp|: each point of `x_par` stands for so many.

    Notes
    -----
    The one approximation, w_perp·x_perp Gaussian at given lengths, is O(1/d). The steps are those of
    gradient descent on the population, one unit of time each.

    Examples
    --------
    A stripe, which no linear teacher describes:

    >>> import hmm_rs as hr
    >>> import numpy as np
    >>> field = hr.theory.ProjectedMeanField.gaussian(100, lambda x: np.where(abs(x[:, 0]) < 0.7, -1.0, 1.0))
    >>> result = field.run(20)
    >>> bool(result.loss[-1] < result.loss[0])
    True
    """

    def __init__(
        self,
        d: int,
        *,
        x_par: npt.ArrayLike,
        y: npt.ArrayLike,
        weights: npt.ArrayLike | None = None,
        alpha: float = 1.0,
        h: float = 1.0,
        beta: float = 1.0,
        p: float = 1,
        sigma_x: float = 1.0,
        sigma_a: float = 1.0,
        sigma_w: float = 1.0,
        nodes: int = 24,
        lengths: int = 3,
    ) -> None:
        x = np.asarray(x_par, dtype=np.float64)
        x = array("x_par", x[:, None] if x.ndim == 1 else x, (None, None), rule="(points, projections)")
        points, k = x.shape
        d = count("d", d, minimum=k + 1)
        y = array("y", y, (points,), rule="(one label per row of x_par)")
        if not (np.abs(y) == 1.0).all():
            raise InvalidParameterError(
                "y holds other values than +1 and -1: labels must be signs; pass np.sign"
            )
        if weights is None:
            probabilities = np.full(points, 1.0 / points)
        else:
            probabilities = array("weights", weights, (points,), rule="(one per row of x_par)")
            if (probabilities < 0.0).any() or probabilities.sum() <= 0.0:
                raise InvalidParameterError("weights: must not be negative nor all zero; pass probabilities")
            probabilities = probabilities / probabilities.sum()
        sigma_a, sigma_w = (
            number(n, v, minimum=0.0, exclusive=True) for n, v in (("sigma_a", sigma_a), ("sigma_w", sigma_w))
        )
        a, w_par, node_weights = _gauss_hermite(count("nodes", nodes, minimum=2), k, sigma_a, sigma_w)
        sigma_x = number("sigma_x", sigma_x, minimum=0.0, exclusive=True)
        squares, square_weights = _gamma_rule(count("lengths", lengths), 0.5 * (d - k))
        sigma = np.tile(sigma_x * np.sqrt(squares / (0.5 * (d - k))), points)
        x, y = np.repeat(x, lengths, axis=0), np.repeat(y, lengths)
        probabilities = (probabilities[:, None] * square_weights).ravel()
        self.settings = {
            "d": d,
            "alpha": alpha,
            "h": h,
            "beta": beta,
            "p": p,
            "sigma_x": sigma_x,
            "nodes": nodes,
        }
        self._k = k
        self._step = 0
        self.x_par, self.y, self.weights, self.node_weights = x, y, probabilities, node_weights
        r = np.full(len(a), sigma_w * math.sqrt(d - k))
        self._field = _lib.ProjectedHinge(
            nodes=(a, w_par.ravel(), r, node_weights),
            data=(x.ravel(), y, probabilities, sigma),
            k=k,
            loss=(
                number("alpha", alpha, minimum=0.0, exclusive=True),
                number("h", h, minimum=0.0, exclusive=True),
                number("beta", beta, minimum=0.0, exclusive=True),
                number("p", p),
            ),
            kappa=d**-0.5,
        )

    @classmethod
    def gaussian(
        cls,
        d: int,
        teacher: Callable[[Floats], npt.ArrayLike],
        *,
        k: int = 1,
        points: int = 2000,
        sigma_x: float = 1.0,
        **options: Any,
    ) -> ProjectedMeanField:
        """Return the field for Gaussian inputs labelled by ``teacher(x_par)``, x_par of shape (P, k).

        `points` is the number of equally likely cells per projection, of which the teacher sees the
        medians.
        """
        x = sigma_x * _normal_cells(count("points", points, minimum=2), count("k", k))
        y = np.asarray(teacher(x), dtype=np.float64)
        return cls(d, x_par=x, y=y, sigma_x=sigma_x, **options)

    @classmethod
    def clusters(
        cls,
        d: int,
        means: npt.ArrayLike,
        labels: npt.ArrayLike,
        *,
        sigma_x: float = 1.0,
        points: int = 60,
        **options: Any,
    ) -> ProjectedMeanField:
        """Return the field for equally likely Gaussian clusters with `means`, shape (c, k), and `labels`.

        `points` is the number of cells per projection and cluster.
        """
        means = array("means", means, (None, None), rule="(clusters, projections)")
        labels = array("labels", labels, (len(means),), rule="(one per cluster)")
        k = means.shape[1]
        noise = sigma_x * _normal_cells(count("points", points), k)
        x = (means[:, None, :] + noise).reshape(-1, k)
        return cls(d, x_par=x, y=np.repeat(labels, len(noise)), sigma_x=sigma_x, **options)

    def run(self, steps: int, *, dt: float = 1.0, save_at: npt.ArrayLike | None = None) -> xr.Dataset:
        """Take steps of size `dt` until step number `steps` and return what was measured at `save_at`.

        Variables ``unsatisfied``, ``loss``, ``test_error`` over ``step`` (None: every step). Continues from
        where the field is.
        """
        steps = count("steps", steps, minimum=self._step)
        dt = number("dt", dt, minimum=0.0, exclusive=True)
        saves = np.arange(self._step, steps + 1) if save_at is None else array("save_at", save_at, (None,))
        if (np.diff(saves) < 0).any() or saves[0] < self._step or saves[-1] > steps or (saves % 1 != 0).any():
            raise InvalidParameterError(
                f"save_at: must be whole steps in order between {self._step} and {steps}; pass such steps"
            )
        records = []
        for save in saves.astype(int):
            self._field.advance(int(save) - self._step, dt)
            self._step = int(save)
            records.append(self._field.state())
        self._field.advance(steps - self._step, dt)
        self._step = steps
        names = ("unsatisfied", "loss", "test_error")
        values = {
            name: np.array(column) for name, column in zip(names, zip(*records, strict=True), strict=True)
        }
        settings = {"theory": type(self).__name__, **self.settings, "dt": dt}
        return dataset(
            values, along=saves, dim="step", label="step", source="theory", settings=settings, cite=_CITE
        )

    @property
    def output(self) -> Floats:
        """Output f at the rows of ``x_par``, each repeated for its lengths of x_perp."""
        return self._field.output()

    @property
    def nodes(self) -> tuple[Floats, Floats, Floats]:
        """Present nodes: a (n,), w_par (n, k), |w_perp| (n,)."""
        a, w_par, r = self._field.nodes()
        return a, w_par.reshape(-1, self._k), r


def _gauss_hermite(n: int, k: int, sigma_a: float, sigma_w: float) -> tuple[Floats, Floats, Floats]:
    """Return nodes (a, w_par) of a Gauss-Hermite product rule and their weights, which sum to one."""
    points, weight = np.polynomial.hermite_e.hermegauss(n)
    grids = np.meshgrid(*[points] * (k + 1), indexing="ij")
    weights = np.meshgrid(*[weight / weight.sum()] * (k + 1), indexing="ij")
    a = sigma_a * grids[0].ravel()
    w_par = sigma_w * np.stack([g.ravel() for g in grids[1:]], axis=1)
    return a, np.ascontiguousarray(w_par), np.prod([w.ravel() for w in weights], axis=0)


def _gamma_rule(n: int, shape: float) -> tuple[Floats, Floats]:
    """Return the n-point Gauss rule of the Gamma law of `shape` (Golub & Welsch 1969)."""
    i = np.arange(n)
    off = np.sqrt(i[1:] * (i[1:] + shape - 1.0))
    points, vectors = np.linalg.eigh(np.diag(2.0 * i + shape) + np.diag(off, 1) + np.diag(off, -1))
    return points, vectors[0] ** 2


def _normal_cells(n: int, k: int) -> Floats:
    """Return the medians of n equally likely cells of a normal, on a product grid in k dimensions."""
    from scipy.special import ndtri

    medians = ndtri((np.arange(n) + 0.5) / n)
    return np.stack([g.ravel() for g in np.meshgrid(*[medians] * k, indexing="ij")], axis=1)
