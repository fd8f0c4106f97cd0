"""Datasets that are not whole results: drawn and read where that makes sense, refused in our words elsewhere.

Every function of hr.plot, and what else reads a dataset, gets every variation of it: entries picked out, dimensions
renamed or turned, variables and coordinates dropped, of another kind or without a number, attributes that say nothing.
"""

from __future__ import annotations

import functools
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

import hmm_rs as hr


@functools.cache
def particles():
    """A run on fixed examples with everything that a run of particles measures."""
    law = hr.LinearlySeparable(5)
    X, y = law.sample(30, seed=1)
    network = hr.MeanFieldNetwork.random(20, 5, seed=1)
    return hr.Particles(network, X, y, data=law, test_size=50).run(30, save_at=[0, 1, 5, 10, 30])


@functools.cache
def examples():
    return hr.LinearlySeparable(5).sample(30, seed=1)[0][:, 0]


@functools.cache
def seeds():
    """Runs along seed, of t and eg alone."""
    t, rng = np.array([0.0, 1.0, 10.0, 100.0]), np.random.default_rng(1)
    eg = 1.0 / (1.0 + t[:, None]) + 0.01 * rng.random((4, 3))
    data = xr.Dataset({"eg": (("t", "seed"), eg)}, coords={"t": t, "seed": [0, 1, 2]})
    return data.assign_attrs(source="simulation")


@functools.cache
def law():
    t = np.array([0.0, 1.0, 10.0, 100.0])
    data = xr.Dataset({"eg": ("t", 1.0 / (1.0 + t)), "eg_std": ("t", 0.1 / (1.0 + t))}, coords={"t": t})
    return data.assign_attrs(source="theory", spread="of single runs")


@functools.cache
def equations():
    return hr.theory.SaadSolla(
        [[0.5, 0.1], [0.1, 0.4]], [[0.1, 0.2], [0.2, 0.1]], T=np.eye(2), v0=[1.0, 1.0], v_teacher=[1.0, 1.0], lr=0.1
    ).solve([0.0, 1.0, 5.0])  # fmt: skip


@functools.cache
def flow():
    data = hr.Stripe(3)
    X, y = data.sample(12, seed=1)
    return hr.GradientFlow(hr.MeanFieldNetwork.random(8, 3, std_b=1.0, seed=1), X, y).run(max_steps=5)


@functools.cache
def circle():
    return hr.experiments.compression.circle_kernel(12, points=8, h=8, max_steps=5)


@functools.cache
def kernels():
    return hr.experiments.compression.kernel_evolution(
        hr.Stripe(3), 24, seeds=2, h=16, fractions=(0.1,), max_steps=20, test_size=20
    )


@functools.cache
def neurons():
    return hr.experiments.compression.neuron_trajectories(hr.Stripe(3), 8, [0.0, 1e-4], h=8)


@functools.cache
def scaling():
    rng = np.random.default_rng(1)
    values = np.array([8.0, 16.0, 32.0])[:, None] ** 0.5 * (1.0 + 0.1 * rng.random((3, 2)))
    coords = {"p": [8, 16, 32], "seed": [0, 1]}
    return xr.Dataset({"lambda_star": (("p", "seed"), values)}, coords=coords).assign_attrs(
        source="simulation"
    )


@functools.cache
def errors():
    values = np.array([[0.4, 0.3], [0.2, 0.25], [0.1, 0.12]])
    held = {
        name: (("p", "seed"), values, {"long_name": f"test error, {name}"}) for name in ("network", "laplace")
    }
    return xr.Dataset(held, coords={"p": [8.0, 16.0, 32.0], "seed": [0, 1]})


@functools.cache
def gaussian():
    model = hr.HiddenManifold(20, 10, f="erf")
    return hr.theory.equivalence.test_gaussian_equivalence(model, np.ones(20), n_samples=200)


@functools.cache
def rates():
    return hr.theory.equivalence.rates([20, 40], f="erf", n_samples=200, draws=2, bound_samples=50)


