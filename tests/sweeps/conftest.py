"""A module of a user: functions that worker processes import, and that count their calls in files."""

import importlib
import sys

import pytest

MODULE = '''
import os
import signal
import time
from pathlib import Path

import numpy as np
import xarray as xr

import hmm_rs as hr

CALLS = Path({calls!r})


def called(*words):
    """Leave a file for this call."""
    with open(CALLS / ("-".join(map(str, words)) or "call"), "a") as file:
        file.write("x")


def line(x, y=1.0, seed=0):
    called(x, y, seed)
    t = np.array([0.0, 1.0, 2.0])
    values = x + y * t + np.random.default_rng(seed).standard_normal(3)
    return xr.Dataset({{"eg": ("t", values)}}, coords={{"t": t}}, attrs={{"source": "simulation", "x": x, "unit": "a"}})


def gated(x):
    """Wait, from the seventh point on, for the test to open the gate."""
    while x >= 6 and not (CALLS.parent / "open").exists():
        time.sleep(0.02)
    return line(x)


def picky(x, seed=0):
    if x == 2:
        raise ValueError("two is not a number I like")
    return line(x, seed=seed)


def deadly(x):
    """Take the worker along the first time (x = 1), or every time (x = 2)."""
    called("deadly", x)
    if x == 2 or (x == 1 and len((CALLS / "deadly-1").read_text()) == 1):
        os.kill(os.getpid(), signal.SIGKILL)
    return float(x)


def threads(x):
    return {{"threads": hr.get_num_threads(), "pid": os.getpid()}}


def longer(x):
    t = np.arange(x + 1.0)
    called("longer", x)
    return xr.Dataset({{"eg": ("t", t)}}, coords={{"t": t}})


def sizes(K):
    k = np.arange(K)
    return xr.Dataset({{"Q": (("t", "k"), np.ones((1, K)))}}, coords={{"t": [0.0], "k": k}})


def student(lr, D, seed, N=60):
    return hr.OnlineSGD(
        hr.HiddenManifold(N, D, seed=seed),
        hr.TwoLayer.random(2, D, seed=1),
        student=hr.TwoLayer.random(2, N, seed=100 + seed),
        lr=lr,
        test_size=100,
        seed=seed,
    )


def equations(lr, D, seed):
    return hr.theory.HiddenManifoldODE.from_simulation(student(lr, D, seed))
'''


@pytest.fixture
def calls(tmp_path):
    """The folder of files, one a point; a file has one letter a call."""
    folder = tmp_path / "calls"
    folder.mkdir()
    return folder


@pytest.fixture
def toy(tmp_path, calls, monkeypatch):
    """The module."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "toy_of_a_user.py").write_text(MODULE.format(calls=str(calls)))
    monkeypatch.syspath_prepend(folder)
    importlib.invalidate_caches()
    yield importlib.import_module("toy_of_a_user")
    del sys.modules["toy_of_a_user"]
