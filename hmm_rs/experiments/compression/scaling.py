"""Compression at the first fit against the number of examples."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np

from ...data.manifolds import LabelledGaussian, Stripe
from ...ground.arguments import choice, count
from ...ground.results import dataset
from .exponents import fit_exponent
from .keeping import Keeper
from .runs import (
    CITE,
    WHY,
    Array,
    Convention,
    flow_of,
    in_parallel,
    lambda_star_of,
    missing,
    needs_compression,
    training_sizes,
)

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["SIZES", "compression_scaling"]

#: Sizes of training sets at which both sides of the law are in sight.
SIZES = (256, 512, 1024, 2048, 4096)


def compression_scaling(
    d: int | LabelledGaussian,
    *,
    sizes: Sequence[int] = SIZES,
    seeds: int = 20,
    h: int = 200,
    alpha: float = 1e-6,
    max_dout: float = 0.3,
    max_dw: float = 0.02,
    convention: Convention = "ratio_of_rms",
    checkpoints: str | Path | None = None,
) -> xr.Dataset:
    r"""Measure the compression Lambda* at t*, when a tenth of the examples is fitted, against p.

    Parameters
    ----------
    d
        Input dimension of the stripe, or a data description.
    sizes, seeds
        Numbers of examples, and of data sets at each.
    h, alpha, max_dout, max_dw
        As in :class:`hmm_rs.GradientFlow`.
    convention
        Which factor of :func:`hmm_rs.compression` is Lambda. The theory is that of "ratio_of_rms"; the published
        curve shows "mean_of_rms", which lies above it.
    checkpoints
        Folder to keep finished points and runs under way in: called again after an interruption, with the same
        arguments, only the rest is computed. None: nothing is kept.

    Returns
    -------
    xarray.Dataset
        ``lambda_star(p, seed)``, ``t_star(p, seed)``, and ``lambda_star_ratio_of_rms``, ``lambda_star_mean_of_rms``,
        ``lambda_star_sum_perp``, the same in every convention; attributes ``missing`` (which runs gave no value, and
        why), ``exponent``, ``exponent_error`` of [mean Lambda^-2]^(-1/2), and ``prefactor``, ``prefactor_error``: the
        mean of that average over sqrt p at sizes of 1024 and more (or the largest). The theory is
        Lambda* = prefactor sqrt p with ``lambda_over_sqrtp`` of the fastest attractor, once sqrt p is far above
        1/prefactor.
    """
    data = d if isinstance(d, LabelledGaussian) else Stripe(d)
    needs_compression(data)
    choice("convention", convention, get_args(Convention))
    sizes = training_sizes(sizes)
    seeds = count("seeds", seeds, minimum=2)

    conventions = get_args(Convention)

    kept = Keeper(checkpoints, "scaling", data=data, h=h, alpha=alpha, max_dout=max_dout, max_dw=max_dw)

    def measured(p: int, seed: int) -> dict[str, float]:
        flow = flow_of(data, p, h, alpha, seed, max_dout=max_dout, max_dw=max_dw)
        flow, result = kept.run(flow, (p, seed), "start", stop_frac=0.1, save_steps=[0])
        stars = {name: lambda_star_of(flow, data, name) for name in conventions}
        return {"t_star": float(result.attrs.get("t_star", np.nan)), **stars}

    def run(p: int, seed: int) -> list[float]:
        point = kept.point((p, seed), partial(measured, p, seed))
        return [float(point[name]) for name in ("t_star", *conventions)]

    found = np.array(in_parallel(run, [(p, s) for p in sizes for s in range(seeds)]))
    t_star, *stars = found.reshape(len(sizes), seeds, 1 + len(conventions)).transpose(2, 0, 1)
    lambda_star = stars[conventions.index(convention)]
    fit = fit_exponent(sizes, lambda_star, average="inverse_square")
    # Data sets drawn anew within each size, the average's error by the same bootstrap.
    large = [i for i, p in enumerate(sizes) if p >= min(1024, max(sizes))]
    generator = np.random.default_rng(0)
    ratios = lambda_star[large] / np.sqrt(np.array(sizes)[large])[:, None]

    def prefactor(ratios: Array) -> float:
        # Draws of nothing but runs without a value have no mean, and take no part below.
        with np.errstate(invalid="ignore"):
            means = np.nansum(ratios**-2.0, axis=1) / np.isfinite(ratios).sum(axis=1)
        return float((means**-0.5).mean())

    drawn = [prefactor(ratios[:, generator.integers(0, seeds, seeds)]) for _ in range(1000)]
    every = {f"lambda_star_{name}": star for name, star in zip(conventions, stars, strict=True)}
    values = {"lambda_star": lambda_star, "t_star": t_star, **every}
    return dataset(
        values,
        along=sizes,
        dim="p",
        label="training examples",
        source="simulation",
        settings={
            "data": repr(data),
            "h": h,
            "alpha": alpha,
            "max_dout": max_dout,
            "max_dw": max_dw,
            "convention": convention,
        },
        cite=CITE,
        dims=dict.fromkeys(values, ("p", "seed")),
        missing=missing({"lambda_star": lambda_star, "t_star": t_star}, WHY),
        exponent=fit.exponent,
        exponent_error=fit.error,
        prefactor=prefactor(ratios),
        prefactor_error=float(np.nanstd(drawn, ddof=1)),
    )
