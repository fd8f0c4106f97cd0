"""Strategies for what a user writes down: nonlinearities, models of data, generators, seeds, save times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

import hmm_rs as hr

__all__ = [
    "NONLINEARITIES",
    "cubic",
    "generators",
    "labelled_data",
    "models",
    "nonlinearities",
    "save_times",
    "seeds",
    "softened_sign",
]

#: Nonlinearities that go by a name.
NONLINEARITIES = ("sign", "erf", "relu", "tanh", "identity")


def softened_sign(u: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return u/(1 + |u|), an odd and bounded nonlinearity that has no name in the package.

    Examples
    --------
    >>> softened_sign([-1.0, 0.0, 3.0])
    array([-0.5 ,  0.  ,  0.75])
    """
    values = np.asarray(u)
    return np.asarray(values / (1.0 + np.abs(values)))


def cubic(u: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return u³/3 - u, which has no linear part under a Gaussian: E u (u³/3 - u) = 0.

    Examples
    --------
    >>> cubic([0.0, 3.0])
    array([0., 6.])
    """
    values = np.asarray(u)
    return np.asarray(values**3 / 3.0 - values)


def seeds(*, sequences: bool = True) -> st.SearchStrategy[Any]:
    """Seeds of every accepted form.

    Parameters
    ----------
    sequences
        Whether lists and ``numpy.random.SeedSequence`` may come beside integers.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> from hypothesis import given
    >>> @given(seed=seeds())
    ... def test_a_seed_names_one_network(seed):
    ...     assert hr.TwoLayer.random(2, 3, seed=seed) == hr.TwoLayer.random(2, 3, seed=seed)
    >>> test_a_seed_names_one_network()
    """
    numbers = st.integers(0, 2**128 - 1) | st.integers(0, 10)
    if not sequences:
        return numbers
    several = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=4)
    return st.one_of(
        numbers,
        several,
        several.map(np.random.SeedSequence),
        numbers.map(lambda entropy: np.random.SeedSequence(entropy).spawn(2)[1]),
    )


def nonlinearities(*, custom: bool = True) -> st.SearchStrategy[str | Callable[[Any], Any]]:
    """Nonlinearities f of the data: the named ones, and functions as a user would write them.

    Parameters
    ----------
    custom
        Whether functions may come beside names.

    Examples
    --------
    >>> from hmm_rs.theory import gaussian_moments
    >>> from hypothesis import given
    >>> @given(f=nonlinearities())
    ... def test_the_linear_part_is_no_larger_than_the_whole(f):
    ...     a, b, c = gaussian_moments(f)
    ...     assert a * a + b * b <= c * (1 + 1e-12)
    >>> test_the_linear_part_is_no_larger_than_the_whole()
    """
    named: st.SearchStrategy[str | Callable[[Any], Any]] = st.sampled_from(NONLINEARITIES)
    return named | st.sampled_from([softened_sign, cubic]) if custom else named


@st.composite
def _hidden_manifolds(draw: st.DrawFn, most_inputs: int, most_latents: int, custom: bool) -> Any:
    kind = draw(st.sampled_from(["gaussian", "orthogonal", "hadamard", "dct", "array"]))
    if kind == "hadamard":
        N = 1 << draw(st.integers(0, most_inputs.bit_length() - 1))
    else:
        N = draw(st.integers(1, most_inputs))
    D = draw(st.integers(1, most_latents if kind in ("gaussian", "array") else min(N, most_latents)))
    F: Any = kind
    if kind == "array":
        F = hr.TwoLayer.random(N, D, seed=draw(st.integers(0, 9))).w
    return hr.HiddenManifold(
        N,
        D,
        f=draw(nonlinearities(custom=custom)),
        F=F,
        center=draw(st.booleans()),
        normalise_rows=draw(st.booleans()),
        seed=draw(seeds()),
    )


@st.composite
def _stored(draw: st.DrawFn, most_inputs: int) -> Any:
    from hmm_rs.data import StoredSamples

    X, C = hr.TeacherStudent(draw(st.integers(1, most_inputs))).sample(
        draw(st.integers(1, 30)), seed=draw(st.integers(0, 9))
    )
    return StoredSamples(X, np.where(C[:, 0] < 0.0, -1.0, 1.0))


def models(
    *, most_inputs: int = 40, most_latents: int = 12, custom: bool = True, stored: bool = True
) -> st.SearchStrategy[Any]:
    """Models of inputs from latents: hidden manifolds of every kind, Gaussian inputs, conjugate data.

    Parameters
    ----------
    most_inputs, most_latents
        Largest N and D.
    custom
        Whether user's functions may stand for f.
    stored
        Whether :class:`hmm_rs.data.StoredSamples` may come too.

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(model=models())
    ... def test_rows_are_those_of_the_stream(model):
    ...     X, C = model.sample(7, seed=1)
    ...     tail, _ = model.sample(3, seed=1, start=4)
    ...     assert (X[4:] == tail).all() and C.shape == (7, model.D)
    >>> test_rows_are_those_of_the_stream()
    """
    manifolds = _hidden_manifolds(most_inputs, most_latents, custom)
    choices = [
        manifolds,
        st.integers(1, most_inputs).map(hr.TeacherStudent),
        manifolds.map(hr.GaussianEquivalent),
    ]
    return st.one_of(*choices, *([_stored(most_inputs)] if stored else []))


def labelled_data(
    *, most_inputs: int = 12, kinds: Sequence[str] = ("separable", "geometric")
) -> st.SearchStrategy[Any]:
    """Laws of labelled inputs.

    Parameters
    ----------
    most_inputs
        Largest d.
    kinds
        "separable" for the laws of the hinge study, "geometric" for stripe, interface, cylinder and sphere.

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(data=labelled_data())
    ... def test_labels_are_signs(data):
    ...     X, y = data.sample(20)
    ...     assert X.shape == (20, data.d) and set(y) <= {-1.0, 1.0}
    >>> test_labels_are_signs()
    """
    d = st.integers(1, most_inputs)
    positive = st.floats(0.1, 10.0)
    flip = st.sampled_from([0.0, 0.1, 0.5, 1.0])
    found: list[st.SearchStrategy[Any]] = []
    if "separable" in kinds:
        found += [
            st.builds(hr.LinearlySeparable, d, sigma=positive, flip=flip),
            st.builds(hr.UniformSphere, d, radius=positive, flip=flip),
            st.builds(hr.GaussianMixture, d, mu=st.floats(-3.0, 3.0), sigma=positive, flip=flip),
        ]
    if "geometric" in kinds:
        stretch = st.sampled_from([0.5, 1.0, 3.0])
        found += [
            st.builds(
                hr.Stripe,
                d,
                xmin=st.floats(-2.0, 0.0),
                xmax=st.floats(0.1, 2.0),
                inside_label=st.sampled_from([1, -1]),
                stretch=stretch,
            ),
            st.builds(hr.SingleInterface, d, x0=st.floats(-1.0, 1.0)),
            st.integers(2, max(most_inputs, 2)).flatmap(
                lambda n: st.builds(hr.Cylinder, st.just(n), d_par=st.integers(2, n), stretch=stretch)
            ),
            st.builds(hr.Sphere, d),
        ]
    return st.one_of(found)


@st.composite
def generators(draw: st.DrawFn, *, most_inputs: int = 40, most_latents: int = 12, custom: bool = True) -> Any:
    """Deep generators: random layers with a function for each, and functions as a user would write them.

    Parameters
    ----------
    most_inputs, most_latents
        Largest N and D.
    custom
        Whether a user's function may come beside random layers.

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(generator=generators())
    ... def test_inputs_are_finite(generator):
    ...     X, _ = generator.sample(5)
    ...     assert X.shape == (5, generator.N) and abs(X).max() < float("inf")
    >>> test_inputs_are_finite()
    """
    D = draw(st.integers(1, most_latents))
    center = draw(st.booleans())
    if custom and draw(st.booleans()):
        functions_of_users: list[Callable[[Any], Any]] = [softened_sign, np.tanh, cubic]
        function = draw(st.sampled_from(functions_of_users))
        return hr.generators.from_callable(function, D, center=center)
    depth = draw(st.integers(1, 3))
    widths = [D, *(draw(st.integers(1, most_inputs)) for _ in range(depth))]
    functions = [draw(st.sampled_from(NONLINEARITIES)) for _ in range(depth)]
    return hr.generators.random_layers(widths, functions, draw(seeds()), center=center)


@st.composite
def save_times(draw: st.DrawFn, t_max: float, *, most: int = 12) -> npt.NDArray[np.float64]:
    """Increasing times between 0 and `t_max` inclusive, close neighbours and both ends among them.

    Parameters
    ----------
    t_max
        Last time that may occur.
    most
        Largest number of times.

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(times=save_times(3.0))
    ... def test_times_increase(times):
    ...     assert (times[1:] > times[:-1]).all() and 0 <= times[0] and times[-1] <= 3
    >>> test_times_increase()
    """
    inner = st.floats(0.0, t_max, allow_subnormal=False)
    times = set(draw(st.lists(inner, min_size=1, max_size=most)))
    times |= set(draw(st.sets(st.sampled_from([0.0, float(t_max)]))))
    if draw(st.booleans()):
        times |= {float(np.nextafter(t, 0.0)) for t in list(times)}
    return np.array(sorted(times))
