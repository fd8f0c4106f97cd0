"""The tangent kernel of a finite network."""

from __future__ import annotations

from concurrent.futures import Executor
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from .. import _lib
from ..ground import arguments
from ..ground.activations import RECTIFIERS
from ..ground.errors import DtypeError, InvalidParameterError, ShapeError
from ..ground.memory import require
from ..ground.workers import executor_of, in_order
from ..networks.mean_field import MeanFieldNetwork
from .closed import points_of

__all__ = ["Part", "memory_estimate", "network_ntk"]

Array = npt.NDArray[Any]
#: Which parameters' gradients enter a tangent kernel.
Part = Literal["full", "last"]
#: Points on a side of the pieces that workers compute, unless a tile has more.
_SIDE = 1024


def memory_estimate(
    P: int, Q: int | None = None, *, dtype: str = "float64", block: int = 256, threads: int | None = None
) -> dict[str, int]:
    """Return the bytes that :func:`network_ntk` takes: ``output``, ``scratch`` and ``total``.

    The scratch memory does not grow with the number of points or neurons.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> hr.kernels.memory_estimate(2000)["output"]
    32000000
    """
    P = arguments.count("P", P)
    Q = P if Q is None else arguments.count("Q", Q)
    dtype = arguments.dtype_name(dtype)
    output = P * Q * np.dtype(dtype).itemsize
    # No tile is larger than the kernel.
    block = min(arguments.count("block", block), max(P, Q))
    scratch = _lib.network_ntk_bytes(block, dtype=dtype, threads=arguments.threads("threads", threads))
    return {"output": output, "scratch": scratch, "total": output + scratch}


def network_ntk(
    network: MeanFieldNetwork,
    X: npt.ArrayLike,
    Y: npt.ArrayLike | None = None,
    *,
    part: Part = "full",
    block: int = 256,
    out: Array | None = None,
    threads: int | None = None,
    executor: Any = None,
) -> Array:
    r"""Return the neural tangent kernel of a finite network at its weights, h Theta (P, Q).

    .. math:: h\Theta = \tfrac{s^2}{h} [R R'^T + (A A'^T) \circ ((M B)(M' B)^T)]

    with A = (x/sqrt d, 1), R the rectified pre-activations, M where they are positive, B = diag(a) and
    activation s max(0, u): two masked Gram products, never a Jacobian.

    Parameters
    ----------
    network
        A :class:`hmm_rs.MeanFieldNetwork` with activation "relu" or "sqrt2_relu". Products are taken in its
        precision, sums over blocks of neurons in double precision.
    X, Y
        Points, shapes (P, d), (Q, d); `Y=None` stands for `X`: the symmetric half only is computed.
    part
        "full", or "last": gradients with respect to the output weights alone (the kernel of the features).
    block
        Points per side of a tile. Raise it for inputs of many dimensions.
    out
        Array of shape (P, Q) and of the network's dtype to write to, for instance a :class:`numpy.memmap`.
    threads
        Number of threads in this process; None for the default. The result does not depend on it.
    executor
        Where pieces of the kernel, up to 1024 points on a side, are computed: any executor of the standard library's
        kind, or a Dask client. Each piece takes the network and its points along, and one thread. None: in this
        process. The result does not depend on it.

    Raises
    ------
    InvalidParameterError
        A kernel that leaves the range of its precision; a worker with another version of the package.
    ResourceError
        A kernel, or tiles of `block` points, that do not fit into memory; workers that are lost again and again.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> network = hr.MeanFieldNetwork([2.0], [[1.0]], [0.0], activation="sqrt2_relu")
    >>> hr.kernels.network_ntk(network, [[3.0]])  # 2 (3^2 + (3^2 + 1) 2^2)
    array([[98.]])
    """
    arguments.instance("network", network, MeanFieldNetwork, "MeanFieldNetwork.random(h, d)")
    threads = arguments.threads("threads", threads)
    if network.activation not in RECTIFIERS:
        raise InvalidParameterError(
            f"network.activation = {network.activation!r}: the tangent kernel is that of rectified units; "
            f'pass a network with activation "relu" or "sqrt2_relu"'
        )
    arguments.choice("part", part, get_args(Part))
    dtype = arguments.dtype_name(network.w.dtype)
    x, y = points_of(X, Y, dtype)
    if x.shape[1] != network.d:
        raise ShapeError(
            f"X has shape {x.shape}: network has d = {network.d}; pass X with {network.d} columns"
        )
    shape = (len(x), len(x if y is None else y))
    needs = memory_estimate(*shape, dtype=dtype, block=block, threads=threads)
    if out is None:
        require(
            needs["total"],
            f"a kernel of shape {shape}",
            f'lower block, or pass out=np.memmap(path, "{dtype}", "w+", shape={shape})',
        )
        out = np.empty(shape, dtype)
    elif not isinstance(out, np.ndarray) or out.dtype != dtype or not out.flags.c_contiguous:
        raise DtypeError(f"out: must be a C-contiguous array of {dtype}; pass np.empty({shape}, {dtype!r})")
    elif out.shape != shape:
        raise ShapeError(f"out has shape {out.shape}: must be {shape}; pass np.empty({shape}, {dtype!r})")
    else:
        require(needs["scratch"], f"tiles of {block} points", "lower block")
    tile, there = min(block, max(shape)), executor_of(executor)
    if there is None:
        _lib.network_ntk(network, x, y, part=part, block=tile, out=out, threads=threads)
    else:
        _fill_elsewhere(there, (network, x, y, part, tile), out)
    _refuse_overflow(out)
    return out


def _fill_elsewhere(
    executor: Executor, given: tuple[MeanFieldNetwork, Array, Array | None, Part, int], out: Array
) -> None:
    """Fill a kernel with pieces that others compute.

    Pieces are whole tiles, and tiles are the same in a piece and in the whole: so are the bits.
    """
    network, x, y, part, tile = given
    side = tile * max(1, _SIDE // tile)
    places = [
        (slice(top, top + side), slice(left, left + side))
        for top in range(0, len(x), side)
        for left in range(top if y is None else 0, out.shape[1], side)
    ]
    tasks = [
        (
            network,
            x[rows],
            None if y is None and rows == columns else (x if y is None else y)[columns],
            part,
            tile,
        )
        for rows, columns in places
    ]
    pieces = in_order(executor, _piece, tasks, "a kernel")
    for (rows, columns), piece in zip(places, pieces, strict=True):
        out[rows, columns] = piece
        if y is None and rows != columns:
            out[columns, rows] = piece.T


def _piece(
    network: MeanFieldNetwork, x: Array, y: Array | None, part: Part, tile: int, threads: int | None
) -> Array:
    """Return a piece of a kernel."""
    out = np.empty((len(x), len(x if y is None else y)), x.dtype)
    _lib.network_ntk(network, x, y, part=part, block=tile, out=out, threads=threads)
    return out


def _refuse_overflow(kernel: Array) -> None:
    """Refuse a kernel that left the range of its precision, looking at some rows at a time."""
    rows = max(1, 2**22 // kernel.shape[1])
    for start in range(0, len(kernel), rows):
        if not np.isfinite(kernel[start : start + rows]).all():
            raise InvalidParameterError(
                f"network and X: their kernel leaves the range of {kernel.dtype}; rescale them or use float64"
            )
