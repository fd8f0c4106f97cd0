"""Memory is asked for first: limits of the machine, the process and the container count."""

import subprocess
import sys
import textwrap

import pytest

import hmm_rs as hr
from hmm_rs.ground import memory


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("kind", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_limits_of_the_process_count(kind):
    script = textwrap.dedent(f"""
        import resource, hmm_rs as hr
        from hmm_rs.ground.memory import available_bytes
        before = available_bytes()
        resource.setrlimit(resource.{kind}, (3 << 30, 3 << 30))
        assert 0 < available_bytes() < min(before, 3 << 30), available_bytes()
        try:
            hr.TeacherStudent(1000).sample(250_000)
        except hr.ResourceError as error:
            assert "GiB are available" in str(error)
        else:
            raise SystemExit("4 GB were not refused")
    """)
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_small_requests_are_granted_and_large_ones_name_what_is_there(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 1 << 30)
    memory.require(1 << 30, "a", "b")
    with pytest.raises(hr.ResourceError, match="this needs 2 GiB: only 1 GiB are available; lower N"):
        memory.require(2 << 30, "this", "lower N")
