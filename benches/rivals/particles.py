"""One step of hinge-loss training of a mean-field network, as others would write it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

#: (a, w, X, y, beta) -> the next step.
Rival = Callable[[Any, Any, Any, Any, float], Callable[[], None]]


def numpy_step(a: Any, w: Any, X: Any, y: Any, beta: float) -> Callable[[], None]:
    """Plain numpy with OpenBLAS: the whole P x M activation matrix, two products."""
    state = (a.copy(), w.copy())
    kappa = np.float32(X.shape[1] ** -0.5)

    def step() -> None:
        nonlocal state
        a, w = state
        z = X @ w.T
        np.maximum(z, 0, out=z)
        f = (z @ a) * (kappa / len(a))
        u = y * f < 1
        mask = z[u] > 0
        g = mask.astype(X.dtype).T @ ((y[u] * (beta * kappa / len(y)))[:, None].astype(X.dtype) * X[u])
        state = a + (w * g).sum(axis=1), w + a[:, None] * g

    return step


def jax_step(a: Any, w: Any, X: Any, y: Any, beta: float) -> Callable[[], None]:
    """Jitted JAX with its own gradient."""
    import jax
    import jax.numpy as jnp

    kappa = X.shape[1] ** -0.5
    X, y = jnp.asarray(X), jnp.asarray(y)

    def loss(parameters: Any) -> Any:
        a, w = parameters
        f = (jax.nn.relu(kappa * X @ w.T) @ a) / len(a)
        return jnp.maximum(1 - y * f, 0).mean()

    @jax.jit
    def next_of(parameters: Any) -> Any:
        gradient = jax.grad(loss)(parameters)
        return jax.tree.map(lambda p, g: p - beta * p.shape[0] * g, parameters, gradient)

    parameters = (jnp.asarray(a), jnp.asarray(w))

    def step() -> None:
        nonlocal parameters
        parameters = jax.block_until_ready(next_of(parameters))

    return step


def torch_step(a: Any, w: Any, X: Any, y: Any, beta: float) -> Callable[[], None]:
    """PyTorch with its own gradient, if it is installed."""
    import torch

    parameters = [torch.tensor(a, requires_grad=True), torch.tensor(w, requires_grad=True)]
    X, y = torch.tensor(X), torch.tensor(y)
    kappa = X.shape[1] ** -0.5

    def step() -> None:
        f = torch.relu(kappa * X @ parameters[1].T) @ parameters[0] / len(a)
        loss = torch.clamp(1 - y * f, min=0).mean()
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for p, g in zip(parameters, gradients, strict=True):
                p -= beta * len(a) * g

    return step


RIVALS: dict[str, Rival] = {"numpy": numpy_step, "jax": jax_step, "torch": torch_step}
