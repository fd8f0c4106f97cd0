r"""Gaussian equivalence as numbers: when the fields of a network on structured data are Gaussian.

For inputs :math:`x = f(Fz)`, latents :math:`z \sim N(0, 1_D)` and weights w, the fields are

.. math:: \lambda^k = \frac{1}{\sqrt N} \sum_i w^k_i \big(f(u_i) - \kappa_0\big), \quad u = Fz,
   \qquad \nu^m = h^m\cdot z/\sqrt D .

The Gaussian equivalence says that :math:`(\lambda, \nu)` may be replaced by the Gaussian vector with the same
first two moments. Here are the conditions under which it does, a bound on the error that can be computed for
one given F and w, and the measured distance.

Unless a model is given, rows of F have unit norm: pass ``model.F / np.sqrt(model.D)``.

Sources: Goldt et al., "The Gaussian equivalence of generative models for learning with shallow neural
networks" (2020) for the statement; Nourdin and Peccati, "Stein's method and Malliavin calculus" for the bound,
which is not the one of that paper.
"""

from .bounds import crude_bound, stein_bound, stein_kernel
from .conditions import conditions, kappas, kernel
from .distances import excess_kurtosis, kolmogorov_distance, mmd2, skewness
from .harness import test_gaussian_equivalence

__all__ = [
    "conditions",
    "crude_bound",
    "excess_kurtosis",
    "kappas",
    "kernel",
    "kolmogorov_distance",
    "mmd2",
    "skewness",
    "stein_bound",
    "stein_kernel",
    "test_gaussian_equivalence",
]
