"""hmm_rs: a laboratory for how neural networks learn from structured data.

HMM here is the hidden *manifold* model. Describe a problem (:mod:`hmm_rs.data`,
:mod:`hmm_rs.networks`), run it (:mod:`hmm_rs.dynamics`) or solve the matching theory
(:mod:`hmm_rs.theory`), and get the same labelled table from both.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from . import _lib, errors, observables, schedules
from .data import (
    Cylinder,
    GaussianEquivalent,
    GaussianMixture,
    HiddenManifold,
    LinearlySeparable,
    SingleInterface,
    Sphere,
    StoredSamples,
    Stripe,
    TeacherStudent,
    UniformSphere,
)
from .ground.arguments import count as _count
from .ground.arguments import threads as _checked_threads
from .ground.errors import (
    ConvergenceError,
    DivergenceError,
    DtypeError,
    HmmError,
    InvalidParameterError,
    ResourceError,
    ShapeError,
    StopRun,
    SweepError,
    SweepWarning,
)
from .ground.versions import cite, show_versions
from .measure.compression import compression
from .networks.mean_field import MeanFieldNetwork
from .networks.random_nodes import RandomNodes
from .networks.two_layer import TwoLayer

if TYPE_CHECKING:
    from . import cnn as cnn
    from . import experiments as experiments
    from . import figures as figures
    from . import generators as generators
    from . import kernels as kernels
    from . import plot as plot
    from . import sklearn as sklearn
    from . import testing as testing
    from . import theory as theory
    from .comparison import compare as compare
    from .dynamics import FullBatch as FullBatch
    from .dynamics import GradientFlow as GradientFlow
    from .dynamics import KernelFlow as KernelFlow
    from .dynamics import OnlineSGD as OnlineSGD
    from .dynamics import Particles as Particles
    from .dynamics import amp as amp
    from .dynamics import load as load
    from .dynamics import logtimes as logtimes
    from .dynamics import resume as resume
    from .experiments import ensemble as ensemble
    from .frames import to_frame as to_frame
    from .reruns import rerun as rerun
    from .sweeps import sweep as sweep

__version__ = _lib.__version__

__all__ = [
    "ConvergenceError",
    "Cylinder",
    "DivergenceError",
    "DtypeError",
    "FullBatch",
    "GaussianEquivalent",
    "GaussianMixture",
    "GradientFlow",
    "HiddenManifold",
    "HmmError",
    "InvalidParameterError",
    "KernelFlow",
    "LinearlySeparable",
    "MeanFieldNetwork",
    "OnlineSGD",
    "Particles",
    "RandomNodes",
    "ResourceError",
    "ShapeError",
    "SingleInterface",
    "Sphere",
    "StopRun",
    "StoredSamples",
    "Stripe",
    "SweepError",
    "SweepWarning",
    "TeacherStudent",
    "TwoLayer",
    "UniformSphere",
    "__version__",
    "amp",
    "cite",
    "cnn",
    "compare",
    "compression",
    "ensemble",
    "errors",
    "experiments",
    "figures",
    "generators",
    "get_num_threads",
    "kernels",
    "load",
    "logtimes",
    "observables",
    "plot",
    "rerun",
    "resume",
    "schedules",
    "set_num_threads",
    "show_versions",
    "sklearn",
    "sweep",
    "testing",
    "theory",
    "to_frame",
]

#: Rooms imported at first use, so that ``import hmm_rs`` stays quick.
_LAZY = (
    "cnn",
    "dynamics",
    "experiments",
    "figures",
    "generators",
    "kernels",
    "plot",
    "sklearn",
    "testing",
    "theory",
)


#: Names of rooms that are imported at first use too: whoever needs the theory alone loads no engine.
_LAZY_NAMES = {
    "compare": "comparison",
    "ensemble": "experiments",
    "rerun": "reruns",
    "sweep": "sweeps",
    "to_frame": "frames",
    **dict.fromkeys(
        (
            "FullBatch",
            "GradientFlow",
            "KernelFlow",
            "OnlineSGD",
            "Particles",
            "amp",
            "load",
            "logtimes",
            "resume",
        ),
        "dynamics",
    ),
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return importlib.import_module(f".{name}", __name__)
    if name in _LAZY_NAMES:
        return getattr(importlib.import_module(f".{_LAZY_NAMES[name]}", __name__), name)
    raise AttributeError(f"module 'hmm_rs' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


def set_num_threads(n: int) -> None:
    """Set the number of threads used by default (results never depend on it).

    At first it is ``HMM_RS_NUM_THREADS`` if that is set, else the number of cores, or ``OMP_NUM_THREADS`` if
    that is smaller.
    """
    asked = _checked_threads("n", n)
    _lib.set_num_threads(_count("n", asked))


def get_num_threads() -> int:
    """Return the number of threads used by default."""
    return _lib.get_num_threads()


def _threads_from_environment() -> int | None:
    """Return the default number of threads that the environment asks for, if any."""
    own = os.environ.get("HMM_RS_NUM_THREADS")
    if own is not None:
        try:
            return _checked_threads("HMM_RS_NUM_THREADS", int(own))
        except ValueError:
            raise InvalidParameterError(
                f"HMM_RS_NUM_THREADS = {own!r}: must be a positive integer, four per core at most; unset it or set it "
                f"to one"
            ) from None
    # A list of nested levels counts by its first; what is no number is left to those who read it.
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if first.isascii() and first.isdigit() and 0 < int(first[:9]) < _lib.get_num_threads():
        return int(first[:9])
    return None


if "HMM_RS_INSTRUCTION_SET" in os.environ:
    try:
        _lib.choose_instruction_set(os.environ["HMM_RS_INSTRUCTION_SET"])
    except InvalidParameterError as error:
        # The variable's name instead of the argument's.
        raise InvalidParameterError(
            str(error).replace("instruction_set", "HMM_RS_INSTRUCTION_SET", 1)
        ) from None
if (_asked := _threads_from_environment()) is not None:
    _lib.set_num_threads(_asked)
