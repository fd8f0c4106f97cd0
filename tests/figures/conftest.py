"""Sizes at which a whole figure is drawn in about a second."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import matplotlib.pyplot as plt
import pytest

from hmm_rs.figures import Scale


@dataclass(frozen=True)
class Tiny(Scale):
    """A scale with sizes of its own: each question for a size gets the next of them."""

    sizes: Iterator[Any] = field(default=iter(()))

    def pick(self, *, small, paper):
        return next(self.sizes)


@pytest.fixture
def tiny():
    """Return the scale that answers with these sizes, in the order in which they are asked for."""
    yield lambda *sizes: Tiny(sizes=iter(sizes))
    plt.close("all")


@pytest.fixture
def labels_of():
    """Return what the legend of an Axes says."""
    return lambda ax: [text.get_text() for text in ax.get_legend().get_texts()]
