"""What gradient flows of networks, of frozen kernels and of other predictors share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Unpack, get_args

import numpy as np
import numpy.typing as npt

from .. import _lib
from ..ground import losses
from ..ground.arguments import array, choice, count, flag, number
from ..ground.arguments import threads as checked_threads
from ..ground.errors import DivergenceError, InvalidParameterError, ResourceError
from .driver import Driver, Observation
from .history import stepping
from .options import RunOptions, long_run
from .schedule import log_linear_steps, save_times, whole_steps

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Controller", "Flow", "Method", "labels_of", "own", "test_set"]

Array = npt.NDArray[np.float64]
Controller = Literal["chatter", "published"]
Method = Literal["euler", "rk"]

#: Moments that the engine remembers, in its order.
_EVENTS = ("t_star", "margin_0", "margin_half", "margin_1")
#: Steps after which a run ends unless it is told otherwise.
_MAX_STEPS = 1_000_000


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


class Flow(Driver):
    """What network and kernel flows share: losses, controllers, stopping rules, remembered moments."""

    _axis: ClassVar[tuple[str, str, str]] = ("t", "code time", "")
    _cite: ClassVar[tuple[str, ...]] = ("geometric-compression",)

    _engine: _lib.Engine
    _y_test: Array | None
    # Stopping margin, stopping fraction, most steps, end time (None: not used), and whether save
    # points are times.
    _rules: tuple[float | None, float | None, int | None, float | None, bool]

    def _common(
        self,
        *,
        loss: losses.Loss,
        alpha: float,
        margin: float,
        loss_beta: float,
        max_dout: float,
        max_dw: float,
        max_dgrad: float,
        controller: Controller,
        method: Method,
        rtol: float,
        atol: float,
        subtract_f0: bool,
    ) -> tuple[_Settings, dict[str, Any]]:
        """Return the checked options, for the stepper and as constructor arguments."""
        name = losses.loss("loss", loss, losses.FLOW)
        choice("controller", controller, get_args(Controller))
        choice("method", method, get_args(Method))
        if method == "rk" and name == "hinge":
            raise InvalidParameterError(
                'method = "rk": needs a smooth loss, the hinge is slid along its kink; '
                'pass loss="softhinge" or method="euler"'
            )
        options: dict[str, Any] = {
            "loss": name,
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
            loss=name,
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
        return self._engine.t

    @property
    def step(self) -> int:
        """Steps taken."""
        return self._engine.step

    @property
    def trials(self) -> int:
        """Trial steps made, accepted or not."""
        return int(self._engine.query("trials")["trials"])

    @property
    def stopped(self) -> str:
        """Why the last run ended: "margin", "fraction", "gradient", "max_steps", "frozen" or ""."""
        return self._engine.finished or ""

    @property
    def margins(self) -> Array:
        """Present y F of every training example, shape (p,)."""
        return np.asarray(self._engine.query("margins")["margins"])

    def test_predictions(self, *, threads: int | None = None) -> Array | None:
        """Return F of the test points, or None without a test set."""
        return self._engine.query("test_predictions", threads=checked_threads("threads", threads)).get(
            "predictions"
        )

    # -- running ---------------------------------------------------------------------------------

    @stepping
    def advance(self, n_steps: int, *, threads: int | None = None) -> None:
        """Take `n_steps` steps, or fewer if the run ends."""
        threads = checked_threads("threads", threads)
        target = self.step + count("n_steps", n_steps, minimum=0)
        while self.step < target and not self._engine.finished:
            # Trials are counted here and may be refused; the limit is that of the type.
            self._engine.advance(
                min(target - self.step, 2**62), until_step=min(target, 2**63), threads=threads
            )

    def observe(self, *, threads: int | None = None) -> Observation:
        """Return what is measured now."""
        seen: Observation = self._engine.observe(checked_threads("threads", threads))
        if not math.isfinite(seen["loss"]):
            raise DivergenceError(
                f"the loss leaves the range of floats at t = {self.t:.6g}; pass a margin, a loss_beta and inputs of "
                f"order one, or look at what was measured so far in .result"
            )
        seen.update(self._measure())
        predictions = self.test_predictions(threads=threads)
        if predictions is not None and self._y_test is not None:
            seen["test_error"] = float((predictions * self._y_test <= 0.0).mean())
        return seen

    def _measure(self) -> Observation:
        """Return what is measured on the parameters."""
        return {}

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
            steps = self._schedule(last) if save_steps is None else whole_steps("save_steps", save_steps)
            targets = np.unique(np.append(steps[steps < last], last)).astype(np.float64)
            targets = targets[targets >= self.step]
        self._set_rules(*rules, end, save_at is not None)
        return self._drive(targets, **options)

    @staticmethod
    def _schedule(last: int) -> npt.NDArray[np.int64]:
        try:
            return log_linear_steps(last)
        except ResourceError as error:
            raise ResourceError(f"max_steps = {last}: {error}; or pass save_steps=[...]") from None

    def _set_rules(
        self, margin: float | None, fraction: float | None, steps: int | None, end: float | None, times: bool
    ) -> None:
        self._rules = (margin, fraction, steps, end, times)
        rules = {
            "margin": margin,
            "fraction": fraction,
            "steps": None if steps is None else min(steps, 2**62),
        }
        self._engine.stop_when({name: rule for name, rule in rules.items() if rule is not None})

    def _advance_towards(self, target: float, steps: int, threads: int | None) -> bool:
        *_, end, times = self._rules
        if times:
            return self._engine.advance(steps, until=target, threads=threads)
        end = math.inf if end is None else end
        return self._engine.advance(steps, until_step=int(target), until=end, threads=threads)

    def _observe(self, threads: int | None) -> Observation:
        return self.observe(threads=threads)

    def _tell_an_end_behind(self, targets: Any) -> None:
        """Say nothing: a flow ends by rules of its own, and ``stopped`` names the one that holds already."""

    def _finished_early(self) -> str:
        *_, end, times = self._rules
        stopped = self.stopped
        if not stopped and not times and end is not None and self.t >= end:
            return "t_max"
        return stopped

    def _position(self) -> tuple[str, float]:
        # Save points are times or step numbers.
        return ("t", self.t) if self._rules[-1] else ("step", float(self.step))

    def _postfix(self, seen: Observation) -> str:
        return f"satisfied={seen['satisfied']:.3g}, smallest margin={seen['smallest_margin']:.3g}"

    # -- saving and restoring ----------------------------------------------------------------------

    def _state(self) -> dict[str, npt.NDArray[Any]]:
        state = {
            # Counts of the engine are unsigned.
            name: np.asarray(value, dtype=np.uint64 if isinstance(value, int) else None)
            for name, value in self._engine.snapshot().items()
        }
        # What is not used is not a number.
        state["rules"] = np.array([math.nan if r is None else r for r in self._rules], dtype=np.float64)
        return state

    def _restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        margin, fraction, steps, end, times = [None if math.isnan(r) else r for r in state["rules"].tolist()]
        self._set_rules(margin, fraction, None if steps is None else int(steps), end, bool(times))
        self._engine.restore({name: value for name, value in state.items() if name != "rules"})

    def _events(self) -> dict[str, tuple[float, npt.NDArray[Any]]]:
        """Return time and parameters of the moments that were reached."""
        found = self._engine.query("events")
        return {
            name: (found[f"{name}_t"], found[f"{name}_theta"]) for name in _EVENTS if f"{name}_t" in found
        }

    def memory_estimate(self, *, threads: int | None = None) -> int:
        """Return the bytes the run holds, all moments remembered."""
        return self._engine.memory(threads=checked_threads("threads", threads))

    def _finish(self, result: xr.Dataset) -> xr.Dataset:
        result.attrs["steps"] = self.step
        result.attrs["trials"] = self.trials
        for name, (t, _) in self._events().items():
            result.attrs[name if name == "t_star" else f"t_{name}"] = t
        return result


def own(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a read-only copy: what an engine was given may not change under it."""
    copy = np.array(values, order="C")
    copy.flags.writeable = False
    return copy


def labels_of(name: str, y: npt.ArrayLike, size: int) -> Array:
    """Return a copy of labels +1 and -1."""
    labels = own(array(name, y, (size,), rule="(one label per example)"))
    if not np.isin(labels, (-1.0, 1.0)).all():
        raise InvalidParameterError(f"{name}: labels must be +1 or -1; pass np.where(condition, 1, -1)")
    return labels


def test_set(
    name: str, points: npt.ArrayLike | None, y: npt.ArrayLike | None, columns: int
) -> tuple[Array | None, Array | None]:
    """Return copies of test points and their labels, or twice None."""
    if (points is None) != (y is None):
        raise InvalidParameterError(f"{name} and y_test: must be given together; pass both or none")
    if points is None or y is None:
        return None, None
    test = own(array(name, points, (None, columns)))
    return test, labels_of("y_test", y, len(test))
