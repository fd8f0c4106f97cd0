"""Experiments of the compression study: how far, how fast, and what it buys.

Data seeds are the ensemble. The noise that limits compression is that of the training set and common to
all neurons, so a wider network does not average it; more data seeds do. Runs are independent and take
all cores; a result does not depend on how many there are.

Source: Paccolat, Petrini, Geiger, Tyloo & Wyart, J. Stat. Mech. 2021, 044001.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from .. import kernels
from .._lib import get_num_threads
from ..data.manifolds import LabelledGaussian, Stripe
from ..dynamics.gradient_flow import GradientFlow
from ..ground.arguments import array, choice, count, items, number
from ..ground.errors import ConvergenceError, DtypeError, InvalidParameterError
from ..ground.results import dataset
from ..measure.compression import compression, neuron_alignment, neuron_points
from ..networks.mean_field import MeanFieldNetwork
from .exponents import Exponent, fit_exponent

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "Exponent",
    "circle_kernel",
    "compression_curve",
    "compression_scaling",
    "fit_exponent",
    "kernel_evolution",
    "learning_curves",
    "neuron_trajectories",
]

Array = npt.NDArray[np.float64]

CITE = ("geometric-compression",)
#: Sizes of training sets at which both sides of the law are in sight.
SIZES = (256, 512, 1024, 2048, 4096)
#: How a compression is read off the weights, see :func:`hmm_rs.compression`.
Convention = Literal["ratio_of_rms", "mean_of_rms", "sum_perp"]
#: Why a run gave no value.
_WHY = {
    "lambda_star": "a tenth of the examples was not fitted within max_steps",
    "t_star": "a tenth of the examples was not fitted within max_steps",
    "stretched_ntk": "no compression to stretch by, or a hard-margin fit that did not converge",
    "*": "the hard-margin fit did not converge",
}
#: What can be asked of :func:`learning_curves`, and what it is.
CURVES = {
    "network": "network in the feature regime",
    "initial_ntk": "kernel at the start",
    "final_ntk": "kernel after training",
    "stretched_ntk": "kernel at the start on stretched data",
    "closed_ntk": "kernel of infinite width",
}


def _described(data: Any) -> LabelledGaussian:
    """Return `data` if it is a data set of this study."""
    if not isinstance(data, LabelledGaussian):
        raise DtypeError(
            f"data = {data!r:.80}: must be labelled Gaussian data; pass for example hr.Stripe(5)"
        )
    return data


def _lambda_star(flow: GradientFlow, data: LabelledGaussian, convention: Convention) -> float:
    """Return the compression at t*; NaN where t* was not reached."""
    if "t_star" not in flow.events:
        return float("nan")
    return compression(flow.events["t_star"][1].w, d_par=data.informative)[convention]


def _compressible(data: LabelledGaussian) -> bool:
    """Return whether there are directions that the label does not depend on."""
    return data.informative < data.d


def _needs_compression(data: LabelledGaussian) -> None:
    if not _compressible(data):
        raise InvalidParameterError(
            f"data = {data!r}: its label depends on all {data.d} directions, there is nothing to compress; "
            "pass more dimensions"
        )


def _missing(values: Mapping[str, Array], why: Mapping[str, str]) -> str:
    """Return how many runs gave no value, and why."""
    counts = {name: int(np.isnan(value).sum()) for name, value in values.items()}
    return "; ".join(
        f"{name}: {n} of {values[name].size} runs without a value ({why.get(name, why['*'])})"
        for name, n in counts.items()
        if n
    )


def _sizes(sizes: Any) -> list[int]:
    """Return numbers of examples."""
    return [count("sizes", p, minimum=2) for p in items("sizes", sizes, "numbers of examples, (256, 512)")]


def _in_parallel(function: Callable[..., Any], jobs: Iterable[tuple[Any, ...]]) -> list[Any]:
    """Map over jobs, as many at a time as there are threads."""
    with ThreadPoolExecutor(get_num_threads()) as executor:
        return list(executor.map(lambda job: function(*job), jobs))


def _network(data: LabelledGaussian, h: int, seed: int, dtype: str = "float32") -> MeanFieldNetwork:
    return MeanFieldNetwork.random(h, data.d, std_b=1.0, activation="sqrt2_relu", dtype=dtype, seed=[seed, 1])


def _tangent_kernel(network: MeanFieldNetwork, X: Array, Y: Array | None = None) -> Array:
    """Return h Theta in double precision: a single-precision Gram matrix need not be positive."""
    a, w, b = (np.asarray(part, dtype=np.float64) for part in (network.a, network.w, network.b))
    return kernels.network_ntk(MeanFieldNetwork(a, w, b, activation=network.activation), X, Y)


def _flow(data: LabelledGaussian, p: int, h: int, alpha: float, seed: int, **options: Any) -> GradientFlow:
    X, y = data.sample(p, seed=seed)
    return GradientFlow(
        _network(data, h, seed), X, y, alpha=alpha, d_par=min(data.informative, data.d), **options
    )


def compression_scaling(
    d: int | LabelledGaussian,
    *,
    sizes: Sequence[int] = SIZES,
    seeds: int = 20,
    h: int = 200,
    alpha: float = 1e-6,
    max_dout: float = 0.3,
    max_dw: float = 0.02,
    convention: Convention = "ratio_of_rms",
) -> xr.Dataset:
    r"""Measure the compression Lambda* at t*, when a tenth of the examples is fitted, against p.

    Parameters
    ----------
    d
        Input dimension of the stripe, or a data description.
    sizes, seeds
        Numbers of examples, and of data sets at each.
    h, alpha, max_dout, max_dw
        As in :class:`hmm_rs.GradientFlow`.
    convention
        Which factor of :func:`hmm_rs.compression` is Lambda. The theory is that of "ratio_of_rms"; the published
        curve shows "mean_of_rms", which lies above it.

    Returns
    -------
    xarray.Dataset
        ``lambda_star(p, seed)``, ``t_star(p, seed)``; attributes ``missing`` (which runs gave no value, and why),
        ``exponent``, ``exponent_error`` of
        [mean Lambda^-2]^(-1/2), and ``prefactor``, ``prefactor_error``: the mean of that average over sqrt p at
        sizes of 1024 and more (or the largest). The theory is Lambda* = prefactor sqrt p with
        ``lambda_over_sqrtp`` of the fastest attractor, once sqrt p is far above 1/prefactor.
    """
    data = d if isinstance(d, LabelledGaussian) else Stripe(d)
    _needs_compression(data)
    choice("convention", convention, get_args(Convention))
    sizes = _sizes(sizes)
    seeds = count("seeds", seeds, minimum=2)

    def run(p: int, seed: int) -> tuple[float, float]:
        flow = _flow(data, p, h, alpha, seed, max_dout=max_dout, max_dw=max_dw)
        attributes = flow.run(stop_frac=0.1, save_steps=[0]).attrs
        return _lambda_star(flow, data, convention), attributes.get("t_star", np.nan)

    found = np.array(_in_parallel(run, [(p, s) for p in sizes for s in range(seeds)]))
    lambda_star, t_star = found.reshape(len(sizes), seeds, 2).transpose(2, 0, 1)
    fit = fit_exponent(sizes, lambda_star, average="inverse_square")
    # Data sets drawn anew within each size, the average's error by the same bootstrap.
    large = [i for i, p in enumerate(sizes) if p >= min(1024, max(sizes))]
    generator = np.random.default_rng(0)
    ratios = lambda_star[large] / np.sqrt(np.array(sizes)[large])[:, None]

    def prefactor(ratios: Array) -> float:
        # Draws of nothing but runs without a value have no mean, and take no part below.
        with np.errstate(invalid="ignore"):
            means = np.nansum(ratios**-2.0, axis=1) / np.isfinite(ratios).sum(axis=1)
        return float((means**-0.5).mean())

    drawn = [prefactor(ratios[:, generator.integers(0, seeds, seeds)]) for _ in range(1000)]
    return dataset(
        {"lambda_star": lambda_star, "t_star": t_star},
        along=sizes,
        dim="p",
        label="training examples",
        source="simulation",
        settings={
            "data": repr(data),
            "h": h,
            "alpha": alpha,
            "max_dout": max_dout,
            "max_dw": max_dw,
            "convention": convention,
        },
        cite=CITE,
        dims={"lambda_star": ("p", "seed"), "t_star": ("p", "seed")},
        missing=_missing({"lambda_star": lambda_star, "t_star": t_star}, _WHY),
        exponent=fit.exponent,
        exponent_error=fit.error,
        prefactor=prefactor(ratios),
        prefactor_error=float(np.nanstd(drawn, ddof=1)),
    )


def compression_curve(
    data: LabelledGaussian,
    p: int,
    *,
    h: int = 1000,
    alpha: float = 1e-6,
    seed: int = 0,
    stop_margin: float = 0.9,
    max_steps: int = 100_000,
) -> xr.Dataset:
    """Return Lambda(t) and all else of one run until every margin exceeds `stop_margin`.

    It rises into the fitting regime and falls while the last examples drive the dynamics.
    """
    X_test, y_test = _described(data).sample(10_000, seed=seed, stream="test")
    flow = _flow(data, p, h, alpha, seed, X_test=X_test, y_test=y_test)
    return flow.run(stop_margin=stop_margin, max_steps=max_steps)


def neuron_trajectories(
    data: LabelledGaussian,
    p: int,
    times: npt.ArrayLike,
    *,
    h: int = 200,
    alpha: float = 1e-6,
    seed: int = 0,
    convention: Convention = "ratio_of_rms",
) -> xr.Dataset:
    """Follow every neuron: its hyperplane's foot z_n, its alignment and its growth a_n w_n.

    Returns
    -------
    xarray.Dataset
        ``z(t, i, j)``, ``alignment(t, i)``, ``w(t, i, j)``, ``a(t, i)``, ``bias(t, i)`` and ``compression(t)``, by
        `convention` as in :func:`compression_scaling`. While
        the loss is linear (t < t*) the z_n flow to the points of :func:`hmm_rs.theory.attractors`.
    """
    _needs_compression(_described(data))
    choice("convention", convention, get_args(Convention))
    flow = _flow(data, p, h, alpha, seed)
    saved = array("times", times, (None,))
    seen: dict[str, list[Any]] = {name: [] for name in ("z", "alignment", "w", "a", "bias", "compression")}
    for t in saved:
        flow.run(save_at=[float(t)])
        network = flow.network
        seen["z"].append(neuron_points(network))
        seen["alignment"].append(neuron_alignment(network, d_par=data.informative))
        seen["w"].append(network.w)
        seen["a"].append(network.a)
        seen["bias"].append(network.b)
        seen["compression"].append(compression(network.w, d_par=data.informative)[convention])
    return dataset(
        seen,
        along=saved,
        label="code time",
        source="simulation",
        settings={
            "data": repr(data),
            "p": p,
            "h": h,
            "alpha": alpha,
            "seed": seed,
            "convention": convention,
        },
        cite=CITE,
        dims={
            "z": ("t", "i", "j"),
            "alignment": ("t", "i"),
            "w": ("t", "i", "j"),
            "a": ("t", "i"),
            "bias": ("t", "i"),
        },
    )


def _classifier_error(
    K: Array, y: Array, K_test: Callable[[npt.NDArray[np.intp]], Array], y_test: Array
) -> float:
    """Return the test error of the hard-margin classifier of a kernel; NaN where it does not converge."""
    try:
        fit = kernels.svc(K, y)
    except ConvergenceError:
        return float("nan")
    return fit.error(K_test(fit.support), y_test)


def _frozen_error(network: MeanFieldNetwork, train: tuple[Array, Array], test: tuple[Array, Array]) -> float:
    """Return the test error of the classifier in a network's frozen tangent kernel."""
    (X, y), (X_test, y_test) = train, test
    return _classifier_error(
        _tangent_kernel(network, X), y, lambda s: _tangent_kernel(network, X_test, X[s]), y_test
    )


