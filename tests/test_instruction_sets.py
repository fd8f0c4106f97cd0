"""Whole runs on every instruction set of this machine: the same bits on one set, 1e-12 across sets.

The set is chosen when the package is imported, so every run has a process of its own.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

SETS = ("baseline", "avx2", "avx512", "neon")

RUNS = """
import pickle, sys
import numpy as np
import hmm_rs as hr

def runs(threads):
    model = hr.HiddenManifold(200, 40, f="erf", F="gaussian")
    student = hr.TwoLayer.random(2, 200, seed=1)
    sim = hr.OnlineSGD(model, hr.TwoLayer.random(2, 40), student=student, lr=0.2, test_size=200)
    sim.advance(400, threads=threads)
    X, y = hr.Stripe(10).sample(300)
    network = hr.MeanFieldNetwork.random(150, 10, std_b=1.0, activation="sqrt2_relu")
    flow = hr.GradientFlow(network, X, y, threads=threads)
    flow.advance(50, threads=threads)
    particles = hr.Particles(hr.MeanFieldNetwork.random(200, 10, seed=1), X, y, beta=1.0, test_size=50)
    particles.advance(20, threads=threads)
    atoms = hr.theory.replica.Spectrum.random_features(1.5, (0.8, 0.6), nodes=50)
    curve = hr.theory.replica.learning_curve(atoms, [0.5, 2.0], loss="logistic", lam=0.1, threads=threads)
    return {
        "data": model.sample(100, threads=threads)[0],
        "Hadamard data": hr.HiddenManifold(256, 40, f="erf", F="hadamard").sample(100, threads=threads)[0],
        "student": sim.student.w,
        "flow": flow.network.w,
        "particles": particles.network.w,
        "kernel": hr.kernels.network_ntk(network, X, threads=threads),
        "curve": curve.test_error.values,
    }

found = {"set": hr._lib.instruction_set(), 1: runs(1), 2: runs(2)}
sys.stdout.buffer.write(pickle.dumps(found))
"""


def run_on(instruction_set: str | None) -> subprocess.CompletedProcess[bytes]:
    environment = {name: value for name, value in os.environ.items() if name != "HMM_RS_INSTRUCTION_SET"}
    if instruction_set is not None:
        environment["HMM_RS_INSTRUCTION_SET"] = instruction_set
    return subprocess.run(
        [sys.executable, "-P", "-c", RUNS], capture_output=True, check=False, env=environment, timeout=300
    )


@pytest.fixture(scope="module")
def found() -> dict:
    """What the runs gave on each set that this machine has."""
    answers = {}
    for name in SETS:
        done = run_on(name)
        if done.returncode == 0:
            answers[name] = pickle.loads(done.stdout)
        else:
            assert b"must be one that this machine has" in done.stderr, done.stderr.decode()
    return answers


def test_every_set_of_this_machine_can_be_chosen(found):
    names = [one["set"] for one in found.values()]
    assert "baseline" in found
    assert len(set(names)) == len(names)
    # What is chosen where nothing is asked is the last of them.
    assert pickle.loads(run_on(None).stdout)["set"] == names[-1]


def test_bits_on_one_set_do_not_depend_on_the_threads(found):
    for name, one in found.items():
        for what in one[1]:
            np.testing.assert_array_equal(one[1][what], one[2][what], err_msg=f"{name}: {what}")


def test_sets_agree(found):
    for name, one in found.items():
        for what, expected in found["baseline"][1].items():
            # Promised across sets, relative to the largest: an entry near zero is a difference.
            np.testing.assert_allclose(
                one[1][what], expected, rtol=0, atol=1e-12 * np.abs(expected).max(), err_msg=f"{name}: {what}"
            )


def test_an_unknown_set_is_refused_by_the_variables_name():
    done = run_on("mmx")
    assert done.returncode == 1
    assert b"InvalidParameterError: HMM_RS_INSTRUCTION_SET = 'mmx'" in done.stderr
