"""The commands, their options, and the exit codes."""

from __future__ import annotations

import argparse
import io
import os
import shutil
import sys
import textwrap
import warnings
from collections.abc import Sequence

from .. import _lib
from ..dynamics.signals import SAVED
from ..ground.errors import DtypeError, HmmError, InvalidParameterError, ShapeError
from . import commands

__all__ = ["main", "parser"]

#: What is wrong with the command or its configuration; everything else that fails is 1.
USAGE = 2
INTERRUPTED = 130

_EPILOG = """\
exit codes:
  0    done
  1    failed: a run diverged, a solver did not converge, bits differ
  2    a wrong command, file or configuration
  85   ended by SIGTERM and saved: hmm-rs resume goes on
  130  ended by Ctrl-C (saved too, if the run has a checkpoint)

The manual says how to write a configuration; the repository has examples of
every engine and solver in examples/configs.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    arguments
        Words after the program's name; None for those of this process.
    """
    # What a pipe of Windows takes may lack letters of the authors' names.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    asked = parser().parse_args(arguments)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn  # type: ignore[assignment]
            code: int = asked.function(asked)
            sys.stdout.flush()
            return code
    except HmmError as error:
        _say("error", str(error))
        for note in getattr(error, "__notes__", ()):
            _say("note", note)
        wrong = isinstance(error, (InvalidParameterError, DtypeError, ShapeError))
        return USAGE if wrong else 1
    except KeyboardInterrupt as error:
        _say("note", "ended by Ctrl-C")
        for note in getattr(error, "__notes__", ()):
            _say("note", note)
        return INTERRUPTED
    except SystemExit as end:
        if end.code == SAVED:
            _say("note", "ended by SIGTERM, and saved: hmm-rs resume goes on")
        return int(end.code) if isinstance(end.code, int) else 1
    except BrokenPipeError:
        # Whoever read our output has gone (head, less); what is still to be flushed goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    top = argparse.ArgumentParser(
        prog="hmm-rs",
        description="Simulate and solve how neural networks learn from structured data.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"hmm_rs {_lib.__version__}")
    commanded = top.add_subparsers(metavar="COMMAND", required=True)

    run = commanded.add_parser("run", help="run or solve what a configuration describes")
    run.add_argument("config", metavar="CONFIG.toml", help="the configuration")
    run.add_argument("--check", action="store_true", help="make everything, run nothing")
    run.add_argument(
        "--resume", action="store_true", help="go on from the checkpoint of [run], if it is there"
    )
    _run_options(run)
    run.set_defaults(function=commands.run)

    resume = commanded.add_parser("resume", help="finish a run from its checkpoint")
    resume.add_argument("checkpoint", metavar="CHECKPOINT", help="file that run(checkpoint=...) wrote")
    resume.add_argument("--output", metavar="FILE", help="where the result goes (CHECKPOINT with .nc)")
    _run_options(resume)
    resume.set_defaults(function=commands.resume)

    rerun = commanded.add_parser("rerun", help="make a saved result again, and compare the bits")
    rerun.add_argument("result", metavar="RESULT", help="a netCDF file or a checkpoint")
    rerun.add_argument("--output", metavar="FILE", help="where the new result goes (nowhere)")
    _run_options(rerun)
    rerun.set_defaults(function=commands.rerun)

    reproduce = commanded.add_parser("reproduce", help="make published figures")
    which = reproduce.add_mutually_exclusive_group(required=True)
    which.add_argument("names", nargs="*", default=[], metavar="NAME", help="figures to make")
    which.add_argument("--list", action="store_true", help="say which there are")
    which.add_argument("--all", action="store_true", help="make all of them")
    reproduce.add_argument("--scale", choices=("small", "paper"), default="small", help="sizes (small)")
    reproduce.add_argument("--out", metavar="DIR", default="gallery", help="folder of the gallery (gallery)")
    reproduce.set_defaults(function=commands.reproduce)

    explore = commanded.add_parser("explore", help="open pages where theory follows sliders")
    explore.add_argument("--port", type=int, default=5006, metavar="N", help="port; 0 for a free one (5006)")
    explore.add_argument("--host", default="127.0.0.1", help="address; others may reach it (127.0.0.1)")
    explore.add_argument("--no-browser", action="store_true", help="serve only, open no window")
    explore.set_defaults(function=commands.explore)

    bench = commanded.add_parser("bench", help="measure how fast this machine is, in seconds")
    bench.add_argument("--threads", type=int, metavar="N", help="threads (the default number)")
    bench.set_defaults(function=commands.bench)

    cite = commanded.add_parser("cite", help="say what to cite")
    cite.add_argument(
        "result", nargs="?", metavar="RESULT", help="a saved result or checkpoint; all works without"
    )
    cite.set_defaults(function=commands.cite)

    info = commanded.add_parser("info", help="say what is installed, for bug reports")
    info.set_defaults(function=commands.info)
    return top


def _run_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--threads", type=int, metavar="N", help="threads; results do not depend on them")
    command.add_argument("--quiet", action="store_true", help="no bar and no summary")


def _say(kind: str, words: str) -> None:
    """Print a message to standard error, as wide as the terminal."""
    width = max(shutil.get_terminal_size().columns, 40)
    lines = textwrap.wrap(
        f"hmm-rs: {kind}: {' '.join(words.split())}",
        width,
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    print("\n".join(lines), file=sys.stderr)


def _warn(message: Warning | str, *others: object) -> None:
    del others
    _say("warning", str(message))
