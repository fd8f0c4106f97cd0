"""The spread of single runs about the equations: one step against samples of it, whole runs against ensembles.

The twin of a step draws inputs of N dimensions and moves weights; it knows no field but the network's own.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.special import erf

import hmm_rs as hr
from hmm_rs.theory import CovarianceODE, HiddenManifoldODE, SaadSolla
from hmm_rs.theory.online.fluctuations import grouped_equations
from hmm_rs.theory.online.modes import Directions
from hmm_rs.theory.online.rules import normal_rules

UNITS = {
    "erf": (lambda x: erf(x / np.sqrt(2)), lambda x: np.sqrt(2 / np.pi) * np.exp(-0.5 * x * x)),
    "relu": (lambda x: np.maximum(x, 0), lambda x: (x > 0).astype(float)),
    "tanh": (np.tanh, lambda x: 1 - np.tanh(x) ** 2),
}


def example(unit, *, N=600, K=2, M=2, **options):
    """A system of three input variances, N/3 directions each, labels on the inputs; and what it is made of."""
    rng = np.random.default_rng(3)
    rho = np.repeat([0.4, 1.0, 2.5], N // 3)
    w_teacher = rng.standard_normal((M, N))
    w = 0.5 * w_teacher[:K] + 0.6 * rng.standard_normal((K, N))
    chosen = {"lr": 0.6, "lr_v": 0.3, "noise": 0.4, "weight_decay": 0.1, "batch": 1} | options
    v, v_teacher = np.array([1.1, 0.7])[:K], np.array([0.9, 1.3])[:M]
    system = CovarianceODE(
        np.diag(rho),
        None,
        w=w,
        w_teacher=w_teacher,
        v=v,
        v_teacher=v_teacher,
        labels="input",
        activation=unit,
        **chosen,
    )
    return system, rho, w, w_teacher, v, v_teacher, chosen


def equations(system, **options):
    return grouped_equations(system._setting, system._directions(), system._T, **options)


def rule(system, unit):
    (found,) = normal_rules(system.settings["K"] + system.settings["M"], variance=2.0, even=unit != "relu")
    return dict(zip(("nodes", "weights"), found, strict=True))


def upper(K):
    return list(zip(*np.triu_indices(K), strict=True))


def sampled_steps(unit, rho, w, w_teacher, v, v_teacher, chosen, *, draws, rng):
    """N times what one step adds to (r, q, v) of the three groups but the decay, shape (draws, deviations)."""
    (K, N), M = w.shape, len(w_teacher)
    B, lr = chosen["batch"], chosen["lr"]
    g, slope = UNITS[unit]
    drive = rho * w_teacher
    x = rng.standard_normal((draws, B, N)) * np.sqrt(rho)
    fields, teacher = x @ w.T / np.sqrt(N), x @ w_teacher.T / np.sqrt(N)
    error = g(fields) @ v - g(teacher) @ v_teacher - chosen["noise"] * rng.standard_normal((draws, B))
    F = v * slope(fields) * error[..., None]
    # w moves by -(lr/sqrt N) mean over the batch of F x.
    move = -lr / np.sqrt(N) * np.einsum("dbk,dbi->dki", F, x) / B
    groups = [slice(s * N // 3, (s + 1) * N // 3) for s in range(3)]
    rows = []
    for k in range(K):
        for m in range(M):
            rows += [N * np.mean(move[:, k, s] * drive[m, s], axis=1) for s in groups]
    for k, j in upper(K):
        for s in groups:
            both = move[:, k, s] * w[j, s] + move[:, j, s] * w[k, s] + move[:, k, s] * move[:, j, s]
            rows.append(N * both.mean(axis=1))
    rows += [-chosen["lr_v"] * np.mean(error * g(fields[..., k]), axis=1) for k in range(K)]
    return np.stack(rows, axis=1)


@pytest.mark.parametrize(
    ("unit", "options"),
    [("erf", {}), ("relu", {"lr": 0.3}), ("erf", {"batch": 3, "lr": 1.0}), ("tanh", {"K": 1, "M": 1})],
)
def test_one_step_is_that_of_drawn_inputs(unit, options):
    system, *parts = example(unit, **options)
    first = equations(system).first_step(**rule(system, unit))
    rng = np.random.default_rng(5)
    steps = np.concatenate([sampled_steps(unit, *parts, draws=1000, rng=rng) for _ in range(20)])
    D = first["diffusion"]
    size = np.sqrt(np.diagonal(D))
    # Chance: 1/sqrt(20000) = .007 for a mean and .01 to .03 for a covariance of heavy tails; 1/N = .002 is neglected.
    assert np.abs((steps.mean(axis=0) - first["mean"]) / size).max() < 0.03
    assert np.abs((np.cov(steps.T) - D) / np.outer(size, size)).max() < 0.08
    assert np.abs(np.diagonal(np.cov(steps.T)) / np.diagonal(D) - 1).max() < 0.08


@pytest.mark.parametrize("unit", ["erf", "relu", "tanh"])
def test_the_mean_step_is_the_drift_of_the_equations(unit):
    system, *_ = example(unit, batch=2)
    chosen = equations(system)
    mean, drift = chosen.first_step(**rule(system, unit))["mean"], chosen.velocity(1)
    few = system._directions().grouped(3)
    decay = np.concatenate(
        [
            -0.1 * np.moveaxis(few.r, 0, -1).reshape(-1),
            -0.2 * np.stack([few.q[:, k, j] for k, j in upper(2)]).reshape(-1),
            -0.1 * np.array([1.1, 0.7]),
        ]
    )
    # The rule errs by 2 % of small parts where a rectifier steps within it, else by 1e-4.
    np.testing.assert_allclose(
        mean + decay, drift, atol=np.abs(drift).max() * (2.5e-2 if unit == "relu" else 1e-3)
    )


@pytest.mark.parametrize("unit", ["erf", "relu", "tanh"])
def test_the_answer_is_the_derivative_of_the_equations(unit):
    system, *_ = example(unit, K=2 if unit != "tanh" else 1, M=2 if unit != "tanh" else 1)
    K, M = system.settings["K"], system.settings["M"]
    few = system._directions().grouped(3)
    J = equations(system).first_step(**rule(system, unit))["jacobian"]
    pairs = upper(K)
    setting = {name: system.settings[name] for name in ("lr", "lr_v", "noise", "weight_decay", "batch")}

    def velocity(state):
        r = np.moveaxis(state[: K * M * 3].reshape(K, M, 3), -1, 0)
        q = np.zeros((3, K, K))
        for row, (k, j) in enumerate(pairs):
            q[:, k, j] = q[:, j, k] = state[(K * M + row) * 3 : (K * M + row + 1) * 3]
        made = hr._lib.OnlineSetting(
            v0=state[-K:],
            v_teacher=np.array([0.9, 1.3])[:M],
            student=hr.theory.units.resolve("activation", unit),
            teacher=hr.theory.units.resolve("activation", unit),
            **setting,
        )
        return hr._lib.OnlineEquations.covariance(
            made, t=system._T, rho=few.rho, weights=few.share, q0=q, r0=np.ascontiguousarray(r), t_modes=few.t
        ).velocity(1)

    start = np.concatenate(
        [
            np.moveaxis(few.r, 0, -1).reshape(-1),
            np.stack([few.q[:, k, j] for k, j in pairs]).reshape(-1),
            np.array([1.1, 0.7])[:K],
        ]
    )
    h = 1e-5
    other = np.stack(
        [(velocity(start + h * e) - velocity(start - h * e)) / (2 * h) for e in np.eye(len(start))], axis=1
    )
    # Differences of both have errors of 1e-9 and so.
    np.testing.assert_allclose(J, other, atol=1e-7 * np.abs(other).max())


def test_one_unit_that_learns_another():
    """Numbers of an independent program: 400 runs at N = 300 spread by 1.06, .99, 1.02, 1.06, .98 (+-.035) of these."""
    system = SaadSolla([[0.8]], [[0.1]], T=[[1.0]], v0=[1.0], v_teacher=[1.0], lr=0.5, N=300)
    found = system.solve([0.5, 1.0, 2.0, 5.0, 10.0], fluctuations=True)
    # They are given to three digits.
    np.testing.assert_allclose(found.eg_std, [0.00323, 0.00432, 0.00522, 0.00370, 0.00087], atol=1.5e-5)
    half = SaadSolla([[0.8]], [[0.1]], T=[[1.0]], v0=[1.0], v_teacher=[1.0], lr=0.5, N=1200)
    np.testing.assert_allclose(half.solve(found.t, fluctuations=True).eg_std, found.eg_std / 2)


@pytest.mark.slow
def test_four_hundred_runs_of_one_unit():
    N, times = 300, [0.5, 1.0, 2.0, 5.0, 10.0]
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((N, 2)))[0].T * np.sqrt(N)
    w = 0.1 * basis[:1] + np.sqrt(0.8 - 0.01) * basis[1:]
    teacher, student = hr.TwoLayer(basis[:1], [1.0]), hr.TwoLayer(w, [1.0])
    runs = []
    for seed in range(400):
        sim = hr.OnlineSGD(hr.TeacherStudent(N), teacher, student=student, lr=0.5, test_size=1, seed=seed)
        runs.append(sim.run(10.0, save_at=times, threads=1).eg_analytic.values)
    found = SaadSolla.from_simulation(sim).solve(times, fluctuations=True)
    # Three sampling errors of a spread over 400 runs are .106; the mean's own is a twentieth of the spread.
    np.testing.assert_allclose(np.std(runs, axis=0, ddof=1) / found.eg_std, 1.0, atol=0.11)
    np.testing.assert_allclose(np.mean(runs, axis=0), found.eg, atol=3 * float(found.eg_std.max()) / 20)
    correlation = found.eg_covariance / np.outer(found.eg_std, found.eg_std)
    # Of a correlation: 1/sqrt(400) at most.
    np.testing.assert_allclose(np.corrcoef(np.transpose(runs)), correlation, atol=0.15)


@pytest.mark.parametrize("options", [{"lr": 0.0}, {"activation": "relu"}])
def test_what_stands_still_does_not_stray(options):
    """No rate, or a rectifier without weights: nothing moves, whatever the time."""
    system = SaadSolla([[0.0]], [[0.0]], T=[[1.0]], v0=[1.0], v_teacher=[1.0], N=100, **{"lr": 0.3} | options)
    found = system.solve([0.0, 2.0, 50.0], fluctuations=True)
    assert (found.eg_std == 0).all()
    assert (system.solve([0.0], fluctuations=True).R_std == 0).all()


@pytest.mark.parametrize("rate", [0.4, hr.schedules.Step([0.6, 0.1], at=[0.9]), lambda t: 0.6 / (1 + t)])
def test_the_linear_unit_in_closed_form(rate):
    """One linear unit has closed equations of the second order too: cov of (R, Q) from dC/dt = J C + C J^T + D."""
    T, Q0, R0 = 1.0, 0.7, 0.2
    system = SaadSolla([[Q0]], [[R0]], T=[[T]], v0=[1.0], v_teacher=[1.0], lr=rate, N=1, activation="linear")
    times = np.array([0.3, 1.0, 4.0])
    with pytest.warns(RuntimeWarning, match=r"at t = 0\.3"):
        found = system.solve(times, fluctuations=True)
    # With d = lambda - nu: h_R = -lr d nu, h_Q = -2 lr d lambda + lr^2 d^2; moments by Isserlis.
    C, y, h = np.zeros((2, 2)), np.array([R0, Q0]), 5e-4
    seen = []
    for step in range(1, round(times[-1] / h) + 1):
        R, Q = y
        lr = rate if isinstance(rate, float) else float(rate(np.array([(step - 0.5) * h]))[0])
        J = np.array([[-lr, 0.0], [2 * lr - 2 * lr * lr, -2 * lr + lr * lr]])
        D2 = Q - 2 * R + T
        dn, dl = R - T, Q - R
        var = np.array(
            [
                [lr**2 * (D2 * T + dn**2), 2 * lr**2 * (D2 * R + dl * dn) - 2 * lr**3 * D2 * dn],
                [0.0, 4 * lr**2 * (D2 * Q + dl**2) - 8 * lr**3 * D2 * dl + 2 * lr**4 * D2**2],
            ]
        )
        var[1, 0] = var[0, 1]
        C = C + h * (J @ C + C @ J.T + var)
        y = y + h * np.array([-lr * (R - T), -2 * lr * (Q - R) + lr**2 * D2])
        if any(abs(step * h - t) < h / 2 for t in times):
            seen.append(np.sqrt([C[1, 1], C[0, 0], np.array([-1, 0.5]) @ C @ np.array([-1, 0.5])]))
    # Euler at this step errs by 1e-4, the midpoint rule by (rate step)^2/12, some 3e-3.
    expected = np.array(seen)
    np.testing.assert_allclose(found.Q_std.values[:, 0, 0], expected[:, 0], rtol=5e-3)
    np.testing.assert_allclose(found.R_std.values[:, 0, 0], expected[:, 1], rtol=5e-3)
    np.testing.assert_allclose(found.eg_std, expected[:, 2], rtol=5e-3)


def test_steps_in_time_are_short_enough():
    """The same J and D along the solution, in five hundred steps of the explicit midpoint rule."""
    rng = np.random.default_rng(7)
    w_teacher = rng.standard_normal((2, 100))
    w = 0.3 * w_teacher + 0.7 * rng.standard_normal((2, 100))
    options = {"v": [1, 1], "v_teacher": [1, 1], "lr": 0.5}
    system = SaadSolla.from_weights(w, w_teacher, **options)
    steps, end = 500, 5.0
    h = end / steps
    middle = system.solve((np.arange(steps) + 0.5) * h)
    C = np.zeros((7, 7))
    for t in range(steps):
        at = middle.isel(t=t)
        here = SaadSolla(at.Q.values, at.R.values, T=system._T, v0=[1, 1], v_teacher=[1, 1], lr=0.5, N=100)
        first = equations(here).first_step(**rule(here, "erf"))
        J, D = first["jacobian"], first["diffusion"]
        half = C + 0.5 * h * (J @ C + C @ J.T + D)
        C = C + h * (J @ half + half @ J.T + D)
    found = system.solve([end], fluctuations=True)
    expected = np.sqrt(np.diagonal(C) / 100)
    # Own steps are a quarter of the time in which the overlaps move: an error of (1/4)^2/12.
    np.testing.assert_allclose(found.R_std.values.reshape(-1), expected[:4], rtol=1e-2)
    np.testing.assert_allclose(found.Q_std.values[0][np.triu_indices(2)], expected[4:], rtol=1e-2)


def manifold_simulation(N=300, D=90, *, unit="erf", seed=0, **options):
    rng = np.random.default_rng(100)
    model = hr.HiddenManifold(N, D, seed=7)
    w_teacher = rng.standard_normal((2, D))
    w = 0.3 * w_teacher @ model.F.T / np.sqrt(D) + 0.8 * rng.standard_normal((2, N))
    teacher, student = (hr.TwoLayer(x, np.ones(2), activation=unit) for x in (w_teacher, w))
    given = {"lr": 0.3 if unit == "erf" else 0.1, "test_size": 1} | options
    return hr.OnlineSGD(model, teacher, student=student, seed=seed, **given)


def test_all_three_systems_say_the_same_of_one_problem():
    times = [0.0, 1.0, 5.0]
    rng = np.random.default_rng(2)
    w_teacher = rng.standard_normal((2, 200))
    w = 0.4 * w_teacher + 0.8 * rng.standard_normal((2, 200))
    options = {"v": [1, 1], "v_teacher": [1, 1], "lr": 0.4}
    vanilla = SaadSolla.from_weights(w, w_teacher, **options)
    general = CovarianceODE(np.eye(200), None, w=w, w_teacher=w_teacher, labels="input", **options)
    manifold = HiddenManifoldODE.from_weights(
        np.sqrt(200) * np.eye(200), w, w_teacher, f="identity", **options
    )
    one, *others = (system.solve(times, fluctuations=True) for system in (vanilla, general, manifold))
    for other in others:
        for name in ("eg_std", "Q_std", "R_std", "eg_covariance"):
            np.testing.assert_allclose(one[name], other[name], rtol=1e-6, atol=1e-12)
    # A hidden manifold is the inputs' covariance zeta + b^2 F F^T/D.
    sim = manifold_simulation()
    b = np.sqrt(2 / np.pi)
    F = sim.model.F
    omega = (1 - b * b) * np.eye(300) + b * b * F @ F.T / 90
    by_inputs = CovarianceODE.from_simulation(sim, covariances=(omega, b * F / np.sqrt(90)))
    by_modes = HiddenManifoldODE.from_simulation(sim)
    found = [system.solve(times, fluctuations=True).eg_std.values for system in (by_inputs, by_modes)]
    np.testing.assert_allclose(*found, rtol=1e-4)


def test_few_groups_of_directions_do():
    system = HiddenManifoldODE.from_simulation(manifold_simulation())
    times = np.array([0.1, 1.0, 5.0, 20.0])
    found = []
    for groups in (8, 16, 40):
        made = equations(system, groups=groups)
        answer = made.fluctuations(
            times, rtol=1e-6, atol=1e-10, method="auto", threads=1, **rule(system, "erf")
        )
        found.append(np.sqrt(np.diagonal(answer["error"])))
    # Sixteen groups have eigenvalues within 10 % of each other, and errors of the square of that.
    np.testing.assert_allclose(found[1], found[2], rtol=1e-2)
    np.testing.assert_allclose(found[0], found[2], rtol=2e-2)


def test_groups_keep_the_overlaps():
    directions = HiddenManifoldODE.from_simulation(manifold_simulation())._directions()
    few = directions.grouped(9)
    assert len(few.rho) == 9
    for name, sums in {
        "Q": lambda x: np.einsum("s,skl->kl", x.share * x.rho, x.q),
        "R": lambda x: np.einsum("s,skl->kl", x.share, x.r),
        "T": lambda x: np.einsum("s,skl->kl", x.share / x.rho, x.t),
        "trace": lambda x: (x.share * x.rho).sum(),
        "all": lambda x: x.share.sum(),
    }.items():
        np.testing.assert_allclose(sums(few), sums(directions), rtol=1e-12, err_msg=name)
    assert isinstance(few, Directions)


def test_the_covariance_in_time_is_that_of_the_spread():
    found = SaadSolla([[0.8]], [[0.1]], T=[[1.0]], v0=[1.0], v_teacher=[1.0], lr=0.5, N=300).solve(
        [0.0, 0.5, 1.0, 5.0], fluctuations=True
    )
    covariance = found.eg_covariance.values
    np.testing.assert_allclose(np.sqrt(np.diagonal(covariance)), found.eg_std)
    np.testing.assert_allclose(covariance, covariance.T)
    assert (np.linalg.eigvalsh(covariance) > -1e-18).all()
    assert found.eg_std[0] == 0
    # Neighbouring times go together, distant ones less.
    correlation = covariance[1:, 1:] / np.outer(found.eg_std[1:], found.eg_std[1:])
    assert 1 > correlation[0, 1] > correlation[0, 2]


def test_more_fields_by_a_lattice_with_its_error():
    rng = np.random.default_rng(4)
    w_teacher = rng.standard_normal((3, 100))
    w = 0.5 * w_teacher[:2] + 0.5 * rng.standard_normal((2, 100))
    options = {"v": [1, 1], "lr": 0.3, "activation": "erf"}
    five = SaadSolla.from_weights(w, w_teacher, v_teacher=[1, 1, 0], **options).solve(
        [0.5, 3.0], fluctuations=True
    )
    four = SaadSolla.from_weights(w, w_teacher[:2], v_teacher=[1, 1], **options).solve(
        [0.5, 3.0], fluctuations=True
    )
    # A teacher unit without weight changes nothing; the lattice is good for 1 % of a spread.
    np.testing.assert_allclose(five.eg_std, four.eg_std, rtol=0.01)
    assert five.attrs["fluctuation_rule_error"] < 0.01
    assert "fluctuation_rule_error" not in four.attrs


def test_a_system_that_does_not_know_its_size_says_so():
    system = SaadSolla([[0.8]], [[0.1]], T=[[1.0]], v0=[1.0], v_teacher=[1.0], lr=0.5)
    assert "eg_std" not in system.solve([1.0])
    with pytest.raises(hr.InvalidParameterError, match="pass N= to SaadSolla"):
        system.solve([1.0], fluctuations=True)
    published = HiddenManifoldODE.from_simulation(manifold_simulation(), teacher_modes="published")
    with pytest.raises(hr.InvalidParameterError, match="teacher_modes='exact'"):
        published.solve([1.0], fluctuations=True)


def test_beside_a_run_the_verdict_accounts_for_correlated_times():
    sim = manifold_simulation(seed=3)
    run = sim.run(10.0, save_at=np.r_[0.0, hr.logtimes(0.05, 10, 40)])
    theory = HiddenManifoldODE.from_simulation(sim).solve(run.t, fluctuations=True)
    seen = hr.compare(run, theory)
    assert seen.attrs["verdict"] == "agrees"
    assert 2 <= seen.attrs["independent"] < 30  # of forty times
    assert "chi-square" in seen.attrs["why"]
    assert seen.z[0] == 0
    shifted = run.assign(eg_analytic=run.eg_analytic + 8 * theory.eg_std.values)
    assert hr.compare(shifted, theory).attrs["verdict"] == "differs"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("unit", "options"),
    [
        ("erf", {}),
        ("relu", {}),
        ("erf", {"noise": 0.3, "weight_decay": 0.1, "batch": 2, "train_second_layer": True}),
    ],
)
def test_ensembles_on_a_hidden_manifold_spread_as_told(unit, options):
    runs, times = 150, [0.5, 1.0, 3.0, 10.0]
    values = []
    for seed in range(runs):
        sim = manifold_simulation(unit=unit, seed=seed, dtype="float32", **options)
        run = sim.run(10.0, save_at=times, threads=1)
        values.append(np.r_[run.eg_analytic, run.Q[-1, 0, 0], run.R[-1, 0, 0], run.v[-1, 0]])
    theory = HiddenManifoldODE.from_simulation(sim).solve(run.t, fluctuations=True)
    last = theory.isel(t=-1, k=0, k2=0, m=0)
    expected = [*theory.eg_std.values, float(last.Q_std), float(last.R_std)]
    measured = np.std(values, axis=0, ddof=1)
    if options:
        expected.append(float(last.v_std))
    # Three sampling errors of a spread, 3/sqrt(2 * 150) = .17, and the next order at N = 300, some 1/sqrt(300).
    np.testing.assert_allclose(measured[: len(expected)] / expected, 1.0, atol=0.22)


def test_nothing_is_said_where_nothing_is_asked():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SaadSolla([[0.8]], [[0.1]], T=[[1.0]], v0=[1.0], v_teacher=[1.0], lr=0.5, N=1).solve([1.0])


def solved_with_spread():
    system = SaadSolla([[0.8]], [[0.1]], T=[[1.0]], v0=[1.0], v_teacher=[1.0], lr=0.5, N=300)
    return system.solve([0.0, 1.0, 5.0], fluctuations=True)


def test_a_result_with_spread_is_made_again_kept_and_tabled(tmp_path):
    found = solved_with_spread()
    again = hr.rerun(found)
    np.testing.assert_array_equal(again.eg_covariance, found.eg_covariance)
    found.to_netcdf(tmp_path / "spread.nc")
    # One row a time: a covariance of two times is no column.
    table = hr.to_frame(found)
    assert len(table) == 3
    assert table.eg_std.to_numpy() == pytest.approx(found.eg_std.values)
    assert "eg_covariance" not in table
    pairs = hr.to_frame(found, variables=["eg_covariance"])
    assert len(pairs) == 9


def test_the_picture_of_a_theory_has_its_band():
    plt = pytest.importorskip("matplotlib.pyplot")
    found = solved_with_spread()
    ax = hr.plot.learning_curve(found)
    (band,) = ax.collections
    edges = band.get_paths()[0].vertices[:, 1]
    assert edges.max() == pytest.approx(float((found.eg + found.eg_std)[1:].max()))
    assert "one standard deviation" in ax.get_legend().get_texts()[0].get_text()
    plt.close("all")
