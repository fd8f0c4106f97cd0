"""The explorer: from a key on a slider to the picture on screen, in headless Chromium."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "explore"))
from browser import Browser, chromium

#: Slider that is moved on each page, what is drawn, and what else the link says.
MOVES = (
    ("online", "lr", "eg", ""),
    ("online", "lr", "eg", "K=4&M=4"),
    ("online", "lr", "eg", "inputs=vanilla"),
    ("online", "lr", "eg", "units=relu"),
    ("online", "lr", "eg", "units=relu&K=3&M=3&delta=0.3"),
    ("hinge", "h", "gamma", ""),
    ("hinge", "h", "gamma", "flip=0.1"),
    ("compression", "p", "factor", ""),
    ("replica", "lam", "test", ""),
    ("replica", "lam", "test", "loss=hinge&spectrum=power+law"),
)
COUNT = 30

#: From the event of the key to the second frame after the data have come: the first one after the picture is painted.
WATCH = """(() => {
  const source = Bokeh.documents[0].get_model_by_name(%s)
  window.taken = []
  let begun = null
  window.addEventListener("keydown", () => { begun = performance.now() }, true)
  source.properties.data.change.connect(() => {
    const from = begun
    begun = null
    if (from == null) return
    requestAnimationFrame(() => requestAnimationFrame(() => taken.push(performance.now() - from)))
  })
})()"""
FOCUS = """(() => {
  const slider = Bokeh.documents[0].get_model_by_name(%s)
  Bokeh.index.find_one_by_id(slider.id).shadow_el.querySelector(".noUi-handle").focus()
})()"""


def spent(*processes: int) -> float:
    """Seconds of processor that processes and their children have taken: what a loaded machine does not stretch."""
    family = [each for top in map(psutil.Process, processes) for each in (top, *top.children(recursive=True))]
    return sum(sum(each.cpu_times()[:2]) for each in family)


def measure(browser: Browser, server: int, address: str, pages: list[str]) -> None:
    """Print what `COUNT` moves take on each page."""
    print(f"{os.cpu_count()} cores, on average {os.getloadavg()[0]:.1f} processes want one")
    for page, field, panel, more in MOVES:
        if pages and page not in pages:
            continue
        source = json.dumps(f"{page} {panel} lines")
        browser.open(f"{address}?page={page}&{more}")
        browser.wait(f"Bokeh.documents[0].get_model_by_name({source}).data.ys.length > 0")
        browser.run("new Promise((done) => setTimeout(done, 500))")
        browser.run(WATCH % source)
        browser.run(FOCUS % json.dumps(f"{page} {field}"))
        before = spent(server), spent(browser.process.pid)
        for number in range(COUNT):
            # To and fro, so that no end is reached.
            browser.key(
                "ArrowRight" if number // 5 % 2 == 0 else "ArrowLeft", 39 if number // 5 % 2 == 0 else 37
            )
            browser.wait(f"taken.length > {number}")
        taken = np.array(browser.run("taken"))
        after = spent(server), spent(browser.process.pid)
        ours, its = (1e3 * (b - a) / COUNT for a, b in zip(before, after, strict=True))
        told = f"{page} {field} {more}".strip()
        print(
            f"{told:<52} fastest {taken.min():6.1f}, median {np.median(taken):6.1f}, worst {taken.max():6.1f} ms   "
            f"processor: server {ours:5.1f} ms, browser {its:5.1f} ms a move",
            flush=True,
        )


def main(pages: list[str]) -> None:
    """Serve, look, and say; of some pages, if their names are given."""
    if chromium() is None:
        print("no Chromium on this machine: nothing is measured")
        return
    command = [sys.executable, "-m", "hmm_rs", "explore", "--no-browser", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            found = re.search(r"http://\S+/", server.stdout.readline())
            assert found is not None
            with tempfile.TemporaryDirectory() as profile, Browser(Path(profile)) as browser:
                measure(browser, server.pid, found[0], pages)
        finally:
            server.kill()


if __name__ == "__main__":
    main(sys.argv[1:])
