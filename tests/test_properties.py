"""Odd inputs over the whole public surface: answered with numbers, or refused in our words.

Each entry of SURFACE is a call that works; one argument at a time is replaced by something odd. Arrays
that hold the same numbers in another layout or dtype must give the same bits or be refused; what cannot
be meant (masked, complex, ragged, text) must be refused; the rest must be answered with finite numbers or
refused. Beside the listed oddities others are drawn at random: sizes from 1e-323 to 1e308, shapes, dtypes,
layouts, mistyped names.

`python tests/test_properties.py [NAME ...] [--drawn N] [--share I/N]` tries them on the entries whose name begins
so, in child processes with a time limit on each call, and prints what breaks and how many calls were tried.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import math
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hmm_rs as hr
import hmm_rs.data.images
import hmm_rs.experiments.increasing_complexity
import hmm_rs.experiments.independent_students
import hmm_rs.experiments.memorisation
import hmm_rs.networks
from hmm_rs.testing import assert_answers_or_refuses, difference, falling_rate

# -- oddities ------------------------------------------------------------------------------------------


class UserError(Exception):
    """What a user's function raises: it must arrive as it is."""


@dataclass
class Odd:
    """A replacement of an argument, and what is expected of the call.

    `expected` is "refusal" (nothing else is right), "either" (an answer in finite numbers or a refusal), or
    "same": an answer with the bits of the call with `plain`, or a refusal.
    """

    label: str
    value: Any
    expected: str = "either"
    plain: Any = None


def odd_arrays(a: np.ndarray) -> Iterator[Odd]:
    def same(label: str, value: Any, plain: np.ndarray = a) -> Odd:
        return Odd(label, value, "same", plain)

    double = np.repeat(a, 2, axis=-1)
    yield same("Fortran order", np.asfortranarray(a))
    yield same("negative strides", np.flip(np.flip(a).copy()))
    yield same("every second column", double[..., ::2])
    yield same("big-endian", a.astype(">f8"))
    yield same("long double", a.astype(np.longdouble))
    yield same("lists", a.tolist())
    yield same("float16", a.astype(np.float16), a.astype(np.float16).astype(np.float64))
    # Integers know no negative zero.
    whole = np.rint(a) + 0.0
    yield same("integers", whole.astype(np.int64), whole)
    yield same("small integers", whole.astype(np.int8), whole)
    yield same("objects", a.astype(object))
    yield same("stride zero", np.broadcast_to(a[:1], a.shape), np.broadcast_to(a[:1], a.shape).copy())
    yield same("masked, nothing hidden", np.ma.masked_array(a, mask=False))
    if a.ndim == 2:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield same("np.matrix", np.matrix(a))
    mask = np.zeros(a.shape, bool)
    mask.flat[0] = True
    yield Odd("masked", np.ma.masked_array(a, mask=mask), "refusal")
    yield Odd("complex", a + 1j, "refusal")
    yield Odd("text", a.astype(str), "refusal")
    yield Odd("dates", np.zeros(a.shape, "datetime64[s]"), "refusal")
    yield Odd("records", np.zeros(a.shape, [("x", float)]), "refusal")
    yield Odd("ragged", [[1.0], [1.0, 2.0]], "refusal")
    yield Odd("decimals", np.full(a.shape, Decimal(1)))
    for name, value in (("NaN", np.nan), ("infinity", np.inf)):
        spoilt = a.astype(np.float64)
        spoilt.flat[-1] = value
        yield Odd(f"one {name}", spoilt)
    for value in (0.0, 1.0, -1.0, 5e-324, 1e-160, 1e160, 1e308):
        yield Odd(f"all {value:g}", np.full(a.shape, value))
    yield Odd("times 1e160", a * 1e160)
    yield Odd("truth values", a > 0)
    yield Odd("an extra dimension", a[None])
    yield Odd("a dimension less", a[0])
    yield Odd("empty", a[:0])
    yield Odd("no columns", a[..., :0])
    yield Odd("one row", a[:1])
    yield from odd_objects()


def odd_objects() -> Iterator[Odd]:
    for value in (
        None,
        "text",
        b"bytes",
        [],
        {},
        object(),
        abs,
        math,
        1.5,
        True,
        10**400,
        np.array("x"),
        ["x", None],
        np.array([1.0, 2.0]),
        np.array([object(), object()]),
        memoryview(b"\1\2"),
        range(3),
        slice(3),
        ...,
        {1.0},
        Path("text"),
        np.datetime64("2020-01-01"),
        whole_result(),
    ):
        yield Odd(f"{type(value).__name__} {value!r:.20}", value)


@functools.cache
def whole_result() -> Any:
    """A dataset, which says that it can be an array and cannot."""
    import xarray as xr

    return xr.Dataset({"a": 1.0})


def odd_floats() -> Iterator[Odd]:
    for value in (
        math.nan, math.inf, -math.inf, -1.0, 0.0, -0.0, 5e-324, 1e-30, 1e30, 1e308, 10**400, 2**70,
        Decimal("0.5"), Fraction(1, 2), np.float16(0.5), np.float32(0.5), np.longdouble(0.5),
        np.array(0.5), np.array([0.5]), np.array([]), "0.5", 1 + 0j, 1 + 1j, np.ma.masked,
    ):  # fmt: skip
        yield Odd(f"{type(value).__name__} {value!r:.20}", value)
    yield from odd_objects()


def odd_integers() -> Iterator[Odd]:
    for value in (
        -1, 0, 1, 2.0, 2.5, math.nan, math.inf, np.int8(2), np.uint64(2), np.float64(2.0), np.array(2), np.array([2]),
        "2", 2**70, -(2**70), 10**400, Decimal(2), Fraction(2), 2 + 0j,
    ):  # fmt: skip
        yield Odd(f"{type(value).__name__} {value!r:.20}", value)
    yield from odd_objects()


def odd_names() -> Iterator[Odd]:
    for value in (
        "",
        "nonsense",
        "\ud800",
        "x" * 500,
        "HINGE",
        " sign",
        "sign\0",
        b"sign",
        ["sign"],
        3,
        np.str_("x"),
    ):
        yield Odd(f"{type(value).__name__} {value!r:.20}", value)
    yield from odd_objects()


def odd_flags() -> Iterator[Odd]:
    for value in ("False", "yes", "", 2, -1, math.nan, 0.5, np.array([True, False]), [], object()):
        yield Odd(f"{type(value).__name__} {value!r:.20}", value, "refusal")
    for value in (np.True_, 1, 0, None):
        yield Odd(f"{type(value).__name__} {value!r:.20}", value)


def odd_seeds() -> Iterator[Odd]:
    for value in (
        -1, 1.5, "seed", None, [1, -2], [], [[1]], [1.5], 2**200, np.int64(3), np.array([1, 2]), np.array([]), True,
        np.random.default_rng(0), np.random.SeedSequence(np.array([1, 2])), np.random.SeedSequence(None), (),
    ):  # fmt: skip
        yield Odd(f"{type(value).__name__} {value!r:.20}", value)
    yield from odd_objects()


def odd_threads() -> Iterator[Odd]:
    for value in (0, -1, 2**63, 2**70, 10**6, 1.5, "2", np.int64(2), math.nan):
        yield Odd(f"{type(value).__name__} {value!r:.20}", value)
    yield from odd_objects()


def odd_functions() -> Iterator[Odd]:
    def raises(*_: Any) -> Any:
        raise UserError("from the user's function")

    def reenters(u: Any, *_: Any) -> Any:
        hr.TwoLayer.random(2, 5).forward(np.ones((1, 5)))
        return np.tanh(u)

    def changes(u: Any, *_: Any) -> Any:
        u = np.asarray(u)
        if u.flags.writeable and u.size:
            u.flat[0] = 1e9
        return np.tanh(u)

    calls = itertools.count()

    def wears_out(u: Any, *_: Any) -> Any:
        if next(calls) > 1:
            raise UserError("later")
        return np.tanh(u)

    functions: dict[str, Callable[..., Any]] = {
        "raises": raises,
        "re-enters": reenters,
        "changes its argument": changes,
        "raises later": wears_out,
        "None": lambda *_: None,
        "one number": lambda *_: 1.0,
        "text": lambda *_: "text",
        "a wrong shape": lambda u, *_: np.ones(3),
        "no columns": lambda u, *_: np.zeros((len(np.atleast_1d(u)), 0)),
        "NaN": lambda u, *_: np.asarray(u) * np.nan,
        "huge": lambda u, *_: np.asarray(u) * 1e300,
        "complex": lambda u, *_: np.asarray(u) + 1j,
        "float16": lambda u, *_: np.tanh(u).astype(np.float16),
        "float32": lambda u, *_: np.tanh(u).astype(np.float32),
        "integers": lambda u, *_: np.sign(u).astype(np.int8),
        "objects": lambda u, *_: np.tanh(u).astype(object),
        "masked": lambda u, *_: np.ma.masked_array(np.tanh(u), mask=np.asarray(u) > 1),
        "a generator": lambda u, *_: (x for x in np.atleast_1d(u)),
        "ragged": lambda u, *_: [[1.0], [1.0, 2.0]],
        "steep": lambda u, *_: np.exp(np.minimum(30 * np.asarray(u), 600)),
    }
    for name, function in functions.items():
        yield Odd(f"function: {name}", function)
    yield from odd_objects()


