"""Speed of the particle engine, beside rivals, in one run.

Times are best of several repeats, interleaved, so that a slow spell of the machine hits all alike.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from rivals.particles import RIVALS

import hmm_rs as hr


def product_rate(size: int = 3000) -> float:
    """Return GFLOP/s of numpy's single-precision matrix product (OpenBLAS)."""
    a = np.ones((size, size), np.float32)
    out = np.empty_like(a)
    times = []
    for _ in range(5):
        started = time.perf_counter()
        np.dot(a, a, out=out)
        times.append(time.perf_counter() - started)
    return 2e-9 * size**3 / min(times)


def our_step(run: hr.Particles, repeats: int, threads: int | None) -> float:
    """Return seconds of one step from the run's present state, which is kept."""
    state = run._state()
    times = []
    for _ in range(repeats):
        run._restore(state)
        started = time.perf_counter()
        run.advance(1, threads=threads)
        times.append(time.perf_counter() - started)
    run._restore(state)
    return min(times)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--nodes", type=int, default=20_000)
    parser.add_argument("--examples", type=int, default=4_000)
    parser.add_argument("--d", type=int, default=100)
    arguments = parser.parse_args()
    M, P, d, repeats = arguments.nodes, arguments.examples, arguments.d, arguments.repeats
    X, y = hr.LinearlySeparable(d).sample(P, seed=1)
    network = hr.MeanFieldNetwork.random(M, d, seed=1, dtype="float32")
    flops = 4e-9 * M * P * d
    print(f"Particle step, M={M}, P={P}, d={d}, float32; {flops:.1f} GFLOP in the two products")

    run = hr.Particles(network, X, y, beta=2.5, dtype="float32")
    first = dict.fromkeys((1, 2, None), np.inf)
    rate = 0.0
    rivals = dict.fromkeys(RIVALS, np.inf)
    arrays = (network.a, network.w, X.astype(np.float32), y.astype(np.float32), 2.5)
    for _ in range(3):
        for threads in first:
            first[threads] = min(first[threads], our_step(run, repeats, threads))
        rate = max(rate, product_rate())
        for name in list(rivals):
            try:
                rivals[name] = min(rivals[name], RIVALS[name](*arrays, 0, repeats))
            except ImportError:
                del rivals[name]
    everyone = first[None]
    print(f"  hmm_rs            {1e3 * everyone:8.1f} ms   {flops / everyone:7.1f} GFLOP/s")
    print(f"  two products      {1e3 * flops / rate:8.1f} ms   {rate:7.1f} GFLOP/s (numpy sgemm)")
    print(f"  step / products   {everyone * rate / flops:8.2f}      target <= 1.25")
    for name, seconds in rivals.items():
        print(f"  {name:<17} {1e3 * seconds:8.1f} ms   ratio {seconds / everyone:5.2f}")
    fastest = min(rivals.values())
    print(f"  fastest rival / hmm_rs {fastest / everyone:5.2f}      target >= 2")
    print(f"  1 -> 2 threads    {first[1] / first[2]:8.2f}      target >= 1.7")

    # Training itself thins out the examples that pull.
    while run.observe()["unsatisfied"] > 0.05:
        run.advance(10)
    share = run.observe()["unsatisfied"]
    late, early = np.inf, np.inf
    beginning = hr.Particles(network, X, y, beta=2.5, dtype="float32")
    for _ in range(3):
        late = min(late, our_step(run, repeats, None))
        early = min(early, our_step(beginning, repeats, None))
    print(f"  late ({100 * share:.1f} % unsatisfied) / first step {late / early:5.2f}      target <= 0.65")


if __name__ == "__main__":
    main()
