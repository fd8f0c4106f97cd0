"""One step of hinge-loss training of a mean-field network, as others would write it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

#: (a, w, X, y, beta) -> seconds of the step number `step`, given how many were run before.
Rival = Callable[[Any, Any, Any, Any, float, int, int], float]


def numpy_step(a: Any, w: Any, X: Any, y: Any, beta: float, steps: int, repeats: int) -> float:
    """Plain numpy with OpenBLAS: the whole P x M activation matrix, two products."""
    a, w = a.copy(), w.copy()
    kappa = np.float32(X.shape[1] ** -0.5)
    times = []
    for _ in range(steps + repeats):
        started = time.perf_counter()
        z = X @ w.T
        np.maximum(z, 0, out=z)
        f = (z @ a) * (kappa / len(a))
        u = y * f < 1
        mask = z[u] > 0
        g = mask.astype(X.dtype).T @ ((y[u] * (beta * kappa / len(y)))[:, None].astype(X.dtype) * X[u])
        a, w = a + (w * g).sum(axis=1), w + a[:, None] * g
        times.append(time.perf_counter() - started)
    return min(times[steps:])


def jax_step(a: Any, w: Any, X: Any, y: Any, beta: float, steps: int, repeats: int) -> float:
    """Jitted JAX with its own gradient."""
    import jax
    import jax.numpy as jnp

    kappa = X.shape[1] ** -0.5

    def loss(parameters: Any) -> Any:
        a, w = parameters
        f = (jax.nn.relu(kappa * X @ w.T) @ a) / len(a)
        return jnp.maximum(1 - y * f, 0).mean()

    @jax.jit
    def step(parameters: Any) -> Any:
        gradient = jax.grad(loss)(parameters)
        return jax.tree.map(lambda p, g: p - beta * p.shape[0] * g, parameters, gradient)

    parameters = (jnp.asarray(a), jnp.asarray(w))
    X, y = jnp.asarray(X), jnp.asarray(y)
    times = []
    for _ in range(steps + repeats + 1):
        started = time.perf_counter()
        parameters = jax.block_until_ready(step(parameters))
        times.append(time.perf_counter() - started)
    return min(times[steps + 1 :])


def torch_step(a: Any, w: Any, X: Any, y: Any, beta: float, steps: int, repeats: int) -> float:
    """PyTorch with its own gradient, if it is installed."""
    import torch

    parameters = [torch.tensor(a, requires_grad=True), torch.tensor(w, requires_grad=True)]
    X, y = torch.tensor(X), torch.tensor(y)
    kappa = X.shape[1] ** -0.5
    times = []
    for _ in range(steps + repeats):
        started = time.perf_counter()
        f = torch.relu(kappa * X @ parameters[1].T) @ parameters[0] / len(a)
        loss = torch.clamp(1 - y * f, min=0).mean()
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for p, g in zip(parameters, gradients, strict=True):
                p -= beta * len(a) * g
        times.append(time.perf_counter() - started)
    return min(times[steps:])


RIVALS: dict[str, Rival] = {"numpy": numpy_step, "jax": jax_step, "torch": torch_step}
