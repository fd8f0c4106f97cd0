"""Deep generators: layers against numpy, files through every door, covariances, and learning on them."""

import json
import math
import pickle

import numpy as np
import pytest
from scipy.signal import correlate2d
from scipy.special import erf, expit

import hmm_rs as hr
from hmm_rs import generators
from hmm_rs.dynamics.full_batch import SampledFeatures, agreement, full_batch_curve
from hmm_rs.errors import DtypeError, HmmError, InvalidParameterError, ShapeError
from hmm_rs.theory import CovarianceODE, equivalence, replica

# --- twins --------------------------------------------------------------------------------------


def conv2d(x, weight, bias, stride, padding):
    """(C, H, W) by plain correlation."""
    padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
    return np.stack(
        [
            sum(correlate2d(padded[i], w[i], mode="valid") for i in range(len(padded)))[::stride, ::stride]
            + b
            for w, b in zip(weight, bias, strict=True)
        ]
    )


def conv_transpose2d(x, weight, bias, stride, padding):
    """Every pixel paints its kernel; weight (in, out, h, w)."""
    kh, kw = weight.shape[2:]
    height, width = ((n - 1) * stride + k for n, k in zip(x.shape[1:], (kh, kw), strict=True))
    out = np.zeros((weight.shape[1], height, width))
    for i in range(x.shape[0]):
        for y in range(x.shape[1]):
            for z in range(x.shape[2]):
                out[:, y * stride : y * stride + kh, z * stride : z * stride + kw] += x[i, y, z] * weight[i]
    return out[:, padding : height - padding, padding : width - padding] + bias[:, None, None]