@functools.cache
def memory():
    return hr.theory.HingeMeanField(5).memorisation(30, [1.0, 10.0, 30.0])


PLOT = hr.plot
FIELD = hr.theory.HingeMeanField(5)
#: Every picture by the name of its function and what of it takes the dataset; the call, and the dataset.
PICTURES = {
    "circle_kernel": (PLOT.circle_kernel, circle),
    "circle_kernel, theory": (lambda d: PLOT.circle_kernel(circle(), theory=d), circle),
    "compression": (lambda d: PLOT.compression(d, law=0.5), scaling),
    "compression, theory": (
        lambda d: PLOT.compression(scaling(), theory=d.get("lambda_star", d)),
        scaling,
    ),
    "compression_curve": (PLOT.compression_curve, lambda: flow()[["compression"]]),
    "equivalence_rates": (PLOT.equivalence_rates, lambda: rates().drop_vars("skewness")),
    "error_curves": (lambda d: PLOT.error_curves(d, exponents={"feature": 0.5, "lazy": 0.3}), errors),
    "gaussian_equivalence": (PLOT.gaussian_equivalence, lambda: gaussian()[["cdf"]]),
    "kernel_information": (PLOT.kernel_information, lambda: kernels()[["mutual_information", "satisfied"]]),
    "kernel_spectrum": (PLOT.kernel_spectrum, lambda: kernels()[["omega2"]]),
    "learning_curve": (PLOT.learning_curve, seeds),
    "learning_curve, bars": (lambda d: PLOT.learning_curve(d, band="sem", bars=True), seeds),
    "learning_curve, theory": (lambda d: PLOT.learning_curve(seeds(), d), law),
    "mean_over_seeds": (lambda d: PLOT.mean_over_seeds(d, "eg", log="xy"), seeds),
    "mean_over_seeds, geometric": (lambda d: PLOT.mean_over_seeds(d, "eg", average="geometric"), seeds),
    "mean_over_seeds, theory": (lambda d: PLOT.mean_over_seeds(seeds(), "eg", theory=d, log="y"), law),
    "mean_over_seeds, expected": (
        lambda d: PLOT.mean_over_seeds(seeds(), "eg", theory=d, expected="eg_std"),
        law,
    ),
    "neuron_points": (PLOT.neuron_points, lambda: neurons()[["z", "a"]]),
    "order_parameters": (PLOT.order_parameters, lambda: equations()[["Q", "R"]]),
    "order_parameters, second": (
        lambda d: PLOT.order_parameters(equations(), d, variables=["Q"]),
        lambda: equations()[["Q"]],
    ),
    "overfitting": (
        PLOT.overfitting,
        lambda: particles().drop_vars(["gamma", "loss", "a", "w_par", "first_satisfied"]),
    ),
    "overfitting, theory": (
        lambda d: PLOT.overfitting(particles(), d),
        lambda: memory().drop_vars(["gamma", "extra_margin"]),
    ),
    "particles": (lambda d: PLOT.particles(d, FIELD, nodes=3), lambda: particles()[["a", "w_par"]]),
    "rotation": (lambda d: PLOT.rotation(d, theory=FIELD), lambda: particles()[["gamma"]]),
    "satisfaction": (
        lambda d: PLOT.satisfaction(d, examples(), FIELD, M=20),
        lambda: particles()[["first_satisfied"]],
    ),
    "trajectories": (
        lambda d: PLOT.trajectories(d, variable="w_par", nodes=3),
        lambda: particles()[["w_par"]],
    ),
    "trajectories, lines": (
        lambda d: PLOT.trajectories(particles(), d.get("a", d), nodes=3),
        lambda: particles()[["a"]],
    ),
}


def curve():
    t = np.geomspace(0.1, 1000.0, 60)
    falls = 0.4 / (1.0 + t**2) + 0.1 / (1.0 + (t / 100.0) ** 4)
    return xr.Dataset({"eg": ("t", falls)}, coords={"t": t})


def correlated():
    """Theory that knows the fluctuations of single runs."""
    between = {"eg_covariance": (("t", "t2"), 1e-4 * np.eye(4))}
    return law().assign(between).assign_coords(t2=law().t.values)


