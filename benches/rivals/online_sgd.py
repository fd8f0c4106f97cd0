"""One-pass SGD on the hidden manifold as a good user would write it without hmm_rs.

Each function learns from `blocks` blocks of `size` samples and returns seconds per step. All make
their data by one matrix product per block; what differs is the loop of single steps.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import erf

Array = npt.NDArray[Any]


def setting(N: int, D: int, K: int, M: int, dtype: str) -> tuple[Array, ...]:
    """Return F, student w and v, teacher w."""
    rng = np.random.default_rng(0)
    F, w, w_teacher = (rng.standard_normal(shape).astype(dtype) for shape in ((N, D), (K, N), (M, D)))
    return F, w, np.ones(K, dtype), w_teacher


def make_block(rng: np.random.Generator, F: Array, w_teacher: Array, size: int) -> tuple[Array, Array]:
    """Return inputs and labels of a block: sign of one product, labels from the latents."""
    D = F.shape[1]
    C = rng.standard_normal((size, D), dtype=F.dtype)
    X = np.sign(C @ F.T)
    y = erf(C @ w_teacher.T / np.sqrt(2 * D)).sum(1).astype(F.dtype)
    return X, y


def numpy_loop(N: int, D: int, K: int, M: int, *, lr: float, blocks: int, size: int, dtype: str) -> float:
    """Return seconds per step of a block loop in numpy."""
    F, w, v, w_teacher = setting(N, D, K, M, dtype)
    rng = np.random.default_rng(1)
    root, scale = np.sqrt(N), np.sqrt(2 / np.pi)
    started = time.perf_counter()
    for _ in range(blocks):
        X, y = make_block(rng, F, w_teacher, size)
        for x, label in zip(X, y, strict=True):
            lam = w @ x / root
            delta = v @ erf(lam / np.sqrt(2)) - label
            w -= np.multiply.outer((lr / root) * delta * v * scale * np.exp(-lam * lam / 2), x).astype(
                dtype, copy=False
            )
    return (time.perf_counter() - started) / (blocks * size)


def numba_loop(N: int, D: int, K: int, M: int, *, lr: float, blocks: int, size: int, dtype: str) -> float:
    """Return seconds per step with the steps compiled by Numba (fastmath, contiguous rows)."""
    import math

    import numba

    @numba.njit(fastmath=True)
    def learn(w: Array, v: Array, X: Array, y: Array, lr: float) -> None:
        K, N = w.shape
        root = math.sqrt(N)
        coefficient = np.empty(K, w.dtype)
        for s in range(X.shape[0]):
            x = X[s]
            output = 0.0
            for k in range(K):
                lam = 0.0
                for i in range(N):
                    lam += w[k, i] * x[i]
                lam /= root
                output += v[k] * math.erf(lam / math.sqrt(2.0))
                coefficient[k] = v[k] * math.sqrt(2 / math.pi) * math.exp(-0.5 * lam * lam)
            delta = output - y[s]
            for k in range(K):
                step = lr / root * delta * coefficient[k]
                for i in range(N):
                    w[k, i] -= step * x[i]

    F, w, v, w_teacher = setting(N, D, K, M, dtype)
    rng = np.random.default_rng(1)
    X, y = make_block(rng, F, w_teacher, 4)
    learn(w, v, X, y, lr)
    started = time.perf_counter()
    for _ in range(blocks):
        X, y = make_block(rng, F, w_teacher, size)
        learn(w, v, X, y, lr)
    return (time.perf_counter() - started) / (blocks * size)


def jax_scan(N: int, D: int, K: int, M: int, *, lr: float, blocks: int, size: int, dtype: str) -> float:
    """Return seconds per step of a jitted `lax.scan`, data made inside the jitted function."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    F, w, v, w_teacher = (jnp.asarray(a) for a in setting(N, D, K, M, dtype))
    root = np.sqrt(N)

    @jax.jit
    def block(w: Any, key: Any) -> Any:
        C = jax.random.normal(key, (size, D), dtype=dtype)
        X = jnp.sign(C @ F.T)
        y = jax.scipy.special.erf(C @ w_teacher.T / np.sqrt(2 * D)).sum(1)

        def step(w: Any, sample: Any) -> Any:
            x, label = sample
            lam = w @ x / root
            delta = v @ jax.scipy.special.erf(lam / np.sqrt(2)) - label
            slope = np.sqrt(2 / np.pi) * jnp.exp(-lam * lam / 2)
            return (w - (lr / root) * jnp.outer(delta * v * slope, x)).astype(dtype), None

        return jax.lax.scan(step, w, (X, y))[0]

    keys = jax.random.split(jax.random.key(1), blocks + 1)
    w = block(w, keys[0]).block_until_ready()
    started = time.perf_counter()
    for key in keys[1:]:
        w = block(w, key)
    w.block_until_ready()
    return (time.perf_counter() - started) / (blocks * size)


RIVALS: dict[str, Callable[..., float]] = {
    "numpy block loop": numpy_loop,
    "Numba loop": numba_loop,
    "jax.lax.scan": jax_scan,
}