def drawn_array(rng: np.random.Generator, a: np.ndarray) -> Any:
    """An array like `a` in some ways, and odd in others."""
    a = a.astype(np.float64)
    shape = list(a.shape)
    if rng.random() < 0.3:
        shape[rng.integers(len(shape))] = int(rng.integers(0, 4))
    if rng.random() < 0.1:
        shape.insert(0, int(rng.integers(1, 3)))
    if rng.random() < 0.1:
        shape.pop()
    size = math.prod(shape)
    kind = rng.integers(6)
    if kind == 0:
        values = np.resize(a, size) * 10.0 ** rng.uniform(-300, 300)
    elif kind == 1:
        values = rng.standard_normal(size) * 10.0 ** rng.uniform(-323, 308, size)
    elif kind == 2:
        values = np.resize(rng.permuted(a, axis=-1), size)
    elif kind == 3:
        values = rng.choice([0.0, -0.0, 1.0, -1.0, 0.5, 5e-324, 1e154, -1e154, 1e308, 1e-160], size)
    elif kind == 4:
        values = np.full(size, np.resize(a, 1)[0] * 10.0 ** rng.integers(-3, 4))
    else:
        values = np.resize(a, size) * (1.0 + 1e-15 * rng.standard_normal(size))
    if size and rng.random() < 0.1:
        values[rng.integers(size)] = rng.choice([np.nan, np.inf, -np.inf])
    with np.errstate(all="ignore"):
        array = values.reshape(shape).astype(
            rng.choice(
                ["f8", "f8", "f8", "f4", "f2", ">f8", "i8", "i4", "i1", "u2", "?", "O", "c16", "U4", "g"]
            )
        )
    layout = rng.integers(5)
    if layout == 0:
        return np.asfortranarray(array)
    if layout == 1:
        return np.flip(np.asarray(np.flip(array)).copy())
    if layout == 2:
        return array.tolist()
    return array


def drawn_float(rng: np.random.Generator) -> Any:
    value = float(rng.choice([-1.0, 1.0], p=[0.3, 0.7]) * 10.0 ** rng.uniform(-323, 308))
    near = float(rng.choice([0.0, 0.5, 1.0, 2.0, -1.0]))
    some = [
        value,
        value,
        value,
        near,
        math.nextafter(near, 9.0),
        math.nextafter(near, -9.0),
        float(rng.normal()),
    ]
    some += [
        np.float32(near),
        Decimal(near),
        Fraction(near),
        str(near),
        [near],
        complex(near, 1.0),
        np.array(near),
    ]
    return some[rng.integers(len(some))]


def drawn_integer(rng: np.random.Generator) -> Any:
    # Between some tens and what no machine holds lie long runs, which are no fault.
    small, large = int(rng.integers(-3, 30)), int(rng.integers(1 << 52, 1 << 62)) << int(rng.integers(0, 200))
    some = [small, small, small, large, -large, float(small), float(large), small + 0.5, str(small), [small]]
    some += [
        np.int8(small),
        np.array(small),
        np.float32(small),
        Decimal(small),
        Fraction(small, 2),
        bool(small % 2),
    ]
    return some[rng.integers(len(some))]


def drawn_text(rng: np.random.Generator, valid: str) -> Any:
    letters = [*valid] or ["x"]
    place = int(rng.integers(len(letters)))
    letters[place] = str(rng.choice(["", "é", "\0", "\ud800", " ", "//", letters[place] * 2, "X", "\n", "𝔸"]))
    text = "".join(letters)
    return [text, text.upper(), text.encode(errors="replace"), [text], np.str_(text), {text: text}][
        rng.integers(6)
    ]


def drawn_seed(rng: np.random.Generator) -> Any:
    words = [int(w) << int(rng.integers(0, 90)) for w in rng.integers(0, 1 << 62, rng.integers(1, 4))]
    some: list[Any] = [
        words[0],
        words,
        tuple(words),
        np.array(words, dtype=object),
        np.random.SeedSequence(words),
    ]
    some += [
        np.random.default_rng(words),
        [words],
        [*words, -1],
        [*words, 0.5],
        -words[0],
        np.random.PCG64(words),
    ]
    some += [
        np.random.SeedSequence(words[0]).spawn(2)[1],
        np.random.RandomState(3),
        np.uint64(words[0] % 2**64),
    ]
    return some[rng.integers(len(some))]


def drawn_function(rng: np.random.Generator) -> Callable[..., Any]:
    scale, shift, power = 10.0 ** rng.uniform(-200, 200), rng.normal(), rng.integers(0, 4)
    dtype = str(rng.choice(["f8", "f8", "f4", "f2", "i8", "c16", "O", "?", "U8"]))
    axis = rng.integers(6)

    def function(u: Any, *_: Any) -> Any:
        try:
            with np.errstate(all="ignore"):
                value = scale * (np.asarray(u, dtype=np.float64) + shift) ** power
                value = [value[None], value.sum(), value.T, value, value, value][axis]
                return np.asarray(value).astype(dtype)
        except Exception as error:
            raise UserError from error

    return function


def drawn_object(rng: np.random.Generator, depth: int = 0) -> Any:
    kind = rng.integers(9)
    if kind < 3 and depth < 3:
        parts = [drawn_object(rng, depth + 1) for _ in range(rng.integers(0, 4))]
        return [parts, tuple(parts), dict(enumerate(parts))][kind]
    return [drawn_float, drawn_integer, drawn_seed][kind % 3](rng) if kind < 7 else [None, "", b""][kind % 3]


def drawn(name: str, valid: Any, rng: np.random.Generator) -> Odd:
    """An oddity drawn at random, to put in the place of a valid argument."""
    if rng.random() < 0.1:
        return Odd("an object", drawn_object(rng))
    if name == "seed":
        return Odd("a seed", drawn_seed(rng))
    if isinstance(valid, np.ndarray):
        return Odd("an array", drawn_array(rng, valid))
    if isinstance(valid, bool) or valid is None:
        return Odd("an object", drawn_object(rng))
    if isinstance(valid, int):
        return Odd("an integer", drawn_integer(rng))
    if isinstance(valid, float):
        return Odd("a number", drawn_float(rng))
    if isinstance(valid, str):
        return Odd("a text", drawn_text(rng, valid))
    if callable(valid) and not isinstance(valid, type):
        return Odd("a function", drawn_function(rng))
    return Odd("an object", drawn_object(rng))


def oddities(name: str, valid: Any) -> list[Odd]:
    """What to put in the place of a valid argument."""
    if name == "seed":
        return list(odd_seeds())
    if name == "threads":
        return list(odd_threads())
    if isinstance(valid, np.ndarray):
        return list(odd_arrays(valid))
    if isinstance(valid, bool):
        return list(odd_flags())
    if isinstance(valid, int):
        return list(odd_integers())
    if isinstance(valid, float):
        return list(odd_floats())
    if isinstance(valid, str):
        return list(odd_names())
    if callable(valid) and not isinstance(valid, type):
        return list(odd_functions())
    return list(odd_objects())


# -- the surface ---------------------------------------------------------------------------------------


