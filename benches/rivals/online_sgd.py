"""One-pass SGD on the hidden manifold as a good user would write it without hmm_rs.

Each function sets a problem up and returns a function that learns from `blocks` blocks of `size` samples and
returns seconds per sample. All make their data by one matrix product per block, or by scipy's cosine transform
where F is one; what differs is the loop of single steps.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.fft import dct
from scipy.special import erf

Array = npt.NDArray[Any]
Measure = Callable[[], float]


@dataclass(frozen=True)
class Problem:
    """Sizes of a run: inputs, latents, hidden units of student and teacher, samples of a step."""

    N: int
    D: int
    K: int
    M: int = 2
    dtype: str = "float64"
    batch: int = 1
    lr: float = 0.2
    transform: bool = False

    def arrays(self) -> tuple[Array, ...]:
        """Return F, student w and v, teacher w."""
        rng = np.random.default_rng(0)
        shapes = ((self.N, self.D), (self.K, self.N), (self.M, self.D))
        F, w, w_teacher = (rng.standard_normal(shape).astype(self.dtype) for shape in shapes)
        return F, w, np.ones(self.K, self.dtype), w_teacher


class Data:
    """Inputs sign(F c / sqrt D) and labels of a teacher on the latents, block by block."""

    def __init__(self, problem: Problem, size: int, threads: int) -> None:
        self.problem, self.size, self.threads = problem, size, threads
        self.F, _, _, self.w_teacher = problem.arrays()
        self.rng = np.random.default_rng(1)
        self.columns = self.rng.permutation(problem.N)[: problem.D]
        self.signs = np.sign(self.rng.standard_normal(problem.N)).astype(problem.dtype)

    def block(self) -> tuple[Array, Array]:
        problem = self.problem
        C = self.rng.standard_normal((self.size, problem.D), dtype=problem.dtype)
        X = self.transformed(C) if problem.transform else C @ self.F.T
        np.sign(X, out=X)
        y = erf(C @ self.w_teacher.T / np.sqrt(2 * problem.D)).sum(1).astype(problem.dtype)
        return X, y

    def transformed(self, C: Array) -> Array:
        """F c for D random columns of the cosine transform with random signs of the rows."""
        U = np.zeros((self.size, self.problem.N), C.dtype)
        U[:, self.columns] = C
        U = dct(U, axis=1, norm="ortho", overwrite_x=True, workers=self.threads)
        U *= self.signs
        return U


def _timed(learn: Callable[[], None], samples: int) -> Measure:
    def measure() -> float:
        started = time.perf_counter()
        learn()
        return (time.perf_counter() - started) / samples

    return measure


def numpy_loop(problem: Problem, blocks: int, size: int, threads: int) -> Measure:
    """A block loop in numpy; a mini-batch is a few products."""
    _, w, v, _ = problem.arrays()
    data, batch = Data(problem, size, threads), problem.batch
    root, scale = np.sqrt(problem.N), np.sqrt(2 / np.pi)

    def step(x: Array, label: Array) -> None:
        lam = w @ x / root
        delta = v @ erf(lam / np.sqrt(2)) - label
        change = ((problem.lr / root) * delta * v * scale * np.exp(-lam * lam / 2)).astype(
            w.dtype, copy=False
        )
        np.subtract(w, np.multiply.outer(change, x), out=w)

    def batch_step(x: Array, label: Array) -> None:
        lam = x @ w.T / root
        delta = erf(lam / np.sqrt(2)) @ v - label
        change = (problem.lr / root / batch) * scale * delta[:, None] * v * np.exp(-lam * lam / 2)
        np.subtract(w, change.astype(w.dtype, copy=False).T @ x, out=w)

    def learn() -> None:
        for _ in range(blocks):
            X, y = data.block()
            if batch == 1:
                for x, label in zip(X, y, strict=True):
                    step(x, label)
            else:
                for first in range(0, size, batch):
                    batch_step(X[first : first + batch], y[first : first + batch])

    return _timed(learn, blocks * size)


def numba_loop(problem: Problem, blocks: int, size: int, threads: int) -> Measure:
    """The single steps compiled by Numba (fastmath, contiguous rows)."""
    import numba

    @numba.njit(fastmath=True)
    def steps(w: Array, v: Array, X: Array, y: Array, lr: float) -> None:
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

    _, w, v, _ = problem.arrays()
    data = Data(problem, size, threads)

    def learn() -> None:
        for _ in range(blocks):
            X, y = data.block()
            steps(w, v, X, y, problem.lr)

    return _timed(learn, blocks * size)


def jax_scan(problem: Problem, blocks: int, size: int, threads: int) -> Measure:
    """A jitted `lax.scan`, data made inside the jitted function."""
    del threads  # The cores that the process has are all that JAX asks.
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    F, w, v, w_teacher = (jnp.asarray(a) for a in problem.arrays())
    root, batch = np.sqrt(problem.N), problem.batch

    @jax.jit
    def block(w: Any, key: Any) -> Any:
        C = jax.random.normal(key, (size, problem.D), dtype=problem.dtype)
        X = jnp.sign(C @ F.T).reshape(size // batch, batch, problem.N)
        y = jax.scipy.special.erf(C @ w_teacher.T / np.sqrt(2 * problem.D)).sum(1)

        def step(w: Any, sample: Any) -> Any:
            x, label = sample
            lam = x @ w.T / root
            delta = jax.scipy.special.erf(lam / np.sqrt(2)) @ v - label
            slope = np.sqrt(2 / np.pi) * jnp.exp(-lam * lam / 2)
            change = (problem.lr / root / batch) * delta[:, None] * v * slope
            return (w - change.T @ x).astype(problem.dtype), None

        return jax.lax.scan(step, w, (X, y.reshape(size // batch, batch)))[0]

    state = {"w": w, "key": jax.random.key(1)}

    def learn() -> None:
        for _ in range(blocks):
            state["key"], key = jax.random.split(state["key"])
            state["w"] = block(state["w"], key)
        state["w"].block_until_ready()

    return _timed(learn, blocks * size)


RIVALS: dict[str, Callable[[Problem, int, int, int], Measure]] = {
    "numpy": numpy_loop,
    "Numba": numba_loop,
    "JAX": jax_scan,
}


def rivals(problem: Problem, blocks: int, size: int) -> dict[str, Callable[[int, bool], Measure]]:
    """Return the rivals of a problem as contenders: functions of the threads and of haste."""

    def contender(make: Callable[..., Measure], problem: Problem, threads: int, quick: bool) -> Measure:
        return make(problem, max(1, blocks // 4) if quick else blocks, size, threads)

    return {name: partial(contender, make, problem) for name, make in RIVALS.items()}
