"""Every error of hmm_rs: the public address of :mod:`hmm_rs.ground.errors`."""

from .ground.errors import (
    CheckpointWarning,
    ConvergenceError,
    DivergenceError,
    DtypeError,
    HmmError,
    InvalidParameterError,
    MissingExtraError,
    ResourceError,
    ShapeError,
    StopRun,
    SweepError,
    SweepWarning,
)

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
