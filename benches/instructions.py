"""Instructions that the inner kernels execute, counted by callgrind: a guard that no busy machine disturbs.

`python benches/instructions.py` renews benches/instructions.json; a slow test compares with it. Counts are
instructions of an item (a number, a sample, ...): the difference of two runs of different length, so that what happens
once drops out. Valgrind knows AVX2 but not AVX-512, so it is the AVX2 path that is counted, on any processor that
has it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import programs

KEPT = Path(__file__).parent / "instructions.json"
#: Program, kernel, items of a call, calls of the shorter run.
KERNELS = (
    *(("core_kernels", f"normals_{dtype}", 4096, 4) for dtype in ("float64", "float32")),
    *(("core_kernels", f"erf_{dtype}", 4096, 4) for dtype in ("float64", "float32")),
    *(
        ("core_kernels", f"{name}_{dtype}", 1000, 1000)
        for name in ("dot", "update", "update_dot")
        for dtype in ("float64", "float32")
    ),
    *(("core_kernels", f"product_{dtype}", 128, 1) for dtype in ("float64", "float32")),
    *(
        ("sim_kernels", f"{kind}_{dtype}", 128, 2)
        for kind in ("hadamard", "gaussian")
        for dtype in ("float64", "float32")
    ),
    *(("sim_kernels", f"gradient_{dtype}", 512 * 512, 2) for dtype in ("float64", "float32")),
)


def compiler() -> str:
    """Return the compiler that the programs are made with: another one schedules otherwise."""
    done = subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def counted(program: str, kernel: str, calls: int, environment: Mapping[str, str] = {}) -> tuple[int, str]:
    """Return instructions of a whole run and the instruction set it ran on."""
    with tempfile.TemporaryDirectory() as folder:
        out = f"--callgrind-out-file={folder}/out"
        command = ["valgrind", "--tool=callgrind", out, str(programs.path(program)), kernel, str(calls)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, **environment}
        )
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if not line.startswith("==")]
        raise RuntimeError(" ".join(said))
    found = re.search(r"Collected : (\d+)", done.stderr)
    if not found:
        raise RuntimeError(f"callgrind counted nothing: {done.stderr[-300:]}")
    return int(found[1]), json.loads(done.stdout)["instruction_set"]


def per_item(program: str, kernel: str, items: int, calls: int) -> float:
    """Return instructions of an item."""
    short, long = (counted(program, kernel, count)[0] for count in (calls, 3 * calls))
    return (long - short) / (2 * calls * items)


def kept() -> dict[str, Any]:
    """Return the counts that the repository holds."""
    found: dict[str, Any] = json.loads(KEPT.read_text())
    return found


def main() -> int:
    if shutil.which("valgrind") is None:
        print("valgrind is not installed: nothing is counted")
        return 1
    counts = {}
    for program, kernel, items, calls in KERNELS:
        counts[kernel] = float(f"{per_item(program, kernel, items, calls):.5g}")
        print(f"{kernel:<22}{counts[kernel]:12.5g} instructions an item", flush=True)
    KEPT.write_text(json.dumps({"compiler": compiler(), "instructions": counts}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
