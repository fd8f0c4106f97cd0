"""Lines of the pure crates that the quick tests run, Rust's own and those of Python: `make coverage-rust`.

A program: ``python tests/rust_coverage.py [PYTEST ARGUMENTS]`` builds the crates and the extension with counters, runs
the tests of the three large crates, then pytest on a copy of the package with that extension, and prints a table. It
needs `rustup component add llvm-tools`.

Loops that count are slow, so each test of Python is ended after some seconds: the lines that it ran by then are
counted, and no more are claimed than were run.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parent.parent
TARGET = TOP / "target" / "coverage-rust"
CRATES = ("hmm-core", "hmm-sim", "hmm-theory")
#: Seconds that a test of Python and its fixtures may take each.
SECONDS = 5.0


class Limit:
    """A plugin of pytest that ends a test after some seconds; those that follow go on."""

    @staticmethod
    def _limited() -> Iterator[None]:
        signal.signal(signal.SIGALRM, lambda *_: pytest.fail("took longer than is waited for here"))
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        try:
            return (yield)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0.0)

    pytest_runtest_setup = pytest.hookimpl(wrapper=True)(_limited)
    pytest_runtest_call = pytest.hookimpl(wrapper=True)(_limited)


def said(*command: str) -> str:
    """Return what a program prints."""
    return subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=True).stdout


def tool(name: str) -> str:
    """Return a program of LLVM that fits the compiler."""
    found = list(Path(said("rustc", "--print", "sysroot").strip()).glob(f"lib/rustlib/*/bin/{name}"))
    if not found:
        raise SystemExit(f"no {name}: rustup component add llvm-tools")
    return str(found[0])


def counting(environment: dict[str, str], *spared: str) -> dict[str, str]:
    """Return the environment in which crates of this workspace are built with counters, those of others never."""
    wrapper = TARGET / "-".join(["counting", "but", *spared])
    wrapper.parent.mkdir(parents=True, exist_ok=True)
    plain = f'case $CARGO_CRATE_NAME in {"|".join(spared)}) exec "$@";; esac\n' if spared else ""
    wrapper.write_text(f'#!/bin/sh\n{plain}exec "$@" -C instrument-coverage\n', encoding="utf-8")
    wrapper.chmod(0o755)
    return environment | {"RUSTC_WORKSPACE_WRAPPER": str(wrapper)}


def counted_by_rust(environment: dict[str, str]) -> list[str]:
    """Run the crates' own tests; return the programs that did."""
    environment = counting(environment)
    packages = [word for crate in CRATES for word in ("-p", crate)]
    command = ["cargo", "test", "--release", "--locked", "--lib", "--tests", *packages]
    built = subprocess.run(
        [*command, "--no-run", "--message-format=json"],
        cwd=TOP,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    told = [json.loads(line) for line in built.splitlines()]
    programs = [one["executable"] for one in told if one.get("executable")]
    subprocess.run([*command, "--quiet", "--", "--test-threads=1"], cwd=TOP, env=environment, check=True)
    return programs


def counted_by_python(environment: dict[str, str], arguments: list[str]) -> str:
    """Run pytest on a package whose extension counts; return the extension."""
    # The kernels of hmm-core count for too long, and its own tests run nearly all of it.
    environment = counting(environment, "hmm_core")
    command = ["cargo", "build", "--release", "--locked", "--quiet", "-p", "hmm-py"]
    subprocess.run(command, cwd=TOP, env=environment, check=True)
    folder = TARGET / "package"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(TOP / "hmm_rs", folder / "hmm_rs", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    extension = folder / "hmm_rs" / "_lib.abi3.so"
    shutil.copy2(TARGET / "release" / "lib_lib.so", extension)
    # What is about time fails at this pace; the lines are counted all the same.
    subprocess.run(
        [sys.executable, "-P", __file__, "--tests", "-q", *arguments],
        cwd=TOP,
        env=environment | {"PYTHONPATH": str(folder)},
        check=False,
    )
    return str(extension)


def main() -> None:
    """Count, and print lines by crate and what is missing by file."""
    if sys.argv[1:2] == ["--tests"]:
        sys.exit(pytest.main(sys.argv[2:], plugins=[Limit()]))
    profiles = TARGET / "profiles"
    shutil.rmtree(profiles, ignore_errors=True)
    environment = os.environ | {
        "CARGO_TARGET_DIR": str(TARGET),
        "LLVM_PROFILE_FILE": str(profiles / "%m-%p.profraw"),
        # One thread: several that count at once wait for each other's counters.
        "HMM_RS_NUM_THREADS": "1",
    }
    objects = counted_by_rust(environment)
    objects.append(counted_by_python(environment, sys.argv[1:]))
    merged = str(TARGET / "merged.profdata")
    # A process that was killed leaves half a file.
    raw = [str(path) for path in profiles.glob("*.profraw")]
    said(tool("llvm-profdata"), "merge", "--sparse", "--failure-mode=all", *raw, "-o", merged)
    more = [word for one in objects[1:] for word in ("--object", one)]
    exported = said(
        tool("llvm-cov"), "export", "--summary-only", f"--instr-profile={merged}", objects[0], *more
    )
    lines: dict[str, list[int]] = {}
    for file in json.loads(exported)["data"][0]["files"]:
        name = Path(file["filename"])
        crate = next((crate for crate in CRATES if f"rust/{crate}/src" in str(name)), None)
        if crate:
            summary = file["summary"]["lines"]
            missing = summary["count"] - summary["covered"]
            lines[crate] = [
                a + b for a, b in zip(lines.get(crate, [0, 0]), (summary["count"], missing), strict=True)
            ]
            if missing > 20:
                print(f"{missing:5} of {summary['count']:5} not run: {name.relative_to(TOP)}")
    for crate, (count, missing) in lines.items():
        print(f"{crate}: {count - missing:,} of {count:,} lines, {100 * (1 - missing / count):.1f} %")


if __name__ == "__main__":
    main()
