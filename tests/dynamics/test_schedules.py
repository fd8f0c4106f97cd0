"""Rates that change along a simulation: what they are, that nothing else changes, and what is refused."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import erf

import hmm_rs as hr
from hmm_rs import schedules
from hmm_rs.testing import difference, falling_rate
from hmm_rs.testing import schedules as drawn_schedules

N = 40


def make(model=None, **options):
    model = hr.HiddenManifold(N, 10, seed=1) if model is None else model
    teacher, student = hr.TwoLayer.random(2, 10, seed=2), hr.TwoLayer.random(3, N, std_v=1.0, seed=3)
    options = {"lr": 0.2, "test_size": 50, "seed": 4} | options
    return hr.OnlineSGD(model, teacher, student=student, **options)


def weights(sim):
    return sim.student.w, sim.student.v


def assert_same(one, other):
    for a, b in zip(weights(one), weights(other), strict=True):
        np.testing.assert_array_equal(a, b)


# -- the schedules themselves ------------------------------------------------------------------------------


def test_named_schedules_are_their_formulas():
    t = np.concatenate([np.linspace(0.0, 50.0, 201), [1e6]])
    np.testing.assert_array_equal(schedules.Constant(0.3)(t), np.full(t.shape, 0.3))
    jumps = schedules.Step([0.5, 0.1, 0.3], at=[10.0, 20.0])(t)
    np.testing.assert_array_equal(jumps, np.where(t < 10.0, 0.5, np.where(t < 20.0, 0.1, 0.3)))
    # Rounding of a power and a cosine.
    np.testing.assert_allclose(schedules.Power(0.5, 7.0, 0.8)(t), 0.5 / (1 + t / 7.0) ** 0.8, rtol=1e-14)
    cosine = 0.1 + 0.4 * (1 + np.cos(np.pi * np.minimum(t / 30.0, 1.0))) / 2
    np.testing.assert_allclose(schedules.Cosine(0.5, 30.0, end=0.1)(t), cosine, rtol=1e-14)
    assert schedules.Power(1.0, 1.0)(np.zeros((2, 3))).shape == (2, 3)
    assert schedules.Power(1.0, 1.0)(1.0) == 0.5


def test_schedules_are_descriptions():
    one = schedules.Step([0.5, 0.1], at=[20])
    assert repr(one) == "Step(values=(0.5, 0.1), at=(20.0,))"
    assert eval(repr(one), vars(schedules)) == one
    assert hash(one) == hash(schedules.Step(np.array([0.5, 0.1]), (20.0,)))
    assert one != schedules.Step([0.5, 0.1], at=[21])
    assert schedules.Power(0.2, 3.0) == schedules.Power(0.2, b=3.0, c=1.0) != schedules.Cosine(0.2, 3.0, 1.0)
    with pytest.raises(AttributeError, match="frozen"):
        one.at = (3.0,)


@pytest.mark.parametrize(
    ("make_one", "words"),
    [
        (lambda: schedules.Constant(-0.1), "value = -0.1"),
        (lambda: schedules.Step([0.1, 0.2], at=[]), "values has shape"),
        (lambda: schedules.Step([0.1, 0.2], at=3.0), "at = 3.0"),
        (lambda: schedules.Step([0.1, 0.2, 0.3], at=[2.0, 1.0]), "at = .*ascending"),
        (lambda: schedules.Step([0.1, 0.2], at=[0.0]), "at = .*> 0"),
        (lambda: schedules.Step([0.1, -0.2], at=[1.0]), "values = .*>= 0"),
        (lambda: schedules.Step([0.1, np.nan], at=[1.0]), "values holds 1 non-finite"),
        (lambda: schedules.Power(0.1, 0.0), "b = 0.0"),
        (lambda: schedules.Power(0.1, 1.0, -1.0), "c = -1.0"),
        (lambda: schedules.Cosine(0.1, np.inf), "duration = inf"),
        (lambda: schedules.Constant(0.1)([-1.0]), "t = .*>= 0"),
    ],
)
def test_numbers_that_make_no_schedule_are_refused(make_one, words):
    with pytest.raises(hr.HmmError, match=words):
        make_one()


# -- bits --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("second", [False, True])
def test_a_constant_schedule_is_its_number_bit_for_bit(dtype, batch, second):
    rates = {"lr": 0.2, "lr_v": 0.05, "noise": 0.3, "weight_decay": 0.02}
    options = {"dtype": dtype, "batch": batch, "train_second_layer": second}

    def forms(value):
        yield schedules.Constant(value)
        yield schedules.Step([value] * 3, at=[1.0, 2.5])
        yield schedules.Power(value, b=1.0, c=0.0)
        yield lambda t: np.full_like(t, value)

    number = make(**rates, **options)
    expected = number.run(4.0, save_at=[0.0, 1.0, 4.0], threads=1)
    for form, threads in zip(range(4), (1, 2, 3, 7), strict=True):
        other = make(**{name: list(forms(value))[form] for name, value in rates.items()}, **options)
        result = other.run(4.0, save_at=[0.0, 1.0, 4.0], threads=threads)
        assert difference(result.drop_attrs(), expected.drop_attrs()) == "", form
        assert_same(other, number)


PIECES = {
    "lr": (0.3, 0.05),
    "lr_v": (0.0, 0.1),
    "noise": (0.5, 0.0),
    "weight_decay": (0.05, 0.0),
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("jump", [1.5, 0.025, 0.3])  # 60, 1, 12 steps; 0.3 = 12/40 is rounded
def test_a_jump_is_one_run_after_another(dtype, batch, jump):
    """Two engines of constant rates, the second from where the first ends, are one with steps."""
    options = {"dtype": dtype, "batch": batch, "train_second_layer": True}
    whole = make(**{name: schedules.Step(pair, at=[jump]) for name, pair in PIECES.items()}, **options)
    whole.advance(200)
    first, second = (make(**{name: pair[i] for name, pair in PIECES.items()}, **options) for i in range(2))
    first.advance(round(jump * N))
    second._restore(first._state())
    second.advance(200 - first.step)
    assert_same(whole, second)


def ragged(t):
    """A rate whose last bits depend on the whole array it is asked for, as no function should."""
    return 0.1 / (1.0 + t + np.sum(np.sin(t)) ** 2 / len(t))


@given(
    lr=drawn_schedules(largest=0.2) | st.just(ragged),
    noise=drawn_schedules(largest=0.5) | st.just(ragged),
    decay=drawn_schedules(largest=0.05) | st.just(ragged),
    cuts=st.lists(st.integers(0, 90), max_size=5),
    batch=st.integers(1, 3),
    threads=st.sampled_from([2, 3, 7]),
)
def test_bits_depend_on_no_threads_and_no_cuts(lr, noise, decay, cuts, batch, threads):
    rates = {"lr": lr, "noise": noise, "weight_decay": decay, "batch": batch, "train_second_layer": True}
    whole, cut = make(**rates), make(**rates)
    whole.advance(90, threads=1)
    for stop in sorted({*cuts, 90}):
        cut.advance(stop - cut.step, threads=threads)
    assert_same(whole, cut)


def test_bits_hold_over_blocks_of_functions_and_of_samples():
    # 3000 steps: past two blocks of a function's times and several of samples.
    rates = {"lr": ragged, "noise": ragged, "weight_decay": ragged}
    whole, cut = make(**rates), make(**rates)
    whole.run(75.0, save_at=[75.0], threads=1)
    cut.run(75.0, save_at=np.linspace(0.0, 75.0, 37), threads=3)
    assert_same(whole, cut)


# -- what a step does ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 2])
def test_steps_take_the_rates_of_their_time(batch):
    """Against the plainest numpy, with formulas of its own."""
    given_rates = {
        "lr": schedules.Power(0.4, b=1.0, c=0.7),
        "lr_v": schedules.Cosine(0.3, duration=2.0, end=0.1),
        "weight_decay": lambda t: 0.1 + 0.05 * np.sin(t),
    }
    sim = make(**given_rates, train_second_layer=True, batch=batch)
    steps = 120
    X, C = sim.model.sample(steps * batch, seed=sim.seed)
    y = erf(C @ sim.teacher.w.T / np.sqrt(20.0)) @ sim.teacher.v
    w, v = sim.student.w.copy(), sim.student.v.copy()
    for step in range(steps):
        t = step / N
        eta, kappa = 0.4 / (1.0 + t) ** 0.7, 0.1 + 0.05 * np.sin(t)
        eta_v = 0.1 + 0.2 * (1 + np.cos(np.pi * min(t / 2.0, 1.0))) / 2
        rows = slice(step * batch, (step + 1) * batch)
        lam = X[rows] @ w.T / np.sqrt(N)
        delta = erf(lam / np.sqrt(2)) @ v - y[rows]
        slope = np.sqrt(2 / np.pi) * np.exp(-(lam**2) / 2)
        grad_w = (delta[:, None] * v * slope).T @ X[rows] / batch
        grad_v = delta @ erf(lam / np.sqrt(2)) / batch
        w, v = (
            w - eta / np.sqrt(N) * grad_w - kappa / N * w,
            v - eta_v / N * grad_v - kappa / N * v,
        )
    sim.advance(steps)
    # Rounding over 120 steps.
    np.testing.assert_allclose(sim.student.w, w, rtol=0, atol=1e-11)
    np.testing.assert_allclose(sim.student.v, v, rtol=0, atol=1e-11)


def test_noise_is_a_standard_deviation_at_every_step():
    """The clean run's first step differs from the noisy one by eta sigma xi v g' x / sqrt N: xi from any two sigmas."""

    def moved(noise, steps):
        sim = make(noise=noise)
        sim.advance(steps)
        return sim.student.w

    # The same deviation of the labels, with half the noise: linear in sigma for one step.
    clean, one, two = moved(0.0, 1), moved(0.2, 1), moved(schedules.Power(0.4, b=1.0, c=1.0), 1)
    np.testing.assert_allclose(two - clean, 2.0 * (one - clean), rtol=1e-9, atol=1e-14)
    assert abs(one - clean).max() > 1e-3


# -- keeping, telling, resuming --------------------------------------------------------------------------------


def test_results_tell_their_schedules_and_are_made_again():
    sim = make(lr=schedules.Power(0.2, b=2.0), noise=falling_rate)
    result = sim.run(2.0, save_at=[0.0, 2.0])
    settings = result.attrs["settings"]
    assert '"lr": "Power(a=0.2, b=2.0, c=1.0)"' in settings
    assert "falling_rate" in settings
    assert "0x" not in settings
    assert "Power(a=0.2, b=2.0)" in repr(sim)
    again = hr.rerun(result, functions={"falling_rate": falling_rate})
    assert difference(again, result) == ""
    with pytest.raises(hr.InvalidParameterError, match="falling_rate"):
        hr.rerun(result)


def test_a_sweep_tells_schedules_apart(tmp_path):
    calls = tmp_path / "calls"

    def late(lr):
        with calls.open("a") as file:
            file.write("x")
        return make(lr=lr).run(1.0, save_at=[1.0])

    values = [schedules.Power(0.2, b=1.0), schedules.Power(0.2, b=2.0)]
    for expected in (2, 2, 3):
        if expected == 3:
            values.append(schedules.Cosine(0.2, 1.0))
        table = hr.sweep(late, {"lr": values}, out=tmp_path / "sweep", executor="here")
        assert table.sizes["lr"] == len(values)
        assert len(calls.read_text()) == expected


# -- functions that misbehave ------------------------------------------------------------------------------------


def test_a_function_is_not_held_to_what_it_gives_beyond_the_run():
    def until_the_end(t):
        return np.where(t < 1.0, 0.2, np.nan)

    sim = make(lr=until_the_end, noise=until_the_end, weight_decay=until_the_end)
    other = make(lr=0.2, noise=0.2, weight_decay=0.2)
    sim.run(1.0, save_at=[1.0], threads=7)
    other.run(1.0, save_at=[1.0])
    assert_same(sim, other)
    with pytest.raises(hr.InvalidParameterError, match=r"noise = NaN at t = 1: .*finite numbers >= 0; "):
        sim.advance(1)


@pytest.mark.parametrize("name", ["lr", "lr_v", "noise", "weight_decay"])
@pytest.mark.parametrize(
    ("function", "error", "words"),
    [
        (lambda t: 0.1, hr.ShapeError, "must return shape"),
        (lambda t: np.ones((len(t), 1)), hr.ShapeError, "must return shape"),
        (lambda t: np.ones(3), hr.ShapeError, "must return shape"),
        (lambda t: -np.ones_like(t), hr.InvalidParameterError, "= -1 at t = 0: .*>= 0"),
        (lambda t: np.full_like(t, np.nan), hr.InvalidParameterError, "= NaN at t = 0"),
        (lambda t: np.full_like(t, np.inf), hr.InvalidParameterError, "= inf at t = 0"),
        (lambda t: t + 1j, hr.InvalidParameterError, "array of real numbers"),
        (lambda t: ["text"] * len(t), hr.InvalidParameterError, "array of real numbers"),
        (lambda t: None, hr.InvalidParameterError, "array of real numbers"),
    ],
)
def test_functions_that_give_no_rates_are_refused(name, function, error, words):
    with pytest.raises(error, match=f"^{name} .*{words}"):
        make(**{name: function}, train_second_layer=True)


@pytest.mark.parametrize("value", ["fast", None, [0.1, 0.2], 1j, np.ones(2)])
def test_what_is_no_rate_is_refused(value):
    words = (
        "a list of rates, for one student"
        if np.ndim(value)
        else "a number, a schedule or a function of times"
    )
    with pytest.raises(hr.DtypeError, match=f"noise = .*{words}; pass"):
        make(noise=value)


def test_a_functions_own_error_comes_through_with_advice():
    with pytest.raises(ValueError, match="truth value") as caught:
        make(lr=lambda t: 0.5 if t < 20 else 0.1)
    assert "np.where(t < 20, 0.5, 0.1)" in caught.value.__notes__[0]

    class OfTheUserError(Exception):
        pass

    def breaks(t):
        if t[-1] > 30.0:
            raise OfTheUserError
        return np.full_like(t, 0.1)

    sim = make(lr=breaks)
    with pytest.raises(OfTheUserError):
        sim.run(60.0, save_at=[0.0, 60.0])
    # No step of the second block of 1024 was taken, and what was taken is whole.
    assert sim.step <= 1024
    other = make(lr=0.1)
    other.advance(sim.step)
    assert_same(sim, other)


def test_a_function_may_call_the_package():
    """In a process of its own, so that a deadlock is a failure and no hanging test."""
    program = """
        import numpy as np
        import hmm_rs as hr
        def nested(t):
            model = hr.HiddenManifold(30, 5)
            sim = hr.OnlineSGD(model, hr.TwoLayer.random(1, 5), student=hr.TwoLayer.random(1, 30), lr=0.1, test_size=9)
            sim.run(1.0, save_at=[1.0])
            hr.theory.SaadSolla(np.eye(1), np.zeros((1, 1)), T=np.eye(1), v0=[1], v_teacher=[1], lr=0.1).solve([1.0])
            return np.full_like(t, 0.1)
        sim = hr.OnlineSGD(hr.TeacherStudent(30), hr.TwoLayer.random(1, 30), student=hr.TwoLayer.random(1, 30, seed=2),
                           lr=nested, noise=nested, test_size=9)
        sim.run(3.0, save_at=[0.0, 3.0], threads=2)
        system = hr.theory.SaadSolla.from_simulation(sim)
        hr.theory.solve_many([system, system], [0.0, 0.2], rtol=1e-4, threads=2)
        print("done")
    """
    done = subprocess.run(
        [sys.executable, "-P", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout == "done\n", done.stderr


def test_divergence_names_the_rate_of_its_time():
    sim = make(lr=schedules.Step([0.1, 1e6], at=[1.0]), train_second_layer=True)
    with pytest.raises(hr.DivergenceError, match="lr = 1000000 is too large"):
        sim.run(50.0, save_at=[50.0])
