"""The hidden-manifold equations as a good user would write them: numpy, all indices vectorised.

Shares no code with the package: textbook integrals (Saad and Solla 1995, appendix), W as its own
variable, scipy's integrators. Serves as the rival in the benchmarks and as the twin in the tests.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.integrate import solve_ivp


@dataclass
class HiddenManifold:
    """Erf units; arrays rho, weights (S,), sigma0 (S, K, K), r0 (S, K, M), t (S, M, M), W0 (K, K)."""

    rho: np.ndarray
    weights: np.ndarray
    sigma0: np.ndarray
    r0: np.ndarray
    t: np.ndarray
    W0: np.ndarray
    v0: np.ndarray
    v_teacher: np.ndarray
    delta: float
    moments: tuple[float, float, float]
    lr: float
    lr_v: float = 0.0
    noise: float = 0.0
    weight_decay: float = 0.0
    batch: int = 1

    def __post_init__(self):
        a, self.b, c = self.moments
        self.c = c - a * a
        self.zeta = self.c - self.b**2
        self.K, self.M = self.r0.shape[1:]
        self.T = np.einsum("s,smn->mn", self.weights, self.t)
        rho = self.rho[:, None, None]
        self.d = self.zeta + self.b**2 * rho / self.delta
        self.p = self.b * rho / self.delta
        self.gamma = self.zeta * rho + self.b**2 * rho**2 / self.delta

    def initial(self):
        return np.concatenate([x.ravel() for x in (self.sigma0, self.r0, self.W0, self.v0)])

    def split(self, y):
        S, K, M = len(self.rho), self.K, self.M
        cuts = np.cumsum([S * K * K, S * K * M, K * K])
        sigma, r, W, v = np.split(y, cuts)
        return sigma.reshape(S, K, K), r.reshape(S, K, M), W.reshape(K, K), v

    def overlaps(self, y):
        sigma, r, W, v = self.split(y)
        Q = self.zeta * W + self.b**2 * np.tensordot(self.weights, sigma, 1)
        return Q, self.b * np.tensordot(self.weights, r, 1), v

    def error(self, y):
        Q, R, v = self.overlaps(y)
        C = np.block([[Q, R], [R.T, self.T]])
        s = np.concatenate([v, -self.v_teacher])
        return 0.5 * s @ i2(C) @ s

    def velocity(self, _, y):
        sigma, r, W, v = self.split(y)
        Q, R, _ = self.overlaps(y)
        K = self.K
        C = np.block([[Q, R], [R.T, self.T]])
        s = np.concatenate([v, -self.v_teacher])
        A, B = gates(C)
        L = np.diag(v * (A[:K] @ s)) + np.outer(v, v) * B[:K, :K]
        G = np.outer(v, self.v_teacher) * B[:K, K:]
        N = (
            np.outer(v, v)
            * (np.einsum("klab,a,b->kl", i4(C, K), s, s) + self.noise**2 * B[:K, :K])
            / self.batch
        )
        lr, kappa = self.lr, self.weight_decay

        def symmetric(x):
            return x + np.swapaxes(x, -1, -2)

        pull = symmetric(G @ np.swapaxes(r, -1, -2))
        d_sigma = -lr * self.d * symmetric(L @ sigma) + lr * self.p * pull + lr**2 * self.gamma * N
        d_r = -lr * self.d * (L @ r) + lr * self.p * (G @ self.t)
        d_W = -lr * symmetric(L @ Q) + lr * symmetric(G @ R.T) + lr**2 * self.c * N
        d_v = -self.lr_v * (i2(C)[:K] @ s) - (kappa * v if self.lr_v else 0.0)
        parts = (d_sigma - 2 * kappa * sigma, d_r - kappa * r, d_W - 2 * kappa * W, d_v)
        return np.concatenate([x.ravel() for x in parts])

    def solve(self, t, *, method="DOP853", rtol=1e-8, atol=1e-10):
        """Return (eg, Q, R, v) at times t; t[0] = 0."""
        solution = solve_ivp(
            self.velocity, (0.0, t[-1]), self.initial(), t_eval=t, method=method, rtol=rtol, atol=atol
        )
        assert solution.success, solution.message
        states = solution.y.T
        overlaps = [self.overlaps(y) for y in states]
        return (
            np.array([self.error(y) for y in states]),
            np.array([x[0] for x in overlaps]),
            np.array([x[1] for x in overlaps]),
            np.array([x[2] for x in overlaps]),
        )


def i2(C):
    """E[g(a) g(b)] for all pairs."""
    scale = np.sqrt(1 + np.diag(C))
    return 2 / np.pi * np.arcsin(C / np.outer(scale, scale))


def gates(C):
    """E[g''(a) g(b)] and E[g'(a) g'(b)] for all pairs."""
    one = 1 + np.diag(C)
    root = np.sqrt(np.outer(one, one) - C**2)
    A, B = -2 / np.pi * C / (one[:, None] * root), 2 / np.pi / root
    # The same field twice: E[g'' g] and E[g'^2].
    return A, B


def i4(C, K):
    """E[g'(k) g'(l) g(a) g(b)] for students k, l and all fields a, b."""
    n = len(C)
    k, l, a, b = np.ix_(range(K), range(K), range(n), range(n))
    one = 1 + np.diag(C)
    L4 = one[k] * one[l] - C[k, l] ** 2

    def lam(x, y, shift):
        return (
            L4 * (C[x, y] + shift)
            - C[l, x] * C[l, y] * one[k]
            - C[k, x] * C[k, y] * one[l]
            + C[k, l] * C[k, x] * C[l, y]
            + C[k, l] * C[k, y] * C[l, x]
        )

    return 4 / np.pi**2 / np.sqrt(L4) * np.arcsin(lam(a, b, 0) / np.sqrt(lam(a, a, 1) * lam(b, b, 1)))
