"""Full-batch learning curves: the replica theory beside the best that any estimator could do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import hmm_rs as hr

from ..fields import Choice, Page, Slider
from ..pictures import Line, Panel

__all__ = ["REPLICA"]


def theory(
    *, loss: Any, lam: float, spectrum: str, decay: float, share: float, flip: float, alpha_max: float
) -> dict[str, Any]:
    """Solve the replica equations along alpha, and the Bayes-optimal ones."""
    omega = np.ones(40) if spectrum == "isotropic" else np.arange(1.0, 41.0) ** -decay
    omega /= omega.mean()
    # A teacher field of variance 1, of which the features see a share, in the directions they vary in.
    t = share * omega / omega.size
    problem = hr.theory.replica.Spectrum(omega, np.full(40, 1.0 / 40.0), t, 1.0)
    alphas = np.geomspace(0.1, alpha_max, 24)
    curve = hr.theory.replica.learning_curve(
        problem, alphas, loss=loss, lam=lam, flip=flip, tol=1e-8, threads=1
    )
    teacher: Any = "linear" if loss == "ridge" else "sign"
    optimal = hr.theory.replica.bayes_optimal(problem, alpha=alphas[::2], teacher=teacher, flip=flip)
    return {"curve": curve, "optimal": optimal}


def simulation(
    *,
    loss: Any,
    lam: float,
    spectrum: str,
    decay: float,
    share: float,
    flip: float,
    alpha_max: float,
    p: int,
    repeats: int,
    seed: int,
    watch: Callable[[float, Any], None] = lambda *_: None,
) -> dict[str, Any]:
    """Fit several samples at each of some alphas."""
    import xarray as xr

    omega = np.ones(40) if spectrum == "isotropic" else np.arange(1.0, 41.0) ** -decay
    omega = np.repeat(omega / omega.mean(), p // 40)
    features = hr.experiments.full_batch.GaussianFeatures(omega, np.sqrt(share * omega / omega.size), 1.0)
    points = []
    alphas = np.geomspace(0.1, alpha_max, 10)
    try:
        for done, alpha in enumerate(alphas):
            watch(done / alphas.size, None)
            points.append(
                hr.experiments.full_batch.full_batch_curve(
                    features,
                    [alpha],
                    loss=loss,
                    lam=lam,
                    flip=flip,
                    repeats=repeats,
                    seed=[seed, done],
                    threads=1,
                )
            )
    except hr.StopRun:
        if not points:
            raise
    return {"runs": xr.concat(points, "alpha", combine_attrs="override")}


def lines(theory: Mapping[str, Any], simulation: Mapping[str, Any] | None) -> Mapping[str, Sequence[Line]]:
    """Return what the panels show."""
    curve, optimal = theory["curve"], theory["optimal"]
    error = "test_error" if "test_error" in curve else "test_mse"
    train = error.replace("test", "train")
    alpha = curve["alpha"].values
    drawn = {
        "test": [
            Line(alpha, curve[error].values, "replica", 0),
            Line(optimal["alpha"].values, optimal[error].values, "best possible (Bayes)", 2, "dashed"),
        ],
        "train": [Line(alpha, curve[train].values, "replica", 0)],
        "cosine": [Line(alpha, _cosine(curve), "replica", 0)],
    }
    if simulation is not None:
        runs = simulation["runs"]
        at, mean = runs["alpha"].values, runs.mean("seed")
        drawn["test"].append(Line(at, mean[error].values, "fits, mean", 1, "marks"))
        drawn["train"].append(Line(at, mean[train].values, "fits, mean", 1, "marks"))
        drawn["cosine"].append(Line(at, _cosine(runs).mean(axis=-1), "fits, mean", 1, "marks"))
    return drawn


def _cosine(data: Any) -> Any:
    """Return the correlation of the learnt field with the teacher's, whose variance is 1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return data["m"].values / np.sqrt(data["q"].values)


REPLICA = Page(
    name="replica",
    title="Full batch",
    about="A linear student fits all n examples at once; α = n/p counts examples per feature. Lines: replica theory, "
    "and the error that no estimator can beat; circles: mean over fits of samples at finite p.",
    fields=(
        Choice("loss", "loss", ("logistic", "hinge", "square", "ridge")),
        Slider("lam", "λ, penalty on the sum of losses", 1e-4, 100.0, 0.01, 0.05, log=True),
        Choice("spectrum", "spectrum of the features", ("isotropic", "power law")),
        Slider("decay", "decay of the power law", 0.1, 3.0, 1.0, 0.1),
        Slider("share", "share of the teacher field seen", 0.05, 1.0, 0.8, 0.05),
        Slider("flip", "flipped labels, fraction", 0.0, 0.4, 0.0, 0.01),
        Slider("alpha_max", "largest α to show", 1.0, 30.0, 10.0, 0.05, log=True),
        Slider("p", "simulation: features p", 40, 400, 120, 40, whole=True, of="simulation"),
        Slider("repeats", "simulation: fits at each α", 1, 20, 5, 1, whole=True, of="simulation"),
        Slider("seed", "simulation: seed", 0, 20, 0, 1, whole=True, of="simulation"),
    ),
    panels=(
        Panel("test", "Test error", "α, examples per feature", "wrong labels (ridge: mean square)", True),
        Panel(
            "train", "Training error", "α, examples per feature", "wrong labels (ridge: mean square)", True
        ),
        Panel("cosine", "Alignment", "α, examples per feature", "correlation with the teacher", True),
    ),
    theory=theory,
    simulation=simulation,
    lines=lines,
    plot="""
# The picture needs matplotlib: pip install 'hmm_rs[plot]'.
error = "test_mse" if settings["loss"] == "ridge" else "test_error"
axes = curves["curve"][error].plot(xscale="log", label="replica")[0].axes
curves["optimal"][error].plot(ax=axes, label="best possible (Bayes)")
if run is not None:
    run["runs"][error].mean("seed").plot(ax=axes, marker="o", linestyle="", label="fits, mean")
axes.legend()
axes.figure.savefig("replica.png")
""",
)
