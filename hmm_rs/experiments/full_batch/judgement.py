"""How far a simulated learning curve may lie from the theory of infinite size, and whether it does."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ...ground import losses
from ...ground.arguments import count, instance, reals
from ...ground.errors import InvalidParameterError, ShapeError
from ...ground.overflow import within_range
from ...ground.results import axis_of, result_of, variable_of

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["agreement", "finite_size_allowance"]

Vector = npt.NDArray[np.float64]

#: Observables that are 0/1 errors, bounded between 0 and 1.
_ERRORS = ("train_error", "test_error")


def finite_size_allowance(
    name: str, theory: npt.ArrayLike, standard_error: npt.ArrayLike, *, p: int, loss: str
) -> npt.NDArray[np.float64]:
    """Return how far a simulated mean at finite p may lie from the theory of infinite p.

    Four standard errors plus the finite-size bias: 0.5/p for 0/1 errors and the losses of classification,
    2/p relative for everything else. Measured biases times p: -0.09 to -0.16 (square), about -0.2 (logistic)
    for 0/1 errors, 0 to 0.1 for training losses.

    Parameters
    ----------
    name
        Observable.
    theory, standard_error
        Its predictions and the standard errors of the simulated means, shapes (points,).
    p
        Student dimension of the simulation.
    loss
        Which loss was learnt with.
    """
    predicted = np.abs(reals("theory", theory))
    error = reals("standard_error", standard_error, infinite=True)
    if not error.ndim:
        error = np.broadcast_to(error, predicted.shape)
    if error.shape != predicted.shape:
        raise ShapeError(
            f"standard_error has shape {error.shape}: must be that of theory, {predicted.shape}; pass one for all, or "
            f"one per prediction"
        )
    p = count("p", p)
    name = instance("name", name, str, 'an observable, "test_error"')
    regression = losses.loss("loss", loss, losses.FULL_BATCH) == "ridge"
    bounded = name in _ERRORS or (not regression and name == "train_loss")
    bias = np.full_like(predicted, 0.5 / p) if bounded else 2.0 / p * predicted
    with within_range("theory and standard_error"):
        return np.asarray(4.0 * error + bias)


def agreement(simulation: xr.Dataset, theory: xr.Dataset) -> xr.Dataset:
    """Lay a simulated curve beside its theory and judge the gap.

    Parameters
    ----------
    simulation
        From :func:`hmm_rs.experiments.full_batch.full_batch_curve`.
    theory
        From ``hmm_rs.theory.replica.learning_curve`` at the same alphas.

    Returns
    -------
    xarray.Dataset
        Over (observable, alpha): ``theory, simulation, standard_error, gap, allowed, within`` (0 or 1).
    """
    import xarray as xr

    for argument, given, kind in (
        ("simulation", simulation, "what full_batch_curve returned"),
        ("theory", theory, "what replica.learning_curve returned"),
    ):
        if "alpha" not in result_of(argument, given, kind).coords:
            raise InvalidParameterError(
                f"{argument} has no coordinate alpha: must be a curve over it; pass {kind}"
            )
    alpha, solved = axis_of("simulation", simulation, "alpha"), axis_of("theory", theory, "alpha")
    if alpha.shape != solved.shape or not np.allclose(alpha, solved, rtol=1e-9):
        raise InvalidParameterError(
            f"theory has alpha = {theory.alpha.values}: must match the simulation's "
            f"{simulation.alpha.values}; solve the theory at simulation.alpha"
        )
    skipped = ("converged", "gap", "residual", "iterations")
    names = [str(name) for name in simulation.data_vars if name in theory and name not in skipped]
    if not names:
        raise InvalidParameterError(
            "simulation and theory share no observable: must both hold train_error, say; pass what full_batch_curve "
            "and replica.learning_curve returned"
        )
    loss, p = str(simulation.attrs.get("loss")), count("simulation.attrs['p']", simulation.attrs.get("p"))
    table: dict[str, list[Vector]] = {
        key: [] for key in ("theory", "simulation", "standard_error", "gap", "allowed", "within")
    }
    for name in names:
        measured = variable_of("simulation", simulation, name, ("alpha", "seed"), known=False).values
        repeats = measured.shape[1]
        error = (
            measured.std(axis=1, ddof=1) / math.sqrt(repeats)
            if repeats > 1
            else np.full(len(measured), np.inf)
        )
        predicted = variable_of("theory", theory, name, ("alpha",), known=False).values
        gap = measured.mean(axis=1) - predicted
        allowed = finite_size_allowance(name, predicted, error, p=p, loss=loss)
        columns = (
            predicted,
            measured.mean(axis=1),
            error,
            gap,
            allowed,
            (np.abs(gap) <= allowed).astype(float),
        )
        for key, values in zip(table, columns, strict=True):
            table[key].append(values)
    return xr.Dataset(
        {key: (("observable", "alpha"), np.array(values)) for key, values in table.items()},
        coords={"observable": names, "alpha": simulation.alpha.values},
        attrs={"p": p, "loss": loss},
    )
