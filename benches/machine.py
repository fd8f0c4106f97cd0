"""What this machine is: processor, caches, instruction set, and the name its results go by."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import Any

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
SETS = {"v4": "AVX-512", "v3": "AVX2", "scalar": "baseline", "neon": "NEON"}


def _processor() -> tuple[str, str]:
    """Return the processor's name and its family and model, which name it better in a virtual machine."""
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor() or platform.machine(), ""
    fields = dict(re.findall(r"^([^\t:]+)\t*: (.*)$", info.read_text().split("\n\n")[0], re.MULTILINE))
    name = fields.get("model name", platform.machine())
    kind = f"family {fields['cpu family']}, model {fields['model']}" if "model" in fields else ""
    return re.sub(r"\((R|TM)\)|@.*", "", name).strip(), kind


def caches() -> dict[str, int]:
    """Return bytes of the data caches of one core, as far as the system says."""
    found = {}
    for folder in sorted(CACHES.glob("index*")):
        if (folder / "type").read_text().strip() != "Instruction":
            size = (folder / "size").read_text().strip()
            unit = {"K": 1 << 10, "M": 1 << 20}.get(size[-1], 1)
            found["L" + (folder / "level").read_text().strip()] = int(size.rstrip("KM")) * unit
    return found


def huge_pages() -> str:
    """Return when the system backs memory with huge pages."""
    setting = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    found = re.search(r"\[(\w+)\]", setting.read_text()) if setting.exists() else None
    return found[1] if found else "unknown"


def describe() -> dict[str, Any]:
    """Return what the results of this machine are filed under and what matters for them."""
    import numpy as np

    from hmm_rs import _lib

    name, kind = _processor()
    isa = SETS.get(_lib.instruction_set(), _lib.instruction_set())
    return {
        "processor": name,
        "kind": kind,
        "instruction_set": isa,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "caches": caches(),
        "huge_pages": huge_pages(),
        "system": platform.system(),
        "numpy": np.__version__,
        "hmm_rs": _lib.__version__,
        "name": re.sub(r"[^a-z0-9]+", "-", f"{name} {kind} {isa}".lower()).strip("-"),
    }