def normals(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def signs(n: int) -> np.ndarray:
    return np.where(np.arange(n) % 3 == 0, 1.0, -1.0)


@functools.cache
def gram(n: int) -> np.ndarray:
    a = normals(n, 2 * n)
    return np.einsum("ir,jr->ij", a, a) / n


@functools.cache
def manifold() -> hr.HiddenManifold:
    return hr.HiddenManifold(12, 5, f="erf", normalise_rows=True)


@functools.cache
def spectrum() -> Any:
    return hr.theory.replica.Spectrum(np.array([0.5, 1.5]), np.array([0.5, 0.5]), np.array([0.1, 0.2]), 1.0)


@functools.cache
def relu_network() -> hr.MeanFieldNetwork:
    return hr.MeanFieldNetwork.random(8, 3, std_b=1.0, activation="sqrt2_relu")


ONLINE = {
    "model": manifold(),
    "teacher": hr.TwoLayer.random(2, 5, seed=1),
    "student": hr.TwoLayer.random(2, 12, seed=2),
    "lr": 0.1,
    "test_size": 20,
}
PARTICLES = {
    "network": hr.MeanFieldNetwork.random(8, 3),
    "data": hr.LinearlySeparable(3),
    "batch": 6,
    "test_size": 9,
}
RUN = {
    "save_at": np.array([0.0, 1.0]),
    "checkpoint_every": 60.0,
    "callbacks": (),
    "threads": 1,
    "max_seconds": 100.0,
}
TIMES = np.array([0.0, 0.5, 1.0])
RATES = {"lr": 0.1, "lr_v": 0.05, "noise": 0.1, "weight_decay": 0.01, "batch": 2, "activation": "erf"}


def flow(**options: Any) -> hr.GradientFlow:
    return hr.GradientFlow(relu_network(), **{"X": normals(9, 3), "y": signs(9), **options})


def swept(lr: float, seed: int = 0) -> Any:
    return hr.theory.SaadSolla(
        np.eye(1), np.full((1, 1), 0.3 / (1 + seed)), T=np.eye(1), v0=[1.0], v_teacher=[1.0], lr=lr
    )


def full_batch(**options: Any) -> Any:
    from hmm_rs.dynamics import full_batch as module

    return module


@dataclass(frozen=True)
class Made:
    """An argument that takes a computation, made where it is used: threads do not outlive a fork."""

    make: Callable[[], Any]


@functools.cache
def long_curve() -> Any:
    start = hr.theory.phenomena.random_start(2, 2, delta=0.01, spectrum="orthogonal")
    return start.solve(np.geomspace(0.1, 1000.0, 100))


@functools.cache
def fixed_run() -> Any:
    return hr.Particles(PARTICLES["network"], normals(6, 3), signs(6)).run(3)


@functools.cache
def online_run() -> Any:
    return hr.OnlineSGD(**ONLINE).run(1.0, save_at=[0.0, 0.5, 1.0])


@functools.cache
def online_theory() -> Any:
    sim = hr.OnlineSGD(**ONLINE)
    return hr.theory.HiddenManifoldODE.from_simulation(sim).solve([0.0, 0.5, 1.0])


@functools.cache
def particles_run() -> Any:
    return hr.Particles(**PARTICLES).run(4, save_at=[0, 2, 4])


@functools.cache
def flow_run() -> Any:
    return flow().run(max_steps=4)


@functools.cache
def images() -> Any:
    return hr.data.images.Images(np.abs(normals(12, 4)), np.arange(12) % 3)


@functools.cache
def machine() -> Any:
    return hr.kernels.svc(gram(9), signs(9), C=1.0)


@functools.cache
def fitted_curve() -> Any:
    return full_batch().full_batch_curve(
        full_batch().GaussianFeatures(np.linspace(0.5, 1.5, 5), np.full(5, 0.1), 1.0),
        [0.5, 2.0],
        loss="square",
        lam=0.1,
        repeats=3,
    )


@functools.cache
def learned_curve() -> Any:
    return hr.theory.replica.learning_curve(spectrum(), fitted_curve().alpha.values, loss="square", lam=0.1)


@functools.cache
def task() -> Any:
    return hr.experiments.memorisation.teacher_task(
        "latent", N=8, M=8, D=4, classes=2, train_per_class=6, test_per_class=3
    )


def manifold_modes() -> dict[str, Any]:
    return {
        "rho": np.array([0.5, 1.5]),
        "weights": np.array([0.5, 0.5]),
        "sigma0": np.stack([gram(2), gram(2)]),
        "r0": 0.1 * normals(2, 2, 2),
        "t_modes": np.stack([np.eye(2), np.eye(2)]),
        "W0": gram(2),
        "v0": np.ones(2),
        "v_teacher": np.ones(2),
        "delta": 0.3,
        "f": "sign",
        "lr": 0.1,
        "teacher_modes": "exact",
        "center": True,
    }


def drawing_of(function: Callable[..., Any], *results: Any, **arguments: Any) -> None:
    """Call a function of hr.plot and forget the picture."""
    import matplotlib.pyplot as plt

    try:
        function(*results, **arguments)
    finally:
        plt.close("all")


#: A call that works: the function, and every argument of it that is worth replacing.
SURFACE: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    # data
    "HiddenManifold": (
        lambda **k: hr.HiddenManifold(**k).sample(3),
        {"N": 12, "D": 4, "f": "sign", "F": "gaussian", "center": True, "normalise_rows": False, "seed": 1},
    ),
    "HiddenManifold of a function": (
        lambda **k: (hr.HiddenManifold(12, 4, **k).sample(3), hr.HiddenManifold(12, 4, **k).moments),
        {"f": np.tanh},
    ),
    "HiddenManifold of an array": (
        lambda **k: hr.HiddenManifold(12, 4, **k).sample(3),
        {"F": normals(12, 4)},
    ),
    "HiddenManifold.sample": (
        lambda **k: manifold().sample(**k),
        {"P": 3, "seed": 1, "start": 2, "dtype": "float64", "threads": 1},
    ),
    "HiddenManifold.covariances": (lambda **k: manifold().covariances(**k), {"method": "exact"}),
    "TeacherStudent": (lambda **k: hr.TeacherStudent(**k).sample(3), {"N": 4, "seed": 1}),
    "GaussianEquivalent": (lambda **k: hr.GaussianEquivalent(**k).sample(3), {"model": manifold()}),
    "StoredSamples": (lambda **k: hr.StoredSamples(**k).sample(3), {"X": normals(6, 4), "y": signs(6)}),
    "LinearlySeparable": (
        lambda **k: hr.LinearlySeparable(**k).sample(4),
        {"d": 3, "sigma": 1.0, "flip": 0.1},
    ),
    "UniformSphere": (lambda **k: hr.UniformSphere(**k).sample(4), {"d": 3, "radius": 1.0, "flip": 0.1}),
    "GaussianMixture": (
        lambda **k: hr.GaussianMixture(**k).sample(4),
        {"d": 3, "mu": 1.0, "sigma": 1.0, "flip": 0.1},
    ),
    "LinearlySeparable.sample": (
        lambda **k: hr.LinearlySeparable(3).sample(**k),
        {"P": 4, "seed": 1, "stream": "train", "start": 1, "clean": False, "threads": 1},
    ),
    "Stripe": (
        lambda **k: hr.Stripe(**k).sample(4),
        {"d": 3, "xmin": -0.3, "xmax": 1.2, "inside_label": 1, "stretch": 2.0},
    ),
    "SingleInterface": (lambda **k: hr.SingleInterface(**k).sample(4), {"d": 3, "x0": 0.1}),
    "Cylinder": (lambda **k: hr.Cylinder(**k).sample(4), {"d": 4, "d_par": 2, "stretch": 2.0}),
    "Sphere": (lambda **k: hr.Sphere(**k).sample(4), {"d": 3}),
    "Stripe.sample": (
        lambda **k: hr.Stripe(3).sample(**k),
        {"P": 4, "seed": 1, "stream": "train", "start": 1, "threads": 1},
    ),
    "Stripe.labels": (lambda **k: hr.Stripe(3).labels(**k), {"X": normals(5, 3)}),
    "generators.random_layers": (
        lambda **k: hr.generators.random_layers(**k).sample(3),
        {"widths": [3, 6, 8], "f": "erf", "seed": 1, "center": True},
    ),
    "generators.from_callable": (
        lambda **k: hr.generators.from_callable(**k).sample(3),
        {"fn": np.tanh, "D": 4, "center": False},
    ),
    "generators.estimate_covariances": (
        lambda **k: hr.generators.estimate_covariances(**k),
        {"model": manifold(), "n_samples": 50, "seed": 1, "threads": 1},
    ),
    "generators.from_onnx": (lambda **k: hr.generators.from_onnx(**k), {"path": "/no/such/file"}),
    "generators.from_safetensors": (
        lambda **k: hr.generators.from_safetensors(**k),
        {"path": "/no/such/file"},
    ),
    "generators.read_safetensors": (
        lambda **k: hr.generators.read_safetensors(**k),
        {"path": "/no/such/file"},
    ),
    "data.images.normalise": (
        lambda **k: __import__("hmm_rs.data.images").data.images.normalise(**k),
        {"X": np.abs(normals(5, 4)), "how": "global"},
    ),
    "data.images.read_idx": (
        lambda **k: __import__("hmm_rs.data.images").data.images.read_idx(**k),
        {"path": "/no"},
    ),
    # networks
    "TwoLayer": (
        lambda **k: hr.TwoLayer(**k).forward(np.ones((2, 4))),
        {"w": normals(2, 4), "v": normals(2), "activation": "erf"},
    ),
    "TwoLayer.random": (
        lambda **k: hr.TwoLayer.random(**k),
        {"K": 2, "N": 4, "activation": "erf", "std_w": 1.0, "v": 1.0, "std_v": 0.5, "seed": 1},
    ),
    "TwoLayer.forward": (
        lambda **k: hr.TwoLayer.random(2, 4).forward(**k),
        {"X": normals(3, 4), "threads": 1},
    ),
    "MeanFieldNetwork": (
        lambda **k: hr.MeanFieldNetwork(**k).forward(np.ones((2, 3))),
        {"a": normals(4), "w": normals(4, 3), "b": normals(4), "activation": "relu"},
    ),
    "MeanFieldNetwork.random": (
        lambda **k: hr.MeanFieldNetwork.random(**k),
        {
            "width": 4,
            "d": 3,
            "std_a": 1.0,
            "std_w": 1.0,
            "std_b": 1.0,
            "paired": "even",
            "activation": "relu",
            "dtype": "float64",
            "seed": 1,
        },
    ),
    "RandomNodes": (
        lambda **k: hr.RandomNodes(**k).network(),
        {
            "width": 4,
            "d": 3,
            "std_a": 1.0,
            "std_w": 1.0,
            "paired": "even",
            "activation": "relu",
            "seed": 1,
        },
    ),
    "RandomNodes.draw": (
        lambda **k: hr.RandomNodes(4, 3).draw(**k),
        {"first": 1, "last": 3, "dtype": "float64"},
    ),
    "RandomNodes.network": (lambda **k: hr.RandomNodes(4, 3).network(**k), {"dtype": "float64"}),
    "MeanFieldNetwork.forward": (lambda **k: relu_network().forward(**k), {"X": normals(5, 3)}),
    # kernels
    "kernels.ntk": (
        lambda **k: hr.kernels.ntk(**k),
        {"X": normals(5, 3), "Y": normals(4, 3), "bias": "normal", "threads": 1},
    ),
    "kernels.laplace": (
        lambda **k: hr.kernels.laplace(**k),
        {"X": normals(5, 3), "Y": normals(4, 3), "scale": 1.0, "threads": 1},
    ),
    "kernels.network_ntk": (
        lambda **k: hr.kernels.network_ntk(**k),
        {
            "network": relu_network(),
            "X": normals(5, 3),
            "Y": normals(4, 3),
            "part": "full",
            "block": 2,
            "threads": 1,
        },
    ),
    "kernels.label_projections": (
        lambda **k: hr.kernels.label_projections(**k),
        {"K": gram(5), "y": signs(5)},
    ),
    "kernels.mutual_information": (
        lambda **k: hr.kernels.mutual_information(**k),
        {"phi": normals(30, 2), "y": signs(30), "k": 3},
    ),
    "kernels.intrinsic_dimension": (lambda **k: hr.kernels.intrinsic_dimension(**k), {"K": gram(12)}),
    "kernels.kernel_change": (
        lambda **k: hr.kernels.kernel_change(**k),
        {"K": gram(5), "K0": gram(5) + np.eye(5)},
    ),
    "kernels.kernel_statistics": (lambda **k: hr.kernels.kernel_statistics(**k), {"K": gram(5)}),
    "kernels.positive_gram": (lambda **k: hr.kernels.positive_gram(**k), {"K": gram(5)}),
    "kernels.memory_estimate": (
        lambda **k: hr.kernels.memory_estimate(**k),
        {"P": 5, "Q": 4, "dtype": "float64", "block": 8, "threads": 1},
    ),
    "kernels.svc": (
        lambda **k: hr.kernels.svc(**k),
        {"K": gram(9), "y": signs(9), "C": 1.0, "max_iter": 1000},
    ),
    # measure
    "compression": (lambda **k: hr.compression(**k), {"w": normals(6, 3), "d_par": 1}),
    "observables.conserved_quantity": (
        lambda **k: hr.observables.conserved_quantity(**k),
        {"network": relu_network()},
    ),
    "observables.neuron_alignment": (
        lambda **k: hr.observables.neuron_alignment(**k),
        {"network": relu_network(), "d_par": 1},
    ),
    "observables.neuron_points": (lambda **k: hr.observables.neuron_points(**k), {"network": relu_network()}),
    "observables.temporal_regime": (
        lambda **k: hr.observables.temporal_regime(**k),
        {"satisfied": np.linspace(0, 1, 5), "p": 10},
    ),
    "equivalence.kappas": (lambda **k: hr.theory.equivalence.kappas(**k), {"f": "erf", "gain": 0.5}),
    "equivalence.kernel": (
        lambda **k: hr.theory.equivalence.kernel(**k),
        {"r": np.linspace(-1, 1, 5), "f": "erf"},
    ),
    "equivalence.conditions": (
        lambda **k: hr.theory.equivalence.conditions(**k),
        {"F": manifold().F / 5**0.5, "w": normals(2, 12), "f": "erf", "teacher": normals(1, 5)},
    ),
    "equivalence.crude_bound": (
        lambda **k: hr.theory.equivalence.crude_bound(**k),
        {"F": manifold().F / 5**0.5, "w": normals(2, 12), "f": "erf"},
    ),
    "equivalence.stein_bound": (
        lambda **k: hr.theory.equivalence.stein_bound(**k),
        {
            "F": manifold().F / 5**0.5,
            "w": normals(2, 12),
            "f": "erf",
            "teacher": normals(1, 5),
            "n_samples": 20,
            "seed": 1,
        },
    ),
    "equivalence.stein_kernel": (
        lambda **k: hr.theory.equivalence.stein_kernel(**k),
        {"u": np.linspace(-1, 1, 5), "f": "tanh", "gain": 0.5},
    ),
    "equivalence.skewness": (lambda **k: hr.theory.equivalence.skewness(**k), {"x": normals(50)}),
    "equivalence.excess_kurtosis": (
        lambda **k: hr.theory.equivalence.excess_kurtosis(**k),
        {"x": normals(50)},
    ),
    "equivalence.kolmogorov_distance": (
        lambda **k: hr.theory.equivalence.kolmogorov_distance(**k),
        {"x": normals(50)},
    ),
    "equivalence.mmd2": (
        lambda **k: hr.theory.equivalence.mmd2(**k),
        {"x": normals(20, 2), "bandwidth": 1.0},
    ),
    "equivalence.test_gaussian_equivalence": (
        lambda **k: hr.theory.equivalence.test_gaussian_equivalence(**k),
        {
            "model": manifold(),
            "w": normals(2, 12),
            "teacher": normals(1, 5),
            "n_samples": 200,
            "directions": 4,
            "mmd_samples": 20,
            "bound_samples": 20,
            "seed": 1,
        },
    ),
    "equivalence.rates": (
        lambda **k: hr.theory.equivalence.rates(**k),
        {
            "N": [10, 20],
            "ratio": 2.0,
            "f": "erf",
            "weights": "gaussian",
            "n_samples": 200,
            "draws": 2,
            "bound_samples": 20,
            "seed": 1,
        },
    ),
    "equivalence.diagnose": (
        lambda **k: hr.theory.equivalence.diagnose(**k),
        {
            "spectrum": spectrum(),
            "loss": "logistic",
            "alpha": 2.0,
            "lam": 0.1,
            "flip": 0.1,
            "nu": normals(100),
            "v": normals(100, 12),
            "w": normals(12),
            "latents": 5,
            "n_samples": 100,
            "p": 12,
        },
    ),
    # dynamics
    "OnlineSGD": (
        lambda **k: hr.OnlineSGD(**k).run(0.5, save_at=[0.0, 0.5]),
        {
            **ONLINE,
            "lr_v": 0.1,
            "train_second_layer": True,
            "labels": "latent",
            "noise": 0.1,
            "weight_decay": 0.01,
            "batch": 2,
            "dtype": "float64",
            "seed": 1,
        },
    ),
    "OnlineSGD, functions of time": (
        lambda **k: hr.OnlineSGD(**{**ONLINE, **k}).run(0.5, save_at=[0.0, 0.5]),
        {"lr": falling_rate, "noise": falling_rate, "weight_decay": falling_rate},
    ),
    "schedules.Constant": (lambda **k: hr.schedules.Constant(**k)(TIMES), {"value": 0.1}),
    "schedules.Step": (
        lambda **k: hr.schedules.Step(**k)(TIMES),
        {"values": np.array([0.1, 0.2, 0.0]), "at": np.array([0.5, 2.0])},
    ),
    "schedules.Power": (lambda **k: hr.schedules.Power(**k)(TIMES), {"a": 0.1, "b": 2.0, "c": 0.5}),
    "schedules.Cosine": (
        lambda **k: hr.schedules.Cosine(**k)(TIMES),
        {"start": 0.1, "duration": 0.7, "end": 0.05},
    ),
    "schedules.Power of times": (
        lambda **k: hr.schedules.Power(0.1, 2.0)(**k),
        {"t": np.array([0.0, 0.5, 1.0])},
    ),
    "OnlineSGD, classification": (
        lambda **k: hr.OnlineSGD(**ONLINE, **k).run(0.5, save_at=[0.5]),
        {"classify": True},
    ),
    "OnlineSGD.run": (lambda **k: hr.OnlineSGD(**ONLINE).run(**k), {"t_max": 1.0, **RUN}),
    "OnlineSGD.advance": (lambda **k: hr.OnlineSGD(**ONLINE).advance(3, **k), {"threads": 1}),
    "Particles": (
        lambda **k: hr.Particles(**k).run(2, save_at=[0, 2]),
        {
            **PARTICLES,
            "alpha": 1.0,
            "h": 1.0,
            "beta": 0.5,
            "p": 1.0,
            "loss": "hinge",
            "subtract_init": False,
            "record_nodes": 3,
            "dtype": "float64",
            "seed": 1,
            "shards": 2,
        },
    ),
    "Particles of arrays": (
        lambda **k: hr.Particles(PARTICLES["network"], **k).run(2, save_at=[0, 2]),
        {"X": normals(6, 3), "y": signs(6), "X_test": normals(4, 3), "y_test": signs(4)},
    ),
    "Particles.run": (
        lambda **k: hr.Particles(**PARTICLES).run(**k),
        {"dt": 0.5, **RUN, "steps": 1},
    ),
    "GradientFlow": (
        lambda **k: flow(**k).run(max_steps=3),
        {
            "X": normals(9, 3),
            "y": signs(9),
            "loss": "softhinge",
            "alpha": 1.0,
            "margin": 1.0,
            "loss_beta": 2.0,
            "subtract_f0": True,
            "max_dout": 0.1,
            "max_dw": 0.1,
            "max_dgrad": 0.1,
            "controller": "chatter",
            "method": "euler",
            "rtol": 1e-3,
            "atol": 1e-6,
            "X_test": normals(4, 3),
            "y_test": signs(4),
            "d_par": 1,
            "dtype": "float64",
            "threads": 1,
        },
    ),
    "GradientFlow.run": (
        lambda **k: flow().run(**k),
        {"max_steps": 4, "stop_margin": 0.9, "stop_frac": 0.9, "t_max": 0.01, "callbacks": (), "threads": 1},
    ),
    "GradientFlow.run at times": (
        lambda **k: flow().run(max_steps=5, **k),
        {"save_at": np.array([0.0, 1e-6, 1e-3])},
    ),
    "GradientFlow.run at steps": (
        lambda **k: flow().run(max_steps=5, **k),
        {"save_steps": np.array([0.0, 1.0, 3.0])},
    ),
    "KernelFlow": (
        lambda **k: hr.KernelFlow(**k).run(max_steps=3),
        {
            "K": gram(5),
            "y": signs(5),
            "loss": "qhinge",
            "alpha": 1.0,
            "margin": 1.0,
            "max_dout": 0.1,
            "K_test": normals(3, 5),
            "y_test": signs(3),
            "threads": 1,
        },
    ),
    "FullBatch": (
        lambda **k: hr.FullBatch(**k).fit(),
        {"X": normals(9, 4), "y": signs(9), "loss": "square", "lam": 0.1},
    ),
    "FullBatch, hinge": (
        lambda **k: hr.FullBatch(**k, loss="hinge").fit(),
        {"X": normals(9, 4), "y": signs(9), "lam": 0.1},
    ),
    "FullBatch.fit": (
        lambda **k: hr.FullBatch(normals(9, 4), signs(9), loss="logistic", lam=0.1).fit(**k),
        {"tol": 1e-6, "max_iterations": 50, "threads": 1, "on_failure": "raise"},
    ),
    "FullBatch, as an estimator": (
        lambda **k: hr.FullBatch(loss="square", lam=0.1).fit(**k).w,
        {"X": normals(9, 4), "y": signs(9)},
    ),
    "FullBatch.path": (
        lambda **k: hr.FullBatch(normals(9, 4), signs(9), loss="square", lam=0.1).path(**k),
        {"lams": np.array([0.1, 1.0])},
    ),
    "FullBatch.score": (
        lambda **k: hr.FullBatch(loss="ridge", lam=0.1).fit(normals(9, 4), normals(9)).score(**k),
        {"X": normals(5, 4, seed=1), "y": normals(5, seed=1)},
    ),
    "sweep": (
        lambda **k: hr.sweep(swept, {"lr": [0.1, 0.2]}, executor="here", **k),
        {"seeds": 2, "at": np.array([0.0, 1.0]), "progress": False},
    ),
    "full_batch_curve": (
        lambda **k: full_batch().full_batch_curve(
            full_batch().GaussianFeatures(np.linspace(0.5, 1.5, 5), np.full(5, 0.1), 1.0), **k
        ),
        {
            "alphas": np.array([0.5, 2.0]),
            "loss": "square",
            "lam": 0.1,
            "flip": 0.1,
            "noise": 0.1,
            "repeats": 2,
            "seed": 1,
            "threads": 1,
        },
    ),
    "GaussianFeatures": (
        lambda **k: full_batch().GaussianFeatures(**k),
        {"omega": np.array([0.5, 1.5]), "b": np.array([0.1, 0.1]), "rho": 1.0},
    ),
    "logtimes": (lambda **k: hr.logtimes(**k), {"t0": 0.1, "t1": 10.0, "n": 5}),
    "log_linear_steps": (
        lambda **k: hr.dynamics.log_linear_steps(**k),
        {"last": 30, "spacing": 10.0, "bend": 100.0},
    ),
    "resume": (lambda **k: hr.resume(**k), {"path": "/no/such/file"}),
    "set_num_threads": (lambda **k: hr.set_num_threads(**k), {"n": 2}),
    # theory
    "gaussian_moments": (lambda **k: hr.theory.gaussian_moments(**k), {"f": np.tanh, "kinks": (0.5,)}),
    "one_layer_covariances": (
        lambda **k: hr.theory.one_layer_covariances(**k),
        {"F": normals(4, 3), "f": "erf"},
    ),
    "recursive_covariances": (
        lambda **k: hr.theory.recursive_covariances(**k),
        {"layers": [normals(6, 4), normals(8, 6)], "f": "erf"},
    ),
    "i2": (lambda **k: hr.theory.i2(**k), {"C": gram(2), "activation": "erf"}),
    "i3": (lambda **k: hr.theory.i3(**k), {"C": gram(3), "activation": "erf"}),
    "i4": (lambda **k: hr.theory.i4(**k), {"C": gram(4), "activation": "erf"}),
    "generalisation_error": (
        lambda **k: hr.theory.generalisation_error(**k),
        {
            "Q": gram(4)[:2, :2],
            "R": gram(4)[:2, 2:],
            "T": gram(4)[2:, 2:],
            "v": normals(2),
            "v_teacher": normals(2),
            "activation": "erf",
        },
    ),
    "marchenko_pastur": (lambda **k: hr.theory.marchenko_pastur(**k), {"delta": 0.3, "n": 5}),
    "order_parameters": (
        lambda **k: hr.theory.order_parameters(**k),
        {"F": normals(8, 4), "w": normals(2, 8), "w_teacher": normals(2, 4), "f": "sign"},
    ),
    "SaadSolla": (
        lambda **k: hr.theory.SaadSolla(**k).solve(TIMES),
        {
            "Q0": gram(2),
            "R0": 0.1 * normals(2, 2),
            "T": np.eye(2),
            "v0": normals(2),
            "v_teacher": normals(2),
            **RATES,
        },
    ),
    "SaadSolla, functions of time": (
        lambda **k: hr.theory.SaadSolla(
            np.eye(1), np.full((1, 1), 0.3), T=np.eye(1), v0=[1.0], v_teacher=[1.0], **k
        ).solve(TIMES),
        {"lr": falling_rate, "lr_v": falling_rate, "noise": falling_rate},
    ),
    "SaadSolla.solve": (
        lambda **k: hr.theory.SaadSolla(
            gram(2), 0.1 * normals(2, 2), T=np.eye(2), v0=[1.0, 1.0], v_teacher=[1.0, 1.0], lr=0.1
        ).solve(**k),
        {"t_eval": TIMES, "rtol": 1e-6, "atol": 1e-8, "method": "auto"},
    ),
    "HiddenManifoldODE.from_weights": (
        lambda **k: hr.theory.HiddenManifoldODE.from_weights(**k).solve(TIMES),
        {
            "F": normals(8, 4),
            "w": normals(2, 8),
            "w_teacher": normals(2, 4),
            "v": normals(2),
            "v_teacher": normals(2),
            "f": "sign",
            **RATES,
        },
    ),
    "HiddenManifoldODE.continuum": (
        lambda **k: hr.theory.HiddenManifoldODE.continuum(**k).solve(TIMES),
        {
            "delta": 0.3,
            "W0": np.eye(2),
            "R0": 0.01 * normals(2, 2),
            "T": np.eye(2),
            "v0": normals(2),
            "v_teacher": normals(2),
            "f": "sign",
            "lr": 0.1,
            "nodes": 5,
        },
    ),
    "CovarianceODE": (
        lambda **k: hr.theory.CovarianceODE(**k).solve(TIMES),
        {
            "Omega": gram(6),
            "Phi": 0.1 * normals(6, 3),
            "w": normals(2, 6),
            "w_teacher": normals(2, 3),
            "v": normals(2),
            "v_teacher": normals(2),
            "labels": "latent",
            **RATES,
        },
    ),
    "HingeMeanField": (
        lambda **k: (lambda h: (h.gamma([0.1, 1.0]), h.observables([0.1, 1.0])))(
            hr.theory.HingeMeanField(**k)
        ),
        {
            "d": 20,
            "alpha": 1.0,
            "h": 1.0,
            "beta": 1.0,
            "p": 1.0,
            "kappa": 0.2,
            "sigma_x": 1.0,
            "sigma_a": 1.0,
            "sigma_w": 1.0,
            "C0": 0.1,
            "C1": 2.0,
            "law": "gaussian",
            "flip": 0.1,
            "subtract_init": False,
        },
    ),
    **{
        f"HingeMeanField.{name}": (
            lambda name=name, **k: getattr(hr.theory.HingeMeanField(20), name)(**k),
            arguments,
        )
        for name, arguments in {
            "gamma": {"t": TIMES, "method": "quadrature"},
            "gamma_dot": {"gamma": TIMES},
            "alignment": {"gamma": TIMES},
            "time_of_gamma": {"g": TIMES},
            "nodes": {"t": TIMES[1:2], "a0": normals(3), "w0": normals(3)},
            "satisfaction_time": {"m": TIMES[1:]},
            "observables": {"t": TIMES},
            "gd": {"steps": 5, "dt": 1.0},
            "late_time": {"t": TIMES[1:]},
            "fluctuations": {"gamma": TIMES[1:], "M": 50, "xpar": 0.5, "xperp2": 20.0},
            "memorisation": {"N": 100, "t": TIMES[1:]},
        }.items()
    },
    "lazy_master": (lambda **k: hr.theory.lazy_master(**k), {"s": TIMES}),
    "rich_front": (lambda **k: hr.theory.rich_front(**k), {"tau": TIMES}),
    "ProjectedMeanField": (
        lambda **k: hr.theory.ProjectedMeanField(**k).run(2),
        {
            "d": 20,
            "x_par": normals(6, 1),
            "y": signs(6),
            "weights": np.full(6, 1 / 6),
            "alpha": 1.0,
            "h": 1.0,
            "beta": 1.0,
            "p": 1.0,
            "sigma_x": 1.0,
            "nodes": 4,
            "lengths": 2,
        },
    ),
    "ProjectedMeanField.gaussian": (
        lambda **k: hr.theory.ProjectedMeanField.gaussian(20, **k).run(2),
        {"teacher": lambda x: np.sign(x[:, 0] + 0.1), "k": 1, "points": 6},
    ),
    "learning_curve_exponents": (
        lambda **k: hr.theory.learning_curve_exponents(**k),
        {"d": 5, "d_par": 1, "xi": 1.0},
    ),
    "attractors": (
        lambda **k: hr.theory.attractors(**k),
        {"d": 5, "xmin": -0.3, "xmax": 1.2, "inside_label": 1, "include_unstable": False},
    ),
    "compression_time": (
        lambda **k: hr.theory.compression_time(**k),
        {"h": 100, "alpha": 1e-6, "growth": 1.0},
    ),
    "population_field": (
        lambda **k: hr.theory.population_field(**k),
        {"omega": normals(3), "b": 0.2, "xmin": -0.3, "xmax": 1.2, "inside_label": 1},
    ),
    "neuron_flow": (
        lambda **k: hr.theory.neuron_flow(**k),
        {"network": relu_network(), "t": TIMES * 1e-2, "p": 100, "rtol": 1e-6},
    ),
    "replica.Mixture": (
        lambda **k: hr.theory.replica.Mixture(**k),
        {
            "probability": np.array([0.5, 0.5]),
            "mean": normals(2, 3),
            "Omega": gram(3) + np.eye(3),
            "b": 0.1 * normals(2, 3, seed=1),
            "nu": normals(2),
            "rho": np.array([1.0, 2.0]),
        },
    ),
    "replica.Mixture.from_samples": (
        lambda **k: hr.theory.replica.Mixture.from_samples(**k),
        {"nu": normals(40), "v": normals(40, 3, seed=1), "clusters": np.arange(40) % 2, "shared": False},
    ),
    "replica.Spectrum": (
        lambda **k: hr.theory.replica.Spectrum(**k),
        {
            "omega": np.array([0.5, 1.5]),
            "weight": np.array([0.5, 0.5]),
            "t": np.array([0.1, 0.2]),
            "rho": 1.0,
            "from_labels": False,
        },
    ),
    "replica.Spectrum.from_matrices": (
        lambda **k: hr.theory.replica.Spectrum.from_matrices(**k),
        {"Psi": np.eye(3), "Omega": gram(4), "Phi": 0.1 * normals(3, 4), "theta": normals(3)},
    ),
    "replica.Spectrum.from_b": (
        lambda **k: hr.theory.replica.Spectrum.from_b(**k),
        {"Omega": gram(4), "b": 0.1 * normals(4), "rho": 1.0},
    ),
    "replica.Spectrum.from_samples": (
        lambda **k: hr.theory.replica.Spectrum.from_samples(**k),
        {"nu": normals(20), "v": normals(20, 3, seed=1)},
    ),
    "replica.Spectrum.from_data": (
        lambda **k: hr.theory.replica.Spectrum.from_data(**k),
        {"v": normals(20, 3), "y": signs(20)},
    ),
    "replica.Spectrum.random_features": (
        lambda **k: hr.theory.replica.Spectrum.random_features(**k),
        {"y": 1.5, "kappa": np.array([0.7, 0.6]), "rho": 1.0, "nodes": 20},
    ),
    "replica.solve": (
        lambda **k: hr.theory.replica.solve(**k),
        {
            "spectrum": spectrum(),
            "loss": "logistic",
            "alpha": 2.0,
            "lam": 0.1,
            "flip": 0.1,
            "noise": 0.1,
            "tol": 1e-8,
            "max_iterations": 2000,
            "on_failure": "raise",
        },
    ),
    "replica.learning_curve": (
        lambda **k: hr.theory.replica.learning_curve(spectrum(), **k),
        {"alphas": np.array([0.5, 2.0]), "loss": "square", "lam": 0.1, "flip": 0.1, "threads": 1},
    ),
    "replica.ridgeless": (
        lambda **k: hr.theory.replica.ridgeless(spectrum(), **k),
        {"alpha": 2.0, "noise": 0.1},
    ),
    "replica.max_margin": (
        lambda **k: hr.theory.replica.max_margin(spectrum(), **k),
        {"alpha": 0.5, "flip": 0.1, "noise": 0.1},
    ),
    "replica.separability_threshold": (
        lambda **k: hr.theory.replica.separability_threshold(spectrum(), **k),
        {"flip": 0.1, "noise": 0.1},
    ),
    "replica.optimal_ridge": (
        lambda **k: hr.theory.replica.optimal_ridge(spectrum(), **k),
        {"loss": "square", "alpha": 2.0, "flip": 0.1, "lam_min": 1e-3, "lam_max": 10.0},
    ),
    "replica.prox": (
        lambda **k: hr.theory.replica.prox(**k),
        {"s": normals(4), "V": 0.5, "loss": "logistic"},
    ),
    # experiments
    "fit_exponent": (
        lambda **k: hr.experiments.compression.fit_exponent(**k),
        {
            "x": np.array([1.0, 2.0, 4.0]),
            "samples": np.abs(normals(3, 4)),
            "average": "mean",
            "resamples": 20,
            "seed": 1,
        },
    ),
    "overlap_beyond_chance": (
        lambda **k: hr.experiments.memorisation.overlap_beyond_chance(**k),
        {"correct": np.array([[1.0, 0.0, 1.0, 1.0], [1.0, 1.0, 0.0, 1.0]])},
    ),
    "memorisation": (
        lambda **k: hr.experiments.memorisation.memorisation(**k),
        {
            "task": Made(task),
            "K": 4,
            "epochs": 1,
            "lr": 0.01,
            "batch": 4,
            "permute": False,
            "seeds": [0, 1],
            "threads": 1,
        },
    ),
    "teacher_task": (
        lambda **k: hr.experiments.memorisation.teacher_task(**k),
        {
            "kind": "latent",
            "N": 8,
            "D": 4,
            "M": 8,
            "classes": 2,
            "train_per_class": 4,
            "test_per_class": 2,
            "seed": 1,
            "threads": 1,
        },
    ),
    "image_task": (
        lambda **k: hr.experiments.memorisation.image_task(**k),
        {"images": images(), "test_images": None, "seed": 1},
    ),
    "ensemble": (
        lambda **k: hr.ensemble(**k),
        {"make": lambda seed: online_run(), "seeds": [0, 1]},
    ),
    "agreement": (
        lambda **k: hr.experiments.full_batch.agreement(**k),
        {"simulation": Made(fitted_curve), "theory": Made(learned_curve)},
    ),
    "finite_size_allowance": (
        lambda **k: hr.experiments.full_batch.finite_size_allowance(**k),
        {
            "name": "test_error",
            "theory": np.array([0.1, 0.2]),
            "standard_error": np.array([0.01, 0.01]),
            "p": 5,
            "loss": "square",
        },
    ),
    "independent_students": (
        lambda **k: hr.experiments.independent_students.independent_students(**k),
        {
            "scenario": "latent",
            "N": 9,
            "D": 3,
            "M": 2,
            "K": 2,
            "f": "sign",
            "lr": 0.1,
            "t_max": 1.0,
            "samples": 2.0,
            "train_second_layer": True,
            "std_w": 1.0,
            "std_v": 1.0,
            "classify": False,
            "mix": False,
            "random_labels": False,
            "test_size": 9,
            "save_at": np.array([0.0, 1.0]),
            "threads": 1,
            "seed": 1,
        },
    ),
    "independent_students, images": (
        lambda **k: hr.experiments.independent_students.independent_students(
            "images", t_max=1.0, save_at=[1.0], test_size=5, **k
        ),
        {"images": images(), "test_images": None},
    ),
    "increasing_complexity of images": (
        lambda **k: hr.experiments.increasing_complexity.increasing_complexity(**k),
        {
            "images": images(),
            "test_images": None,
            "K": [1, 2],
            "lr": 0.1,
            "t_max": 1.0,
            "batch": 2,
            "positive": [0, 2],
            "normalisation": "image",
            "train_second_layer": True,
            "std_w": 1.0,
            "std_v": 1.0,
            "save_at": np.array([0.0, 1.0]),
            "threads": 1,
            "seed": 1,
        },
    ),
    "compression_scaling": (
        lambda **k: hr.experiments.compression.compression_scaling(**k),
        {
            "d": 3,
            "sizes": [8, 12],
            "seeds": 2,
            "h": 8,
            "alpha": 1e-6,
            "max_dout": 0.3,
            "max_dw": 0.1,
            "convention": "ratio_of_rms",
        },
    ),
    "experiments.compression_curve": (
        lambda **k: hr.experiments.compression.compression_curve(**k),
        {"data": hr.Stripe(3), "p": 8, "h": 8, "alpha": 1e-6, "seed": 1, "stop_margin": 0.5, "max_steps": 5},
    ),
    "neuron_trajectories": (
        lambda **k: hr.experiments.compression.neuron_trajectories(**k),
        {
            "data": hr.Stripe(3),
            "p": 8,
            "times": np.array([0.0, 1e-4]),
            "h": 8,
            "alpha": 1e-6,
            "seed": 1,
            "convention": "ratio_of_rms",
        },
    ),
    "learning_curves": (
        lambda **k: hr.experiments.compression.learning_curves(**k),
        {
            "data": hr.Stripe(3),
            "sizes": [12, 16],
            "seeds": 1,
            "curves": ["initial_ntk", "closed_ntk"],
            "h": 8,
            "alpha": 1e-6,
            "stop_margin": 0.5,
            "max_steps": 5,
            "test_size": 9,
            "max_dout": 0.3,
            "max_dw": 0.1,
            "convention": "ratio_of_rms",
        },
    ),
    "kernel_evolution": (
        lambda **k: hr.experiments.compression.kernel_evolution(**k),
        {
            "data": hr.Stripe(3),
            "p": 16,
            "seeds": 1,
            "h": 40,
            "alpha": 1e-6,
            "fractions": [0.1],
            "stop_margin": 0.5,
            "max_steps": 5,
            "components": 3,
            "test_size": 9,
        },
    ),
    "circle_kernel": (
        lambda **k: hr.experiments.compression.circle_kernel(**k),
        {"p": 8, "points": 6, "h": 8, "alpha": 1e-6, "seed": 1, "stop_margin": 0.5, "max_steps": 5},
    ),
    "random_start": (
        lambda **k: hr.theory.phenomena.random_start(**k).solve([0.0, 1.0]),
        {
            "K": 2,
            "M": 2,
            "delta": 0.1,
            "f": "sign",
            "lr": 0.2,
            "std_w": 1.0,
            "v": 1.0,
            "std_v": 0.5,
            "size": 50,
            "seed": 1,
            "spectrum": "orthogonal",
        },
    ),
    "late_error_against_delta": (
        lambda **k: hr.theory.phenomena.late_error_against_delta(spectrum="orthogonal", **k),
        {
            "deltas": np.array([0.1, 0.2]),
            "K": 1,
            "M": 1,
            "lr": 0.2,
            "t_max": 2.0,
            "seeds": [0, 1],
            "threads": 1,
        },
    ),
    "late_error_against_learning_rate": (
        lambda **k: hr.theory.phenomena.late_error_against_learning_rate(spectrum="orthogonal", **k),
        {
            "lrs": np.array([0.1, 0.2]),
            "K": 1,
            "M": 1,
            "delta": 0.1,
            "steps": 1.0,
            "seeds": [0, 1],
            "threads": 1,
        },
    ),
    "late_error_against_students": (
        lambda **k: hr.theory.phenomena.late_error_against_students(spectrum="orthogonal", **k),
        {"Ks": [1, 2], "M": 1, "delta": 0.1, "lr": 0.2, "t_max": 2.0, "seeds": [0, 1], "threads": 1},
    ),
    "increasing_complexity of students": (
        lambda **k: hr.theory.phenomena.increasing_complexity(spectrum="orthogonal", **k),
        {
            "Ks": [1, 2],
            "t_eval": TIMES,
            "M": 2,
            "delta": 0.1,
            "lr": 0.2,
            "std_w": 0.1,
            "std_v": 0.1,
            "threads": 1,
        },
    ),
    "plateau": (
        lambda **k: hr.theory.phenomena.plateau(**k),
        {"result": Made(long_curve)},
    ),
    "compare": (
        lambda **k: hr.compare(**k),
        {
            "run": Made(online_run),
            "theory": Made(online_theory),
            "variable": "eg",
            "allowed": np.full(3, 0.1),
            "sigmas": 3.0,
        },
    ),
    "cite": (lambda **k: hr.cite(*k.values()), {"dataset": Made(online_run)}),
    # data and networks once more: what hangs on them
    "Images": (
        lambda **k: hr.data.images.Images(**k).parity,
        {"X": np.abs(normals(6, 4)), "classes": np.arange(6)},
    ),
    "Images.labels": (lambda **k: images().labels(**k), {"positive": [0, 2]}),
    "Images.of_classes": (lambda **k: images().of_classes(**k), {"classes": [0, 2]}),
    "Images.split": (lambda **k: images().split(**k), {"n_test": 3, "seed": 1}),
    "data.images.load_idx": (
        lambda **k: hr.data.images.load_idx(**k),
        {"images": "/no/images", "labels": "/no/labels"},
    ),
    "parity_sets": (
        lambda **k: hr.cnn.parity_sets(**k),
        {
            "images": normals(24, 2, 2),
            "classes": np.arange(24) % 3,
            "train": 4,
            "kernel": 3,
            "test": 3,
            "seed": 1,
        },
    ),
    "CNN": (lambda **k: hr.cnn.CNN(**k).parameters, {"h": 1, "height": 8, "width": 8, "stem_stride": 1}),
    "CNN.initial": (lambda **k: hr.cnn.CNN(1, 8, 8).initial(**k), {"seed": 1}),
    "CNN.images": (lambda **k: hr.cnn.CNN(1, 2, 2).images(**k), {"X": normals(3, 2, 2)}),
    "GaussianFeatures.from_covariance": (
        lambda **k: full_batch().GaussianFeatures.from_covariance(**k),
        {"Omega": gram(4), "b": 0.1 * normals(4), "rho": 1.0},
    ),
    "SampledFeatures": (
        lambda **k: full_batch().SampledFeatures(**k).fields(5, 0),
        {"draw": lambda n, seed: (normals(n, seed=seed), normals(n, 3, seed=seed)), "p": 3},
    ),
    "SampledFeatures.from_model": (
        lambda **k: full_batch().SampledFeatures.from_model(**k).fields(5, 0),
        {
            "model": manifold(),
            "weights": normals(3, 12),
            "teacher": normals(5),
            "activation": "erf",
            "labels": "latent",
            "mean_samples": 20,
            "seed": 1,
        },
    ),
    "full_batch_curve of samples": (
        lambda **k: full_batch().full_batch_curve(
            full_batch().SampledFeatures(
                lambda n, seed: (normals(n, seed=seed % 1000), normals(n, 3, seed=seed % 1000 + 1)), p=3
            ),
            **k,
        ),
        {
            "alphas": np.array([1.0, 2.0]),
            "loss": "ridge",
            "lam": 0.1,
            "repeats": 2,
            "test_size": 9,
            "seed": 1,
        },
    ),
    "activation_function": (
        lambda **k: hr.networks.activation_function(**k),
        {"activation": "erf", "x": normals(4)},
    ),
    "SupportVectors.decision": (lambda **k: machine().decision(**k), {"K_test": normals(4, 9)}),
    "SupportVectors.error": (
        lambda **k: machine().error(**k),
        {"K_test": normals(4, 9), "y_test": signs(4)},
    ),
    "equivalence.stein_bound of directions": (
        lambda **k: hr.theory.equivalence.stein_bound(
            manifold(), normals(2, 12), teacher=normals(1, 5), n_samples=20, **k
        ),
        {"directions": normals(2, 3)},
    ),
    # theory once more
    "HingeMeanField of a sphere": (
        lambda **k: hr.theory.HingeMeanField(20, law="sphere", **k).gamma([0.1, 1.0]),
        {"radius": 4.0},
    ),
    "HingeMeanField of a mixture": (
        lambda **k: hr.theory.HingeMeanField(20, law="mixture", **k).gamma([0.1, 1.0]),
        {"mu": 1.0},
    ),
    "HingeMeanField of a density": (
        lambda **k: hr.theory.HingeMeanField(20, **k).gamma([0.1, 1.0]),
        {"law": lambda z: np.full_like(z, 0.5), "support": (0.0, 2.0)},
    ),
    "HingeMeanField.satisfaction_band": (
        lambda **k: hr.theory.HingeMeanField(20).satisfaction_band(**k),
        {"gamma": TIMES[1:], "M": 50, "kind": "residual", "xperp2": 20.0},
    ),
    "HingeMeanField.gd_nodes": (
        lambda **k: hr.theory.HingeMeanField(20).gd_nodes(**k),
        {"steps": 5, "a0": normals(3), "w0": normals(3), "dt": 1.0},
    ),
    "ProjectedMeanField.clusters": (
        lambda **k: hr.theory.ProjectedMeanField.clusters(20, **k).run(2),
        {"means": normals(2, 1), "labels": np.array([1.0, -1.0]), "sigma_x": 1.0, "points": 3, "nodes": 3},
    ),
    "ProjectedMeanField.run": (
        lambda **k: hr.theory.ProjectedMeanField(20, x_par=normals(6, 1), y=signs(6), nodes=3).run(**k),
        {"steps": 4, "dt": 1.0, "save_at": np.array([0.0, 2.0, 4.0])},
    ),
    "compression_all_active": (
        lambda **k: hr.theory.compression_all_active(**k),
        {"xmin": -0.3, "xmax": 1.2, "inside_label": 1},
    ),
    "compression_all_active of an interface": (
        lambda **k: hr.theory.compression_all_active(**k),
        {"x0": 0.5},
    ),
    "neuron_flow with noise": (
        lambda **k: hr.theory.neuron_flow(relu_network(), TIMES * 1e-2, p=100, rtol=1e-4, **k),
        {"noise": normals(3), "xmin": -0.3, "xmax": 1.2, "inside_label": 1},
    ),
    "SaadSolla.from_weights": (
        lambda **k: hr.theory.SaadSolla.from_weights(**k, lr=0.1).solve(TIMES),
        {"w": normals(2, 5), "w_teacher": normals(2, 5), "v": np.ones(2), "v_teacher": np.ones(2)},
    ),
    "HiddenManifoldODE": (lambda **k: hr.theory.HiddenManifoldODE(**k).solve(TIMES), manifold_modes()),
    "solve_many": (
        lambda **k: hr.theory.solve_many(**k),
        {
            "systems": Made(lambda: [hr.theory.HiddenManifoldODE(**manifold_modes())]),
            "t_eval": TIMES,
            "rtol": 1e-6,
            "atol": 1e-8,
            "method": "auto",
            "threads": 1,
        },
    ),
    "OnlineSGD.run with a checkpoint": (
        lambda **k: hr.OnlineSGD(**ONLINE).run(0.5, save_at=[0.5], **k),
        {"checkpoint": "run.npz", "overwrite": True, "progress": False},
    ),
    "OnlineSGD.memory_estimate": (lambda **k: hr.OnlineSGD(**ONLINE).memory_estimate(**k), {"threads": 1}),
    "Particles.advance": (
        lambda **k: hr.Particles(**PARTICLES).advance(**k),
        {"n_steps": 2, "dt": 1.0, "threads": 1},
    ),
    "GradientFlow.advance": (lambda **k: flow().advance(**k), {"n_steps": 2, "threads": 1}),
    "GradientFlow.observe": (lambda **k: flow().observe(**k), {"threads": 1}),
    # pictures
    "plot.particles": (
        lambda **k: drawing_of(hr.plot.particles, **k),
        {"result": Made(particles_run), "theory": None, "nodes": 3},
    ),
    "plot.trajectories": (
        lambda **k: drawing_of(hr.plot.trajectories, **k),
        {"result": Made(particles_run), "variable": "a", "nodes": 3},
    ),
    "plot.compression_curve": (
        lambda **k: drawing_of(hr.plot.compression_curve, **k),
        {"result": Made(flow_run)},
    ),
    "plot.learning_curve": (
        lambda **k: drawing_of(hr.plot.learning_curve, online_run(), online_theory(), **k),
        {"labels": ["a", "b"], "variable": "eg", "band": "std"},
    ),
    "plot.learning_curve of": (
        lambda **k: drawing_of(hr.plot.learning_curve, k["result"]),
        {"result": Made(online_run)},
    ),
    "plot.order_parameters": (
        lambda **k: drawing_of(hr.plot.order_parameters, online_run(), **k),
        {"variables": ("Q", "R")},
    ),
    "plot.rotation": (
        lambda **k: drawing_of(hr.plot.rotation, particles_run(), **k),
        {"theory": hr.theory.HingeMeanField(3), "asymptotes": True},
    ),
    "plot.satisfaction": (
        lambda **k: drawing_of(hr.plot.satisfaction, **k),
        {
            "result": Made(fixed_run),
            "x_par": normals(6),
            "theory": hr.theory.HingeMeanField(3),
            "M": 50,
            "dt": 1.0,
            "most": 10,
        },
    ),
}

