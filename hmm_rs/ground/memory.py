"""Memory is known before it is taken."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from .errors import ResourceError

try:
    import resource
except ImportError:  # not a Unix
    resource = None  # type: ignore[assignment]

__all__ = ["available_bytes", "require"]

_UNLIMITED = 1 << 62


class _Files(NamedTuple):
    """Where a version of control groups says what is allowed, used, and given back on demand."""

    limit: str
    usage: str
    reclaimable: str


_V1 = _Files("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
_V2 = _Files("memory.max", "memory.current", "inactive_file")


def available_bytes() -> int:
    """Return the bytes of memory that can be had without swapping, within the limits of process and container."""
    return min(_of_the_machine(), _of_the_process(), _of_the_container())


def require(needed: int, what: str, remedy: str) -> None:
    """Raise ResourceError if `needed` bytes are more than there are."""
    available = available_bytes()
    if needed > available:
        raise ResourceError(
            f"{what} needs {needed / 2**30:.3g} GiB: only {available / 2**30:.3g} GiB are available; {remedy}"
        )


def _of_the_machine() -> int:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return _UNLIMITED


def _of_the_process() -> int:
    """Return what `ulimit -v` and `ulimit -d` leave."""
    if resource is None:
        return _UNLIMITED
    limits = [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA)]
    if all(limit == resource.RLIM_INFINITY for limit in limits):
        return _UNLIMITED
    try:
        pages = [int(n) for n in Path("/proc/self/statm").read_text().split()]
        used = [n * os.sysconf("SC_PAGE_SIZE") for n in (pages[0], pages[5])]
    except (OSError, ValueError, IndexError):
        used = [0, 0]
    return min(
        max(limit - taken, 0)
        for limit, taken in zip(limits, used, strict=True)
        if limit != resource.RLIM_INFINITY
    )


def _of_the_container() -> int:
    """Return what the control groups of this process leave, of version 2 or 1."""
    return min((_left_in(*group) for group in _limiting_groups()), default=_UNLIMITED)


@lru_cache(maxsize=1)
def _limiting_groups(
    root: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")
) -> tuple[tuple[Path, _Files], ...]:
    """Return the folders of the control groups that limit this process.

    They are looked for once: the question is put before every large allocation.
    """
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return ()
    found: list[tuple[Path, _Files]] = []
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            files, top = _V2, root
        elif "memory" in controllers.split(","):
            files, top = _V1, root / "memory"
        else:
            continue
        found += [(folder, files) for folder in _upwards(top, group) if _left_in(folder, files) < _UNLIMITED]
    return tuple(found)


def _upwards(top: Path, group: str) -> Iterator[Path]:
    """Yield the folder of a control group and those above it: each has its own limit.

    Inside a container the named folder may not be visible; then only the top one is there.
    """
    parts = [part for part in group.split("/") if part not in ("", "..")]
    for depth in range(len(parts), -1, -1):
        yield top.joinpath(*parts[:depth])


def _left_in(folder: Path, files: _Files) -> int:
    """Return what one control group leaves."""
    try:
        limit = (folder / files.limit).read_text().strip()
        if limit == "max" or int(limit) >= _UNLIMITED:
            return _UNLIMITED
        used = int((folder / files.usage).read_text())
        # The cache of files counts as used but is given back on demand.
        for line in (folder / "memory.stat").read_text().splitlines():
            if line.startswith(files.reclaimable + " "):
                used -= int(line.split()[1])
    except (OSError, ValueError):
        return _UNLIMITED
    return max(int(limit) - used, 0)
