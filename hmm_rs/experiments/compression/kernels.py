"""The tangent kernel through training: what it sees of the labels, and what it learns when frozen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ... import kernels
from ...data.manifolds import LabelledGaussian, Stripe
from ...ground.arguments import choice, count, items, number
from ...ground.errors import ConvergenceError
from ...ground.results import dataset
from ...networks.mean_field import MeanFieldNetwork
from .keeping import Keeper
from .runs import CITE, Array, described, flow_of, in_parallel

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["circle_kernel", "classifier_error", "frozen_error", "kernel_evolution", "tangent_kernel"]


def tangent_kernel(network: MeanFieldNetwork, X: Array, Y: Array | None = None) -> Array:
    """Return h Theta in double precision: a single-precision Gram matrix need not be positive."""
    a, w, b = (np.asarray(part, dtype=np.float64) for part in (network.a, network.w, network.b))
    return kernels.network_ntk(MeanFieldNetwork(a, w, b, activation=network.activation), X, Y)


def classifier_error(
    K: Array, y: Array, K_test: Callable[[npt.NDArray[np.intp]], Array], y_test: Array
) -> float:
    """Return the test error of the hard-margin classifier of a kernel; NaN where it does not converge."""
    try:
        fit = kernels.svc(K, y)
    except ConvergenceError:
        return float("nan")
    return fit.error(K_test(fit.support), y_test)


def frozen_error(network: MeanFieldNetwork, train: tuple[Array, Array], test: tuple[Array, Array]) -> float:
    """Return the test error of the classifier in a network's frozen tangent kernel."""
    (X, y), (X_test, y_test) = train, test
    return classifier_error(
        tangent_kernel(network, X), y, lambda s: tangent_kernel(network, X_test, X[s]), y_test
    )


def kernel_evolution(
    data: LabelledGaussian,
    p: int,
    *,
    seeds: int = 5,
    h: int = 300,
    alpha: float = 1e-6,
    fractions: Sequence[float] = (0.1, 0.5, 0.9),
    stop_margin: float = 0.9,
    max_steps: int = 200_000,
    components: int = 10,
    test_size: int = 10_000,
    points: Literal["train", "kernel"] = "train",
    checkpoints: str | Path | None = None,
) -> xr.Dataset:
    """Follow the tangent kernel through training: label projections, mutual information, learning.

    Parameters
    ----------
    data, p, seeds, h, alpha, max_steps, test_size, checkpoints
        As in :func:`learning_curves`.
    fractions
        Satisfied fractions to look at, between the start and the end at `stop_margin`.
    components
        Leading eigenvectors to look at.
    points
        Which points the eigenvectors, their information and the change of the kernel are looked at on: those that
        trained the network ("train"), or fresh ones ("kernel"). The published code stores both.

    Returns
    -------
    xarray.Dataset
        Over ``stage`` (0: start, then the fractions, then the end) and seed: ``omega2(stage, seed, r)``,
        ``eigenvalues(stage, seed, r)`` (of the Gram matrix over p), ``cumulative`` = C_components,
        ``mutual_information(stage, seed, r)``, ``kernel_change``, ``intrinsic_dimension`` (all on `points`),
        ``frozen_error``: test error of the frozen kernel after learning fresh points, ``network_error``,
        ``satisfied`` and ``t``.
    """
    described(data)
    fractions = [
        number("fractions", f, minimum=0.0, maximum=1.0)
        for f in items("fractions", fractions, "numbers between 0 and 1, (0.1, 0.5)")
    ]
    stages = len(fractions) + 2
    R = count("components", components, maximum=count("p", p))
    choice("points", points, ("train", "kernel"))

    kept = Keeper(
        checkpoints,
        "evolution",
        data=data,
        p=p,
        h=h,
        alpha=alpha,
        fractions=fractions,
        stop_margin=stop_margin,
        max_steps=max_steps,
        components=R,
        test_size=test_size,
        points=points,
    )

    def measured(seed: int) -> dict[str, list[Any]]:
        X, y = data.sample(p, seed=seed)
        fresh, fresh_y = data.sample(p, seed=seed, stream="kernel")
        X_test, y_test = data.sample(test_size, seed=seed, stream="test")
        flow = flow_of(data, p, h, alpha, seed, X_test=X_test, y_test=y_test)
        initial: Array | None = None
        seen: list[dict[str, Any]] = []
        for stage in range(stages):
            if stage:
                until = (
                    {"stop_frac": fractions[stage - 1]}
                    if stage < stages - 1
                    else {"stop_margin": stop_margin}
                )
                flow, _ = kept.run(flow, (seed,), f"{stage}", max_steps=max_steps, save_steps=[0], **until)
            at = flow.network
            seen_X, seen_y = (X, y) if points == "train" else (fresh, fresh_y)
            gram = tangent_kernel(at, seen_X)
            initial = gram if initial is None else initial
            projections = kernels.label_projections(gram, seen_y)
            now = flow.observe()
            seen.append(
                {
                    "omega2": projections["omega2"][:R],
                    "eigenvalues": projections["eigenvalues"][:R] / p,
                    "cumulative": projections["cumulative"][R - 1],
                    "mutual_information": [
                        kernels.mutual_information(projections["eigenvectors"][:, r], seen_y)
                        for r in range(R)
                    ],
                    "kernel_change": kernels.kernel_change(gram, initial),
                    "intrinsic_dimension": kernels.intrinsic_dimension(gram)[0],
                    "frozen_error": frozen_error(at, (fresh, fresh_y), (X_test, y_test)),
                    "network_error": now["test_error"],
                    "satisfied": now["satisfied"],
                    "t": flow.t,
                }
            )
        return {name: [each[name] for each in seen] for name in seen[0]}

    def run(seed: int) -> dict[str, Array]:
        return kept.point((seed,), partial(measured, seed))

    runs = in_parallel(run, [(s,) for s in range(count("seeds", seeds))])
    values = {name: np.stack([run[name] for run in runs], axis=1) for name in runs[0]}
    inner: dict[str, tuple[str, ...]] = {
        name: ("stage", "seed", "r") if values[name].ndim == 3 else ("stage", "seed") for name in values
    }
    return dataset(
        values,
        along=np.arange(stages),
        dim="stage",
        label="stage of training",
        source="simulation",
        settings={
            "data": repr(data),
            "p": p,
            "h": h,
            "alpha": alpha,
            "fractions": fractions,
            "points": points,
        },
        cite=CITE,
        dims=inner,
    )


