"""Two students of the same task, trained apart: whether they agree, and where.

Two students with different initial weights learn from the same source, each from its own sequence of
samples. On real images, and on the hidden manifold with labels on the latents, they agree on the
manifold of the data better than off it; with labels on the inputs or independent inputs they agree as
well off it. Source: Goldt, Mézard, Krzakala & Zdeborová, arXiv:1909.11500v1, section I.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..data.gaussian import TeacherStudent
from ..data.hidden_manifold import HiddenManifold
from ..data.images import Images, digits, normalise
from ..data.nonlinearity import Nonlinearity
from ..data.stored import StoredSamples
from ..dynamics.online_sgd import Labels, OnlineSGD
from ..dynamics.schedule import logtimes
from ..ground.arguments import LARGEST_COUNT, array, choice, count, flag, instance, number
from ..ground.arguments import threads as checked_threads
from ..ground.errors import DivergenceError, InvalidParameterError
from ..ground.memory import require
from ..ground.overflow import within_range
from ..ground.results import dataset
from ..networks.two_layer import TwoLayer

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["SCENARIOS", "independent_students"]

Array = npt.NDArray[np.floating[Any]]

#: Scenarios by name; the published code numbers them 0 to 4 in this order.
SCENARIOS = ("iid", "input", "latent", "images", "trained")

#: Seeds of the parts of an experiment, so that none shares its random numbers with another.
_TEACHER, _STUDENTS, _SAMPLES, _TRAIN, _TEST, _WHITE, _SHUFFLE, _SPLIT = range(8)

_PLACES = {
    "": "on test inputs",
    "_train": "on the training set",
    "_white": "on white Gaussian inputs",
}


@dataclass(frozen=True)
class _Task:
    """Source of training samples, its teacher, and where errors are measured."""

    model: Any
    teacher: TwoLayer
    labels: Labels
    classify: bool
    #: Inputs and labels (None where there are none) by suffix of the variables.
    places: dict[str, tuple[Array, Array | None]]


def independent_students(
    scenario: str = "latent",
    *,
    N: int = 784,
    D: int = 10,
    M: int = 2,
    K: int = 2,
    f: Nonlinearity = "sign",
    lr: float = 0.5,
    t_max: float = 100.0,
    samples: float | None = 1.0,
    train_second_layer: bool = True,
    std_w: float = 1.0,
    std_v: float = 1.0,
    classify: bool = False,
    mix: bool = False,
    random_labels: bool = False,
    images: Images | None = None,
    test_images: Images | None = None,
    teacher_time: float = 100.0,
    test_size: int = 10_000,
    save_at: npt.ArrayLike | None = None,
    progress: bool = False,
    threads: int | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Train two students apart and measure how far they disagree, on the manifold and off it.

    Parameters
    ----------
    scenario
        "iid": inputs x = f(z) with independent z, teacher on x. "input": x = f(F c/√D), teacher on x.
        "latent": the same inputs, teacher on c. "images": images with labels ±1 for even and odd
        classes. "trained": inputs as in "iid", teacher trained on the images before.
    N, D
        Inputs and latents. Images bring their own N.
    M, K
        Hidden units (erf) of the teacher and of the students.
    f
        Nonlinearity of the data.
    lr
        Learning rate of both layers.
    t_max
        End of the training, in units of N steps of one sample.
    samples
        Training samples over N: a fixed set, drawn from with replacement. None: a fresh sample
        every step (f="sign" only, whose inputs have mean 0 and variance 1). Images are such a set
        themselves, whatever `samples`.
    train_second_layer
        Whether v is trained with w.
    std_w, std_v
        Standard deviations of the students' initial weights.
    classify
        Labels are the sign of the teacher's output.
    mix
        Half of the teacher's ṽ_m are -1; all are +1 otherwise.
    random_labels
        Shuffle the labels of the training set.
    images, test_images
        For "images" and "trained": ``data.images.Images``. Default: the digits of scikit-learn; a
        fifth of `images` is kept for tests where there are no `test_images`.
    teacher_time
        For "trained": training time of the teacher.
    test_size
        Test samples, and the largest number of training samples errors are measured on. The published
        figures have 50,000.
    save_at
        Times to measure at, increasing; None: 0 and 30 log-spaced times.
    progress
        Show a progress bar in t.
    threads
        Threads to use; the result does not depend on it.
    seed
        Seed of everything random.

    Returns
    -------
    xarray.Dataset
        Over t: ``e1``, ``e2`` (½ mean square of student minus label) and ``e12`` (½ mean square of
        the difference of the students) on test inputs; the same with the suffix ``_train`` on the fixed
        training set and ``_white`` on white Gaussian inputs (``e1_white`` and ``e2_white`` only where
        the teacher acts on inputs). Each has a partner ``..._sign``: the fraction of inputs on which the
        signs disagree.

    Raises
    ------
    DivergenceError
        If the learning rate is too large; ``.result`` holds what was measured before.

    Notes
    -----
    Inputs of a fixed set are normalised to mean 0 and variance 1 over all inputs and training
    samples. White inputs have as many dimensions.

    Examples
    --------
    >>> from hmm_rs.experiments.independent_students import independent_students
    >>> result = independent_students("latent", N=100, D=5, t_max=20, samples=20, lr=0.2, classify=True,
    ...                               test_size=500)
    >>> bool(result.e12[-1] < result.e12_white[-1])
    True
    """
    choice("scenario", scenario, SCENARIOS)
    K, seed = count("K", K), count("seed", seed, minimum=0, maximum=None)
    t_max = number("t_max", t_max, minimum=0.0, exclusive=True, maximum=float(LARGEST_COUNT))
    lr = number("lr", lr, minimum=0.0)
    std_w, std_v = number("std_w", std_w, minimum=0.0), number("std_v", std_v, minimum=0.0)
    if samples is not None:
        samples = number("samples", samples, minimum=0.0, exclusive=True, maximum=float(LARGEST_COUNT))
    test_size = count("test_size", test_size)
    train_second_layer, classify, mix, random_labels, progress = (
        flag(name, value)
        for name, value in (
            ("train_second_layer", train_second_layer),
            ("classify", classify),
            ("mix", mix),
            ("random_labels", random_labels),
            ("progress", progress),
        )
    )
    threads = checked_threads("threads", threads)
    if save_at is not None:
        save_at = array("save_at", save_at, (None,))
    settings = {
        key: value for key, value in locals().items() if key not in ("images", "test_images", "progress")
    }
    teacher: TwoLayer | None = None
    options = {"lr": lr, "train_second_layer": train_second_layer, "test_size": 1}

    def student(inputs: int, number: int) -> TwoLayer:
        return TwoLayer.random(K, inputs, std_w=std_w, std_v=std_v, seed=[seed, _STUDENTS, number])

    if scenario in ("images", "trained"):
        task = _image_task(images, test_images, seed)
        if scenario == "trained":
            task_of_teacher, (X, _) = task, task.places[""]
            trained = _student(task_of_teacher, student(X.shape[1], 2), [seed, _TEACHER], options)
            steps = round(number("teacher_time", teacher_time, minimum=0.0) * X.shape[1])
            trained.advance(steps, threads=threads)
            teacher = trained.student
            task = _sampled_task(
                "iid", X.shape[1], D, f, teacher, samples, test_size, classify, random_labels, seed, threads
            )
        elif random_labels:
            task = _shuffled(task, seed)
    else:
        N, D, M = count("N", N), count("D", D), count("M", M)
        v = np.ones(M)
        if mix:
            v[M - M // 2 :] = -1.0
        teacher = TwoLayer.random(M, D if scenario == "latent" else N, v=v, seed=[seed, _TEACHER])
        task = _sampled_task(
            scenario, N, D, f, teacher, samples, test_size, classify, random_labels, seed, threads
        )

    inputs = task.places[""][0].shape[1]
    white, _ = TeacherStudent(inputs).sample(test_size, seed=[seed, _WHITE], threads=threads)
    off = None if teacher is None or scenario == "latent" else _labels(teacher, white, classify, threads)
    task.places["_white"] = (white, off)
    if "_train" in task.places:
        X, y = task.places["_train"]
        task.places["_train"] = (X[:test_size], None if y is None else y[:test_size])

    students = [_student(task, student(inputs, i), [seed, _SAMPLES, i], options) for i in range(2)]
    times = (
        np.concatenate([[0.0], logtimes(min(1.0 / inputs, t_max), t_max, 30)]) if save_at is None else save_at
    )
    if times[0] < 0.0 or (np.diff(times) < 0.0).any():
        raise InvalidParameterError("save_at: must be times >= 0 in increasing order; sort them")
    if times[-1] > LARGEST_COUNT / inputs:
        raise InvalidParameterError(
            f"save_at ends at {times[-1]:g}: must be a time of fewer than 2**53 steps; pass less"
        )
    steps_at = np.ceil(times * inputs * (1.0 - 1e-12)).astype(np.int64)

    records: list[dict[str, float]] = []

    def result() -> xr.Dataset:
        table = dataset(
            {name: [seen[name] for seen in records] for name in records[0]},
            along=steps_at[: len(records)] / inputs,
            label="time t = steps / N",
            source="simulation",
            settings={"experiment": "independent_students", **settings},
            cite=("hidden-manifold",),
            seed=str(seed),
        )
        for name in records[0]:
            table[name].attrs["long_name"] = _long_name(name)
        return table

    with ThreadPoolExecutor(2) as executor, _progress(progress, times[-1]) as bar:
        for i, target in enumerate(steps_at):
            try:
                # Each student has its own engine; what they do does not depend on each other.
                list(executor.map(lambda s, n=int(target): s.advance(n - s.step, threads=threads), students))
            except DivergenceError as error:
                raise DivergenceError(str(error), result()) from None
            with within_range("std_w, std_v and lr"):
                records.append(_errors(task, [s.student for s in students], threads))
            bar.update(times[i] - bar.n)
    return result()


def _progress(shown: bool, total: float) -> Any:
    from tqdm.auto import tqdm

    return tqdm(total=float(total), disable=not shown, unit="t")


def _long_name(name: str) -> str:
    pair, _, rest = name.partition("_")
    place = "_" + rest.removesuffix("sign").removesuffix("_") if rest not in ("", "sign") else ""
    what = "disagreement of the students" if pair == "e12" else f"error of student {pair[1]}"
    kind = "fraction of signs that differ" if name.endswith("_sign") else "half mean square"
    return f"{what} {_PLACES[place]} ({kind})"


def _labels(teacher: TwoLayer, seen: Array, classify: bool, threads: int | None) -> Array:
    y = teacher.forward(seen, threads=threads)
    return np.where(y < 0.0, -1.0, 1.0) if classify else y


def _student(task: _Task, initial: TwoLayer, seed: list[int], options: dict[str, Any]) -> OnlineSGD:
    return OnlineSGD(
        task.model,
        task.teacher,
        student=initial,
        labels=task.labels,
        classify=task.classify,
        seed=seed,
        **options,
    )


def _stored_task(X: Array, y: Array, X_test: Array, y_test: Array) -> _Task:
    model = StoredSamples(X, y)
    return _Task(model, model.labels_teacher, "latent", False, {"": (X_test, y_test), "_train": (X, y)})


def _image_task(images: Images | None, test_images: Images | None, seed: int) -> _Task:
    images = (
        digits() if images is None else instance("images", images, Images, "data.images.Images(X, classes)")
    )
    if test_images is not None:
        instance("test_images", test_images, Images, "data.images.Images(X, classes)")
    else:
        images, test_images = images.split(max(len(images.X) // 5, 1), seed=[seed, _SPLIT])
    X = normalise(images.X, "global")
    X_test = normalise(test_images.X, "global", reference=images.X)
    return _stored_task(X, images.parity, X_test, test_images.parity)


def _shuffled(task: _Task, seed: int) -> _Task:
    (X, y), (X_test, y_test) = task.places["_train"], task.places[""]
    assert y is not None  # stored samples have labels
    assert y_test is not None
    order = np.random.default_rng([seed, _SHUFFLE]).permutation(len(y))
    return _stored_task(X, y[order], X_test, y_test)


def _sampled_task(
    scenario: str,
    N: int,
    D: int,
    f: Nonlinearity,
    teacher: TwoLayer,
    samples: float | None,
    test_size: int,
    classify: bool,
    random_labels: bool,
    seed: int,
    threads: int | None,
) -> _Task:
    # With D = N and orthogonal features the fields are independent normals: x = f(z).
    model = (
        HiddenManifold(N, N, f=f, F="dct", seed=seed)
        if scenario == "iid"
        else HiddenManifold(N, D, f=f, seed=seed)
    )
    P = 0 if samples is None else max(round(samples * N), 1)
    require(
        8 * ((3 * P + 2 * test_size) * N + (P + test_size) * model.D),
        f"this experiment (N={N}, {P} training and {test_size} test samples)",
        "lower samples or test_size",
    )
    on_latents = scenario == "latent"
    X_test, C_test = model.sample(test_size, seed=[seed, _TEST], threads=threads)
    if samples is None:
        if f != "sign" or random_labels:
            raise InvalidParameterError(
                f"samples = None: fresh samples need f='sign' (inputs of mean 0 and variance 1, got f={f!r}) and "
                f"random_labels=False; pass samples=1.0 for a fixed set"
            )
        y_test = _labels(teacher, C_test if on_latents else X_test, classify, threads)
        return _Task(model, teacher, "latent" if on_latents else "input", classify, {"": (X_test, y_test)})
    X, C = model.sample(P, seed=[seed, _TRAIN], threads=threads)
    X, X_test = normalise(X, "global"), normalise(X_test, "global", reference=X)
    y = _labels(teacher, C if on_latents else X, classify, threads)
    y_test = _labels(teacher, C_test if on_latents else X_test, classify, threads)
    task = _stored_task(X, y, X_test, y_test)
    return _shuffled(task, seed) if random_labels else task


def _errors(task: _Task, students: list[TwoLayer], threads: int | None) -> dict[str, float]:
    """Return all errors of two students by variable name."""
    seen: dict[str, float] = {}
    for suffix, (X, y) in task.places.items():
        first, second = (s.forward(X, threads=threads) for s in students)
        pairs = {"e1": (first, y), "e2": (second, y), "e12": (first, second)}
        for name, (left, right) in pairs.items():
            if right is None:
                continue
            seen[name + suffix] = float(0.5 * np.mean((left - right) ** 2))
            seen[f"{name}{suffix}_sign"] = float(np.mean((left < 0.0) != (right < 0.0)))
    return seen
