"""The replica fixed point in plain numpy: plain iteration on a composite Gauss-Legendre grid.

What a physicist writes in an afternoon: vectorised over the quadrature grid, Newton for the proximal
point of the logistic loss, plain fixed-point iteration along a warm-started curve.
"""

import math

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, ndtr

NODES, WEIGHTS = np.polynomial.legendre.leggauss(16)


def panels(edges):
    edges = np.asarray(edges)
    half = np.diff(edges)[:, None] / 2
    return (edges[:-1, None] + half * (1 + NODES)).ravel(), (half * WEIGHTS).ravel()


def grid(q, V, a, loss):
    span = 9 * math.sqrt(q)
    edges = set(np.linspace(-span, span, 19))
    centres = {0.0: min(math.sqrt(q), 1 / max(a, 1e-12), 1) / 2}
    if loss == "hinge":
        centres |= {1 - V: min(math.sqrt(q), V, 1) / 2, 1.0: min(math.sqrt(q), V, 1) / 2}
    else:
        centres[-V] = min(math.sqrt(q), 1) / 2
    for centre, width in centres.items():
        steps = width * 2.0 ** np.arange(60)
        steps = np.r_[0, steps[steps < 2 * span]]
        edges |= {x for x in np.r_[centre - steps, centre + steps] if -span < x < span}
    return panels(np.sort(np.fromiter(edges, float)))


def prox_force(s, V, loss):
    """f and -df/ds."""
    if loss == "hinge":
        f = np.clip((1 - s) / V, 0, 1)
        return f, np.where((s > 1 - V) & (s < 1), 1 / V, 0.0)
    x = np.clip(0.0, s, s + V)
    for _ in range(100):
        f = expit(-x)
        step = (x - s - V * f) / (1 + V * f * (1 - f))
        x = np.clip(x - step, s, s + V)
        if np.abs(step).max() < 1e-13:
            break
    f = expit(-x)
    e = f * (1 - f)
    return f, e / (1 + V * e)


def solve(omega, weight, t, rho, loss, alpha, lam, start=None, tol=1e-10):
    V, q, m = start or ((weight * omega).sum() / (1 + lam), rho / 10, 0.3 * math.sqrt(rho / 10))
    for _ in range(20000):
        Vs = rho - m * m / q
        a = m / (q * math.sqrt(Vs))
        s, ds = grid(q, V, a, loss)
        f, slope = prox_force(s, V, loss)
        D = 2 * np.exp(-s * s / (2 * q)) / math.sqrt(2 * math.pi * q) * ndtr(a * s)
        tau2 = q * Vs / rho
        Vh = alpha * (ds * D * slope).sum()
        qh = alpha * (ds * D * f * f).sum()
        mh = (
            alpha
            * math.sqrt(2 / (math.pi * rho))
            * (ds * np.exp(-s * s / (2 * tau2)) / math.sqrt(2 * math.pi * tau2) * f).sum()
        )
        den = lam + Vh * omega
        new = (
            (weight * omega / den).sum(),
            ((qh * weight * omega + mh * mh * t) * omega / den**2).sum(),
            mh * (t / den).sum(),
        )
        change = max(
            abs(math.log(new[0] / V)), abs(math.log(new[1] / q)), abs(new[2] / new[1] ** 0.5 - m / q**0.5)
        )
        V, q, m = new
        if change < tol:
            break
    return (V, q, m), math.acos(m / math.sqrt(rho * q)) / math.pi


def curve(omega, weight, t, rho, loss, alphas, lam):
    start, errors = None, []
    for alpha in alphas:
        start, error = solve(omega, weight, t, rho, loss, alpha, lam, start)
        errors.append(error)
    return np.array(errors)


def ridge_curve(omega, weight, t, rho, alphas, lam):
    errors = []
    for alpha in alphas:
        V = brentq(
            lambda V, alpha=alpha: V - (weight * omega / (lam + alpha * omega / (1 + V))).sum(),
            0,
            (weight * omega).sum() / lam + 1,
            xtol=1e-13,
        )
        Vh = alpha / (1 + V)
        den = lam + Vh * omega
        A, B, C = (weight * omega**2 / den**2).sum(), (t * omega / den**2).sum(), (t / den).sum()
        errors.append((rho - 2 * Vh * C + Vh**2 * B) / (1 - Vh**2 * A / alpha))
    return np.array(errors)
