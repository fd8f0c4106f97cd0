"""The convolutional network: its shapes, its kernels, and that it learns."""

import gzip
import math
import pickle

import numpy as np
import pytest

import hmm_rs as hr

pytest.importorskip("jax")
pytest.importorskip("sklearn")
from hmm_rs import cnn
from hmm_rs.networks.convolutional import swish_scale

NET = cnn.CNN(2, 8, 8)


@pytest.fixture(scope="module")
def sets():
    return cnn.parity_sets(*cnn.digits(), train=60, kernel=60, test=200, seed=1)


def test_published_numbers():
    assert cnn.CNN(2).parameters == 2123
    assert cnn.CNN(10).parameters == 23_251
    assert len(cnn.CNN(10)._layers) == 16
    # By adaptive quadrature, printed elsewhere as 1.6766.
    assert abs(swish_scale() - 1.6765324703) < 1e-9


def test_outputs_are_of_order_one_over_the_width():
    X = np.random.default_rng(0).normal(size=(6, 28, 28))
    network = cnn.CNN(4)
    outputs = [network.forward(network.initial(s), X) for s in range(20)]
    # The classifier divides by 20 h, not its root: f ~ (20 h)^(-1/2), within a factor from averaging pixels.
    assert 0.01 < np.std(outputs) < 2 / math.sqrt(80)


def test_sets_are_balanced_disjoint_and_normalised(sets):
    norms = [np.sqrt((x**2).mean(axis=(1, 2))) for x, _ in sets]
    np.testing.assert_allclose(np.concatenate(norms), 1.0, rtol=1e-12)
    for _, y in sets:
        assert y.sum() == 0
    rows = {x.tobytes() for images, _ in sets for x in images}
    assert len(rows) == 320


def test_kernel_is_the_product_of_gradients(sets):
    X = sets.train[0][:5]
    theta = NET.initial(3)
    kernel = NET.kernel(theta, X, block=2)
    np.testing.assert_allclose(kernel, kernel.T, rtol=1e-12)
    # Differences along one random direction against gradients there: J v by symmetric differences.
    v = np.random.default_rng(0).normal(size=NET.parameters)
    step = 1e-2
    along = (NET.forward(theta + step * v, X) - NET.forward(theta - step * v, X)) / (2 * step)
    # A second way to J v: the kernel's own Jacobian is not public, so pair it with the flow's gradient.
    flow = cnn.CNNFlow(NET, X, [1, -1, 1, -1, 1], theta=theta, loss="linear", alpha=1.0)
    # d theta/dt = (1/p) sum y grad f, so the directional change of sum y f/p is -gradient.v.
    want = float((np.array([1, -1, 1, -1, 1]) @ along) / 5)
    # Single precision over a difference of 1e-2.
    assert abs(-float(flow._engine.query("gradient")["gradient"] @ v) - want) < 2e-3 * max(1.0, abs(want))
    y = np.array([1.0, -1.0, 1.0, -1.0, 1.0])
    # |gradient|^2 = y K y/p^2.
    np.testing.assert_allclose(
        np.sum(flow._engine.query("gradient")["gradient"] ** 2), y @ kernel @ y / 25, rtol=1e-4
    )
    last = NET.kernel(theta, X, part="last")
    # What the rest adds is positive semi-definite.
    assert np.linalg.eigvalsh(kernel - last).min() > -1e-6 * np.trace(kernel)


@pytest.mark.slow
def test_it_learns_and_its_kernel_turns_to_the_labels(sets):
    (X, y), (fresh, fresh_y), (X_test, y_test) = sets
    flow = cnn.CNNFlow(NET, X, y, X_test=X_test, y_test=y_test, max_dw=0.02, max_dout=0.3)
    result = flow.run(stop_frac=0.95, save_steps=[0], max_seconds=60.0)
    assert result.attrs["stopped"] == "fraction"
    assert float(result["train_error"][-1]) <= 0.05
    assert float(result["test_error"][-1]) < 0.4
    before, after = (NET.kernel(theta, X) for theta in (NET.initial(0), flow.theta))
    shares = [hr.kernels.label_projections(K, y)["cumulative"][9] for K in (before, after)]
    assert shares[1] > shares[0]
    # Learning fresh images in the kernel at the end.
    K = NET.kernel(flow.theta, fresh)
    fit = hr.kernels.svc(K, fresh_y)
    assert fit.error(NET.kernel(flow.theta, X_test, fresh), y_test) < 0.4


@pytest.mark.slow
def test_resumed_equals_never_stopped(sets, tmp_path):
    X, y = (part[:20] for part in sets.train)
    whole = cnn.CNNFlow(NET, X, y).run(max_steps=8)

    def stop(driver, seen):
        if seen["step"] >= 4:
            raise hr.StopRun

    cnn.CNNFlow(NET, X, y).run(max_steps=8, checkpoint=tmp_path / "run", callbacks=[stop])
    resumed = hr.resume(tmp_path / "run")
    np.testing.assert_array_equal(resumed["loss"], whole["loss"])


def test_idx_files(tmp_path):
    values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    raw = b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in values.shape) + values.tobytes()
    (tmp_path / "plain").write_bytes(raw)
    with gzip.open(tmp_path / "packed.gz", "wb") as file:
        file.write(raw)
    for name in ("plain", "packed.gz"):
        np.testing.assert_array_equal(cnn.load_idx(tmp_path / name), values)
    (tmp_path / "short").write_bytes(raw[:-1])
    (tmp_path / "foreign").write_bytes(b"PNG")
    for name in ("short", "foreign", "none"):
        with pytest.raises(hr.InvalidParameterError, match="path"):
            cnn.load_idx(tmp_path / name)


def test_bad_input(sets):
    with pytest.raises(hr.InvalidParameterError, match="train"):
        cnn.parity_sets(*cnn.digits(), train=2000, kernel=10, test=10)
    with pytest.raises(hr.ShapeError, match="X"):
        NET.forward(NET.initial(), np.zeros((2, 28, 28)))
    with pytest.raises(hr.InvalidParameterError, match="y"):
        cnn.CNNFlow(NET, sets.train[0], np.zeros(60))


def test_descriptions_can_be_pickled_and_compared(sets):
    NET.forward(NET.initial(), sets.train[0][:1])  # compiled functions are kept with the object
    assert pickle.loads(pickle.dumps(NET)) == NET
