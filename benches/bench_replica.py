"""Learning curves of 20 points at p = 1000 on one core, against plain numpy.

Run as `python benches/bench_replica.py`; times are the minimum over repeats in one process.
"""

import sys
import time
from pathlib import Path

import numpy as np

from hmm_rs import _lib
from hmm_rs.theory import replica

sys.path.insert(0, str(Path(__file__).parent))
from rivals import replica as rival

#: Milliseconds that must not be exceeded, for the solver itself on one core.
TARGETS = {"logistic": 20.0, "hinge": 10.0, "ridge": 1.0}


def fastest(call, repeats):
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = call()
        times.append(time.perf_counter() - start)
    return 1e3 * min(times), result


def problem(p=1000, seed=0):
    """Power-law covariance with a teacher that does not commute with it."""
    rng = np.random.default_rng(seed)
    omega = np.arange(1, p + 1) ** -0.7
    omega /= omega.mean()
    t = rng.standard_normal(p) ** 2 * omega**1.5
    t *= 0.7 / (t / omega).sum()
    return replica.Spectrum(omega, np.full(p, 1 / p), t, 1.0)


def measure(loss, spectrum, alphas, lam):
    """Milliseconds of the solver, of the whole call, of numpy; the largest difference; iterations."""
    settings = {
        "loss": loss,
        "lam": lam,
        "flip": 0.0,
        "noise": 0.0,
        "tol": 1e-10,
        "max_iterations": 20000,
    }
    atoms = (spectrum.omega, spectrum.weight, spectrum.t, spectrum.rho)
    solver, solved = fastest(lambda: _lib.replica_curve(spectrum, alphas, settings, 1), 20)
    whole, _ = fastest(lambda: replica.learning_curve(spectrum, alphas, loss=loss, lam=lam, threads=1), 10)
    if loss == "ridge":
        plain, expected = fastest(lambda: rival.ridge_curve(*atoms, alphas, lam), 5)
    else:
        plain, expected = fastest(lambda: rival.curve(*atoms, loss, alphas, lam), 2)
    gap = np.abs(solved["test_mse" if loss == "ridge" else "test_error"] - expected).max()
    return solver, whole, plain, gap, int(solved["iterations"].sum())


def main():
    spectrum = problem()
    alphas = np.geomspace(0.2, 8.0, 20)
    print("loss       solver ms  dataset ms   numpy ms   ratio   target ms   gap   iterations")
    for loss, target in TARGETS.items():
        solver, whole, plain, gap, iterations = measure(loss, spectrum, alphas, 0.05)
        met = "met" if solver <= target else "MISSED"
        print(
            f"{loss:10}{solver:10.3f}{whole:12.3f}{plain:11.1f}{plain / solver:8.0f}{target:9.0f} {met}"
            f"   {gap:.0e}   {iterations}"
        )


if __name__ == "__main__":
    main()
