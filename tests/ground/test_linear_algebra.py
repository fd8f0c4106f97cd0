"""Products of large matrices."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import hmm_rs as hr
from hmm_rs.ground.linear_algebra import eigh, eigvalsh, gram, product


def normals(seed, *shape, dtype=np.float64):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("left", "right"),
    [((3, 4), (4, 5)), ((4,), (4, 5)), ((3, 4), (4,)), ((4,), (4,)), ((300, 1100), (1100, 200))],
)
def test_products_are_those_of_numpy(left, right, dtype):
    a, b = normals(1, *left, dtype=dtype), normals(2, *right, dtype=dtype)
    found = product(a, b)
    assert found.dtype == dtype
    assert found.shape == (a @ b).shape
    np.testing.assert_allclose(found, a.astype(float) @ b, atol=2e-4 if dtype == "float32" else 1e-11)


def test_views_and_mixed_precisions():
    a, b = normals(1, 40, 60), normals(2, 30, 20, dtype=np.float32)
    np.testing.assert_allclose(product(a[::2, ::2], b), a[::2, ::2] @ b, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(product(b.T, a[:30].T[:30].T), b.T @ a[:30, :30], rtol=1e-12, atol=1e-12)
    assert product(a[:, :30], b).dtype == np.float64


def test_grams_are_symmetric():
    a = normals(3, 400, 70)
    found = gram(a)
    np.testing.assert_array_equal(found, found.T)
    np.testing.assert_allclose(found, a @ a.T, atol=1e-12)


def test_bits_do_not_depend_on_threads():
    a, b = normals(4, 500, 1300), normals(5, 1300, 300)
    for threads in (1, 2, 3, 7):
        np.testing.assert_array_equal(product(a, b, threads=threads), product(a, b, threads=1))
        np.testing.assert_array_equal(gram(a, threads=threads), gram(a, threads=1))


def test_bits_do_not_depend_on_blas():
    code = (
        "import hashlib, numpy as np; from hmm_rs.ground.linear_algebra import product;"
        "a = np.sin(np.arange(400.0 * 700)).reshape(400, 700);"
        "print(hashlib.sha256(product(a, a.T).tobytes()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-P", "-c", code],
            env={**os.environ, "OPENBLAS_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "2")
    }
    assert len(digests) == 1


def test_what_does_not_fit_is_refused():
    with pytest.raises(hr.errors.ShapeError, match="inner lengths"):
        product(np.ones((2, 3)), np.ones((2, 3)))
    with pytest.raises(hr.errors.ShapeError, match="matrix"):
        gram(np.ones(3))
    with pytest.raises(hr.errors.ResourceError, match="blocks"):
        gram(np.zeros((10**7, 1)))


def test_eigenvalues_alone_are_those_of_the_decomposition():
    a = normals(6, 40, 40)
    a += a.T
    # Norm 2 sqrt(2 n) = 18, times n roundings.
    np.testing.assert_allclose(eigvalsh(a), eigh(a)[0], rtol=0, atol=40 * 18 * 2.3e-16)
    np.testing.assert_allclose(eigvalsh(a), np.linalg.eigvalsh(a), rtol=0, atol=40 * 18 * 2.3e-16)


@pytest.mark.parametrize("name", ["eigh", "eigvalsh", "solve"])
def test_a_signal_ends_the_wait_for_a_decomposition(name):
    # 4000 rows take many seconds, in one call of a library that nothing stops.
    code = (
        "import os, signal, threading, time, numpy as np;"
        "from hmm_rs.ground import linear_algebra;"
        "a = np.random.default_rng(1).normal(size=(4000, 4000)); a += a.T; ended = 0.0\n"
        "def send():\n"
        "    global sent; time.sleep(0.3); sent = time.monotonic(); os.kill(os.getpid(), signal.SIGINT)\n"
        "threading.Thread(target=send).start()\n"
        f"try: linear_algebra.{name}(a, *([a[0]] if {name!r} == 'solve' else []))\n"
        "except KeyboardInterrupt: ended = time.monotonic()\n"
        "print(ended - sent)"
    )
    result = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    # Signals are looked at every 50 ms; a busy machine may be late.
    assert 0.0 < float(result.stdout) < 1.5
