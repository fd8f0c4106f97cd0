"""Files of other tools: read as their formats say, or refused in our words."""

import gzip
import json
import os
import struct

import numpy as np
import pytest

import hmm_rs as hr
from hmm_rs import generators
from hmm_rs.data.images import read_idx
from hmm_rs.errors import DtypeError, HmmError, InvalidParameterError, ShapeError

# --- safetensors ----------------------------------------------------------------------------------

W = np.arange(6.0).reshape(3, 2)
DATA = W.tobytes()
ENTRY = {"dtype": "F64", "shape": [3, 2], "data_offsets": [0, 48]}
LAYERS = {"latents": 2, "layers": [{"type": "dense", "weight": "w"}]}


def safetensors(path, header, data=DATA):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def test_arrays_that_no_layer_names_are_not_in_the_way(tmp_path):
    header = {
        "num_batches_tracked": {"dtype": "I64", "shape": [], "data_offsets": [48, 56]},
        "w": ENTRY,
        "odd": {"dtype": "F8_E4M3", "shape": [3], "data_offsets": [56, 59]},
        "odder": {"dtype": "X7", "shape": [1], "data_offsets": [59, 60]},
    }
    path = safetensors(tmp_path / "g", header, W.tobytes() + struct.pack("<q", 7) + b"spam")
    model = generators.from_safetensors(path, LAYERS, center=False)
    X, C = model.sample(10)
    np.testing.assert_allclose(X, C @ W.T, rtol=1e-14)
    with pytest.raises(HmmError, match="F8_E4M3"):
        generators.read_safetensors(path)


def test_every_type_is_read(tmp_path):
    values = {
        "F16": np.array([1.5, -2.0], "<f2"),
        "I8": np.array([-1, 2], "|i1"),
        "U16": np.array([1, 65535], "<u2"),
        "BOOL": np.array([True, False]),
    }
    header, data = {}, b""
    for kind, value in values.items():
        offsets = [len(data), len(data) + value.nbytes]
        header[kind] = {"dtype": kind, "shape": [2], "data_offsets": offsets}
        data += value.tobytes()
    bf16 = (np.array([1.5, -3.0], "<f4").view("<u4") >> 16).astype("<u2")
    header["BF16"] = {"dtype": "BF16", "shape": [2], "data_offsets": [len(data), len(data) + 4]}
    read, _ = generators.read_safetensors(safetensors(tmp_path / "t", header, data + bf16.tobytes()))
    assert all((read[kind] == value).all() for kind, value in values.items())
    assert (read["BF16"] == [1.5, -3.0]).all()


@pytest.mark.parametrize(
    ("header", "data"),
    [
        ({"w": {**ENTRY, "shape": [2, -1]}}, W.tobytes()),
        ({"w": {**ENTRY, "shape": [2, 2]}}, W.tobytes()),
        ({"w": {**ENTRY, "shape": [6.0]}}, W.tobytes()),
        ({"w": {**ENTRY, "shape": "32"}}, W.tobytes()),
        ({"w": {**ENTRY, "data_offsets": [48, 0]}}, W.tobytes()),
        ({"w": {**ENTRY, "data_offsets": [-48, 0]}}, W.tobytes()),
        ({"w": {**ENTRY, "data_offsets": [0, 2**70]}}, W.tobytes()),
        ({"w": {**ENTRY, "spare": 1}}, W.tobytes()),
        ({"w": [1]}, W.tobytes()),
        # overlap, hole at the start, hole between, bytes left over
        ({"w": ENTRY, "v": {**ENTRY, "data_offsets": [8, 56]}}, W.tobytes() + b"\0" * 8),
        ({"w": {**ENTRY, "data_offsets": [8, 56]}}, b"\0" * 8 + W.tobytes()),
        ({"w": ENTRY, "v": {**ENTRY, "data_offsets": [56, 104]}}, b"\0" * 104),
        ({"w": ENTRY}, W.tobytes() + b"x"),
        ({"w": ENTRY}, W.tobytes()[:-1]),
        (b'{"w": {}, "w": {}}', b""),
        (b'{"__metadata__": {"a": 3}}', b""),
        (b"[1]", b""),
        (b"{", b""),
        (b"\xff\xfe", b""),
        (b"[" * 100_000, b""),
    ],
)
def test_what_the_format_forbids_is_refused(tmp_path, header, data):
    path = safetensors(tmp_path / "bad", header, data)
    with pytest.raises(HmmError, match="damaged"):
        generators.read_safetensors(path)
    with pytest.raises(HmmError, match="damaged"):
        generators.from_safetensors(path, LAYERS)


def test_what_is_no_regular_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in ("/dev/zero", tmp_path / "pipe", tmp_path, "a\0b"):
        with pytest.raises(HmmError, match="cannot be read"):
            generators.read_safetensors(path)
        with pytest.raises(HmmError, match="cannot be read"):
            read_idx(path)


