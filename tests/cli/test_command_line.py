"""The command line, as a user meets it: configurations, messages, exit codes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import hmm_rs as hr
from hmm_rs.cli import commands, kinds, main, speed
from hmm_rs.cli import config as configs
from hmm_rs.ground.works import LIBRARY

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples" / "configs").glob("*.toml"))

#: What makes an example small, by its keys.
TINY = {
    "N": 40,
    "D": 4,
    "d": 5,
    "width": 20,
    "samples": 20,
    "batch": 20,
    "test_size": 20,
    "t_max": 1,
    "steps": 3,
    "max_steps": 3,
    "train": 4,
    "test": 4,
    "widths": "[4, 40]",
    "alphas": "[0.5, 2.0]",
    "save_at": "[0, 1]",
    "t_eval": "[0, 1]",
    "points": 2,
    "nodes": 4,
}


def tiny(text: str) -> str:
    """A configuration with small sizes; teachers see D latents."""
    lines, table = [], ""
    for line in text.splitlines():
        table = line if line.startswith("[") else table
        key = line.partition(" = ")[0]
        small = TINY["D"] if (table, key) == ("[teacher]", "N") else TINY.get(key)
        if table == "[spectrum]" or 'kind = "CNN"' in lines or (table, key) == ("[model]", "f"):
            small = None
        lines.append(line if small is None else f"{key} = {small}")
    return "\n".join(lines)


def ran(*arguments: str) -> int:
    return main([str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")


def write(text: str, name: str = "run.toml") -> str:
    Path(name).write_text(text)
    return name


SGD = """\
engine = "OnlineSGD"

[model]
kind = "HiddenManifold"
N = 40
D = 4

[teacher]
kind = "TwoLayer.random"
K = 1
N = 4

[student]
kind = "TwoLayer.random"
K = 1
N = 40
seed = 1

[options]
lr = 0.2
test_size = 20

