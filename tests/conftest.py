"""Settings of the whole suite."""

import signal

import matplotlib as mpl
import pytest

from hmm_rs.testing import use_profile

mpl.use("Agg")
# `pytest --hypothesis-profile=thorough` is read later, and so has the last word.
use_profile("quick")


@pytest.fixture(autouse=True, scope="session")
def ctrl_c_is_heard():
    # A shell starts what it puts into the background with SIGINT ignored; the tests of Ctrl-C need to hear it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
