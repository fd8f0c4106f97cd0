"""What stands about the package in more than one place says the same."""

import fnmatch
import importlib.metadata
import re
import shutil
import subprocess
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


def test_the_manual_and_the_wheel_say_the_version_of_the_crate():
    assert "release = hmm_rs.__version__" in (ROOT / "docs/conf.py").read_text()
    try:
        assert importlib.metadata.version("hmm_rs") == hr.__version__
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the source tree is tested, no wheel")


def test_the_newest_notes_are_those_of_the_version(cargo):
    version = cargo["package"]["version"]
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert headings[0] == version
    if shutil.which("make") is None:
        pytest.skip("needs make")
    notes = ["make", "-s", "release-notes"]
    newest = subprocess.run(notes, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    asked = subprocess.run(
        [*notes, f"VERSION={version}"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert newest == asked.stdout
    assert newest.startswith(f"## {version}")
    assert newest.count("\n## ") == 0
    assert subprocess.run([*notes, "VERSION=0.0.0"], cwd=ROOT, capture_output=True, check=False).returncode


def test_an_extra_of_a_user_brings_no_tool_of_developers(project):
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]

    def names(requirements):
        return {re.match(r"[\w-]+", entry)[0].lower() for entry in requirements if isinstance(entry, str)}

    extras = set().union(*map(names, project["optional-dependencies"].values())) - {"hmm_rs"}
    # JAX is a user's where networks are convolutional, and a rival in the benchmarks.
    tools = set().union(*map(names, groups.values())) - {"hmm_rs", "jax"}
    assert not extras & tools
    # The package imports each of these, but for two executors that a user passes and what h5netcdf reads by.
    source = "\n".join(path.read_text() for path in (ROOT / "hmm_rs").rglob("*.py"))
    for library in (extras | names(project["dependencies"])) - {"distributed", "dask", "h5py"}:
        module = {"scikit-learn": "sklearn"}.get(library, library)
        assert re.search(rf"(?:import {module}|from {module}|\"{module}[.\"])", source), library


def test_what_a_wheel_says_of_itself_is_complete(project):
    assert {"Homepage", "Documentation", "Repository", "Changelog", "Issues"} <= set(project["urls"])
    assert project["authors"]
    assert project["readme"] == "README.md"
    # PEP 639: an expression, and no classifier beside it.
    assert project["license"] == "Apache-2.0 OR MIT"
    assert not [entry for entry in project["classifiers"] if entry.startswith("License")]
    for pattern in project["license-files"]:
        assert list(ROOT.glob(pattern)), pattern


def test_the_source_archive_holds_all_that_stands_in_the_repository():
    """What the crates and the package are comes by itself; all else is named."""
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["maturin"]
    named = [entry["path"] for entry in tool["include"] if entry["format"] == "sdist"]
    ignored = [line.strip("/") for line in (ROOT / ".gitignore").read_text().split()]
    by_itself = {"Cargo.toml", "Cargo.lock", "pyproject.toml", "README.md", "rust", "hmm_rs", "PKG-INFO"}
    for entry in ROOT.iterdir():
        # Settings of tools that work on a clone.
        if entry.name in by_itself or (entry.name[0] == "." and entry.name not in (".github", ".gitignore")):
            continue
        if any(fnmatch.fnmatch(entry.name, pattern) for pattern in ignored):
            continue
        within = f"{entry.name}/x/y" if entry.is_dir() else entry.name
        patterns = [path.replace("**/*", "*/*") for path in named]
        flat = [*patterns, *(path.replace("/*", "/x/y") for path in named if path.endswith("/*"))]
        assert any(fnmatch.fnmatch(within, pattern) for pattern in flat), entry.name


def test_every_crate_can_be_published(cargo):
    """What crates.io asks for; the bindings are for wheels only."""
    for member in cargo["members"]:
        folder = ROOT / member
        package = tomllib.loads((folder / "Cargo.toml").read_text())["package"]
        if package.get("publish") is False:
            assert package["name"] == "hmm-py"
            continue
        assert package["description"]
        assert 1 <= len(package["keywords"]) <= 5
        assert all(len(word) <= 20 for word in package["keywords"])
        assert 1 <= len(package["categories"]) <= 5
        assert (folder / package["readme"]).is_file()
        for name in ("LICENSE-APACHE", "LICENSE-MIT"):
            assert (folder / name).read_text() == (ROOT / name).read_text()
        for key in ("version", "license", "repository", "rust-version", "edition"):
            assert package[key] == {"workspace": True}


def crates_in_a_wheel(cargo):
    """Return (name, version) of every crate of others that the lock file leads to from the bindings."""
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    ours = {}
    for member in cargo["members"]:
        manifest = tomllib.loads((ROOT / member / "Cargo.toml").read_text())
        ours[manifest["package"]["name"]] = set(manifest["dependencies"])
    found, waiting = set(), ["hmm-py"]
    while waiting:
        name, _, version = waiting.pop().partition(" ")
        for package in lock:
            key = (package["name"], package["version"])
            if package["name"] != name or version not in ("", package["version"]) or key in found:
                continue
            found.add(key)
            # The lock file does not tell what only tests need; our own manifests do.
            needs = package.get("dependencies", [])
            waiting += [entry for entry in needs if name not in ours or entry.partition(" ")[0] in ours[name]]
    return {key for key in found if key[0] not in ours}


#: Locked for features that are off, so that cargo-about does not list them.
OFF = {"bytemuck_derive", "crunchy", "gemm-f16", "getrandom", "half", "r-efi", "zerocopy", "zerocopy-derive"}


def test_the_notices_are_in_step_with_the_lock_file(cargo):
    text = (ROOT / "THIRD-PARTY.md").read_text(encoding="utf-8")
    ours = {Path(member).name for member in cargo["members"]}
    listed, _, below = text.partition("## Texts")
    listed = {entry for entry in re.findall(r"^\* (\S+) (\S+): ", listed, re.M) if entry[0] not in ours}
    wanted = {entry for entry in crates_in_a_wheel(cargo) if entry[0] not in OFF}
    assert len(wanted) > 50
    assert listed == wanted, f"run `make notices`: {sorted(listed ^ wanted)}"
    # Each has its text.
    assert {entry for entry in re.findall(r"^\* (\S+) (\S+)$", below, re.M) if entry[0] not in ours} == wanted
