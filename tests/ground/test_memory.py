"""Memory is asked for first: limits of the machine, the process and the container count."""

import subprocess
import sys
import textwrap

import pytest

import hmm_rs as hr
from hmm_rs.ground import memory


def group(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(str(text) + "\n")


def v2(limit, used, cache=0):
    return {
        "memory.max": limit,
        "memory.current": used,
        "memory.stat": f"anon 1\ninactive_file {cache}\nactive_file 7",
    }


def v1(limit, used, cache=0):
    return {
        "memory.limit_in_bytes": limit,
        "memory.usage_in_bytes": used,
        "memory.stat": f"inactive_file 5\ntotal_inactive_file {cache}",
    }


def left(root, membership):
    memory._limiting_groups.cache_clear()
    groups = memory._limiting_groups(root, membership)
    memory._limiting_groups.cache_clear()
    return min((memory._left_in(*group) for group in groups), default=1 << 60)


def test_the_tightest_group_above_the_process_counts(tmp_path):
    root, membership = tmp_path / "cgroup", tmp_path / "membership"
    membership.write_text("0::/slice/job/step\n")
    group(root / "slice" / "job" / "step", v2("max", 10))
    group(root / "slice" / "job", v2(10_000, 4_000, cache=1_500))
    group(root / "slice", v2(50_000, 4_000))
    assert left(root, membership) == 7_500
    group(root / "slice", v2(5_000, 4_000))
    assert left(root, membership) == 1_000
    # Inside a container the named group is not visible: the top one is the container's own.
    membership.write_text("0::/../../elsewhere\n")
    group(root, v2(3_000, 1_000))
    assert left(root, membership) == 2_000
    group(root, v2(3_000, 4_000))
    assert left(root, membership) == 0


def test_groups_of_version_one_count(tmp_path):
    root, membership = tmp_path / "cgroup", tmp_path / "membership"
    membership.write_text("9:name=systemd:/job\n5:cpu,cpuacct:/job\n4:memory:/job\n0::/\n")
    group(root / "memory" / "job", v1(9_223_372_036_854_771_712, 4))
    group(root / "memory", v1(8_000, 5_000, cache=500))
    assert left(root, membership) == 3_500


def test_no_group_means_no_limit(tmp_path):
    assert left(tmp_path, tmp_path / "missing") == 1 << 60
    (tmp_path / "membership").write_text("0::/\n")
    assert left(tmp_path, tmp_path / "membership") == 1 << 60


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
