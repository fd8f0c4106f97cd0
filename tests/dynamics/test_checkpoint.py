"""A checkpoint is data: what a hostile, damaged or foreign file can do, and what can be saved."""

import ast
import contextlib
import functools
import hashlib
import importlib
import inspect
import io
import json
import os
import pkgutil
import struct
import subprocess
import sys
import textwrap
import types
import zipfile

import numpy as np
import pytest
import scipy.special

import hmm_rs as hr
from hmm_rs.dynamics import checkpoint as checkpoints
from hmm_rs.dynamics import resuming
from hmm_rs.dynamics.driver import Driver
from hmm_rs.ground.description import Description
from hmm_rs.provenance import encoding


def make(f="erf", seed=4, **options):
    model = hr.HiddenManifold(30, 6, f=f, seed=1)
    return hr.OnlineSGD(
        model,
        hr.TwoLayer.random(2, 6, seed=2),
        student=hr.TwoLayer.random(2, 30, seed=3),
        lr=0.2,
        test_size=50,
        seed=seed,
        **options,
    )


def assert_same(a, b):
    for name in a.data_vars:
        assert a[name].values.tobytes() == b[name].values.tobytes(), name
    assert a.t.values.tobytes() == b.t.values.tobytes()


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Bytes, header and arrays of a sound checkpoint of an unfinished run."""
    path = tmp_path_factory.mktemp("sound") / "run.npz"

    def stop(driver, seen):
        if seen["t"] >= 2:
            raise hr.StopRun

    make().run(4.0, save_at=[0, 1, 2, 4], checkpoint=path, callbacks=[stop])
    header, arrays = checkpoints.read(path)
    return path.read_bytes(), header, arrays


def written(tmp_path, header, arrays):
    path = tmp_path / "changed.npz"
    checkpoints.write(path, header, arrays)
    return path


def refused(path, match="path = .*changed", **options):
    with pytest.raises(hr.InvalidParameterError, match=match):
        hr.resume(path, **options)
    with pytest.raises(hr.InvalidParameterError, match=match):
        hr.load(path, **options)


def test_a_sound_file_resumes(tmp_path, sound):
    _, header, arrays = sound
    path = written(tmp_path, header, arrays)
    assert_same(hr.resume(path), make().run(4.0, save_at=[0, 1, 2, 4]))


# -- files that want to run code -------------------------------------------------------------------

SHELL = ["touch", "planted"]
HOSTILE = {
    "the helper of pickle, as first reported": {
        "__object__": "hmm_rs.ground.description:_rebuild",
        "arguments": {
            "cls": {"__function__": "subprocess:Popen"},
            "arguments": {"__dict__": {"args": {"__tuple__": SHELL}}},
        },
    },
    "a module of the working folder, as first reported": {"__function__": "planted_module:f"},
    "that helper under the names of today": {
        "is": "object",
        "name": "_rebuild",
        "arguments": {"cls": {"is": "function", "name": "Popen", "argument": "f"}, "arguments": SHELL},
    },
    "a path instead of a name": {"is": "object", "name": "subprocess:Popen", "arguments": {"args": SHELL}},
    "a dotted name": {"is": "object", "name": "subprocess.Popen", "arguments": {"args": SHELL}},
    "a relative name": {"is": "object", "name": "..planted_module.HiddenManifold", "arguments": {}},
    "a class of ours that is no description": {"is": "object", "name": "Engine", "arguments": {}},
    "an engine among the arguments": {"is": "object", "name": "OnlineSGD", "arguments": {}},
    "a letter that looks like ours": {
        "is": "object",
        "name": "HiddenM\u0430nifold",
        "arguments": {"N": 9, "D": 3},
    },
    "a full-width name": {"is": "object", "name": "\uff34woLayer", "arguments": {}},
    "a name with a blank": {"is": "object", "name": "TwoLayer ", "arguments": {}},
    "a list as name": {"is": "object", "name": ["HiddenManifold"], "arguments": {"N": 9, "D": 3}},
    "a class of nobody": {"is": "foreign", "name": "Popen", "arguments": {"args": SHELL}},
    "a builtin": {"is": "function", "name": "exec", "argument": "f"},
    "a builtin by path": {"is": "function", "name": "builtins:exec", "argument": "builtins.exec"},
    "a function of a module": {"is": "function", "name": "planted_module.f", "argument": "planted_module"},
    "a private name": {"is": "function", "name": "__import__", "argument": "__import__"},
    "an elementwise function of another module": {"is": "ufunc", "name": "planted_module.f"},
    "a function of numpy that is not elementwise": {"is": "ufunc", "name": "numpy.load"},
    "a module of numpy": {"is": "ufunc", "name": "numpy.testing"},
    "a deeper name of numpy": {"is": "ufunc", "name": "numpy.ctypeslib.os.system"},
    "an elementwise function of two numbers": {"is": "ufunc", "name": "numpy.add"},
    "no module at all": {"is": "ufunc", "name": "sin"},
    "an unknown kind": {"is": "pickle", "data": "gASVIAAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOU"},
    "no kind": {"name": "HiddenManifold", "arguments": {}},
    "one field too many": {"is": "ufunc", "name": "numpy.sin", "module": "planted_module"},
}
NESTED = {
    "bare": lambda data: data,
    "in a tuple": lambda data: {"is": "tuple", "items": [1, {"is": "tuple", "items": [data]}]},
    "in a list": lambda data: [[data]],
    "in a mapping": lambda data: {"is": "mapping", "items": {"x": data}},
    "in a description": lambda data: {
        "is": "object",
        "name": "GaussianEquivalent",
        "arguments": {"model": data},
    },
    "as a nonlinearity": lambda data: {
        "is": "object",
        "name": "HiddenManifold",
        "arguments": {"N": 30, "D": 6, "f": data},
    },
    "as a generator": lambda data: {
        "is": "object",
        "name": "CallableGenerator",
        "arguments": {"fn": data, "D": 6},
    },
}


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """A working folder with a module that betrays that it was imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "planted_module.py").write_text(
        "open('planted', 'w').close()\ndef f(u): return u\nclass HiddenManifold: pass\n"
    )
    yield tmp_path
    assert not (tmp_path / "planted").exists()
    assert "planted_module" not in sys.modules