PAIRS = [(name, argument) for name, (_, arguments) in SURFACE.items() for argument in arguments]
#: Where infinity is the right answer: the threshold chi = h/(alpha gamma) before the first step, the compression of
#: weights without perpendicular parts, an error bar of one run.
INFINITE = ("HingeMeanField", "finite_size_allowance", "compare", "compression")
#: Where NaN is documented: a slope that sampling noise hides, a time that the run did not reach.
UNDEFINED = (
    "equivalence.rates",
    "compression_scaling",
    "learning_curves",
    "kernel_evolution",
    "circle_kernel",
)
#: Counts of work: a large one is a long run, not a fault.
LONG = {
    ("OnlineSGD.run", "t_max"),
    ("GradientFlow.run", "max_steps"),
    ("kernels.svc", "max_iter"),
    # The integrator takes its 200,000 steps before it gives up on a decay that is over at once.
    ("SaadSolla", "weight_decay"),
    ("HiddenManifoldODE.from_weights", "weight_decay"),
    ("CovarianceODE", "weight_decay"),
    # The same for rates that grow beyond all sense, with a call of the function in each stage of a step.
    ("SaadSolla, functions of time", "lr"),
    ("SaadSolla, functions of time", "lr_v"),
    ("SaadSolla, functions of time", "noise"),
    # Nodes to the power of the projections.
    ("ProjectedMeanField.gaussian", "k"),
    # Tiny steps up to the default of a million of them.
    ("compression_scaling", "alpha"),
    ("compression_scaling", "max_dout"),
    ("compression_scaling", "max_dw"),
}