def learning_curves(
    data: LabelledGaussian,
    *,
    sizes: Sequence[int] = (64, 128, 256, 512),
    seeds: int = 5,
    curves: Sequence[str] = ("network", "initial_ntk", "final_ntk", "stretched_ntk"),
    h: int = 300,
    alpha: float = 1e-6,
    stop_margin: float = 0.9,
    max_steps: int = 200_000,
    test_size: int = 10_000,
    max_dout: float = 0.3,
    max_dw: float = 0.02,
    convention: Convention = "ratio_of_rms",
) -> xr.Dataset:
    r"""Measure test errors against the number of examples, in the feature and in the lazy regime.

    Parameters
    ----------
    data
        Stripe, cylinder, single interface or sphere.
    sizes, seeds
        Numbers of examples, and of data sets at each.
    curves
        Any of: "network", trained in the feature regime; "initial_ntk", the frozen kernel of the network at its
        start, learning the network's own examples; "final_ntk", the kernel at the end of training, learning from
        fresh examples, so that it is judged on points that did not shape it; "stretched_ntk", the
        initial kernel on data whose uninformative directions are divided by Lambda*; "closed_ntk", the kernel of
        infinite width. Kernels learn by hard-margin classification.
    h, alpha, stop_margin, max_steps, max_dout, max_dw
        As in :class:`hmm_rs.GradientFlow`.
    test_size
        Test points; errors resolve 1/test_size.
    convention
        Which factor of :func:`hmm_rs.compression` is Lambda*, as in :func:`compression_scaling`.

    Returns
    -------
    xarray.Dataset
        Each curve as ``name(p, seed)``, ``lambda_star(p, seed)`` and ``converged(p, seed)`` (1 where the network
        reached `stop_margin`); runs with an error above 1/4 have learnt nothing and should be left out
        of fits (:func:`fit_exponent`). Where the label depends on every direction there is no compression:
        ``lambda_star`` and "stretched_ntk" are left out. The attribute ``missing`` says which runs gave no
        value, and why.
    """
    _described(data)
    choice("convention", convention, get_args(Convention))
    curves = [
        choice("curves", name, CURVES) for name in items("curves", curves, "names, for example ['network']")
    ]
    if not _compressible(data):
        curves = [name for name in curves if name != "stretched_ntk"]
    sizes = _sizes(sizes)
    seeds = count("seeds", seeds)
    names = [*curves, *(["lambda_star"] if _compressible(data) else []), "converged"]

    def run(p: int, seed: int) -> list[float]:
        X, y = data.sample(p, seed=seed)
        X_test, y_test = data.sample(test_size, seed=seed, stream="test")
        network = _network(data, h, seed)
        found: dict[str, float] = {"lambda_star": np.nan, "converged": 0.0}

        if {"network", "final_ntk", "stretched_ntk"} & set(curves):
            flow = GradientFlow(
                network,
                X,
                y,
                alpha=alpha,
                d_par=data.informative,
                max_dout=max_dout,
                max_dw=max_dw,
                X_test=X_test,
                y_test=y_test,
            )
            # t* is defined by the margin 1: it has its own run of the rules, then the network goes on.
            flow.run(stop_frac=0.1, max_steps=max_steps, save_steps=[0])
            if _compressible(data):
                found["lambda_star"] = _lambda_star(flow, data, convention)
            result = flow.run(stop_margin=stop_margin, max_steps=max_steps, save_steps=[0])
            found["converged"] = float(result.attrs["stopped"] in ("margin", "gradient"))
            found["network"] = float(result["test_error"][-1])
            if "final_ntk" in curves:
                fresh, fresh_y = data.sample(p, seed=seed, stream="kernel")
                found["final_ntk"] = _frozen_error(flow.network, (fresh, fresh_y), (X_test, y_test))
        if "initial_ntk" in curves:
            found["initial_ntk"] = _frozen_error(network, (X, y), (X_test, y_test))
        if "stretched_ntk" in curves:
            shrink = np.ones(data.d)
            shrink[data.informative :] = 1.0 / found["lambda_star"]
            found["stretched_ntk"] = (
                _frozen_error(network, (X * shrink, y), (X_test * shrink, y_test))
                if np.isfinite(shrink).all()
                else np.nan
            )
        if "closed_ntk" in curves:
            found["closed_ntk"] = _classifier_error(
                kernels.ntk(X), y, lambda s: kernels.ntk(X_test, X[s]), y_test
            )
        return [found[name] for name in names]

    values = np.array(_in_parallel(run, [(p, s) for p in sizes for s in range(seeds)]))
    values = values.reshape(len(sizes), seeds, len(names)).transpose(2, 0, 1)
    found = dict(zip(names, values, strict=True))
    trained = {"network", "final_ntk", "stretched_ntk"} & set(curves)
    if not trained:
        # No network was trained: nothing was compressed and nothing could converge.
        found = {name: found[name] for name in curves}
    result = dataset(
        found,
        along=sizes,
        dim="p",
        label="training examples",
        source="simulation",
        settings={
            "data": repr(data),
            "h": h,
            "alpha": alpha,
            "stop_margin": stop_margin,
            "test_size": test_size,
            "convention": convention,
        },
        cite=CITE,
        dims=dict.fromkeys(found, ("p", "seed")),
        missing=_missing(found, _WHY),
    )
    for name in found:
        if name in CURVES:
            result[name].attrs["long_name"] = f"test error, {CURVES[name]}"
    return result


