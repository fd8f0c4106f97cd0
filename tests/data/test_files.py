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
from hmm_rs.errors import DtypeError, HmmError, InvalidParameterError, MissingExtraError, ShapeError

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
        # sizes whose product would take hours, or wraps around in 64 bits
        ({"w": {**ENTRY, "shape": [10**4000] * 2000}}, W.tobytes()),
        ({"w": {**ENTRY, "shape": [2**32, 2**32]}}, W.tobytes()),
        ({"w": {**ENTRY, "shape": [2**63, 2]}}, W.tobytes()),
        ({"w": {**ENTRY, "shape": [1] * 200}}, W.tobytes()),
        ({"w": {**ENTRY, "shape": [0, 2**63 - 1], "data_offsets": [0, 0]}}, b"x"),
        ({"w": {**ENTRY, "dtype": "X7", "data_offsets": [0, 2**62]}}, W.tobytes()),
    ],
)
def test_what_the_format_forbids_is_refused(tmp_path, header, data):
    path = safetensors(tmp_path / "bad", header, data)
    with pytest.raises(HmmError, match="damaged"):
        generators.read_safetensors(path)
    with pytest.raises(HmmError, match="damaged"):
        generators.from_safetensors(path, LAYERS)


@pytest.mark.parametrize("length", [2**64 - 1, 2**63, 100_000_001, 10**6])
def test_a_header_that_leaves_the_file_is_refused_before_memory_is_taken(tmp_path, length):
    path = tmp_path / "long"
    path.write_bytes(struct.pack("<Q", length) + b"{}")
    with pytest.raises(HmmError, match="truncated within its header"):
        generators.read_safetensors(path)


def test_an_array_that_does_not_fit_is_refused_before_it_is_read(tmp_path):
    # Sparse: the file says 2^43 bytes and takes none of the disk.
    size = 2**43
    header = json.dumps({"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    path = tmp_path / "sparse"
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    try:
        os.truncate(path, 8 + len(header) + size)
    except OSError:
        pytest.skip("the file system holds no such file")
    with pytest.raises(hr.ResourceError, match="array 'w'"):
        generators.read_safetensors(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"\xff\xfe", "no text"), (b"{", "no JSON"), (b"[" * 100_000, "no JSON"), (b"3", "must be a mapping")],
)
def test_descriptions_beside_a_file_are_checked(tmp_path, content, words):
    path = safetensors(tmp_path / "g", {"w": ENTRY})
    (tmp_path / "g.json").write_bytes(content)
    with pytest.raises(HmmError, match=words):
        generators.from_safetensors(path)


def test_a_description_is_not_read_without_end(tmp_path):
    path = safetensors(tmp_path / "g", {"w": ENTRY})
    (tmp_path / "g.json").touch()
    try:
        os.truncate(tmp_path / "g.json", 2**43)
    except OSError:
        pytest.skip("the file system holds no such file")
    with pytest.raises(HmmError, match="more than 100000000 bytes"):
        generators.from_safetensors(path)


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


@pytest.mark.parametrize(
    "header",
    [
        struct.pack(">4I", *[2**32 - 1] * 4),
        # 2^64 bytes: nothing, to who counts in 64 bits
        struct.pack(">2I", 2**31, 2**31) + struct.pack(">I", 4),
        struct.pack(">255I", *[1] * 254, 2**32 - 1),
        struct.pack(">255I", *[2**32 - 1] * 255),
    ],
)
def test_sizes_that_cannot_be_are_refused_before_memory_is_taken(tmp_path, header):
    path = tmp_path / "images"
    path.write_bytes(bytes([0, 0, 8, len(header) // 4]) + header + b"few")
    with pytest.raises((hr.ResourceError, InvalidParameterError)):
        read_idx(path)


def test_axes_of_no_length_hide_no_others(tmp_path):
    path = tmp_path / "images"
    for shape in ([0, 2**32 - 1, 2**32 - 1, 2**32 - 1], [0] + [1] * 100):
        path.write_bytes(bytes([0, 0, 14, len(shape)]) + struct.pack(f">{len(shape)}I", *shape))
        with pytest.raises(InvalidParameterError, match="no array's"):
            read_idx(path)


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


def beside(path, location, offset=0, length=4800, dims=(20, 60)):
    """Write a graph whose weights lie in another file."""
    weights = onnx.TensorProto(name="w", data_type=onnx.TensorProto.FLOAT, dims=dims)
    weights.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": offset, "length": length}.items():
        weights.external_data.add(key=key, value=str(value))
    made = graph(path, [node("MatMul", ["z", "w"], ["x"])], ["n", 20], ["n", 60])
    model = onnx.load(made)
    model.graph.initializer.append(weights)
    made.write_bytes(model.SerializeToString())
    return made


@pytest.fixture
def folders(tmp_path, weight):
    """A folder of graphs with weights in it, another beside it, and links that lead there."""
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for folder in (inside, outside):
        folder.mkdir()
        (folder / "w.bin").write_bytes(weight.tobytes())
    (inside / "link.bin").symlink_to(outside / "w.bin")
    (inside / "folder").symlink_to(outside)
    return inside


def test_weights_beside_a_graph_are_read(folders, weight):
    X, C = generators.from_onnx(beside(folders / "g.onnx", "w.bin"), center=False).sample(50)
    np.testing.assert_allclose(X, C @ weight, atol=1e-5)


@pytest.mark.parametrize(
    "location",
    [
        "{outside}/w.bin",
        "../outside/w.bin",
        "folder/../../outside/w.bin",
        "link.bin",
        "folder/w.bin",
        "/dev/zero",
        "/proc/self/environ",
        "no such file",
    ],
)
def test_weights_are_read_from_the_folder_of_the_graph_only(folders, location):
    where = location.format(outside=folders.parent / "outside")
    with pytest.raises(HmmError, match="cannot load"):
        generators.from_onnx(beside(folders / "g.onnx", where))


@pytest.mark.parametrize(
    "part",
    [
        {"offset": 10**9},
        {"offset": -8},
        {"offset": 2**63 - 1},
        {"offset": 4796},
        {"length": 10**9},
        {"length": 2**42, "dims": (2**20, 2**20)},
        {"dims": (2**40, 2**40)},
        {"dims": (-20, 60)},
    ],
    ids=repr,
)
def test_weights_that_leave_their_file_or_cannot_be_are_refused(folders, part):
    with pytest.raises(HmmError, match="cannot load"):
        generators.from_onnx(beside(folders / "g.onnx", "w.bin", **part))


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 1000, b"\xff" * 1000, b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f"]
)
def test_what_is_no_graph_is_refused(tmp_path, content):
    path = tmp_path / "g.onnx"
    path.write_bytes(content)
    with pytest.raises(HmmError, match="cannot load"):
        generators.from_onnx(path)


def test_versions_that_leave_the_folder_are_refused(tmp_path, monkeypatch):
    import onnxruntime

    path = graph(tmp_path / "c.onnx", [node("Tanh", ["z"], ["x"])], ["n", 4], ["n", 4])
    for version, refused in (("1.23.2", True), ("1.9", True), ("1.24.0rc1", False), ("2.0.0+gpu", False)):
        monkeypatch.setattr(onnxruntime, "__version__", version)
        if refused:
            with pytest.raises(MissingExtraError, match=r"onnxruntime 1\.24 or newer"):
                generators.from_onnx(path)
        else:
            assert generators.from_onnx(path).D == 4
