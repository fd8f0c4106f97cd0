"""What a result may name: closed lists, so that nothing is ever made or called because a file says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from ..data.generators import digits_convolutional, digits_flow
from ..dynamics.full_batch import FullBatch
from ..experiments.full_batch import full_batch_curve
from ..ground.description import Description
from ..networks.mean_field import MeanFieldNetwork
from ..networks.two_layer import TwoLayer
from ..theory import (
    CovarianceODE,
    HiddenManifoldODE,
    HingeMeanField,
    ProjectedMeanField,
    SaadSolla,
    least_squares_flow,
    neuron_flow,
    optimal_stopping,
    order_parameters,
    replica,
)

__all__ = ["DRAWN", "FUNCTIONS", "KNOWN", "SOLVERS"]

#: Functions that a result may name.
FUNCTIONS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "full_batch_curve": full_batch_curve,
        "least_squares_flow": least_squares_flow,
        "neuron_flow": neuron_flow,
        "optimal_stopping": optimal_stopping,
        "order_parameters": order_parameters,
        "replica.bayes_optimal": replica.bayes_optimal,
        "replica.learning_curve": replica.learning_curve,
        "replica.max_margin": replica.max_margin,
        "replica.optimal_ridge": replica.optimal_ridge,
        "replica.ridgeless": replica.ridgeless,
        "replica.solve": replica.solve,
        "replica.state_evolution": replica.state_evolution,
    }
)

#: Solvers that a result may name, with the methods it may call.
SOLVERS: Mapping[type, tuple[str, ...]] = MappingProxyType(
    {
        SaadSolla: ("solve",),
        HiddenManifoldODE: ("solve",),
        CovarianceODE: ("solve",),
        HingeMeanField: ("observables", "gd", "late_time", "fluctuations", "memorisation"),
        ProjectedMeanField: ("run",),
        FullBatch: ("fit",),
    }
)

#: What descriptions of solvers may hold beside data and networks.
KNOWN: Mapping[str, type] = MappingProxyType({"Mixture": replica.Mixture, "Spectrum": replica.Spectrum})

#: Networks that can be drawn again, and generators that come with the package.
DRAWN: Mapping[str, Callable[..., Description]] = MappingProxyType(
    {
        "TwoLayer.random": TwoLayer.random,
        "MeanFieldNetwork.random": MeanFieldNetwork.random,
        "digits_flow": digits_flow,
        "digits_convolutional": digits_convolutional,
    }
)
