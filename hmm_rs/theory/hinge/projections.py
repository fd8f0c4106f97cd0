"""The self-consistent mean field for labels that depend on a few projections of the input."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ... import _lib
from ...ground.arguments import array, count, function, number, reals
from ...ground.display import Shown
from ...ground.errors import InvalidParameterError
from ...ground.memory import require
from ...ground.overflow import within_range
from ...ground.results import dataset
from ...provenance.recording import recorded_method, remembered
from ...provenance.story import Call
from .arrays import Floats
from .problem import CITE

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["ProjectedMeanField"]


class ProjectedMeanField(Shown):
    r"""Self-consistent mean field for labels that depend on k projections of the input.

    No closed form, still deterministic: y depends on x_par ∈ R^k, the other inputs are independent
    N(0, sigma_x²) in many dimensions, so that a node is a point (a, w_par, |w_perp|) and

    .. math::
        f(x_\parallel) = \kappa\,\mathrm E\big[a\,(m\,\Phi(m/s) + s\,\varphi(m/s))\big],
        \quad m = w_\parallel\cdot x_\parallel,\ s = |w_\perp||x_\perp|/\sqrt{d-k}.

    Each node is a single node trained with a linear loss on the examples that are unsatisfied at
    that time; nodes meet only through that set. Nodes and examples carry quadrature weights.

    Parameters
    ----------
    d
        Dimension of the inputs.
    x_par, y
        Points in the space of projections, shape (P, k) (or (P,) for k = 1), and their labels.
    weights
        Probabilities of the points (None: equal).
    alpha, h, beta, p
        As in :class:`HingeMeanField`.
    sigma_x, sigma_a, sigma_w
        Standard deviations of the orthogonal inputs and of the initial weights.
    nodes
        Gauss-Hermite points per initial coordinate: nodes ** (k + 1) nodes in all.
    lengths
        Gauss points of the law of |x_perp|: each point of `x_par` stands for so many.

    Notes
    -----
    The one approximation, w_perp·x_perp Gaussian at given lengths, is O(1/d). The steps are those of
    gradient descent on the population, one unit of time each.

    Examples
    --------
    A stripe, which no linear teacher describes:

    >>> import hmm_rs as hr
    >>> import numpy as np
    >>> field = hr.theory.ProjectedMeanField.gaussian(100, lambda x: np.where(abs(x[:, 0]) < 0.7, -1.0, 1.0))
    >>> result = field.run(20)
    >>> bool(result.loss[-1] < result.loss[0])
    True
    """

    @remembered
    def __init__(
        self,
        d: int,
        *,
        x_par: npt.ArrayLike,
        y: npt.ArrayLike,
        weights: npt.ArrayLike | None = None,
        alpha: float = 1.0,
        h: float = 1.0,
        beta: float = 1.0,
        p: float = 1,
        sigma_x: float = 1.0,
        sigma_a: float = 1.0,
        sigma_w: float = 1.0,
        nodes: int = 24,
        lengths: int = 3,
    ) -> None:
        x = reals("x_par", x_par)
        x = array("x_par", x[:, None] if x.ndim == 1 else x, (None, None), rule="(points, projections)")
        points, k = x.shape
        d = count("d", d, minimum=k + 1)
        labels = array("y", y, (points,), rule="(one label per row of x_par)")
        if not (np.abs(labels) == 1.0).all():
            raise InvalidParameterError(
                "y holds other values than +1 and -1: labels must be signs; pass np.sign"
            )
        if weights is None:
            probabilities = np.full(points, 1.0 / points)
        else:
            probabilities = array("weights", weights, (points,), rule="(one per row of x_par)")
            if (probabilities < 0.0).any() or not probabilities.any():
                raise InvalidParameterError("weights: must not be negative nor all zero; pass probabilities")
            # The largest goes out first: a sum of huge ones overflows.
            probabilities = probabilities / probabilities.max()
            probabilities = probabilities / probabilities.sum()
        settings: dict[str, Any] = {
            "d": d,
            "alpha": number("alpha", alpha, minimum=0.0, exclusive=True),
            "h": number("h", h, minimum=0.0, exclusive=True),
            "beta": number("beta", beta, minimum=0.0, exclusive=True),
            "p": number("p", p),
            "sigma_x": number("sigma_x", sigma_x, minimum=0.0, exclusive=True),
            "sigma_a": number("sigma_a", sigma_a, minimum=0.0, exclusive=True),
            "sigma_w": number("sigma_w", sigma_w, minimum=0.0, exclusive=True),
            "nodes": count("nodes", nodes, minimum=2),
            "lengths": count("lengths", lengths),
        }
        self.settings = settings
        self._step, self._t = 0, 0.0
        # A run goes on where the last one ended.
        self._calls: list[Call] = []
        self._field = _lib.ProjectedHinge(x=x, y=labels, probability=probabilities, kappa=d**-0.5, **settings)
        points_in_use = self._field.points()
        self.x_par, self.y, self.weights = (points_in_use[name] for name in ("x", "y", "weight"))
        self.node_weights = self._field.nodes()["weight"]

    @classmethod
    def gaussian(
        cls,
        d: int,
        teacher: Callable[[Floats], npt.ArrayLike],
        *,
        k: int = 1,
        points: int = 2000,
        sigma_x: float = 1.0,
        **options: Any,
    ) -> ProjectedMeanField:
        """Return the field for Gaussian inputs labelled by ``teacher(x_par)``, x_par of shape (P, k).

        `points` is the number of equally likely cells per projection, of which the teacher sees the
        medians.
        """
        labelled = function("teacher", teacher, "of projections (P, k)")
        sigma_x = number("sigma_x", sigma_x, minimum=0.0, exclusive=True)
        with within_range("sigma_x"):
            x = sigma_x * _normal_cells(count("points", points, minimum=2), count("k", k, maximum=32))
        y = reals("teacher(x)", labelled(x.copy()))
        return cls(d, x_par=x, y=y, sigma_x=sigma_x, **options)

    @classmethod
    def clusters(
        cls,
        d: int,
        means: npt.ArrayLike,
        labels: npt.ArrayLike,
        *,
        sigma_x: float = 1.0,
        points: int = 60,
        **options: Any,
    ) -> ProjectedMeanField:
        """Return the field for equally likely Gaussian clusters with `means`, shape (c, k), and `labels`.

        `points` is the number of cells per projection and cluster.
        """
        means = array("means", means, (None, None), rule="(clusters, projections)")
        labels = array("labels", labels, (len(means),), rule="(one per cluster)")
        k = means.shape[1]
        sigma_x = number("sigma_x", sigma_x, minimum=0.0, exclusive=True)
        with within_range("sigma_x and means"):
            noise = sigma_x * _normal_cells(count("points", points), k)
            x = (means[:, None, :] + noise).reshape(-1, k)
        return cls(d, x_par=x, y=np.repeat(labels, len(noise)), sigma_x=sigma_x, **options)

    @recorded_method
    def run(self, steps: int, *, dt: float = 1.0, save_at: npt.ArrayLike | None = None) -> xr.Dataset:
        """Take steps of size `dt` until step number `steps` and return what was measured at `save_at`.

        Variables ``unsatisfied``, ``loss``, ``test_error`` over the time ``t``, with the number of steps as the
        coordinate ``step`` (None: every step). Continues from where the field is.
        """
        steps = count("steps", steps, minimum=self._step)
        dt = number("dt", dt, minimum=0.0, exclusive=True)
        saves = np.arange(self._step, steps + 1) if save_at is None else array("save_at", save_at, (None,))
        if (
            (np.diff(saves) <= 0).any()
            or saves[0] < self._step
            or saves[-1] > steps
            or (saves % 1 != 0).any()
        ):
            raise InvalidParameterError(
                f"save_at: must be different whole steps in order between {self._step} and {steps}; pass such steps"
            )
        with within_range("save_at and dt", "take smaller steps"):
            along = self._t + (saves - self._step) * dt
        records = []
        for save in [*saves.astype(int).tolist(), steps]:
            self._field.advance(save - self._step, dt)
            self._t += (save - self._step) * dt
            self._step = save
            records.append(self._field.state())
        values = {name: np.array([record[name] for record in records[:-1]]) for name in records[0]}
        result = dataset(
            values,
            along=along,
            label="time t = steps × dt",
            source="theory",
            settings={"theory": type(self).__name__, **self.settings, "dt": dt},
            cite=CITE,
        )
        return result.assign_coords(step=("t", saves.astype(int), {"long_name": "step"}))

    def _title(self) -> str:
        return f"ProjectedMeanField at t = {self._t:.6g}"

    def _rows(self) -> Iterable[tuple[str, Any]]:
        return [*self.settings.items(), ("x_par", self.x_par), ("y", self.y)]

    @property
    def output(self) -> Floats:
        """Output f at the rows of ``x_par``, each repeated for its lengths of x_perp."""
        return self._field.points()["output"]

    @property
    def nodes(self) -> tuple[Floats, Floats, Floats]:
        """Present nodes: a (n,), w_par (n, k), |w_perp| (n,)."""
        nodes = self._field.nodes()
        return nodes["a"], nodes["w_par"], nodes["r"]


def _normal_cells(n: int, k: int) -> Floats:
    """Return the medians of n equally likely cells of a normal, on a product grid in k dimensions."""
    from scipy.special import ndtri

    require(16 * k * n**k, f"a grid of {n} cells in {k} dimensions", "use fewer points")
    medians = ndtri((np.arange(n) + 0.5) / n)
    return np.stack([g.ravel() for g in np.meshgrid(*[medians] * k, indexing="ij")], axis=1)
