"""The notebooks of the four works: whole, without outputs, with links that lead somewhere, and quick to run."""

import json
import re
from pathlib import Path

import pytest
from notebooks import copy_notebooks
from surface import target_of

NOTEBOOKS = sorted((Path(__file__).parents[2] / "examples" / "notebooks").glob("*.ipynb"))
BY_NAME = {path.stem: path for path in NOTEBOOKS}


@pytest.fixture(params=BY_NAME)
def path(request):
    return BY_NAME[request.param]


def cells(path, kind):
    return [
        "".join(cell["source"])
        for cell in json.loads(path.read_text(encoding="utf8"))["cells"]
        if cell["cell_type"] == kind
    ]


def test_each_of_the_four_works_has_one():
    assert set(BY_NAME) == {"hidden-manifold", "gaussian-equivalence", "compression", "hinge"}


def test_a_notebook_goes_from_the_model_to_its_equations_to_code_and_figures(path):
    headings = re.findall(r"^## (.*)$", "\n".join(cells(path, "markdown")), flags=re.M)
    places = [next(i for i, heading in enumerate(headings) if heading.startswith(word)) for word in
              ("Model", "Equations", "Code and figure")]  # fmt: skip
    assert places == sorted(places)
    assert sum("hr.plot." in cell for cell in cells(path, "code")) >= 2


def test_a_notebook_is_kept_without_outputs(path):
    for cell in json.loads(path.read_text(encoding="utf8"))["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None


def test_a_notebook_reads_without_sphinx(path):
    text = "\n".join(cells(path, "markdown"))
    assert not re.search(r"\{[\w:]+\}`|^:::|^```\{", text, flags=re.M)


def links(path):
    return re.findall(r"\]\(([^)#]+)", "\n".join(cells(path, "markdown")))


def test_links_of_a_notebook_lead_to_files_there_and_in_the_manual(path, tmp_path):
    works = tmp_path / "works"
    works.mkdir()
    (works / "gone.ipynb").write_text("of a notebook that was removed")
    copy_notebooks(path.parent, works)
    assert {copy.name for copy in works.iterdir()} == {original.name for original in NOTEBOOKS}
    for here, there in zip(links(path), links(works / path.name), strict=True):
        assert (path.parent / here).is_file()
        assert not there.startswith("../../")


def test_names_of_the_package_in_a_notebook_exist(path):
    told = re.findall(r"`(hr\.[\w.]+)`", "\n".join(cells(path, "markdown")))
    assert told
    assert [name for name in told if target_of(name) is None] == []


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("hr.OnlineSGD", ("obj", "hmm_rs.OnlineSGD")),
        ("hr.Particles(network, X, y)", ("obj", "hmm_rs.Particles")),
        ("hmm_rs.theory.SaadSolla.solve", ("obj", "hmm_rs.theory.SaadSolla.solve")),
        ("hr.theory", ("mod", "hmm_rs.theory")),
        ("hr.no_such_name", None),
        ("hr.OnlineSGD.run + 1", None),
        ("sim.run(3)", None),
    ],
)
def test_code_that_names_something_public_is_a_link(text, target):
    assert target_of(text) == target


@pytest.mark.slow
def test_a_notebook_runs_within_a_minute(path, monkeypatch):
    # The kernel chooses how pictures are shown, not who started the tests.
    monkeypatch.delenv("MPLBACKEND", raising=False)
    resource = pytest.importorskip("resource", reason="this system does not count a child's time")
    nbformat = pytest.importorskip("nbformat", reason="needs requirements/docs.txt")
    nbclient = pytest.importorskip("nbclient", reason="needs requirements/docs.txt")
    pytest.importorskip("ipykernel", reason="needs requirements/docs.txt")
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # A minute of two cores, whatever else they do meanwhile.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2 * 60
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert [output for output in shown if output.output_type == "error"] == []
    assert [output for output in shown if output.get("name") == "stderr"] == []
    assert sum("image/png" in output.get("data", {}) for output in shown) >= 3
