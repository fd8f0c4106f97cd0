"""Theory of geometric compression: where neurons go, how far they compress, what learning gains.

Network f(x) = (1/h) sum_n beta_n sigma(omega_n.x/sqrt d + b_n) with sigma(u) = sqrt2 max(0, u), inputs
x ~ N(0, 1) in d dimensions, labels that depend on x_1 alone. Source: Paccolat, Petrini, Geiger, Tyloo &
Wyart, J. Stat. Mech. 2021, 044001 (arXiv 2007.11471).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .. import _lib
from ..ground import arguments
from ..ground.errors import ConvergenceError, InvalidParameterError, ShapeError
from ..ground.overflow import finite, within_range
from ..ground.results import dataset
from ..measure.compression import compression
from ..networks.mean_field import MeanFieldNetwork
from ..provenance.recording import recorded

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "PopulationField",
    "attractors",
    "compression_all_active",
    "compression_time",
    "learning_curve_exponents",
    "neuron_flow",
    "population_field",
]

CITE = ("geometric-compression",)


@dataclass(frozen=True)
class AxisLabels:
    """Labels on the informative axis, as the core reads them by attribute: a stripe, or an interface at x0."""

    xmin: float
    xmax: float
    inside_label: float
    x0: float | None


def _labels(xmin: Any, xmax: Any, inside_label: Any, x0: Any) -> AxisLabels:
    return AxisLabels(
        arguments.number("xmin", xmin),
        arguments.number("xmax", xmax),
        arguments.number("inside_label", inside_label),
        None if x0 is None else arguments.number("x0", x0),
    )


def learning_curve_exponents(d: int, *, d_par: int = 1, xi: float = 1.0) -> dict[str, float]:
    r"""Return the exponents of the learning curve, test error ~ p^(-exponent).

    Parameters
    ----------
    d
        Input dimension.
    d_par
        Number of directions that the label depends on.
    xi
        Cusp exponent of the frozen kernel, K = const - c \|x - x'\|^xi at short distance: 1 for the neural
        tangent kernel of ReLU and for the Laplace kernel.

    Returns
    -------
    dict
        ``lazy`` = (d - 1 + xi)/(3d - 3 + xi) and ``feature`` = (2d - 2 + xi)/(3d - 3 + xi) for d_par = 1,
        (d - 1 + xi + xi d_perp/2)/(3d - 3 + xi) for d_par > 1.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> hr.theory.learning_curve_exponents(2)
    {'lazy': 0.5, 'feature': 0.75}
    """
    return _lib.learning_curve_exponents(
        arguments.count("d", d), arguments.count("d_par", d_par), arguments.number("xi", xi)
    )


def attractors(
    d: int,
    *,
    xmin: float = -0.3,
    xmax: float = 1.18549,
    inside_label: int = 1,
    x0: float | None = None,
    include_unstable: bool = False,
) -> list[dict[str, Any]]:
    r"""Return the points that neurons flow to while the loss is linear.

    A neuron whose perpendicular weights are small has its ReLU hyperplane at z = -sqrt d b/omega_1 on the
    informative axis and is active on s (x_1 - z) > 0, s = sign omega_1. With C_1 = E[y x_1 1],
    C_b = E[y 1] over that half line, fixed points solve z C_1 + d C_b = 0.

    Parameters
    ----------
    d
        Input dimension.
    xmin, xmax, inside_label
        The stripe.
    x0
        Position of a single interface, y = sign(x_1 - x0), in place of the stripe.
    include_unstable
        Return the fixed points that repel as well.

    Returns
    -------
    list of dict
        ``s``, ``z``, ``beta_sign``, ``growth`` (G; the output weight grows at the rate sqrt2 G/h in code
        time), ``lambda_over_sqrtp`` (compression of the neurons there over sqrt p,
        \|C_1 - s phi(z) y(z)\|/sqrt(P_act)), ``C1``, ``perp_factor`` (s phi(z) y(z)/C_1),
        ``inplane_stable`` (perp_factor (z^2 + d) < 1) and ``stable``. First those with s = 1, each in
        ascending z; an empty list where there is none.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> [(a["s"], round(a["z"], 4), round(a["growth"], 5)) for a in hr.theory.attractors(5)]
    [(1, -1.4805, 0.12566), (1, 0.6848, 0.03723), (-1, 0.5705, 0.19558)]
    """
    every = arguments.flag("include_unstable", include_unstable)
    found = _lib.attractors(arguments.count("d", d), _labels(xmin, xmax, inside_label, x0))
    signs = ("s", "beta_sign")
    rows = zip(*(column.tolist() for column in found.values()), strict=True)
    points = [dict(zip(found, row, strict=True)) for row in rows]
    return [
        {name: int(value) if name in signs else value for name, value in point.items()}
        for point in points
        if point["stable"] or every
    ]


def compression_time(h: int, alpha: float, growth: float) -> float:
    """Return t* ~ h ln(1/alpha)/(2 sqrt2 G), when the first points are fitted, in code time.

    Parameters
    ----------
    h
        Width of the network.
    alpha
        Scale of the predictor, F = alpha (f - f_0); far below one.
    growth
        G of the fastest attractor (see :func:`attractors`). Terms of order h are left out: a network of
        moderate alpha takes some 20 % longer.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> round(hr.theory.compression_time(200, 1e-6, 0.1955757))
    4995
    """
    time = _lib.characteristic_time(
        arguments.count("h", h), arguments.number("alpha", alpha), arguments.number("growth", growth)
    )
    return finite("h, alpha and growth", time, "pass a larger growth or alpha")


def compression_all_active(
    *, xmin: float = -0.3, xmax: float = 1.18549, inside_label: int = 1, x0: float | None = None
) -> float:
    r"""Return the compression over sqrt p if every neuron saw every point, \|E[y x_1]\|.

    For the stripe sqrt(2/pi) \|exp(-xmin^2/2) - exp(-xmax^2/2)\|: the simplest bound.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> round(hr.theory.compression_all_active(), 4)
    0.3676
    """
    return _lib.compression_all_active(_labels(xmin, xmax, inside_label, x0))


class PopulationField(NamedTuple):
    """Averages over the half space where a neuron is active."""

    #: E[y x_i 1(omega.x/sqrt d + b > 0)], shape (d,).
    inputs: npt.NDArray[np.float64]
    #: E[y 1].
    bias: float
    #: P_act = E[1].
    active: float


def population_field(
    omega: npt.ArrayLike,
    b: float,
    *,
    xmin: float = -0.3,
    xmax: float = 1.18549,
    inside_label: int = 1,
    x0: float | None = None,
) -> PopulationField:
    """Return what a neuron with weights `omega` (d,) and bias `b` feels from the whole population.

    With u(x) = (sqrt d b + omega_1 x)/|omega_perp|: E[y x_1 1] = int phi y x Phi(u),
    E[y 1] = int phi y Phi(u), E[y x_i 1] = (omega_i/|omega_perp|) int phi y varphi(u) for i >= 2.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> field = hr.theory.population_field([-0.83, -0.271, -0.35], 0.192)
    >>> field.inputs.round(5)
    array([ 0.4171 , -0.08024, -0.10363])
    >>> round(field.bias, 5)
    -0.11489
    """
    weights = arguments.array("omega", omega, (None,), rule="(input weights of one neuron)")
    field = _lib.population_field(weights, arguments.number("b", b), _labels(xmin, xmax, inside_label, x0))
    return PopulationField(**finite("omega and b", field))


@recorded("neuron_flow")
def neuron_flow(
    network: MeanFieldNetwork,
    t: npt.ArrayLike,
    *,
    p: float,
    noise: npt.ArrayLike | None = None,
    xmin: float = -0.3,
    xmax: float = 1.18549,
    inside_label: int = 1,
    x0: float | None = None,
    rtol: float = 1e-8,
) -> xr.Dataset:
    r"""Solve the flow of single neurons under the linear loss, with the noise of `p` examples.

    .. math::
        \dot\omega_1 = \tfrac{\sqrt2}{h} \tfrac{\beta}{\sqrt d} E[y x_1 1], \quad
        \dot\omega_i = \tfrac{\sqrt2}{h} \tfrac{\beta}{\sqrt d}
            (E[y x_i 1] + \epsilon_i\sqrt{P_{act}/p}), \quad
        \dot b = \tfrac{\sqrt2}{h} \beta (E[y 1] + \epsilon_b\sqrt{P_{act}/p})

    with the output weight following from the invariant beta^2 - |omega|^2 - b^2.

    Parameters
    ----------
    network
        Neurons at time 0 (:class:`hmm_rs.MeanFieldNetwork` with biases). Its width sets the clock.
    t
        Times, ascending, in code time.
    p
        Number of examples.
    noise
        Standard normal numbers eps_2, ..., eps_d, eps_b, shape (d,): one draw stands for one training set.
        None for the population flow.
    xmin, xmax, inside_label, x0
        The labels, as in :func:`attractors`.
    rtol
        Relative tolerance of the integrator (DOP853).

    Returns
    -------
    xarray.Dataset
        Root-mean-square curves over neurons ``omega_1``, ``omega_perp`` (per component), ``b``, ``beta``, the
        three compression factors and the neurons themselves, ``w(t, i, j)``, ``bias(t, i)``, ``a(t, i)``.
    """
    from scipy.integrate import solve_ivp

    network = arguments.instance(
        "network", network, MeanFieldNetwork, "MeanFieldNetwork.random(h, d, std_b=1.0)"
    )
    if network.b is None:
        raise InvalidParameterError(
            "network = one without biases: the flow needs them; pass MeanFieldNetwork.random(..., std_b=1.0)"
        )
    h, d = network.w.shape
    labels = _labels(xmin, xmax, inside_label, x0)
    times = arguments.array("t", t, (None,))
    if times[0] < 0 or np.any(np.diff(times) <= 0):
        raise InvalidParameterError("t: must be ascending and start at 0 or later; pass sorted times")
    p = arguments.number("p", p, minimum=1.0)
    rtol = arguments.number("rtol", rtol, minimum=1e-13, maximum=0.1)
    draw = np.zeros(d) if noise is None else arguments.array("noise", noise, (d,), rule="(d,)")
    if d < 2:
        raise ShapeError("network has d = 1: there is nothing to compress; pass d >= 2")

    def rates(_: float, state: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        w, b, a = state[: h * d].reshape(h, d), state[h * d : h * d + h], state[h * d + h :]
        rates = _lib.neuron_flow_rates(labels, h, draw / np.sqrt(p), w, b, a)
        return np.concatenate([rates[name].ravel() for name in ("w", "b", "a")])

    start = np.concatenate([network.w.ravel(), network.b, network.a]).astype(np.float64)
    with within_range("network and t", "pass earlier times, or weights of order one"):
        # At time 0 alone nothing is integrated, and scipy gives no array.
        states, stopped = start[None], ""
        if times[-1] > 0.0:
            solution = solve_ivp(
                rates, (0.0, times[-1]), start, method="DOP853", t_eval=times, rtol=rtol, atol=rtol
            )
            states = solution.y.T
            stopped = "" if solution.success else f"at t = {solution.t[-1]:g}: {solution.message}"
        w = states[:, : h * d].reshape(-1, h, d)
        b, a = states[:, h * d : h * d + h], states[:, h * d + h :]
        curves = {
            "omega_1": np.sqrt((w[..., 0] ** 2).mean(axis=1)),
            "omega_perp": np.sqrt((w[..., 1:] ** 2).mean(axis=(1, 2))),
            "b": np.sqrt((b**2).mean(axis=1)),
            "beta": np.sqrt((a**2).mean(axis=1)),
        }
    factors = [compression(weights) for weights in w]
    result = dataset(
        {
            **curves,
            "compression": [f["ratio_of_rms"] for f in factors],
            "compression_mean_of_rms": [f["mean_of_rms"] for f in factors],
            "compression_sum_perp": [f["sum_perp"] for f in factors],
            "w": w,
            "bias": b,
            "a": a,
        },
        along=times[: len(w)],
        label="code time",
        source="theory",
        settings={"h": h, "d": d, "p": p, "labels": repr(labels), "noise": draw, "rtol": rtol},
        cite=CITE,
        dims={"w": ("t", "i", "j"), "bias": ("t", "i")},
    )
    if stopped:
        raise ConvergenceError(f"the flow stopped {stopped}; loosen rtol, or pass earlier times", result)
    return result
