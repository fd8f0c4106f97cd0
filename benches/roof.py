"""The machine's roof: rates of products, bandwidth of memory and cache, fresh memory, random deviates.

Each function is a contender: it sets up and returns a function that measures all its rates once. The best
of the repeats counts, rate by rate.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import programs
from interleaved import timings
from machine import caches

Rates = dict[str, float]
DTYPES = ("float64", "float32")
#: Products of the workloads: (rows, inner, columns), columns 0 for that with the own transpose; their precisions.
SHAPES = {
    "peak": ((2048, 2048, 2048), DTYPES),
    "data D=100": ((1024, 100, 1000), DTYPES),
    "data D=500": ((1024, 500, 1000), ("float64",)),
    "data N=10000": ((1024, 100, 10_000), ("float64",)),
    "batch forward": ((1000, 2000, 50), ("float64",)),
    "batch backward": ((50, 1000, 2000), ("float64",)),
    "gram P=2000": ((2000, 10_000, 0), ("float64",)),
    "particles": ((4000, 100, 20_000), ("float32",)),
}


def _best_seconds(call: Callable[[], object], enough: float) -> float:
    """Return seconds of a call: the best of as many as fit in a time, at least two."""
    best, begun, count = math.inf, time.perf_counter(), 0
    while count < 2 or time.perf_counter() - begun < enough:
        started = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - started)
        count += 1
    return best


def _products(multiply: Callable[..., object], quick: bool) -> Callable[[], Rates]:
    rng = np.random.default_rng(0)

    def measure() -> Rates:
        rates = {}
        for name, (shape, dtypes) in SHAPES.items():
            # Large ones are as fast at half the size, and done in an eighth of the time.
            m, k, n = (size // 2 if quick and size > 1024 else size for size in shape)
            for dtype in dtypes:
                a = rng.standard_normal((m, k), dtype=dtype)
                # Column order, as the transpose of the features has.
                b = a.T if n == 0 else rng.standard_normal((n, k), dtype=dtype).T
                out = np.zeros((m, n or m), dtype)
                seconds = _best_seconds(partial(multiply, a, b, out, n == 0), 0.02 if quick else 0.1)
                rates[f"{name} {dtype}"] = (2 * m * k * n if n else m * m * k) / seconds
        return rates

    return measure


def numpy_products(threads: int, quick: bool) -> Callable[[], Rates]:
    """Flops a second of numpy's BLAS; half the flops where it sees the symmetry, as ours."""
    del threads  # The environment says it.

    def multiply(a: Any, b: Any, out: Any, gram: bool) -> None:
        del gram  # numpy recognises it.
        np.dot(a, b, out=out)

    return _products(multiply, quick)


def our_products(threads: int, quick: bool) -> Callable[[], Rates]:
    """Flops a second of the package's products."""
    from hmm_rs import _lib

    def multiply(a: Any, b: Any, out: Any, gram: bool) -> None:
        _lib.matmul(a, None if gram else b, out=out, threads=threads)

    return _products(multiply, quick)


def memory(threads: int, quick: bool) -> Callable[[], Rates]:
    """Bytes a second: copy and triad beyond the caches, triad within L2, first writes to fresh memory."""
    count = (1 << 22) if quick else (1 << 24)
    # Beyond what a last-level cache keeps; three arrays of 32 or 128 MiB.
    a, b, c = (np.ones(count) for _ in range(3))
    small = caches().get("L2", 1 << 20) // (2 * 3 * 8)
    cached = [[np.ones(small) for _ in range(3)] for _ in range(threads)]
    pool = ThreadPoolExecutor(threads)
    parts = [slice(count * i // threads, count * (i + 1) // threads) for i in range(threads)]

    def everyone(work: Callable[[int], object]) -> None:
        list(pool.map(work, range(threads)))

    def copy(i: int) -> None:
        np.copyto(a[parts[i]], b[parts[i]])

    def triad(i: int) -> None:
        np.add(b[parts[i]], c[parts[i]], out=a[parts[i]])

    def triad_in_cache(i: int) -> None:
        x, y, out = cached[i]
        for _ in range(200):
            np.add(x, y, out=out)

    def first_touch() -> None:
        fresh = np.empty(count)
        everyone(lambda i: fresh[parts[i]].fill(1.0))

    def measure() -> Rates:
        enough = 0.05 if quick else 0.2
        return {
            "copy": 16 * count / _best_seconds(lambda: everyone(copy), enough),
            "triad": 24 * count / _best_seconds(lambda: everyone(triad), enough),
            "triad in L2": 200
            * 24
            * small
            * threads
            / _best_seconds(lambda: everyone(triad_in_cache), enough),
            "fresh": 8 * count / _best_seconds(first_touch, enough),
        }

    return measure


def deviates(threads: int, quick: bool) -> Callable[[], Rates]:
    """Normal deviates a second on one core, by the package and, elsewhere, by numpy's ziggurat."""
    del threads

    def measure() -> Rates:
        count = 2_000 if quick else 20_000
        return {f"normals {dtype}": 1 / programs.core("normals_" + dtype, count) for dtype in DTYPES}

    return measure


MEASUREMENTS: dict[str, Callable[[int, bool], Callable[[], Rates]]] = {
    "numpy": numpy_products,
    "hmm_rs": our_products,
    "memory": memory,
    "deviates": deviates,
}


@dataclass(frozen=True)
class Roof:
    """Rates by the number of threads, then by what measured them, then by name."""

    rates: dict[int, dict[str, Rates]]

    def product(self, shape: str, dtype: str, threads: int = 1) -> float:
        """Flops a second of the faster of the two products."""
        found = self.rates[threads]
        key = f"{shape} {dtype}"
        measured = [found[who][key] for who in ("numpy", "hmm_rs") if key in found.get(who, {})]
        return max(measured, default=math.nan)

    def memory(self, what: str, threads: int = 1) -> float:
        return self.rates[threads].get("memory", {}).get(what, math.nan)

    def normal(self, dtype: str) -> float:
        """Seconds of one normal deviate on one core."""
        return 1 / self.rates[1].get("deviates", {}).get(f"normals {dtype}", math.nan)


def measure(threads: int, repeats: int, quick: bool) -> tuple[Roof, dict[str, str]]:
    """Return the roof on one thread and on `threads`, and what could not be measured."""
    rates: dict[int, dict[str, Rates]] = {}
    missing = {}
    for count in sorted({1, threads}):
        found = timings("roof", dict.fromkeys(MEASUREMENTS, count), repeats, quick)
        for who, timing in found.items():
            if timing.missing:
                missing[who] = timing.missing
        rates[count] = {
            who: {key: max(each[key] for each in timing.seconds) for key in timing.seconds[0]}
            for who, timing in found.items()
            if timing.seconds
        }
    return Roof(rates), missing