def kernel_evolution(
    data: LabelledGaussian,
    p: int,
    *,
    seeds: int = 5,
    h: int = 300,
    alpha: float = 1e-6,
    fractions: Sequence[float] = (0.1, 0.5, 0.9),
    stop_margin: float = 0.9,
    max_steps: int = 200_000,
    components: int = 10,
    test_size: int = 10_000,
) -> xr.Dataset:
    """Follow the tangent kernel through training: label projections, mutual information, learning.

    Parameters
    ----------
    data, p, seeds, h, alpha, max_steps, test_size
        As in :func:`learning_curves`.
    fractions
        Satisfied fractions to look at, between the start and the end at `stop_margin`.
    components
        Leading eigenvectors to look at.

    Returns
    -------
    xarray.Dataset
        Over ``stage`` (0: start, then the fractions, then the end) and seed: ``omega2(stage, seed, r)``,
        ``cumulative`` = C_components, ``mutual_information(stage, seed, r)``, ``kernel_change``,
        ``intrinsic_dimension`` (all on the training points), ``frozen_error``: test error of the frozen
        kernel after learning fresh points, ``network_error``, ``satisfied`` and ``t``.
    """
    _described(data)
    fractions = [
        number("fractions", f, minimum=0.0, maximum=1.0)
        for f in items("fractions", fractions, "numbers between 0 and 1, (0.1, 0.5)")
    ]
    stages = len(fractions) + 2
    R = count("components", components, maximum=count("p", p))

    def run(seed: int) -> list[dict[str, Any]]:
        X, y = data.sample(p, seed=seed)
        fresh, fresh_y = data.sample(p, seed=seed, stream="kernel")
        X_test, y_test = data.sample(test_size, seed=seed, stream="test")
        flow = _flow(data, p, h, alpha, seed, X_test=X_test, y_test=y_test)
        initial: Array | None = None
        seen = []
        for stage in range(stages):
            if 0 < stage < stages - 1:
                flow.run(stop_frac=fractions[stage - 1], max_steps=max_steps, save_steps=[0])
            elif stage:
                flow.run(stop_margin=stop_margin, max_steps=max_steps, save_steps=[0])
            at = flow.network
            gram = _tangent_kernel(at, X)
            initial = gram if initial is None else initial
            projections = kernels.label_projections(gram, y)
            now = flow.observe()
            seen.append(
                {
                    "omega2": projections["omega2"][:R],
                    "cumulative": projections["cumulative"][R - 1],
                    "mutual_information": [
                        kernels.mutual_information(projections["eigenvectors"][:, r], y) for r in range(R)
                    ],
                    "kernel_change": kernels.kernel_change(gram, initial),
                    "intrinsic_dimension": kernels.intrinsic_dimension(gram)[0],
                    "frozen_error": _frozen_error(at, (fresh, fresh_y), (X_test, y_test)),
                    "network_error": now["test_error"],
                    "satisfied": now["satisfied"],
                    "t": flow.t,
                }
            )
        return seen

    runs = _in_parallel(run, [(s,) for s in range(count("seeds", seeds))])
    names = list(runs[0][0])
    values = {name: np.array([[run[k][name] for run in runs] for k in range(stages)]) for name in names}
    inner: dict[str, tuple[str, ...]] = {
        name: ("stage", "seed", "r") if name in ("omega2", "mutual_information") else ("stage", "seed")
        for name in names
    }
    return dataset(
        values,
        along=np.arange(stages),
        dim="stage",
        label="stage of training",
        source="simulation",
        settings={"data": repr(data), "p": p, "h": h, "alpha": alpha, "fractions": fractions},
        cite=CITE,
        dims=inner,
    )


