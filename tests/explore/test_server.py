"""The explorer as the command line serves it."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import hmm_rs as hr

pytest.importorskip("bokeh", reason="needs Bokeh: pip install 'hmm_rs[explore]'")

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(hr.__file__).parents[1])}
COMMAND = [sys.executable, "-P", "-m", "hmm_rs", "explore", "--no-browser"]


@contextmanager
def served(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command with some options, and the address it gives."""
    child = subprocess.Popen(
        [*COMMAND, *options], env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout is not None
        line = child.stdout.readline()
        found = re.search(r"http://\S+/", line)
        assert found, line + (child.stderr.read() if child.stderr else "")
        yield child, found[0]
    finally:
        if child.poll() is None:
            child.kill()
        child.communicate()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with served("--port", "0") as (_, url):
        yield url


@pytest.mark.parametrize(("origin", "code"), [("http://elsewhere.example", 403), (None, 101)])
def test_only_its_own_pages_may_ask_it(address, origin, code) -> None:
    """A page of somebody else's, open in the same browser, gets no session."""
    place = address.removeprefix("http://").rstrip("/")
    connection = http.client.HTTPConnection(place, timeout=20)
    page = urllib.request.urlopen(address, timeout=20).read().decode()
    token = re.search(r'"token":"([^"]+)"', page)
    assert token is not None
    connection.request(
        "GET",
        "/ws",
        headers={
            "Origin": origin or f"http://{place}",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Protocol": f"bokeh, {token[1]}",
        },
    )
    answer = connection.getresponse()
    assert answer.status == code
    answer.close()
    connection.close()


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process there")
def test_ctrl_c_ends_it() -> None:
    with served("--port", "0") as (child, _):
        child.send_signal(signal.SIGINT)
        _, said = child.communicate(timeout=20)
        assert child.returncode == 130
        assert said.strip() == "hmm-rs: note: ended by Ctrl-C"


def asked(*options: str, **extra: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *options], env={**ENVIRONMENT, **extra}, capture_output=True, text=True, timeout=60
    )


def test_a_port_in_use_is_said() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        answer = asked("--port", str(port))
    assert answer.returncode == 1
    assert " ".join(answer.stderr.split()) == (
        f"hmm-rs: error: port = {port}: is in use; pass --port with another one, or 0 for any that is free"
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--port", "70000"), "port = 70000: must be an integer <= 65535"),
        (("--host", "192.0.2.1"), "host = '192.0.2.1': is no address of this machine"),
        (("--host", "no such host"), "host = 'no such host': is no address of this machine"),
    ],
)
def test_a_wrong_address_is_said(options, words) -> None:
    answer = asked(*options)
    assert answer.returncode == 2
    assert words in " ".join(answer.stderr.split())
    assert "Traceback" not in answer.stderr


def test_without_bokeh_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "bokeh").mkdir()
    (tmp_path / "bokeh" / "__init__.py").write_text("raise ImportError('No module named bokeh')\n")
    answer = asked(PYTHONPATH=os.pathsep.join([str(tmp_path), ENVIRONMENT["PYTHONPATH"]]))
    assert answer.returncode == 1
    assert "hmm-rs explore needs bokeh" in answer.stderr
    assert "pip install 'hmm_rs[explore]'" in " ".join(answer.stderr.split())
