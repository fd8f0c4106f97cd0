"""What the equations of the hidden manifold leave out at a finite number of latents, and a teacher without overlaps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..data import HiddenManifold
from ..dynamics import OnlineSGD
from ..ground.linear_algebra import eigh, gram, product
from ..networks.two_layer import TwoLayer
from ..theory import CovarianceODE, HiddenManifoldODE

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["NEGLECTED", "neglected", "orthogonal_teacher"]

#: What :func:`neglected` measures, in words.
NEGLECTED = (
    "an estimate of order 1/D of what the equations leave out, no bound: the gap between those with this F's full "
    "covariance and with its linear part"
)


def orthogonal_teacher(M: int, D: int, seed: int) -> TwoLayer:
    """Return a random teacher on D latents whose M vectors have T = 1 exactly.

    The polar factor of a Gaussian matrix: the rows turn as little as they can, and none is preferred.
    """
    random = TwoLayer.random(M, D, seed=seed).w
    values, vectors = eigh(gram(random))
    inverse_root = product(vectors / np.sqrt(values), vectors.T)
    return TwoLayer(math.sqrt(D) * product(inverse_root, random), np.ones(M))


def neglected(sim: OnlineSGD, times: npt.ArrayLike, *, most: int = 1500) -> xr.Dataset:
    """Return the size of what the equations leave out at this D: of eg, Q and R at each time.

    The equations know F Fᵀ alone; the inputs' covariance has further terms, and their rows unlike norms, of relative
    order 1/D in all. The gap between both sets of equations is taken as the size of all that is left out at this
    order: the fields' cumulants beyond the second are of the same one.

    Parameters
    ----------
    sim
        A simulation on a hidden manifold with labels on the latents.
    times
        Where to compare, shape (n,).
    most
        Inputs of the model on which it is measured where the simulation has more: the order depends on D.
    """
    model = sim.model
    assert isinstance(model, HiddenManifold)  # the figures have no other
    if most < model.N:
        student = sim.initial_student
        sim = OnlineSGD(
            HiddenManifold(most, model.D, f=model.f, seed=model.seed),
            sim.teacher,
            student=TwoLayer(student.w[:, :most], student.v, activation=student.activation),
            lr=sim.lr,
            train_second_layer=sim.train_second_layer,
            test_size=1,
        )
    linear = HiddenManifoldODE.from_simulation(sim).solve(times)
    full = CovarianceODE.from_simulation(sim).solve(times)
    return abs(full[["eg", "Q", "R"]] - linear[["eg", "Q", "R"]])
