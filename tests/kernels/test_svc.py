"""Support vectors at tiny and at large C."""

from __future__ import annotations

import numpy as np
import pytest

import hmm_rs as hr


@pytest.mark.parametrize("C", [1e-3, 1e-8, 1e-12])
def test_the_unit_kernel_has_the_solution_of_its_symmetry(C):
    fit = hr.kernels.svc(np.eye(3), [1, 1, -1], C=C)
    np.testing.assert_allclose(fit.alpha / C, [0.5, 0.5, 1.0], rtol=1e-9)
    assert 1.0 - fit.intercept == pytest.approx(0.5 * C, rel=1e-3)


@pytest.mark.parametrize("C", [1e-9, 1e-7, 1e-5, 1e-3, 1.0])
@pytest.mark.parametrize(("plus", "minus"), [(40, 20), (15, 45), (30, 30)])
def test_optimality_holds_in_units_of_c(plus, minus, C):
    X = np.random.default_rng(plus).normal(size=(plus + minus, 4))
    y = np.repeat([1, -1], [plus, minus])
    K = hr.kernels.ntk(X)
    fit = hr.kernels.svc(K, y, C=C)
    share = fit.alpha / C
    assert share.min() >= 0.0
    assert share.max() <= 1.0 + 1e-12
    assert abs((share * y).sum()) < 1e-9
    # Margins differ by C times the kernel; the conditions hold to a small part of that, or to rounding.
    assert fit.kkt_violation <= max(1e-6 * C * K.max(), 1e-14)


def test_all_points_at_their_bound_leave_an_intercept_between():
    # Far apart and evenly many: all alpha are C, no point is free.
    fit = hr.kernels.svc(np.eye(4), [1, 1, -1, -1], C=1e-3)
    np.testing.assert_array_equal(fit.alpha, 1e-3)
    assert abs(fit.intercept) < 1.0
    assert fit.kkt_violation == 0.0
