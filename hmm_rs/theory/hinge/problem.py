"""The problem of the hinge theory: a frozen description and its compiled model."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy.typing as npt

from ... import _lib
from ...ground.arguments import choice, count, flag, number, reals, shown
from ...ground.description import Description
from ...ground.errors import DtypeError, InvalidParameterError
from ...ground.results import dataset
from .arrays import Floats

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["CITE", "LAWS", "HingeProblem", "Law"]

#: Laws of the data that have a name.
Law = Literal["gaussian", "sphere", "mixture"]
LAWS = get_args(Law)

#: Works behind every number of this room.
CITE = ("hinge-mean-field",)


class HingeProblem(Description):
    """Parameters of :class:`hmm_rs.theory.HingeMeanField`, checked."""

    d: int
    alpha: float
    h: float
    beta: float
    p: float
    kappa: float
    sigma_x: float
    sigma_a: float
    sigma_w: float
    C0: float
    C1: float
    law: Law | Callable[[Floats], npt.ArrayLike]
    radius: float | None
    mu: float | None
    flip: float
    support: tuple[float, float]
    subtract_init: bool

    def __init__(
        self,
        d: int,
        *,
        alpha: float = 1.0,
        h: float = 1.0,
        beta: float = 1.0,
        p: float = 1,
        kappa: float | None = None,
        sigma_x: float = 1.0,
        sigma_a: float = 1.0,
        sigma_w: float = 1.0,
        C0: float | None = None,
        C1: float | None = None,
        law: Law | Callable[[Floats], npt.ArrayLike] = "gaussian",
        radius: float | None = None,
        mu: float | None = None,
        flip: float = 0.0,
        support: tuple[float, float] = (-math.inf, math.inf),
        subtract_init: bool = False,
    ) -> None:
        d = count("d", d)
        if not callable(law):
            choice("law", law, LAWS)
        for name, value, wanted in (("radius", radius, "sphere"), ("mu", mu, "mixture")):
            if (value is None) != (law != wanted):
                verb = "needs" if law == wanted else "has no"
                raise InvalidParameterError(
                    f"{name} = {value!r}: law={law!r:.40} {verb} {name}; "
                    f"{f'pass {name}=' if law == wanted else f'leave {name} out'}"
                )
        sigma_x, sigma_a, sigma_w = (
            # Nodes without any input weight sit at the kink of the ReLU, where its slope is zero: they never move.
            number(name, value, minimum=0.0, exclusive=name != "sigma_a")
            for name, value in (("sigma_x", sigma_x), ("sigma_a", sigma_a), ("sigma_w", sigma_w))
        )
        edges = reals("support", support, infinite=True)
        if edges.shape != (2,):
            raise DtypeError(f"support = {shown(support)}: must be two numbers (lower, upper); pass them")
        lower, upper = edges.tolist()
        self._describe(
            d=d,
            alpha=number("alpha", alpha, minimum=0.0, exclusive=True),
            h=number("h", h, minimum=0.0, exclusive=True),
            beta=number("beta", beta, minimum=0.0, exclusive=True),
            p=number("p", p),
            kappa=d**-0.5 if kappa is None else number("kappa", kappa, minimum=0.0, exclusive=True),
            sigma_x=sigma_x,
            sigma_a=sigma_a,
            sigma_w=sigma_w,
            C0=0.0 if C0 is None else number("C0", C0),
            C1=0.5 * (sigma_a**2 + sigma_w**2)
            if C1 is None
            else number("C1", C1, minimum=0.0, exclusive=True),
            law=law,
            radius=radius
            if radius is None
            else number("radius", radius, minimum=0.0, maximum=1e100, exclusive=True),
            mu=mu if mu is None else number("mu", mu),
            flip=number("flip", flip, minimum=0.0, maximum=1.0),
            support=(lower, upper),
            subtract_init=flag("subtract_init", subtract_init),
        )
        # The core calls a density, and is handed numbers only.
        seen = SimpleNamespace(**{**self._arguments, "law": _density(law) if callable(law) else law})
        object.__setattr__(self, "_model", _lib.HingeTheory(seen))

    _model: _lib.HingeTheory

    def _separable_gaussian(self, what: str) -> None:
        if self.law != "gaussian" or self.flip:
            raise InvalidParameterError(
                f"law = {self.law!r:.40}, flip = {self.flip}: {what} is for separable Gaussian data; "
                'use law="gaussian", flip=0'
            )

    def _dataset(self, values: dict[str, Floats], **options: Any) -> xr.Dataset:
        settings = {
            "theory": type(self).__name__,
            **{
                k: v if isinstance(v, (bool, int, float, str, type(None))) else repr(v)
                for k, v in self._arguments.items()
            },
        }
        return dataset(values, source="theory", settings=settings, cite=CITE, **options)


def _density(law: Callable[[Floats], npt.ArrayLike]) -> Callable[[Floats], Floats]:
    """Return a density whose values are checked; their sign and integral are looked at where they are used."""

    def checked(z: Floats) -> Floats:
        values = reals("law(z)", law(z), infinite=True)
        if values.shape != z.shape:
            raise InvalidParameterError(
                f"law returned shape {values.shape} for z of shape {z.shape}: must be vectorised; write it with numpy "
                f"operations over whole arrays"
            )
        return values

    return checked
