"""The hinge clock: mean-field networks that learn a linear rule, in population and from stored examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import hmm_rs as hr

from ..fields import Page, Slider
from ..pictures import Line, Panel

__all__ = ["HINGE"]


def theory(*, d: int, alpha: float, h: float, flip: float, N: int, t_max: float) -> dict[str, Any]:
    """Solve the mean field, for fresh examples and for N stored ones."""
    t = np.geomspace(1.0, t_max, 30)
    field = hr.theory.HingeMeanField(d, alpha=alpha, h=h, flip=flip)
    stored = field.memorisation(N, t)
    # New examples have their labels flipped alike, and a flipped one is below the margin for ever.
    test = (1.0 - flip) * stored.test_unsatisfied + flip
    return {"fresh": field.observables(t), "stored": stored, "test": test}


def simulation(
    *,
    d: int,
    alpha: float,
    h: float,
    flip: float,
    N: int,
    t_max: float,
    nodes: int,
    seed: int,
    watch: Callable[[float, Any], None] = lambda *_: None,
) -> dict[str, Any]:
    """Train a finite network on N stored examples."""
    data = hr.LinearlySeparable(d, flip=flip)
    X, y = data.sample(N, seed=seed)
    X_test, y_test = data.sample(2000, seed=seed, stream="test")
    network = hr.MeanFieldNetwork.random(nodes, d, paired="odd", seed=seed)
    particles = hr.Particles(
        network, X, y, alpha=alpha, h=h, X_test=X_test, y_test=y_test, record_nodes=0, seed=seed
    )
    steps = round(t_max)
    times = np.concatenate([[0.0], np.geomspace(1.0, steps, 30), np.linspace(0.0, steps, 16)])
    run = particles.run(
        steps,
        save_at=np.unique(np.round(times).astype(int)),
        callbacks=[lambda driver, _: watch(driver.t / steps, driver)],
        threads=1,
    )
    return {"run": run}


def lines(theory: Mapping[str, Any], simulation: Mapping[str, Any] | None) -> Mapping[str, Sequence[Line]]:
    """Return what the panels show."""
    fresh, stored = theory["fresh"], theory["stored"]
    t = fresh["t"].values
    gap = theory["test"] - stored["train_unsatisfied"]
    drawn = {
        "gamma": [
            Line(t, fresh["gamma"].values, "fresh examples", 0),
            Line(t, stored["gamma"].values, "N stored examples", 1, "dashed"),
        ],
        "unsatisfied": [
            Line(t, fresh["unsatisfied"].values, "fresh examples", 0),
            Line(t, stored["train_unsatisfied"].values, "stored, training", 1, "dashed"),
            Line(t, theory["test"].values, "stored, test", 2, "dotted"),
        ],
        "gap": [Line(t, gap.values, "N stored examples", 1, "dashed")],
    }
    if simulation is not None:
        run = simulation["run"]
        at = run["t" if "t" in run.variables else "step"].values.astype(float)
        gap = run["test_unsatisfied"] - run["unsatisfied"]
        drawn["gamma"].append(Line(at, run["gamma"].values, "simulation", 1, "marks"))
        drawn["unsatisfied"] += [
            Line(at, run["unsatisfied"].values, "simulation, training", 1, "marks"),
            Line(at, run["test_unsatisfied"].values, "simulation, test", 2, "marks"),
        ]
        drawn["gap"].append(Line(at, gap.values, "simulation", 1, "marks"))
    return drawn


HINGE = Page(
    name="hinge",
    title="Hinge clock",
    about="A wide ReLU network learns y = sign x₁ with the hinge loss; all its nodes turn by the same rotation γ(t). "
    "Lines: mean field of infinite width, for fresh and for N stored examples; circles: a network trained on N stored "
    "examples.",
    fields=(
        Slider("alpha", "α, scale of the output", 0.1, 10.0, 1.0, 0.02, log=True),
        Slider("h", "h, margin below which an example counts", 0.1, 3.0, 1.0, 0.05),
        Slider("d", "d, dimension of the inputs", 2, 200, 30, 1, whole=True),
        Slider("flip", "flipped labels, fraction", 0.0, 0.4, 0.0, 0.01),
        Slider("N", "N, stored examples", 100, 100_000, 2000, 0.05, log=True, whole=True),
        Slider("t_max", "time to show, steps of size 1", 10.0, 10_000.0, 1000.0, 0.05, log=True),
        Slider("nodes", "simulation: nodes of the network", 20, 1000, 200, 20, whole=True, of="simulation"),
        Slider("seed", "simulation: seed", 0, 20, 0, 1, whole=True, of="simulation"),
    ),
    panels=(
        Panel("gamma", "Rotation of the nodes", "t, steps", "γ, hyperbolic angle", True),
        Panel("unsatisfied", "Examples below the margin", "t, steps", "fraction unsatisfied", True, True),
        Panel("gap", "Over-fitting", "t, steps", "unsatisfied: test minus training", True),
    ),
    theory=theory,
    simulation=simulation,
    lines=lines,
    plot="""
# The picture needs matplotlib: pip install 'hmm_rs[plot]'.
axes = curves["fresh"].gamma.plot(xscale="log", label="fresh examples")[0].axes
curves["stored"].gamma.plot(ax=axes, label="stored examples")
if run is not None:
    axes.plot(run["run"].t, run["run"].gamma, "o", label="simulation")
axes.legend()
axes.figure.savefig("hinge.png")
""",
)
