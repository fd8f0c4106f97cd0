"""What is installed, and what to cite."""

from __future__ import annotations

import dataclasses
import platform
from importlib import metadata
from typing import Any, Literal

from .. import _lib
from .arguments import choice
from .results import result_of
from .works import LIBRARY, WORKS

__all__ = ["cite", "libraries", "show_versions"]


def cite(*datasets: Any, style: Literal["text", "bibtex"] = "text") -> str:
    """Return the works behind `datasets` (all works if none is given).

    Parameters
    ----------
    *datasets
        Results.
    style
        "text": one work per line. "bibtex": BibTeX entries, the package itself among them.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> "hidden manifold" in hr.cite()
    True
    >>> hr.cite(style="bibtex").startswith("@misc{hmm_rs,")
    True
    """
    for given in datasets:
        result_of("datasets", given)
    choice("style", style, ("text", "bibtex"))
    keys = (
        [key for d in datasets for key in str(d.attrs.get("cite", "")).split()] if datasets else list(WORKS)
    )
    used = {key: WORKS[key] for key in dict.fromkeys(keys) if key in WORKS}
    if style == "text":
        return "\n".join(work.sentence for work in used.values())
    library = dataclasses.replace(LIBRARY, entry=(("version", _lib.__version__),))
    entries = {"hmm_rs": library, **used}
    return "\n\n".join(work.bibtex(key) for key, work in entries.items())


def show_versions() -> None:
    """Print versions of hmm_rs and what it uses, for bug reports."""
    print(f"hmm_rs            {_lib.__version__}")
    print(f"instruction set   {_lib.instruction_set()}")
    print(f"threads           {_lib.get_num_threads()}")
    print(f"python            {platform.python_version()} on {platform.platform()}")
    for name, version in libraries().items():
        print(f"{name:<17} {version or 'not installed'}")


def libraries() -> dict[str, str | None]:
    """Return the versions of the libraries that hmm_rs uses, None for those that are not installed."""
    found: dict[str, str | None] = {}
    for name in (
        "numpy",
        "scipy",
        "xarray",
        "tqdm",
        "matplotlib",
        "h5netcdf",
        "scikit-learn",
        "zarr",
        "dask",
        "jax",
    ):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found