[run]
t_max = 1
"""


# -- files that ask for too much -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("lr = { linspace = [0, 1, 999999999999] }", "GiB"),
        ("lr = { full = [[99999, 999999], 1] }", "GiB"),
        ("lr = { full = [1e300, 1] }", "GiB"),
        ("lr = { eye = 999999 }", "GiB"),
        ("lr = { arange = [0, 1e15] }", "GiB"),
        ("lr = { arange = [0, 1, 0] }", "makes no array"),
        ("lr = { arange = [0, inf] }", "makes no array"),
        ("lr = { logtimes = [1, 10, 999999999999] }", "GiB"),
    ],
    ids=lambda text: text[:40],
)
def test_configurations_that_ask_for_too_much_are_refused(capsys, line, told):
    assert ran("run", write(SGD.replace("lr = 0.2", line)), "--check") == 2
    # Lines are as wide as the terminal.
    assert told in " ".join(capsys.readouterr().err.split())


# -- run -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [pytest.param(p, marks=pytest.mark.slow) if p.stem == "cnn-flow" else p for p in EXAMPLES],
    ids=lambda path: path.stem,
)
def test_every_example_runs(path, capsys):
    if path.stem == "cnn-flow":
        pytest.importorskip("jax")
    assert ran("run", write(tiny(path.read_text()), path.name), "--threads", 1) == 0
    said = capsys.readouterr()
    assert not said.err
    assert max(map(len, said.out.splitlines())) <= 80
    written = re.search(r"^wrote (.*)$", said.out, re.M)[1].split(", ")
    result = xr.load_dataset(written[0])
    assert result.sizes
    assert hr.rerun(written[0]).equals(result)


def test_every_engine_and_solver_has_an_example():
    named = {
        name if name in kinds.runs() else name.rpartition(".")[0]
        for path in EXAMPLES
        for name in [
            tomllib.loads(path.read_text()).get("engine") or tomllib.loads(path.read_text())["solver"]
        ]
    }
    # One of the functions of the replica theory stands for all.
    few = {name for name in kinds.runs() if name.startswith("replica.")} | {"neuron_flow", "order_parameters"}
    assert set(kinds.runs()) - few <= named


def test_a_run_is_that_of_the_library(capsys):
    assert ran("run", write(SGD)) == 0
    sim = hr.OnlineSGD(
        hr.HiddenManifold(40, 4),
        hr.TwoLayer.random(1, 4),
        student=hr.TwoLayer.random(1, 40, seed=1),
        lr=0.2,
        test_size=20,
    )
    assert xr.load_dataset("run.nc").equals(sim.run(1))
    assert "OnlineSGD, t = 0 to 1" in capsys.readouterr().out


def test_check_runs_nothing(capsys):
    assert ran("run", write(SGD), "--check") == 0
    assert "ready to run" in capsys.readouterr().out
    assert not Path("run.nc").exists()


def test_quiet_says_nothing(capsys):
    assert ran("run", write(SGD), "--quiet") == 0
    assert capsys.readouterr() == ("", "")


def test_theory_is_laid_over_and_compared(capsys):
    text = (
        SGD
        + '\n[theory]\nsolver = "HiddenManifoldODE"\nrtol = 1e-6\n[output]\nfile = "a.nc"\ntheory = "b.nc"\n'
    )
    assert ran("run", write(text)) == 0
    assert re.search(r"HiddenManifoldODE (agrees|differs) with the run in eg", capsys.readouterr().out)
    run, theory = xr.load_dataset("a.nc"), xr.load_dataset("b.nc")
    assert (run.t == theory.t).all()


MISTAKES = [
    # (text that is replaced, what stands there instead, line, words)
    ("lr = 0.2", "lr = -0.2", 20, r"\[options\] lr = -0.2: must be finite and >= 0"),
    ("lr = 0.2", "nois = 0.2", 20, r"nois: there is no such key \(did you mean noise\?\)"),
    ("lr = 0.2", 'lr = "fast"', 20, "lr = 'fast': must be a number"),
    ("lr = 0.2\n", "", 1, "OnlineSGD lacks lr"),
    ("[student]", "[studnet]", 13, r"studnet: there is no such key or table \(did you mean student\?\)"),
    ('"HiddenManifold"', '"HiddenManifld"', 4, r"unknown \(did you mean 'HiddenManifold'\?\)"),
    ("D = 4\n", "", 3, "HiddenManifold lacks D"),
    ("D = 4", "D = 4.5", 6, "D = 4.5: must be an integer"),
    ("t_max = 1", "t_end = 1", 24, r"\[run\] t_end: there is no such key"),
    ("t_max = 1", "save_at = [1]", 23, "lacks t_max"),
    ("t_max = 1", "t_max = 1\nsave_at = {linspace = [0]}", 25, "linspace = .* makes no array"),
    ("t_max = 1", 't_max = 1\nsave_at = {file = "no.npy"}', 25, r"no\.npy': cannot be read"),
    ("t_max = 1", "t_max = 1\nsave_at = {words = 3}", 25, "must be a value"),
    ("t_max = 1", "t_max = 1\nsave_at = [2]", 25, r"save_at\[-1\] = 2"),
    ('"OnlineSGD"', '"OnlineSDG"', 1, r"engine = 'OnlineSDG': unknown \(did you mean 'OnlineSGD'\?\)"),
    ('engine = "OnlineSGD"', 'solver = "OnlineSGD"', 1, "solver = 'OnlineSGD': unknown"),
    ("N = 4\n", "N = 5\n", 8, r"teacher.w has shape \(1, 5\)"),
    ("t_max = 1", "t_max = ", 24, "is no TOML"),
    ("t_max = 1", 't_max = 1\n[output]\nfile = "no/where.nc"', 26, "its folder 'no' does not exist"),
    ("t_max = 1", 't_max = 1\n[output]\ntheory = "b.nc"', 26, "there is no theory to write"),
    ("t_max = 1", 't_max = 1\n[plot]\nkind = "pie"', 26, "kind = 'pie': unknown"),
    ("t_max = 1", 't_max = 1\n[theory]\nsolver = "HingeMean"', 26, "must be one of"),
    ("t_max = 1", "t_max = 1\n[theory]\nrtol = 1e-3", 25, "lacks the key solver"),
    ("lr = 0.2", "lr = 0.2\nmodel = 3", 21, "is given by a table of its own"),
    (
        'engine = "OnlineSGD"',
        'lr = 0.2\nengine = "OnlineSGD"',
        1,
        r"lr: belongs into \[options\]; move it there",
    ),
    ("t_max = 1", 't_max = 1\ncall = "walk"', 25, "call = 'walk': OnlineSGD has run; pass one"),
    ("t_max = 1", "t_max = 1\ncall = 3", 25, "call = 3: must be text in quotes; write it so"),
    (
        "t_max = 1",
        't_max = 1\nsave_at = {file = "run.toml"}',
        25,
        "run.toml': cannot be read .*; pass a file of numpy",
    ),
    ("t_max = 1", "t_max = 1\n[plot]\nkind = 3", 26, "kind = 3: must be text in quotes"),
    ('kind = "HiddenManifold"', "kind = 3", 4, "kind = 3: must be text in quotes"),
    ('kind = "HiddenManifold"\n', "", 3, "lacks the key kind"),
]


@pytest.mark.parametrize(("old", "new", "line", "words"), MISTAKES, ids=lambda value: str(value)[:24])
def test_a_mistake_is_named_with_its_key_value_and_line(old, new, line, words, capsys):
    assert_named(SGD, old, new, line, words, capsys)


def assert_named(text, old, new, line, words, capsys):
    """A configuration with something replaced is refused, and the error says where and why."""
    assert old in text
    code = ran("run", write(text.replace(old, new, 1)))
    said = capsys.readouterr()
    flat = " ".join(said.err.split())
    assert re.search(words, flat), flat
    assert f"run.toml, line {line}" in flat
    assert code == 2
    assert "Traceback" not in said.err
    assert max(map(len, said.err.splitlines())) <= 80


FLOW = """\
engine = "GradientFlow"

