"""What each command does."""

from __future__ import annotations

import argparse
import os
import platform
from importlib import metadata, util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import _lib
from ..dynamics import checkpoint as checkpoints
from ..dynamics.resuming import engines
from ..dynamics.resuming import resume as resumed
from ..ground.arguments import threads as checked_threads
from ..ground.errors import InvalidParameterError
from ..ground.memory import available_bytes
from ..ground.versions import cite as cited
from ..ground.versions import libraries
from ..ground.works import WORKS
from ..reruns.again import is_checkpoint, saved
from ..reruns.again import rerun as again
from . import speed
from .build import prepare, second
from .config import read
from .output import Output, summary, write

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["bench", "cite", "explore", "info", "reproduce", "rerun", "resume", "run"]


def run(asked: argparse.Namespace) -> int:
    """Run or solve what a configuration describes."""
    threads = checked_threads("--threads", asked.threads)
    config = read(Path(asked.config))
    output = Output.of(config)
    prepared = prepare(config)
    if asked.check:
        print(f"{config.path}: {prepared.name} is ready to run; results would go to {output.listed()}")
        return 0
    options: dict[str, Any] = {"progress": not asked.quiet}
    if threads is not None:
        options["threads"] = threads
    checkpoint = prepared.arguments.get("checkpoint")
    if asked.resume and checkpoint is not None and Path(checkpoint).exists():
        result = resumed(checkpoint, **options)
    else:
        result = prepared.run(**options)
    theory = second(config, prepared, result)
    line = None if theory is None else theory.run(**options)
    written = output.write(result, line)
    if not asked.quiet:
        print(summary(prepared.name, result, line, None if theory is None else theory.name))
        print(f"wrote {', '.join(written)}")
    return 0


def resume(asked: argparse.Namespace) -> int:
    """Finish a run from its checkpoint."""
    path = Path(asked.checkpoint)
    target = checkpoints.place("--output", asked.output or path.with_suffix(".nc"))
    result = resumed(path, progress=not asked.quiet, threads=checked_threads("--threads", asked.threads))
    write(result, target)
    if not asked.quiet:
        print(summary(path.name, result))
        print(f"wrote {asked.output or path.with_suffix('.nc')}")
    return 0


def rerun(asked: argparse.Namespace) -> int:
    """Make a saved result again and compare the bits."""
    path = Path(asked.result)
    target = checkpoints.place("--output", asked.output) if asked.output else None
    result = again(path, progress=not asked.quiet, threads=checked_threads("--threads", asked.threads))
    if target is not None:
        write(result, target)
    # A checkpoint that is finished holds the result; an unfinished one nothing to compare with.
    before = None if is_checkpoint(path) else saved(path, str(path))
    same = before is None or _same_where_saved(result, before)
    if not asked.quiet:
        print(summary(path.name, result))
        if before is not None:
            print("the same bits as saved" if same else "NOT the same bits as saved")
    return 0 if same else 1


def _same_where_saved(result: xr.Dataset, before: xr.Dataset) -> bool:
    """Return whether a result agrees with what was saved of it, bit for bit."""
    return all(name in result.variables and result[name].equals(before[name]) for name in before.variables)


def reproduce(asked: argparse.Namespace) -> int:
    """Make published figures."""
    from .. import figures as room

    figures: Any = room
    # The room of figures says for each of them what failed.
    known = figures.names()
    if asked.list:
        print("\n".join(known))
        return 0
    unknown = [name for name in asked.names if name not in known]
    if unknown:
        raise InvalidParameterError(
            f"{', '.join(unknown)}: there is no such figure; hmm-rs reproduce --list says which there are"
        )
    page, failed = figures.gallery(None if asked.all else asked.names, scale=asked.scale, out=asked.out)
    print(f"wrote {page}")
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


def explore(asked: argparse.Namespace) -> int:
    """Serve the explorer until Ctrl-C."""
    from ..explore import serve

    def started(address: str) -> None:
        print(f"the explorer is at {address}; Ctrl-C ends it", flush=True)

    serve(host=asked.host, port=asked.port, browser=not asked.no_browser, started=started)
    return 0


def bench(asked: argparse.Namespace) -> int:
    """Measure how fast this machine is."""
    print(speed.report(checked_threads("--threads", asked.threads) or _lib.get_num_threads()))
    return 0


def cite(asked: argparse.Namespace) -> int:
    """Say what to cite: a sentence, and BibTeX."""
    keys = list(WORKS) if asked.result is None else _cited_by(Path(asked.result))
    if not keys:
        raise InvalidParameterError(
            f"{asked.result}: says nothing of the works behind it; hmm-rs cite without a file lists all"
        )
    listed = ", ".join(f"\\cite{{{key}}}" for key in keys)
    print(
        f"Computed with hmm_rs {_lib.__version__} \\cite{{hmm_rs}}, which implements the models and equations of "
        f"{listed}.\n"
    )

    import xarray as xr

    result = xr.Dataset(attrs={"cite": " ".join(keys)})
    print(cited(result))
    print()
    print(cited(result, style="bibtex"))
    return 0


def _cited_by(path: Path) -> list[str]:
    """Return the citation keys of a saved result or checkpoint."""
    if not is_checkpoint(path):
        return [key for key in str(saved(path, str(path)).attrs.get("cite", "")).split() if key in WORKS]
    header, _ = checkpoints.read(path)
    engine = engines().get(header["driver"])
    return list(engine._cite) if engine is not None else []


def info(asked: argparse.Namespace) -> int:
    """Say what is installed and what the machine has."""
    del asked
    rows = [
        ("hmm_rs", _lib.__version__),
        ("python", f"{platform.python_version()} on {platform.platform()}"),
        ("threads", f"{_lib.get_num_threads()} by default, {os.cpu_count()} cores"),
        ("memory", f"{available_bytes() / 2**30:.1f} GiB free"),
        ("instruction set", _lib.instruction_set()),
        *((name, version or "not installed") for name, version in libraries().items()),
        *((f"extra [{name}]", state) for name, state in _extras().items()),
    ]
    width = max(len(name) for name, _ in rows)
    print("\n".join(f"{name:<{width}}  {value}" for name, value in rows))
    return 0


def _extras() -> dict[str, str]:
    """Return which extras of the installed package are there, and what the others lack."""
    try:
        wanted = metadata.requires("hmm_rs") or []
    except metadata.PackageNotFoundError:
        return {}
    found: dict[str, list[str]] = {}
    for line in wanted:
        requirement, _, marker = line.partition(";")
        name = marker.partition("extra ==")[2].strip().strip("\"'")
        library = requirement.strip()
        for sign in "<>=![ ":
            library = library.partition(sign)[0]
        if name and library and library != "hmm_rs":
            lacking = found.setdefault(name, [])
            if not _is_installed(library):
                lacking.append(library)
    return {
        name: f"lacks {', '.join(lacking)}: pip install 'hmm_rs[{name}]'" if lacking else "complete"
        for name, lacking in found.items()
    }


def _is_installed(library: str) -> bool:
    try:
        metadata.version(library)
    except metadata.PackageNotFoundError:
        return util.find_spec(library.replace("-", "_")) is not None
    return True
