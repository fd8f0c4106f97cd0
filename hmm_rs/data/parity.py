"""Images labelled by the parity of their class, in balanced sets."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..ground.arguments import array, count, whole_numbers
from ..ground.arguments import seed as checked_seed
from ..ground.errors import InvalidParameterError, ShapeError
from ..ground.overflow import within_range
from .images import digits as digit_images
from .images import read_idx as load_idx

__all__ = ["ParitySets", "digits", "load_idx", "parity_sets"]

Array = npt.NDArray[Any]


def digits() -> tuple[Array, Array]:
    """Return scikit-learn's 1797 digits: images (1797, 8, 8) and classes."""
    found = digit_images()
    # Back to the 17 grey levels of the data set: exact, they were divided by a power of two.
    return 16.0 * found.X.reshape(-1, 8, 8), found.classes


class ParitySets(NamedTuple):
    """Three disjoint sets, each a pair (images (P, height, width), labels +1 and -1)."""

    train: tuple[Array, Array]
    kernel: tuple[Array, Array]
    test: tuple[Array, Array]


def parity_sets(
    images: npt.ArrayLike, classes: npt.ArrayLike, *, train: int, kernel: int, test: int, seed: int = 0
) -> ParitySets:
    """Cut images into balanced training, kernel and test sets, labelled by the parity of their class.

    The mean image is subtracted and each image scaled to norm sqrt(pixels); the label is +1 for even
    classes. Each class is shuffled and one of each is taken in turn; the test set is cut first, then the
    kernel set, then the training set.

    Parameters
    ----------
    images, classes
        Shapes (P, height, width) and (P,).
    train, kernel, test
        Sizes.
    seed
        Of the shuffles.

    Examples
    --------
    >>> from hmm_rs import cnn
    >>> sets = cnn.parity_sets(*cnn.digits(), train=50, kernel=20, test=100)
    >>> sets.train[0].shape
    (50, 8, 8)
    """
    pictures = array("images", images, (None, None, None), rule="(images, height, width)")
    names = whole_numbers("classes", classes)
    if names.shape != (len(pictures),):
        raise ShapeError(f"classes has shape {names.shape}: must be ({len(pictures)},); pass one per image")
    sizes = [count(name, n) for name, n in (("test", test), ("kernel", kernel), ("train", train))]
    generator = np.random.default_rng(checked_seed(seed))
    queues = [generator.permutation(np.flatnonzero(names == name)) for name in np.unique(names)]
    shortest = min(map(len, queues))
    order = np.column_stack([queue[:shortest] for queue in queues]).ravel()
    if sum(sizes) > len(order):
        raise InvalidParameterError(
            f"train + kernel + test = {sum(sizes)}: only {len(order)} images make balanced sets; ask for fewer"
        )
    with within_range("images"):
        centred = pictures - pictures.mean(axis=0)
        norms = np.sqrt((centred**2).mean(axis=(1, 2), keepdims=True))
        centred /= np.where(norms > 0, norms, 1.0)
    parity = np.where(names % 2 == 0, 1.0, -1.0)
    cuts = np.split(order[: sum(sizes)], np.cumsum(sizes)[:-1])
    tests, kernels, trains = ((centred[cut], parity[cut]) for cut in cuts)
    return ParitySets(trains, kernels, tests)
