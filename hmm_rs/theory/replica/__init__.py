r"""Learning curves of full-batch learning on Gaussian features: the replica theory.

Conventions. Teacher field :math:`\nu = \theta\cdot u/\sqrt k`, student preactivation
:math:`w\cdot v/\sqrt p`, features centred. The estimator minimises

.. math:: \sum_{\mu=1}^{n} \ell(y_\mu, w\cdot v_\mu/\sqrt p) + \tfrac{\lambda}{2} |w|^2,
   \qquad \alpha = n/p,

a sum (not a mean) over the examples. Targets are :math:`y = \nu + \mathrm{noise}\,\xi` for
``"ridge"``; labels are :math:`y = \mathrm{sign}(\nu + \mathrm{noise}\,\xi)`, flipped with
probability ``flip``, for ``"square"``, ``"logistic"`` and ``"hinge"``. scikit-learn has
:math:`C = 1/\lambda` on :math:`X = v/\sqrt p`, without intercept.

Source: Loureiro, Gerbelot, Cui, Goldt, Krzakala, Mézard and Zdeborová, "Learning curves of generic features
maps for realistic datasets with a teacher-student model" (2021); limits and thresholds after Goldt, Loureiro,
Reeves, Krzakala, Mézard and Zdeborová, "The Gaussian equivalence of generative models for learning with
shallow neural networks" (2020).

Examples
--------
>>> from hmm_rs.theory import replica
>>> spectrum = replica.Spectrum([2.0, 1.0, 0.25], [0.25, 0.5, 0.25], [0.6, 0.3, 0.05], 1.3)
>>> curve = replica.learning_curve(spectrum, [0.5, 1.5, 4.0], loss="logistic", lam=0.1)
>>> [round(float(e), 4) for e in curve.test_error]
[0.3999, 0.3407, 0.2798]
"""

from .bayes import bayes_optimal, state_evolution
from .curve import learning_curve
from .limits import max_margin, ridgeless, separability_threshold
from .mixture import Mixture
from .optimal import optimal_ridge
from .prox import prox
from .settings import LOSSES
from .solve import solve
from .spectrum import Spectrum

__all__ = [
    "LOSSES",
    "Mixture",
    "Spectrum",
    "bayes_optimal",
    "learning_curve",
    "max_margin",
    "optimal_ridge",
    "prox",
    "ridgeless",
    "separability_threshold",
    "solve",
    "state_evolution",
]
