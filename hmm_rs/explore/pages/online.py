"""Online learning: one-pass SGD on a hidden manifold, or on i.i.d. Gaussian inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import hmm_rs as hr

from ..fields import Choice, Page, Slider
from ..pictures import Line, Panel

__all__ = ["ONLINE"]


def theory(
    *,
    inputs: str,
    delta: float,
    f: str,
    spectrum: str,
    K: int,
    M: int,
    units: Any,
    lr: float,
    lr_v: float,
    noise: float,
    overlap: float,
    scale: float,
    t_max: float,
) -> dict[str, Any]:
    """Solve the equations for N, D -> infinity from given overlaps of the initial weights."""
    t = np.concatenate([[0.0], np.geomspace(0.1, t_max, 50)])
    v, v_teacher, T = np.full(K, 1.0), np.full(M, 1.0), np.eye(M)
    rates = {"lr": lr, "lr_v": lr_v, "noise": noise, "activation": units}
    if inputs == "vanilla":
        R0 = overlap * np.eye(K, M)
        Q0 = (scale**2 + overlap**2) * np.eye(K)
        Q0[M:, M:] = scale**2 * np.eye(max(K - M, 0))
        system = hr.theory.SaadSolla(Q0, R0, T=T, v0=v, v_teacher=v_teacher, **rates)
        return {"solution": system.solve(t, rtol=1e-4, atol=1e-7)}
    a, b, c = hr.theory.gaussian_moments(f)
    if spectrum == "orthogonal":
        rho, weights = np.ones(1), np.ones(1)
    else:
        rho, weights = hr.theory.marchenko_pastur(delta, 10)
    # Student k starts as random weights plus its share of the teacher, seen through the features:
    # r(rho) = rho A, so that R = b A.
    A = overlap / b * np.eye(K, M)
    square = (overlap / b) ** 2 * np.diag((np.arange(K) < M).astype(float))
    own = scale**2 * np.eye(K)
    per_mode = rho[:, None, None]
    ode = hr.theory.HiddenManifoldODE(
        rho=rho,
        weights=weights,
        sigma0=per_mode * own + per_mode**2 * square,
        r0=per_mode * A,
        t_modes=np.ones_like(per_mode) * T,
        W0=own + delta * square,
        v0=v,
        v_teacher=v_teacher,
        delta=delta,
        f=(a, b, c),
        **rates,
    )
    return {"solution": ode.solve(t, rtol=1e-4, atol=1e-7)}


def simulation(
    *,
    inputs: str,
    delta: float,
    f: Any,
    spectrum: str,
    K: int,
    M: int,
    units: Any,
    lr: float,
    lr_v: float,
    noise: float,
    overlap: float,
    scale: float,
    t_max: float,
    N: int,
    seed: int,
    watch: Callable[[float, Any], None] = lambda *_: None,
) -> dict[str, Any]:
    """Train one student of N inputs from weights with the same overlaps."""

    def cleared(rows: Any, of: Any) -> Any:
        # Rows of squared norm N, orthogonal to each other and to others.
        kept: list[Any] = []
        for row in rows:
            for other in [*of, *kept]:
                row = row - (row * other).sum() / (other * other).sum() * other
            kept.append(row * np.sqrt(row.size / (row * row).sum()))
        return np.array(kept)

    D = N if inputs == "vanilla" else max(round(delta * N), 1)
    w_teacher = cleared(hr.TwoLayer.random(M, D, seed=[seed, 1]).w, [])
    w = hr.TwoLayer.random(K, N, seed=[seed, 2]).w
    same = min(K, M)
    model: Any
    if inputs == "vanilla":
        model = hr.TeacherStudent(N, seed=seed)
        w = scale * cleared(w, w_teacher)
        w[:same] += overlap * w_teacher[:same]
    else:
        F: Any = "orthogonal" if spectrum == "orthogonal" else "gaussian"
        model = hr.HiddenManifold(N, D, f=f, F=F, seed=seed)
        seen = np.einsum("md,nd->mn", w_teacher, model.F) / np.sqrt(N)
        w = scale * cleared(w, seen)
        w[:same] += overlap / model.moments[1] * seen[:same]
    sgd = hr.OnlineSGD(
        model,
        hr.TwoLayer(w_teacher, np.ones(M), activation=units),
        student=hr.TwoLayer(w, np.ones(K), activation=units),
        lr=lr,
        lr_v=lr_v,
        train_second_layer=lr_v > 0.0,
        noise=noise,
        test_size=1000,
        seed=seed,
    )
    times = np.concatenate([[0.0], np.geomspace(0.1, t_max, 30), np.linspace(0.0, t_max, 16)])
    times = np.unique(np.round(times * N)) / N
    run = sgd.run(
        t_max,
        save_at=times,
        callbacks=[lambda driver, _: watch(driver.t / t_max, driver)],
        threads=1,
    )
    return {"run": run}


def lines(theory: Mapping[str, Any], simulation: Mapping[str, Any] | None) -> Mapping[str, Sequence[Line]]:
    """Return what the panels show."""
    sources = [(theory["solution"], "theory", "eg")]
    if simulation is not None:
        sources.append((simulation["run"], "simulation", "eg_analytic"))
    drawn: dict[str, list[Line]] = {"eg": [], "R": [], "Q": []}
    for data, told, error in sources:
        t, marked = data["t"].values, told == "simulation"
        of, solid = f" ({told})" if marked else "", "marks" if marked else "solid"
        known = data[error if error in data else "eg"].values
        drawn["eg"].append(Line(t, known, told, 0, solid))  # type: ignore[arg-type]
        K, M = data.sizes["k"], data.sizes["m"]
        for k in range(K):
            for m in range(M):
                label = f"R with teacher unit {m + 1}{of}"
                drawn["R"].append(Line(t, data["R"].values[:, k, m], label, m, solid))  # type: ignore[arg-type]
            length = data["Q"].values[:, k, k]
            drawn["Q"].append(Line(t, length, f"Q of student unit {k + 1}{of}", k, solid))  # type: ignore[arg-type]
            if not marked and np.ptp(data["v"].values) > 0.0:
                second = data["v"].values[:, k]
                drawn["Q"].append(Line(t, second, f"second layer v of unit {k + 1}", k, "dashed"))
    return drawn


ONLINE = Page(
    name="online",
    title="Online learning",
    about="A two-layer student learns from a two-layer teacher, each example seen once; time t counts steps per "
    "input. Lines: the equations for infinitely many inputs; circles: one run of stochastic gradient descent.",
    fields=(
        Choice("inputs", "inputs", ("manifold", "vanilla")),
        Slider("delta", "D/N, latent dimension over inputs", 0.02, 2.0, 0.1, 0.02, log=True),
        Choice("f", "folding f of the manifold", ("sign", "erf", "tanh", "identity")),
        Choice("spectrum", "spectrum of the features", ("marchenko-pastur", "orthogonal")),
        Slider("K", "K, units of the student", 1, 4, 2, 1, whole=True),
        Slider("M", "M, units of the teacher", 1, 4, 2, 1, whole=True),
        Choice("units", "units", ("erf", "relu")),
        Slider("lr", "learning rate, first layer", 0.01, 10.0, 0.2, 0.02, log=True),
        Slider("lr_v", "learning rate, second layer (0: fixed)", 0.0, 1.0, 0.0, 0.02),
        Slider("noise", "noise on the labels, standard deviation", 0.0, 1.0, 0.0, 0.02),
        Slider("overlap", "initial overlap R with the teacher", 0.0, 0.5, 0.1, 0.01),
        Slider("scale", "initial weights, standard deviation", 0.0, 2.0, 1.0, 0.02),
        Slider("t_max", "time to show, steps per input", 10.0, 1000.0, 200.0, 0.05, log=True),
        Slider("N", "simulation: inputs N", 100, 1000, 400, 20, whole=True, of="simulation"),
        Slider("seed", "simulation: seed", 0, 20, 0, 1, whole=True, of="simulation"),
    ),
    panels=(
        Panel("eg", "Generalisation error", "t, steps per input", "error, half the mean square", True, True),
        Panel("R", "Overlaps with the teacher", "t, steps per input", "R (the teacher's own: 1)", True),
        Panel("Q", "Student's own overlaps", "t, steps per input", "Q, squared length of a unit", True),
    ),
    theory=theory,
    simulation=simulation,
    lines=lines,
    partial=("solution", "run"),
    plot="""
# The picture needs matplotlib: pip install 'hmm_rs[plot]'.
results = [curves["solution"]] if run is None else [run["run"], curves["solution"]]
hr.plot.learning_curve(*results).figure.savefig("online.png")
""",
)