@pytest.mark.parametrize("name", HOSTILE)
def test_no_file_makes_the_reader_import_or_call_anything(trap, sound, name):
    _, header, arrays = sound
    for nest in NESTED.values():
        for argument in ("model", "student", "seed", "lr"):
            planted = {**header, "arguments": {**header["arguments"], argument: nest(HOSTILE[name])}}
            path = written(trap, planted, arrays)
            refused(path)
            # Handing over something else changes nothing.
            refused(path, functions={"g": np.sin}, modules=[textwrap])


@pytest.mark.parametrize(
    "engine",
    [
        "Popen",
        "subprocess:Popen",
        "TwoLayer",
        "Driver",
        "Flow",
        "FullBatch",
        "OnlineSGD ",
        "onlinesgd",
        "",
        "__class__",
    ],
)
@pytest.mark.parametrize("foreign", [False, True])
def test_only_engines_can_be_driven(trap, sound, engine, foreign):
    _, header, arrays = sound
    path = written(trap, {**header, "driver": engine, "foreign": foreign}, arrays)
    refused(path)
    refused(path, modules=[subprocess, hr.dynamics])


def test_a_module_lends_only_what_it_defines(trap, sound):
    _, header, arrays = sound
    lender = types.ModuleType("lender")
    exec(
        "from subprocess import Popen, run\nfrom os import system\nimport os\ndef own(u): return u",
        vars(lender),
    )
    for name in ("Popen", "run", "system", "os", "__builtins__", "__name__"):
        for data in (
            {"is": "function", "name": name, "argument": name},
            {"is": "foreign", "name": name, "arguments": {"args": SHELL}},
        ):
            planted = {
                **header,
                "arguments": {**header["arguments"], "model": NESTED["as a nonlinearity"](data)},
            }
            refused(written(trap, planted, arrays), modules=[lender])
    data = {"is": "function", "name": "own", "argument": "f"}
    planted = {**header, "arguments": {**header["arguments"], "model": NESTED["as a nonlinearity"](data)}}
    assert hr.load(written(trap, planted, arrays), modules=[lender]).model.f is lender.own


