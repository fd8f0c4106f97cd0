"""Data too large, data drawn too long, functions that call the package: errors, answers, never a hang."""

import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

import hmm_rs as hr
from hmm_rs import generators
from hmm_rs.data.generators.stack import LayerStack


@pytest.mark.parametrize(
    "make",
    [
        lambda: hr.TwoLayer.random(10**6, 10**6),
        lambda: hr.TwoLayer.random(10**13, 3),
        lambda: hr.MeanFieldNetwork.random(10**7, 10**7),
        lambda: generators.random_layers([2**32, 4], "tanh"),
        lambda: generators.random_layers([10**6, 10**7], "sign"),
        lambda: LayerStack('[{"type": "activation", "f": "tanh"}]', {}, latents=10**13, center=False),
        lambda: generators.from_callable(lambda c: c, 10**13),
        lambda: hr.TeacherStudent(10**7).covariances(),
        lambda: hr.HiddenManifold(10**7, 1, F="dct").covariances(),
        lambda: hr.HiddenManifold(10**7, 10**6).F,
        lambda: generators.estimate_covariances(hr.TeacherStudent(10**7), 10),
        lambda: hr.GaussianEquivalent(hr.TeacherStudent(10**7)).sample(1),
        lambda: hr.theory.one_layer_covariances(np.ones((10**6, 1)), "sign"),
        lambda: hr.theory.recursive_covariances([np.ones((10**6, 1))], "sign"),
        lambda: hr.theory.one_layer_covariances(np.ones((10**6, 1)), np.sin),
    ],
)
def test_what_does_not_fit_is_refused_before_it_is_taken(make):
    started = time.perf_counter()
    with pytest.raises(hr.ResourceError, match="GiB"):
        make()
    assert time.perf_counter() - started < 2.0


def test_a_function_of_nothing_is_refused():
    with pytest.raises(hr.ShapeError, match="N >= 1"):
        generators.from_callable(lambda c: np.zeros((len(c), 0)), 3)
    with pytest.raises(hr.DtypeError, match="complex"):
        generators.from_callable(lambda c: c * 1j, 3)


@pytest.mark.skipif(sys.platform != "linux", reason="limits on the address space")
def test_a_limit_on_the_address_space_is_an_error_too():
    code = """
    import resource
    import hmm_rs as hr
    model = hr.HiddenManifold(1000, 10)
    model.sample(1000)
    used = int(open("/proc/self/statm").read().split()[0]) * 4096
    resource.setrlimit(resource.RLIMIT_AS, (used + (600 << 20), used + (600 << 20)))
    for make in (
        lambda: model.sample(200_000),
        lambda: hr.TwoLayer.random(10_000, 20_000),
        lambda: hr.MeanFieldNetwork.random(10_000, 20_000),
        lambda: hr.Stripe(1000).sample(200_000),
        lambda: hr.HiddenManifold(20_000, 10_000).sample(1),
    ):
        try:
            make()
        except hr.ResourceError:
            print("refused")
    """
    done = subprocess.run(
        [sys.executable, "-P", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.stdout.split() == ["refused"] * 5, done.stderr[-2000:]


def test_rows_of_a_cosine_transform_are_normalised_at_once():
    started = time.perf_counter()
    model = hr.HiddenManifold(2**17, 2**15, F="dct", normalise_rows=True)
    X, _ = model.sample(1)
    assert time.perf_counter() - started < 20
    assert np.isfinite(X).all()
    for N, D in ((45, 11), (64, 64), (33, 20), (2, 1)):
        F = hr.HiddenManifold(N, D, F="dct", normalise_rows=True, seed=N).F
        np.testing.assert_allclose((F**2).sum(1), D, rtol=1e-12)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_function_may_call_the_package(threads):
    code = f"""
    import numpy as np
    import hmm_rs as hr
    hr.set_num_threads({threads})
    net = hr.TwoLayer.random(3, 50)
    field = hr.MeanFieldNetwork.random(20, 50)
    other = hr.HiddenManifold(50, 5)
    def f(u):
        net.forward(np.ones((1, 50)))
        field.forward(np.ones((3, 50)), threads={threads})
        other.sample(300)
        return np.tanh(u)
    X, _ = hr.HiddenManifold(100, 10, f=f).sample(1000)
    Y, _ = hr.HiddenManifold(100, 10, f=np.tanh).sample(1000)
    assert (X == Y).all()
    model = hr.generators.from_callable(lambda c: field.forward(c @ np.ones((4, 50)))[:, None], 4)
    model.covariances(3000)
    sim = hr.OnlineSGD(hr.HiddenManifold(100, 10, f=f), hr.TwoLayer.random(2, 10, seed=1),
                       student=hr.TwoLayer.random(2, 100, seed=2), lr=.1, test_size=200)
    sim.advance(200)
    print("done")
    """
    done = subprocess.run(
        [sys.executable, "-P", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.stdout == "done\n", done.stderr[-2000:]


def test_labels_of_stored_samples_are_classes_where_they_are_classified():
    X = np.random.default_rng(0).normal(size=(200, 20))
    options = {"student": hr.TwoLayer.random(2, 20, seed=1), "lr": 0.1, "classify": True, "test_size": 50}
    zero_one = hr.StoredSamples(X, (X[:, 0] > 0) * 1.0)
    with pytest.raises(hr.InvalidParameterError, match=r"y holds 0: must be \+1 or -1"):
        hr.OnlineSGD(zero_one, zero_one.labels_teacher, **options)
    signs = hr.StoredSamples(X, np.sign(X[:, 0]))
    hr.OnlineSGD(signs, signs.labels_teacher, **options).advance(10)
