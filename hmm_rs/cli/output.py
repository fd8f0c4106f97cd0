"""Where results go, and what is said of them."""

from __future__ import annotations

import inspect
import shutil
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..frames import to_frame
from ..ground.errors import HmmError
from ..ground.extras import extra
from .config import Config, Table
from .kinds import parameters

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Output", "summary", "write"]

#: Variables that a summary shows first.
_FIRST = (
    "eg",
    "test_error",
    "test_mse",
    "train_error",
    "unsatisfied",
    "satisfied",
    "gamma",
    "loss",
    "compression",
)
_MOST_LINES = 8


@dataclass
class Output:
    """What a configuration wants to be written.

    Parameters
    ----------
    file, theory, picture
        Where result, theory and picture go; None: not written.
    plot
        The table of the picture.
    options
        Arguments of the plot function.
    draw
        The plot function.
    """

    file: Path
    theory: Path | None
    picture: Path | None
    plot: Table
    options: dict[str, Any] = field(default_factory=dict)
    draw: Callable[..., Any] | None = None

    @classmethod
    def of(cls, config: Config) -> Output:
        """Return what a configuration says, its places tried: an hour of work must not end at a missing folder."""
        table, plot = config.table("output"), config.table("plot")
        table.refuse_unknown(("file", "theory"))
        file = Path(table.take("file", str, f"{config.path.stem}.nc"))
        line = table.values.get("theory")
        theory = None if line is None else Path(str(line))
        if theory is not None and "theory" not in config.values:
            raise table.error(
                "theory", f"theory = {line!r}: there is no theory to write; write a table [theory]"
            )
        made = cls(file, theory, None, plot)
        for key, path in (("file", file), ("theory", theory)):
            if path is not None:
                _try_place(table, key, path)
        if "plot" in config.values:
            made._plan(config)
        return made

    def _plan(self, config: Config) -> None:
        """Find the plot function and check its arguments."""
        plots = extra("hmm_rs.plot", of="plot", needed_by="[plot]")
        kind = self.plot.take("kind", str, "learning_curve")
        if kind not in plots.__all__:
            raise self.plot.error("kind", f"kind = {kind!r}: unknown; known are {', '.join(plots.__all__)}")
        self.picture = Path(self.plot.take("file", str, f"{config.path.stem}.png"))
        _try_place(self.plot, "file", self.picture)
        self.draw = getattr(plots, kind)
        known = [
            name for name in parameters(self.draw) if name not in ("results", "result", "theory", "lines")
        ]
        self.plot.refuse_unknown(["kind", "file", *known])
        self.options = {
            key: tuple(value) if isinstance(value, list) else value for key, value in self.plot.values.items()
        }

    def listed(self) -> str:
        """Return the files in words."""
        return ", ".join(str(path) for path in (self.file, self.theory, self.picture) if path is not None)

    def write(self, result: xr.Dataset, theory: xr.Dataset | None) -> list[str]:
        """Write everything; return the files."""
        write(result, self.file)
        done = [self.file]
        if self.theory is not None and theory is not None:
            write(theory, self.theory)
            done.append(self.theory)
        if self.draw is not None and self.picture is not None:
            import matplotlib as mpl

            # No window: the command line may run where there is no screen.
            with mpl.rc_context({"backend": "agg"}):
                self._draw(result, theory)
            done.append(self.picture)
        return [str(path) for path in done]

    def _draw(self, result: xr.Dataset, theory: xr.Dataset | None) -> None:
        from matplotlib.figure import Figure

        assert self.draw is not None
        assert self.picture is not None
        figure = Figure(figsize=(5.0, 3.6), layout="constrained")
        ax = figure.add_subplot()
        given = [result, *([theory] if theory is not None and _takes_two(self.draw) else [])]
        try:
            self.draw(*given, ax=ax, **self.options)
        except HmmError as error:
            blamed = self.plot.blamed(error)
            blamed.add_note(f"the result itself is in {self.file}")
            raise blamed from error
        figure.savefig(self.picture, dpi=200)


