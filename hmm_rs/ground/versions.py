"""What is installed, and what to cite."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Any

from .. import _lib

__all__ = ["WORKS", "cite", "show_versions"]

#: Works by citation key.
WORKS: dict[str, str] = {
    "hidden-manifold": (
        "S. Goldt, M. Mézard, F. Krzakala, L. Zdeborová, Modeling the influence of data structure on learning "
        "in neural networks: the hidden manifold model, Phys. Rev. X 10, 041044 (2020), arXiv:1909.11500"
    ),
    "gaussian-equivalence": (
        "S. Goldt, B. Loureiro, G. Reeves, F. Krzakala, M. Mézard, L. Zdeborová, The Gaussian equivalence of "
        "generative models for learning with shallow neural networks, arXiv:2006.14709"
    ),
    "gaussian-covariate-model": (
        "B. Loureiro, C. Gerbelot, H. Cui, S. Goldt, F. Krzakala, M. Mézard, L. Zdeborová, Learning curves of "
        "generic features maps for realistic datasets with a teacher-student model, NeurIPS 2021, "
        "arXiv:2102.08127"
    ),
    "hinge-mean-field": (
        "F. Pellegrini, G. Biroli, An analytic theory of shallow networks dynamics for hinge loss "
        "classification, NeurIPS 2020, arXiv:2006.11209"
    ),
    "geometric-compression": (
        "J. Paccolat, L. Petrini, M. Geiger, K. Tyloo, M. Wyart, Geometric compression of invariant manifolds "
        "in neural networks, J. Stat. Mech. (2021) 044001, arXiv:2007.11471"
    ),
    "saad-solla": (
        "D. Saad, S. A. Solla, On-line learning in soft committee machines, Phys. Rev. E 52, 4225 (1995)"
    ),
}


def cite(*datasets: Any) -> str:
    """Return the works behind `datasets` (all works if none is given), one per line.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> "hidden manifold" in hr.cite()
    True
    """
    keys = (
        [key for d in datasets for key in str(d.attrs.get("cite", "")).split()] if datasets else list(WORKS)
    )
    return "\n".join(WORKS[key] for key in dict.fromkeys(keys) if key in WORKS)


def show_versions() -> None:
    """Print versions of hmm_rs and what it uses, for bug reports."""
    print(f"hmm_rs            {_lib.__version__}")
    print(f"instruction set   {_lib.instruction_set()}")
    print(f"threads           {_lib.get_num_threads()}")
    print(f"python            {platform.python_version()} on {platform.platform()}")
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
            print(f"{name:<17} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            print(f"{name:<17} not installed")
