from collections.abc import Callable, Sequence
from typing import Any, Protocol, Self, final

import numpy as np
import numpy.typing as npt

_Words = npt.NDArray[np.uint32]
_Array = npt.NDArray[np.float64]

__version__: str

def set_num_threads(threads: int) -> None: ...
def get_num_threads() -> int: ...
def instruction_set() -> str: ...
def choose_instruction_set(name: str) -> None: ...
def available_bytes() -> int: ...
def option_names(which: str) -> list[str]: ...
def matmul(
    a: npt.NDArray[np.floating[Any]],
    b: npt.NDArray[np.floating[Any]] | None,
    *,
    out: npt.NDArray[np.floating[Any]],
    threads: int | None = None,
) -> None: ...
def symmetric_eigen(a: _Array) -> dict[str, _Array]: ...
def symmetric_eigenvalues(a: _Array) -> _Array: ...
def is_positive_definite(a: _Array) -> bool: ...
def solve_linear(a: _Array, b: _Array) -> _Array: ...
def weight_normals(seed: _Words, unit: int, count: int) -> _Array: ...
def layer_normals(seed: _Words, layer: int, width: int, fan_in: int) -> _Array: ...

@final
class NodeLaw:
    def __new__(
        cls,
        seed: _Words,
        width: int,
        d: int,
        *,
        std_a: float,
        std_w: float,
        std_b: float,
        paired: str | None,
    ) -> Self: ...

def random_nodes(
    law: NodeLaw, first: int, last: int, dtype: str
) -> tuple[_AnyFloats, _AnyFloats, _AnyFloats]: ...
def mean_field_outputs(
    x: _AnyFloats,
    a: _AnyFloats,
    w: _AnyFloats,
    b: _AnyFloats | None,
    *,
    activation: str,
    dtype: str,
    threads: int | None,
) -> _AnyFloats: ...

@final
class Schedule:
    @staticmethod
    def step(values: Sequence[float], at: Sequence[float]) -> Schedule: ...
    @staticmethod
    def power(a: float, b: float, c: float) -> Schedule: ...
    @staticmethod
    def cosine(start: float, end: float, duration: float) -> Schedule: ...
    @staticmethod
    def function(argument: str, function: Callable[[Any], Any]) -> Schedule: ...
    def at(self, t: _Array) -> _Array: ...
    def of_steps(self, first: int, inputs: int, count: int) -> _Array: ...

_Rate = float | Schedule

@final
class Engine:
    @property
    def step(self) -> int: ...
    @property
    def t(self) -> float: ...
    @property
    def finished(self) -> str | None: ...
    def advance(
        self,
        steps: int,
        *,
        until_step: int = ...,
        until: float = ...,
        dt: float = 1.0,
        threads: int | None = None,
    ) -> bool: ...
    def observe(self, threads: int | None = None) -> dict[str, Any]: ...
    def query(self, what: str, *, threads: int | None = None) -> dict[str, Any]: ...
    def stop_when(self, rules: dict[str, Any]) -> None: ...
    def snapshot(self) -> dict[str, Any]: ...
    def restore(self, state: dict[str, Any]) -> None: ...
    def memory(self, *, threads: int | None = None) -> int: ...

@final
class Source:
    @staticmethod
    def hidden_manifold(
        inputs: int,
        latents: int,
        *,
        f: str | Callable[[Any], Any],
        features: str | _Array,
        normalise_rows: bool,
        mean: float | _Array,
        seed: _Words,
        dtype: str,
    ) -> Source: ...
    @staticmethod
    def conjugate(manifold: Source, *, mean: _Array, slope: _Array, noise: _Array) -> Source: ...
    @staticmethod
    def gaussian(inputs: int, *, dtype: str) -> Source: ...
    @staticmethod
    def correlated(omega: _Array, phi: _Array, *, dtype: str) -> Source: ...
    @staticmethod
    def stored(x: _Array, y: _Array, *, dtype: str) -> Source: ...
    @staticmethod
    def from_callable(
        function: Callable[[Any], Any], inputs: int, latents: int, *, mean: _Array, dtype: str
    ) -> Source: ...
    def sample(
        self, count: int, *, start: int, seed: _Words, test: bool, threads: int | None
    ) -> tuple[npt.NDArray[np.floating[Any]], npt.NDArray[np.floating[Any]]]: ...
    def mean(self, count: int, *, seed: _Words, threads: int | None) -> _Array: ...
    def features(self) -> _Array | None: ...

