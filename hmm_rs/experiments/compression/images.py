"""Learning curves of the convolutional network on images, and of its kernels before and after."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ...data.parity import parity_sets
from ...dynamics.convolutional_flow import CNNFlow
from ...ground.arguments import count, number
from ...ground.results import dataset
from ...networks.convolutional import CNN
from .keeping import Keeper
from .kernels import classifier_error
from .runs import CITE, WHY, missing

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["IMAGE_CURVES", "image_learning_curves"]

#: What is measured, and what it is.
IMAGE_CURVES = {
    "network": "network in the feature regime",
    "initial_ntk": "kernel at the start",
    "final_ntk": "kernel after training",
    "initial_last": "last layer's kernel at the start",
    "final_last": "last layer's kernel after training",
}


def image_learning_curves(
    images: npt.ArrayLike,
    classes: npt.ArrayLike,
    *,
    sizes: Sequence[int],
    seeds: int = 5,
    h: int = 10,
    test: int = 1000,
    alpha: float = 2e-3,
    max_steps: int = 20_000,
    max_dout: float = 0.1,
    max_dw: float = 0.01,
    checkpoints: str | Path | None = None,
) -> xr.Dataset:
    """Measure test errors of a :class:`hmm_rs.cnn.CNN` on the parity of image classes, and of its frozen kernels.

    Parameters
    ----------
    images, classes
        Shapes (P, height, width) and (P,), for instance those of :func:`hmm_rs.cnn.digits` or MNIST's.
    sizes, seeds
        Numbers of training images, and of networks and sets at each.
    h
        Width; 10 as published.
    test
        Test images.
    alpha, max_steps, max_dout, max_dw
        As in :class:`hmm_rs.cnn.CNNFlow`; a run ends when every margin exceeds one.
    checkpoints
        As in :func:`learning_curves`.

    Returns
    -------
    xarray.Dataset
        ``network``, ``initial_ntk``, ``final_ntk``, ``initial_last``, ``final_last`` (the last layer's kernels) and
        ``converged``, each over (p, seed). Kernels learn by hard-margin classification, where the published study uses
        kernel gradient flow: the initial one the network's own images, the final one fresh ones.

    Raises
    ------
    MissingJaxError
        Without JAX, which the extra ``cnn`` brings.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> result = hr.experiments.compression.image_learning_curves(
    ...     *hr.cnn.digits(), sizes=[20], seeds=1, h=1, test=40, max_steps=2)  # doctest: +SKIP
    """
    sizes = [count("sizes", p, minimum=4) for p in sizes]
    seeds, test = count("seeds", seeds), count("test", test)
    pictures = np.asarray(images)
    network = CNN(h, *pictures.shape[1:])
    alpha = number("alpha", alpha, minimum=0.0, exclusive=True)
    # Blocks of one shape for every kernel, so that JAX compiles them once.
    block = math.gcd(test, *sizes)
    block = block if 8 <= block <= 64 else 64
    names = (*IMAGE_CURVES, "converged")
    kept = Keeper(
        checkpoints,
        "images",
        images=_digest(pictures, np.asarray(classes)),
        network=network,
        test=test,
        alpha=alpha,
        max_steps=max_steps,
        max_dout=max_dout,
        max_dw=max_dw,
    )

    def measured_at(p: int, seed: int) -> dict[str, float]:
        sets = parity_sets(pictures, classes, train=p, kernel=p, test=test, seed=seed)
        flow = CNNFlow(
            network,
            *sets.train,
            alpha=alpha,
            max_dout=max_dout,
            max_dw=max_dw,
            X_test=sets.test[0],
            y_test=sets.test[1],
            seed=seed,
        )
        start = flow.theta.copy()
        flow, run = kept.run(flow, (p, seed), "whole", stop_margin=1.0, max_steps=max_steps, save_steps=[0])
        found = {
            "network": float(run["test_error"][-1]),
            "converged": float(run.attrs["stopped"] in ("margin", "gradient")),
        }
        parts: tuple[tuple[Literal["full", "last"], str], ...] = (("full", "ntk"), ("last", "last"))
        for stage, theta, (X, y) in (("initial", start, sets.train), ("final", flow.theta, sets.kernel)):
            for part, name in parts:
                found[f"{stage}_{name}"] = _frozen(network, theta, part, block, (X, y), sets.test)
        return found

    values = np.full((len(names), len(sizes), seeds), np.nan)
    for i, p in enumerate(sizes):
        for seed in range(seeds):
            point = kept.point((p, seed), partial(measured_at, p, seed))
            values[:, i, seed] = [float(point[name]) for name in names]
    measured = dict(zip(names, values, strict=True))
    result = dataset(
        measured,
        along=sizes,
        dim="p",
        label="training examples",
        source="simulation",
        settings={"network": repr(network), "alpha": alpha, "test": test, "max_steps": max_steps},
        cite=CITE,
        dims=dict.fromkeys(measured, ("p", "seed")),
        missing=missing(measured, WHY),
    )
    for name, words in IMAGE_CURVES.items():
        result[name].attrs["long_name"] = f"test error, {words}"
    return result


def _digest(*arrays: npt.NDArray[Any]) -> str:
    """Return what tells data sets apart."""
    found = hashlib.sha256()
    for values in arrays:
        found.update(repr((values.shape, values.dtype.str)).encode())
        found.update(np.ascontiguousarray(values).tobytes())
    return found.hexdigest()


def _frozen(
    network: CNN,
    theta: npt.NDArray[np.float64],
    part: Literal["full", "last"],
    block: int,
    train: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]],
    test: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]],
) -> float:
    """Return the test error of the classifier in the frozen kernel at parameters `theta`."""
    (X, y), (X_test, y_test) = train, test
    K = network.kernel(theta, X, part=part, block=block)
    scale = float(np.trace(K)) / len(X)
    # Single-precision gradients leave the Gram matrix short of positive by their rounding.
    K = K / scale + 1e-6 * np.eye(len(X))
    K_test = network.kernel(theta, X_test, X, part=part, block=block) / scale
    return classifier_error(K, y, lambda support: K_test[:, support], y_test)