[network]
kind = "MeanFieldNetwork.random"
width = 10
d = 3
std_b = 1.0
activation = "sqrt2_relu"

[train]
kind = "Stripe"
d = 3
samples = 8

[run]
max_steps = 2
"""

KERNEL = """\
engine = "KernelFlow"

[kernel]
kind = "laplace"
scale = 2.0

[train]
kind = "Stripe"
d = 3
samples = 8

[test]
kind = "Stripe"
d = 3
samples = 4
seed = 1

[run]
max_steps = 2
"""

IMAGES = """\
engine = "CNNFlow"

[network]
kind = "CNN"
h = 1
height = 8
width = 8

[images]
train = 4
test = 4

[run]
max_steps = 2
"""

#: Of samples, kernels and images: as MISTAKES.
MISTAKES_IN_SAMPLES = [
    (FLOW, "samples = 8\n", "", 10, r"\[train\] lacks samples, the number of examples; write samples = ..."),
    (FLOW, "samples = 8", "samples = 8.5", 13, "samples = 8.5: must be a whole number"),
    (FLOW, "samples = 8", "samples = 0", 13, "samples = 0: must be at least 1; write samples = 1 or more"),
    (FLOW, "samples = 8", 'samples = 8\nscale = "two"', 14, "scale = 'two': must be a number that inputs"),
    (FLOW, 'kind = "Stripe"\nd = 3', 'kind = "HiddenManifold"\nN = 3\nD = 2', 11, "HiddenManifold has no labels"),
    (FLOW, '[train]\nkind = "Stripe"\nd = 3\nsamples = 8\n', "", 1,
     r'GradientFlow lacks X, y; write a table \[train\], or X = {file = "..."} in \[options\]'),
    (FLOW, 'engine = "G', 'test = 3\nengine = "G', 1, r"test = 3: must be a table; write \[test\] and its keys below"),
    (KERNEL, '"laplace"', '"cosine"', 4, "kind = 'cosine': unknown; known are ntk, laplace"),
    (KERNEL, "scale = 2.0", "scale = -2.0", 5, "scale = -2.0: must be"),
    (KERNEL, "scale = 2.0", "scales = 2.0", 5, r"scales: there is no such key \(did you mean scale\?\)"),
    (IMAGES, "train = 4\n", "", 9, r"\[images\] lacks train, the number of images; write train = ..."),
    (IMAGES, "train = 4", "train = -4", 10, "train = -4: must be"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "old", "new", "line", "words"),
    MISTAKES_IN_SAMPLES,
    ids=[str(case[2:4]) for case in MISTAKES_IN_SAMPLES],
)
def test_a_mistake_in_samples_is_named_with_its_key_value_and_line(text, old, new, line, words, capsys):
    if text is IMAGES:
        pytest.importorskip("jax")
    assert_named(text, old, new, line, words, capsys)


def test_samples_and_kernels_are_those_of_the_library():
    assert ran("run", write(KERNEL), "--quiet") == 0
    (X, y), (X_test, y_test) = hr.Stripe(3).sample(8, seed=0), hr.Stripe(3).sample(4, seed=1, stream="test")
    K, K_test = (hr.kernels.laplace(x, X, scale=2.0) for x in (X, X_test))
    flow = hr.KernelFlow(hr.kernels.laplace(X, scale=2.0), y, K_test=K_test, y_test=y_test)
    assert xr.load_dataset("run.nc").equals(flow.run(max_steps=2))
    np.testing.assert_allclose(K, hr.kernels.laplace(X, scale=2.0), atol=1e-12)


def test_inputs_can_be_scaled_and_read_from_files():
    X, y = hr.Stripe(3).sample(8, seed=0)
    assert ran("run", write(FLOW.replace("samples = 8", "samples = 8\nscale = 2")), "--quiet") == 0
    scaled = xr.load_dataset("run.nc")
    np.save("X.npy", 2 * X)
    np.savez("sets.npz", y=y)
    train = FLOW[FLOW.index("[train]") : FLOW.index("[run]")]
    files = '[options]\nX = {file = "X.npy"}\ny = {file = "sets.npz", key = "y"}\n'
    write(FLOW.replace(train, files))
    assert ran("run", "run.toml", "--quiet") == 0
    assert xr.load_dataset("run.nc").equals(scaled)


def test_an_archive_says_which_arrays_it_holds(capsys):
    np.savez("sets.npz", labels=np.ones(3))
    assert ran("run", write(SGD.replace("lr = 0.2", 'lr = {file = "sets.npz", key = "y"}'))) == 2
    assert "sets.npz holds labels; write key = one of them" in " ".join(capsys.readouterr().err.split())


def damaged_archive():
    """An archive of which one bit of an array has flipped."""
    np.savez("rates.npz", y=np.ones(50))
    data = bytearray(Path("rates.npz").read_bytes())
    data[-200] ^= 1
    Path("rates.npz").write_bytes(data)


def objects():
    np.savez("rates.npz", y=np.array([{}], dtype=object))


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (damaged_archive, "Bad CRC-32"),
        (objects, "Object arrays cannot be loaded"),
        (lambda: os.mkfifo("rates.npz"), "no regular file"),
        (lambda: Path("rates.npz").mkdir(), "no regular file"),
        (lambda: Path("rates.npz").write_bytes(b"PK\x03\x04"), "cannot be read"),
    ],
)
def test_a_file_of_arrays_that_cannot_be_read_is_a_fault_of_the_line(made, told, capsys):
    made()
    assert ran("run", write(SGD.replace("lr = 0.2", 'lr = {file = "rates.npz", key = "y"}'))) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert told in said
    assert "lr: file" in said


def test_a_file_larger_than_memory_is_refused_before_it_is_read(capsys):
    np.save("rates.npy", np.ones(3))
    data = Path("rates.npy").read_bytes()
    header = data[:128].replace(b"(3,), }" + b" " * 11, b"(137438953472,), }")
    assert len(header) == 128
    assert header != data[:128]
    Path("rates.npy").write_bytes(header)
    os.truncate("rates.npy", 128 + 8 * 137438953472)
    assert ran("run", write(SGD.replace("lr = 0.2", 'lr = {file = "rates.npy"}'))) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "needs 1.02e+03 GiB" in said
    assert "lr: reading" in said


def test_more_than_there_is_memory_for_is_no_usage_error(capsys):
    assert ran("run", write(FLOW.replace("width = 10", "width = 1000000000000"))) == 1
    assert "GiB" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", 'engine = "OnlineSGD"\nsolver = "SaadSolla"'])
def test_what_to_run_must_be_said(text, capsys):
    assert ran("run", write(text)) == 2
    assert "must name what to run" in " ".join(capsys.readouterr().err.split())


def test_an_absent_file_is_said(capsys):
    assert ran("run", "absent.toml") == 2
    assert "absent.toml: cannot be read" in capsys.readouterr().err


#: Files that no one means well with, and what is said of each.
HOSTILE = {
    "lists without end": (b"x = " + b"[" * 100_000, "nest too deep"),
    "tables without end": (b"x = " + b"{a=" * 50_000, "nest too deep"),
    "a key without end": (b"run." + b"a." * 100_000 + b"b = 1", "line 1: a key has more than 32 parts"),
    "a header without end": (b"x = 1\n[run" + b" . 'a'" * 100_000 + b"]", "line 2: a key has more than 32"),
    "a number without end": (b"x = " + b"9" * 5000, "more digits than are read"),
    "a large file": (b"#" * (1 << 20) + b"\n", "has more than 1048576 bytes"),
    "a header of blanks": (b'["' + b" " * 200_000 + b'"]', "there is no such key or table"),
    "no text": (b"x = '\xff'", "it is no text"),
    "half a character": (b'x = "\\ud800"', "is no TOML"),
    "a null": (b"x = '\0'", "is no TOML"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_file_stops_the_reader(name):
    content, words = HOSTILE[name]
    Path("x.toml").write_bytes(content)
    begun = time.process_time()
    with pytest.raises(configs.ConfigError, match=words):
        configs.read(Path("x.toml")).refuse_unknown(["run"])
    # Seconds, on any machine: tomllib alone would take hours over the longest keys.
    assert time.process_time() - begun < 10.0


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs devices")
def test_no_more_is_read_than_a_configuration_can_hold(capsys):
    assert ran("run", "/dev/zero") == 2
    assert "has more than 1048576 bytes" in " ".join(capsys.readouterr().err.split())


def test_lines_are_found_around_texts_and_lists():
    text = "\n".join(
        [
            "[a]",
            'words = """',
            "x = 1",
            '"""',
            "list = [",
            "  # y = 2",
            "  [3],",
            "]",
            "z.u = 4 # [b]",
            "[c.d]",
            "e=5",
        ]
    )
    Path("x.toml").write_text(text)
    lines = configs.read(Path("x.toml"))._lines
    expected = {
        ("a",): 1,
        ("a", "words"): 2,
        ("a", "list"): 5,
        ("a", "z", "u"): 9,
        ("c", "d"): 10,
        ("c", "d", "e"): 11,
    }
    assert lines == expected


