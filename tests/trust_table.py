"""The table of docs/trust.md, made of what counted tests said.

A program: ``python tests/trust_table.py SAID PAGE`` reads the file that ``HMM_RS_TRUST`` named while the tests ran, and
writes the table between its two marks in the page. `make trust` does both.
"""

from __future__ import annotations

import datetime
import json
import platform
import sys
from pathlib import Path

BEGIN, END = "<!-- the table begins -->", "<!-- the table ends -->"


def processor() -> str:
    """Return the name of this machine's processor."""
    path = Path("/proc/cpuinfo")
    names = [line.split(":", 1)[1] for line in path.read_text().splitlines() if line.startswith("model name")]
    return names[0].strip() if names else platform.machine()


def rows(said: str) -> dict[str, tuple[int, dict[str, int]]]:
    """Return how often each thing was tried and how often it came out badly, what was said in pieces added up."""
    found: dict[str, tuple[int, dict[str, int]]] = {}
    for line in said.splitlines():
        told = json.loads(line)
        times, badly = found.get(told["what"], (0, {}))
        added = {kind: badly.get(kind, 0) + number for kind, number in told["badly"].items()}
        found[told["what"]] = times + told["times"], {**badly, **added}
    return found


def table(said: str, version: str) -> str:
    """Return the table, with when and where it was made."""
    lines = ["| tried | how often | came out |", "|---|---:|---|"]
    for what, (times, badly) in sorted(rows(said).items()):
        outcome = ", ".join(f"{number:,} {kind}" for kind, number in badly.items())
        lines.append(f"| {what} | {times:,} | {outcome} |")
    where = f"{processor()}, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
    when = datetime.date.today().isoformat()
    return "\n".join([*lines, "", f"hmm_rs {version}, {when}, {where}."])


def written(page: str, made: str) -> str:
    """Return a page with its table replaced."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{made}\n\n{END}{after}"


def main() -> None:
    """Read what was said and write the page."""
    import hmm_rs as hr

    said, page = map(Path, sys.argv[1:])
    made = table(said.read_text(encoding="utf-8"), hr.__version__)
    page.write_text(written(page.read_text(encoding="utf-8"), made), encoding="utf-8")
    print(made)


if __name__ == "__main__":
    main()
