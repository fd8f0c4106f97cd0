"""Gradient flow of a predictor in a frozen kernel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .. import _lib
from ..ground.arguments import shown
from ..ground.arguments import threads as checked_threads
from ..ground.errors import DtypeError
from ..ground.losses import Loss
from ..ground.memory import require
from ..kernels.positive import positive_gram
from .flow import Controller, Flow, Method, labels_of, own, test_set

__all__ = ["KernelFlow"]

Array = npt.NDArray[np.float64]


class KernelFlow(Flow):
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
        loss: Loss = "hinge",
        alpha: float = 1.0,
        margin: float = 1.0,
        loss_beta: float = 20.0,
        max_dout: float = 0.1,
        max_dgrad: float = 1e-4,
        controller: Controller = "chatter",
        method: Method = "euler",
        rtol: float = 1e-9,
        atol: float = 1e-12,
        K_test: npt.ArrayLike | None = None,
        y_test: npt.ArrayLike | None = None,
        threads: int | None = None,
    ) -> None:
        p = _rows("K", K)
        q = 0 if K_test is None else _rows("K_test", K_test)
        # The given kernel, the copy that is kept, the engine's, and a decomposition's work beside them.
        require(8 * (8 * p * p + 3 * q * p), f"a kernel of {p} points", "lower p")
        gram = own(positive_gram(K))
        labels = labels_of("y", y, len(gram))
        test, self._y_test = test_set("K_test", K_test, y_test, len(gram))
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
        self._engine = _lib.kernel_flow(
            settings, gram=gram, y=labels, test=test, threads=checked_threads("threads", threads)
        )

    @property
    def coefficients(self) -> Array:
        """a, shape (p,)."""
        return np.asarray(self._engine.query("theta")["theta"])


def _rows(name: str, matrix: npt.ArrayLike) -> int:
    """Return the number of rows of a matrix, 0 of what is none."""
    try:
        shape = np.shape(matrix)
    except (TypeError, ValueError):
        raise DtypeError(f"{name} = {shown(matrix)}: must be a matrix of real numbers; pass floats") from None
    return shape[0] if len(shape) == 2 else 0
