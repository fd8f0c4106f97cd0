"""Strategies for what the theories take: covariances of fields and spectra of features."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

import hmm_rs as hr

__all__ = ["covariances", "spectra"]


@st.composite
def covariances(
    draw: st.DrawFn, n: int | None = None, *, most: int = 6, singular: bool = True
) -> npt.NDArray[np.float64]:
    """Symmetric positive semi-definite matrices: well and badly conditioned, diagonal, of low rank.

    Parameters
    ----------
    n
        Number of fields; None for any up to `most`.
    most
        Largest number of fields.
    singular
        Whether matrices without an inverse may come.

    Examples
    --------
    >>> from hypothesis import given
    >>> from hmm_rs.theory import i2
    >>> @given(C=covariances(2))
    ... def test_the_average_of_bounded_units_is_bounded(C):
    ...     assert abs(i2(C, "erf")) <= 1
    >>> test_the_average_of_bounded_units_is_bounded()
    """
    size = draw(st.integers(1, most)) if n is None else n
    rank = draw(st.integers(1, size)) if singular else size
    factor = hr.TwoLayer.random(size, rank, seed=draw(st.integers(0, 999))).w
    if draw(st.booleans()):
        factor = factor * np.logspace(0.0, draw(st.sampled_from([0.0, -2.0, -6.0])), rank)
    scale = draw(st.sampled_from([1e-6, 0.1, 1.0, 30.0]))
    # Sums of squares written out: the same bits wherever the example is replayed.
    gram = np.sum(factor[:, None, :] * factor[None, :, :], axis=-1) * (scale / rank)
    return np.diag(np.diag(gram)) if draw(st.booleans()) and not singular else gram


@st.composite
def spectra(draw: st.DrawFn, *, most_atoms: int = 8, labels: bool = False) -> Any:
    """Spectra of features and their overlap with the teacher, for ``hr.theory.replica``.

    Parameters
    ----------
    most_atoms
        Largest number of different eigenvalues.
    labels
        Whether spectra whose targets are labels may come (``from_labels=True``).

    Examples
    --------
    >>> import hmm_rs as hr
    >>> from hypothesis import given
    >>> @given(spectrum=spectra())
    ... def test_no_error_is_negative(spectrum):
    ...     assert hr.theory.replica.solve(spectrum, loss="ridge", alpha=2.0, lam=0.1)["test_mse"] >= 0
    >>> test_no_error_is_negative()
    """
    if draw(st.booleans()):
        kappas = draw(st.floats(0.2, 1.0)), draw(st.floats(0.05, 1.0))
        return hr.theory.replica.Spectrum.random_features(
            draw(st.floats(0.1, 5.0)), kappas, draw(st.floats(0.5, 2.0))
        )
    atoms = draw(st.integers(1, most_atoms))

    def values(low: float, high: float) -> npt.NDArray[np.float64]:
        return np.array(draw(st.lists(st.floats(low, high), min_size=atoms, max_size=atoms)))

    omega, weight = values(0.01, 5.0), values(0.05, 1.0)
    weight /= weight.sum()
    t = values(0.0, 1.0) * omega
    # The part of the teacher that is linear in the features cannot exceed the whole.
    rho = float((t / omega).sum()) + draw(st.floats(0.05, 1.0))
    return hr.theory.replica.Spectrum(
        omega, weight, t, rho, from_labels=draw(st.booleans()) if labels else False
    )
