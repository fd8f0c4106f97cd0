"""Covariances of random deep generators, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..data.nonlinearity import Nonlinearity, check_nonlinearity, gaussian_moments
from ..ground.arguments import array
from ..ground.errors import InvalidParameterError, ShapeError
from ..networks.two_layer import activation_function

__all__ = ["recursive_covariances"]


def recursive_covariances(
    layers: Sequence[npt.ArrayLike], f: Nonlinearity | Sequence[Nonlinearity]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    r"""Return (Ω, Φ) of a random fully connected generator by the Gaussian equivalence recursion.

    .. math:: \Omega_\ell = b_\ell^2 F_\ell \Omega_{\ell-1} F_\ell^T / n_{\ell-1}
              \;\text{(diagonal set to } c_\ell), \qquad
              \Phi_\ell = b_\ell F_\ell \Phi_{\ell-1} / \sqrt{n_{\ell-1}}

    starting from Ω = Φ = 1, with the variance of the pre-activations q₁ = 1, q_{ℓ+1} = c_ℓ,
    b_ℓ = E[z f(√q z)]/√q and c_ℓ = E f(√q z)².

    Parameters
    ----------
    layers
        Weights with independent standard normal entries, shapes (n₁, D), (n₂, n₁), ...; they enter
        as F/√fan-in.
    f
        Nonlinearity of all layers, or one per layer; without a mean (odd functions have none).

    Returns
    -------
    Omega, Phi
        Shapes (N, N) and (N, D) of the last layer's outputs.

    Notes
    -----
    Goldt et al., arXiv:2006.14709, section 4. Exact for wide layers only.

    Examples
    --------
    >>> import numpy as np
    >>> from hmm_rs.theory import recursive_covariances
    >>> rng = np.random.default_rng(0)
    >>> layers = [rng.standard_normal((40, 20)), rng.standard_normal((60, 40))]
    >>> Omega, Phi = recursive_covariances(layers, "sign")
    >>> Omega.shape, Phi.shape
    ((60, 60), (60, 20))
    """
    weights = [array(f"layers[{i}]", layer, (None, None)) for i, layer in enumerate(layers)]
    if not weights:
        raise ShapeError("layers is empty: a generator has at least one layer; pass [F]")
    functions = [f] * len(weights) if isinstance(f, str) or callable(f) else list(f)
    if len(functions) != len(weights):
        raise ShapeError(
            f"f has {len(functions)} entries: must be one or {len(weights)} (one per layer); pass so many"
        )
    D = weights[0].shape[1]
    Omega, Phi, q = np.eye(D), np.eye(D), 1.0
    for i, (F, function) in enumerate(zip(weights, functions, strict=True)):
        if F.shape[1] != Omega.shape[0]:
            raise ShapeError(
                f"layers[{i}] has shape {F.shape}: must have {Omega.shape[0]} columns, one per unit below; "
                f"pass layers from latents to inputs"
            )
        a, b, c = _scaled_moments(function, q)
        if abs(a) > 1e-9:
            raise InvalidParameterError(
                f"f = {function!r} has the mean {a:.6g}: the recursion holds for functions without a mean; "
                f"estimate the covariances by sampling, or use one_layer_covariances for one layer"
            )
        Omega = (b * b / F.shape[1]) * (F @ Omega @ F.T)
        np.fill_diagonal(Omega, c)
        Phi = (b / math.sqrt(F.shape[1])) * (F @ Phi)
        q = c
    return Omega, Phi


def _scaled_moments(f: Nonlinearity, q: float) -> tuple[float, float, float]:
    """Return E f(√q z), E[z f(√q z)]/√q and E f(√q z)²."""
    f = check_nonlinearity(f)
    if q == 1.0:
        return gaussian_moments(f)
    if f == "sign":
        return 0.0, math.sqrt(2.0 / (math.pi * q)), 1.0
    if f == "erf":
        return 0.0, math.sqrt(2.0 / (math.pi * (1.0 + q))), 2.0 / math.pi * math.asin(q / (1.0 + q))
    if f == "identity":
        return 0.0, 1.0, q
    root = math.sqrt(q)
    if isinstance(f, str):
        name = f

        def scaled(u: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
            return np.tanh(root * u) if name == "tanh" else activation_function(name, root * u)
    else:
        function = f

        def scaled(u: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
            return np.asarray(function(root * u))

    a, b, c = gaussian_moments(scaled)
    return a, b / root, c
