"""Learning curves on images, at small size."""

from __future__ import annotations

import math

import numpy as np

from ... import plot
from ...data.parity import digits
from ...experiments import compression
from ...plot.marks import power_law
from ..card import Card, Scale
from ..panels import beside, panels
from ..reproduction import Parts, Row
from .setting import WORK

__all__ = ["CARD", "images_at_small_size"]


def images_at_small_size(scale: str | Scale = "small") -> Parts:
    """Return test errors against p of the convolutional network and its kernels on the parity of 8x8 digits."""
    scale = Scale.of(scale)
    sizes, seeds, h, test, steps = scale.pick(
        small=((32, 64), 3, 1, 256, 120), paper=((48, 80, 128, 208, 368), 5, 2, 1024, 20_000)
    )
    result = compression.image_learning_curves(
        *digits(),
        sizes=sizes,
        seeds=seeds,
        h=h,
        test=test,
        max_steps=steps,
        max_dout=0.3,
        max_dw=0.03,
        checkpoints=scale.folder,
    )
    figure, axes = panels(1, 1)
    ax = axes[0, 0]
    plot.error_curves(result, ax=ax)
    start = float(result.initial_ntk.isel(p=0).mean())
    p = np.asarray(sizes, dtype=float)
    for slope, words in ((1 / 2, "slope \N{MINUS SIGN}1/2"), (1 / 3, "slope \N{MINUS SIGN}1/3")):
        power_law(ax, p, -slope, through=(p[0], start), words=words)
    beside(figure, ax)
    # A classifier that has learnt nothing errs on half of the test images, within their sampling error.
    chance = 3.0 * math.sqrt(0.25 / (test * seeds))
    table = []
    for name, guide in (("network", 1 / 2), ("initial_ntk", 1 / 3)):
        errors = result[name].mean("seed").values
        slope = -float(np.polynomial.polynomial.polyfit(np.log(p), np.log(errors), 1)[1])
        table.append(
            Row(
                f"exponent of the {name.replace('_', ' ')}, against the guide of the published plot",
                guide,
                slope,
                math.inf,
                f"not to be expected equal: digits of 8x8 pixels, h = {h}, p = {sizes[0]} to {sizes[-1]}; an error of "
                f"1/2 is within {chance:.2f} of having learnt nothing",
                "guides -1/2 and -1/3 on MNIST, p = 42 to 6944 (plot of the authors' code; high)",
            )
        )
    return {"simulation": result}, figure, table


CARD = Card(
    "compression-images",
    WORK,
    "Images at small size",
    "Test error against p of the convolutional network and of its full and last-layer tangent kernels, initial "
    "and after "
    "training, on the parity of digits; grey: the guides -1/2 and -1/3 of the published plot.",
    "Published: MNIST, h = 10, p = 42 to 6944, 5 seeds, hours on a GPU each. Here: scikit-learn's 8x8 digits "
    "(stem at stride "
    "1), h = 2, p to 368 (h = 1, p = 32 and 64, 120 steps at small scale), classifiers in place of kernel flows.",
    "high",
    images_at_small_size,
    "MNIST and its sizes: the study is hr.experiments.compression.image_learning_curves; pass it the images. "
    "Needs the extra "
    "[cnn].",
)
