"""Settings of the whole suite."""

import json
import os
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


@pytest.fixture(scope="session")
def tried():
    """Say what was tried, how often, and how many times it came out badly, by kind.

    `make trust` gathers what is said in a file, and makes the table of docs/trust.md of it.
    """

    def say(what: str, times: int, badly: dict[str, int]) -> None:
        if path := os.environ.get("HMM_RS_TRUST"):
            with open(path, "a", encoding="utf-8") as file:
                file.write(json.dumps({"what": what, "times": times, "badly": badly}) + "\n")

    return say
