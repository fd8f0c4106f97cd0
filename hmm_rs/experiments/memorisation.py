"""Which examples networks learn first, and whether they all learn the same ones.

Networks that differ in initial weights and order of samples are trained on one task; the sets of
samples they get right are compared. Networks on real images share their easy examples. Tasks: noise
inputs, inputs on a hidden manifold with labels of a teacher on the inputs or on the latents, images.
Source: published code and paper of Goldt, Mézard, Krzakala & Zdeborová, arXiv:1909.11500v1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .. import _lib
from ..data.gaussian import TeacherStudent
from ..data.hidden_manifold import HiddenManifold
from ..data.images import Images, digits, normalise
from ..ground.arguments import choice, count, flag, instance, items, number, reals, seed_words
from ..ground.arguments import threads as checked_threads
from ..ground.errors import ConvergenceError, InvalidParameterError, ShapeError
from ..ground.memory import require
from ..ground.results import dataset

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Task", "image_task", "memorisation", "overlap_beyond_chance", "teacher_task"]

Single = npt.NDArray[np.float32]
Classes = npt.NDArray[np.uint32]
Bools = npt.NDArray[np.bool_]

#: Samples labelled at once, and how many times the wanted number may be looked through.
_BLOCK, _PATIENCE = 2048, 1000


@dataclass(frozen=True, eq=False)
class Task:
    """A task of classification: inputs (P, N) and classes (P,), for training and for tests."""

    X: Single
    classes: Classes
    X_test: Single
    classes_test: Classes

    def __post_init__(self) -> None:
        shapes = [self.X.shape, self.classes.shape, self.X_test.shape, self.classes_test.shape]
        fits = self.X.ndim == self.X_test.ndim == 2 and self.X.size > 0 and self.X_test.size > 0
        if (
            not fits
            or shapes[1] != shapes[0][:1]
            or shapes[3] != shapes[2][:1]
            or shapes[0][1] != shapes[2][1]
        ):
            raise ShapeError(
                f"X, classes, X_test, classes_test have shapes {shapes}: must be (P, N), (P,), (P', N), (P',); "
                f"pass one class per input"
            )

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return 1 + int(max(self.classes.max(), self.classes_test.max()))


def teacher_task(
    kind: str = "latent",
    *,
    N: int = 256,
    D: int = 35,
    M: int = 512,
    classes: int = 10,
    train_per_class: int = 100,
    test_per_class: int = 50,
    seed: int = 0,
    threads: int | None = None,
) -> Task:
    """Return a balanced task whose classes are the largest of several outputs of a random relu teacher.

    Parameters
    ----------
    kind
        "noise": inputs ~ N(0, 1), teacher on them. "input": x = sign(F c), teacher on x. "latent":
        the same inputs, teacher on c.
    N, D, M
        Inputs, latents, hidden units of the teacher. Published: 3072, 35, 8192.
    classes
        Number of classes.
    train_per_class, test_per_class
        Samples of each class; those of a class that is full are rejected. Published: 5000, 1000.
    seed
        Seed of teacher, features and samples.
    threads
        Threads to use; the result does not depend on it.

    Raises
    ------
    ConvergenceError
        If the teacher gives a class too rarely to fill it.

    Notes
    -----
    Inputs have mean 0 and variance 1, what the published ones (mean .5, std .5) become when they are
    normalised for the student; the teacher sees them so.

    Examples
    --------
    >>> from hmm_rs.experiments.memorisation import teacher_task
    >>> task = teacher_task("latent", N=64, M=64, classes=2, train_per_class=20, test_per_class=5)
    >>> task.X.shape, int((task.classes == 1).sum())
    ((40, 64), 20)
    """
    choice("kind", kind, ("noise", "input", "latent"))
    N, D, M, classes = count("N", N), count("D", D), count("M", M), count("classes", classes, minimum=2)
    quota = [count("train_per_class", train_per_class), count("test_per_class", test_per_class)]
    words = seed_words([count("seed", seed, minimum=0, maximum=None), 1])
    model = TeacherStudent(N) if kind == "noise" else HiddenManifold(N, D, f="sign", seed=[seed, 0])
    seen_by_teacher = D if kind == "latent" else N
    threads = checked_threads("threads", threads)
    wanted = classes * sum(quota)
    require(8 * wanted * N, f"a task of {wanted} samples", "lower train_per_class")
    w = _lib.weight_normals(words, 0, M * seen_by_teacher).reshape(M, -1).astype(np.float32)
    v = _lib.weight_normals(words, 1, classes * M).reshape(classes, M).astype(np.float32)
    scale = 1.0 / math.sqrt(seen_by_teacher)

    kept: tuple[list[Single], list[Single]] = ([], [])
    labels: tuple[list[Classes], list[Classes]] = ([], [])
    free = np.array([[q] * classes for q in quota])
    drawn = 0
    while free.any():
        if drawn > _PATIENCE * max(wanted, _BLOCK):
            raise ConvergenceError(
                f"the teacher with seed={seed} gave class {int(free.sum(axis=0).argmax())} too rarely in {drawn} "
                f"samples: every class must be filled; pass another seed, or fewer classes",
                free,
            )
        X, C = model.sample(_BLOCK, seed=[seed, 2], start=drawn, dtype="float32", threads=threads)
        drawn += _BLOCK
        outputs = _lib.network_outputs_f32(C if kind == "latent" else X, w, v, "relu", scale, threads)
        given = outputs.argmax(axis=1).astype(np.uint32)
        for part in range(2):
            # The first samples of each class that still fit, in the order they come.
            rank = np.zeros(len(given), dtype=np.int64)
            for c in range(classes):
                rank[given == c] = np.arange(np.count_nonzero(given == c))
            taken = rank < free[part][given]
            free[part] -= np.bincount(given[taken], minlength=classes)
            kept[part].append(X[taken])
            labels[part].append(given[taken])
            X, given = X[~taken], given[~taken]
    X_train, X_test = (np.concatenate(part) for part in kept)
    train, test = (np.concatenate(part) for part in labels)
    return Task(X_train, train, X_test, test)


def image_task(images: Images | None = None, test_images: Images | None = None, *, seed: int = 0) -> Task:
    """Return the task of telling images' classes, pixels mapped from [0, 1] to [-1, 1].

    Parameters
    ----------
    images, test_images
        ``data.images.Images``. Default: the digits of scikit-learn; a fifth of `images` is kept for
        tests where there are no `test_images`.
    seed
        Seed of that split.

    Examples
    --------
    >>> from hmm_rs.experiments.memorisation import image_task
    >>> image_task().X.shape
    (1438, 64)
    """
    images = (
        digits() if images is None else instance("images", images, Images, "data.images.Images(X, classes)")
    )
    if test_images is not None:
        instance("test_images", test_images, Images, "data.images.Images(X, classes)")
    else:
        images, test_images = images.split(max(len(images.X) // 5, 1), seed=seed)
    X, X_test = (normalise(each.X, "half").astype(np.float32) for each in (images, test_images))
    train, test = (each.classes.astype(np.uint32) for each in (images, test_images))
    return Task(X, train, X_test, test)


def overlap_beyond_chance(correct: npt.ArrayLike) -> float:
    """Return the mean correlation of sets of correctly classified samples, over pairs of networks.

    1 where all networks get the same samples right, 0 where they do so independently of each other.

    Parameters
    ----------
    correct
        Whether a network gets a sample right, shape (networks, P).

    Raises
    ------
    InvalidParameterError
        If a network gets all samples right, or none: then nothing can vary with it.

    Examples
    --------
    >>> from hmm_rs.experiments.memorisation import overlap_beyond_chance
    >>> overlap_beyond_chance([[True, False, True], [True, False, True]])
    1.0
    """
    right = reals("correct", correct)
    if right.ndim != 2 or len(right) < 2:
        raise ShapeError(
            f"correct has shape {right.shape}: must be (networks, P) with two networks or more; pass such an array"
        )
    if not np.isin(right, (0.0, 1.0)).all():
        raise InvalidParameterError(
            "correct holds other values than 0 and 1: must say right or wrong; pass booleans"
        )
    for network, row in enumerate(right):
        if row.all() or not row.any():
            raise InvalidParameterError(
                f"correct[{network}]: the network gets {'all' if row.all() else 'none'} of {row.size} samples right, "
                f"so no correlation is defined; leave it out, or look at a harder or an earlier task"
            )
    return _mean_correlation(right)


def _mean_correlation(right: npt.NDArray[np.float64]) -> float:
    """Return the mean over pairs of rows of 0 and 1; not-a-number if one of them is constant."""
    pairs = [_correlation(right[i], right[j]) for i in range(len(right)) for j in range(i)]
    return float(np.mean(pairs))


def _correlation(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    """Return the correlation of two 0/1 vectors, from whole-number counts."""
    n, n_a, n_b, n_ab = len(a), a.sum(), b.sum(), (a * b).sum()
    spread = n_a * (n - n_a) * n_b * (n - n_b)
    return float((n * n_ab - n_a * n_b) / math.sqrt(spread)) if spread > 0 else math.nan


def memorisation(
    task: Task | None = None,
    *,
    K: int = 256,
    epochs: int = 10,
    lr: float = 0.01,
    batch: int = 32,
    permute: bool = False,
    seeds: Sequence[int] = (0, 1, 2),
    progress: bool = False,
    threads: int | None = None,
) -> xr.Dataset:
    """Train networks that differ in their seeds and compare which samples they get right.

    Relu networks of K hidden units without biases, Xavier-normal initial weights, cross-entropy,
    plain SGD, in single precision.

    Parameters
    ----------
    task
        From :func:`teacher_task` or :func:`image_task`; None: ``image_task()``.
    K
        Hidden units. Published: 4096.
    epochs
        Passes over the training set. Published: 1.
    lr, batch
        Learning rate and samples a step; the gradient is averaged over them.
    permute
        Train on permuted labels, the same permutation for all seeds.
    seeds
        One network each, two at least: seed of its initial weights and order of samples.
    progress
        Show a progress bar over networks.
    threads
        Networks trained at a time; the result does not depend on it.

    Returns
    -------
    xarray.Dataset
        Over epoch, for "train" and "test": ``train_correct`` (epoch, seed, train_sample), 1 where the
        network gets the sample right; ``train_error`` (epoch, seed); ``train_common``, fraction all
        networks get right; ``train_chance``, what it would be if they were independent;
        ``train_overlap``, see :func:`overlap_beyond_chance`. ``train_loss`` (epoch, seed) is the mean
        cross-entropy during the epoch. What is not defined (the loss at epoch 0, an overlap where a network gets all
        or no samples right) is not-a-number, and the variable's attribute ``undefined`` says why. Training
        labels are those trained on.

    Raises
    ------
    DivergenceError
        If the learning rate is too large.

    Examples
    --------
    >>> from hmm_rs.experiments.memorisation import memorisation, teacher_task
    >>> task = teacher_task("latent", N=64, M=64, classes=2, train_per_class=100)
    >>> result = memorisation(task, K=32, epochs=2, seeds=[0, 1])
    >>> result.sizes["train_sample"]
    200
    """
    task = image_task() if task is None else instance("task", task, Task, "teacher_task()")
    permute, progress = flag("permute", permute), flag("progress", progress)
    workers = checked_threads("threads", threads) or _lib.get_num_threads()
    K, epochs, batch = count("K", K), count("epochs", epochs), count("batch", batch)
    lr = number("lr", lr, minimum=0.0)
    numbers = [count("seeds", s, minimum=0, maximum=None) for s in items("seeds", seeds, "seeds, (0, 1)")]
    if len(numbers) < 2:
        raise InvalidParameterError(f"seeds = {numbers}: must hold two seeds or more; pass seeds=(0, 1, 2)")
    train = task.classes
    if permute:
        train = train[np.random.default_rng(0).permutation(len(train))]
    X, X_test = np.ascontiguousarray(task.X, np.float32), np.ascontiguousarray(task.X_test, np.float32)
    N, C = X.shape[1], task.n_classes

    def run(seed: int) -> dict[str, Any]:
        words = seed_words([seed, 1])
        w = _xavier(words, 0, K, N)
        v = _xavier(words, 1, C, K)
        loss: list[float] = [math.nan]
        right: dict[str, list[Bools]] = {"train": [], "test": []}
        for epoch in range(epochs + 1):
            if epoch > 0:
                order = np.random.default_rng([seed, 2, epoch]).permutation(len(X)).astype(np.uint32)
                trained = _lib.train_classifier(X, train, order, w, v, lr=lr, batch=batch)
                w, v = trained["w"], trained["v"]
                loss.append(trained["loss"])
            for name, inputs, labels in (("train", X, train), ("test", X_test, task.classes_test)):
                outputs = _lib.network_outputs_f32(inputs, w, v, "relu", 1.0, 1)
                right[name].append(outputs.argmax(axis=1) == labels)
        return {"loss": loss, **{name: np.array(seen) for name, seen in right.items()}}

    from tqdm.auto import tqdm

    with ThreadPoolExecutor(workers) as executor:
        runs = list(
            tqdm(executor.map(run, numbers), total=len(numbers), disable=not progress, unit="network")
        )
    values: dict[str, Any] = {"train_loss": np.stack([seen["loss"] for seen in runs], axis=1)}
    dims: dict[str, tuple[str, ...]] = {"train_loss": ("epoch", "seed")}
    for name in ("train", "test"):
        right = np.stack([seen[name] for seen in runs], axis=1)  # (epoch, seed, sample)
        accuracy = right.mean(axis=2)
        values[f"{name}_correct"] = right
        values[f"{name}_error"] = 1.0 - accuracy
        values[f"{name}_common"] = right.all(axis=1).mean(axis=1)
        values[f"{name}_chance"] = accuracy.prod(axis=1)
        values[f"{name}_overlap"] = [_mean_correlation(each.astype(np.float64)) for each in right]
        dims[f"{name}_correct"] = ("epoch", "seed", f"{name}_sample")
        dims[f"{name}_error"] = ("epoch", "seed")
    result = dataset(
        values,
        along=np.arange(epochs + 1),
        dim="epoch",
        label="passes over the training set",
        source="simulation",
        settings={
            "experiment": "memorisation",
            "K": K,
            "lr": lr,
            "batch": batch,
            "permute": permute,
            "seeds": numbers,
        },
        cite=("hidden-manifold",),
        dims=dims,
        dtype="float32",
    ).assign_coords(seed=("seed", numbers))
    result["train_loss"].attrs["undefined"] = "epoch 0: no sample has been learnt from yet"
    for part in ("train", "test"):
        overlap = result[f"{part}_overlap"]
        missing = result.epoch.values[np.isnan(overlap.values)]
        if missing.size:
            overlap.attrs["undefined"] = (
                f"epochs {', '.join(f'{epoch:g}' for epoch in missing)}: a network gets all samples right, or none, "
                f"so no correlation is defined"
            )
    for name, text in (
        ("correct", "classified correctly"),
        ("common", "fraction all networks classify correctly"),
        ("chance", "the same for independent networks"),
        ("overlap", "correlation of correctly classified sets"),
    ):
        for part in ("train", "test"):
            result[f"{part}_{name}"].attrs["long_name"] = text
    return result


def _xavier(words: Classes, unit: int, rows: int, columns: int) -> Single:
    """Return weights ~ N(0, 2/(rows + columns)), shape (rows, columns)."""
    normals = _lib.weight_normals(words, unit, rows * columns).reshape(rows, columns)
    return (math.sqrt(2.0 / (rows + columns)) * normals).astype(np.float32)
