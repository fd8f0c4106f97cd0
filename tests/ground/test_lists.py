"""The lists of units and losses: one on each side of the border, the same names."""

from typing import get_args

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from hmm_rs import _lib
from hmm_rs.ground import activations, losses


@pytest.mark.parametrize(("name", "literal"), [("activation", activations.Activation), ("loss", losses.Loss)])
def test_both_sides_know_the_same_names(name, literal):
    assert sorted(_lib.option_names(name)) == sorted(get_args(literal))


@pytest.mark.parametrize(
    "allowed",
    [
        *(activations.DATA, activations.EXACT, activations.CLOSED, activations.NODES),
        *(activations.PARTICLES, activations.RECTIFIERS, activations.LAYERS),
        *(losses.FULL_BATCH, losses.PARTICLES, losses.FLOW),
    ],
)
def test_every_room_takes_from_the_one_list(allowed):
    known = get_args(activations.Activation) + get_args(losses.Loss)
    assert set(allowed) <= set(known)


@pytest.mark.parametrize("name", activations.UNITS)
def test_moments_and_derivatives_belong_to_the_value(name):
    unit = activations.UNITS[name]

    def average(function):
        def integrand(u):
            return norm.pdf(u) * float(function(np.array([u]))[0])

        return sum(quad(integrand, low, high, epsabs=1e-12)[0] for low, high in ((-12, 0), (0, 12)))

    found = (average(unit.value), average(lambda u: u * unit.value(u)), average(lambda u: unit.value(u) ** 2))
    assert found == pytest.approx(unit.moments, abs=1e-10)
    x, step = np.array([-3.1, -0.4, 0.3, 1.7]), 1e-5
    slope = (unit.value(x + step) - unit.value(x - step)) / (2 * step)
    curvature = (unit.slope(x + step) - unit.slope(x - step)) / (2 * step)
    # Truncation is step²/6 of the next derivatives, which are of order one.
    assert unit.slope(x) == pytest.approx(slope, abs=1e-9)
    assert unit.curvature(x) == pytest.approx(curvature, abs=1e-9)
    assert unit.slope(x.astype(np.float32)).dtype == np.float32


def test_aliases_are_taken_everywhere():
    assert activations.activation("f", "linear", activations.DATA) == "identity"
    assert activations.activation("activation", "identity", activations.CLOSED) == "linear"
    assert losses.loss("loss", "square", losses.PARTICLES) == "squared"
    assert losses.loss("loss", "squared", losses.FULL_BATCH) == "square"
    with pytest.raises(ValueError, match="activation = 'sign'"):
        activations.activation("activation", "sign", activations.CLOSED)