def single():
    told = '{"model": "TeacherStudent(N=30)", "test_size": 20}'
    return seeds().isel(seed=0, drop=True).assign_attrs(settings=told)


def repeated():
    values = np.array([[0.3, 0.32], [0.1, 0.11]])
    held = {"test_error": (("alpha", "seed"), values)}
    return xr.Dataset(held, coords={"alpha": [0.5, 2.0]}).assign_attrs(p=20, loss="square")


def solved():
    return repeated().mean("seed")


AGREEMENT = hr.experiments.full_batch.agreement
#: What else reads a dataset.
READERS = {
    "agreement": (lambda d: AGREEMENT(d, solved()), repeated),
    "agreement, theory": (lambda d: AGREEMENT(repeated(), d), solved),
    "cite": (hr.cite, law),
    "compare": (lambda d: hr.compare(d, law()), seeds),
    "compare, one run": (lambda d: hr.compare(d, law().drop_vars("eg_std")), single),
    "compare, theory": (lambda d: hr.compare(seeds(), d), law),
    "compare, entries": (
        lambda d: hr.compare(d, equations(), variable="Q", allowed=0.1),
        lambda: equations()[["Q"]],
    ),
    "compare, covariance": (lambda d: hr.compare(single(), d), correlated),
    "ensemble": (lambda d: hr.ensemble(lambda seed: d if seed else law(), seeds=2), law),
    "plateau": (hr.theory.phenomena.plateau, curve),
    "to_frame": (hr.to_frame, seeds),
}


@pytest.mark.parametrize("name", READERS)
def test_an_answer_or_a_refusal_in_our_words(name):
    call, make = READERS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        call(make())
        try_all(name, call, make())


def test_every_picture_is_tried():
    assert {name.split(",")[0] for name in PICTURES} == set(PLOT.__all__)


def variations(data):
    """Yield (what was done, the dataset) for everything that may happen to a result on its way to a picture."""
    yield "empty", xr.Dataset()
    yield "turned", data.transpose(*reversed(list(data.dims)))
    yield "without attributes", data.drop_attrs()
    for name, values in data.data_vars.items():
        yield f"{name} dropped", data.drop_vars(name)
        yield f"{name} a number", data.assign({name: 1.0})
        yield f"{name} texts", data.assign({name: values.astype(str)})
        yield f"{name} objects", data.assign({name: values.astype(object)})
        yield f"{name} complex", data.assign({name: values + 1j})
        yield f"{name} dates", data.assign({name: xr.zeros_like(values, dtype="datetime64[ns]")})
        yield f"{name} in single precision", data.assign({name: values.astype(np.float32)})
        yield f"{name} elsewhere", data.assign({name: ("zz", np.ones(3))})
        yield f"{name} in space", data.assign({name: (("zz", "yy", "xx"), np.ones((2, 2, 2)))})
        yield f"{name} along one more", data.assign({name: values.expand_dims(zz=2)})
        for what, number in (
            ("NaN", np.nan),
            ("infinite", np.inf),
            ("zero", 0.0),
            ("below zero", -1.0),
            ("huge", 1e308),
        ):
            yield f"{name} {what}", data.assign({name: xr.full_like(values, number, dtype=float)})
        some = values.astype(float).copy()
        some[dict.fromkeys(some.dims, 0)] = np.nan
        yield f"{name} with a NaN", data.assign({name: some})
    for name, values in data.coords.items():
        yield f"coordinate {name} dropped", data.drop_vars(name)
        yield f"coordinate {name} texts", data.assign_coords({name: values.astype(str)})
        yield f"coordinate {name} objects", data.assign_coords({name: values.astype(object)})
        if values.dtype.kind in "iuf":
            for what, number in (("NaN", np.nan), ("infinite", np.inf), ("zero", 0.0)):
                filled = xr.full_like(values, number, dtype=float)
                yield f"coordinate {name} {what}", data.assign_coords({name: (values.dims, filled.values)})
            yield f"coordinate {name} below zero", data.assign_coords({name: -1.0 - values})
            yield f"coordinate {name} downwards", data.isel({name: slice(None, None, -1)})
    for dim in data.sizes:
        yield f"no {dim}", data.isel({dim: slice(0)})
        yield f"one {dim}", data.isel({dim: slice(1)})
        yield f"an entry of {dim}", data.isel({dim: -1})
        yield f"{dim} renamed", data.rename({dim: "other"})
    for value in ("nonsense", -1.0, np.nan, [1.0, 2.0], np.ones(3), None):
        yield f"attributes {value!r}", data.assign_attrs(dict.fromkeys(data.attrs, value))


