"""What one reads off a kernel: domains, ranges, errors."""

from __future__ import annotations

import numpy as np
import pytest

import hmm_rs as hr
from hmm_rs.errors import InvalidParameterError


@pytest.fixture
def noisy():
    rng = np.random.default_rng(0)
    y = np.repeat([1.0, -1.0], 100)
    return y + 0.5 * rng.normal(size=200), y


@pytest.mark.parametrize("constant", [0.0, 0.1, -1e300, 3.7e-200])
def test_constant_columns_take_no_part_in_mutual_information(noisy, constant):
    phi, y = noisy
    alone = hr.kernels.mutual_information(phi, y)
    assert alone == pytest.approx(0.804, abs=5e-4)
    beside = hr.kernels.mutual_information(np.column_stack([phi, np.full(200, constant)]), y)
    assert beside == pytest.approx(alone, abs=1e-12)
    assert hr.kernels.mutual_information(np.full((200, 2), constant), y) == 0.0


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e160, 1e307])
def test_mutual_information_does_not_depend_on_units(noisy, scale):
    phi, y = noisy
    assert hr.kernels.mutual_information(scale * phi, y) == pytest.approx(
        hr.kernels.mutual_information(phi, y), abs=1e-9
    )


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3, 0.9])
def test_mutual_information_never_exceeds_the_labels_entropy(share):
    rng = np.random.default_rng(1)
    y = np.where(np.arange(5000) < 5000 * share, 1.0, -1.0)
    entropy = -share * np.log2(share) - (1 - share) * np.log2(1 - share)
    told = hr.kernels.mutual_information(y + 1e-3 * rng.normal(size=5000), y)
    assert 0.98 * entropy < told <= entropy
    # Independent: the bias of five neighbours.
    assert abs(hr.kernels.mutual_information(rng.normal(size=5000), y)) < 0.1 * max(entropy, 0.5)


def test_mutual_information_of_the_case():
    y = np.where(np.arange(5000) < 500, 1.0, -1.0)
    found = [hr.kernels.mutual_information(np.random.default_rng(s).normal(size=5000), y) for s in range(4)]
    assert np.abs(found).max() < 0.05


@pytest.mark.parametrize("offset", [0.0, 10.0, 1e3])
def test_the_origin_does_not_change_the_dimension(offset):
    x = np.random.default_rng(0).normal(size=(300, 3))
    expected = hr.kernels.intrinsic_dimension(x @ x.T)[0]
    moved = x + offset
    assert hr.kernels.intrinsic_dimension(moved @ moved.T)[0] == pytest.approx(expected, rel=1e-5)


def test_distances_lost_to_rounding_are_not_called_equal_points():
    x = np.random.default_rng(0).normal(size=(300, 3))
    for offset in (1e7, 1e8):
        with pytest.raises(InvalidParameterError, match="subtract the mean"):
            hr.kernels.intrinsic_dimension((x + offset) @ (x + offset).T)
    twice = np.concatenate([x, x[:1]])
    with pytest.raises(InvalidParameterError, match="coincide"):
        hr.kernels.intrinsic_dimension(twice @ twice.T)


def test_changes_of_any_size_are_numbers():
    K = hr.kernels.ntk(np.random.default_rng(0).normal(size=(20, 3)))
    assert hr.kernels.kernel_change(K, 1e160 * K) == pytest.approx(1.0)
    assert hr.kernels.kernel_change(1e160 * K, K) == pytest.approx(1e160)
    assert hr.kernels.kernel_change(2e300 * K, 1e300 * K) == pytest.approx(1.0)
    assert hr.kernels.kernel_change(2e-300 * K, 1e-300 * K) == pytest.approx(1.0)
    with pytest.raises(InvalidParameterError, match="comparable size"):
        hr.kernels.kernel_change(1e300 * K, 1e-300 * K)
    large = hr.kernels.kernel_statistics(1e300 * K)
    for name, value in hr.kernels.kernel_statistics(K).items():
        assert large[name] == pytest.approx(1e300 * value)
