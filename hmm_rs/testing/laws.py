"""What the package promises, as functions that a user applies to an own generator, nonlinearity or engine.

Each raises AssertionError with what it saw, and returns nothing or what it measured.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

import hmm_rs as hr

from .bits import difference, leaves

__all__ = [
    "assert_answers_or_refuses",
    "assert_gaussian_equivalent",
    "assert_refuses",
    "assert_same_bits",
]


def assert_same_bits(make: Callable[[], Any], threads: Sequence[int] = (1, 2, 3, 7)) -> None:
    """Assert that a result is the same, bit for bit, on any number of threads.

    Parameters
    ----------
    make
        Computes the result anew at every call, on the default number of threads.
    threads
        Numbers of threads to compare; the default is what it was afterwards.

    Raises
    ------
    AssertionError
        If two results differ; the message says where, and by how much.

    Examples
    --------
    >>> import numpy as np
    >>> import hmm_rs as hr
    >>> from hmm_rs.testing import assert_same_bits
    >>> model = hr.generators.from_callable(np.tanh, 5)
    >>> assert_same_bits(lambda: model.sample(2000))
    """
    before = hr.get_num_threads()
    try:
        results = []
        for number in threads:
            hr.set_num_threads(number)
            results.append(make())
    finally:
        hr.set_num_threads(before)
    for number, result in zip(threads[1:], results[1:], strict=True):
        told = difference(results[0], result)
        if told:
            raise AssertionError(f"on {threads[0]} and on {number} threads: {told}")


#: A rule follows a colon: "N = 3: must be ...".
_RULE = re.compile(r": \S")
#: Errors about what a computation came to, not about what came in: a remedy is all they owe.
_OUTCOMES = (hr.ConvergenceError, hr.DivergenceError)


def assert_refuses(
    call: Callable[[], Any], argument: str | None = None, *, error: type[BaseException] = hr.HmmError
) -> hr.HmmError:
    """Assert that a call is refused in the package's words, and return the error.

    The error must be one of :mod:`hmm_rs.errors`; its message names the argument, the rule and, after a
    semicolon, the remedy.

    Parameters
    ----------
    call
        What must be refused.
    argument
        Name of the argument that the message must hold.
    error
        Class that the error must have.

    Raises
    ------
    AssertionError
        If the call is answered, raises another error, or the message lacks a part.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> from hmm_rs.testing import assert_refuses
    >>> print(assert_refuses(lambda: hr.HiddenManifold(N=0, D=3), "N"))
    N = 0: must be an integer >= 1; pass N=1 or more
    """
    try:
        answer = call()
    except hr.HmmError as refusal:
        complaint = _incomplete(refusal, argument)
        if not isinstance(refusal, error):
            complaint = f"not a {error.__name__}"
        if complaint:
            raise AssertionError(f"{complaint}: {type(refusal).__name__}: {refusal}") from refusal
        return refusal
    except Exception as raw:
        raise AssertionError(f"a raw {type(raw).__name__} instead of a refusal: {raw}") from raw
    raise AssertionError(f"must be refused, gave {answer!r:.200}")


def _incomplete(refusal: hr.HmmError, argument: str | None) -> str:
    """Return what the message of a refusal lacks."""
    message = str(refusal)
    if argument is not None and not re.search(rf"(?<!\w){re.escape(argument)}(?!\w)", message):
        return f"the message does not name {argument}"
    if not isinstance(refusal, _OUTCOMES) and not _RULE.search(message):
        return "the message gives no rule after a colon"
    return "" if ";" in message else "the message gives no remedy after a semicolon"


def assert_answers_or_refuses(
    call: Callable[[], Any],
    *,
    finite: bool = True,
    infinite: bool = False,
    own: tuple[type[BaseException], ...] = (),
) -> Any:
    """Assert that a call either answers with numbers or is refused in the package's words.

    For properties over odd inputs: whatever comes in, no raw error of Python or numpy, no warning of a
    numerical accident and no silent NaN comes out.

    Parameters
    ----------
    call
        Anything.
    finite
        Whether NaN and infinity in the answer count as a fault, but for variables whose attribute ``undefined`` says
        where they are not defined.
    infinite
        Whether infinity, and only infinity, is an answer all the same.
    own
        Errors of the caller's own functions, which may come through as they are.

    Returns
    -------
    object
        The answer, or the error that refused it.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> from hmm_rs.testing import assert_answers_or_refuses
    >>> for d in (3, -1, "three"):
    ...     print(type(assert_answers_or_refuses(lambda: hr.Sphere(d))).__name__)
    Sphere
    InvalidParameterError
    DtypeError
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            answer = call()
    except hr.HmmError as refusal:
        complaint = _incomplete(refusal, None)
        if complaint:
            raise AssertionError(f"{complaint}: {type(refusal).__name__}: {refusal}") from refusal
        return refusal
    except own as error:
        return error
    except Exception as raw:
        raise AssertionError(f"a raw {type(raw).__name__}: {raw}") from raw
    if finite:
        for where, leaf in leaves(_unexplained(answer)):
            if not isinstance(leaf, str) and leaf.dtype.kind in "fc":
                wrong = np.count_nonzero(np.isnan(leaf) if infinite else ~np.isfinite(leaf))
                if wrong:
                    raise AssertionError(f"{where} holds {wrong} values that are not finite")
    return answer


