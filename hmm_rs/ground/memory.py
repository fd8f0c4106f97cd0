"""Memory is known before it is taken."""

from __future__ import annotations

from .._lib import available_bytes
from .errors import ResourceError

__all__ = ["available_bytes", "require"]

#: Requests below this, 32 MiB, are not worth a look at what is free, which reads a dozen files.
_SMALL = 32 << 20


def require(needed: int, what: str, remedy: str) -> None:
    """Raise ResourceError if `needed` bytes are more than there are.

    What counts is the least of the machine's free memory, the limits of the process (`ulimit`) and those of its control
    groups (containers, batch systems).
    """
    if needed < _SMALL:
        return
    available = available_bytes()
    if needed > available:
        # A file may announce more than a float can hold.
        gib = min(needed, 2**1000) / 2**30
        raise ResourceError(
            f"{what} needs {gib:.3g} GiB: only {available / 2**30:.3g} GiB are available; {remedy}"
        )