def test_divergence_is_no_usage_error(capsys):
    relu = SGD.replace("K = 1\n", 'K = 1\nactivation = "relu"\n').replace("lr = 0.2", "lr = 50.0")
    assert ran("run", write(relu.replace("t_max = 1", "t_max = 200"))) == 1
    assert "hmm-rs: error:" in capsys.readouterr().err


# -- other commands --------------------------------------------------------------------------------


def test_resume_and_rerun(capsys):
    long = SGD.replace(
        "t_max = 1", 't_max = 30\ncheckpoint = "run.npz"\nmax_seconds = 0\nsave_at = [0, 15, 30]'
    )
    assert ran("run", write(long)) == 0
    assert "ended: max_seconds" in capsys.readouterr().out
    assert ran("resume", "run.npz", "--output", "whole.nc") == 0
    assert xr.load_dataset("whole.nc").t.values.tolist() == [0, 15, 30]
    assert ran("resume", "run.npz", "--output", "no/where.nc") == 2
    assert "its folder does not exist" in " ".join(capsys.readouterr().err.split())
    assert ran("rerun", "whole.nc") == 0
    assert "the same bits as saved" in capsys.readouterr().out
    changed = xr.load_dataset("whole.nc")
    changed["eg"] = changed.eg + 1e-15
    changed.to_netcdf("changed.nc", engine="h5netcdf")
    assert ran("rerun", "changed.nc") == 1
    assert "NOT the same bits" in capsys.readouterr().out