def made(name: str) -> dict[str, Any]:
    """The arguments of an entry, all made."""
    return {
        key: value.make() if isinstance(value, Made) else value for key, value in SURFACE[name][1].items()
    }


def try_one(name: str, argument: str, odd: Odd) -> None:
    """Call with one argument replaced and hold what comes to what is expected."""
    function, arguments = SURFACE[name][0], made(name)
    threads = hr.get_num_threads()
    try:
        answer = assert_answers_or_refuses(
            lambda: function(**{**arguments, argument: odd.value}),
            # A builtin that is no function of what it is called with says so itself.
            own=(UserError, TypeError) if odd.value is abs else (UserError,),
            finite=not name.startswith(UNDEFINED),
            infinite=name.startswith(INFINITE),
        )
    finally:
        hr.set_num_threads(threads)
    if isinstance(answer, Exception):
        return
    if odd.expected == "refusal":
        raise AssertionError(f"must be refused, gave {answer!r:.120}")
    if odd.expected == "same":
        plain = assert_answers_or_refuses(
            lambda: function(**{**arguments, argument: odd.plain}), infinite=name.startswith(INFINITE)
        )
        told = (
            f"the plain array is refused: {plain}"
            if isinstance(plain, Exception)
            else difference(plain, answer)
        )
        if told:
            raise AssertionError(f"not what the plain array gives: {told}")


