"""Many runs on any executor, joined into one table: :func:`hmm_rs.sweep`."""

from .run import sweep

__all__ = ["sweep"]
