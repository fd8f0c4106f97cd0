"""Images with class labels: scikit-learn's digits, and local files in the MNIST format (idx)."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from ..ground.arguments import array, choice, count, items, reals, whole_numbers
from ..ground.arguments import seed as checked_seed
from ..ground.errors import InvalidParameterError, ShapeError
from ..ground.extras import extra
from ..ground.memory import require
from .files import regular_file

__all__ = ["NORMALISATIONS", "Images", "digits", "load_idx", "normalise", "read_idx"]

#: Names of :func:`normalise`.
NORMALISATIONS = ("global", "image", "half")

#: Bytes of a file that are read at a time.
_PIECE = 1 << 22

#: Types of an idx file by their code; all are big-endian.
_IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


@dataclass(frozen=True, eq=False)
class Images:
    """Images, shape (P, N) with values in [0, 1], and their classes, shape (P,).

    Examples
    --------
    >>> import numpy as np
    >>> from hmm_rs.data.images import Images
    >>> images = Images(np.eye(4), np.array([0, 1, 2, 3]))
    >>> images.parity
    array([ 1., -1.,  1., -1.])
    >>> images.of_classes([1, 3]).X.shape
    (2, 4)
    """

    X: npt.NDArray[np.float64]
    classes: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        object.__setattr__(self, "X", reals("X", self.X))
        object.__setattr__(self, "classes", whole_numbers("classes", self.classes))
        if self.X.ndim != 2 or self.classes.shape != (len(self.X),) or self.X.size == 0:
            raise ShapeError(
                f"X has shape {self.X.shape} and classes {self.classes.shape}: must be (P, N) and (P,) with "
                f"P, N >= 1; pass one class per image"
            )

    @property
    def parity(self) -> npt.NDArray[np.float64]:
        """+1 for even classes, -1 for odd ones."""
        return np.where(self.classes % 2 == 0, 1.0, -1.0)

    def labels(self, positive: Iterable[int]) -> npt.NDArray[np.float64]:
        """Return +1 for the classes in `positive`, -1 for others (for clothes 0, 2, 3, 5, 8)."""
        wanted = whole_numbers("positive", items("positive", positive, "classes, for example [0, 2]"))
        return np.where(np.isin(self.classes, wanted), 1.0, -1.0)

    def of_classes(self, classes: Iterable[int]) -> Images:
        """Return the images of some classes."""
        listed = whole_numbers("classes", items("classes", classes, "classes, for example [0, 2]"))
        wanted = np.isin(self.classes, listed)
        if not wanted.any():
            raise InvalidParameterError(
                f"classes: none of the {len(self.X)} images is of these; "
                f"pass some of {np.unique(self.classes).tolist()}"
            )
        return Images(self.X[wanted], self.classes[wanted])

    def split(self, n_test: int, *, seed: Any = 0) -> tuple[Images, Images]:
        """Return (training images, `n_test` test images), drawn at random without replacement."""
        n_test = count("n_test", n_test)
        if n_test >= len(self.X):
            raise InvalidParameterError(
                f"n_test = {n_test}: must leave training images of {len(self.X)}; pass a smaller n_test"
            )
        order = np.random.default_rng(checked_seed(seed)).permutation(len(self.X))
        test, train = order[:n_test], order[n_test:]
        return Images(self.X[train], self.classes[train]), Images(self.X[test], self.classes[test])


def normalise(
    X: npt.NDArray[np.floating[Any]],
    how: str,
    *,
    reference: npt.NDArray[np.floating[Any]] | None = None,
) -> npt.NDArray[np.float64]:
    """Return images in the normalisation `how`.

    Parameters
    ----------
    X
        Images, shape (P, N).
    how
        "global": one mean and one standard deviation of all pixels, to 0 and 1. "image": those of each
        image. "half": (x - 1/2)/(1/2), what "mean .5, std .5" maps [0, 1] to.
    reference
        The images whose mean and standard deviation "global" takes; X unless given. Test images
        get those of the training set.

    Raises
    ------
    InvalidParameterError
        If pixels that are to have standard deviation 1 are all equal.

    Examples
    --------
    >>> import numpy as np
    >>> from hmm_rs.data.images import normalise
    >>> normalise(np.array([[0.0, 1.0], [0.0, 0.5]]), "image")
    array([[-1.,  1.],
           [-1.,  1.]])
    """
    choice("how", how, NORMALISATIONS)
    X = array("X", X, (None, None), rule="= (P, N)")
    if reference is not None:
        reference = array("reference", reference, (None, None), rule="= (P, N)")
    if how == "half":
        return np.asarray(2.0 * X - 1.0, dtype=np.float64)
    source = X if reference is None or how == "image" else reference
    axis = 1 if how == "image" else None
    with np.errstate(over="ignore", invalid="ignore"):
        mean, spread = source.mean(axis=axis, keepdims=True), source.std(axis=axis, keepdims=True)
    if not np.isfinite(spread).all():
        raise InvalidParameterError(
            f"X holds pixels of up to {float(np.abs(source).max()):.3g}: too large for a standard deviation; "
            f"divide X by that first"
        )
    if not (spread > 0.0).all():
        raise InvalidParameterError(
            f"X: pixels are all equal {'in an image' if how == 'image' else ''}, so no standard deviation can be 1; "
            f"drop blank images or use how='half'"
        )
    return np.asarray((X - mean) / spread, dtype=np.float64)


def digits() -> Images:
    """Return the 1797 handwritten digits of scikit-learn, 8 x 8 pixels (N = 64).

    Raises
    ------
    MissingExtraError
        If scikit-learn is not installed (images of your own are read by :func:`load_idx`).

    Examples
    --------
    >>> from hmm_rs.data.images import digits
    >>> digits().X.shape
    (1797, 64)
    """
    bunch = extra("sklearn.datasets", of="sklearn", needed_by="digits()").load_digits()
    return Images(bunch.data / 16.0, bunch.target.astype(np.int64))


def read_idx(path: str | Path) -> npt.NDArray[Any]:
    """Return the array in a file of the idx format (that of MNIST), gzipped or not.

    The header is read first, and no more than it announces: a small file that unpacks without end is refused.

    Raises
    ------
    InvalidParameterError
        If there is no such file, or it is truncated, too long, or not an idx file.
    ResourceError
        If the array that the header announces does not fit into memory.

    Notes
    -----
    Two zero bytes, one for the type, one for the number of dimensions, the dimensions as big-endian
    32-bit integers, then the data, last index fastest.
    """
    path = regular_file(path, "the path of a whole idx file")
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            if not packed:
                return _idx_array(path, raw)
            with gzip.GzipFile(fileobj=raw) as unpacked:
                return _idx_array(path, unpacked)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise _refusal(path, f"is not a whole gzip file ({error})") from None
    except OSError as error:
        raise _refusal(path, f"cannot be read ({error.strerror or error})") from None


def _refusal(path: Path, why: str) -> InvalidParameterError:
    return InvalidParameterError(f"path = {str(path)!r}: {why}; pass the path of a whole idx file")


def _idx_array(path: Path, file: IO[bytes] | gzip.GzipFile) -> npt.NDArray[Any]:
    """Return the array in an open idx file."""
    start = file.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in _IDX_TYPES or start[3] == 0:
        raise _refusal(path, "is not an idx file (its first four bytes are no idx header)")
    axes = file.read(4 * start[3])
    if len(axes) < 4 * start[3]:
        raise _refusal(path, "is truncated within its header")
    shape = struct.unpack(f">{start[3]}I", axes)
    dtype = np.dtype(_IDX_TYPES[start[2]])
    expected = math.prod(shape) * dtype.itemsize
    # The bytes as read, put together, and in the machine's own order.
    require(3 * expected, f"an array of shape {shape}", f"check the header of {path.name}")
    pieces, held = [], 0
    while held <= expected:
        piece = file.read(min(_PIECE, expected + 1 - held))
        if not piece:
            break
        pieces.append(piece)
        held += len(piece)
    if held != expected:
        state = "truncated" if held < expected else "too long"
        found = f"{held}" if held < expected else f"more than {expected}"
        raise _refusal(path, f"is {state}: {found} bytes of data, {expected} expected for shape {shape}")
    values = np.frombuffer(b"".join(pieces), dtype=dtype)
    # The shape may have more axes than numpy allows, or lengths whose product is zero.
    try:
        return values.reshape(shape).astype(dtype.newbyteorder("="))
    except ValueError as error:
        raise _refusal(path, f"has shape {shape}, which is no array's ({error})") from None


def load_idx(images: str | Path, labels: str | Path) -> Images:
    """Return images and classes of two local idx files, such as those of MNIST or Fashion-MNIST.

    Parameters
    ----------
    images
        File of unsigned bytes, shape (P, height, width); gzipped or not.
    labels
        File of unsigned bytes, shape (P,).

    Raises
    ------
    InvalidParameterError
        If a file is missing, truncated, foreign, or holds other types.
    ShapeError
        If the numbers of images and of labels differ.

    Examples
    --------
    >>> from pathlib import Path
    >>> from hmm_rs.data.images import load_idx
    >>> header = bytes([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2])
    >>> size = Path("images").write_bytes(header + bytes([0, 51, 102, 255]))
    >>> size = Path("labels").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 1, 7]))
    >>> load_idx("images", "labels").X
    array([[0. , 0.2, 0.4, 1. ]])
    """
    pixels, classes = read_idx(images), read_idx(labels)
    for name, value, path, axes in (("images", pixels, images, 3), ("labels", classes, labels, 1)):
        if value.dtype != np.uint8 or value.ndim != axes:
            raise InvalidParameterError(
                f"{name} = {str(path)!r}: holds {value.dtype} of {value.ndim} axes, must be unsigned bytes of {axes}; "
                f"pass the {name} file of a data set in the MNIST format"
            )
    if len(pixels) != len(classes) or pixels.size == 0:
        raise ShapeError(
            f"images has shape {pixels.shape} and labels {classes.shape}: must hold one label per image and at "
            f"least one pixel; pass two files of the same set"
        )
    return Images(pixels.reshape(len(pixels), -1) / 255.0, classes.astype(np.int64))
