"""The exceptions of hmm_rs.

Every one of them is an :class:`HmmError` and also the builtin class a Python programmer would
catch. Messages name the argument, its value, the rule it breaks and the remedy.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "CheckpointWarning",
    "ConvergenceError",
    "DivergenceError",
    "DtypeError",
    "HmmError",
    "InvalidParameterError",
    "MissingExtraError",
    "ResourceError",
    "ShapeError",
    "StopRun",
    "SweepError",
    "SweepWarning",
]


class HmmError(Exception):
    """Base class of all errors of hmm_rs."""


class InvalidParameterError(HmmError, ValueError):
    """An argument has a value outside its domain."""


class ShapeError(HmmError, ValueError):
    """An array has the wrong shape."""


class DtypeError(HmmError, TypeError):
    """An argument has the wrong type or an array the wrong dtype."""


class _ResultError(HmmError):
    """An error that carries what was computed before it."""

    result: Any

    def __init__(self, message: str = "", result: Any = None) -> None:
        super().__init__(message)
        self.result = result


class ConvergenceError(_ResultError, RuntimeError):
    """An iteration did not reach its tolerance; ``.result`` holds the best iterate."""


class DivergenceError(_ResultError, FloatingPointError):
    """A run left the range of finite numbers; ``.result`` holds what was computed before."""


class SweepError(_ResultError, RuntimeError):
    """A sweep cannot go on, or its results do not fit together; ``.result`` holds what was computed."""


class ResourceError(HmmError, MemoryError):
    """Memory or another resource would not suffice."""


class CheckpointWarning(RuntimeWarning):
    """A checkpoint could not be written; the run goes on."""


class SweepWarning(RuntimeWarning):
    """Points of a sweep failed; the others are there."""


class MissingExtraError(HmmError, ImportError):
    """A library that only some rooms need is not installed."""


class StopRun(Exception):  # noqa: N818 (a request, not an error)
    """Raised in a callback to end a run normally."""
