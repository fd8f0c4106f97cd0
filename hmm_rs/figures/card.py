"""What one published figure is, and how large it is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from ..ground.arguments import choice
from .reproduction import Parts

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Card", "Scale", "Sureness"]

#: How sure we are of a published figure's content and parameters.
Sureness = Literal["high", "medium", "low", "none"]

_T = TypeVar("_T")


@dataclass(frozen=True)
class Scale:
    """How large a figure is made, and where its long runs keep their checkpoints.

    Attributes
    ----------
    name
        "small" (at most two minutes on two cores) or "paper" (the paper's sizes).
    folder
        Where checkpoints lie; None: none are kept.

    Examples
    --------
    >>> from hmm_rs.figures import Scale
    >>> Scale("small").pick(small=1000, paper=10_000)
    1000
    """

    name: Literal["small", "paper"] = "small"
    folder: Path | None = None

    @classmethod
    def of(cls, scale: str | Scale) -> Scale:
        """Return the scale of this name, or the scale itself.

        Parameters
        ----------
        scale
            "small", "paper" or a scale.

        Examples
        --------
        >>> from hmm_rs.figures import Scale
        >>> Scale.of("paper").name
        'paper'
        """
        if isinstance(scale, Scale):
            return scale
        return cls("paper" if choice("scale", scale, ("small", "paper")) == "paper" else "small")

    def pick(self, *, small: _T, paper: _T) -> _T:
        """Return the value that goes with this scale."""
        return small if self.name == "small" else paper

    def run(self, key: str, engine: Any, *arguments: Any, **options: Any) -> xr.Dataset:
        """Run an engine under a key; with a folder, go on from the checkpoint an earlier attempt left.

        Parameters
        ----------
        key
            Name of the run, unique within the figure.
        engine
            Any engine with ``run(..., checkpoint=)``.
        arguments, options
            What its ``run`` takes.

        Returns
        -------
        xarray.Dataset
            The whole run.
        """
        if self.folder is None:
            result: xr.Dataset = engine.run(*arguments, **options)
            return result
        from ..dynamics import resume

        path = self.folder / f"{key}.npz"
        if path.is_file():
            return resume(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        result = engine.run(*arguments, **options, checkpoint=path)
        return result


@dataclass(frozen=True)
class Card:
    """One published figure: what it shows, with which parameters, how sure we are, and how it is made.

    Attributes
    ----------
    name
        What ``hmm_rs.figures.run`` calls it.
    work
        The work it comes from: "hidden manifold", "Gaussian equivalence", "geometric compression", "hinge mean field",
        "beyond the papers".
    title
        One line.
    content
        What is drawn over what.
    parameters
        The published parameters as far as they are known, and ours where they are not.
    sureness
        How sure we are of content and parameters.
    make
        Returns the data, the picture and the table at a scale; None where it cannot be made.
    missing
        What the published figure has and this one cannot have, and why.
    """

    name: str
    work: str
    title: str
    content: str
    parameters: str
    sureness: Sureness
    make: Callable[[Scale], Parts] | None = field(repr=False)
    missing: str = ""
