"""Speed beside the machine's limits and beside rivals: `make bench`, or `python benches/run.py --only NAME`.

First the machine's roof, then each workload: time of a unit, rate, share of the limit, rivals' times over ours, peak
memory, and whether the target is met. Every contender runs in a process of its own, in turn with the others; the best
of the repeats counts. A whole run is kept in benches/results, one file for each kind of processor, and the manual's
table is made of these files.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import machine
import report
import roof
from interleaved import timings
from workloads import WORKLOADS

PAGE = Path(__file__).parent.parent / "docs" / "speed.md"
BEGIN, END = "<!-- made by benches/run.py: begin -->\n", "<!-- end -->\n"


def page_with(tables: str, page: str) -> str:
    """Return the manual's page with its tables replaced."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{tables}\n{END}{after}"


def main() -> int:
    """Measure, print, keep; the exit code says nothing about targets."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="under three minutes; rough")
    parser.add_argument(
        "--only", action="append", metavar="NAME", help=f"one of {', '.join(WORKLOADS)}; may be repeated"
    )
    parser.add_argument("--no-roof", action="store_true", help="leave out the machine's limits")
    parser.add_argument("--repeats", type=int, help="timings of each contender (6; quick: 2)")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parser.add_argument(
        "--threads", type=int, default=min(2, cores), help="threads for everybody (at most 2 by default)"
    )
    parser.add_argument("--json", type=Path, help="where to write what was measured")
    options = parser.parse_args()
    names = options.only or list(WORKLOADS)
    for name in names:
        if name not in WORKLOADS:
            parser.error(f"--only {name}: must be one of {', '.join(WORKLOADS)}")
    threads, quick = options.threads, options.quick
    repeats = options.repeats or (2 if quick else 6)
    started = time.perf_counter()

    here = machine.describe()
    top = None
    if not options.no_roof:
        top, missing = roof.measure(threads, 1 if quick else 3, quick)
        print(report.roof_lines(here, top, missing), flush=True)
    rows = {}
    for name in names:
        workload = WORKLOADS[name]
        contenders = {one: workload.threads_of(one, threads) for one in workload.contenders}
        rows[name] = report.row(workload, timings(name, contenders, repeats, quick), top, threads)
        print(f"\n[{name}] {report.row_lines(rows[name])}", flush=True)

    judged = [(name, one) for name, row in rows.items() for one in row["targets"]]
    missed = [
        f"{name} ({one['target']}, found {one['found']})" for name, one in judged if one["met"] is False
    ]
    met = sum(one["met"] is True for _, one in judged)
    took = time.perf_counter() - started
    print(f"\n{met} of {len(judged)} targets met, {len(missed)} missed; {took:.0f} s")
    print("".join(f"  MISSED {line}\n" for line in missed), end="")
    whole = not quick and top is not None and options.only is None
    path = options.json or (report.RESULTS / f"{here['name']}.json" if whole else None)
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(report.as_json(here, top, rows, took))
        print(f"wrote {path}")
    if whole:
        PAGE.write_text(page_with(report.markdown(report.results()), PAGE.read_text()))
        print(f"wrote {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