def online_sgd(
    source: Source,
    *,
    student: Sequence[Any],
    ensemble: bool,
    teacher: Any,
    moments: dict[str, float] | None,
    centred: bool,
    labels: str,
    classify: bool,
    lr: Sequence[_Rate],
    lr_v: Sequence[_Rate],
    train_second_layer: bool,
    noise: Sequence[_Rate],
    weight_decay: Sequence[_Rate],
    batch: int,
    test_size: int,
    seed: _Words,
) -> Engine: ...
def network_outputs_f32(
    x: npt.NDArray[np.float32],
    w: npt.NDArray[np.float32],
    v: npt.NDArray[np.float32],
    unit: str,
    scale: float,
    threads: int | None,
) -> npt.NDArray[np.float32]: ...
def network_outputs_f64(
    x: _Array, w: _Array, v: _Array, unit: str, scale: float, threads: int | None
) -> _Array: ...
def train_classifier(
    x: npt.NDArray[np.float32],
    labels: _Words,
    order: _Words,
    w: npt.NDArray[np.float32],
    v: npt.NDArray[np.float32],
    *,
    lr: float,
    batch: int,
) -> dict[str, Any]: ...
def gaussian_average(c: _Array, units: list[str]) -> _Array: ...
def activation_moments(unit: str) -> dict[str, float]: ...
def marchenko_pastur(delta: float, n: int) -> dict[str, _Array]: ...
def weight_overlaps(a: _Array, b: _Array) -> _Array: ...
def manifold_modes(features: _Array, w: _Array, w_teacher: _Array) -> dict[str, Any]: ...
def covariance_modes(
    omega: _Array, phi: _Array | None, w: _Array, w_teacher: _Array
) -> dict[str, _Array]: ...
def generalisation_error(q: _Array, r: _Array, t: _Array, v: _Array, setting: OnlineSetting) -> _Array: ...

@final
class TabulatedUnit:
    def __new__(
        cls, *, start: float, step: float, values: _Array, slopes: _Array, curvatures: _Array
    ) -> Self: ...

@final
class OnlineSetting:
    def __new__(
        cls,
        *,
        v0: _Array,
        v_teacher: _Array,
        student: str | TabulatedUnit,
        teacher: str | TabulatedUnit,
        lr: _Rate,
        lr_v: _Rate,
        noise: _Rate,
        weight_decay: _Rate,
        batch: int,
    ) -> Self: ...

@final
class OnlineEquations:
    @staticmethod
    def saad_solla(setting: OnlineSetting, *, q0: _Array, r0: _Array, t: _Array) -> OnlineEquations: ...
    @staticmethod
    def hidden_manifold(
        setting: OnlineSetting,
        *,
        rho: _Array,
        weights: _Array,
        sigma0: _Array,
        r0: _Array,
        t_modes: _Array,
        w0: _Array,
        delta: float,
        moments: dict[str, float],
        center: bool,
        teacher_modes: str,
    ) -> OnlineEquations: ...
    @staticmethod
    def covariance(
        setting: OnlineSetting,
        *,
        t: _Array,
        rho: _Array,
        weights: _Array,
        q0: _Array,
        r0: _Array,
        t_modes: _Array,
    ) -> OnlineEquations: ...
    def dimension(self) -> int: ...
    def velocity(self, repeats: int) -> _Array: ...
    def first_step(self, *, nodes: _Array, weights: _Array) -> dict[str, _Array]: ...
    def fluctuations(
        self,
        t_eval: _Array,
        *,
        rtol: float,
        atol: float,
        method: str,
        nodes: _Array,
        weights: _Array,
        threads: int | None,
    ) -> dict[str, Any]: ...

def solve_online(
    systems: list[OnlineEquations],
    t_eval: _Array,
    *,
    rtol: float,
    atol: float,
    method: str,
    threads: int | None,
) -> list[dict[str, Any]]: ...
def hinge_lazy_master(s: _Array) -> _Array: ...
def hinge_rich_front(tau: _Array) -> _Array: ...

