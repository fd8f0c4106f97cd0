"""Memorisation with flipped labels, and the mean field of measured data: twins in plain numpy, limits, data."""

import math

import numpy as np
import pytest

import hmm_rs as hr
from hmm_rs.theory.hinge.mislabelled import memorise

TIMES = np.array([20.0, 100.0, 300.0, 800.0])


def twin(N, times, *, d, beta, flip, dt=0.05, examples=2001):
    """The same equations, one unit of state for every example of an evenly spaced sample, in small equal steps."""
    z = _half_normal(examples)
    z = np.concatenate([z, -z])
    share = np.repeat([(1 - flip) / examples, flip / examples], examples)
    s, gamma, kappa = np.zeros(2 * examples), 0.0, d**-0.5
    found, step = [], 0
    for stop in times:
        while step * dt < stop - 1e-9:
            u = kappa * math.sinh(2 * gamma) * z / 2 + s < 1.0
            # d gamma/dt = (c kappa/2) <u z>, ds/dt = (c/N) (H_w + H_a A_2) with kappa^2 d = 1.
            drive = 0.5 * beta * kappa * float((share * u * z).sum())
            a2 = math.cosh(2 * gamma)
            s += dt * u * beta / N * (0.25 - 0.75 / math.pi + (0.25 - 0.5 / math.pi) * a2)
            gamma += dt * drive
            step += 1
        found.append(gamma)
    return np.array(found)


def _half_normal(n):
    from scipy.special import ndtri

    return ndtri(0.5 * (1 + (np.arange(n) + 0.5) / n))


def course(N, times, d, beta, flip):
    return hr.theory.HingeMeanField(d, beta=beta, flip=flip).memorisation(N, times)


def test_without_flips_it_is_the_theory_of_clean_examples():
    # Two derivations: one margin for all examples in closed form, and a margin for each.
    clean = hr.theory.HingeMeanField(100, beta=2.5).memorisation(100_000, TIMES)
    found = memorise(
        N=100_000,
        times=TIMES,
        d=100,
        threshold=1.0,
        clock=2.5,
        kappa=0.1,
        sigma_x=1.0,
        sigma_a=1.0,
        sigma_w=1.0,
        C0=0.0,
        C1=1.0,
        flip=0.0,
    )
    # Steps of .004 in gamma: half of one in the time.
    np.testing.assert_allclose(found.gamma, clean.gamma, rtol=0.003)
    # 400 cells of z.
    np.testing.assert_allclose(found.train_unsatisfied, clean.train_unsatisfied, atol=0.004)
    np.testing.assert_allclose(found.test_unsatisfied, clean.test_unsatisfied, atol=0.004)


def test_a_twin_in_small_equal_steps():
    for flip in (0.02, 0.1):
        found = course(5000, TIMES[:3], 30, 1.0, flip).gamma
        # Steps of either side, and chattering of examples held at the margin.
        np.testing.assert_allclose(
            found, twin(5000, TIMES[:3], d=30, beta=1.0, flip=flip), rtol=0.01, atol=0.005
        )


def test_many_examples_are_the_theory_of_the_population():
    theory = hr.theory.HingeMeanField(30, flip=0.05)
    # Memorisation goes like 1/N.
    np.testing.assert_allclose(
        theory.memorisation(10**9, TIMES).gamma, theory.gamma(TIMES), rtol=0.003, atol=0.003
    )


def test_flips_slow_the_rotation_hasten_overfitting_and_are_learnt_last():
    t = np.geomspace(1, 3000, 60)
    clean, noisy = (course(20_000, t, 40, 2.0, flip) for flip in (0.0, 0.05))
    assert (noisy.gamma < clean.gamma).all()
    # The test set does best before the rotation turns back; without flips it never gets worse.
    assert np.argmin(noisy.test_unsatisfied.values) < np.argmin(clean.test_unsatisfied.values)
    late = noisy.sel(t=1000, method="nearest")
    assert float(late.train_unsatisfied_flipped) > 0.9
    assert float(late.train_unsatisfied_clean) < 0.5
    assert float(noisy.train_error[0]) == pytest.approx(0.05)
    assert float(noisy.train_error[-1]) < 0.05


def test_half_of_the_labels_wrong_is_refused():
    with pytest.raises(hr.InvalidParameterError, match=r"flip = 0.5"):
        hr.theory.HingeMeanField(10, flip=0.5).memorisation(100, [1.0])
    with pytest.raises(hr.InvalidParameterError, match="t:"):
        hr.theory.HingeMeanField(10, flip=0.1).memorisation(100, [2.0, 1.0])


def test_a_measured_law_has_the_moments_of_the_data():
    rng = np.random.default_rng(1)
    d, mu = 12, 1.3
    y = rng.choice([-1.0, 1.0], 4000)
    direction = rng.normal(size=d)
    direction /= np.linalg.norm(direction)
    X = mu * y[:, None] * direction + rng.normal(size=(4000, d))
    theory = hr.theory.HingeMeanField.from_data(X, y, teacher=direction)
    z = y * (X @ direction)
    # At the start every example pulls: c kappa <z>/2, whatever the law.
    assert float(theory.gamma_dot(0.0)) == pytest.approx(z.mean() / (2 * math.sqrt(d)), rel=1e-9)
    assert theory.sigma_x == pytest.approx(1.0, abs=0.02)
    exact = hr.theory.HingeMeanField(d, law="mixture", mu=mu)
    t = [1.0, 5.0, 20.0]
    # Sampling of <z>, 1.2 %, and the bandwidth of the estimate.
    np.testing.assert_allclose(theory.gamma(t), exact.gamma(t), rtol=0.05)


def test_odd_data_are_refused_in_words():
    X, y = np.random.default_rng(3).normal(size=(20, 3)), np.repeat([1.0, -1.0], 10)
    with pytest.raises(hr.InvalidParameterError, match="rescale"):
        hr.theory.HingeMeanField.from_data(1e200 * X, y)
    with pytest.raises(hr.InvalidParameterError, match="law = "):
        hr.theory.HingeMeanField.from_data(X, y, law="gaussian")
    # Values of z that are all alike stand for a narrow law about them.
    theory = hr.theory.HingeMeanField.from_data(np.ones((5, 2)), np.ones(5), sigma_x=1.0)
    assert float(theory.gamma_dot(0.0)) == pytest.approx(math.sqrt(2.0) / (2 * math.sqrt(2.0)), rel=1e-6)


def test_the_direction_of_the_labels():
    rng = np.random.default_rng(2)
    teacher = rng.normal(size=20)
    X = rng.normal(size=(20_000, 20))
    found = hr.observables.label_direction(X, np.sign(X @ teacher))
    # tan of the angle: sqrt(pi (d - 1)/(2 N)) = .039.
    assert found @ teacher / np.linalg.norm(teacher) > 0.998
    with pytest.raises(hr.InvalidParameterError, match="no direction"):
        hr.observables.label_direction([[1.0], [1.0]], [1.0, -1.0])
    with pytest.raises(hr.InvalidParameterError, match="y holds"):
        hr.observables.label_direction([[1.0], [1.0]], [1.0, 0.0])
