"""Two students trained apart: whether they agree on the manifold, and off it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import plot
from ...experiments import ensemble
from ...experiments.independent_students import independent_students
from ..allowance import exceeds, over_seeds
from ..card import Card, Scale
from ..panels import panels
from ..reproduction import Parts, Row

__all__ = ["CARD", "make"]

_SCENARIOS = {
    "iid": "independent inputs",
    "input": "manifold, labels on inputs",
    "latent": "manifold, labels on latents",
    "images": "digits, even against odd",
}
_CURVES = {
    "e1": "student and labels",
    "e12": "two students, on test inputs",
    "e12_white": "two students, on noise",
}


def make(scale: str | Scale = "small") -> Parts:
    """Return errors of students and their disagreement for four sources of inputs.

    N = 400, D = 10, K = M = 4, labels of both signs, 50 N training samples and t <= 300 at "small"; N = 784 and
    t <= 1000 at "paper". Five seeds.
    """
    scale = Scale.of(scale)
    N, t_max, tests = scale.pick(small=(400, 300.0, 5000), paper=(784, 1000.0, 50_000))
    return _made(N=N, t_max=t_max, tests=tests, seeds=5)


def _made(*, N: int, t_max: float, tests: int, seeds: int) -> Parts:
    times = np.geomspace(0.1, t_max, 20)
    options: dict[str, Any] = {"N": N, "K": 4, "M": 4, "samples": 50.0, "lr": 0.2, "classify": True}
    options.update(t_max=t_max, save_at=times, test_size=tests)
    figure, axes = panels(2, 2, width=4.4, height=3.3)
    data = {}
    for ax, (scenario, title) in zip(axes.flat, _SCENARIOS.items(), strict=True):

        def of_seed(seed: int, scenario: str = scenario) -> Any:
            return independent_students(scenario, seed=seed, **options)

        runs = data[scenario] = ensemble(of_seed, seeds=seeds)
        curves = [runs[[name]].rename({name: "e"}) for name in _CURVES]
        for curve in curves:
            curve["e"].attrs["long_name"] = "half mean squared difference"
        plot.learning_curve(*curves, variable="e", labels=list(_CURVES.values()), ax=ax)
        ax.set_title(title, fontsize="medium")
        ax.get_legend().set_visible(scenario == "iid")
    return data, figure, _table(data)


def _table(data: dict[str, Any]) -> list[Row]:
    """Return where students must agree off the manifold as on it, and where they must not."""
    independent = data["iid"].isel(t=[-8, -1])
    rows = [
        over_seeds(
            f"independent inputs: disagreement at t = {float(t):.3g}, theory: the same on noise, whose fields have "
            "the same covariance",
            independent.e12_white.sel(t=t),
            independent.e12.sel(t=t),
            paper="as well off the inputs as on them (high)",
        )
        for t in independent.t
    ]
    for scenario in ("latent", "images"):
        end = data[scenario].isel(t=-1)
        rows.append(
            exceeds(
                f"{_SCENARIOS[scenario]}: log of disagreement off the manifold over that on it, end",
                0.0,
                np.log(end.e12_white / end.e12),
                paper="larger off the manifold (high)",
            )
        )
    return rows


CARD = Card(
    "hidden-manifold-independent-students",
    "hidden manifold",
    "Two students trained apart",
    "Error of a student, and disagreement of two students, on test inputs and on white noise; mean and spread over "
    "seeds. Labels that are a function of the latents, and images, leave them free off the manifold; independent "
    "inputs do not. With labels on the inputs what lies off the manifold is learnt too, but later.",
    "Published code: N = 784, D = 10, K = M = 2, lr = .5, as many samples as inputs. Ours: K = M = 4, lr = .2, 50 N "
    "samples, labels +1 and -1, N = 400 at small scale.",
    "high",
    make,
    "MNIST is not part of the package: scikit-learn's digits take its place.",
)
