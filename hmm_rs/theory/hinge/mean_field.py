r"""Mean-field theory of hinge-loss learning in one-hidden-layer ReLU networks.

After F. Pellegrini and G. Biroli, "An analytic theory of shallow networks dynamics for hinge loss
classification", NeurIPS 2020 (arXiv:2006.11209). Conventions:

* f(x) = (1/M) Σ a_i max(κ w_i·x, 0), κ = 1/√d; labels y = ±1; teacher direction e_1.
* Loss α^(-p) ⟨max(0, h - α y f)⟩. An example is unsatisfied while α y f < h.
* The learning rate β multiplies M times the gradient; time is in steps of dt = 1.
* γ is the rotation: a = a0 cosh γ + w0 sinh γ, w_par = w0 cosh γ + a0 sinh γ, w_perp constant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy.typing as npt

from ...ground.arguments import choice, count, number
from ...ground.overflow import finite
from ...provenance.recording import recorded_method
from .arrays import Floats, flat, times
from .rotation import TIME, Rotation

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["HingeMeanField"]


class HingeMeanField(Rotation):
    r"""Exact mean-field dynamics: every node rotates by the same γ(t).

    .. math::
        \dot\gamma = \frac{c\,\kappa}{2}\,\langle u\, z\rangle, \qquad c = \beta\,\alpha^{1-p},
        \qquad S(\gamma) = C_0\cosh 2\gamma + C_1\sinh 2\gamma

    where z = y x_par and u marks the unsatisfied examples, κ S z / 2 < h/α.

    Parameters
    ----------
    d
        Dimension of the inputs.
    alpha, h, beta, p
        Output scale, margin threshold, mean-field learning rate and exponent of the loss.
    kappa
        Input scale; None: 1/√d.
    sigma_x, sigma_a, sigma_w
        Standard deviations of the inputs and of the initial weights. ``sigma_w`` is positive: nodes without any
        input weight sit at the kink of the ReLU, where its slope is 0, and never move.
    C0, C1
        E[a0 w0] and E[a0² + w0²]/2 of the initial nodes; None: 0 and (sigma_a² + sigma_w²)/2. The
        empirical values of a finite network capture the leading shift of its γ.
    law
        "gaussian" (y = sign x_par), "sphere" (uniform, with `radius`), "mixture" (x = y mu e_1 + sigma_x ξ),
        or a vectorised density ρ(z) of z = y x_par.
    radius, mu
        Of the sphere and the mixture.
    flip
        Probability of a flipped label.
    support
        Interval outside which a density given as `law` vanishes.
    subtract_init
        Train f - f(t=0) instead of f.

    Notes
    -----
    Exact for M → ∞ when (x, y) → (-x, -y) is a symmetry of the data, E[x_perp | x_par, y] = 0, and the
    initial nodes are symmetric under (a, w) → (-a, -w) with isotropic w_perp. The speed of γ only
    falls, so γ(t) is monotone and ends on a plateau exactly if some examples pull backwards or none lie near z = 0.

    At the kinks both sides of the package agree: an example with α y f = h is satisfied, an output of exactly zero
    is an error.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> theory = hr.theory.HingeMeanField(100)
    >>> theory.gamma([10.0, 1000.0]).round(6)
    array([0.398942, 2.925522])
    """

    @recorded_method
    def fluctuations(
        self, gamma: npt.ArrayLike, M: int, *, xpar: float = 0.0, xperp2: float | None = None
    ) -> xr.Dataset:
        """Return what finite width M adds, at rotations `gamma` (population of infinite size).

        ``var_node`` is the variance V of one node's contribution at a point with projection `xpar` and
        |x_perp|² = `xperp2` (None: (d - 1) sigma_x²); the output's variance is V / M. For Gaussian inputs
        also ``test_error_frozen``, the test error with the initial fluctuations (early), and
        ``test_error_residual``, the one after training has removed the constant and the linear modes
        (late); the crossover lies where A = S². Averages over initial conditions: a single network
        scatters by 15-20 % early. Rotations beyond 175 leave double precision and are refused.
        """
        M = count("M", M)
        gammas = times("gamma", gamma)
        variance = self._model.node_variance(
            gammas, x_par=number("xpar", xpar), perpendicular=self._perpendicular(xperp2)
        )
        values = {"var_node": finite("gamma, xpar and xperp2", variance)}
        if self.law == "gaussian":
            errors = self._model.test_errors(gammas, float(M))
            values |= {f"test_error_{name}": error for name, error in errors.items()}
        dims: dict[str, tuple[str, ...]] = dict.fromkeys(values, ("gamma",))
        return self._dataset(values, along=gammas, dim="gamma", label="rotation parameter", dims=dims, M=M)

    def satisfaction_band(
        self,
        gamma: npt.ArrayLike,
        M: int,
        *,
        kind: Literal["residual", "frozen"] = "residual",
        xperp2: float | None = None,
    ) -> tuple[Floats, Floats]:
        """Return the projections satisfied at `gamma` one standard deviation early and late.

        At width M an example's output is that of the mean field plus or minus √(V/M). `kind` "residual"
        keeps the even harmonics of degree >= 2 in V, "frozen" the whole initial fluctuation. Where the
        mean output is zero the edges are infinite: a fluctuation satisfies all examples (-∞) or none (∞).
        """
        gammas, shape = flat("gamma", gamma)
        band = self._model.satisfaction_band(
            gammas,
            width=float(count("M", M)),
            perpendicular=self._perpendicular(xperp2),
            residual=choice("kind", kind, ("residual", "frozen")) == "residual",
        )
        return band["low"].reshape(shape), band["high"].reshape(shape)

    @recorded_method
    def memorisation(self, N: int, t: npt.ArrayLike) -> xr.Dataset:
        """Return learning from N stored examples at the increasing times `t` (infinite width).

        Variables ``gamma``, ``extra_margin`` (what an unsatisfied training example has gained from its
        own updates), ``train_unsatisfied``, ``test_unsatisfied``. An approximate theory; its limits
        stand in the attribute ``limits``, and ``t_end`` is its rough end of training.
        """
        self._separable_gaussian("memorisation")
        N = count("N", N)
        at = times("t", t)
        course = self._model.memorisation(at, float(N))
        end = float(finite("t and N", course, "pass earlier times").pop("t_end"))
        dims: dict[str, tuple[str, ...]] = {name: ("t",) for name in course if name != "gamma"}
        enough = 2.0 * N / self.d**2
        limits = (
            f"approximate: only kernel harmonics of degree >= 3 are memorised, which needs N >> d^2/2 "
            f"(here N/(d^2/2) = {enough:.3g}); unsatisfied fractions are good to 5-20 % until t_end/2, "
            "then training ends too abruptly because every example gets the same extra margin"
        )
        return self._dataset(course, along=at, label=TIME, dims=dims, N=N, t_end=end, limits=limits)

    def _perpendicular(self, value: float | None) -> float:
        """Return |x_perp|², the law's mean if none is given."""
        default = (self.d - 1) * self.sigma_x**2
        return default if value is None else number("xperp2", value, minimum=0.0)
