"""One contender in a process of its own: set up once, then one timing for each line read.

`python benches/contender.py WORKLOAD CONTENDER SETTINGS` writes a line of JSON when it is ready, answers each
line `go` with the seconds of a unit of work, the best of a bout, and the end of its input with the memory it took at
most.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: Seconds of a bout: long enough that a slow moment of the machine does not fill it.
BOUT = 0.5


def keep_to_cores(threads: int) -> None:
    """Give this process so many cores, and tell the libraries that ask the environment."""
    for library in ("OPENBLAS", "OMP", "MKL", "NUMBA", "HMM_RS"):
        os.environ[f"{library}_NUM_THREADS"] = str(threads)
    if hasattr(os, "sched_setaffinity"):
        # The last ones: the first core is where a system does its own work.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])


def resident(field: str) -> float:
    """Return a figure of this process's memory in MiB; not a number where there is no /proc."""
    status = Path("/proc/self/status")
    if not status.exists():
        return float("nan")
    return int(status.read_text().split(f"{field}:")[1].split()[0]) / 1024


def best_of_a_bout(measure: Callable[[], Any], enough: float) -> Any:
    """Return the least of as many timings as fit in a time; what is no timing (the machine's rates) is taken once."""
    begun = time.perf_counter()
    best = measure()
    while isinstance(best, float) and time.perf_counter() - begun < enough:
        best = min(best, measure())
    return best


def main() -> None:
    workload, contender, settings = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    # What a library prints must not mix with the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    keep_to_cores(settings["threads"])
    sys.path.insert(0, str(Path(__file__).parent))
    from workloads import contender_named

    # Imported before memory is looked at: code is not what a workload takes.
    import hmm_rs  # noqa: F401

    make = contender_named(workload, contender)
    before = resident("VmRSS")
    try:
        measure = make(settings["threads"], settings["quick"])
        measure()
    except (ImportError, FileNotFoundError) as error:
        answers.write(json.dumps({"missing": str(error)}) + "\n")
        return
    answers.write(json.dumps({"ready": True}) + "\n")
    for _ in sys.stdin:
        found = best_of_a_bout(measure, 0.0 if settings["quick"] else BOUT)
        answers.write(json.dumps(found) + "\n")
    answers.write(json.dumps({"MiB": resident("VmHWM") - before}) + "\n")


if __name__ == "__main__":
    main()
