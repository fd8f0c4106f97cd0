"""Gradient flow of one-hidden-layer ReLU networks and of predictors in a frozen kernel."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

import numpy as np
import numpy.typing as npt

from .. import _lib
from ..ground.arguments import array, choice, count, dtype_name, flag, number
from ..ground.arguments import threads as checked_threads
from ..ground.errors import DtypeError, InvalidParameterError
from ..ground.memory import require
from ..kernels.statistics import positive_gram
from ..measure.compression import compression, conserved_quantity
from ..networks.mean_field import MeanFieldNetwork
from .driver import Driver, Observation, RunOptions, long_run, save_times, whole_steps

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["GradientFlow", "KernelFlow", "log_linear_steps"]

Array = npt.NDArray[np.float64]

LOSSES = ("hinge", "softhinge", "qhinge", "linear")
#: Factor s of the activations s max(0, u).
_SLOPES = {"relu": 1.0, "sqrt2_relu": math.sqrt(2.0)}
#: Moments that the stepper remembers, in its order.
_EVENTS = ("t_star", "margin_0", "margin_half", "margin_1")
#: Steps after which a run ends unless it is told otherwise.
_MAX_STEPS = 1_000_000


def log_linear_steps(last: int, *, spacing: float = 100.0, bend: float = 1e4) -> npt.NDArray[np.int64]:
    """Return the published schedule of step numbers up to `last`: dense at first, then `spacing` apart.

    n_{k+1} = int(n_k + 1 + S (1 - exp(-n_k/T))), S = `spacing`, T = `bend`.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> hr.dynamics.log_linear_steps(1000)[-3:]
    array([ 987,  997, 1000])
    """
    steps, n = [0], 0
    while n < last:
        n = min(int(n + 1 + spacing * (1.0 - math.exp(-n / bend))), last)
        steps.append(n)
    return np.array(steps, dtype=np.int64)


@dataclass(frozen=True)
class _Settings:
    """What the compiled stepper reads by attribute."""

    loss: str
    margin: float
    sharpness: float
    alpha: float
    method: str
    max_dgrad: float
    rtol: float
    atol: float
    max_dout: float
    max_dw: float
    subtract_initial: bool


class _Flow(Driver):
    """What network and kernel flows share: losses, controllers, stopping rules, remembered moments."""

    _axis: ClassVar[tuple[str, str, str]] = ("t", "code time", "")
    _cite: ClassVar[tuple[str, ...]] = ("geometric-compression",)

    _stepper: _lib.GradientFlow
    _y_test: Array | None
    # Stopping margin, stopping fraction, most steps, end time (None: not used), and whether save
    # points are times.
    _rules: tuple[float | None, float | None, int | None, float | None, bool]

    def _common(
        self,
        *,
        loss: str,
        alpha: float,
        margin: float,
        loss_beta: float,
        max_dout: float,
        max_dw: float,
        max_dgrad: float,
        controller: str,
        method: str,
        rtol: float,
        atol: float,
        subtract_f0: bool,
    ) -> tuple[_Settings, dict[str, Any]]:
        """Return the checked options, for the stepper and as constructor arguments."""
        choice("loss", loss, LOSSES)
        choice("controller", controller, ("chatter", "published"))
        choice("method", method, ("euler", "rk"))
        if method == "rk" and loss == "hinge":
            raise InvalidParameterError(
                'method = "rk": needs a smooth loss, the hinge is slid along its kink; '
                'pass loss="softhinge" or method="euler"'
            )
        options: dict[str, Any] = {
            "loss": loss,
            "alpha": number("alpha", alpha, minimum=0.0, exclusive=True),
            "margin": number("margin", margin),
            "loss_beta": number("loss_beta", loss_beta, minimum=0.0, exclusive=True),
            "max_dout": number("max_dout", max_dout, minimum=0.0, exclusive=True),
            "max_dw": number("max_dw", max_dw, minimum=0.0, exclusive=True),
            "max_dgrad": number("max_dgrad", max_dgrad, minimum=0.0, exclusive=True),
            "controller": controller,
            "method": method,
            "rtol": number("rtol", rtol, minimum=0.0, exclusive=True),
            "atol": number("atol", atol, minimum=0.0, exclusive=True),
        }
        settings = _Settings(
            loss=loss,
            margin=options["margin"],
            sharpness=options["loss_beta"],
            alpha=options["alpha"],
            method="rk" if method == "rk" else controller,
            max_dgrad=options["max_dgrad"],
            rtol=options["rtol"],
            atol=options["atol"],
            max_dout=options["max_dout"],
            max_dw=options["max_dw"],
            subtract_initial=flag("subtract_f0", subtract_f0),
        )
        self._rules = (None, None, None, None, False)
        return settings, options

    # -- reading ---------------------------------------------------------------------------------

    @property
    def t(self) -> float:
        """Present code time."""
        return self._stepper.t

    @property
    def step(self) -> int:
        """Steps taken."""
        return self._stepper.step

    @property
    def trials(self) -> int:
        """Trial steps made, accepted or not."""
        return self._stepper.trials

    @property
    def stopped(self) -> str:
        """Why the last run ended: "margin", "fraction", "gradient", "max_steps", "frozen" or ""."""
        return self._stepper.stopped or ""

    @property
    def margins(self) -> Array:
        """Present y F of every training example, shape (p,)."""
        return self._stepper.margins()

    def test_predictions(self, *, threads: int | None = None) -> Array | None:
        """Return F of the test points, or None without a test set."""
        return self._stepper.test_predictions(checked_threads("threads", threads))

    # -- running ---------------------------------------------------------------------------------

    def advance(self, n_steps: int, *, threads: int | None = None) -> None:
        """Take `n_steps` steps, or fewer if the run ends."""
        threads = checked_threads("threads", threads)
        target = self.step + count("n_steps", n_steps, minimum=0)
        while self.step < target and not self._stepper.stopped:
            self._stepper.advance(target - self.step, math.inf, target, threads)

    def observe(self, *, threads: int | None = None) -> Observation:
        """Return what is measured now."""
        seen: Observation = self._stepper.observe()
        p = len(self._arguments["y"])
        seen["satisfied"] = 1.0 - seen.pop("unsatisfied") / p
        seen.update(self._measure())
        predictions = self.test_predictions(threads=threads)
        if predictions is not None and self._y_test is not None:
            seen["test_error"] = float((predictions * self._y_test <= 0.0).mean())
        return seen

    @abstractmethod
    def _measure(self) -> Observation:
        """Return what is measured on the parameters."""

    @long_run
    def run(
        self,
        *,
        t_max: float | None = None,
        stop_margin: float | None = None,
        stop_frac: float | None = None,
        max_steps: int | None = None,
        save_at: npt.ArrayLike | None = None,
        save_steps: npt.ArrayLike | None = None,
        **options: Unpack[RunOptions],
    ) -> xr.Dataset:
        """Train until a rule ends the run and return what was measured.

        Parameters
        ----------
        t_max
            Code time at the end.
        stop_margin
            End once the smallest y F exceeds this (1.0 is the published rule; 0.9 to 0.99 spares the slow
            end of a hinge run). It also is the margin that `satisfied` counts against, and so moves t*.
        stop_frac
            End once the satisfied fraction exceeds this.
        max_steps
            End after so many steps in all; None for 1,000,000.
        save_at
            Code times to measure at; steps are shortened to land on them. Needs `t_max`, or ends at the last.
        save_steps
            Step numbers to measure at. Default: the published schedule, :func:`log_linear_steps`.
        **options
            Options of every run, :class:`hmm_rs.dynamics.RunOptions`.

        Returns
        -------
        xarray.Dataset
            Over code time ``t``. The attribute ``stopped`` says why the run ended: "margin", "fraction",
            "gradient" (it vanished), "max_steps" (the data could not be fitted within them; the result is
            partial), "frozen" (time stands still, see the published controller), "t_max", "max_seconds",
            "callback", or "" after the last of `save_at`. ``t_star`` is the first time a tenth of the
            examples is satisfied and ``lambda_star`` the compression then, at the resolution of a step;
            ``t_margin_0``, ``t_margin_half``, ``t_margin_1`` are when the smallest y F exceeded these values.
        """
        rules = (
            None if stop_margin is None else number("stop_margin", stop_margin),
            None if stop_frac is None else number("stop_frac", stop_frac, minimum=0.0, maximum=1.0),
            _MAX_STEPS if max_steps is None else count("max_steps", max_steps),
        )
        end = None if t_max is None else number("t_max", t_max, minimum=0.0)
        if save_at is not None and save_steps is not None:
            raise InvalidParameterError("save_at and save_steps: only one of them can be used; drop one")
        if save_at is not None:
            targets = save_times(end, save_at, self.t, 0.0)
            if end is not None and end > targets[-1]:
                targets = np.append(targets, end)
        else:
            last = rules[2]
            steps = log_linear_steps(last) if save_steps is None else whole_steps("save_steps", save_steps)
            targets = np.unique(np.append(steps[steps < last], last)).astype(np.float64)
            targets = targets[targets >= self.step]
        self._set_rules(*rules, end, save_at is not None)
        return self._drive(targets, **options)

    def _set_rules(
        self, margin: float | None, fraction: float | None, steps: int | None, end: float | None, times: bool
    ) -> None:
        self._rules = (margin, fraction, steps, end, times)
        self._stepper.set_rules(margin, fraction, steps)

    def _advance_towards(self, target: float, steps: int, threads: int | None) -> bool:
        *_, end, times = self._rules
        if times:
            return self._stepper.advance(steps, target, 2**63, threads)
        return self._stepper.advance(steps, math.inf if end is None else end, int(target), threads)

    def _observe(self, threads: int | None) -> Observation:
        return self.observe(threads=threads)

    def _finished_early(self) -> str:
        *_, end, times = self._rules
        if not self._stepper.stopped and not times and end is not None and self.t >= end:
            return "t_max"
        return self._stepper.stopped or ""

    def _position(self) -> tuple[str, float]:
        # Save points are times or step numbers.
        return ("t", self.t) if self._rules[-1] else ("step", float(self.step))

    def _postfix(self, seen: Observation) -> str:
        return f"satisfied={seen['satisfied']:.3g}, smallest margin={seen['smallest_margin']:.3g}"

    # -- saving and restoring ----------------------------------------------------------------------

    def _state(self) -> dict[str, npt.NDArray[Any]]:
        state: dict[str, npt.NDArray[Any]] = {
            "theta": self._stepper.theta(),
            # Counts are far below 2^53, so double precision holds them exactly.
            "clock": np.array(self._stepper.clock(), dtype=np.float64),
            "rules": np.array([math.nan if r is None else r for r in self._rules], dtype=np.float64),
        }
        for name, (step, t, theta) in self._stepper.events().items():
            state[f"event_{name}"] = np.concatenate([[step, t], theta])
        return state

    def _restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        t, dt, step, trials, window_trials, window_t = state["clock"].tolist()
        clock = (t, dt, int(step), int(trials), int(window_trials), window_t)
        events = {}
        for name in _EVENTS:
            if f"event_{name}" in state:
                event_step, event_t, *_ = state[f"event_{name}"]
                events[name] = (
                    int(event_step),
                    float(event_t),
                    np.ascontiguousarray(state[f"event_{name}"][2:]),
                )
        margin, fraction, steps, end, times = [None if math.isnan(r) else r for r in state["rules"].tolist()]
        self._set_rules(margin, fraction, None if steps is None else int(steps), end, bool(times))
        self._stepper.restore(np.ascontiguousarray(state["theta"]), clock, events)

    def _finish(self, result: xr.Dataset) -> xr.Dataset:
        result.attrs["steps"] = self.step
        result.attrs["trials"] = self.trials
        for name, (_, t, _) in self._stepper.events().items():
            result.attrs[name if name == "t_star" else f"t_{name}"] = t
        return result


class GradientFlow(_Flow):
    r"""Full-batch gradient flow of a one-hidden-layer ReLU network.

    .. math::
        \dot\theta = -\nabla_\theta \frac{1}{\alpha p}\sum_{\mu=1}^p \ell(y_\mu F(x_\mu)), \quad
        F = \alpha (f - f_0), \quad f(x) = \frac1h \sum_n a_n\, g(w_n\cdot x/\sqrt d + b_n)

    in "code time"; the paper's time is t/alpha. alpha -> 0 is the feature regime, alpha -> infinity the lazy
    one (crossover near alpha sqrt h = 1).

    Parameters
    ----------
    network
        Initial :class:`hmm_rs.MeanFieldNetwork` with biases, activation "sqrt2_relu" or "relu".
    X, y
        Training set, shapes (p, d) and (p,); labels +1 and -1.
    loss
        Of z = y F: "hinge" max(0, m - z), "softhinge" ln(1 + exp(B (m - z)))/B, "qhinge" max(0, m - z)^2/2,
        "linear" m - z.
    alpha
        Scale of the predictor.
    margin, loss_beta
        m and B of the losses.
    subtract_f0
        Whether f_0, the network at the start, is subtracted.
    max_dout, max_dw
        Largest change of a predictor F in a step, and of all parameters relative to their norm.
    controller
        "chatter": the step follows the change of F alone, so a hinge is slid along by chattering below
        `max_dout`. "published": the authors' rule, which also bounds the change of the gradient
        (`max_dgrad`). A single kink that jumps by more than the bound then shrinks the step without end; the
        run is stopped with status "frozen" once time stands still.
    method
        "euler" (explicit, with a controller) or "rk" (Dormand-Prince 5(4) to `rtol`, `atol`; smooth losses).
    X_test, y_test
        Test set for ``test_error``, the fraction with y F <= 0.
    d_par
        Number of informative directions (the first ones), for the compression factor.
    dtype
        "float32", "float64", or None for the network's. Single precision suits the feature regime; where
        alpha is large F = alpha (f - f_0) cancels and needs double precision. Sums are in double precision.
    threads
        Threads to use; None for the default. The result does not depend on it.

    Notes
    -----
    beta^2 - \|omega\|^2 - b^2 of each neuron is conserved by the flow; ``conserved_drift`` is its largest
    change relative to the largest beta^2, which says how coarse the steps are.

    Results: ``loss``, ``train_error``, ``satisfied``, ``smallest_margin``, ``compression``
    (``compression_mean_of_rms``, ``compression_sum_perp``: the other two conventions), ``conserved_drift``,
    ``test_error``, ``gradient_norm``, ``dt``, ``step``; attributes as in :meth:`run`.

    References
    ----------
    Paccolat, Petrini, Geiger, Tyloo & Wyart, J. Stat. Mech. 2021, 044001.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> X, y = hr.Stripe(3).sample(64, seed=1)
    >>> network = hr.MeanFieldNetwork.random(100, 3, std_b=1.0, activation="sqrt2_relu", seed=1)
    >>> result = hr.GradientFlow(network, X, y, alpha=1e-6).run(stop_frac=0.1)
    >>> result.attrs["stopped"], result.attrs["lambda_star"] > 1
    ('fraction', True)
    """

    def __init__(
        self,
        network: MeanFieldNetwork,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        *,
        loss: str = "hinge",
        alpha: float = 1e-6,
        margin: float = 1.0,
        loss_beta: float = 20.0,
        subtract_f0: bool = True,
        max_dout: float = 0.1,
        max_dw: float = 0.01,
        max_dgrad: float = 1e-4,
        controller: str = "chatter",
        method: str = "euler",
        rtol: float = 1e-9,
        atol: float = 1e-12,
        X_test: npt.ArrayLike | None = None,
        y_test: npt.ArrayLike | None = None,
        d_par: int = 1,
        dtype: str | None = None,
        threads: int | None = None,
    ) -> None:
        if not isinstance(network, MeanFieldNetwork):
            raise DtypeError(f"network = {network!r:.80}: must be a MeanFieldNetwork; pass one")
        if network.b is None or network.activation not in _SLOPES:
            raise InvalidParameterError(
                "network: must have biases and rectified units; pass "
                'MeanFieldNetwork.random(h, d, std_b=1.0, activation="sqrt2_relu")'
            )
        h, d = network.w.shape
        x = array("X", X, (None, d), rule="(examples, network.d)")
        labels = _labels("y", y, len(x))
        x_test, self._y_test = _test_set("X_test", X_test, y_test, d)
        d_par = count("d_par", d_par)
        if d_par > d:
            raise InvalidParameterError(f"d_par = {d_par}: must be at most d = {d}; pass a smaller one")
        dtype = dtype_name(network.w.dtype if dtype is None else dtype)
        settings, options = self._common(
            loss=loss,
            alpha=alpha,
            margin=margin,
            loss_beta=loss_beta,
            max_dout=max_dout,
            max_dw=max_dw,
            max_dgrad=max_dgrad,
            controller=controller,
            method=method,
            rtol=rtol,
            atol=atol,
            subtract_f0=subtract_f0,
        )
        self._arguments = {
            "network": network,
            "X": x,
            "y": labels,
            **options,
            "subtract_f0": settings.subtract_initial,
            "X_test": x_test,
            "y_test": self._y_test,
            "d_par": d_par,
            "dtype": dtype,
        }
        self.initial_network = network
        self._dtype = dtype
        self._d_par = d_par
        require(self.memory_estimate(), f"this run (p={len(x)}, h={h}, d={d})", "lower p, h or d")
        self._conserved = conserved_quantity(network)
        self._stepper = _lib.GradientFlow.network(
            settings,
            theta=np.concatenate([np.column_stack([network.w, network.b]).ravel(), network.a]).astype(
                np.float64
            ),
            width=h,
            slope=_SLOPES[network.activation],
            x=x,
            y=labels,
            x_test=x_test,
            single=dtype == "float32",
            threads=checked_threads("threads", threads),
        )

    initial_network: MeanFieldNetwork

    @property
    def network(self) -> MeanFieldNetwork:
        """The network as it is now."""
        return self._network(self._stepper.theta())

    @property
    def events(self) -> dict[str, tuple[float, MeanFieldNetwork]]:
        """Time and network at ``t_star``, ``margin_0``, ``margin_half``, ``margin_1``, if reached."""
        return {name: (t, self._network(theta)) for name, (_, t, theta) in self._stepper.events().items()}

    def memory_estimate(self) -> int:
        """Return the bytes a run needs: parameters, buffers and both layouts of the inputs."""
        size = np.dtype(self._dtype).itemsize
        x, x_test = self._arguments["X"], self._arguments["X_test"]
        h, d = self.initial_network.w.shape
        points = x.size + (0 if x_test is None else x_test.size)
        parameters = h * (d + 2)
        stages = 11 if self._arguments["method"] == "rk" else 4
        return int(points * (8 + 2 * size) + parameters * size * (stages + len(_EVENTS)))

    def gradient(self) -> tuple[Array, Array, Array]:
        """Return d/d(a, w, b) of the objective in code time, at the present weights."""
        return self._split(self._stepper.gradient())

    def _split(self, theta: Array) -> tuple[Array, Array, Array]:
        h, d = self.initial_network.w.shape
        rows = theta[: h * (d + 1)].reshape(h, d + 1)
        return theta[h * (d + 1) :], rows[:, :d], rows[:, d]

    def _network(self, theta: Array) -> MeanFieldNetwork:
        a, w, b = (np.ascontiguousarray(part, dtype=self._dtype) for part in self._split(theta))
        return MeanFieldNetwork(a, w, b, activation=self.initial_network.activation)

    def _measure(self) -> Observation:
        network = self.network
        seen: Observation = {}
        if self._d_par < network.d:
            factors = compression(network.w, d_par=self._d_par)
            seen["compression"] = factors["ratio_of_rms"]
            seen["compression_mean_of_rms"] = factors["mean_of_rms"]
            seen["compression_sum_perp"] = factors["sum_perp"]
        scale = float((network.a.astype(np.float64) ** 2).max())
        drift = np.abs(conserved_quantity(network) - self._conserved).max()
        seen["conserved_drift"] = float(drift / scale) if scale > 0 else 0.0
        return seen

    def _finish(self, result: xr.Dataset) -> xr.Dataset:
        result = super()._finish(result)
        if "t_star" in self.events and self._d_par < self.initial_network.d:
            network = self.events["t_star"][1]
            result.attrs["lambda_star"] = compression(network.w, d_par=self._d_par)["ratio_of_rms"]
        return result


class KernelFlow(_Flow):
    r"""Gradient flow of a predictor in a frozen kernel: the lazy regime, or learning in a trained kernel.

    .. math:: f(x) = \sum_\mu K(x, x_\mu) a_\mu, \quad \dot a_\mu = -\ell'(y_\mu F(x_\mu)) y_\mu/p,
        \quad F = \alpha f, \quad a(0) = 0

    K = Theta keeps the network's clock; K = h Theta, as :mod:`hmm_rs.kernels` returns it, runs h times
    faster. The long-time solution is close to the support-vector classifier's, not equal: it has no
    intercept.

    Parameters
    ----------
    K
        Gram matrix of the training points, symmetric and positive semi-definite, shape (p, p).
    y
        Labels +1 and -1.
    K_test, y_test
        Kernel of test against training points, shape (q, p), and labels, for ``test_error``.
    loss, alpha, margin, loss_beta, max_dout, controller, max_dgrad, method, rtol, atol, threads
        As in :class:`GradientFlow`; of the limits on a step only that on F applies.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> X, y = hr.Stripe(2).sample(50, seed=1)
    >>> flow = hr.KernelFlow(hr.kernels.ntk(X), y)
    >>> result = flow.run(stop_margin=0.9)
    >>> float(result.train_error[-1])
    0.0
    """

    def __init__(
        self,
        K: npt.ArrayLike,
        y: npt.ArrayLike,
        *,
        loss: str = "hinge",
        alpha: float = 1.0,
        margin: float = 1.0,
        loss_beta: float = 20.0,
        max_dout: float = 0.1,
        max_dgrad: float = 1e-4,
        controller: str = "chatter",
        method: str = "euler",
        rtol: float = 1e-9,
        atol: float = 1e-12,
        K_test: npt.ArrayLike | None = None,
        y_test: npt.ArrayLike | None = None,
        threads: int | None = None,
    ) -> None:
        gram = positive_gram(K)
        labels = _labels("y", y, len(gram))
        test, self._y_test = _test_set("K_test", K_test, y_test, len(gram))
        settings, options = self._common(
            loss=loss,
            alpha=alpha,
            margin=margin,
            loss_beta=loss_beta,
            max_dout=max_dout,
            max_dw=1.0,
            max_dgrad=max_dgrad,
            controller=controller,
            method=method,
            rtol=rtol,
            atol=atol,
            subtract_f0=False,
        )
        del options["max_dw"]
        self._arguments = {"K": gram, "y": labels, **options, "K_test": test, "y_test": self._y_test}
        require(
            gram.nbytes + (0 if test is None else test.nbytes), f"a kernel of {len(gram)} points", "lower p"
        )
        self._stepper = _lib.GradientFlow.kernel(
            settings, gram=gram, y=labels, test=test, threads=checked_threads("threads", threads)
        )

    @property
    def coefficients(self) -> Array:
        """a, shape (p,)."""
        return self._stepper.theta()

    def _measure(self) -> Observation:
        return {}


def _labels(name: str, y: npt.ArrayLike, size: int) -> Array:
    labels = array(name, y, (size,), rule="(one label per example)")
    if not np.isin(labels, (-1.0, 1.0)).all():
        raise InvalidParameterError(f"{name}: labels must be +1 or -1; pass np.where(condition, 1, -1)")
    return labels


def _test_set(
    name: str, points: npt.ArrayLike | None, y: npt.ArrayLike | None, columns: int
) -> tuple[Array | None, Array | None]:
    if (points is None) != (y is None):
        raise InvalidParameterError(f"{name} and y_test: must be given together; pass both or none")
    if points is None or y is None:
        return None, None
    test = array(name, points, (None, columns))
    return test, _labels("y_test", y, len(test))