def try_all(name, call, whole):
    """Call with every variation and hold what comes to an answer, or a refusal with a remedy."""
    for done, data in variations(whole):
        try:
            call(data)
        except hr.HmmError as refusal:
            if ";" not in str(refusal):
                pytest.fail(f"{name}, {done}: no remedy in {refusal}")
        except Exception as error:
            pytest.fail(f"{name}, {done}: {type(error).__name__}: {error}")


def drawn(call, data):
    """Return what the picture holds: lines and points, texts, limits."""
    try:
        ax = call(data)
        figure = ax.get_figure()
        lines = [(line.get_xydata(), line.get_color(), line.get_label()) for line in ax.get_lines()]
        # Areas of bands, ends of error bars, places of points.
        points = [
            np.concatenate([np.asarray(shape.get_offsets()), *(path.vertices for path in shape.get_paths())])
            for shape in ax.collections
        ]
        texts = [ax.get_xlabel(), ax.get_ylabel(), ax.get_xlim(), ax.get_ylim()]
        assert figure is not None
        return lines, points, texts
    finally:
        plt.close("all")


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_or_a_refusal_in_our_words(name):
    call, make = PICTURES[name]
    with warnings.catch_warnings():
        # Of scales that no number fits; numpy's of means of nothing.
        warnings.simplefilter("ignore")
        try_all(name, lambda data: drawn(call, data), make())


@pytest.mark.parametrize("name", PICTURES)
def test_the_order_of_dimensions_changes_no_picture(name):
    call, make = PICTURES[name]
    plain = drawn(call, make())
    turned = drawn(call, make().transpose(*reversed(list(make().dims))))
    objects = drawn(call, make().map(lambda values: values.astype(object), keep_attrs=True))
    for other in (turned, objects):
        for one, two in zip(plain[0], other[0], strict=True):
            np.testing.assert_array_equal(one[0], two[0])
            assert one[1:] == two[1:]
        for one, two in zip(plain[1], other[1], strict=True):
            np.testing.assert_array_equal(one, two)
        assert plain[2] == other[2]


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (
            lambda: PLOT.trajectories(particles().isel(t=-1)),
            hr.ShapeError,
            r"result\.a has the dimensions \(i\): must have \(t, i\); pass the whole result, or \.isel\(t=\[0\]\)",
        ),
        (
            lambda: PLOT.compression_curve(flow().expand_dims(seed=2)),
            hr.ShapeError,
            r"must have \(t\); choose with \.isel\(seed=0\)",
        ),
        (
            lambda: PLOT.rotation(particles().assign_coords(t=list("abcde"))),
            hr.DtypeError,
            r"result\.gamma\.t = .*: must be an array of real numbers",
        ),
        (
            lambda: PLOT.gaussian_equivalence(gaussian().drop_attrs()),
            hr.InvalidParameterError,
            r"result has no attribute 'ks_floor'",
        ),
        (
            lambda: PLOT.rotation(particles().isel(t=[0])),
            hr.InvalidParameterError,
            r"result has no t > 0: nothing to draw; run longer",
        ),
        (
            lambda: PLOT.learning_curve(seeds() * np.nan),
            hr.InvalidParameterError,
            r"result\.eg holds no finite number",
        ),
    ],
)
def test_refusals_name_the_variable_what_it_must_be_and_the_way_out(call, error, match):
    with pytest.raises(error, match=match):
        call()
