"""The command line: ``hmm-rs``, the same as ``python -m hmm_rs``."""

from .main import main

__all__ = ["main"]
