"""Geometric compression: neurons that flow to attractors on the informative axis."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import hmm_rs as hr

from ..fields import Page, Slider
from ..pictures import Line, Panel

__all__ = ["COMPRESSION"]

#: Half the width of the picture of neurons, in standard deviations of the inputs.
WIDEST = 3.0


def theory(
    *, d: int, xmin: float, xmax: float, p: int, alpha: float, neurons: int, seed: int
) -> dict[str, Any]:
    """Return the attractors of a stripe, and let neurons flow to them until the first examples are fitted."""
    points = hr.theory.attractors(d, xmin=xmin, xmax=xmax)
    if not points:
        raise hr.InvalidParameterError(
            f"xmin = {xmin:g}, xmax = {xmax:g}: no neuron is drawn anywhere; pass other ends of the stripe"
        )
    network = hr.MeanFieldNetwork.random(neurons, d, std_b=1.0, activation="sqrt2_relu", seed=seed)
    end = hr.theory.compression_time(neurons, alpha, max(point["growth"] for point in points))
    # What one training set adds to the population: standard normal numbers.
    noise = hr.TwoLayer.random(1, d, seed=[seed, 1]).w[0]
    t = np.linspace(0.0, end, 40)
    flow = hr.theory.neuron_flow(network, t, p=p, noise=noise, xmin=xmin, xmax=xmax, rtol=1e-3)
    exponents = {each: hr.theory.learning_curve_exponents(each) for each in range(2, 21)}
    return {"attractors": points, "flow": flow, "end": end, "exponents": exponents}


def simulation(
    *,
    d: int,
    xmin: float,
    xmax: float,
    p: int,
    alpha: float,
    neurons: int,
    seed: int,
    width: int,
    watch: Callable[[float, Any], None] = lambda *_: None,
) -> dict[str, Any]:
    """Train a network of some width on p examples of the stripe until the first ones are fitted."""
    del neurons  # of the theory: whoever trains a network chooses its own width
    X, y = hr.Stripe(d, xmin=xmin, xmax=xmax).sample(p, seed=seed)
    network = hr.MeanFieldNetwork.random(width, d, std_b=1.0, activation="sqrt2_relu", seed=seed)
    growth = max(point["growth"] for point in hr.theory.attractors(d, xmin=xmin, xmax=xmax))
    end = hr.theory.compression_time(width, alpha, growth)
    flow = hr.GradientFlow(network, X, y, alpha=alpha, threads=1)
    run = flow.run(
        t_max=end,
        save_at=np.linspace(0.0, end, 30),
        callbacks=[lambda driver, _: watch(driver.t / end, driver)],
    )
    return {"run": run, "network": flow.network}


def lines(theory: Mapping[str, Any], simulation: Mapping[str, Any] | None) -> Mapping[str, Sequence[Line]]:
    """Return what the panels show."""
    flow, points = theory["flow"], theory["attractors"]
    h, d = flow.sizes["i"], flow.sizes["j"]
    t = flow["t"].values / h
    ends = t[[0, -1]]
    told = {1: "attractor, active above", -1: "attractor, active below"}
    number = {1: 1, -1: 2}
    drawn: dict[str, list[Line]] = {
        "factor": [Line(t, flow["compression"].values, "flow of single neurons", 0)],
        "neurons": [],
        "exponents": [],
    }
    root = np.sqrt(_setting(flow, "p"))
    for point in points:
        colour, label = number[point["s"]], told[point["s"]]
        level = np.full(2, point["lambda_over_sqrtp"] * root)
        drawn["factor"].append(Line(ends, level, label, colour, "dashed"))
        drawn["neurons"].append(Line(ends, np.full(2, point["z"]), label, colour, "dashed"))
    z = _hyperplanes(flow["w"].values, flow["bias"].values)
    for sign, label in ((1.0, "neurons with ω₁ > 0"), (-1.0, "neurons with ω₁ < 0")):
        for i in range(h):
            if np.sign(flow["w"].values[-1, i, 0]) == sign:
                drawn["neurons"].append(Line(t, z[:, i], label, number[int(sign)]))
    at = np.array(list(theory["exponents"]), dtype=float)
    for colour, name in enumerate(("lazy", "feature")):
        values = np.array([each[name] for each in theory["exponents"].values()])
        drawn["exponents"].append(Line(at, values, f"{name} regime", colour))
        drawn["exponents"].append(Line(at[at == d], values[at == d], f"{name}, at this d", colour, "marks"))
    if simulation is not None:
        run, network = simulation["run"], simulation["network"]
        scaled = run["t"].values / len(network.w)
        drawn["factor"].append(Line(scaled, run["compression"].values, "simulation", 0, "marks"))
        final = _hyperplanes(network.w[None], network.b[None])[0]
        for sign, label in ((1.0, "simulation, ω₁ > 0"), (-1.0, "simulation, ω₁ < 0")):
            mine = final[np.sign(network.w[:, 0]) == sign]
            last = np.full(mine.size, scaled[-1])
            drawn["neurons"].append(Line(last, mine, label, number[int(sign)], "marks"))
    return drawn


def _setting(flow: Any, name: str) -> float:
    import json

    return float(json.loads(flow.attrs["settings"])[name])


def _hyperplanes(w: Any, b: Any) -> Any:
    """Return where neurons cut the informative axis, z = -√d b/ω₁; nan outside the picture."""
    with np.errstate(divide="ignore", invalid="ignore"):
        z = -np.sqrt(w.shape[-1]) * b / w[..., 0]
    return np.where(np.abs(z) <= WIDEST, z, np.nan)


COMPRESSION = Page(
    name="compression",
    title="Compression",
    about="ReLU neurons learn a stripe, y = 1 for xmin < x₁ < xmax. While the loss is linear each flows by itself to "
    "an attractor on the x₁ axis and loses its other weights. Lines: the flow, up to the time when the first "
    "examples are fitted; circles: a network trained on p examples.",
    fields=(
        Slider("d", "d, dimension of the inputs", 2, 20, 5, 1, whole=True),
        Slider("xmin", "xmin, lower end of the stripe", -2.0, 2.0, -0.3, 0.05),
        Slider("xmax", "xmax, upper end of the stripe", -2.0, 2.0, 1.19, 0.05),
        Slider("p", "p, examples", 50, 5000, 300, 0.05, log=True, whole=True),
        Slider("alpha", "α, scale of the predictor", 1e-8, 0.1, 1e-4, 0.1, log=True),
        Slider("neurons", "neurons of the flow", 4, 40, 12, 2, whole=True),
        Slider("seed", "seed of weights and examples", 0, 20, 0, 1, whole=True),
        Slider("width", "simulation: neurons of the network", 20, 400, 100, 20, whole=True, of="simulation"),
    ),
    panels=(
        Panel("factor", "Compression", "t/h, code time per neuron", "Λ, informative over other weights"),
        Panel(
            "neurons",
            "Where neurons cut the x₁ axis",
            "t/h, code time per neuron",
            "z, standard deviations of x₁",
            between=(-WIDEST, WIDEST),
        ),
        Panel(
            "exponents", "Learning curves fall as p^(-β)", "d, dimension", "exponent β", between=(0.0, 1.0)
        ),
    ),
    theory=theory,
    simulation=simulation,
    lines=lines,
    plot="""
# The picture needs matplotlib: pip install 'hmm_rs[plot]'.
axes = curves["flow"].compression.plot(label="flow of single neurons")[0].axes
if run is not None:
    # Times are those of networks of these widths.
    ratio = settings["neurons"] / settings["width"]
    axes.plot(run["run"].t * ratio, run["run"].compression, "o", label="simulation")
axes.legend()
axes.figure.savefig("compression.png")
""",
)
