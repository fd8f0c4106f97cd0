"""Test errors against the number of examples, in the feature and in the lazy regime."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np

from ... import kernels
from ...data.manifolds import LabelledGaussian
from ...dynamics.gradient_flow import GradientFlow
from ...ground.arguments import choice, count, items, number
from ...ground.results import dataset
from .keeping import Keeper
from .kernels import classifier_error, frozen_error
from .runs import (
    CITE,
    WHY,
    Convention,
    compressible,
    described,
    in_parallel,
    lambda_star_of,
    missing,
    network_of,
    training_sizes,
)

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["CURVES", "learning_curves"]

#: What can be asked of :func:`learning_curves`, and what it is.
CURVES = {
    "network": "network in the feature regime",
    "initial_ntk": "kernel at the start",
    "final_ntk": "kernel after training",
    "stretched_ntk": "kernel at the start on stretched data",
    "closed_ntk": "kernel of infinite width",
    "laplace": "Laplace kernel",
}


def learning_curves(
    data: LabelledGaussian,
    *,
    sizes: Sequence[int] = (64, 128, 256, 512),
    seeds: int = 5,
    curves: Sequence[str] = ("network", "initial_ntk", "final_ntk", "stretched_ntk"),
    h: int = 300,
    alpha: float = 1e-6,
    stop_margin: float = 0.9,
    max_steps: int = 200_000,
    test_size: int = 10_000,
    max_dout: float = 0.3,
    max_dw: float = 0.02,
    convention: Convention = "ratio_of_rms",
    bandwidth: float = 100.0,
    checkpoints: str | Path | None = None,
) -> xr.Dataset:
    r"""Measure test errors against the number of examples, in the feature and in the lazy regime.

    Parameters
    ----------
    data
        Stripe, cylinder, single interface or sphere.
    sizes, seeds
        Numbers of examples, and of data sets at each.
    curves
        Any of: "network", trained in the feature regime; "initial_ntk", the frozen kernel of the network at its
        start, learning the network's own examples; "final_ntk", the kernel at the end of training, learning from
        fresh examples, so that it is judged on points that did not shape it; "stretched_ntk", the
        initial kernel on data whose uninformative directions are divided by Lambda*; "closed_ntk", the kernel of
        infinite width; "laplace", the isotropic exp(-|x - x'|/bandwidth). Kernels learn by hard-margin classification.
    h, alpha, stop_margin, max_steps, max_dout, max_dw
        As in :class:`hmm_rs.GradientFlow`.
    test_size
        Test points; errors resolve 1/test_size.
    convention
        Which factor of :func:`hmm_rs.compression` is Lambda*, as in :func:`compression_scaling`.
    bandwidth
        Of the Laplace kernel; far above the distances of the data, where the theory's exponent holds.
    checkpoints
        Folder to keep finished points and runs under way in: called again after an interruption, with the same
        arguments, only the rest is computed. None: nothing is kept.

    Returns
    -------
    xarray.Dataset
        Each curve as ``name(p, seed)``, ``lambda_star(p, seed)`` and ``converged(p, seed)`` (1 where the network
        reached `stop_margin`); runs with an error above 1/4 have learnt nothing and should be left out
        of fits (:func:`fit_exponent`). Where the label depends on every direction there is no compression:
        ``lambda_star`` and "stretched_ntk" are left out. The attribute ``missing`` says which runs gave no
        value, and why.
    """
    described(data)
    choice("convention", convention, get_args(Convention))
    curves = [
        choice("curves", name, CURVES) for name in items("curves", curves, "names, for example ['network']")
    ]
    if not compressible(data):
        curves = [name for name in curves if name != "stretched_ntk"]
    sizes = training_sizes(sizes)
    seeds = count("seeds", seeds)
    bandwidth = number("bandwidth", bandwidth, minimum=0.0, exclusive=True)
    names = [*curves, *(["lambda_star"] if compressible(data) else []), "converged"]

    kept = Keeper(
        checkpoints,
        "curves",
        data=data,
        curves=curves,
        h=h,
        alpha=alpha,
        stop_margin=stop_margin,
        max_steps=max_steps,
        test_size=test_size,
        max_dout=max_dout,
        max_dw=max_dw,
        convention=convention,
        bandwidth=bandwidth,
    )

    def measured(p: int, seed: int) -> dict[str, float]:
        X, y = data.sample(p, seed=seed)
        X_test, y_test = data.sample(test_size, seed=seed, stream="test")
        network = network_of(data, h, seed)
        found: dict[str, float] = {"lambda_star": np.nan, "converged": 0.0}

        if {"network", "final_ntk", "stretched_ntk"} & set(curves):
            flow = GradientFlow(
                network,
                X,
                y,
                alpha=alpha,
                d_par=data.informative,
                max_dout=max_dout,
                max_dw=max_dw,
                X_test=X_test,
                y_test=y_test,
            )
            # t* is defined by the margin 1: it has its own run of the rules, then the network goes on.
            flow, _ = kept.run(flow, (p, seed), "start", stop_frac=0.1, max_steps=max_steps, save_steps=[0])
            if compressible(data):
                found["lambda_star"] = lambda_star_of(flow, data, convention)
            flow, result = kept.run(
                flow, (p, seed), "rest", stop_margin=stop_margin, max_steps=max_steps, save_steps=[0]
            )
            found["converged"] = float(result.attrs["stopped"] in ("margin", "gradient"))
            found["network"] = float(result["test_error"][-1])
            if "final_ntk" in curves:
                fresh, fresh_y = data.sample(p, seed=seed, stream="kernel")
                found["final_ntk"] = frozen_error(flow.network, (fresh, fresh_y), (X_test, y_test))
        if "initial_ntk" in curves:
            found["initial_ntk"] = frozen_error(network, (X, y), (X_test, y_test))
        if "stretched_ntk" in curves:
            shrink = np.ones(data.d)
            shrink[data.informative :] = 1.0 / found["lambda_star"]
            found["stretched_ntk"] = (
                frozen_error(network, (X * shrink, y), (X_test * shrink, y_test))
                if np.isfinite(shrink).all()
                else np.nan
            )
        if "closed_ntk" in curves:
            found["closed_ntk"] = classifier_error(
                kernels.ntk(X), y, lambda s: kernels.ntk(X_test, X[s]), y_test
            )
        if "laplace" in curves:
            # Times the bandwidth, for dual coefficients of order one.
            found["laplace"] = classifier_error(
                bandwidth * kernels.laplace(X, scale=bandwidth),
                y,
                lambda s: bandwidth * kernels.laplace(X_test, X[s], scale=bandwidth),
                y_test,
            )
        return found

    def run(p: int, seed: int) -> list[float]:
        point = kept.point((p, seed), partial(measured, p, seed))
        return [float(point[name]) for name in names]

    values = np.array(in_parallel(run, [(p, s) for p in sizes for s in range(seeds)]))
    values = values.reshape(len(sizes), seeds, len(names)).transpose(2, 0, 1)
    found = dict(zip(names, values, strict=True))
    trained = {"network", "final_ntk", "stretched_ntk"} & set(curves)
    if not trained:
        # No network was trained: nothing was compressed and nothing could converge.
        found = {name: found[name] for name in curves}
    result = dataset(
        found,
        along=sizes,
        dim="p",
        label="training examples",
        source="simulation",
        settings={
            "data": repr(data),
            "h": h,
            "alpha": alpha,
            "stop_margin": stop_margin,
            "test_size": test_size,
            "convention": convention,
            "bandwidth": bandwidth,
        },
        cite=CITE,
        dims=dict.fromkeys(found, ("p", "seed")),
        missing=missing(found, WHY),
    )
    for name in found:
        if name in CURVES:
            result[name].attrs["long_name"] = f"test error, {CURVES[name]}"
    return result