@final
class HingeTheory:
    def __new__(cls, problem: Any) -> Self: ...
    def gamma(self, t: _Array) -> _Array: ...
    def gamma_by_flow(self, t: _Array) -> _Array: ...
    def gamma_dot(self, gamma: _Array) -> _Array: ...
    def alignment(self, gamma: _Array) -> _Array: ...
    def time_of_gamma(self, gamma: _Array) -> _Array: ...
    def satisfaction_gamma(self, z: _Array) -> _Array: ...
    def plateau(self) -> float: ...
    def observables(self, gamma: _Array) -> dict[str, _Array]: ...
    def gd(self, steps: int, dt: float) -> dict[str, _Array]: ...
    def node_variance(self, gamma: _Array, *, x_par: float, perpendicular: float) -> _Array: ...
    def test_errors(self, gamma: _Array, width: float) -> dict[str, _Array]: ...
    def satisfaction_band(
        self, gamma: _Array, *, width: float, perpendicular: float, residual: bool
    ) -> dict[str, _Array]: ...
    def memorisation(self, t: _Array, samples: float) -> dict[str, Any]: ...
    def late_time(self, t: _Array) -> dict[str, Any]: ...

@final
class ProjectedHinge:
    def __new__(
        cls,
        d: int,
        *,
        x: _Array,
        y: _Array,
        probability: _Array,
        nodes: int,
        lengths: int,
        sigma_x: float,
        sigma_a: float,
        sigma_w: float,
        alpha: float,
        h: float,
        beta: float,
        p: float,
        kappa: float,
    ) -> Self: ...
    def advance(self, steps: int, dt: float) -> None: ...
    def state(self) -> dict[str, float]: ...
    def nodes(self) -> dict[str, _Array]: ...
    def points(self) -> dict[str, _Array]: ...

# replica theory of full-batch learning
class _Atoms(Protocol):
    @property
    def omega(self) -> _Array: ...
    @property
    def weight(self) -> _Array: ...
    @property
    def t(self) -> _Array: ...
    @property
    def rho(self) -> float: ...

_Settings = dict[str, Any]

def replica_spectrum(omega: _Array, weight: _Array, t: _Array, rho: float) -> dict[str, Any]: ...
def replica_spectrum_from_covariance(omega: _Array, b: _Array, rho: float) -> dict[str, Any]: ...
def replica_spectrum_random_features(
    y: float, kappa1: float, kappa_star: float, rho: float, nodes: int
) -> dict[str, Any]: ...
def replica_curve(
    atoms: _Atoms, alphas: _Array, settings: _Settings, threads: int | None
) -> dict[str, Any]: ...
def replica_ridgeless(atoms: _Atoms, alpha: float, noise: float) -> dict[str, float]: ...
def replica_max_margin(atoms: _Atoms, alpha: float, settings: _Settings) -> dict[str, Any]: ...
def replica_threshold(atoms: _Atoms, flip: float, noise: float) -> float: ...
def replica_optimal_ridge(
    atoms: _Atoms, alpha: float, settings: _Settings, lower: float, upper: float
) -> dict[str, Any]: ...
def replica_prox(s: _Array, v: float, loss: str) -> dict[str, _Array]: ...

# full-batch learning
class _Features(Protocol):
    @property
    def omega(self) -> _Array: ...
    @property
    def b(self) -> _Array: ...
    @property
    def rho(self) -> float: ...

def full_batch_fit(
    problems: list[tuple[_Array, _Array]], settings: _Settings, threads: int | None
) -> list[dict[str, Any]]: ...
def full_batch_gaussian(
    features: _Features,
    sizes: list[int],
    repeats: int,
    settings: _Settings,
    labels: dict[str, float],
    seed: _Words,
    threads: int | None,
) -> dict[str, _Array]: ...

# what tests of Gaussian equivalence ask
def mean_pair_kernel(points: _Array, width: float, threads: int | None) -> float: ...

_Floats = npt.NDArray[np.floating[Any]]

def ntk(x: _Array, y: _Array | None, *, bias: str, out: _Array, threads: int | None = None) -> None: ...
def laplace(
    x: _Array, y: _Array | None, *, scale: float, out: _Array, threads: int | None = None
) -> None: ...
def network_ntk(
    network: Any,
    x: _AnyFloats,
    y: _AnyFloats | None,
    *,
    part: str,
    block: int,
    out: _AnyFloats,
    threads: int | None = None,
) -> None: ...
def network_ntk_bytes(block: int, *, dtype: str, threads: int | None = None) -> int: ...
def learning_curve_exponents(d: int, d_par: int, xi: float) -> dict[str, float]: ...
def attractors(d: int, labels: Any) -> dict[str, npt.NDArray[Any]]: ...
def characteristic_time(h: float, alpha: float, growth: float) -> float: ...
def population_field(omega: _Array, b: float, labels: Any) -> dict[str, Any]: ...
def compression_all_active(labels: Any) -> float: ...
def neuron_flow_rates(
    labels: Any, width: float, noise: _Array, w: _Array, b: _Array, a: _Array
) -> dict[str, _Array]: ...
def network_flow(
    settings: Any,
    *,
    network: Any,
    x: _Array,
    y: _Array,
    x_test: _Array | None,
    dtype: str,
    threads: int | None = None,
) -> Engine: ...
def kernel_flow(
    settings: Any, *, gram: _Array, y: _Array, test: _Array | None, threads: int | None = None
) -> Engine: ...
def function_flow(
    settings: Any,
    *,
    outputs: Callable[[_Array], _Array],
    gradient: Callable[[_Array, _Array], _Array],
    theta: _Array,
    y: _Array,
    threads: int | None = None,
) -> Engine: ...

