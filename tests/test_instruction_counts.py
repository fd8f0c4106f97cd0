"""The inner kernels execute as many instructions as they did when benches/instructions.json was written."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parent.parent
sys.path.insert(0, str(TOP / "benches"))
try:
    import instructions
finally:
    sys.path.pop(0)

#: The counts are those of one compiler and repeat to four digits; the rest is for another C library (memory, `exp` of
#: the set-up's odd calls) and for what the one worker of the pool does between calls.
TOLERANCE = 0.02

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def programs() -> None:
    """The programs, made anew; without the tools that takes, a skip."""
    for tool in ("valgrind", "cargo", "rustc"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed: instructions cannot be counted")
    if platform.machine() != "x86_64":
        pytest.skip("the counts that are kept are those of AVX2")
    crates = ("-p", "hmm-core", "-p", "hmm-sim")
    subprocess.run(["cargo", "build", "--release", "--locked", "--examples", *crates], check=True, cwd=TOP)
    # A processor without AVX2 shows valgrind none.
    if instructions.counted("core_kernels", "dot_float64", 1)[1] != "v3":
        pytest.skip("valgrind shows the program no AVX2 here: the counts that are kept are those of AVX2")


@pytest.mark.parametrize("kernel", instructions.KERNELS, ids=lambda kernel: kernel[1])
def test_kernels_execute_as_many_instructions_as_before(programs, kernel):
    kept = instructions.kept()
    if kept["compiler"] != instructions.compiler():
        pytest.skip(f"counts are those of {kept['compiler']}, here is {instructions.compiler()}")
    before = kept["instructions"][kernel[1]]
    now = instructions.per_item(*kernel)
    # More is a loss; fewer is a gain that must be kept.
    assert now == pytest.approx(before, rel=TOLERANCE), (
        f"{kernel[1]}: {now:.5g} instructions an item, {before:.5g} before; if that is meant, renew the counts: "
        "python benches/instructions.py"
    )


def test_a_forced_set_is_what_runs(programs):
    def forced(name):
        return instructions.counted("core_kernels", "dot_float64", 2000, {"HMM_RS_INSTRUCTION_SET": name})

    best, _ = instructions.counted("core_kernels", "dot_float64", 2000)
    avx2, name = forced("avx2")
    assert name == "v3"
    # The same kernel; the way to a choice is a few instructions longer.
    assert avx2 == pytest.approx(best, rel=TOLERANCE)
    baseline, name = forced("baseline")
    assert name == "scalar"
    # One number a time instead of four, and a call for each fused multiply-add.
    assert baseline > 3 * avx2
    # Valgrind's processor has no AVX-512, whatever the real one has.
    with pytest.raises(RuntimeError, match="must be one that this machine has"):
        forced("avx512")
