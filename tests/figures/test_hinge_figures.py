"""The figures of the hinge study at their small scale: drawn, and theory near simulation."""

import matplotlib.pyplot as plt
import pytest

from hmm_rs.figures import hinge


@pytest.mark.parametrize(
    ("figure", "gap"),
    [
        # Finite training set (N = 10^4) and M = 400.
        (hinge.mean_field_trajectories, 0.1),
        # M = 1000 and batches of 8000.
        (hinge.lazy_and_rich, 0.05),
        # N = d^2/2: at the edge of the theory's domain, whose end is a rough estimate.
        (hinge.overfitting_gap, 0.5),
    ],
)
def test_small_figures(figure, gap):
    data, picture, table = figure("small")
    assert data
    assert picture.axes
    for row in table:
        assert abs(row.simulation - row.theory) < gap * abs(row.theory), row
    plt.close(picture)
