"""Runs under fire: whatever stops a run, and wherever, nothing that was saved is lost and no bit differs."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

PROGRAM = Path(__file__).with_name("killing.py")
ENGINES = ("OnlineSGD", "Particles", "GradientFlow", "KernelFlow", "CNNFlow")
KILLS = ("kill -9", "kill -9 inside the write")
OTHERS = ("SIGTERM", "Ctrl-C", "an error in a callback", "max_seconds")


def burnt(folder, way, stops, *engines, seed=1):
    """Return what came out of stopping runs of some engines, each so often."""
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "ignore",
            "-P",
            str(PROGRAM),
            str(folder),
            way,
            str(stops),
            str(seed),
            *engines,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=1800,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    tallies = [json.loads(line) for line in done.stdout.splitlines()]
    assert [tally["engine"] for tally in tallies] == list(engines)
    for tally in tallies:
        assert tally["stops"] >= stops
        assert not tally["lost"] + tally["differing"] + tally["failed"], (tally, done.stderr[-3000:])
    return tallies


@pytest.mark.parametrize(("way", "engines"), [(KILLS[0], ENGINES[:2]), (KILLS[1], ENGINES[2:4])])
def test_some_runs_that_are_killed_lose_nothing(tmp_path, way, engines):
    tallies = burnt(tmp_path, way, 5, *engines)
    if way == "kill -9 inside the write":
        assert all(tally["inside"] == 5 for tally in tallies)


def stops(way, engine):
    """Return how often a way is tried in the slow suite; a child of CNNFlow takes seconds to import and compile."""
    return (30 if way in KILLS else 12) // (4 if engine == "CNNFlow" else 1)


@pytest.mark.slow
@pytest.mark.counted
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("way", KILLS + OTHERS)
def test_runs_that_are_stopped_lose_nothing(tmp_path, tried, way, engine):
    if engine == "CNNFlow" and find_spec("jax") is None:
        pytest.skip("needs jax")
    (tally,) = burnt(tmp_path, way, stops(way, engine), engine, seed=2)
    where = "long runs, stopped and resumed until they end: "
    tried(
        where + (way if way in OTHERS or way == KILLS[1] else "kill -9 at a random moment"),
        tally["stops"],
        {"lost": len(tally["lost"]), "differing": len(tally["differing"])},
    )
