"""Figure 2: a sheet of two dimensions in a space of three."""

from __future__ import annotations

import numpy as np

from ...data import HiddenManifold
from ...ground.extras import extra
from ...ground.linear_algebra import gram
from ...ground.results import dataset
from ...kernels import intrinsic_dimension
from ...networks.two_layer import TwoLayer
from ...plot.axes import in_words
from ..allowance import over_seeds
from ..card import Card, Scale
from ..reproduction import Parts

__all__ = ["CARD", "make"]


def make(scale: str | Scale = "small") -> Parts:
    """Return 2000 inputs of N = 3, D = 2 and their labels; both scales are the same."""
    Scale.of(scale)
    pyplot = extra("matplotlib.pyplot", of="plot", needed_by="hr.figures")
    model, teacher = HiddenManifold(3, 2, f="erf", seed=1), TwoLayer.random(2, 2, seed=1)
    X, C = model.sample(2000)
    labels = teacher.forward(C)
    figure, ax = pyplot.subplots(figsize=(4.8, 4.2), layout="constrained", subplot_kw={"projection": "3d"})
    points = ax.scatter(*X.T, c=labels, s=4, cmap="viridis")
    ax.set(xlabel="$x_1$", ylabel="$x_2$", zlabel="$x_3$", box_aspect=(1, 1, 0.9))
    data = dataset(
        {"x": X, "y": labels},
        along=np.arange(len(X)),
        dim="sample",
        label="sample",
        source="simulation",
        settings={"N": 3, "D": 2, "f": "erf"},
        cite=("hidden-manifold",),
        dims={"x": ("sample", "i")},
    )
    data["y"].attrs["long_name"] = "label, a function of the latents alone"
    figure.colorbar(points, ax=ax, shrink=0.6, label=in_words(data.y, "y"))
    seen = [intrinsic_dimension(gram(model.sample(2000, seed=seed)[0]))[0] for seed in range(8)]
    row = over_seeds(
        "dimension of the sheet, from distances to the two nearest neighbours",
        2.0,
        seen,
        neglected=2.0 / np.sqrt(len(X)),
        because="the sheet bends over the distance of neighbours, 1/sqrt(samples) of its size, relative",
        paper="a sheet of two dimensions (low)",
    )
    return {"sheet": data}, figure, [row]


CARD = Card(
    "hidden-manifold-2",
    "hidden manifold",
    "Sketch of the model",
    "Inputs x = f(F c/sqrt(D)) lie on a curved sheet of D = 2 dimensions in N = 3; labels, the colour, depend on the "
    "latents c alone.",
    "Ours: N = 3, D = 2, f = erf, a teacher of two erf units.",
    "low",
    make,
)