def test_a_result_that_is_made_again_can_be_kept(capsys):
    ran("run", write(SGD), "--quiet")
    assert ran("rerun", "run.nc", "--output", "again.nc") == 0
    assert xr.load_dataset("again.nc").equals(xr.load_dataset("run.nc"))
    assert ran("rerun", "run.nc", "--output", "no/where.nc") == 2
    assert "its folder does not exist" in " ".join(capsys.readouterr().err.split())


def test_a_table_of_numbers_is_written_where_the_name_says_so():
    ran("run", write(SGD + '\n[output]\nfile = "run.csv"\n'), "--quiet")
    head, *lines = Path("run.csv").read_text().splitlines()
    assert {"t", "eg"} <= set(head.split(","))
    assert len(lines) >= len(xr.load_dataset(_ran_to_netcdf()).t)


def _ran_to_netcdf() -> str:
    ran("run", write(SGD), "--quiet")
    return "run.nc"


def test_a_picture_that_cannot_be_drawn_loses_no_result(capsys):
    # The variable is asked for by name, and there is none of it.
    text = SGD + '\n[plot]\nkind = "learning_curve"\nvariable = "energy"\n'
    assert ran("run", write(text)) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "run.toml, line 26: [plot] result has no variable 'energy'" in said
    assert "note: the result itself is in run.nc" in said
    assert "eg" in xr.load_dataset("run.nc")
    assert not Path("run.png").exists()


