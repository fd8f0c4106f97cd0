"""Strategies for networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from hypothesis import strategies as st

import hmm_rs as hr

from .descriptions import seeds

__all__ = ["mean_field_networks", "networks", "two_layer"]


@st.composite
def two_layer(
    draw: st.DrawFn,
    inputs: int | None = None,
    *,
    most_units: int = 5,
    most_inputs: int = 20,
    activations: Sequence[str] = ("erf", "relu", "linear"),
    std_w: float = 1.0,
) -> Any:
    """Two-layer networks with Gaussian first layers and second layers of every sign.

    Parameters
    ----------
    inputs
        N; None for any up to `most_inputs`.
    most_units, most_inputs
        Largest K and N.
    activations
        Units to choose from.
    std_w
        Standard deviation of the first layer.

    Examples
    --------
    >>> import numpy as np
    >>> from hypothesis import given
    >>> @given(network=two_layer(6))
    ... def test_outputs_add_up_over_units(network):
    ...     X = np.eye(6)
    ...     alone = [hr.TwoLayer(w[None], [v], activation=network.activation).forward(X)
    ...              for w, v in zip(network.w, network.v)]
    ...     np.testing.assert_allclose(network.forward(X), sum(alone), atol=1e-12)
    >>> test_outputs_add_up_over_units()
    """
    K = draw(st.integers(1, most_units))
    N = draw(st.integers(1, most_inputs)) if inputs is None else inputs
    second = st.lists(st.floats(-2.0, 2.0), min_size=K, max_size=K)
    return hr.TwoLayer.random(
        K,
        N,
        activation=draw(st.sampled_from(list(activations))),
        std_w=std_w,
        v=draw(st.just(1.0) | second),
        seed=draw(seeds()),
    )


@st.composite
def mean_field_networks(
    draw: st.DrawFn,
    inputs: int | None = None,
    *,
    most_nodes: int = 24,
    most_inputs: int = 12,
    biases: bool | None = None,
    activations: Sequence[str] = ("relu", "sqrt2_relu", "erf", "tanh"),
    dtypes: Sequence[str] = ("float64", "float32"),
) -> Any:
    """Mean-field networks: with and without biases and pairing, in double and single precision.

    Parameters
    ----------
    inputs
        d; None for any up to `most_inputs`.
    most_nodes, most_inputs
        Largest width and d.
    biases
        Whether there are biases; None for either.
    activations, dtypes
        What to choose from.

    Examples
    --------
    >>> import numpy as np
    >>> from hypothesis import given
    >>> @given(network=mean_field_networks(3))
    ... def test_outputs_keep_the_dtype(network):
    ...     assert network.forward(np.ones((2, 3))).dtype == network.w.dtype
    >>> test_outputs_keep_the_dtype()
    """
    pairings: list[Literal["even", "odd"] | None] = [None, "even", "odd"]
    paired = draw(st.sampled_from(pairings))
    width = draw(st.integers(1, most_nodes // 2)) * 2 if paired else draw(st.integers(1, most_nodes))
    with_biases = draw(st.booleans()) if biases is None else biases
    return hr.MeanFieldNetwork.random(
        width,
        draw(st.integers(1, most_inputs)) if inputs is None else inputs,
        std_b=1.0 if with_biases else None,
        paired=paired,
        activation=draw(st.sampled_from(list(activations))),
        dtype=np.dtype(draw(st.sampled_from(list(dtypes)))),
        seed=draw(seeds()),
    )


def networks() -> st.SearchStrategy[Any]:
    """Networks of either kind.

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(network=networks())
    ... def test_weights_are_frozen(network):
    ...     assert not network.w.flags.writeable
    >>> test_weights_are_frozen()
    """
    return two_layer() | mean_field_networks()
