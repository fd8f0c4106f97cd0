"""Which examples networks learn first, and whether all learn the same ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ... import plot
from ...experiments import ensemble
from ...experiments.memorisation import Task, image_task, memorisation, teacher_task
from ...plot.axes import COLOURS, in_words
from ..allowance import exceeds, over_seeds
from ..card import Card, Scale
from ..panels import panels
from ..reproduction import Parts, Row

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["CARD", "make"]

_TASKS = {
    "digits": "digits",
    "latent": "manifold, labels on latents",
    "input": "manifold, labels on inputs",
    "noise": "noise inputs",
}


def make(scale: str | Scale = "small") -> Parts:
    """Return how far networks of different seeds get the same examples right, over passes over the training set.

    K = 128, six groups of three networks and five passes at "small"; K = 4096, N = 3072, M = 8192, 5000 training
    samples a class, four groups and two passes at "paper".
    """
    scale = Scale.of(scale)
    if scale.name == "small":
        return _made(K=128, epochs=5, lr=0.05, groups=6, sizes={"N": 256, "M": 512, "train_per_class": 150})
    published = {"N": 3072, "M": 8192, "train_per_class": 5000, "test_per_class": 1000}
    return _made(K=4096, epochs=2, lr=0.01, groups=4, sizes=published)


def _made(*, K: int, epochs: int, lr: float, groups: int, sizes: dict[str, int]) -> Parts:
    figure, axes = panels(1, 2)
    data = {name: _groups(_task(name, sizes), K, epochs, lr, groups) for name in _TASKS}
    later = {name: runs.isel(epoch=slice(1, None)) for name, runs in data.items()}
    digits = later["digits"]
    curves = [(axes[0, 0], runs, "test_overlap", _TASKS[name]) for name, runs in later.items()]
    curves += [
        (axes[0, 1], digits, "test_common", "all three networks right"),
        (axes[0, 1], digits, "test_chance", "if they were independent"),
    ]
    for i, (ax, runs, variable, label) in enumerate(curves):
        colour = COLOURS[i % len(later)]
        plot.mean_over_seeds(runs, variable, band="std", label=label, colour=colour, ax=ax)
    axes[0, 0].set_ylabel(in_words(digits.test_overlap, "correlation"))
    axes[0, 1].set_ylabel("share of test digits")
    for ax in axes.flat:
        ax.set(xticks=digits.epoch.values, xlabel=in_words(digits.epoch, "epoch"))
        # Correlations of networks that know little scatter about zero.
        ax.set_ylim(min(0.0, ax.get_ylim()[0]), 1.0)
        ax.grid(visible=True, which="major", alpha=0.25, linewidth=0.5)
        ax.legend(frameon=False, fontsize="small")
    return data, figure, _table(data)


def _task(name: str, sizes: dict[str, int]) -> Task:
    return image_task() if name == "digits" else teacher_task(name, **sizes)


def _groups(task: Task, K: int, epochs: int, lr: float, groups: int) -> xr.Dataset:
    """Return overlap, common share and chance of several groups of three networks, along `seed`."""

    def group(number: int) -> xr.Dataset:
        networks = range(3 * number, 3 * number + 3)
        result = memorisation(task, K=K, epochs=epochs, lr=lr, seeds=networks)
        return result[["test_overlap", "train_overlap", "test_common", "test_chance"]].drop_vars(
            "seed", errors="ignore"
        )

    return ensemble(group, seeds=groups)


def _table(data: dict[str, xr.Dataset]) -> list[Row]:
    """Return that untrained networks are independent, and in which order trained ones are less so."""
    rows = [
        over_seeds(
            f"{_TASKS[name]}: overlap of untrained networks, theory: none, for all their outputs are alike",
            0.0,
            runs.test_overlap.isel(epoch=0),
        )
        for name, runs in data.items()
    ]
    last = {name: runs.isel(epoch=-1) for name, runs in data.items()}
    rows += [
        exceeds(
            f"overlap at the end: {_TASKS[more]}, against {_TASKS[less]}",
            last[less].test_overlap,
            last[more].test_overlap,
            paper="images share their easy examples, teachers on inputs less (medium)",
        )
        for more, less in (("digits", "latent"), ("latent", "noise"))
    ]
    digits = last["digits"]
    rows.append(
        exceeds(
            "log of the share of digits that all get right over chance, end",
            0.0,
            np.log(digits.test_common / digits.test_chance),
            paper="more than independent networks would (medium)",
        )
    )
    return rows


CARD = Card(
    "hidden-manifold-memorisation",
    "hidden manifold",
    "Easy examples",
    "(a) Correlation between networks of the test examples they get right, over passes over the training set, mean and "
    "spread over groups of three; (b) share of digits that all three get right, beside chance.",
    "Published code: relu networks of K = 4096, teachers of M = 8192, N = 3072, D = 35, ten classes, lr = .01, batch "
    "32, one pass. Small scale: K = 128, M = 512, N = 256, lr = .05.",
    "medium",
    make,
    "CIFAR10 is not part of the package: scikit-learn's digits take its place.",
)