def test_arguments_go_through_their_own_constructors(tmp_path, sound):
    _, header, arrays = sound
    manifold = header["arguments"]["model"]
    for change in (
        {"N": -1},
        {"N": "30"},
        {"N": 1e300},
        {"F": [[1]]},
        {"f": "cube"},
        {"seed": {}},
        {"extra": 1},
    ):
        model = {**manifold, "arguments": {**manifold["arguments"], **change}}
        refused(written(tmp_path, {**header, "arguments": {**header["arguments"], "model": model}}, arrays))
    for change in ({"lr": "fast"}, {"seed": -1}, {"model": None}, {"_arguments": {}}):
        refused(written(tmp_path, {**header, "arguments": {**header["arguments"], **change}}, arrays))
    lacking = {key: value for key, value in header["arguments"].items() if key != "teacher"}
    refused(written(tmp_path, {**header, "arguments": lacking}, arrays))


@pytest.mark.parametrize(
    "change",
    [
        {"entropy": -1},
        {"entropy": "x"},
        {"spawn_key": ["a"]},
        {"pool_size": 10**9},
        {"pool_size": 0},
        {"children": -2},
    ],
    ids=str,
)
def test_seeds_in_a_file_are_checked(tmp_path, sound, change):
    _, header, arrays = sound
    seed = {"is": "seed", "entropy": 1, "spawn_key": [2], "pool_size": 4, "children": 0}
    good = written(tmp_path, {**header, "arguments": {**header["arguments"], "seed": seed}}, arrays)
    assert hr.load(good).seed.spawn_key == (2,)
    refused(
        written(
            tmp_path, {**header, "arguments": {**header["arguments"], "seed": {**seed, **change}}}, arrays
        )
    )


def test_a_bottomless_header_is_refused(tmp_path, sound):
    _, header, arrays = sound
    deep = "x"
    for _ in range(900):
        deep = [deep]
    refused(written(tmp_path, {**header, "arguments": {**header["arguments"], "lr": deep}}, arrays))
    text = json.dumps(header).replace('"lr": 0.2', '"lr": ' + "[" * 10**5 + "]" * 10**5)
    path = tmp_path / "changed.npz"
    archive(path, {"header.npy": npy(np.frombuffer(text.encode(), np.uint8))}, seal=True)
    refused(path)


def test_reading_evaluates_nothing(trap, sound, monkeypatch):
    """Neither numpy's reader of array headers nor any other evaluation is on the way."""

    def never(*_, **__):
        raise AssertionError("evaluated")

    _, header, arrays = sound
    path = written(trap, header, arrays)
    monkeypatch.setattr(ast, "literal_eval", never)
    monkeypatch.setattr(np.lib.format, "read_array", never)
    monkeypatch.setattr("builtins.eval", never)
    monkeypatch.setattr("pickle.loads", never)
    assert checkpoints.read(path)[0] == header


def concrete(base):
    found = set()
    for module in pkgutil.walk_packages(hr.__path__, "hmm_rs."):
        if ".testing" not in module.name and "__main__" not in module.name:
            importlib.import_module(module.name)
    waiting = [base]
    while waiting:
        cls = waiting.pop()
        waiting += cls.__subclasses__()
        if (
            cls.__module__.startswith("hmm_rs.")
            and not inspect.isabstract(cls)
            and not cls.__name__.startswith("_")
        ):
            found.add(cls)
    return found


def test_the_closed_lists_are_complete_and_true():
    for listed in (encoding.descriptions(), resuming.engines()):
        assert all(
            cls.__name__ == name and cls.__module__.startswith("hmm_rs.") for name, cls in listed.items()
        )
    engines = set(resuming.engines().values())
    found = concrete(Driver)
    assert engines == {cls for cls in found if not any(issubclass(c, cls) and c is not cls for c in found)}
    listed = set(encoding.descriptions().values())
    rooms = ("hmm_rs.data.", "hmm_rs.networks.")
    described = {cls for cls in concrete(Description) if cls.__module__.startswith(rooms)}
    # What engines take can be sampled or is a network.
    assert {cls for cls in described if hasattr(cls, "sample") or hasattr(cls, "forward")} <= listed
    public = [getattr(module, name) for module in (hr, hr.cnn) for name in module.__all__]
    assert {c for c in public if isinstance(c, type) and c.__module__.startswith(rooms)} <= listed | {
        hr.cnn.ParitySets
    }


