"""What stands about the package in more than one place says the same."""

import re
import tomllib
from pathlib import Path

import pytest

import hmm_rs as hr

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def cargo():
    return tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_version_is_one(cargo):
    version = cargo["package"]["version"]
    assert hr.__version__ == version
    assert re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(), re.M).group(1) == version
    inside = [entry for name, entry in cargo["dependencies"].items() if "path" in entry]
    assert inside
    assert {entry["version"] for entry in inside} == {version}


def test_licence_and_purpose_are_one(cargo, project):
    assert set(cargo["package"]["license"].split(" OR ")) == set(project["license"].split(" OR "))
    assert cargo["package"]["repository"] == project["urls"]["Repository"]


def test_all_brings_every_extra_of_a_user(project):
    extras = project["optional-dependencies"]
    (everything,) = extras["all"]
    listed = re.fullmatch(r"hmm_rs\[(.*)\]", everything).group(1).split(",")
    assert sorted(listed) == sorted(set(extras) - {"all"})


def test_workflows_try_what_is_promised(cargo, project):
    trial = (ROOT / ".github/workflows/ci.yml").read_text()
    promised = [c.rsplit(" ", 1)[1] for c in project["classifiers"] if re.search(r"Python :: 3\.\d+$", c)]
    tried = set(re.findall(r"\"(3\.\d+)\"", trial))
    assert tried == set(promised)
    assert f"rust-toolchain@{cargo['package']['rust-version']}" in trial