def circle_kernel(
    p: int = 512,
    *,
    points: int = 100,
    h: int = 1000,
    alpha: float = 1e-6,
    seed: int = 0,
    stop_margin: float = 0.9,
    max_steps: int = 100_000,
) -> xr.Dataset:
    """Return the tangent kernel on a circle of radius sqrt 2, before and after training on the stripe in d = 2.

    Returns
    -------
    xarray.Dataset
        Over the angle ``phi`` from the informative axis: ``initial(phi, phi2)`` and ``final(phi, phi2)``, each
        divided by its mean diagonal. The initial one depends on the difference of angles; the final one
        sees the informative direction.
    """
    data = Stripe(2)
    angles = 2 * np.pi * np.arange(count("points", points)) / points
    circle = np.sqrt(2.0) * np.column_stack([np.cos(angles), np.sin(angles)])
    flow = _flow(data, p, h, alpha, seed)
    found = {}
    for name in ("initial", "final"):
        kernel = _tangent_kernel(flow.network, circle)
        found[name] = kernel / np.diag(kernel).mean()
        if name == "initial":
            flow.run(stop_margin=stop_margin, max_steps=max_steps, save_steps=[0])
    return dataset(
        found,
        along=angles,
        dim="phi",
        label="angle from the informative axis",
        units="rad",
        source="simulation",
        settings={"p": p, "h": h, "alpha": alpha, "seed": seed},
        cite=CITE,
        dims=dict.fromkeys(found, ("phi", "phi2")),
    )
