"""Functions of increasing complexity on real images: wider students learn more of the task.

Networks with an increasing number of erf units learn to tell even from odd digits. Early on they all
compute what one unit can; wider ones then go on where narrower ones have stopped. Source: Goldt,
Mézard, Krzakala & Zdeborová, Phys. Rev. X 10, 041044 (2020), section V.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .._lib import get_num_threads
from ..data.images import NORMALISATIONS, Images, digits, normalise
from ..data.stored import StoredSamples
from ..dynamics.online_sgd import OnlineSGD
from ..dynamics.schedule import logtimes
from ..ground.arguments import LARGEST_COUNT, array, choice, count, flag, instance, items, number
from ..ground.arguments import threads as checked_threads
from ..ground.errors import InvalidParameterError
from ..ground.overflow import within_range
from ..ground.results import dataset
from ..networks.two_layer import TwoLayer

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["increasing_complexity"]

Array = npt.NDArray[np.float64]


def increasing_complexity(
    images: Images | None = None,
    test_images: Images | None = None,
    *,
    K: Sequence[int] = (1, 2, 4, 8),
    lr: float = 0.2,
    t_max: float = 1000.0,
    batch: int = 1,
    positive: Iterable[int] | None = None,
    normalisation: str = "image",
    train_second_layer: bool = True,
    std_w: float = 1.0,
    std_v: float = 1.0,
    save_at: npt.ArrayLike | None = None,
    progress: bool = False,
    threads: int | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Train two-layer networks of several widths on two classes of images.

    Parameters
    ----------
    images, test_images
        ``data.images.Images``. Default: the digits of scikit-learn; a fifth of `images` is kept for
        tests where there are no `test_images`. Published: MNIST and Fashion-MNIST (N = 784).
    K
        Widths.
    lr
        Learning rate of both layers.
    t_max
        End of the training, in units of N samples.
    batch
        Samples a step.
    positive
        Classes with label +1; the others have -1. None: even classes. Clothes: (0, 2, 3, 5, 8).
    normalisation
        "image" (each image standardised), "global" or "half"; see ``data.images.normalise``.
    train_second_layer
        Whether v is trained with w.
    std_w, std_v
        Standard deviations of the initial weights.
    save_at
        Times to measure at, increasing; None: 0 and 30 log-spaced times.
    progress
        Show a progress bar over the widths.
    threads
        Threads to use; the result does not depend on it.
    seed
        Seed of weights, of the sequence of samples and of the split.

    Returns
    -------
    xarray.Dataset
        Over K and t = steps batch / N: ``test_mse`` and ``train_mse`` (½ mean square of output
        minus label), ``test_error`` and ``train_error`` (fraction of wrong signs), Q = w wᵀ/N and v
        (not-a-number beyond each network's width).

    Examples
    --------
    >>> from hmm_rs.experiments.increasing_complexity import increasing_complexity
    >>> result = increasing_complexity(K=[1, 8], t_max=200)
    >>> bool(result.train_mse.isel(K=1, t=-1) < result.train_mse.isel(K=0, t=-1))
    True
    """
    widths = [count("K", width) for width in items("K", K, "widths, (1, 2, 4, 8)")]
    if not widths:
        raise InvalidParameterError("K = []: must hold at least one width; pass K=(1, 2, 4, 8)")
    choice("normalisation", normalisation, NORMALISATIONS)
    batch, seed = count("batch", batch), count("seed", seed, minimum=0, maximum=None)
    t_max = number("t_max", t_max, minimum=0.0, exclusive=True)
    workers = checked_threads("threads", threads) or get_num_threads()
    progress = flag("progress", progress)
    images = (
        digits() if images is None else instance("images", images, Images, "data.images.Images(X, classes)")
    )
    if test_images is not None:
        instance("test_images", test_images, Images, "data.images.Images(X, classes)")
    for name, part in (("images", images), ("test_images", test_images)):
        least = 2 if name == "images" and test_images is None else 1
        if part is not None and len(part.X) < least:
            raise InvalidParameterError(
                f"{name} holds {len(part.X)} images: must be {least} at least, to train on and to test on; pass more"
            )
    if test_images is None:
        images, test_images = images.split(max(len(images.X) // 5, 1), seed=[seed, 0])
    X = normalise(images.X, normalisation)
    X_test = normalise(test_images.X, normalisation, reference=images.X)
    signs = None if positive is None else items("positive", positive, "classes with label +1, (0, 2)")
    y, y_test = (part.parity if signs is None else part.labels(signs) for part in (images, test_images))
    model = StoredSamples(X, y)
    times = (
        np.concatenate([[0.0], logtimes(min(float(batch) / model.N, t_max), t_max, 30)])
        if save_at is None
        else array("save_at", save_at, (None,))
    )
    if times[-1] > LARGEST_COUNT / model.N:
        raise InvalidParameterError(
            f"save_at ends at {times[-1]:g}: must be a time of fewer than 2**53 steps; pass less"
        )
    if times[0] < 0.0 or (np.diff(times) < 0.0).any():
        raise InvalidParameterError("save_at: must be times >= 0 in increasing order; sort them")
    # Times that fall into one step are one measurement.
    steps = np.unique(np.ceil(times * model.N / batch * (1.0 - 1e-12)).astype(np.int64))

    def run(width: int) -> dict[str, Array]:
        sim = OnlineSGD(
            model,
            model.labels_teacher,
            student=TwoLayer.random(width, model.N, std_w=std_w, std_v=std_v, seed=[seed, 1]),
            lr=lr,
            train_second_layer=train_second_layer,
            batch=batch,
            test_size=1,
            seed=[seed, 2],
        )
        records = []
        for step in steps:
            sim.advance(int(step) - sim.step, threads=threads)
            records.append(
                _measured(sim.student, {"train": (X, y), "test": (X_test, y_test)}, max(widths), threads)
            )
        return {name: np.array([seen[name] for seen in records]) for name in records[0]}

    from tqdm.auto import tqdm

    with ThreadPoolExecutor(workers) as executor:
        runs = list(tqdm(executor.map(run, widths), total=len(widths), disable=not progress, unit="width"))
    inner = ("K", "t")
    result = dataset(
        {name: np.stack([seen[name] for seen in runs]) for name in runs[0]},
        along=widths,
        dim="K",
        label="hidden units",
        source="simulation",
        settings={
            "experiment": "increasing_complexity",
            "lr": lr,
            "t_max": t_max,
            "batch": batch,
            "positive": signs,
            "normalisation": normalisation,
            "train_second_layer": train_second_layer,
            "std_w": std_w,
            "std_v": std_v,
            "seed": seed,
        },
        cite=("hidden-manifold",),
        dims={
            **dict.fromkeys(("test_mse", "train_mse", "test_error", "train_error"), inner),
            "Q": (*inner, "k", "k2"),
            "v": (*inner, "k"),
        },
        seed=str(seed),
    )
    result = result.assign_coords(t=("t", steps * batch / model.N, {"long_name": "time t = steps batch / N"}))
    for name in ("Q", "v"):
        if len(set(widths)) > 1:
            result[name].attrs["undefined"] = "NaN beyond the width of a network"
    result["Q"].attrs["long_name"] = "weight overlap w.w/N"
    return result


@within_range("lr, std_w and std_v")
def _measured(
    student: TwoLayer, sets: dict[str, tuple[Array, Array]], width: int, threads: int | None
) -> dict[str, Array | float]:
    """Return errors on each set and the weights' overlaps, padded to `width` units."""
    seen: dict[str, Array | float] = {}
    for name, (X, y) in sets.items():
        outputs = student.forward(X, threads=threads)
        seen[f"{name}_mse"] = float(0.5 * np.mean((outputs - y) ** 2))
        seen[f"{name}_error"] = float(np.mean(np.where(outputs < 0.0, -1.0, 1.0) != y))
    K, N = student.w.shape
    Q, v = np.full((width, width), np.nan), np.full(width, np.nan)
    # A sum of products in one order, not a matrix product, whose bits depend on threads.
    Q[:K, :K] = (student.w[:, None, :] * student.w[None, :, :]).sum(axis=2) / N
    v[:K] = student.v
    return {**seen, "Q": Q, "v": v}
