r"""Mean-field theory of hinge-loss learning in one-hidden-layer ReLU networks.

After F. Pellegrini and G. Biroli, "An analytic theory of shallow networks dynamics for hinge loss
classification", NeurIPS 2020 (arXiv:2006.11209). Conventions:

* f(x) = (1/M) Σ a_i max(κ w_i·x, 0), κ = 1/√d; labels y = ±1; teacher direction e_1.
* Loss α^(-p) ⟨max(0, h - α y f)⟩. An example is unsatisfied while α y f < h.
* The learning rate β multiplies M times the gradient; time is in steps of dt = 1.
* γ is the rotation: a = a0 cosh γ + w0 sinh γ, w_par = w0 cosh γ + a0 sinh γ, w_perp constant.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ...ground.arguments import choice, count, number
from ...ground.errors import InvalidParameterError
from ...ground.linear_algebra import Reflection
from ...ground.overflow import finite
from ...measure.labels import label_direction, labelled
from ...provenance.recording import recorded_method
from .arrays import Floats, flat, times
from .measured import MeasuredDensity
from .mislabelled import memorise
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
        """Return learning from N stored examples at the increasing times `t` (infinite width, Gaussian inputs).

        Variables ``gamma``, ``extra_margin`` (the most that a training example has gained from its own updates),
        ``train_unsatisfied``, ``test_unsatisfied`` (clean labels). An approximate theory; its limits
        stand in the attribute ``limits``, and ``t_end`` is its rough end of training.

        With flipped labels (`flip` > 0) every example has its own margin, and there are also
        ``train_unsatisfied_clean`` and ``train_unsatisfied_flipped``, the unsatisfied fractions of either kind, and
        ``train_error``, the fraction of training examples whose given label is missed. Flipped examples slow the
        rotation from the start, are the last to be satisfied, and turn the network back meanwhile: γ has a maximum.
        ``t_end`` is infinite where the last of `t` comes before every example is satisfied.

        Raises
        ------
        InvalidParameterError
            For other laws than "gaussian", or half of the labels or more flipped.

        Examples
        --------
        >>> import hmm_rs as hr
        >>> clean, noisy = (hr.theory.HingeMeanField(50, flip=flip) for flip in (0.0, 0.05))
        >>> t = [100.0, 1000.0]
        >>> bool((noisy.memorisation(20_000, t).gamma < clean.memorisation(20_000, t).gamma).all())
        True
        """
        if self.flip == 0.0:
            self._separable_gaussian("memorisation")
        elif self.law != "gaussian" or self.flip >= 0.5:
            raise InvalidParameterError(
                f"law = {self.law!r:.40}, flip = {self.flip}: memorisation is for Gaussian data with fewer than half "
                'of the labels flipped; use law="gaussian", flip < 0.5'
            )
        N = count("N", N)
        at = times("t", t)
        if self.flip:
            course, end = self._mislabelled(N, at)
        else:
            course = self._model.memorisation(at, float(N))
            end = float(finite("t and N", course, "pass earlier times").pop("t_end"))
        dims: dict[str, tuple[str, ...]] = {name: ("t",) for name in course if name != "gamma"}
        enough = 2.0 * N / self.d**2
        limits = (
            f"approximate: only kernel harmonics of degree >= 3 are memorised, which needs N >> d^2/2 "
            f"(here N/(d^2/2) = {enough:.3g}); unsatisfied fractions are good to 5-20 % until t_end/2, "
            "then training ends too abruptly because every example gains margin at the same rate"
        )
        return self._dataset(course, along=at, label=TIME, dims=dims, N=N, t_end=end, limits=limits)

    def _mislabelled(self, N: int, at: Floats) -> tuple[dict[str, Floats], float]:
        """Return memorisation with flips at increasing times, and when it is over."""
        if at[0] < 0.0 or (np.diff(at) < 0.0).any():
            raise InvalidParameterError("t: must be increasing and start at 0 or later; pass sorted times")
        names = ("d", "kappa", "sigma_x", "sigma_a", "sigma_w", "C0", "C1", "flip")
        found = memorise(
            N=N,
            times=at,
            threshold=self.h / self.alpha,
            clock=self.beta * self.alpha ** (1.0 - self.p),
            **{name: getattr(self, name) for name in names},
        )
        done = at[found.train_unsatisfied == 0.0]
        return found._asdict(), float(done[0]) if len(done) else math.inf

    @classmethod
    def from_data(
        cls, X: npt.ArrayLike, y: npt.ArrayLike, *, teacher: npt.ArrayLike | None = None, **options: Any
    ) -> HingeMeanField:
        """Return the mean field whose law of z = y x_par is that of a measured data set.

        The law is a smooth estimate of the density of z, whose mean, and with it the initial speed of rotation, is the
        data's. Real data obey the symmetries of the theory only nearly, so this is the theory of the early stage,
        while most examples are unsatisfied.

        Parameters
        ----------
        X
            Inputs, shape (P, d); take out their mean first.
        y
            Labels +1 and -1, shape (P,).
        teacher
            Direction of x_par, shape (d,); None: :func:`hmm_rs.observables.label_direction`. Train
            :class:`hmm_rs.Particles` with the same one.
        **options
            Those of the class, but for `law` and what belongs to it. `sigma_x` is measured across the direction.

        Raises
        ------
        InvalidParameterError
            If labels are no signs, or favour no direction.

        Examples
        --------
        >>> import hmm_rs as hr
        >>> X, y = hr.LinearlySeparable(20).sample(5000)
        >>> measured, exact = hr.theory.HingeMeanField.from_data(X, y), hr.theory.HingeMeanField(20)
        >>> bool(abs(measured.gamma(2.0) / exact.gamma(2.0) - 1.0) < 0.05)
        True
        """
        given = {"law", "support", "radius", "mu", "flip"} & set(options)
        if given:
            raise InvalidParameterError(
                f"{', '.join(sorted(given))} = ...: the law is that of the data, flipped labels included; leave it out"
            )
        inputs, labels = labelled(X, y)
        d = inputs.shape[1]
        turn = Reflection.onto_first_axis(
            "teacher", label_direction(inputs, labels) if teacher is None else teacher, d
        )
        turned = turn(inputs)
        z = labels * turned[:, 0]
        if z.min() == z.max() == 0.0:
            raise InvalidParameterError(
                "X: vanishes along the teacher, nothing drives the nodes; pass another teacher"
            )
        density = MeasuredDensity(z)
        across = float(np.sqrt((turned[:, 1:] ** 2).mean())) if d > 1 else 1.0
        options = {"sigma_x": across, **options, "law": density, "support": density.support}
        return cls(d, **options)

    def _perpendicular(self, value: float | None) -> float:
        """Return |x_perp|², the law's mean if none is given."""
        default = (self.d - 1) * self.sigma_x**2
        return default if value is None else number("xperp2", value, minimum=0.0)
