"""Networks and runs of the compression study, and what every experiment of it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..._lib import get_num_threads
from ...data.manifolds import LabelledGaussian
from ...dynamics.gradient_flow import GradientFlow
from ...ground.arguments import count, items
from ...ground.errors import DtypeError, InvalidParameterError
from ...measure.compression import compression
from ...networks.mean_field import MeanFieldNetwork

__all__ = [
    "CITE",
    "WHY",
    "Array",
    "Convention",
    "compressible",
    "described",
    "flow_of",
    "in_parallel",
    "lambda_star_of",
    "missing",
    "needs_compression",
    "network_of",
    "training_sizes",
]

Array = npt.NDArray[np.float64]

CITE = ("geometric-compression",)
#: How a compression is read off the weights, see :func:`hmm_rs.compression`.
Convention = Literal["ratio_of_rms", "mean_of_rms", "sum_perp"]
#: Why a run gave no value.
WHY = {
    "lambda_star": "a tenth of the examples was not fitted within max_steps",
    "t_star": "a tenth of the examples was not fitted within max_steps",
    "stretched_ntk": "no compression to stretch by, or a hard-margin fit that did not converge",
    "*": "the hard-margin fit did not converge",
}


def described(data: Any) -> LabelledGaussian:
    """Return `data` if it is a data set of this study."""
    if not isinstance(data, LabelledGaussian):
        raise DtypeError(
            f"data = {data!r:.80}: must be labelled Gaussian data; pass for example hr.Stripe(5)"
        )
    return data


def lambda_star_of(flow: GradientFlow, data: LabelledGaussian, convention: Convention) -> float:
    """Return the compression at t*; NaN where t* was not reached."""
    if "t_star" not in flow.events:
        return float("nan")
    return compression(flow.events["t_star"][1].w, d_par=data.informative)[convention]


def compressible(data: LabelledGaussian) -> bool:
    """Return whether there are directions that the label does not depend on."""
    return data.informative < data.d


def needs_compression(data: LabelledGaussian) -> None:
    """Refuse data whose label depends on every direction."""
    if not compressible(data):
        raise InvalidParameterError(
            f"data = {data!r}: its label depends on all {data.d} directions, there is nothing to compress; "
            "pass more dimensions"
        )


def missing(values: Mapping[str, Array], why: Mapping[str, str]) -> str:
    """Return how many runs gave no value, and why."""
    counts = {name: int(np.isnan(value).sum()) for name, value in values.items()}
    return "; ".join(
        f"{name}: {n} of {values[name].size} runs without a value ({why.get(name, why['*'])})"
        for name, n in counts.items()
        if n
    )


def in_parallel(function: Callable[..., Any], jobs: Iterable[tuple[Any, ...]]) -> list[Any]:
    """Map over jobs, as many at a time as there are threads."""
    with ThreadPoolExecutor(get_num_threads()) as executor:
        return list(executor.map(lambda job: function(*job), jobs))


def network_of(data: LabelledGaussian, h: int, seed: int, dtype: str = "float32") -> MeanFieldNetwork:
    """Return the network at the start of a run."""
    return MeanFieldNetwork.random(h, data.d, std_b=1.0, activation="sqrt2_relu", dtype=dtype, seed=[seed, 1])


def flow_of(data: LabelledGaussian, p: int, h: int, alpha: float, seed: int, **options: Any) -> GradientFlow:
    """Return a network on `p` examples, at its start."""
    X, y = data.sample(p, seed=seed)
    return GradientFlow(
        network_of(data, h, seed), X, y, alpha=alpha, d_par=min(data.informative, data.d), **options
    )


def training_sizes(sizes: Any) -> list[int]:
    """Return numbers of examples."""
    return [count("sizes", p, minimum=2) for p in items("sizes", sizes, "numbers of examples, (256, 512)")]
