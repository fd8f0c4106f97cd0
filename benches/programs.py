"""The Rust programs that run one kernel many times (`cargo build --release --examples`)."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent


def path(name: str) -> Path:
    """Return the program `name`, an example of one of the crates."""
    found = Path(os.environ.get("CARGO_TARGET_DIR", TOP / "target")) / "release" / "examples" / name
    if not found.exists():
        raise FileNotFoundError(
            f"no program {found}: make it with `cargo build --release --locked --examples`"
        )
    return found


def core(kernel: str, count: int) -> float:
    """Return seconds of an item of a kernel of hmm-core, from `count` calls."""
    return _run("core_kernels", kernel, count)


def sim(kernel: str, count: int) -> float:
    """Return seconds of an item of a kernel of hmm-sim, from `count` calls."""
    return _run("sim_kernels", kernel, count)


def _run(program: str, kernel: str, count: int) -> float:
    done = subprocess.run(
        [path(program), kernel, str(count)], capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return float(json.loads(done.stdout)["seconds"])
