"""Proximal operators of the losses."""

from __future__ import annotations

import numpy.typing as npt

from ... import _lib
from ...ground.arguments import array, number, reals
from ...ground.losses import loss as checked_loss
from ...ground.overflow import finite
from ...ground.record import Record
from .settings import LOSSES, Loss

__all__ = ["prox"]


def prox(s: npt.ArrayLike, V: float, *, loss: Loss) -> Record:
    r"""Evaluate the proximal operator :math:`\mathrm{argmin}_x\,(x-s)^2/(2V) + \ell(x)` for label +1.

    Parameters
    ----------
    s
        Points, any shape.
    V
        Width, > 0.
    loss
        One of :data:`LOSSES`.

    Returns
    -------
    Record
        ``prox``; ``f`` = (prox - s)/V without its cancellation; ``minus_df_ds``; ``moreau``, the minimum.
        Arrays of the shape of `s`, floats for a scalar.

    Examples
    --------
    >>> prox(0.4, 0.9, loss="hinge")["prox"]
    1.0
    """
    given = reals("s", s)
    points = array("s", given.ravel(), (None,))
    name = checked_loss("loss", loss, LOSSES)
    width = number("V", V, minimum=0.0, exclusive=True)
    columns = finite("s and V", _lib.replica_prox(points, width, name))
    shape = given.shape
    return Record(
        {key: values.reshape(shape) if shape else float(values[0]) for key, values in columns.items()},
        source="theory",
        dim="s",
        along=points,
        label="point",
        settings={"V": width, "loss": name},
    )