def _unexplained(answer: Any) -> Any:
    """Return a result without the variables that say themselves where they are not defined."""
    if not hasattr(answer, "data_vars"):
        return answer
    return answer.drop_vars([name for name in answer.data_vars if "undefined" in answer[name].attrs])


def assert_gaussian_equivalent(
    generator: Any,
    w: npt.ArrayLike | None = None,
    *,
    units: int = 3,
    n_samples: int = 100_000,
    tolerance: float | None = None,
    seed: Any = 0,
) -> Any:
    """Assert that fields of a network on a model of data are Gaussian within their sampling errors.

    The measured distances are those of ``hr.theory.equivalence.test_gaussian_equivalence``: skewness and
    excess kurtosis of the fields, and the largest Kolmogorov distance over many directions.

    Parameters
    ----------
    generator
        A model of data, for example ``hr.generators.from_callable(my_function, D)``.
    w
        Weights of the fields, shape (K, N); None for random ones, the case the equivalence is about.
    units
        Number K of random fields.
    n_samples
        Samples; their number is what limits how small a deviation can be seen.
    tolerance
        Largest Kolmogorov distance allowed; None for what Gaussian samples would show.
    seed
        Seed of weights and samples.

    Returns
    -------
    xarray.Dataset
        What was measured.

    Raises
    ------
    AssertionError
        If a distance is larger; the message gives them all.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> from hmm_rs.testing import assert_gaussian_equivalent
    >>> wide = hr.generators.random_layers([400, 800], "erf", seed=5)
    >>> measured = assert_gaussian_equivalent(wide, n_samples=20_000)
    >>> measured.sizes["field"]
    3
    """
    weights = hr.TwoLayer.random(units, generator.N, seed=[7, 11]).w if w is None else np.asarray(w)
    measured = hr.theory.equivalence.test_gaussian_equivalence(
        generator, weights, n_samples=n_samples, seed=seed
    )
    largest, floor = measured.attrs["ks_max"], measured.attrs["ks_floor"]
    skewness = float(np.abs(measured.skewness).max())
    kurtosis = float(np.abs(measured.excess_kurtosis).max())
    near = bool(measured.attrs["gaussian"]) if tolerance is None else largest <= tolerance
    if not near:
        raise AssertionError(
            f"the fields of {generator!r:.100} are not Gaussian: largest Kolmogorov distance {largest:.3g} "
            f"(allowed {2.5 * floor if tolerance is None else tolerance:.3g}), skewness {skewness:.3g} "
            f"(sampling error {measured.attrs['skewness_error']:.2g}), excess kurtosis {kurtosis:.3g} "
            f"(sampling error {measured.attrs['excess_kurtosis_error']:.2g})"
        )
    return measured
