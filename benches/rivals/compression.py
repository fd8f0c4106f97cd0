"""Gradient of the hinge loss and tangent kernel of a ReLU layer, in preallocated numpy and in JAX."""

import math

import numpy as np


class NumpyGradient:
    """Two products and five passes over the p x h activations, nothing allocated after the start."""

    def __init__(self, w, b, a, X, y, dtype):
        self.d = X.shape[1]
        self.A = np.column_stack([X / math.sqrt(self.d), np.ones(len(X))]).astype(dtype)
        self.V = np.column_stack([w, b]).astype(dtype)
        self.a, self.y = a.astype(dtype), y.astype(dtype)
        p, h = len(X), len(a)
        self.pre, self.work = np.empty((p, h), dtype), np.empty((p, h), dtype)
        self.f, self.force = np.empty(p, dtype), np.empty_like(self.V)
        self.weighted = np.empty_like(self.A)

    def __call__(self):
        c = math.sqrt(2) / len(self.a)
        np.dot(self.A, self.V.T, out=self.pre)
        np.maximum(self.pre, 0, out=self.work)
        np.dot(self.work, self.a, out=self.f)
        slopes = np.where(self.y * c * self.f < 1, -self.y / len(self.y), self.y.dtype.type(0))
        np.greater(self.pre, 0, out=self.work)
        np.multiply(self.A, slopes[:, None], out=self.weighted)
        np.dot(self.work.T, self.weighted, out=self.force)
        return c * np.einsum("ni,ni->n", self.V, self.force), c * self.a[:, None] * self.force


class JaxGradient:
    """jit(value_and_grad) of the mean hinge loss."""

    def __init__(self, w, b, a, X, y, dtype):
        import jax

        jax.config.update("jax_enable_x64", True)
        X, y = (jax.numpy.asarray(part, dtype) for part in (X, y))
        self.parameters = tuple(jax.numpy.asarray(part, dtype) for part in (a, w, b))

        def objective(parameters):
            a, w, b = parameters
            pre = X @ w.T / math.sqrt(X.shape[1]) + b
            f = math.sqrt(2) / len(a) * jax.numpy.maximum(pre, 0) @ a
            return jax.numpy.mean(jax.numpy.maximum(0, 1 - y * f))

        self.step = jax.jit(jax.value_and_grad(objective))

    def __call__(self):
        value, gradient = self.step(self.parameters)
        value.block_until_ready()
        return gradient[0].block_until_ready(), gradient[1].block_until_ready()


def network_ntk(w, b, a, X):
    """h Theta by two symmetric products (numpy recognises them) of p x h matrices."""
    d = X.shape[1]
    A = np.column_stack([X / math.sqrt(d), np.ones(len(X))])
    pre = A @ np.column_stack([w, b]).T
    masked = (pre > 0) * a
    np.maximum(pre, 0, out=pre)
    kernel = masked @ masked.T
    del masked
    kernel *= A @ A.T
    kernel += pre @ pre.T
    kernel *= 2 / len(a)
    return kernel
