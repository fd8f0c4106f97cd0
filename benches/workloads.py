"""What is timed: each workload with its contenders, the limit of the machine for it, and its targets.

A contender is a function of (threads, quick) that sets up and returns a function which does a bout of work and
returns the seconds of one unit of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import contenders as calls
import programs
import roof
from rivals.online_sgd import Problem, rivals

Measure = Callable[[], Any]
Contender = Callable[[int, bool], Measure]
#: Parts of the least time that a unit can take on so many threads, in seconds; they add up.
Limit = Callable[[roof.Roof, int], dict[str, float]]

#: Who is meant by "ours" where nothing else is said: on all threads of the run.
OURS = "hmm_rs"
#: The same on one core.
ALONE = "hmm_rs, 1 thread"


@dataclass(frozen=True)
class Target:
    """What is asked of a workload.

    kind: "rival" (the best rival's time over ours, at least), "share" (of the limit, at least), "time" (seconds of a
    unit, at most), "over" (our time over that of another contender of ours, at most), "threads" (one thread's time over
    all threads', at least), "memory" (our peak over that of the contender `than`, at most).
    """

    kind: str
    value: float
    than: str = ""


@dataclass(frozen=True)
class Workload:
    """One row: `threads` 0 stands for all threads of the run; `flops` of a unit, 0 where they say nothing."""

    title: str
    unit: str
    contenders: Mapping[str, Contender]
    targets: tuple[Target, ...] = ()
    flops: float = 0.0
    limit: Limit | None = None
    threads: int = 0
    note: str = ""

    def threads_of(self, contender: str, threads: int) -> int:
        """Return the cores that a contender gets in a run on `threads`."""
        return 1 if "1 thread" in contender else self.threads or threads


#: Best rival's time over ours; share of the limit; and so on.
def at_least(value: float) -> Target:
    return Target("rival", value)


def share(value: float) -> Target:
    return Target("share", value)


def threads(value: float) -> Target:
    return Target("threads", value)


def _bytes(dtype: str) -> int:
    return 4 if dtype == "float32" else 8


def _sgd_limit(problem: Problem, shape: str) -> Limit:
    """The product that makes a sample, its deviates, and the step's passes over weights and inputs in the cache."""

    def limit(top: roof.Roof, threads: int) -> dict[str, float]:
        N, K, dtype = problem.N, problem.K, problem.dtype
        # Inputs are written, made signs and read; each weight is read and written once.
        passed = (3 + 2 * K) * N * _bytes(dtype)
        parts = {
            "product": 2 * N * problem.D / top.product(shape, dtype),
            "deviates": problem.D * top.normal(dtype),
            "signs and step": passed / top.memory("triad in L2"),
        }
        return {name: seconds / threads for name, seconds in parts.items()}

    return limit


def _sgd(problem: Problem, shape: str, targets: tuple[Target, ...], samples: int) -> Workload:
    """One-pass SGD; `samples` of a bout of ours, and as many rounded to blocks of each rival."""
    size = 1024
    return Workload(
        title=f"one-pass SGD, N={problem.N} D={problem.D} K={problem.K}, {problem.dtype}",
        unit="sample",
        contenders={
            OURS: partial(calls.online_sgd, problem, samples),
            ALONE: partial(calls.online_sgd, problem, samples),
            **rivals(problem, max(1, samples // (4 * size)), size),
        },
        targets=targets,
        flops=2.0 * problem.N * problem.D + 4.0 * problem.K * problem.N,
        limit=_sgd_limit(problem, shape),
    )


def _mini_batch() -> Workload:
    problem = Problem(2000, 100, 50, batch=1000)

    def limit(top: roof.Roof, threads: int) -> dict[str, float]:
        forward = 2 * problem.N * problem.K / top.product("batch forward", "float64")
        backward = 2 * problem.N * problem.K / top.product("batch backward", "float64")
        data = 2 * problem.N * problem.D / top.product("data D=100", "float64")
        passed = 3 * problem.N * 8 / top.memory("triad in L2")
        parts = {"data": data, "forward": forward, "backward": backward, "signs": passed}
        parts["deviates"] = problem.D * top.normal("float64")
        return {name: seconds / threads for name, seconds in parts.items()}

    theirs = rivals(problem, 4, 5 * problem.batch)
    del theirs["Numba"]  # A mini-batch is products: numpy's are the good user's.
    return Workload(
        title="mini-batch SGD, N=2000 D=100 K=50, batches of 1000, float64",
        unit="sample",
        contenders={
            OURS: partial(calls.online_sgd, problem, 20_000),
            ALONE: partial(calls.online_sgd, problem, 20_000),
            **theirs,
        },
        targets=(threads(1.85),),
        flops=2.0 * problem.N * problem.D + 4.0 * problem.K * problem.N,
        limit=limit,
    )


def _gradient(dtype: str) -> Workload:
    p, h, d = 4096, 4096, 10
    # Forward: product and sum. Backward: pre-activation again, and the force.
    flops = float(p * h * (2 * d + 2 + 4 * d + 1))
    numpy_, jax_ = (
        partial(calls.rival_gradient, name, p, h, d, dtype) for name in ("NumpyGradient", "JaxGradient")
    )
    return Workload(
        title=f"gradient of a flow, p=h=4096 d=10, {dtype}, one core",
        unit="evaluation",
        contenders={OURS: partial(calls.gradient, p, h, d, dtype), "numpy": numpy_, "JAX": jax_},
        # 30 of 46 GFLOP/s, on a processor with AVX2.
        targets=(share(30 / 46), at_least(2.0)),
        flops=flops,
        limit=lambda top, _: {"multiplications": flops / top.product("peak", dtype)},
        threads=1,
    )


def _normals(dtype: str) -> Workload:
    def program(kernel: str, threads: int, quick: bool) -> Measure:
        del threads
        programs.core(kernel, 1)
        return lambda: programs.core(kernel, 2_000 if quick else 20_000)

    return Workload(
        title=f"normal deviates, {dtype}, one core",
        unit="deviate",
        contenders={
            OURS: partial(program, f"normals_{dtype}"),
            "rand_distr": partial(program, f"ziggurat_{dtype}"),
            "numpy": partial(calls.numpy_normals, dtype),
        },
        targets=(at_least(1.0), Target("time", 2.5e-9)),
        threads=1,
    )


def _hadamard_limit(N: int, D: int, dtype: str, write: bool) -> Limit:
    def limit(top: roof.Roof, threads: int) -> dict[str, float]:
        bytes_ = N * _bytes(dtype)
        # Three levels of the transform in registers at a time, or additions at half the rate of multiply-adds.
        passes = 2 * bytes_ * math.ceil(math.log2(N) / 3) / top.memory("triad in L2")
        additions = N * math.log2(N) / (top.product("peak", dtype) / 2)
        parts = {"transform": max(passes, additions) / threads, "deviates": D * top.normal(dtype) / threads}
        if write:
            parts["fresh memory"] = (N + D) * _bytes(dtype) / top.memory("fresh", threads)
        return parts

    return limit


def _hadamard_data(dtype: str) -> Workload:
    N, D = 4096, 1024
    return Workload(
        title=f"Hadamard data, N={N} D={D}, {dtype}",
        unit="sample",
        contenders={
            OURS: partial(calls.hadamard_data, N, D, dtype),
            ALONE: partial(calls.hadamard_data, N, D, dtype),
            "scipy DCT": partial(calls.rival_dct, N, D, dtype),
        },
        targets=(at_least(4.0), share(0.7)),
        limit=_hadamard_limit(N, D, dtype, write=True),
    )


def _hadamard_sgd() -> Workload:
    problem = Problem(1024, 256, 4, dtype="float32")
    transformed = Problem(1024, 256, 4, dtype="float32", transform=True)
    by_transform = rivals(transformed, 8, 1024)

    def limit(top: roof.Roof, threads: int) -> dict[str, float]:
        parts = _hadamard_limit(problem.N, problem.D, "float32", write=False)(top, threads)
        passed = (3 + 2 * problem.K) * problem.N * 4
        return {**parts, "signs and step": passed / top.memory("triad in L2") / threads}

    return Workload(
        title="SGD on Hadamard data, N=1024 D=256 K=4, float32",
        unit="sample",
        contenders={
            OURS: partial(calls.online_sgd, problem, 60_000, features="hadamard"),
            ALONE: partial(calls.online_sgd, problem, 60_000, features="hadamard"),
            **rivals(problem, 8, 1024),
            "Numba, scipy DCT": by_transform["Numba"],
        },
        targets=(at_least(5.0),),
        limit=limit,
    )


def _first_steps() -> Workload:
    problem = Problem(1000, 100, 4)
    return Workload(
        title="runs of 2000 steps from their start, N=1000 D=100 K=4, float64",
        unit="sample",
        contenders={
            OURS: partial(calls.short_run, problem, 2000),
            "steady hmm_rs": partial(calls.online_sgd, problem, 40_000),
        },
        targets=(Target("over", 1.10, "steady hmm_rs"),),
        limit=_sgd_limit(problem, "data D=100"),
    )


def _large_results() -> Workload:
    rows = columns = 4096
    return Workload(
        title="large results: 134 MB of data with one latent, float64",
        unit="call",
        contenders={
            OURS: partial(calls.large_result, rows, columns),
            "numpy's fill": partial(calls.fresh_fill, rows, columns),
        },
        targets=(Target("over", 1.5, "numpy's fill"),),
        limit=lambda top, threads: {"fresh memory": rows * (columns + 1) * 8 / top.memory("fresh", threads)},
        note="numpy's fill is a lower bound, on one thread: nothing is computed",
    )


def _kernel() -> Workload:
    P, h, d = 2000, 10_000, 10
    flops = 2.0 * P * P * h
    return Workload(
        title=f"tangent kernel of a network, P={P} h={h} d={d}, float64",
        unit="kernel",
        contenders={
            OURS: partial(calls.network_kernel, P, h, d),
            ALONE: partial(calls.network_kernel, P, h, d),
            "numpy": partial(calls.rival_kernel, P, h, d),
        },
        targets=(at_least(1.2), Target("memory", 1 / 3, "numpy")),
        flops=flops,
        limit=lambda top, threads: {
            "symmetric products": flops / top.product("gram P=2000", "float64", threads)
        },
    )


def _particles() -> Workload:
    M, P, d = 20_000, 4000, 100
    flops = 4.0 * M * P * d
    return Workload(
        title=f"particle step, M={M} P={P} d={d}, float32",
        unit="step",
        contenders={
            OURS: partial(calls.particle_step, M, P, d),
            ALONE: partial(calls.particle_step, M, P, d),
            **{name: partial(calls.rival_particles, name, M, P, d) for name in ("numpy", "jax", "torch")},
        },
        targets=(at_least(2.0), share(0.8), threads(1.7)),
        flops=flops,
        limit=lambda top, threads: {"two products": flops / top.product("particles", "float32", threads)},
    )


def _late_particles() -> Workload:
    M, P, d = 20_000, 4000, 100
    return Workload(
        title=f"particle step with 5 % unsatisfied, M={M} P={P} d={d}, float32",
        unit="step",
        contenders={
            OURS: partial(calls.particle_step, M, P, d, late=True),
            "first step": partial(calls.particle_step, M, P, d),
        },
        targets=(Target("over", 0.65, "first step"),),
    )


def _replica(loss: str, most: float) -> Workload:
    return Workload(
        title=f"replica curve of 20 points, p=1000, {loss}, one core",
        unit="curve",
        contenders={
            OURS: partial(calls.replica_curve, loss),
            "numpy": partial(calls.rival_curve, loss),
        },
        targets=(Target("time", most),),
        threads=1,
    )


def _equations(K: int, M: int, ratio: float) -> Workload:
    return Workload(
        title=f"equations' right-hand side, K={K} M={M}, 30 nodes, one core",
        unit="evaluation",
        contenders={OURS: partial(calls.velocity, K, M), "numpy": partial(calls.rival_velocity, K, M)},
        targets=(at_least(ratio),),
        threads=1,
    )


def _solve(
    K: int, M: int, delta: float, end: float, target: Target, methods: tuple[str, ...], note: str = ""
) -> Workload:
    theirs = {f"scipy {method}": partial(calls.rival_solve, K, M, delta, end, method) for method in methods}
    return Workload(
        title=f"equations to t={end:g}, K={K} M={M} delta={delta:g}, one core",
        unit="solution",
        contenders={OURS: partial(calls.solve, K, M, delta, end), **theirs},
        targets=(target,),
        threads=1,
        note=note,
    )


def _full_batch(loss: str) -> Workload:
    return Workload(
        title=f"{loss} fit, n=2000 p=1000 lam=0.1, one core",
        unit="fit",
        contenders={
            OURS: partial(calls.full_batch, loss),
            "scikit-learn": partial(calls.rival_full_batch, loss),
        },
        targets=(at_least(1.0),),
        threads=1,
        note="ours to a certified gap of 1e-9",
    )


WORKLOADS: dict[str, Workload] = {
    "sgd-f64": _sgd(Problem(1000, 100, 4), "data D=100", (at_least(2.5), share(0.85)), 40_000),
    "sgd-f32": _sgd(Problem(1000, 100, 4, dtype="float32"), "data D=100", (at_least(4.0),), 40_000),
    "sgd-d500": _sgd(Problem(1000, 500, 2), "data D=500", (at_least(1.7), share(0.85)), 20_000),
    "sgd-n10000": _sgd(Problem(10_000, 100, 2), "data N=10000", (at_least(2.2), threads(1.85)), 6_000),
    "mini-batch": _mini_batch(),
    "gradient-f64": _gradient("float64"),
    "gradient-f32": _gradient("float32"),
    "normals-f64": _normals("float64"),
    "normals-f32": _normals("float32"),
    "large-results": _large_results(),
    "first-steps": _first_steps(),
    "hadamard-f64": _hadamard_data("float64"),
    "hadamard-f32": _hadamard_data("float32"),
    "hadamard-sgd": _hadamard_sgd(),
    "network-kernel": _kernel(),
    "particles": _particles(),
    "particles-late": _late_particles(),
    "replica-ridge": _replica("ridge", 0.5e-3),
    "replica-logistic": _replica("logistic", 20e-3),
    "replica-hinge": _replica("hinge", 10e-3),
    "equations-k2": _equations(2, 2, 50.0),
    "equations-k8": _equations(8, 4, 20.0),
    "solve-k2": _solve(2, 2, 0.1, 100.0, at_least(50.0), ("LSODA", "DOP853")),
    "stiff-k2": _solve(
        2, 2, 0.01, 1000.0, Target("time", 0.1), (), "explicit methods and LSODA take minutes"
    ),
    "stiff-k8": _solve(
        8, 4, 0.01, 1000.0, Target("time", 0.1), (), "explicit methods and LSODA take minutes"
    ),
    "fit-logistic": _full_batch("logistic"),
    "fit-hinge": _full_batch("hinge"),
}


def contender_named(workload: str, contender: str) -> Contender:
    """Return a contender by the names that a process is given."""
    if workload == "roof":
        return roof.MEASUREMENTS[contender]
    return WORKLOADS[workload].contenders[contender]