def write(path, tensors, description=None):
    """A safetensors file in double precision, by hand."""
    header, offset = {}, 0
    if description is not None:
        header["__metadata__"] = {"hmm_rs": json.dumps(description)}
    for name, tensor in tensors.items():
        size = tensor.size * 8
        header[name] = {"dtype": "F64", "shape": list(tensor.shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    blob = b"".join(np.ascontiguousarray(t, dtype="<f8").tobytes() for t in tensors.values())
    path.write_bytes(len(text).to_bytes(8, "little") + text + blob)
    return path


def convolutional(rng):
    tensors = {
        "w0": rng.standard_normal((18, 4)),
        "b0": rng.standard_normal(18),
        "w1": rng.standard_normal((2, 3, 4, 3)),
        "b1": rng.standard_normal(3),
        "w2": rng.standard_normal((2, 3, 3, 2)),
        "scale": rng.uniform(0.5, 2, 3),
        "shift": rng.standard_normal(3),
    }
    layers = [
        {"type": "dense", "weight": "w0", "bias": "b0"},
        {"type": "activation", "f": "leaky_relu", "slope": 0.2},
        {
            "type": "conv_transpose2d",
            "weight": "w1",
            "bias": "b1",
            "input": [2, 3, 3],
            "stride": 2,
            "padding": 1,
        },
        {"type": "affine", "scale": "scale", "shift": "shift"},
        {"type": "activation", "f": "tanh"},
        {"type": "conv2d", "weight": "w2", "input": [3, 6, 5], "stride": 2, "padding": 1},
        {"type": "activation", "f": "sigmoid"},
    ]

    def twin(c):
        x = c @ tensors["w0"].T + tensors["b0"]
        x = np.where(x > 0, x, 0.2 * x).reshape(2, 3, 3)
        x = conv_transpose2d(x, tensors["w1"], tensors["b1"], 2, 1)
        x = np.tanh(tensors["scale"][:, None, None] * x + tensors["shift"][:, None, None])
        return expit(conv2d(x, tensors["w2"], np.zeros(2), 2, 1)).ravel()

    return tensors, {"latents": 4, "layers": layers}, twin


def test_convolutional_stack_is_its_twin(tmp_path):
    tensors, description, twin = convolutional(np.random.default_rng(0))
    model = generators.from_safetensors(write(tmp_path / "g.safetensors", tensors, description), center=False)
    X, C = model.sample(200, seed=3)
    assert np.allclose(X, [twin(c) for c in C], rtol=1e-12, atol=1e-13)
    single, _ = model.sample(200, seed=3, dtype="float32")
    assert single.dtype == np.float32
    assert np.allclose(single, X, atol=1e-5)
    # The description may also come as an argument or lie beside the file.
    bare = write(tmp_path / "bare.safetensors", tensors)
    assert np.array_equal(
        generators.from_safetensors(bare, description, center=False).sample(5)[0], model.sample(5)[0]
    )
    (tmp_path / "bare.safetensors.json").write_text(json.dumps(description))
    assert generators.from_safetensors(bare, center=False) == model


def test_coupling_is_its_twin(tmp_path):
    rng = np.random.default_rng(1)
    tensors = {
        "s": rng.standard_normal((2, 3)) * 0.3,
        "t": rng.standard_normal((2, 3)),
        "tb": rng.standard_normal(2),
    }
    description = {
        "latents": 5,
        "layers": [
            {
                "type": "coupling",
                "keep": [4, 0, 2],
                "change": [3, 1],
                "scale": [{"type": "dense", "weight": "s"}, {"type": "activation", "f": "erf"}],
                "shift": [{"type": "dense", "weight": "t", "bias": "tb"}],
            }
        ],
    }
    model = generators.from_safetensors(write(tmp_path / "f.safetensors", tensors, description), center=False)
    X, C = model.sample(50)
    expected = C.copy()
    kept = C[:, [4, 0, 2]]
    expected[:, [3, 1]] = C[:, [3, 1]] * np.exp(erf(kept @ tensors["s"].T / math.sqrt(2))) + (
        kept @ tensors["t"].T + tensors["tb"]
    )
    assert np.allclose(X, expected, rtol=1e-12)


def test_safetensors_library_reads_what_we_read(tmp_path):
    numpy_api = pytest.importorskip("safetensors.numpy")
    rng = np.random.default_rng(0)
    tensors = {
        "a": rng.standard_normal((3, 4)).astype(np.float32),
        "b": rng.standard_normal(5).astype(np.float16),
    }
    numpy_api.save_file(tensors, tmp_path / "x.safetensors", metadata={"k": "v"})
    read, metadata = generators.read_safetensors(tmp_path / "x.safetensors")
    assert metadata == {"k": "v"}
    assert all(np.array_equal(read[name], tensors[name]) for name in tensors)


def test_random_layers_are_their_twin():
    model = generators.random_layers([7, 11, 13], ["sign", "tanh"], seed=5)
    X, C = model.sample(300)
    F1, F2 = model.weights
    expected = np.tanh(np.sign(C @ F1.T / math.sqrt(7)) @ F2.T / math.sqrt(11))
    assert np.allclose(X, expected, rtol=1e-11, atol=1e-13)
    assert abs(np.std(F1) - 1) < 0.3
    assert model == generators.random_layers([7, 11, 13], ["sign", "tanh"], seed=5)
    assert model != generators.random_layers([7, 11, 13], ["sign", "tanh"], seed=6)
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.sample(5)[0], X[:5])


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_samples_and_covariances_do_not_depend_on_threads(threads):
    model = generators.random_layers([10, 20, 150], "relu", seed=0)
    one = model.sample(300, threads=1)[0]
    assert np.array_equal(model.sample(300, threads=threads)[0], one)
    a = generators.estimate_covariances(model, 5000, threads=1)
    b = generators.estimate_covariances(model, 5000, threads=threads)
    assert np.array_equal(a.Omega, b.Omega)
    assert np.array_equal(a.Phi, b.Phi)


def test_streamed_covariance_is_the_covariance_of_the_samples():
    model = generators.random_layers([6, 20, 140], "relu", seed=1)
    n = 3000
    found = generators.estimate_covariances(model, n, seed=4)
    X, C = model.sample(n, seed=4)
    assert np.allclose(found.Omega, np.cov(X.T, ddof=0), atol=1e-12)
    expected = (X - X.mean(0)).T @ (C - C.mean(0)) / n
    assert np.allclose(found.Phi, expected, atol=1e-12)
    assert np.allclose(found.mean, X.mean(0), atol=1e-12)
    assert np.array_equal(found.Omega, found.Omega.T)
    # Each checkpoint doubles the samples, so changes shrink.
    assert found.changes[-1] < found.changes[0]
    assert found.n_samples == n


def test_recursion_is_the_limit_of_wide_layers():
    model = generators.random_layers([300, 300, 300], "sign", seed=0)
    n = 40_000
    Omega, Phi = model.covariances(n, progress=True)
    recursive = model.covariances(method="recursion")
    off = ~np.eye(300, dtype=bool)
    # Entries carry sampling errors of 1/sqrt(n) = 0.005 on top of leading order in the width; slopes average.
    for measured, predicted in ((Omega[off], recursive[0][off]), (Phi.ravel(), recursive[1].ravel())):
        slope = (measured @ predicted) / (predicted @ predicted)
        assert slope == pytest.approx(1.0, abs=0.02)
        assert np.corrcoef(measured, predicted)[0, 1] > 0.98


def test_callable():
    weights = np.random.default_rng(0).standard_normal((4, 9))
    model = generators.from_callable(lambda c: np.exp(0.3 * c @ weights), 4)
    X, C = model.sample(20_000)
    # The mean that is subtracted comes from 65536 samples, this one from 20000.
    assert np.abs(X.mean(0)).max() < 6 * X.std(0).max() / math.sqrt(15_000)
    assert np.allclose(X + model.mean, np.exp(0.3 * C @ weights), rtol=1e-12)
    with pytest.raises(ShapeError, match="must be \\(2, N\\)"):
        generators.from_callable(lambda c: c.sum(), 4)
    with pytest.raises(DtypeError, match="callable"):
        generators.from_callable(3, 4)
    broken = generators.from_callable(lambda c: np.full_like(c, np.inf) if len(c) > 2 else c, 4)
    with pytest.raises(HmmError, match="finite"):
        broken.sample(50)

    def fails(c):
        if len(c) > 2:
            raise RuntimeError("no more")
        return c

    with pytest.raises(RuntimeError, match="no more"):
        generators.from_callable(fails, 4).sample(50)


def test_onnx(tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(2)
    arrays = {
        "w": rng.standard_normal((18, 4)).astype(np.float32),
        "b": rng.standard_normal(18).astype(np.float32),
        "k": rng.standard_normal((2, 3, 4, 4)).astype(np.float32),
        "shape": np.array([-1, 2, 3, 3], dtype=np.int64),
    }
    nodes = [
        helper.make_node("Gemm", ["z", "w", "b"], ["h"], transB=1),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Reshape", ["r", "shape"], ["i"]),
        helper.make_node("ConvTranspose", ["i", "k"], ["o"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Tanh", ["o"], ["x"]),
    ]
    for batch, name in (("batch", "free"), (8, "fixed")):
        graph = helper.make_graph(
            nodes,
            "g",
            [helper.make_tensor_value_info("z", TensorProto.FLOAT, [batch, 4])],
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3, 6, 6])],
            [numpy_helper.from_array(value, key) for key, value in arrays.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
        model.ir_version = 8
        onnx.save(model, tmp_path / f"{name}.onnx")
    description = {
        "latents": 4,
        "layers": [
            {"type": "dense", "weight": "w", "bias": "b"},
            {"type": "activation", "f": "relu"},
            {"type": "conv_transpose2d", "weight": "k", "input": [2, 3, 3], "stride": 2, "padding": 1},
            {"type": "activation", "f": "tanh"},
        ],
    }
    tensors = {key: value.astype(float) for key, value in arrays.items() if key != "shape"}
    compiled = generators.from_safetensors(write(tmp_path / "x", tensors), description, center=False)
    for name in ("free", "fixed"):
        ours = generators.from_onnx(tmp_path / f"{name}.onnx", center=False)
        assert (ours.N, ours.D) == (compiled.N, compiled.D)
        # onnxruntime computes in single precision.
        assert np.allclose(ours.sample(101)[0], compiled.sample(101)[0], atol=2e-6)
    with pytest.raises(InvalidParameterError, match="takes 4 latents"):
        generators.from_onnx(tmp_path / "free.onnx", 5)
    (tmp_path / "bad.onnx").write_bytes(b"spam")
    with pytest.raises(HmmError, match="cannot load"):
        generators.from_onnx(tmp_path / "bad.onnx")
    with pytest.raises(HmmError, match="no such file"):
        generators.from_onnx(tmp_path / "none.onnx")


def test_torch_is_asked_for_politely():
    try:
        import torch  # noqa: F401
    except ImportError:
        with pytest.raises(HmmError, match="pip install torch"):
            generators.from_torch(None, 3)


def test_torch():
    torch = pytest.importorskip("torch")
    module = torch.nn.Sequential(
        torch.nn.ConvTranspose2d(4, 3, 4), torch.nn.BatchNorm2d(3), torch.nn.Tanh(), torch.nn.Flatten()
    )
    model = generators.from_torch(module, 4, shape=(4, 1, 1), center=False)
    X, C = model.sample(40)
    with torch.no_grad():
        expected = module.eval()(torch.tensor(C, dtype=torch.float32).reshape(-1, 4, 1, 1)).numpy()
    assert np.allclose(X, expected, atol=1e-6)


# --- shipped generators --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["digits_flow", "digits_convolutional"])
def test_shipped_generators_resemble_digits(name):
    from sklearn.datasets import load_digits

    pixels = load_digits().data / 16
    model = getattr(generators, name)(center=False)
    X, _ = model.sample(4000)
    # Mean image and spectrum of the training data, far better than independent pixels would do.
    assert np.corrcoef(X.mean(0), pixels.mean(0))[0, 1] > 0.98
    ours, theirs = np.cov(X.T), np.cov(pixels.T)
    off = ~np.eye(64, dtype=bool)
    assert np.corrcoef(ours[off], theirs[off])[0, 1] > 0.85
    leading = np.linalg.eigvalsh(ours)[::-1][:10].sum() / np.linalg.eigvalsh(theirs)[::-1][:10].sum()
    assert leading == pytest.approx(1.0, abs=0.3)


def test_shipped_weights_are_small():
    from pathlib import Path

    from hmm_rs.data.generators import shipped

    sizes = [p.stat().st_size for p in (Path(shipped.__file__).parent / "weights").glob("*.safetensors")]
    assert len(sizes) == 2
    assert sum(sizes) < 1_000_000


# --- learning on generators: both halves of the paper ----------------------------------------------

MODELS = {
    "one layer": lambda: hr.HiddenManifold(120, 60, f="erf", normalise_rows=True),
    "random deep": lambda: generators.random_layers([60, 100, 120], "erf", seed=1),
    "flow": generators.digits_flow,
    "convolutional": generators.digits_convolutional,
}


@pytest.mark.parametrize("name", MODELS)
def test_full_batch_theory_on_generators(name):
    """Erf features of the generator's inputs, linear teacher on the latents."""
    model, p = MODELS[name](), 100
    rng = np.random.default_rng(7)
    W = rng.standard_normal((p, model.N))
    X, _ = model.sample(4000, seed=98)
    W /= np.sqrt(((X @ W.T) ** 2).mean(axis=0) / model.N)[:, None]
    features = SampledFeatures.from_model(model, W, teacher=rng.standard_normal(model.D))
    check_theory(features, p)


def test_full_batch_theory_on_learnt_features():
    """The hidden layer of a network trained on the flow's digits, ridge regression on top."""
    model = generators.digits_flow()
    scale = model.sample(2000)[0].std()
    student = hr.TwoLayer.random(80, model.N, std_w=1 / scale, seed=1)
    teacher = hr.TwoLayer.random(2, model.D, seed=2)
    sim = hr.OnlineSGD(model, teacher, student=student, lr=0.5 / scale**2, seed=3)
    sim.run(20.0)
    assert not np.allclose(sim.student.w, student.w, atol=0.01)
    rng = np.random.default_rng(3)
    features = SampledFeatures.from_model(model, sim.student.w, teacher=rng.standard_normal(model.D))
    check_theory(features, 80)


def check_theory(features, p):
    """Ridge and logistic curves against the theory of the features' own covariance."""
    spectrum = replica.Spectrum.from_samples(features.fields(10_000, 1000 + i) for i in range(6))
    nu, _ = features.fields(20_000, 5)
    for loss in ("ridge", "logistic"):
        assert equivalence.diagnose(spectrum, nu=nu, loss=loss)["trustworthy"]
        simulation = full_batch_curve(features, [1.0, 3.0], loss=loss, lam=0.1, repeats=20, test_size=20_000)
        table = agreement(simulation, replica.learning_curve(spectrum, simulation.alpha, loss=loss, lam=0.1))
        test = table.sel(observable="test_mse" if loss == "ridge" else "test_error")
        # Latents of 20 to 64 dimensions: corrections of order 1/D on top of the finite-size allowance.
        extra = 0.05 * test.theory if loss == "ridge" else 0.01
        assert (np.abs(test.gap) < test.allowed + extra).all(), (
            loss,
            test.theory.values,
            test.simulation.values,
        )


@pytest.mark.parametrize("name", MODELS)
def test_online_theory_on_generators(name):
    """One-pass learning against the equations with the generator's covariances."""
    model = MODELS[name]()
    Omega, _ = model.covariances()
    # Fields of unit size whatever the generator's scale.
    scale = math.sqrt(np.trace(Omega) / model.N)
    student = hr.TwoLayer.random(2, model.N, std_w=0.1 / scale, seed=3)
    teacher = hr.TwoLayer.random(2, model.D, seed=4)
    times = np.array([0.0, 2.0, 10.0, 30.0])
    runs = []
    for seed in range(6):
        options = {"lr": 0.2 / scale**2, "seed": seed, "test_size": 4000}
        sim = hr.OnlineSGD(model, teacher, student=student, **options)
        theory = CovarianceODE.from_simulation(sim)
        runs.append(sim.run(30.0, save_at=times).eg.sel(t=times, method="nearest").values)
    solved = theory.solve(times).eg.values
    error = np.std(runs, axis=0, ddof=1) / math.sqrt(len(runs))
    # Equations hold for N to infinity; at N = 64 to 120 and D = 20 to 64 curves lie within 8 %.
    assert np.all(np.abs(np.mean(runs, axis=0) - solved) < 4 * error + 0.08 * solved)


# --- bad input ----------------------------------------------------------------------------------


def test_bad_descriptions(tmp_path):
    tensors, description, _ = convolutional(np.random.default_rng(0))
    path = write(tmp_path / "g.safetensors", tensors)
    layers = description["layers"]

    def changed(index, **change):
        return {
            "latents": 4,
            "layers": [{**layer, **(change if i == index else {})} for i, layer in enumerate(layers)],
        }

    for wrong, message in (
        ({"layers": layers}, "latents"),
        ({"latents": 4, "layers": []}, "at least one layer"),
        (changed(0, type="spam"), "unknown choice"),
        (changed(0, weight="spam"), "no such array"),
        (changed(0, weight="b0"), "shape"),
        (changed(1, f="spam"), "unknown choice"),
        (changed(2, input=[2, 3]), "channels, height, width"),
        (changed(2, input=[3, 3, 3]), "channels"),
        (changed(2, input=[2, 3, 4]), "layer 2"),
        (changed(2, stride=0), "stride"),
        (changed(2, padding=7), "does not fit"),
        (changed(3, scale="b1", shift="b0"), "shift"),
        ({"latents": 5, "layers": layers}, "layer 0"),
        ({"latents": 4, "layers": ["spam"]}, "mapping"),
    ):
        with pytest.raises(HmmError, match=message):
            generators.from_safetensors(path, wrong)
    with pytest.raises(InvalidParameterError, match="no description"):
        generators.from_safetensors(path)
    with pytest.raises(HmmError, match="cannot be read"):
        generators.from_safetensors(tmp_path / "none")
    (tmp_path / "damaged").write_bytes(b"\x05\x00")
    with pytest.raises(HmmError, match="damaged"):
        generators.from_safetensors(tmp_path / "damaged")
    (tmp_path / "long").write_bytes((1 << 60).to_bytes(8, "little") + b"{}x")
    with pytest.raises(HmmError, match="damaged"):
        generators.from_safetensors(tmp_path / "long")


def test_bad_random_layers(tmp_path):
    with pytest.raises(InvalidParameterError, match="widths"):
        generators.random_layers([5], "sign")
    with pytest.raises(ShapeError, match="one per layer"):
        generators.random_layers([5, 6, 7], ["sign"])
    with pytest.raises(InvalidParameterError, match="unknown choice"):
        generators.random_layers([5, 6], "spam")
    model = generators.random_layers([5, 6], "sign")
    with pytest.raises(InvalidParameterError, match="method"):
        model.covariances(method="spam")
    with pytest.raises(InvalidParameterError, match="n_samples"):
        model.covariances(1)
    with pytest.raises(DtypeError, match="model of data"):
        generators.estimate_covariances(3)
    tensors = {"w": np.full((3, 2), 1e308)}
    description = {"latents": 2, "layers": [{"type": "dense", "weight": "w"}]}
    diverging = generators.from_safetensors(write(tmp_path / "big", tensors), description, center=False)
    with pytest.raises(HmmError, match="not finite"):
        diverging.covariances(3000)