CONV = {"type": "conv2d", "weight": "k", "input": [1, 2, 2]}


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([{**CONV, "groups": 2}], "'groups'"),
        ([{"type": "dense", "weight": "w", "Bias": "b"}], "'Bias'"),
        ([{"type": "activation", "f": "relu", "weight": "w"}], "'weight'"),
        ([{**CONV, "padding": 2**63}], "padding"),
        ([{**CONV, "padding": 2**40}], "memory|GiB"),
        ([{**CONV, "padding": 2**52}], "memory|GiB|fit"),
        ([{**CONV, "type": "conv_transpose2d", "stride": 2**52}], "memory|GiB|fit"),
        ([{**CONV, "type": "conv_transpose2d", "padding": 2**52}], "fit"),
        ([{**CONV, "stride": 2**70}], "stride"),
        ([{"type": "dense", "weight": "w", "bias": {"name": np.float64}}], "must be a text"),
        ([{"type": "coupling", "keep": 0, "change": [1], "scale": [], "shift": []}], "must be a list"),
        ("dense", "must be a list"),
        (3, "must be a list"),
    ],
)
def test_layers_that_say_too_much_or_too_large_are_refused(tmp_path, layers, message):
    header = {"w": {**ENTRY, "shape": [1, 4], "data_offsets": [0, 32]}}
    header["k"] = {**ENTRY, "shape": [1, 1, 1, 2], "data_offsets": [32, 48]}
    path = safetensors(tmp_path / "g", header)
    with pytest.raises(HmmError, match=message):
        generators.from_safetensors(path, {"latents": 4, "layers": layers})


def test_couplings_do_not_nest_without_end(tmp_path):
    inner = {"type": "dense", "weight": "w"}
    for _ in range(200):
        inner = {"type": "coupling", "keep": [0], "change": [1], "scale": [inner], "shift": [inner]}
    path = safetensors(tmp_path / "g", {"w": ENTRY})
    with pytest.raises(HmmError, match="deep"):
        generators.from_safetensors(path, {"latents": 2, "layers": [inner]})


def test_numbers_of_numpy_are_numbers(tmp_path):
    path = safetensors(tmp_path / "g", {"w": ENTRY})
    layers = [
        {"type": "dense", "weight": np.str_("w")},
        {"type": "activation", "f": "leaky_relu", "slope": np.float32(0.25)},
    ]
    model = generators.from_safetensors(path, {"latents": np.int64(2), "layers": tuple(layers)})
    plain = [{"type": "dense", "weight": "w"}, {"type": "activation", "f": "leaky_relu", "slope": 0.25}]
    assert model == generators.from_safetensors(path, {"latents": 2, "layers": plain})


# --- idx ------------------------------------------------------------------------------------------


def test_a_small_file_that_unpacks_without_end_is_refused(tmp_path):
    header = bytes([0, 0, 8, 1]) + struct.pack(">I", 10)
    bomb = tmp_path / "bomb"
    with gzip.open(bomb, "wb") as file:
        file.write(header)
        for _ in range(64):
            file.write(bytes(1 << 20))
    with pytest.raises(InvalidParameterError, match="too long"):
        read_idx(bomb)
    honest = bytes([0, 0, 14, 4]) + struct.pack(">4I", *[2**31] * 4)
    for content in (honest, gzip.compress(honest)):
        bomb.write_bytes(content)
        with pytest.raises(hr.ResourceError):
            read_idx(bomb)
    lying = bytes([0, 0, 8, 1]) + struct.pack(">I", 2**27)
    bomb.write_bytes(gzip.compress(lying + b"few"))
    with pytest.raises(InvalidParameterError, match="truncated"):
        read_idx(bomb)


# --- ONNX -----------------------------------------------------------------------------------------

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def graph(path, nodes, given, made, arrays=(), kind="FLOAT", **outputs):
    from onnx import TensorProto, helper, numpy_helper

    element = getattr(TensorProto, kind)
    made = {"x": made, **outputs}
    body = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("z", element, given)],
        [helper.make_tensor_value_info(name, element, shape) for name, shape in made.items()],
        [numpy_helper.from_array(np.asarray(value), key) for key, value in dict(arrays).items()],
    )
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.save(model, path)
    return path


def node(*arguments, **options):
    return onnx.helper.make_node(*arguments, **options)


@pytest.fixture
def weight():
    return np.random.default_rng(0).standard_normal((20, 60)).astype(np.float32)


def test_a_graph_without_an_axis_of_samples_is_read_as_one_sample(tmp_path, weight):
    nodes = [node("MatMul", ["z", "w"], ["h"]), node("Tanh", ["h"], ["x"])]
    path = graph(tmp_path / "c.onnx", nodes, [20], [60], {"w": weight})
    model = generators.from_onnx(path, center=False)
    assert (model.D, model.N) == (20, 60)
    X, C = model.sample(50)
    np.testing.assert_allclose(X, np.tanh(C @ weight), atol=2e-6)
    with pytest.raises(ShapeError, match="axes for samples and latents"):
        generators.from_onnx(graph(tmp_path / "o.onnx", nodes, ["n"], [60], {"w": weight}))


