"""Gradient flow of the convolutional network of the compression study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _lib
from ..ground.arguments import array
from ..ground.arguments import seed as checked_seed
from ..ground.errors import DtypeError
from ..ground.losses import Loss
from ..networks.convolutional import CNN, jax_module
from .flow import Controller, Flow, labels_of, own, test_set

__all__ = ["CNNFlow"]


class CNNFlow(Flow):
    """Gradient flow of a :class:`CNN`: F = alpha (f - f_0), the losses, controllers and rules of GradientFlow.

    Parameters
    ----------
    network, theta
        The network and its parameters at the start; `theta=None` draws them with `seed`.
    X, y
        Images (p, height, width) and labels +1, -1.
    X_test, y_test
        Test set for ``test_error``.
    loss, alpha, margin, loss_beta, max_dout, max_dw, max_dgrad, controller
        As in :class:`hmm_rs.GradientFlow`, with the published values of the image runs as defaults. The
        chattering controller replaces the published one, which can freeze; the published momentum is
        left out.

    Notes
    -----
    Outputs and gradients are computed in single precision by JAX, steps in double precision by the
    compiled flow; checkpoints, statuses and results are those of every driver.

    Examples
    --------
    >>> from hmm_rs import cnn
    >>> sets = cnn.parity_sets(*cnn.digits(), train=20, kernel=10, test=20)
    >>> flow = cnn.CNNFlow(cnn.CNN(1, 8, 8), *sets.train)
    >>> result = flow.run(max_steps=2)
    >>> int(result.step[-1])
    2
    """

    def __init__(
        self,
        network: CNN,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        *,
        theta: npt.ArrayLike | None = None,
        loss: Loss = "softhinge",
        alpha: float = 2e-3,
        margin: float = 1.0,
        loss_beta: float = 3.0,
        max_dout: float = 0.1,
        max_dw: float = 0.01,
        max_dgrad: float = 1e-3,
        controller: Controller = "chatter",
        X_test: npt.ArrayLike | None = None,
        y_test: npt.ArrayLike | None = None,
        seed: Any = 0,
    ) -> None:
        jax_module()
        if not isinstance(network, CNN):
            raise DtypeError(f"network = {network!r:.80}: must be a CNN; pass CNN(h)")
        seed = checked_seed(seed)
        images = own(network.images(X))
        labels = labels_of("y", y, len(images))
        start = own(array("theta", network.initial(seed) if theta is None else theta, (network.parameters,)))
        tests = None if X_test is None else own(network.images(X_test, "X_test"))
        flat = None if tests is None else tests.reshape(len(tests), -1)
        _, self._y_test = test_set("X_test", flat, y_test, network.height * network.width)
        settings, options = self._common(
            loss=loss,
            alpha=alpha,
            margin=margin,
            loss_beta=loss_beta,
            max_dout=max_dout,
            max_dw=max_dw,
            max_dgrad=max_dgrad,
            controller=controller,
            method="euler",
            rtol=1.0,
            atol=1.0,
            subtract_f0=True,
        )
        for name in ("method", "rtol", "atol"):
            del options[name]
        self._arguments = {
            "network": network,
            "X": images,
            "y": labels,
            "theta": start,
            **options,
            "X_test": tests,
            "y_test": self._y_test,
            "seed": seed,
        }
        self.architecture = network
        self._tests = tests
        self._initial_test = None if tests is None else network.forward(start, tests)
        # Compiled with the network, once for all flows of one size.
        outputs, gradient = network._compiled, network._pullback
        self._engine = _lib.function_flow(
            settings,
            outputs=lambda theta: np.asarray(outputs(theta.astype(np.float32), images), dtype=np.float64),
            gradient=lambda theta, slopes: np.asarray(
                gradient(theta.astype(np.float32), images, slopes.astype(np.float32)), dtype=np.float64
            ),
            theta=start,
            y=labels,
        )

    @property
    def theta(self) -> npt.NDArray[np.float64]:
        """Present parameters."""
        return np.asarray(self._engine.query("theta")["theta"])

    @property
    def events(self) -> Mapping[str, tuple[float, npt.NDArray[np.float64]]]:
        """Time and parameters at ``t_star``, ``margin_0``, ``margin_half``, ``margin_1``, if reached."""
        return self._events()

    def test_predictions(self, *, threads: int | None = None) -> npt.NDArray[np.float64] | None:
        """Return F of the test images, or None without a test set (`threads` is JAX's own affair)."""
        del threads
        if self._tests is None or self._initial_test is None:
            return None
        alpha: float = self._arguments["alpha"]
        return alpha * (self.architecture.forward(self.theta, self._tests) - self._initial_test)
