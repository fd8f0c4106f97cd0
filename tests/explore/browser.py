"""A headless Chromium, driven by its DevTools protocol through tornado's WebSocket: nothing to install beside it."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

#: Names that Debian, Fedora, Arch and Google give it.
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def chromium() -> str | None:
    """Path of the browser, or None."""
    given = os.environ.get("CHROMIUM")
    return given or next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One browser with one page; a context manager."""

    def __init__(self, profile: Path, *, width: int = 1280, height: int = 900) -> None:
        self.size = (width, height)
        self._loop = asyncio.new_event_loop()
        self._number = 0
        self.events: list[dict[str, Any]] = []
        command = [
            str(chromium()),
            "--headless=new",
            # Tests run as root in containers, where there is no sandbox.
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--remote-debugging-port=0",
            f"--user-data-dir={profile}",
            f"--window-size={width},{height}",
            "about:blank",
        ]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        port = self._port()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=20) as answer:
            page = next(each for each in json.load(answer) if each["type"] == "page")
        self._socket = self._loop.run_until_complete(self._connect(page["webSocketDebuggerUrl"]))
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")
        self.resize(width, height)

    def _port(self) -> int:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if found := re.search(r"DevTools listening on ws://127\.0\.0\.1:(\d+)/", line):
                return int(found[1])
        raise RuntimeError("the browser ended before it could be driven")

    @staticmethod
    async def _connect(url: str) -> Any:
        from tornado.websocket import websocket_connect

        return await websocket_connect(url, max_message_size=100_000_000)

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.terminate()
        self.process.wait(20)
        assert self.process.stderr is not None
        self.process.stderr.close()
        self._loop.run_until_complete(self._leave())
        self._loop.close()

    async def _leave(self) -> None:
        # Inside the loop: outside of it tornado makes another one, and nobody closes that.
        self._socket.close()
        await asyncio.sleep(0.05)

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}

        async def exchange() -> dict[str, Any]:
            await self._socket.write_message(json.dumps(message))
            while True:
                answer = json.loads(await asyncio.wait_for(self._socket.read_message(), 60))
                if answer.get("id") == self._number:
                    return answer
                self.events.append(answer)

        answer = self._loop.run_until_complete(exchange())
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def run(self, code: str) -> Any:
        """Return the value of an expression of JavaScript, awaited if it is a promise."""
        answer = self.send(
            "Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True, userGesture=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, code: str, seconds: float = 30.0) -> Any:
        """Wait until an expression is true, and return it."""
        end = time.monotonic() + seconds
        while not (value := self.run(code)):
            assert time.monotonic() < end, f"still false after {seconds:g} s: {code}"
            time.sleep(0.05)
        return value

    def resize(self, width: int, height: int) -> None:
        """Give the page another size."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )

    def open(self, address: str) -> None:
        """Go to an address and wait until the explorer is drawn there."""
        self.send("Page.navigate", url=address)
        self.wait(
            f"location.href.startsWith({json.dumps(address.split('?')[0])}) && document.readyState == 'complete'"
        )
        self.wait("window.Bokeh && Bokeh.documents.length == 1")
        self.wait("Bokeh.documents[0].get_model_by_name('texts')?.tags[0].length > 0")

    def key(self, key: str, code: int) -> None:
        """Press a key on what has the focus."""
        for kind in ("rawKeyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def picture(self, path: Path) -> None:
        """Write what is on screen to a PNG file."""
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"]))

    def complaints(self) -> list[str]:
        """Errors in scripts, what could not be loaded, and what was fetched from elsewhere."""
        said = []
        for event in self.events:
            inner = event.get("params", {})
            if event.get("method") == "Runtime.exceptionThrown":
                said.append(str(inner["exceptionDetails"].get("exception", {}).get("description", inner)))
            elif event.get("method") == "Log.entryAdded" and inner["entry"]["level"] == "error":
                said.append(f"{inner['entry']['text']} {inner['entry'].get('url', '')}")
            elif event.get("method") == "Network.requestWillBeSent":
                url = inner["request"]["url"]
                if not url.startswith(("http://127.0.0.1", "ws://127.0.0.1", "data:", "about:", "blob:")):
                    said.append(f"fetched {url}")
        return said
