"""The main job: a hidden-manifold learning curve, simulation against theory.

Run it with ``make demo``, or ``python examples/hidden_manifold.py`` where hmm_rs is installed.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import matplotlib as mpl
import numpy as np

import hmm_rs as hr

mpl.use("Agg")


def main(out: Path) -> None:
    """Train, solve, compare, draw."""
    N, D, K, M = 10_000, 100, 2, 2
    model = hr.HiddenManifold(N, D, f="sign", seed=1)
    teacher = hr.TwoLayer.random(M, D, activation="erf", seed=2)
    student = hr.TwoLayer.random(K, N, activation="erf", seed=3)
    sim = hr.OnlineSGD(model, teacher, student=student, lr=0.2, test_size=10_000, seed=4)
    # The theory starts from the weights of this very run, so it must be told before the run.
    ode = hr.theory.HiddenManifoldODE.from_simulation(sim)

    times = np.concatenate([[0.0], hr.logtimes(0.1, 20.0, 24)])
    print(f"Training: N = {N}, D = {D}, K = M = {K}, f = sign, erf units, lr = 0.2, to t = 20")
    started = time.perf_counter()
    simulated = sim.run(20.0, save_at=times, progress=True)
    trained = time.perf_counter()
    solved = ode.solve(simulated.t.values)
    print(
        f"Trained in {trained - started:.1f} s, solved the equations in {time.perf_counter() - trained:.3f} s"
    )

    print("\n        t   simulated      theory         gap")
    gap = simulated.eg - solved.eg
    for t, s, o, g in zip(simulated.t.values, simulated.eg.values, solved.eg.values, gap.values, strict=True):
        print(f"{t:9.4f}   {s:9.6f}   {o:9.6f}   {g:+9.6f}")
    print(f"\nmean |gap| = {float(abs(gap).mean()):.5f}")
    print(
        "(10,000 test samples give the simulated error to about 1 %; the early gap is the fluctuation of one"
    )
    print(" run at D = 100, largest where the error falls fastest.)")

    out.mkdir(parents=True, exist_ok=True)
    ax = hr.plot.learning_curve(simulated, ode.solve(hr.logtimes(0.1, 20.0, 300)))
    ax.set_title(f"Hidden manifold: N = {N}, D = {D}, K = M = {K}", fontsize="medium")
    ax.figure.savefig(out / "hidden-manifold.png", dpi=200)  # type: ignore[union-attr]
    both = simulated.assign(eg_theory=solved.eg, Q_theory=solved.Q, R_theory=solved.R)
    both.to_netcdf(out / "hidden-manifold.nc", engine="h5netcdf")
    for name in ("hidden-manifold.png", "hidden-manifold.nc"):
        print(f"wrote {out / name}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("out"))
