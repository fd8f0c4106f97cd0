"""What binds the rows of the bench that miss a target: `make profile`, or `python benches/profiling.py ROW...`.

A library of its own is built, with the names of functions in it; Linux's `perf` looks 2000 times a second at what our
contender computes once it is set up. What is found is kept beside the times in benches/results, and the manual's page
shows it for the rows that miss.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import machine
import report
import run
from interleaved import Child
from workloads import OURS, WORKLOADS

TOP = Path(__file__).resolve().parent.parent
TARGET = TOP / "target" / "profile"
#: Seconds that a row is looked at.
LOOK = 3.0
#: Functions that are told, those above this share.
LEAST = 0.03


def package() -> Path:
    """Return a folder with the package and a library that has the names of its functions."""
    flags = "-C symbol-mangling-version=v0 -C force-frame-pointers=yes"
    settings = {
        "CARGO_TARGET_DIR": str(TARGET),
        "RUSTFLAGS": flags,
        "CARGO_PROFILE_RELEASE_DEBUG": "line-tables-only",
        "CARGO_PROFILE_RELEASE_STRIP": "none",
    }
    command = ["cargo", "build", "--release", "--locked", "--quiet", "-p", "hmm-py"]
    subprocess.run(command, cwd=TOP, env=os.environ | settings, check=True)
    folder = TARGET / "package"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(TOP / "hmm_rs", folder / "hmm_rs", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    shutil.copy2(TARGET / "release" / "lib_lib.so", folder / "hmm_rs" / "_lib.abi3.so")
    return folder


def busy(process: int) -> float:
    """Return seconds of processor that a process has taken."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def looked_at(row: str, threads: int, data: Path) -> dict[str, Any]:
    """Return where our contender of a row spends its time."""
    threads = WORKLOADS[row].threads_of(OURS, threads)
    child = Child(row, OURS, {"threads": threads, "quick": False})
    try:
        told = child.answer()
        if "missing" in told:
            raise RuntimeError(told["missing"])
        child.go()
        command = ["perf", "record", "--quiet", "-F", "2000", "-o", str(data), "-p", str(child.process.pid)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as perf:
            before, begun = busy(child.process.pid), time.perf_counter()
            while time.perf_counter() - begun < LOOK and perf.poll() is None:
                child.go()
            wall, worked = time.perf_counter() - begun, busy(child.process.pid) - before
            perf.send_signal(signal.SIGINT)
            _, complaint = perf.communicate()
        child.end()
    finally:
        child.kill()
    if not data.exists():
        raise RuntimeError(complaint.decode().strip() or "perf wrote nothing")
    return {"idle": max(1.0 - worked / (wall * threads), 0.0), "functions": functions(data)}


def functions(data: Path) -> list[list[Any]]:
    """Return the functions that take most, with their shares, the largest first."""
    command = ["perf", "report", "-i", str(data), "--stdio", "--no-children", "-g", "none"]
    command += ["--sort", "symbol", "-F", "overhead,symbol", "-w", "8,400", "-q"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found: dict[str, float] = {}
    for line in said.splitlines():
        if match := re.match(r"\s*([\d.]+)%\s+\[(.)\] (.+)", line):
            # What follows two spaces are columns that perf adds.
            symbol = re.split(r"\s{2,}", match[3])[0]
            name = plain(symbol) if match[2] == "." else f"system: {symbol}"
            found[name] = found.get(name, 0.0) + float(match[1]) / 100
    ordered = sorted(found.items(), key=lambda item: -item[1])
    return [[name, share] for name, share in ordered if share >= LEAST]


def plain(symbol: str) -> str:
    """Return the function that a symbol is of, without the machinery around it."""
    # A vector kernel is a closure that is given to the dispatcher: what it is for stands in the type.
    paths = re.findall(r"hmm_(?:core|sim|theory)(?:\[\w+\])?(?:::[\w{}#]+)+(?:>(?:::\w+)+)?", symbol)
    name = paths[-1].replace(">", "") if "vectorize" in symbol and paths else symbol
    name = re.sub(r"\[[0-9a-f]{8,}\]", "", name)
    name = re.sub(r"::\{(?:closure|impl)#\d+\}", "", name)
    previous = ""
    while previous != name:
        previous, name = name, re.sub(r"::<[^<>]*>|<([^<>]*)>(?=::)", r"\1", name)
    return name.strip()[:90]


def main() -> int:
    """Look, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("rows", nargs="*", help="default: those that missed a target here")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    options = parser.parse_args()
    if shutil.which("perf") is None:
        print("no perf on this machine (Debian: linux-perf): nothing is looked at")
        return 1
    path = report.RESULTS / f"{machine.describe()['name']}.json"
    kept = json.loads(path.read_text()) if path.exists() else None
    rows = options.rows or (report.missing_rows(kept) if kept else [])
    for row in rows:
        if row not in WORKLOADS:
            parser.error(f"{row}: must be one of {', '.join(WORKLOADS)}")
    os.environ["PYTHONPATH"] = str(package())
    for row in rows:
        found = looked_at(row, options.threads, TARGET / f"{row}.perf")
        print(f"\n[{row}] {report.profile_line(found)}", flush=True)
        if kept and row in kept["workloads"]:
            kept["workloads"][row]["profile"] = report.rounded(found)
    if kept:
        path.write_text(json.dumps(kept, indent=1, allow_nan=False) + "\n")
        run.PAGE.write_text(run.page_with(report.markdown(report.results()), run.PAGE.read_text()))
        print(f"wrote {path} and {run.PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