@pytest.mark.parametrize(
    ("kind", "dtype", "close"), [("FLOAT16", np.float16, 2e-2), ("DOUBLE", np.float64, 1e-12)]
)
def test_other_precisions_are_fed_as_they_are(tmp_path, weight, kind, dtype, close):
    nodes = [node("MatMul", ["z", "w"], ["h"]), node("Tanh", ["h"], ["x"])]
    wide = (0.1 * weight).astype(dtype)
    path = graph(tmp_path / "h.onnx", nodes, ["n", 20], ["n", 60], {"w": wide}, kind)
    X, C = generators.from_onnx(path, center=False).sample(40)
    np.testing.assert_allclose(X, np.tanh(C @ wide.astype(float)), atol=close)


def test_what_is_no_function_of_real_latents_is_refused(tmp_path, weight):
    whole = graph(tmp_path / "i.onnx", [node("Add", ["z", "z"], ["x"])], ["n", 4], ["n", 4], kind="INT64")
    with pytest.raises(DtypeError, match="real numbers"):
        generators.from_onnx(whole)
    nodes = [
        node("RandomNormalLike", ["z"], ["e"]),
        node("Add", ["z", "e"], ["x"]),
    ]
    with pytest.raises(InvalidParameterError, match="random numbers"):
        generators.from_onnx(graph(tmp_path / "r.onnx", nodes, ["n", 4], ["n", 4]))
    nodes = [node("ReduceMean", ["z"], ["m"], axes=[0], keepdims=1), node("Sub", ["z", "m"], ["x"])]
    with pytest.raises(InvalidParameterError, match="mixes"):
        generators.from_onnx(graph(tmp_path / "m.onnx", nodes, ["n", 4], ["n", 4]))
    nodes = [node("Transpose", ["z"], ["x"])]
    with pytest.raises(ShapeError, match="first axis"):
        generators.from_onnx(graph(tmp_path / "t.onnx", nodes, [6, 4], [4, 6]))
    nodes = [node("MatMul", ["z", "w"], ["x"])]
    for D in (19, 40):
        with pytest.raises(HmmError, match="latents"):
            generators.from_onnx(graph(tmp_path / "d.onnx", nodes, ["n", "D"], ["n", 60], {"w": weight}), D)
    with pytest.raises(InvalidParameterError, match="takes 20 latents"):
        generators.from_onnx(graph(tmp_path / "e.onnx", nodes, ["n", 20], ["n", 60], {"w": weight}), 19)
    with pytest.raises(ShapeError, match="open"):
        generators.from_onnx(
            graph(tmp_path / "f.onnx", nodes, ["n", "a", "b"], ["n", "a", 60], {"w": weight}), 20
        )


def test_of_several_outputs_one_is_named(tmp_path):
    nodes = [node("Tanh", ["z"], ["x"]), node("Neg", ["z"], ["y"])]
    path = graph(tmp_path / "two.onnx", nodes, ["n", 4], ["n", 4], y=["n", 4])
    with pytest.raises(InvalidParameterError, match="'x', 'y'"):
        generators.from_onnx(path)
    with pytest.raises(InvalidParameterError, match="no such output"):
        generators.from_onnx(path, output="z")
    X, C = generators.from_onnx(path, output="y", center=False).sample(10)
    np.testing.assert_allclose(X, -C, rtol=1e-6)


def test_a_graph_is_copied_and_compared_by_its_path(tmp_path):
    import pickle

    path = graph(tmp_path / "c.onnx", [node("Tanh", ["z"], ["x"])], ["n", 4], ["n", 4])
    model = generators.from_onnx(path)
    again = pickle.loads(pickle.dumps(model))
    assert again == model == generators.from_onnx(path)
    assert (again.sample(5)[0] == model.sample(5)[0]).all()


def test_weights_beside_a_graph_are_read_from_its_folder_only(tmp_path, weight):
    (tmp_path / "inside").mkdir()
    path = graph(
        tmp_path / "inside" / "g.onnx",
        [node("MatMul", ["z", "w"], ["x"])],
        ["n", 20],
        ["n", 60],
        {"w": weight},
    )
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location="w.bin", size_threshold=0)
    np.testing.assert_allclose(generators.from_onnx(path, center=False).sample(2)[0].shape, (2, 60))
    (tmp_path / "inside" / "w.bin").rename(tmp_path / "w.bin")
    model = onnx.load(path, load_external_data=False)
    for entry in model.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = "../w.bin"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(HmmError, match="cannot load"):
        generators.from_onnx(path)
