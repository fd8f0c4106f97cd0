"""Gradient flow of one-hidden-layer ReLU networks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .. import _lib
from ..ground.activations import RECTIFIERS
from ..ground.arguments import array, count, dtype_name
from ..ground.arguments import threads as checked_threads
from ..ground.errors import DivergenceError, DtypeError, InvalidParameterError
from ..ground.losses import Loss
from ..ground.memory import require
from ..measure.compression import compression, conserved_quantity, invariants
from ..networks.mean_field import MeanFieldNetwork
from .driver import Observation
from .flow import Controller, Flow, Method, labels_of, own, test_set

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["GradientFlow"]

Array = npt.NDArray[np.float64]


class GradientFlow(Flow):
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
        Training set, shapes (p, d) and (p,); labels +1 and -1. Copied.
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
        "euler" (explicit, with a controller) or "rk" (Dormand-Prince 5(4); smooth losses). `rtol` and `atol` bound the
        error of a step in every parameter and in every F, whose scale is at least the margin's, one.
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
        loss: Loss = "hinge",
        alpha: float = 1e-6,
        margin: float = 1.0,
        loss_beta: float = 20.0,
        subtract_f0: bool = True,
        max_dout: float = 0.1,
        max_dw: float = 0.01,
        max_dgrad: float = 1e-4,
        controller: Controller = "chatter",
        method: Method = "euler",
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
        if network.b is None or network.activation not in RECTIFIERS:
            raise InvalidParameterError(
                "network: must have biases and rectified units; pass "
                'MeanFieldNetwork.random(h, d, std_b=1.0, activation="sqrt2_relu")'
            )
        h, d = network.w.shape
        x = own(array("X", X, (None, d), rule="(examples, network.d)"))
        labels = labels_of("y", y, len(x))
        x_test, self._y_test = test_set("X_test", X_test, y_test, d)
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
        # Something to compress: other directions, and weights that do not all vanish.
        self._compresses = d_par < d and bool(network.w.any())
        points = x.size + (0 if x_test is None else x_test.size)
        require(
            _bytes(points, h * (d + 2), len(x), dtype, method),
            f"this run (p={len(x)}, h={h}, d={d})",
            "lower p, h or d",
        )
        self._conserved = conserved_quantity(network)
        a, w, b = (np.asarray(part, dtype=np.float64) for part in (network.a, network.w, network.b))
        self._engine = _lib.network_flow(
            settings,
            network=_Weights(a, w, b, network.activation),
            x=x,
            y=labels,
            x_test=x_test,
            dtype=dtype,
            threads=checked_threads("threads", threads),
        )

    initial_network: MeanFieldNetwork

    @property
    def network(self) -> MeanFieldNetwork:
        """The network as it is now."""
        return self._network(self._engine.query("theta")["theta"])

    @property
    def events(self) -> dict[str, tuple[float, MeanFieldNetwork]]:
        """Time and network at ``t_star``, ``margin_0``, ``margin_half``, ``margin_1``, if reached."""
        return {name: (t, self._network(theta)) for name, (t, theta) in self._events().items()}

    def gradient(self) -> tuple[Array, Array, Array]:
        """Return d/d(a, w, b) of the objective in code time, at the present weights."""
        return self._split(np.asarray(self._engine.query("gradient")["gradient"], dtype=np.float64))

    def _split(self, theta: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
        h, d = self.initial_network.w.shape
        rows = theta[: h * (d + 1)].reshape(h, d + 1)
        return theta[h * (d + 1) :], rows[:, :d], rows[:, d]

    def _network(self, theta: npt.NDArray[Any]) -> MeanFieldNetwork:
        a, w, b = (np.ascontiguousarray(part, dtype=self._dtype) for part in self._split(theta))
        return MeanFieldNetwork(a, w, b, activation=self.initial_network.activation)

    def _measure(self) -> Observation:
        network = self.network
        seen: Observation = {}
        if self._compresses:
            factors = compression(network.w, d_par=self._d_par)
            seen["compression"] = factors["ratio_of_rms"]
            seen["compression_mean_of_rms"] = factors["mean_of_rms"]
            seen["compression_sum_perp"] = factors["sum_perp"]
        largest = float(np.abs(network.a).max())
        scale = largest * largest
        drift = float(np.abs(invariants(network) - self._conserved).max())
        if not math.isfinite(drift):
            raise DivergenceError(
                f"the squares of the weights leave the range of floats at t = {self.t:.6g}; scale the inputs down, or "
                f"look at what was measured so far in .result"
            )
        seen["conserved_drift"] = drift / scale if scale > 0 else 0.0
        return seen

    def _finish(self, result: xr.Dataset) -> xr.Dataset:
        result = super()._finish(result)
        if "t_star" in self.events and self._compresses:
            network = self.events["t_star"][1]
            result.attrs["lambda_star"] = compression(network.w, d_par=self._d_par)["ratio_of_rms"]
        return result


@dataclass(frozen=True)
class _Weights:
    """What the compiled engine reads by attribute."""

    a: Array
    w: Array
    b: Array
    activation: str


def _bytes(points: int, parameters: int, examples: int, dtype: str, method: str) -> int:
    """Return what the engine will hold: both layouts of the inputs, parameters, buffers, remembered moments."""
    size = np.dtype(dtype).itemsize
    buffers = (11 if method == "rk" else 4) + 4
    return points * (8 + 2 * size) + parameters * size * buffers + 8 * 6 * examples
