"""A published figure of Gaussian covariates that cannot be made."""

from __future__ import annotations

from ..card import Card

__all__ = ["CARD"]

CARD = Card(
    "gaussian-covariates-4",
    "Gaussian equivalence",
    "Ridge regression on scattered images",
    "Mean squared error of ridge regression on MNIST, odd against even, over n/p; points: fits; line: replica theory "
    "with the whole data set as the universe of examples.",
    "Scattering transform with J = 3 and L = 8, lam = .01, n/p from .1 to 2.5.",
    "high",
    None,
    "MNIST and a scattering transform are not part of the package. With both at hand hmm_rs.theory.replica.Spectrum."
    "from_data and hmm_rs.FullBatch make it.",
)