# -- functions of the user -----------------------------------------------------------------------


class Scaled:
    def __init__(self, scale):
        self.scale = scale

    def __call__(self, u):
        return np.tanh(self.scale * u)


def doubled(u):
    return np.tanh(2 * u)


def scaled(scale, u):
    return np.tanh(scale * u)


FUNCTIONS = {
    "a lambda": (lambda u: np.tanh(2 * u), "f"),
    "a partial": (functools.partial(scaled, 2), "f"),
    "a callable object": (Scaled(2), "f"),
    "a bound method": (Scaled(2).__call__, "__call__"),
    "a function": (doubled, "doubled"),
    "numpy.vectorize": (np.vectorize(lambda u: float(np.tanh(2 * u))), "f"),
    "a function of many outputs made a ufunc": (np.frompyfunc(float, 1, 1), "f"),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_stored_under_names_that_can_be_typed(tmp_path, name):
    function, stored = FUNCTIONS[name]
    if name == "a function of many outputs made a ufunc":
        ufunc = function
        function = lambda u: np.asarray(ufunc(u), dtype=float)  # noqa: E731
    path = tmp_path / "run.npz"
    whole = make(function).run(4.0, save_at=[0, 2, 4])
    make(function).run(4.0, save_at=[0, 2, 4], max_seconds=0, checkpoint=path)
    with pytest.raises(hr.InvalidParameterError) as caught:
        hr.resume(path)
    assert f"functions={{'{stored}': your_{stored}}}" in str(caught.value)
    assert_same(hr.resume(path, functions={stored: function}), whole)
    # The name of the argument serves as well, and the name stays through saves of a resumed run.
    make(function).run(4.0, save_at=[0, 2, 4], max_seconds=0, checkpoint=path)
    hr.resume(path, functions={"f": function}, max_seconds=0)
    assert_same(hr.resume(path, functions={stored: function}), whole)


@pytest.mark.parametrize("f", [np.sin, np.tanh, scipy.special.erf, scipy.special.expit])
def test_elementwise_functions_of_numpy_and_scipy_are_known(tmp_path, f):
    path = tmp_path / "run.npz"
    whole = make(f).run(4.0, save_at=[0, 2, 4])
    make(f).run(4.0, save_at=[0, 2, 4], max_seconds=0, checkpoint=path)
    assert hr.load(path).model.f is f
    assert_same(hr.resume(path), whole)


def test_a_file_keeps_the_name_of_a_function_that_is_given_under_it(tmp_path):
    path = tmp_path / "run.npz"
    make(lambda u: np.tanh(2 * u)).run(4.0, save_at=[0, 2, 4], max_seconds=0, checkpoint=path)
    driver = hr.load(path, functions={"f": doubled})
    # A longer run of the loaded driver is still the run of this file.
    driver.run(6.0, save_at=[6], checkpoint=path)
    assert hr.load(path, functions={"f": doubled}).t == 6.0


def test_functions_come_from_modules_the_caller_names(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_physics.py").write_text("import numpy as np\ndef softened(u): return np.tanh(2 * u)\n")
    module = importlib.import_module("my_physics")
    try:
        path = tmp_path / "run.npz"
        whole = make(module.softened).run(4.0, save_at=[0, 2, 4])
        make(module.softened).run(4.0, save_at=[0, 2, 4], max_seconds=0, checkpoint=path)
        # It could be imported here, but nobody named it.
        with pytest.raises(hr.InvalidParameterError, match=r"'softened'.*never imports"):
            hr.resume(path)
        with pytest.raises(hr.InvalidParameterError, match="'softened'"):
            hr.resume(path, modules=[np])
        assert_same(hr.resume(path, modules=[textwrap, module]), whole)
    finally:
        del sys.modules["my_physics"]


@pytest.mark.parametrize(
    "options",
    [
        {"functions": [np.sin]},
        {"functions": {"f": 3}},
        {"functions": {3: np.sin}},
        {"functions": np.sin},
        {"modules": ["numpy"]},
        {"modules": "numpy"},
        {"modules": np},
        {"modules": 3},
    ],
    ids=str,
)
def test_what_is_handed_over_is_checked(tmp_path, sound, options):
    _, header, arrays = sound
    with pytest.raises(hr.DtypeError, match=next(iter(options))):
        hr.resume(written(tmp_path, header, arrays), **options)


def test_two_functions_of_one_name_are_told_apart():
    encoder = encoding.Encoder()
    first, second = (lambda u: u), (lambda u: -u)
    first.__name__ = second.__name__ = "law"
    data = encoder.arguments({"a": first, "b": second, "c": first, "d": [lambda u: u, lambda u: 2 * u]})
    assert [data[key]["name"] for key in "abc"] == ["law", "law_2", "law"]
    assert [item["name"] for item in data["d"]] == ["d", "d_2"]


# -- values that come back as they were ------------------------------------------------------------


SEEDS = {
    "a number": 7,
    "a numpy number": np.int64(7),
    "a large number": 2**127 + 5,
    "a list": [3, 4],
    "a tuple": (3, np.uint32(4)),
    "a sequence": np.random.SeedSequence(5),
    "a sequence of an array": np.random.SeedSequence(np.array([1, 2])),
    "a sequence of text": np.random.SeedSequence(["0x1f", "7"]),
    "a spawned one": np.random.SeedSequence(5).spawn(3)[2],
    "a grandchild": np.random.SeedSequence([5, 6]).spawn(2)[1].spawn(2)[0],
    "a larger pool": np.random.SeedSequence(5, pool_size=8),
}
# From 2.5 on numpy refuses them.
with contextlib.suppress(TypeError):
    SEEDS["a sequence of nested words"] = np.random.SeedSequence([1, (2, 2**40)])


@pytest.mark.parametrize("name", SEEDS)
def test_every_seed_can_be_saved(tmp_path, name):
    path = tmp_path / "run.npz"
    whole = make(seed=SEEDS[name]).run(4.0, save_at=[0, 2, 4])
    make(seed=SEEDS[name]).run(4.0, save_at=[0, 2, 4], max_seconds=0, checkpoint=path)
    resumed = hr.resume(path)
    assert_same(resumed, whole)
    if not isinstance(SEEDS[name], np.random.SeedSequence):
        assert resumed.attrs["seed"] == whole.attrs["seed"]
    loaded = hr.load(path).seed
    if isinstance(SEEDS[name], np.random.SeedSequence):
        assert (loaded.generate_state(9) == SEEDS[name].generate_state(9)).all()
        np.testing.assert_array_equal(
            loaded.spawn(1)[0].generate_state(4),
            np.random.SeedSequence(
                SEEDS[name].entropy,
                spawn_key=SEEDS[name].spawn_key,
                pool_size=SEEDS[name].pool_size,
                n_children_spawned=SEEDS[name].n_children_spawned,
            )
            .spawn(1)[0]
            .generate_state(4),
        )


def test_models_of_every_kind_can_be_saved(tmp_path):
    F = np.random.default_rng(0).standard_normal((30, 6))
    for i, model in enumerate(
        [
            hr.HiddenManifold(30, 6, F=F),
            hr.HiddenManifold(30, 6, F=np.asfortranarray(F)),
            hr.GaussianEquivalent(hr.HiddenManifold(30, 6, F=F)),
            hr.TeacherStudent(30),
            hr.generators.random_layers([6, 20, 30], ["sign", "erf"], seed=3),
            hr.generators.digits_convolutional(),
            hr.generators.from_callable(doubled, 30),
        ]
    ):

        def fresh(model=model):
            return hr.OnlineSGD(
                model,
                hr.TwoLayer.random(1, model.D),
                student=hr.TwoLayer.random(1, model.N, seed=1),
                lr=0.1,
                test_size=50,
            )

        path = tmp_path / f"{i}.npz"
        whole = fresh().run(4.0, save_at=[0, 2, 4])
        fresh().run(4.0, save_at=[0, 2, 4], max_seconds=0, checkpoint=path)
        functions = {"doubled": doubled}
        assert_same(hr.resume(path, functions=functions), whole)
        assert hr.load(path, functions=functions).model == model


class MyModel(hr.TeacherStudent):
    """A description of a user."""


class MyEngine(hr.OnlineSGD):
    """An engine of a user."""


def test_classes_of_the_user_are_handed_over_too(tmp_path):
    path = tmp_path / "run.npz"

    def fresh():
        model = MyModel(30)
        return MyEngine(
            model, hr.TwoLayer.random(1, 30), student=hr.TwoLayer.random(1, 30, seed=1), lr=0.1, test_size=50
        )

    whole = fresh().run(4.0, save_at=[0, 2, 4])
    fresh().run(4.0, save_at=[0, 2, 4], max_seconds=0, checkpoint=path)
    with pytest.raises(hr.InvalidParameterError, match="MyEngine"):
        hr.resume(path)
    with pytest.raises(hr.InvalidParameterError, match="MyModel"):
        hr.resume(path, functions={"MyEngine": MyEngine})
    with pytest.raises(hr.InvalidParameterError, match="MyEngine"):
        hr.resume(path, functions={"MyEngine": MyModel, "MyModel": MyModel})
    assert_same(hr.resume(path, functions={"MyEngine": MyEngine, "MyModel": MyModel}), whole)


@pytest.mark.parametrize(
    ("value", "match"),
    [
        ({1: 2}, "seed"),
        (np.array(["a"]), "seed"),
        (np.zeros(2, "f8,i4"), "seed"),
        (np.array([1j]), "seed"),
        (object(), "seed"),
        ({"deep": [1, {2}]}, "deep"),
        (functools.reduce(lambda inner, _: [inner], range(400), 1), "seed"),
        (b"raw", "seed"),
    ],
    ids=str,
)
def test_what_cannot_be_stored_is_refused_before_the_first_step(tmp_path, value, match):
    sim = make()
    sim._arguments = {**sim._arguments, "seed": value}
    with pytest.raises(hr.InvalidParameterError, match=f"checkpoint: {match} = .*leave checkpoint out"):
        sim.run(1.0, checkpoint=tmp_path / "run.npz")
    assert sim.step == 0
    assert list(tmp_path.iterdir()) == []


# -- damaged files ---------------------------------------------------------------------------------


def npy(array):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, (1, 0), allow_pickle=True)
    return buffer.getvalue()


def archive(path, members, *, seal, compression=zipfile.ZIP_STORED):
    """Write an archive of raw members, with a right checksum if `seal`."""
    items = members.items() if isinstance(members, dict) else members
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, data in items:
            file.writestr(name, data)
        if seal:
            file.comment = b"sha256 " + b"0" * 64
    if seal:
        body = path.read_bytes()[:-64]
        path.write_bytes(body + hashlib.sha256(body).hexdigest().encode())


def test_every_flipped_bit_is_seen(tmp_path, sound):
    data, *_ = sound
    path = tmp_path / "changed.npz"
    generator = np.random.default_rng(0)
    places = np.concatenate(
        [generator.integers(len(data), size=400), np.arange(60), np.arange(len(data) - 120, len(data))]
    )
    for place in places:
        flipped = bytearray(data)
        flipped[place] ^= 1 << int(generator.integers(8))
        path.write_bytes(flipped)
        refused(path, "is not a whole checkpoint")


def test_every_truncation_and_extension_is_seen(tmp_path, sound):
    data, *_ = sound
    path = tmp_path / "changed.npz"
    for length in {*range(0, len(data), max(len(data) // 60, 1)), *range(len(data) - 90, len(data))}:
        path.write_bytes(data[:length])
        refused(path, "is not a whole checkpoint")
    for more in (b"\0", b"x" * 1000, data):
        path.write_bytes(data + more)
        refused(path, "is not a whole checkpoint")
    path.write_bytes(data[1:])
    refused(path, "is not a whole checkpoint")


FIELDS = {
    "driver": ["", 5, None, ["OnlineSGD"], {}],
    "foreign": [0, "no", None],
    "arguments": [None, 5, "x", [], [["model", 1]]],
    "records": [None, 5, "t", {}, [1], ["t", "t"], ["t"], ["t", "eg", "nonsense"], [["t"]]],
    "past": [-1, 1.5, "0", None, True, 10**6],
    "done": [-1, 1.5, "0", None, False, 10**6, 0],
    "checkpoint_every": [-1, "60", None, True, float("nan"), float("inf"), [60]],
    "seconds": [-1.0, "0", None, float("nan")],
    "finished": [0, 1, "", None, []],
    "stopped": [None, 5, [""]],
    "format": [1, 3, "2", None, 2.0, True, [2]],
    "magic": ["", None, "hmm_rs", 5],
    "hmm_rs_version": [None, 5],
}


@pytest.mark.parametrize("field", FIELDS)
def test_header_fields_that_are_missing_or_of_another_type_are_refused(tmp_path, sound, field):
    _, header, arrays = sound
    complete = {**header}
    assert field in complete
    path = tmp_path / "changed.npz"

    def with_header(changed):
        members = {"header.npy": npy(np.frombuffer(json.dumps(changed).encode(), np.uint8))}
        archive(path, {**members, **{f"{k}.npy": npy(v) for k, v in arrays.items()}}, seal=True)
        return path

    assert hr.load(with_header(complete)).step > 0
    refused(with_header({key: value for key, value in complete.items() if key != field}))
    for value in FIELDS[field]:
        refused(with_header({**complete, field: value}))


def test_unknown_and_doubled_header_fields_are_refused(tmp_path, sound):
    _, header, arrays = sound
    refused(written(tmp_path, {**header, "hook": "x"}, arrays))
    text = json.dumps(header)
    path = tmp_path / "changed.npz"
    for wrong in (text[:-1] + ', "driver": "Particles"}', text[:-1], "[]", "5", "", "\x00", text + "x"):
        members = {"header.npy": npy(np.frombuffer(wrong.encode(), np.uint8))}
        archive(path, {**members, **{f"{k}.npy": npy(v) for k, v in arrays.items()}}, seal=True)
        refused(path)


ARRAYS = {
    "0-d": np.array(1.0),
    "text": np.array(["a", "b", "c"]),
    "bytes": np.array([b"a", b"b", b"c"]),
    "NaN": np.array([0.0, np.nan, 2.0]),
    "infinite": np.array([0.0, 1.0, np.inf]),
    "structured": np.zeros(3, "f8,i4"),
    "objects": np.array([None, {}, []], dtype=object),
    "complex": np.zeros(3, complex),
    "dates": np.zeros(3, "M8[s]"),
    "long": np.zeros(3, np.longdouble),
    "big-endian": np.arange(3, dtype=">f8"),
    "whole numbers": np.arange(3),
    "falling": np.array([2.0, 1.0, 0.0]),
    "of two dimensions": np.zeros((3, 3)),
    "shorter": np.arange(2.0),
    "empty": np.zeros(0),
}


@pytest.mark.parametrize("wrong", ARRAYS)
@pytest.mark.parametrize("name", ["targets", "record:t", "record:eg", "state:w", "array0"])
def test_arrays_that_are_missing_or_of_another_kind_are_refused(tmp_path, sound, name, wrong):
    _, header, arrays = sound
    assert name in arrays
    path = tmp_path / "changed.npz"
    if name == "record:eg" and wrong in ("NaN", "infinite", "whole numbers", "falling", "of two dimensions"):
        pytest.skip("what is measured may be any number")
    members = {"header.npy": npy(np.frombuffer(json.dumps(header).encode(), np.uint8))}
    members |= {f"{key}.npy": npy(value) for key, value in arrays.items()}
    archive(path, members, seal=True)
    assert hr.load(path).step > 0
    archive(path, {**members, f"{name}.npy": npy(ARRAYS[wrong])}, seal=True)
    refused(path)
    archive(path, {key: value for key, value in members.items() if key != f"{name}.npy"}, seal=True)
    refused(path)


def claiming(array, shape, dtype="<f8"):
    """Return an array's bytes with a header that claims another shape."""
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + array.tobytes()


@pytest.mark.parametrize(
    "shape",
    [
        "(2147483648,)",
        "(1000000, 1000000)",
        "(18446744073709551616,)",
        "(4294967296, 4294967296, 4294967296)",
        "(-1,)",
        "(2, -1)",
        "(0, 9223372036854775807)",
        "(1.0,)",
        "__import__('os').system('touch planted')",
        "(" + "1, " * 40 + ")",
        "(" * 1000 + ")" * 1000,
    ],
)
def test_sizes_are_held_against_the_file_before_anything_is_allocated(trap, sound, shape):
    _, header, arrays = sound
    members = {"header.npy": npy(np.frombuffer(json.dumps(header).encode(), np.uint8))}
    members |= {f"{key}.npy": npy(value) for key, value in arrays.items()}
    path = trap / "changed.npz"
    for name in ("array0", "state:w", "targets"):
        archive(path, {**members, f"{name}.npy": claiming(arrays[name], shape)}, seal=True)
        refused(path)
        archive(path, {**members, f"{name}.npy": claiming(arrays[name], shape, "|O")}, seal=True)
        refused(path)


def test_archives_of_another_kind_are_refused(tmp_path, sound):
    _, header, arrays = sound
    path = tmp_path / "changed.npz"
    members = {"header.npy": npy(np.frombuffer(json.dumps(header).encode(), np.uint8))}
    members |= {f"{key}.npy": npy(value) for key, value in arrays.items()}
    archive(path, members, seal=True, compression=zipfile.ZIP_DEFLATED)
    refused(path, "uncompressed")
    with pytest.warns(UserWarning, match="Duplicate"):
        archive(path, [*members.items(), ("targets.npy", members["targets.npy"])], seal=True)
    refused(path, "two arrays of one name")
    archive(path, {**members, "planted.txt": b"x"}, seal=True)
    refused(path)
    archive(path, {**members, "more.npy": members["targets.npy"]}, seal=True)
    refused(path)
    archive(path, {key: value for key, value in members.items() if key != "header.npy"}, seal=True)
    refused(path, "no header")
    archive(path, members, seal=False)
    refused(path, "is not a whole checkpoint")
    np.savez(path, x=np.ones(3))
    refused(path, "is not a whole checkpoint")
    path.write_text("hello, this is a thesis")
    refused(path, "is not a whole checkpoint")
    path.write_bytes(b"")
    refused(path, "too short")


def test_files_of_the_older_format_say_what_to_do(tmp_path):
    path = tmp_path / "changed.npz"
    header = {"magic": "hmm_rs checkpoint", "format": 1, "hmm_rs_version": "0.0.9", "driver": "OnlineSGD"}
    np.savez(path, header=np.frombuffer(json.dumps(header).encode(), np.uint8), targets=np.arange(3.0))
    refused(path, "has format 1, this version reads 2; finish the run with hmm_rs 0.0.9")


def test_a_size_that_cannot_be_is_seen_in_the_archive_too(tmp_path, sound):
    """The archive's own directory may lie about the sizes of its members."""
    data, *_ = sound
    path = tmp_path / "changed.npz"
    start = data.rindex(b"PK\x01\x02")
    for offset, value in ((20, 2**31), (24, 2**31), (20, 0), (24, 0), (42, len(data) + 5), (10, 8), (8, 1)):
        changed = bytearray(data)
        size = 2 if offset in (8, 10) else 4
        changed[start + offset : start + offset + size] = struct.pack("<I", value)[:size]
        body = bytes(changed[:-64])
        path.write_bytes(body + hashlib.sha256(body).hexdigest().encode())
        refused(path)


@pytest.mark.parametrize(
    "path", ["/no/such/file", "", "a\0b", "/dev/null", "/dev/zero", ".", "x" * 5000], ids=repr
)
def test_paths_that_are_no_files_are_refused(path):
    refused(path, "path = .*there is no such file")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_not_read_without_end(tmp_path):
    os.mkfifo(tmp_path / "changed.npz")
    refused(tmp_path / "changed.npz", "there is no such file")


@pytest.mark.parametrize("path", [3, None, b"run.npz", ["run.npz"]])
def test_what_is_no_path_is_refused(path):
    with pytest.raises((hr.DtypeError, hr.InvalidParameterError), match="path = "):
        hr.resume(path)
