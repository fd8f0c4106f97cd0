"""Rates that change in the equations: against closed forms, an own integration, and simulations."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import hmm_rs as hr
from hmm_rs import schedules
from hmm_rs.testing import difference, falling_rate
from hmm_rs.theory import CovarianceODE, HiddenManifoldODE, SaadSolla

T = np.array([0.0, 0.3, 1.0, 2.0, 3.7, 5.0, 12.0, 40.0])
METHODS = ["explicit", "stiff", "auto"]

Q0, R0, V0 = 0.7, 0.2, 0.8
TEACHER, V_TEACHER = 1.3, 1.1


def linear(**rates):
    options = {"T": [[TEACHER]], "v0": [V0], "v_teacher": [V_TEACHER], "activation": "linear"}
    return SaadSolla([[Q0]], [[R0]], **options, **rates)


#: Every rate changes, each in its own way, two of them with jumps.
CHANGING = {
    "lr": (
        schedules.Step([0.5, 0.2, 0.3], at=[1.0, 3.7]),
        lambda t: 0.5 if t < 1 else 0.2 if t < 3.7 else 0.3,
    ),
    "lr_v": (schedules.Cosine(0.4, duration=5.0, end=0.05), None),
    "noise": (schedules.Power(0.6, b=2.0, c=0.8), lambda t: 0.6 / (1.0 + t / 2.0) ** 0.8),
    "weight_decay": (lambda t: 0.05 * (1.0 + np.sin(t)), lambda t: 0.05 * (1.0 + np.sin(t))),
}


def cosine(t):
    return 0.05 + 0.35 * (1 + np.cos(np.pi * min(t / 5.0, 1.0))) / 2


def twin(times):
    """Solve the equations of one linear unit, where all averages are polynomials, piece by piece."""

    def rhs(t, y, lr):
        q, r, v = y
        eta_v, sigma, kappa = cosine(t), CHANGING["noise"][1](t), CHANGING["weight_decay"][1](t)
        error = v * v * q - 2 * v * V_TEACHER * r + V_TEACHER**2 * TEACHER
        return [
            2 * lr * v * (V_TEACHER * r - v * q) + lr**2 * v**2 * (error + sigma**2) - 2 * kappa * q,
            lr * v * (V_TEACHER * TEACHER - v * r) - kappa * r,
            -eta_v * (v * q - V_TEACHER * r) - kappa * v,
        ]

    y, found = np.array([Q0, R0, V0]), []
    edges = [0.0, 1.0, 3.7, 5.0, times[-1]]
    for start, end in pairwise(edges):
        lr = CHANGING["lr"][1](0.5 * (start + end))
        inside = times[(times >= start) & (times < end)]
        at = np.unique(np.append(inside, end))
        solved = solve_ivp(rhs, (start, end), y, "DOP853", t_eval=at, args=(lr,), rtol=1e-12, atol=1e-13)
        found.append(solved.y[:, : len(inside)])
        y = solved.y[:, -1]
    return np.hstack([*found, y[:, None]])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rtol", [1e-6, 1e-8, 1e-10])
def test_all_rates_against_an_own_integration(method, rtol):
    solution = linear(**{name: pair[0] for name, pair in CHANGING.items()}).solve(
        T, rtol=rtol, atol=rtol / 100, method=method
    )
    found = np.stack([solution.Q.values[:, 0, 0], solution.R.values[:, 0, 0], solution.v.values[:, 0]])
    # Local errors of rtol, some tens of steps of them, and the twin's own 1e-11.
    np.testing.assert_allclose(found, twin(T), rtol=0, atol=30 * rtol + 1e-11)


@pytest.mark.parametrize("method", METHODS)
def test_a_linear_unit_turns_by_the_integral_of_its_rate(method):
    """dR/dt = eta(t) (T - R) at v = 1: 1 - R/T falls by exp(-integral of eta)."""
    cases = [
        (schedules.Power(0.5, b=3.0, c=1.0), 1.5 * np.log1p(T / 3.0)),
        (schedules.Power(0.5, b=3.0, c=0.5), 3.0 * (np.sqrt(1 + T / 3.0) - 1)),
        (schedules.Step([0.5, 0.0, 0.2], at=[2.0, 5.0]), 0.5 * np.minimum(T, 2) + 0.2 * np.maximum(T - 5, 0)),
        (
            schedules.Cosine(0.4, duration=5.0),
            np.where(T < 5, 0.2 * (T + 5 / np.pi * np.sin(np.pi * T / 5)), 1.0),
        ),
        (falling_rate, 0.1 * np.log1p(T / 2.0)),
        (lambda t: 0.3 * (1.0 + np.sin(9.0 * t)), 0.3 * (T + (1 - np.cos(9 * T)) / 9)),
    ]
    for lr, integral in cases:
        system = SaadSolla([[0.5]], [[0.0]], T=[[1.0]], v0=[1], v_teacher=[1], lr=lr, activation="linear")
        found = system.solve(T, rtol=1e-9, atol=1e-11, method=method).R.values[:, 0, 0]
        # As above, over more steps: the last rate oscillates 60 times.
        np.testing.assert_allclose(found, 1 - np.exp(-integral), rtol=0, atol=1e-7, err_msg=str(lr))


def systems(**rates):
    rng = np.random.default_rng(0)
    F, w, teacher = (rng.standard_normal(shape) for shape in ((60, 20), (2, 60), (2, 20)))
    v = {"v": [1.0, 0.7], "v_teacher": [1.0, 1.0]}
    Omega = F @ F.T / 20 * 0.6 + 0.4 * np.eye(60)
    yield HiddenManifoldODE.from_weights(F, w, teacher, **v, f="sign", **rates)
    yield CovarianceODE(Omega, 0.5 * F / np.sqrt(20), w=w, w_teacher=teacher, **v, **rates)
    for activation in ("erf", "relu", "tanh"):
        yield SaadSolla.from_weights(w, rng.standard_normal((2, 60)), **v, activation=activation, **rates)


@pytest.mark.parametrize("method", ["auto", "stiff"])
def test_a_constant_schedule_is_its_number_bit_for_bit(method):
    rates = {"lr": 0.2, "lr_v": 0.1, "noise": 0.3, "weight_decay": 0.01}
    constant = {name: schedules.Constant(value) for name, value in rates.items()}
    for one, other in zip(systems(**rates), systems(**constant), strict=True):
        found, expected = (
            s.solve([0.0, 1.0, 3.0], rtol=1e-5, atol=1e-6, method=method) for s in (other, one)
        )
        for name in ("eg", "Q", "R", "v"):
            np.testing.assert_array_equal(found[name], expected[name])
        assert found.attrs["steps"] == expected.attrs["steps"]


def test_all_systems_take_schedules_with_both_integrators():
    changing = {
        "lr": schedules.Power(0.3, b=1.0, c=0.6),
        "lr_v": schedules.Step([0.0, 0.1], at=[0.7]),
        "noise": falling_rate,
        "weight_decay": schedules.Cosine(0.1, duration=2.0),
    }
    for system in systems(**changing):
        if system.settings["activation"] == "tanh":
            continue  # seconds for the stiff method, and no arithmetic of its own
        solved = [
            system.solve([0.0, 0.5, 3.0], rtol=1e-9, atol=1e-11, method=m) for m in ("explicit", "stiff")
        ]
        for name in ("eg", "Q", "R", "v"):
            # The two methods' errors at 1e-9 a step.
            np.testing.assert_allclose(*(s[name] for s in solved), rtol=0, atol=2e-7, err_msg=name)


def test_a_function_is_the_schedule_that_it_writes_out():
    def written(t):
        return 0.5 / (1.0 + t / 3.0) ** 0.7

    one = linear(lr=schedules.Power(0.5, b=3.0, c=0.7)).solve(T)
    other = linear(lr=written).solve(T)
    # The function is called at every instant: only the rounding of the power may differ.
    np.testing.assert_allclose(one.eg, other.eg, rtol=1e-10)


def test_a_function_with_a_jump_is_solved_to_the_tolerance():
    """The steps go down to the jump; a Step does it without trying."""

    def jumps(t):
        return np.where(t < 2.3, 0.5, 0.1)

    one = linear(lr=jumps).solve(T, rtol=1e-9, atol=1e-11)
    other = linear(lr=schedules.Step([0.5, 0.1], at=[2.3])).solve(T, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(one.eg, other.eg, rtol=0, atol=1e-7)
    assert other.attrs["rejections"] < one.attrs["rejections"]


def test_output_times_and_jumps_do_not_touch_each_other():
    system = linear(lr=schedules.Step([0.5, 0.1, 0.4], at=[1.0, 2.0]))
    dense = system.solve(np.linspace(0.0, 4.0, 41), rtol=1e-10, atol=1e-12)
    for times in ([4.0], [1.0], [0.0], [0.5, 1.0, 1.0, 2.0, 2.5], [2.0, 4.0]):
        found = system.solve(times, rtol=1e-10, atol=1e-12)
        expected = dense.eg.values[np.rint(10 * np.asarray(times)).astype(int)]
        np.testing.assert_allclose(found.eg, expected, rtol=0, atol=1e-8)


def test_a_second_layer_that_rests_still_decays():
    """As in a simulation with train_second_layer: a rate of zero for a while is no fixed layer."""
    resting = linear(lr=0.0, lr_v=schedules.Step([0.0, 0.1], at=[50.0]), weight_decay=0.1).solve(T)
    np.testing.assert_allclose(resting.v[:, 0], V0 * np.exp(-0.1 * T), rtol=1e-7)
    fixed = linear(lr=0.0, lr_v=schedules.Constant(0.0), weight_decay=0.1).solve(T)
    np.testing.assert_array_equal(fixed.v[:, 0], V0)


# -- against simulations ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rates",
    [
        {"lr": schedules.Power(1.0, b=2.0, c=0.9)},
        {"lr": schedules.Step([0.8, 0.1], at=[4.0]), "noise": schedules.Step([0.2, 0.8], at=[8.0])},
        {
            "lr": lambda t: 0.3 + 0.3 * np.cos(t),
            "lr_v": schedules.Cosine(0.5, duration=12.0),
            "weight_decay": schedules.Power(0.1, b=5.0),
            "train_second_layer": True,
        },
    ],
    ids=["power", "steps", "all"],
)
@pytest.mark.parametrize("kind", ["manifold", "vanilla"])
def test_simulations_follow_the_equations_within_their_spread(rates, kind):
    """Twelve streams of samples for the same weights, N = 1000: mean and equations agree within errors."""
    N, D, runs = 1000, 200, 12
    manifold = hr.HiddenManifold(N, D, F="dct", f="erf", seed=1)
    model, labels = (manifold, "latent") if kind == "manifold" else (hr.TeacherStudent(N), "input")
    teacher = hr.TwoLayer.random(2, D if kind == "manifold" else N, seed=2)
    student = hr.TwoLayer.random(2, N, seed=3)
    times = np.array([1.0, 3.0, 5.0, 9.0, 15.0])

    def run(seed):
        sim = hr.OnlineSGD(model, teacher, student=student, labels=labels, seed=seed, test_size=1, **rates)
        return sim, sim.run(15.0, save_at=times).eg_analytic.values

    found = [run(seed) for seed in range(runs)]
    solver = HiddenManifoldODE if kind == "manifold" else SaadSolla
    expected = solver.from_simulation(found[0][0]).solve(times).eg.values
    eg = np.array([values for _, values in found])
    spread = eg.std(axis=0, ddof=1)
    # Four standard errors of the mean, the second order of the spread, and the equations' own order, 1/D.
    allowed = (
        4.0 * spread / np.sqrt(runs)
        + spread**2 / expected
        + 2.0 * expected / (D if kind == "manifold" else N)
    )
    assert (abs(eg.mean(axis=0) - expected) < allowed).all(), (eg.mean(axis=0), expected, allowed)
    # The same equations with the rates of t = 0 throughout are off by more.
    start = {name: value(0.0) if callable(value) else value for name, value in rates.items()}
    still = hr.OnlineSGD(model, teacher, student=student, labels=labels, test_size=1, **start)
    frozen = solver.from_simulation(still).solve(times).eg.values
    assert (abs(frozen - expected) > 2.0 * allowed).any()


# -- keeping and refusing ----------------------------------------------------------------------------------------


def test_solutions_tell_their_schedules_and_are_made_again():
    result = linear(lr=schedules.Power(0.5, b=3.0), noise=falling_rate).solve([0.0, 1.0])
    settings = result.attrs["settings"]
    assert '"lr": "Power(a=0.5, b=3.0, c=1.0)"' in settings
    assert "falling_rate" in settings
    assert "0x" not in settings
    again = hr.rerun(result, functions={"falling_rate": falling_rate})
    assert difference(again, result) == ""


def test_equations_and_simulation_have_one_schema_and_one_schedule():
    student, teacher = hr.TwoLayer.random(2, 50, seed=1), hr.TwoLayer.random(2, 50, seed=2)
    rates = {"lr": schedules.Step([0.5, 0.1], at=[1.0]), "noise": falling_rate}
    sim = hr.OnlineSGD(hr.TeacherStudent(50), teacher, student=student, labels="input", **rates, test_size=10)
    system = SaadSolla.from_simulation(sim)
    assert system.settings["lr"] == repr(rates["lr"])
    assert set(system.solve([0.0, 1.0]).data_vars) <= set(sim.run(1.0, save_at=[0.0, 1.0]).data_vars)


@pytest.mark.parametrize("name", ["lr", "lr_v", "noise", "weight_decay"])
@pytest.mark.parametrize("method", ["explicit", "stiff"])
@pytest.mark.parametrize(
    ("late", "words"),
    [
        (np.nan, "= NaN at t = .*finite numbers >= 0; "),
        (-1.0, "= -1 at t = .*finite numbers >= 0; "),
    ],
)
def test_rates_that_fail_on_the_way_are_refused(name, method, late, words):
    rates = {"lr": 0.1} | {name: lambda t: np.where(t < 1.5, 0.1, late)}
    system = linear(**rates)
    system.solve([0.0, 1.0], method=method)
    with pytest.raises(hr.InvalidParameterError, match=f"^{name} {words}"):
        system.solve([0.0, 3.0], method=method)


@pytest.mark.parametrize("method", ["explicit", "stiff"])
def test_errors_of_functions_on_the_way_come_through(method):
    class OfTheUserError(Exception):
        pass

    def breaks(t):
        if t[0] > 1.0:
            raise OfTheUserError
        return np.full_like(t, 0.1)

    with pytest.raises(OfTheUserError):
        linear(lr=breaks).solve([0.0, 3.0], method=method)


def test_divergence_names_the_schedule():
    system = SaadSolla(
        [[0.5]], [[0.0]], T=[[1.0]], v0=[1], v_teacher=[1], activation="linear",
        lr=schedules.Step([0.1, 9.0], at=[1.0]),
    )  # fmt: skip
    with pytest.raises(
        hr.DivergenceError, match=r"lr = Step\(values=\(0.1, 9.0\), at=\(1.0,\)\) is too large"
    ) as e:
        system.solve([0.0, 0.5, 100.0])
    assert e.value.result.sizes["t"] == 2