@pytest.mark.parametrize("name", SURFACE)
def test_calls_work_as_they_stand(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    function, arguments = SURFACE[name][0], made(name)
    answer = assert_answers_or_refuses(
        lambda: function(**arguments),
        finite=not name.startswith(UNDEFINED),
        infinite=name.startswith(INFINITE),
    )
    if "/no" in str(arguments):
        return
    assert not isinstance(answer, Exception), answer


# -- many of them, in children that may hang or die ------------------------------------------------------

#: Seconds of one call, and bytes of a child.
SECONDS, MEMORY = 60, 8 << 30
#: One call: entry, argument, and which oddity; those past the listed ones are drawn.
Job = tuple[str, str, int]


def odd_of(job: Job) -> Odd:
    """The oddity of a job, the same at every call."""
    name, argument, number = job
    valid = SURFACE[name][1][argument]
    listed = oddities(argument, valid)
    if number < len(listed):
        return listed[number]
    key = zlib.crc32(f"{name} {argument}".encode())
    odd = drawn(argument, valid, np.random.default_rng([key, number]))
    shown = " ".join(repr(odd.value).split())
    return Odd(f"drawn {number}: {odd.label} {shown:.60}", odd.value, odd.expected)


def wanted_of(name: str, argument: str, number: int) -> list[int]:
    """Numbers of the oddities to try: all, but where any answer takes long."""
    listed = oddities(argument, SURFACE[name][1][argument])
    if (name, argument) in LONG:
        return [k for k, odd in enumerate(listed) if odd.expected != "either"]
    return list(range(len(listed) + number))


def jobs(wanted: list[str], number: int) -> list[Job]:
    """Every listed oddity of the wanted entries, and `number` drawn ones of each argument."""
    return [
        (name, argument, k)
        for name, argument in PAIRS
        if not wanted or any(name.startswith(w) for w in wanted)
        for k in wanted_of(name, argument, number)
    ]


def try_all(todo: list[Job], report: int) -> None:
    """Try jobs one after the other, writing a line on each; runs in a child."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    # Some oddities are names of files that can be written.
    os.chdir(tempfile.mkdtemp())
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    for job in todo:
        signal.alarm(SECONDS)
        try:
            try_one(job[0], job[1], odd_of(job))
            told = ""
        except BaseException as error:
            told = str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
        os.write(report, (" ".join(told.split())[:400] + "\n").encode(errors="replace"))
    os._exit(0)


def complaints(todo: list[Job]) -> Iterator[tuple[Job, str]]:
    """What went wrong with jobs, each with its complaint, or with how its child died."""
    while todo:
        read, write = os.pipe()
        child = os.fork()
        if not child:
            os.close(read)
            try_all(todo, write)
        os.close(write)
        done = 0
        with os.fdopen(read, errors="replace") as lines:
            for line in lines:
                if line.strip():
                    yield todo[done], line.strip()
                done += 1
        status = os.waitpid(child, 0)[1]
        if done < len(todo):
            number = os.WTERMSIG(status)
            hangs = number == signal.SIGALRM
            yield todo[done], f"hangs for {SECONDS} s" if hangs else f"dies by {signal.Signals(number).name}"
            done += 1
        todo = todo[done:]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--drawn", type=int, default=0)
    parser.add_argument("--share", default="0/1")
    parser.add_argument("--few", action="store_true")
    options = parser.parse_args()
    todo = jobs(options.names, options.drawn)
    if options.few:
        todo = [job for job in todo if zlib.crc32(repr(job).encode()) % FEW == 0]
    part, parts = map(int, options.share.split("/"))
    todo = todo[part::parts]
    began = time.monotonic()
    for (name, argument, number), told in complaints(todo):
        print(f"{name}\t{argument}\t{odd_of((name, argument, number)).label}\t{told[:240]}", flush=True)
    print(f"{len(todo)} calls tried in {time.monotonic() - began:.0f} s")


def tried_by_children(*options: str, parts: int = 2) -> int:
    """Run this file with `options` in some processes; complain of what it finds, return how many calls it made."""
    command = [sys.executable, "-P", __file__, *options]
    runs = [
        subprocess.Popen([*command, f"--share={part}/{parts}"], stdout=subprocess.PIPE, text=True)
        for part in range(parts)
    ]
    said = "".join(run.communicate()[0] for run in runs)
    assert all(run.returncode == 0 for run in runs), said
    counts = [int(n) for n in re.findall(r"^(\d+) calls tried", said, re.MULTILINE)]
    found = [line for line in said.splitlines() if "calls tried" not in line]
    assert not found, f"{len(found)} of {sum(counts)} calls:\n" + "\n".join(found[:100])
    return sum(counts)


#: The quick suite tries one in so many of the listed oddities.
FEW = 10


def test_some_odd_inputs_are_answered_or_refused() -> None:
    assert tried_by_children("--few") > 2000


@pytest.mark.slow
@pytest.mark.counted
def test_odd_inputs_are_answered_or_refused(tried: Any) -> None:
    count = tried_by_children("--drawn=130")
    assert count >= 100_000
    tried(
        "inputs, odd ones in place of each argument of each public function",
        count,
        {"crashed": 0, "silent": 0},
    )


if __name__ == "__main__":
    main()
