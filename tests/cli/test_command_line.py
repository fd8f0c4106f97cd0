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

import pytest
import xarray as xr

import hmm_rs as hr
from hmm_rs.cli import config as configs
from hmm_rs.cli import kinds, main, speed
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
    ("t_max = 1", 't_max = 1\nsave_at = {file = "no.npy"}', 25, "no.npy cannot be read"),
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
]


@pytest.mark.parametrize(("old", "new", "line", "words"), MISTAKES, ids=lambda value: str(value)[:24])
def test_a_mistake_is_named_with_its_key_value_and_line(old, new, line, words, capsys):
    assert old in SGD
    code = ran("run", write(SGD.replace(old, new, 1)))
    said = capsys.readouterr()
    flat = " ".join(said.err.split())
    assert re.search(words, flat), flat
    assert f"run.toml, line {line}" in flat
    assert code == 2
    assert "Traceback" not in said.err
    assert max(map(len, said.err.splitlines())) <= 80


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


def test_the_package_is_cited_as_its_file_says():
    assert f'title: "{LIBRARY.title}"' in (ROOT / "CITATION.cff").read_text()


def test_info_says_what_a_bug_report_needs(capsys):
    assert ran("info") == 0
    said = capsys.readouterr().out
    assert re.search(rf"^hmm_rs +{re.escape(hr.__version__)}$", said, re.M)
    for word in ("threads", "memory", "instruction set", "numpy", "GiB"):
        assert word in said


def test_bench_measures(monkeypatch, capsys):
    monkeypatch.setattr(speed, "_LONG_ENOUGH", 0.001)
    monkeypatch.setattr(speed, "_WORK", speed._WORK[2:])
    assert ran("bench", "--threads", 2) == 0
    said = capsys.readouterr().out
    numbers = [float(n) for line in said.splitlines()[1:3] for n in line.split()[-2:]]
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