def circle_kernel(
    p: int = 512,
    *,
    points: int = 100,
    h: int = 1000,
    alpha: float = 1e-6,
    seed: int = 0,
    stop_margin: float = 0.9,
    max_steps: int = 100_000,
    checkpoints: str | Path | None = None,
) -> xr.Dataset:
    """Return the tangent kernel on a circle of radius sqrt 2, before and after training on the stripe in d = 2.

    A run under way is kept in `checkpoints`, as in :func:`learning_curves`.

    Returns
    -------
    xarray.Dataset
        Over the angle ``phi`` from the informative axis: ``initial(phi, phi2)``, ``first_fit(phi, phi2)`` (at t*, a
        tenth of the examples fitted) and ``final(phi, phi2)``, each divided by its mean diagonal. The initial one
        depends on the difference of angles; the later ones see the informative direction. Attribute ``t_star``
        (NaN where `max_steps` did not reach it).
    """
    data = Stripe(2)
    angles = 2 * np.pi * np.arange(count("points", points)) / points
    circle = np.sqrt(2.0) * np.column_stack([np.cos(angles), np.sin(angles)])
    flow = flow_of(data, p, h, alpha, seed)
    kept = Keeper(checkpoints, "circle", p=p, h=h, alpha=alpha, stop_margin=stop_margin, max_steps=max_steps)
    found = {}
    for name in ("initial", "first_fit", "final"):
        if name != "initial":
            until = {"stop_frac": 0.1} if name == "first_fit" else {"stop_margin": stop_margin}
            flow, _ = kept.run(flow, (seed,), name, max_steps=max_steps, save_steps=[0], **until)
        kernel = tangent_kernel(flow.network, circle)
        found[name] = kernel / np.diag(kernel).mean()
    t_star = flow.events["t_star"][0] if "t_star" in flow.events else np.nan
    return dataset(
        found,
        along=angles,
        dim="phi",
        label="angle from the informative axis",
        units="rad",
        source="simulation",
        settings={"p": p, "h": h, "alpha": alpha, "seed": seed},
        cite=CITE,
        dims=dict.fromkeys(found, ("phi", "phi2")),
        t_star=t_star,
    )
