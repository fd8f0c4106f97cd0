"""Memory is known before it is taken."""

from __future__ import annotations

import os
from pathlib import Path

from .errors import ResourceError

__all__ = ["available_bytes", "require"]


def available_bytes() -> int:
    """Return the bytes of memory that can be had without swapping."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 1 << 62


def require(needed: int, what: str, remedy: str) -> None:
    """Raise ResourceError if `needed` bytes are more than there are."""
    available = available_bytes()
    if needed > available:
        raise ResourceError(
            f"{what} needs {needed / 2**30:.3g} GiB: only {available / 2**30:.3g} GiB are available; {remedy}"
        )