_AnyFloats = npt.NDArray[np.floating[Any]]

@final
class LabelledLaw:
    @staticmethod
    def separable(d: int, *, sigma: float, flip: float) -> LabelledLaw: ...
    @staticmethod
    def sphere(d: int, *, radius: float, flip: float) -> LabelledLaw: ...
    @staticmethod
    def mixture(d: int, *, mu: float, sigma: float, flip: float) -> LabelledLaw: ...
    @staticmethod
    def stripe(d: int, *, low: float, high: float, inside: float, stretch: float) -> LabelledLaw: ...
    @staticmethod
    def interface(d: int, *, x0: float) -> LabelledLaw: ...
    @staticmethod
    def radial(d: int, *, informative: int, threshold: float, stretch: float) -> LabelledLaw: ...
    def sample(
        self, count: int, *, start: int, seed: _Words, test: bool, clean: bool, threads: int | None
    ) -> tuple[_Array, _Array]: ...

_Nodes = tuple[_AnyFloats, _AnyFloats] | tuple[NodeLaw, int, int]

def particles(
    nodes: _Nodes,
    *,
    X: _AnyFloats | None,
    y: _AnyFloats | None,
    X_test: _AnyFloats | None,
    y_test: _AnyFloats | None,
    law: LabelledLaw | None,
    batch: int,
    seed: _Words,
    activation: str,
    loss: str,
    alpha: float,
    h: float,
    beta: float,
    p: float,
    subtract_init: bool,
    recorded: int,
    dtype: str,
    tile: tuple[int, int] | None,
    threads: int | None,
) -> Engine: ...
def particles_shard(
    nodes: _Nodes,
    *,
    whole: int,
    X: _AnyFloats | None,
    y: _AnyFloats | None,
    X_test: _AnyFloats | None,
    y_test: _AnyFloats | None,
    law: LabelledLaw | None,
    batch: int,
    seed: _Words,
    activation: str,
    loss: str,
    alpha: float,
    h: float,
    beta: float,
    p: float,
    subtract_init: bool,
    recorded: int,
    dtype: str,
    tile: tuple[int, int] | None,
    threads: int | None,
) -> ParticleShard: ...

@final
class ParticleShard:
    def initial(self, *, threads: int | None) -> _Array: ...
    def begin(self, total: _Array) -> None: ...
    def contribution(self, *, threads: int | None) -> _Array: ...
    def advance(self, step: int, total: _Array, dt: float, *, threads: int | None) -> bool: ...
    def reading(self, *, threads: int | None) -> _Array: ...
    def seen(self, total: _Array, reading: _Array, *, threads: int | None) -> dict[str, Any]: ...
    def query(self, what: str) -> dict[str, Any]: ...
    def snapshot(self) -> dict[str, Any]: ...
    def restore(self, state: dict[str, Any]) -> None: ...
    def memory(self, *, threads: int | None) -> int: ...

def particles_memory(
    *,
    width: int,
    d: int,
    examples: int,
    tests: int,
    fresh: bool,
    subtract_init: bool,
    activation: str,
    dtype: str,
    tile: tuple[int, int] | None,
    threads: int | None,
) -> int: ...

# deep generators
def deep_generator(
    layers: list[dict[str, Any]], latents: int, *, mean: _Array | None, dtype: str
) -> tuple[Source, int]: ...

@final
class CovarianceStream:
    def __new__(cls, source: Source, seed: _Words, start: int) -> Self: ...
    def advance(self, samples: int, threads: int | None) -> None: ...
    def count(self) -> int: ...
    def estimate(self) -> dict[str, _Array]: ...
