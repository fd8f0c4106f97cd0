"""Networks in the mean-field scaling, trained by full-batch gradient descent: nodes as particles."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Unpack

import numpy as np
import numpy.typing as npt

from .. import _lib
from ..data.labelled import LabelledData
from ..ground import losses
from ..ground.arguments import count, dtype_name, flag, number, seed_words
from ..ground.arguments import seed as checked_seed
from ..ground.arguments import threads as checked_threads
from ..ground.errors import DtypeError, InvalidParameterError, ShapeError
from ..ground.linear_algebra import Reflection
from ..ground.memory import require
from ..ground.workers import executor_of
from ..networks.mean_field import MeanFieldNetwork
from ..networks.random_nodes import RandomNodes
from .driver import Driver, Observation
from .history import stepping
from .options import RunOptions, long_run
from .schedule import save_steps
from .sharding import Blueprint, ShardedEngine
from .sharding.files import folder_of, read_shard
from .sharding.given import check_network, labelled, narrowed

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Particles"]

#: Nodes recorded unless asked otherwise.
_RECORDED = 4096
#: Examples of a fresh batch unless asked otherwise.
_BATCH = 4096
#: Largest number of steps: beyond it steps times dt are not counted exactly in double precision.
_MOST_STEPS = 2**53


class Particles(Driver):
    r"""Train a mean-field network by gradient descent, many nodes at a time.

    .. math::
        L = \alpha^{-p} \langle \ell(h - \alpha y f)\rangle, \qquad
        f(x) = \frac1M \sum_i a_i\, g(w_i\cdot x/\sqrt d)

    and a step is a += dt β (-M ∂L/∂a), w likewise, both from the old weights.

    Parameters
    ----------
    network
        Initial network, without biases; "relu", "erf" or "tanh" units. A :class:`hmm_rs.RandomNodes` is drawn where it
        is trained, so that its weights exist once: 10^7 nodes on d=100 inputs in float32 take 4.4 GB.
    X, y
        Fixed training examples, shape (P, d), and labels ±1, shape (P,).
    data
        Any description of labelled inputs. Without `X` it gives a new batch at every step (the limit of infinitely
        many examples): the rows of ``data.sample(..., seed=seed)`` in order. It also gives the test set, with
        clean labels.
    alpha, h, beta, p
        Output scale, margin threshold, mean-field learning rate and exponent of the loss. β multiplies M
        times the gradient: a raw learning rate lr on L is β = lr / M.
    loss
        "hinge": ℓ(s) = max(s, 0); "squared": s²/2; "logistic": log(1 + e^s).
    subtract_init
        Train f - f(t=0); needed in practice for alpha >> 1.
    batch
        Examples per step with `data`; None: 4096.
    teacher
        Direction that ``w_par`` and ``gamma`` are along, shape (d,), for examples `X` of any origin (its length does
        not matter; :func:`hmm_rs.observables.label_direction` finds the one that drives the nodes). None: the first
        axis, the teacher of every `data`.
    X_test, y_test
        Test examples with clean labels, instead of those of `data`.
    test_size
        Size of the test set drawn from `data`.
    record_nodes
        Number of nodes whose a and w_par are recorded, from the first on; None: all of them up to 4096.
    dtype
        "float64" or "float32". Outputs and losses accumulate in double precision either way.
    tile
        (nodes, examples) of a tile of the products; None: what suits a common cache. Results agree to
        rounding for all tiles, and to the last bit for all thread counts.
    seed
        Seed of the fresh batches and of the test set.
    shards
        Pieces that the nodes are cut into. A step is one sum over them, of one number per example, in an order that
        depends on their number alone: so does the last bit of a result, and nothing else of it.
    executor
        Where the shards live: any executor of the standard library's kind, or a Dask client. Each of its workers takes
        some of them, with one thread unless `threads` says more. None: in this process.

    Notes
    -----
    With `executor` each worker draws its own nodes where `network` is a :class:`hmm_rs.RandomNodes`; given weights are
    sent. Workers talk to this process directly, by TCP. A worker that is lost is replaced: its shards start from the
    last checkpoint (from the beginning without one) and catch up, with the same bits; the others wait. Each shard
    writes a file of its own, in the folder ``NAME.shards`` beside the checkpoint, which all must share. Copies of the
    driver live in this process, and so does a run that is resumed without ``resume(..., executor=)``.
    :meth:`close` frees the workers.

    Only examples with a gradient (the unsatisfied ones, α y f < h, of the hinge loss) enter the way back.
    The activations of all nodes on all examples are never held. With fixed data and the hinge loss
    a run ends when every example is satisfied. An example with α y f = h is satisfied, an output of exactly zero
    counts as an error, as in the theory; with `subtract_init` errors are those of f - f(t=0).

    ``gamma`` is the fitted rotation log(⟨(a0+w0), (a+w_par)⟩/⟨(a0+w0), (a0+w0)⟩), where w_par is the
    weight along `teacher`. It is NaN where it has no meaning: where the overlap in the numerator is not positive
    (the nodes have turned against their start, as large steps make them) and where every node starts on a = -w_par
    (the denominator is zero); the attribute ``undefined`` of the variable then says so.

    Arrays that are passed are copied: changing them afterwards changes nothing.

    Examples
    --------
    >>> import hmm_rs as hr
    >>> network = hr.MeanFieldNetwork.random(200, 20, seed=1)
    >>> run = hr.Particles(network, data=hr.LinearlySeparable(20), batch=500, test_size=500)
    >>> result = run.run(20, save_at=[0, 20])
    >>> bool(result.loss[-1] < result.loss[0])
    True
    """

    _axis: ClassVar[tuple[str, str, str]] = ("t", "time t = steps × dt", "")
    _cite: ClassVar[tuple[str, ...]] = ("hinge-mean-field",)
    _by_steps: ClassVar[bool] = True

    def __init__(
        self,
        network: MeanFieldNetwork | RandomNodes,
        X: npt.ArrayLike | None = None,
        y: npt.ArrayLike | None = None,
        *,
        data: LabelledData | None = None,
        alpha: float = 1.0,
        h: float = 1.0,
        beta: float = 1.0,
        p: float = 1,
        loss: Literal["hinge", "squared", "square", "logistic"] = "hinge",
        subtract_init: bool = False,
        batch: int | None = None,
        teacher: npt.ArrayLike | None = None,
        X_test: npt.ArrayLike | None = None,
        y_test: npt.ArrayLike | None = None,
        test_size: int = 10_000,
        record_nodes: int | None = None,
        dtype: Literal["float64", "float32"] = "float64",
        tile: tuple[int, int] | None = None,
        seed: Any = 0,
        shards: int = 1,
        executor: Any = None,
    ) -> None:
        check_network(network)
        if data is not None and not isinstance(data, LabelledData):
            raise DtypeError(
                f"data = {data!r:.80}: must be a law of labelled inputs; pass LinearlySeparable(d)"
            )
        if data is not None and data.d != network.d:
            raise ShapeError(f"data.d = {data.d}: must be network.d = {network.d}; pass matching ones")
        precision = dtype_name(dtype)
        if teacher is not None and data is not None:
            raise InvalidParameterError(
                "teacher = ...: the teacher of `data` is the first axis; leave teacher out, or pass X and y alone"
            )
        self._turn = None if teacher is None else Reflection.onto_first_axis("teacher", teacher, network.d)
        train = labelled("X", "y", X, y, network.d, precision)
        test = labelled("X_test", "y_test", X_test, y_test, network.d, precision)
        if train is None and data is None:
            raise InvalidParameterError("X = None: there is nothing to learn from; pass X and y, or data=")
        if batch is not None and train is not None:
            raise InvalidParameterError(f"batch = {batch!r}: fixed examples are used whole; leave batch out")
        seed = checked_seed(seed)
        example_loss = losses.loss("loss", loss, losses.PARTICLES)
        self._arguments = {
            "network": network,
            "X": None if train is None else train[0],
            "y": None if train is None else train[1],
            "data": data,
            "alpha": number("alpha", alpha, minimum=0.0, exclusive=True),
            "h": number("h", h, minimum=0.0, exclusive=example_loss == "hinge"),
            "beta": number("beta", beta, minimum=0.0, exclusive=True),
            "p": number("p", p),
            "loss": example_loss,
            "subtract_init": flag("subtract_init", subtract_init),
            "batch": batch if batch is None else count("batch", batch),
            "teacher": None if self._turn is None else self._turn.direction,
            "X_test": None if test is None else test[0],
            "y_test": None if test is None else test[1],
            "test_size": count("test_size", test_size),
            "record_nodes": record_nodes
            if record_nodes is None
            else count("record_nodes", record_nodes, minimum=0),
            "dtype": precision,
            "tile": tile if tile is None else (count("tile[0]", tile[0]), count("tile[1]", tile[1])),
            "seed": seed,
            "shards": count("shards", shards, maximum=network.width),
        }
        # New examples come from the training stream that `data.sample` names with this seed.
        words = seed_words(seed) if data is None else data._stream(seed, "train")[0]
        self._activation = network.activation
        self._fixed = train is not None
        self._tested = test is not None or data is not None
        recorded = self._arguments["record_nodes"]
        self._recorded = min(_RECORDED if recorded is None else recorded, network.width)
        there = executor_of(executor)
        if there is None:
            # Weights that are given stay beside the engine's own.
            copies = 2 if isinstance(network, MeanFieldNetwork) else 1
            require(
                copies * self.memory_estimate(),
                f"this run (M={network.width}, d={network.d})",
                "use fewer nodes, float32, RandomNodes, or shards on other machines",
            )
        if test is None and data is not None:
            drawn = data.sample(self._arguments["test_size"], seed=seed, stream="test", clean=True)
            test = (np.asarray(drawn[0], dtype=precision), np.asarray(drawn[1], dtype=precision))
        blueprint = Blueprint(
            nodes=network
            if isinstance(network, RandomNodes)
            else (
                narrowed("a", network.a, precision),
                narrowed("w", self._turned(network.w), precision),
            ),
            turn=self._turn,
            # The engine measures along the first axis: what is learnt does not depend on the axes.
            train=self._turned_examples(train, precision),
            test=self._turned_examples(test, precision),
            data=data,
            batch=self._arguments["batch"] or _BATCH,
            words=words,
            width=network.width,
            d=network.d,
            recorded=self._recorded,
            activation=network.activation,
            rule=tuple(self._arguments[name] for name in ("loss", "alpha", "h", "beta", "p")),
            **{name: self._arguments[name] for name in ("subtract_init", "dtype", "tile")},
        )
        pieces = self._arguments["shards"]
        self._sharded = pieces > 1 or there is not None
        self._engine = ShardedEngine(blueprint, pieces, there) if self._sharded else blueprint.whole()
        self._dt = 1.0

    _engine: Any

    @property
    def t(self) -> float:
        """Present time: steps times their dt."""
        return float(self._engine.t)

    @property
    def step(self) -> int:
        """Steps taken."""
        return int(self._engine.step)

    @property
    def network(self) -> MeanFieldNetwork:
        """The network as it is now."""
        state = self._engine.snapshot()
        w = np.asarray(state["w"])
        return MeanFieldNetwork(
            state["a"], self._turned(w).astype(w.dtype, copy=False), activation=self._activation
        )

    @property
    def first_satisfied(self) -> npt.NDArray[np.int64]:
        """Steps after which each fixed example was first seen satisfied; -1 for not yet. Shape (P,)."""
        first: npt.NDArray[np.int64] = self._engine.query("first_satisfied")["first_satisfied"]
        return first

    def _turned(self, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return rows in the engine's axes, or back in ours: a reflection is its own inverse."""
        return rows if self._turn is None else self._turn(rows)

    def _turned_examples(
        self, examples: tuple[npt.NDArray[Any], npt.NDArray[Any]] | None, dtype: str
    ) -> tuple[npt.NDArray[Any], npt.NDArray[Any]] | None:
        if examples is None:
            return None
        return self._turned(examples[0]).astype(dtype, copy=False), examples[1]

    def close(self) -> None:
        """Let the executor's workers go, and the shards with them; a run without an executor stays as it is."""
        if self._sharded:
            self._engine.close()

    def memory_estimate(self) -> int:
        """Return the bytes a run takes beside the network and the data that were passed: what its engine takes."""
        arguments = self._arguments
        network: MeanFieldNetwork | RandomNodes = arguments["network"]
        given = arguments["X_test"]
        tests = len(given) if given is not None else arguments["test_size"] if self._tested else 0
        return _lib.particles_memory(
            width=network.width,
            d=network.d,
            examples=len(arguments["X"]) if self._fixed else (arguments["batch"] or _BATCH),
            tests=tests,
            fresh=not self._fixed,
            subtract_init=arguments["subtract_init"],
            activation=network.activation,
            dtype=arguments["dtype"],
            tile=arguments["tile"],
            threads=None,
        )

    @stepping
    def advance(self, n_steps: int, *, dt: float = 1.0, threads: int | None = None) -> None:
        """Take `n_steps` steps of size `dt` (fewer if every fixed example becomes satisfied)."""
        self._dt = number("dt", dt, minimum=0.0, exclusive=True)
        end = self.step + count("n_steps", n_steps, minimum=0)
        self._engine.advance(
            _MOST_STEPS,
            until_step=_exact("n_steps", end),
            dt=self._dt,
            threads=checked_threads("threads", threads),
        )

    def observe(self, *, threads: int | None = None) -> Observation:
        """Return what is measured now.

        ``gamma``, ``unsatisfied``, ``loss``, ``train_error``, ``test_error``, ``test_unsatisfied`` (of the present
        batch where data are fresh), and ``a``, ``w_par`` of the recorded nodes.
        """
        seen: Observation = self._engine.observe(checked_threads("threads", threads))
        return seen | self._engine.query("nodes", threads=threads) if self._recorded else seen

    @long_run
    def run(
        self,
        steps: int,
        *,
        dt: float = 1.0,
        save_at: npt.ArrayLike | None = None,
        **options: Unpack[RunOptions],
    ) -> xr.Dataset:
        """Train until step number `steps` (from where the driver is) and return what was measured.

        Parameters
        ----------
        steps
            Last step. With fixed data and the hinge loss the run ends earlier if every example is
            satisfied; the result then ends there.
        dt
            Size of a step in units of time.
        save_at
            Numbers of steps to measure at, increasing; None: the present, about 60 log-spaced ones, the
            last.
        **options
            Options of every run, :class:`hmm_rs.dynamics.RunOptions`.

        Raises
        ------
        DivergenceError
            If the learning rate is too large; ``.result`` holds what was measured before.
        """
        saves = save_steps(_exact("steps", count("steps", steps, minimum=0)), save_at, self.step)
        self._dt = number("dt", dt, minimum=0.0, exclusive=True)
        return self._drive(np.asarray(self.t + (saves - self.step) * self._dt, dtype=np.float64), **options)

    def _advance_towards(self, target: float, steps: int, threads: int | None) -> bool:
        left = max(round((target - self.t) / self._dt), 0)
        return bool(self._engine.advance(steps, until_step=self.step + left, dt=self._dt, threads=threads))

    def _observe(self, threads: int | None) -> Observation:
        return self.observe(threads=threads)

    def _finished_early(self) -> str:
        return self._engine.finished or ""

    def _postfix(self, seen: Observation) -> str:
        return f"unsatisfied={seen['unsatisfied']:.3g}"

    def _finish(self, result: xr.Dataset) -> xr.Dataset:
        if self._fixed:
            first = self.first_satisfied
            attributes = {"long_name": "steps until first satisfied (-1: never)"}
            result["first_satisfied"] = ("example", first, attributes)
        if "gamma" in result and np.isnan(result["gamma"]).any():
            result["gamma"].attrs["undefined"] = (
                "NaN where the overlap with the initial nodes is not positive"
            )
        return result

    def _saved_state(self, path: Path) -> dict[str, npt.NDArray[Any]]:
        if not self._sharded:
            return self._state()
        state: dict[str, npt.NDArray[Any]] = self._engine.save(path)
        return {**state, "run_dt": np.asarray(self._dt)}

    def _is_saved(self) -> None:
        if self._sharded:
            self._engine.saved()

    def _restore_saved(self, state: Mapping[str, npt.NDArray[Any]], path: Path) -> None:
        if "token" not in state and not self._sharded:
            super()._restore_saved(state, path)
            return
        if "token" not in state:
            self._restore(state)
        elif self._sharded:
            self._engine.load(path, state)
        else:
            # One shard that lived on a worker is the whole network.
            step, token = int(state["step"]), int(state["token"])
            self._engine.restore(read_shard(folder_of(path), (0, 1), step, token))
        self._dt = float(state["run_dt"])

    def _state(self) -> dict[str, npt.NDArray[Any]]:
        state = {name: np.asarray(value) for name, value in self._engine.snapshot().items()}
        # The engine learns the size of a step at the first one; a run that is stopped before it has one too.
        return {**state, "run_dt": np.asarray(self._dt)}

    def _restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        counters = {name: np.uint64(state[name]) for name in ("step", "anchor_step") if name in state}
        self._engine.restore({**state, **counters, "finished": bool(state["finished"])})
        self._dt = float(state["run_dt"])


def _exact(name: str, steps: int) -> int:
    """Return a number of steps that can be counted exactly."""
    if steps > _MOST_STEPS:
        raise InvalidParameterError(
            f"{name} leads to step {steps}: steps are counted up to 2**53; pass fewer"
        )
    return steps
