"""What the package is tested with, for the tests of those who extend it.

Strategies that draw descriptions, networks, spectra, covariances and ready-to-run engines, and the
promises of the package as functions: bits that do not depend on threads, runs that resume, long calls
that answer Ctrl-C, refusals that help, Gaussian equivalence. Needs hypothesis: ``pip install 'hmm_rs[testing]'``.
"""

# The modules below import hypothesis: whether it is there is asked first.
# ruff: noqa: E402

from __future__ import annotations

from ..ground.extras import extra

extra("hypothesis", of="testing", needed_by="hr.testing")

from .bits import difference, fingerprint
from .descriptions import (
    NONLINEARITIES,
    cubic,
    generators,
    labelled_data,
    models,
    nonlinearities,
    save_times,
    seeds,
    softened_sign,
)
from .engines import ENGINES, EngineCase, engines
from .interrupts import assert_interruptible
from .laws import (
    assert_answers_or_refuses,
    assert_gaussian_equivalent,
    assert_refuses,
    assert_same_bits,
)
from .matrices import covariances, spectra
from .profiles import PROFILES, use_profile
from .rates import falling_rate, schedules
from .resuming import STOPS, assert_resumes, resume_in_fresh_process, stopped_run
from .weights import mean_field_networks, networks, two_layer

__all__ = [
    "ENGINES",
    "NONLINEARITIES",
    "PROFILES",
    "STOPS",
    "EngineCase",
    "assert_answers_or_refuses",
    "assert_gaussian_equivalent",
    "assert_interruptible",
    "assert_refuses",
    "assert_resumes",
    "assert_same_bits",
    "covariances",
    "cubic",
    "difference",
    "engines",
    "falling_rate",
    "fingerprint",
    "generators",
    "labelled_data",
    "mean_field_networks",
    "models",
    "networks",
    "nonlinearities",
    "resume_in_fresh_process",
    "save_times",
    "schedules",
    "seeds",
    "softened_sign",
    "spectra",
    "stopped_run",
    "two_layer",
    "use_profile",
]