def test_run_can_go_on_from_its_checkpoint():
    long = SGD.replace(
        "t_max = 1", 't_max = 30\ncheckpoint = "run.npz"\nmax_seconds = 0\nsave_at = [0, 15, 30]'
    )
    write(long)
    assert ran("run", "run.toml", "--resume", "--quiet") == 0
    for _ in range(3):
        assert ran("run", "run.toml", "--resume", "--quiet") == 0
    assert xr.load_dataset("run.nc").t.values[-1] > 0


def test_a_file_that_is_no_checkpoint(capsys):
    write("words", "run.npz")
    assert ran("resume", "run.npz") == 2
    assert "is not a whole checkpoint" in " ".join(capsys.readouterr().err.split())


def test_cite_names_what_a_result_rests_on(capsys):
    ran("run", write(SGD), "--quiet")
    assert ran("cite", "run.nc") == 0
    said = capsys.readouterr().out
    assert "041044" in said
    assert "@article{hidden-manifold," in said
    assert "@misc{hmm_rs," in said
    assert "Pellegrini" not in said
    assert ran("cite") == 0
    everything = capsys.readouterr().out
    for author in ("Goldt", "Loureiro", "Pellegrini", "Paccolat", "Saad"):
        assert author in everything
    for entry in re.findall(r"^@\w+\{.*?^\}", everything, re.M | re.S):
        assert entry.count("{") == entry.count("}")


@pytest.mark.parametrize("encoding", ["ascii", "cp932"])
def test_names_are_printed_where_their_letters_are_unknown(encoding):
    child = subprocess.run(
        [sys.executable, "-P", "-m", "hmm_rs", "cite"],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
        timeout=60,
    )
    assert child.returncode == 0, child.stderr
    assert "Mézard".encode(encoding, "backslashreplace") in child.stdout


def test_cite_reads_checkpoints_and_says_when_there_is_nothing(capsys):
    ran("run", write(SGD.replace("t_max = 1", 't_max = 1\ncheckpoint = "run.npz"')), "--quiet")
    assert ran("cite", "run.npz") == 0
    said = capsys.readouterr().out
    assert "@article{hidden-manifold," in said
    assert "Pellegrini" not in said
    xr.Dataset({"x": 1.0}).to_netcdf("other.nc", engine="h5netcdf")
    assert ran("cite", "other.nc") == 2
    words = " ".join(capsys.readouterr().err.split())
    assert "other.nc: says nothing of the works behind it; hmm-rs cite without a file lists all" in words


def test_the_explorer_is_served_as_asked(monkeypatch, capsys):
    asked = {}

    def serve(*, started, **options):
        asked.update(options)
        started("http://127.0.0.1:7000")

    monkeypatch.setattr("hmm_rs.explore.serve", serve)
    assert ran("explore", "--port", "7000", "--no-browser") == 0
    assert asked == {"host": "127.0.0.1", "port": 7000, "browser": False}
    assert "the explorer is at http://127.0.0.1:7000; Ctrl-C ends it" in capsys.readouterr().out


def test_the_package_is_cited_as_its_file_says():
    assert f'title: "{LIBRARY.title}"' in (ROOT / "CITATION.cff").read_text()


def test_info_says_what_a_bug_report_needs(capsys):
    assert ran("info") == 0
    said = capsys.readouterr().out
    assert re.search(rf"^hmm_rs +{re.escape(hr.__version__)}$", said, re.M)
    for word in ("threads", "memory", "instruction set", "numpy", "GiB"):
        assert word in said


