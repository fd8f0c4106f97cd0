"""Time and memory against the sizes of a problem: `make scaling`.

Each point is a process of its own. Beside each slope stands the one expected of the algorithm; the picture of the
manual and the numbers under it are written. A slope is that of the upper half of the points: below, what does not
depend on the size still shows.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import contender
import machine
import numpy as np

HERE = Path(__file__).parent
NUMBERS = HERE / "scaling"
#: How much steeper than expected a slope may be: a cache that is left shows as much.
ALLOWED = 0.2


@dataclass(frozen=True)
class Axis:
    """One size that varies: what is made of it, and the slopes expected of time and memory."""

    title: str
    name: str
    values: tuple[int, ...]
    make: Callable[[int, int], Callable[[], float]]
    time: float
    memory: float


def _sgd(value: int, threads: int, size: str) -> Callable[[], float]:
    import contenders
    from rivals.online_sgd import Problem

    sizes: dict[str, Any] = {"N": 1000, "D": 100, "K": 4, "dtype": "float64"}
    sizes[size] = value
    samples = max(2000, int(4e9 / (2 * sizes["N"] * (sizes["D"] + 4 * sizes["K"]))))
    return contenders.online_sgd(Problem(**sizes), min(samples, 40_000), threads, False)


def _threads(value: int, threads: int) -> Callable[[], float]:
    del threads
    return _sgd(4, value, size="K")


def _hadamard(value: int, threads: int) -> Callable[[], float]:
    import contenders

    return contenders.hadamard_data(value, value // 4, "float64", threads, True)


def _kernel(value: int, threads: int) -> Callable[[], float]:
    import contenders

    return contenders.network_kernel(value, 2000, 10, threads, True)


def _particles(value: int, threads: int, what: str) -> Callable[[], float]:
    import contenders

    sizes = {"M": 4000, "P": 2000} | {what: value}
    return contenders.particle_step(sizes["M"], sizes["P"], 100, threads, False)


def axes(cores: int) -> dict[str, Axis]:
    """Return what is varied; threads only up to the cores there are."""
    counts = tuple(2**i for i in range(int(math.log2(cores)) + 1))
    return {
        "sgd-N": Axis(
            "SGD, a sample", "N", (500, 1000, 2000, 4000, 8000, 16_000), partial(_sgd, size="N"), 1, 1
        ),
        "sgd-D": Axis("SGD, a sample", "D", (50, 100, 200, 400, 800, 1600), partial(_sgd, size="D"), 1, 1),
        "sgd-K": Axis("SGD, a sample", "K", (1, 4, 16, 64, 256), partial(_sgd, size="K"), 1, 1),
        "threads": Axis("SGD, a sample", "threads", counts, _threads, -1, 1),
        # N log N: between the largest three, a slope of 1 + log(14 / 12) / log 4.
        "hadamard-N": Axis(
            "Hadamard data, a sample", "N", (1024, 2048, 4096, 8192, 16_384), _hadamard, 1.11, 1
        ),
        "kernel-P": Axis("network's kernel", "P", (500, 1000, 2000, 4000, 8000), _kernel, 2, 2),
        "particles-M": Axis(
            "particle step", "M", (2000, 4000, 8000, 16_000, 32_000), partial(_particles, what="M"), 1, 1
        ),
        "particles-P": Axis(
            "particle step", "P", (1000, 2000, 4000, 8000, 16_000), partial(_particles, what="P"), 1, 1
        ),
    }


def point(axis: Axis, value: int, threads: int) -> dict[str, float]:
    """Return seconds and MiB of one point: in a process that does nothing else."""
    import contenders  # noqa: F401

    before = contender.resident("VmRSS")
    measure = axis.make(value, threads)
    measure()
    seconds = min(measure() for _ in range(3))
    return {"seconds": seconds, "MiB": contender.resident("VmHWM") - before}


def slope(x: list[int], y: list[float]) -> float:
    """Return the slope in log y against log x of the upper half of the points, at least three."""
    kept = max(min(3, len(x)), len(x) // 2)
    if len(x) < 2 or not all(math.isfinite(one) and one > 0 for one in y[-kept:]):
        return math.nan
    return float(np.polyfit(np.log(x[-kept:]), np.log(y[-kept:]), 1)[0])


def measured(names: list[str], known: dict[str, Axis], threads: int, repeats: int) -> dict[str, Any]:
    """Return points and slopes of the axes; each round goes through all points once."""
    rounds: dict[str, dict[int, list[dict[str, float]]]] = {name: {} for name in names}
    for _ in range(repeats):
        for name in names:
            for value in known[name].values:
                command = [sys.executable, __file__, "--point", name, str(value), "--threads", str(threads)]
                done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
                rounds[name].setdefault(value, []).append(json.loads(done.stdout))
    result = {}
    for name in names:
        axis, of = known[name], rounds[name]
        seconds = [min(one["seconds"] for one in of[value]) for value in axis.values]
        mebibytes = [min(one["MiB"] for one in of[value]) for value in axis.values]
        result[name] = {
            "title": axis.title,
            "name": axis.name,
            "values": list(axis.values),
            "seconds": seconds,
            "MiB": mebibytes,
            "time": {"slope": slope(list(axis.values), seconds), "expected": axis.time},
            "memory": {"slope": slope(list(axis.values), mebibytes), "expected": axis.memory},
        }
    return result


def draw(result: dict[str, Any], path: Path) -> None:
    """Draw time and memory over those of the smallest size, with the slopes expected."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"font.size": 8, "legend.fontsize": 6.5, "axes.titlesize": 8})
    columns = 4
    figure, places = plt.subplots(
        math.ceil(len(result) / columns), columns, figsize=(7.2, 4.4), layout="constrained", squeeze=False
    )
    for place in places.flat[len(result) :]:
        place.axis("off")
    for place, of in zip(places.flat, result.values(), strict=False):
        x = np.array(of["values"], float)
        kinds = (("seconds", "time", "C0", "o"), ("MiB", "memory", "C1", "s"))
        for key, kind, colour, marker in kinds:
            y = np.array(of[key], float)
            fitted, expected = of[kind]["slope"], of[kind]["expected"]
            shown = "" if math.isnan(fitted) else f" {fitted:.2f} ({expected:.3g})"
            place.loglog(
                x, y / y[0], color=colour, marker=marker, markersize=3.5, linewidth=1, label=kind + shown
            )
            # Through the last point, where the size is what costs.
            place.loglog(x, y[-1] / y[0] * (x / x[-1]) ** expected, color=colour, linestyle=":", linewidth=1)
        drawn = [one / of[key][0] for key in ("seconds", "MiB") for one in of[key] if math.isfinite(one)]
        # Room above for the legend.
        place.set_ylim(0.6 * min(drawn), max(drawn) * (max(drawn) / min(drawn)) ** 0.55)
        place.set_title(of["title"])
        place.set_xlabel(of["name"])
        place.set_xticks(x, [f"{one:g}" if one < 1000 else f"{one / 1000:.3g}k" for one in x], fontsize=6.5)
        place.minorticks_off()
        place.legend(frameon=False, title="slope (expected)", title_fontsize=6.5)
    for row in places[:, 0]:
        row.set_ylabel("over the smallest size's")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parser.add_argument("--threads", type=int, default=min(2, cores))
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--only", action="append", metavar="AXIS", help="an axis; may be repeated")
    parser.add_argument("--quick", action="store_true", help="every other point, once")
    parser.add_argument("--picture", type=Path, help="where to draw (the manual's picture after a whole run)")
    parser.add_argument("--point", nargs=2, metavar=("AXIS", "VALUE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    known = axes(cores)
    if options.point:
        name, value = options.point
        contender.keep_to_cores(int(value) if name == "threads" else options.threads)
        print(json.dumps(point(known[name], int(value), options.threads)))
        return 0
    for name in options.only or ():
        if name not in known:
            parser.error(f"--only {name}: must be one of {', '.join(known)}")
    if options.quick:
        known = {
            name: axis if axis.name == "threads" else replace(axis, values=axis.values[::2])
            for name, axis in known.items()
        }
    result = measured(
        options.only or list(known), known, options.threads, 1 if options.quick else options.repeats
    )
    print(f"{'':<34}{'time':>8}{'expected':>10}{'memory':>10}{'expected':>10}")
    for of in result.values():
        time_, memory = of["time"], of["memory"]
        steep = [kind for kind in ("time", "memory") if of[kind]["slope"] > of[kind]["expected"] + ALLOWED]
        print(
            f"{of['title'] + ' against ' + of['name']:<34}{time_['slope']:8.2f}{time_['expected']:10g}"
            f"{memory['slope']:10.2f}{memory['expected']:10g}   {'STEEP: ' + ', '.join(steep) if steep else ''}"
        )
    whole = not (options.quick or options.only)
    if whole:
        here = machine.describe()
        NUMBERS.mkdir(exist_ok=True)
        path = NUMBERS / f"{here['name']}.json"
        path.write_text(json.dumps({"machine": here, "axes": result}, indent=1) + "\n")
        print(f"wrote {path}")
    if options.picture or whole:
        import report
        import run

        picture = options.picture or report.PICTURE
        draw(result, picture)
        print(f"wrote {picture}")
        if whole:
            run.PAGE.write_text(run.page_with(report.markdown(report.results()), run.PAGE.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