def _takes_two(draw: Callable[..., Any]) -> bool:
    """Return whether a plot function lays a second result over the first."""
    return any(
        p.kind is inspect.Parameter.VAR_POSITIONAL for p in inspect.signature(draw).parameters.values()
    )


def _try_place(table: Table, key: str, path: Path) -> None:
    if path.is_dir() or not path.parent.is_dir():
        why = "is a folder" if path.is_dir() else f"its folder {str(path.parent)!r} does not exist"
        raise table.error(key, f"{key} = {str(path)!r}: {why}; make the folder, or name another file")


def write(result: xr.Dataset, path: Path) -> None:
    """Write a result: a table where the name ends in .csv, netCDF otherwise, with the best library there is."""
    if path.suffix == ".csv":
        to_frame(result).to_csv(path, index=False)
        return
    result.to_netcdf(path, engine="h5netcdf" if find_spec("h5netcdf") else "scipy")


def summary(
    name: str, result: xr.Dataset, theory: xr.Dataset | None = None, solver: str | None = None
) -> str:
    """Return what a result holds in a few lines, at most as wide as the terminal."""
    width = max(shutil.get_terminal_size().columns, 40)
    dim = next(iter(result.sizes), None)
    words = [name]
    if dim is not None and dim in result.coords and result.sizes[dim]:
        along = result[dim].values
        ends = f"{along[0]:.6g} to {along[-1]:.6g}" if len(along) > 1 else f"{along[0]:.6g}"
        words.append(f"{dim} = {ends}" + (f", {len(along)} points" if len(along) > 1 else ""))
    if "wall_time" in result.attrs:
        threads = int(result.attrs["threads"])
        words.append(f"{result.attrs['wall_time']:.3g} s on {threads} thread{'s' if threads > 1 else ''}")
    if stopped := result.attrs.get("stopped"):
        words.append(f"ended: {stopped}")
    lines = [", ".join(words)]
    # What lies along the axis alone; of several seeds the mean.
    shown = {
        str(key): values for key, values in result.data_vars.items() if set(values.dims) <= {dim, "seed"}
    }
    chosen = [key for key in _FIRST if key in shown] + [key for key in shown if key not in _FIRST]
    column = max((len(key) for key in chosen[:_MOST_LINES]), default=0)
    for key in chosen[:_MOST_LINES]:
        values = shown[key]
        several = "seed" in values.dims and dim != "seed"
        numbers = np.atleast_1d((values.mean("seed") if several else values).values)
        label = str(values.attrs.get("long_name", ""))
        label = ("mean of seeds: " if several else "") + ("" if label == key else label)
        line = f"  {key:<{column}}  {_ends(numbers):<24}"
        lines.append((line + label if len(line) + len(label) <= width else line).rstrip())
    if len(chosen) > _MOST_LINES:
        rest = textwrap.wrap(f"and {', '.join(chosen[_MOST_LINES:])}", width - 2, break_long_words=False)
        lines += [f"  {line}" for line in rest]
    if theory is not None:
        lines.append(_verdict(result, theory, solver or "theory"))
    return "\n".join(lines)


def _ends(numbers: npt.NDArray[Any]) -> str:
    """Return the first and the last of some numbers."""
    if not numbers.size:
        return "-"
    return f"{numbers[0]:.6g}" if numbers.size == 1 else f"{numbers[0]:.6g} -> {numbers[-1]:.6g}"


def _verdict(result: xr.Dataset, theory: xr.Dataset, solver: str) -> str:
    """Return how theory and run agree."""
    from ..comparison import compare

    try:
        table = compare(result, theory)
    except HmmError as error:
        return f"{solver}: not compared ({error})"
    gap, said = table.attrs["largest_gap"], table.attrs["verdict"]
    return f"{solver} {said} with the run in {table.attrs['variable']}: largest gap {float(gap):.3g}"