def test_info_says_what_extras_lack(monkeypatch, capsys):
    wanted = [
        "numpy>=1.26",
        "no-such-library>=2 ; extra == 'plot'",
        "numpy ; extra == 'io'",
        "tomllib ; extra == 'io'",
    ]
    monkeypatch.setattr(commands.metadata, "requires", lambda name: wanted)
    assert ran("info") == 0
    said = capsys.readouterr().out
    assert re.search(r"^extra \[plot\] +lacks no-such-library: pip install 'hmm_rs\[plot\]'$", said, re.M)
    # What is no distribution but can be imported is there.
    assert re.search(r"^extra \[io\] +complete$", said, re.M)

    def unknown(name):
        raise commands.metadata.PackageNotFoundError(name)

    # The source tree is no installed package: it says nothing of extras.
    monkeypatch.setattr(commands.metadata, "requires", unknown)
    assert ran("info") == 0
    assert "extra" not in capsys.readouterr().out


def test_bench_measures(monkeypatch, capsys):
    monkeypatch.setattr(speed, "_LONG_ENOUGH", 0.001)
    assert ran("bench", "--threads", 2) == 0
    said = capsys.readouterr().out
    numbers = [float(n) for line in said.splitlines()[1:5] for n in line.split()[-2:]]
    assert len(numbers) == 8
    assert min(numbers) > 0
    assert max(map(len, said.splitlines())) <= 80


def test_reproduce_asks_the_room_of_figures(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(hr.figures, "names", lambda: ("hinge-1", "hinge-2"), raising=False)

    def gallery(names, scale, out):
        asked.append((names, scale, out))
        return hr.figures.Gallery(Path(out) / "index.html", ("hinge-2",) if scale == "paper" else ())

    monkeypatch.setattr(hr.figures, "gallery", gallery, raising=False)
    assert ran("reproduce", "--list") == 0
    assert capsys.readouterr().out == "hinge-1\nhinge-2\n"
    assert ran("reproduce", "hinge-2", "--out", "here") == 0
    assert ran("reproduce", "--all", "--scale", "paper") == 1
    assert "failed: hinge-2" in capsys.readouterr().out
    assert asked == [(["hinge-2"], "small", "here"), (None, "paper", "gallery")]
    assert ran("reproduce", "hinge-9") == 2
    assert "no such figure" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [[], ["nonsense"], ["run"], ["reproduce"], ["run", "a.toml", "--scale", "x"]]
)
def test_a_wrong_command_is_usage(words, capsys):
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2
    assert "usage: hmm-rs" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["reproduce", "--help"]])
def test_help_fits_the_terminal(words, capsys):
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


# -- as a process ----------------------------------------------------------------------------------

LONG = SGD.replace("t_max = 1", 't_max = 1e7\ncheckpoint = "run.npz"\nsave_at = [0, 1e7]')


def started(*words):
    program = "import sys; from hmm_rs.cli import main; sys.exit(main())"
    return subprocess.Popen(
        [sys.executable, "-P", "-c", program, *words],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize(
    ("number", "code", "words"),
    [(signal.SIGTERM, 85, "hmm-rs resume goes on"), (signal.SIGINT, 130, "ended by Ctrl-C")],
)
def test_signals_save_and_say_so(number, code, words):
    write(LONG)
    process = started("run", "run.toml", "--quiet")
    deadline = time.monotonic() + 60
    # The first save is tried before the first step and removed; afterwards the run is on.
    while not Path("run.npz").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.3)
        if time.monotonic() > deadline - 56:
            break
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code, said
    assert words in said
    assert "Traceback" not in said
    assert hr.load("run.npz").t > 0


def test_a_closed_pipe_is_no_error():
    program = "import sys; from hmm_rs.cli import main; sys.exit(main())"
    command = f'"{sys.executable}" -P -c "{program}" cite | head -n 1'
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert not done.stderr


def test_the_module_is_the_command():
    done = subprocess.run(
        [sys.executable, "-P", "-m", "hmm_rs", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == f"hmm_rs {hr.__version__}"
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"hmm-rs": "hmm_rs.cli:main"}
