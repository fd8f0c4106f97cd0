from collections.abc import Callable
from typing import Any, Protocol, Self, final

import numpy as np
import numpy.typing as npt

_Words = npt.NDArray[np.uint32]
_Array = npt.NDArray[np.float64]

__version__: str

def set_num_threads(threads: int) -> None: ...
def get_num_threads() -> int: ...
def instruction_set() -> str: ...
def available_bytes() -> int: ...
def option_names(list: str) -> list[str]: ...
def matmul(
    a: npt.NDArray[np.floating[Any]],
    b: npt.NDArray[np.floating[Any]] | None,
    *,
    out: npt.NDArray[np.floating[Any]],
    threads: int | None = None,
) -> None: ...
def weight_normals(seed: _Words, unit: int, count: int) -> _Array: ...

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
        f: str,
        function: Callable[[Any], Any] | None,
        features_kind: str,
        matrix: _Array | None,
        normalise_rows: bool,
        mean: float,
        seed: _Words,
        dtype: str,
    ) -> Source: ...
    @staticmethod
    def conjugate(manifold: Source, *, mean: float, slope: float, noise: float) -> Source: ...
    @staticmethod
    def gaussian(inputs: int, dtype: str) -> Source: ...
    @staticmethod
    def correlated(from_latents: _Array, from_noise: _Array, dtype: str) -> Source: ...
    @staticmethod
    def stored(x: _Array, y: _Array, dtype: str) -> Source: ...
    @staticmethod
    def from_callable(
        function: Callable[[Any], Any], inputs: int, latents: int, mean: _Array, dtype: str
    ) -> Source: ...
    def sample(
        self, count: int, *, start: int, seed: _Words, test: bool, threads: int | None
    ) -> tuple[npt.NDArray[np.floating[Any]], npt.NDArray[np.floating[Any]]]: ...
    def features(self) -> _Array | None: ...

@final
class OnlineSgd:
    def __new__(
        cls,
        source: Source,
        *,
        moments: tuple[float, float] | None,
        w: _Array,
        v: _Array,
        unit: str,
        teacher_w: _Array,
        teacher_v: _Array,
        teacher_unit: str,
        labels: str,
        classify: bool,
        lr: float,
        lr_v: float,
        train_second_layer: bool,
        noise: float,
        weight_decay: float,
        batch: int,
        test_size: int,
        seed: _Words,
    ) -> Self: ...
    def advance(self, steps: int, threads: int | None) -> None: ...
    def observe(self, threads: int | None) -> dict[str, Any]: ...
    @property
    def step(self) -> int: ...
    def weights(self) -> tuple[npt.NDArray[np.floating[Any]], npt.NDArray[np.floating[Any]]]: ...
    def restore(self, w: _Array, v: _Array, step: int) -> None: ...
    @staticmethod
    def memory_estimate(source: Source, test_size: int, threads: int | None) -> int: ...

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
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], float]: ...
def i2(c: _Array, names: list[str]) -> _Array: ...
def i3(c: _Array, names: list[str]) -> _Array: ...
def i4(c: _Array, names: list[str]) -> _Array: ...
def marchenko_pastur(delta: float, n: int) -> tuple[_Array, _Array]: ...
def generalisation_error(q: _Array, r: _Array, t: _Array, v: _Array, setting: OnlineSetting) -> _Array: ...

@final
class TabulatedUnit:
    def __new__(
        cls,
        start: float,
        step: float,
        values: list[float],
        slopes: list[float],
        curvatures: list[float],
    ) -> Self: ...

@final
class OnlineSetting:
    def __new__(
        cls,
        v0: list[float],
        v_teacher: list[float],
        student: str | TabulatedUnit,
        teacher: str | TabulatedUnit,
        *,
        lr: float,
        lr_v: float,
        noise: float,
        weight_decay: float,
        batch: int,
    ) -> Self: ...

@final
class OnlineEquations:
    @staticmethod
    def saad_solla(setting: OnlineSetting, q0: _Array, r0: _Array, t: _Array) -> OnlineEquations: ...
    @staticmethod
    def hidden_manifold(
        setting: OnlineSetting,
        rho: _Array,
        weights: _Array,
        sigma0: _Array,
        r0: _Array,
        t_modes: _Array,
        w0: _Array,
        *,
        delta: float,
        moments: tuple[float, float, float],
        center: bool,
        teacher_modes: str,
    ) -> OnlineEquations: ...
    @staticmethod
    def covariance(
        setting: OnlineSetting,
        t: _Array,
        rho: _Array,
        weights: _Array,
        q0: _Array,
        r0: _Array,
        t_modes: _Array,
    ) -> OnlineEquations: ...
    def dimension(self) -> int: ...
    def velocity(self, repeats: int) -> _Array: ...

def solve_online(
    systems: list[OnlineEquations],
    t_eval: list[float],
    *,
    rtol: float,
    atol: float,
    method: str,
    threads: int | None,
) -> list[dict[str, Any]]: ...
def random_nodes_f32(
    seed: _Words, width: int, d: int, std_a: float, std_w: float, std_b: float
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.float32]]: ...
def random_nodes_f64(
    seed: _Words, width: int, d: int, std_a: float, std_w: float, std_b: float
) -> tuple[_Array, _Array, _Array]: ...
def hinge_lazy_master(s: _Array) -> _Array: ...
def hinge_rich_front(tau: _Array) -> _Array: ...
def hinge_late_constant(a: float) -> float: ...

@final
class HingeTheory:
    def __new__(
        cls,
        law: str | Callable[[_Array], npt.ArrayLike],
        d: float,
        scale: float,
        mu: float,
        flip: float,
        support: tuple[float, float],
        loss: tuple[float, float, float, float],
        kappa: float,
        moments: tuple[float, float],
        subtract_init: bool,
    ) -> Self: ...
    def gamma(self, t: _Array) -> _Array: ...
    def gamma_by_flow(self, t: _Array) -> _Array: ...
    def gamma_dot(self, gamma: _Array) -> _Array: ...
    def alignment(self, gamma: _Array) -> _Array: ...
    def time_of_gamma(self, gamma: _Array) -> _Array: ...
    def satisfaction_gamma(self, z: _Array) -> _Array: ...
    def plateau(self) -> float | None: ...
    def observables(self, gamma: _Array) -> list[_Array]: ...
    def gd(self, steps: int, dt: float) -> list[_Array]: ...
    def node_variance(
        self, gamma: _Array, sigma_a: float, sigma_w: float, point: tuple[float, float]
    ) -> _Array: ...
    def test_errors(
        self, gamma: _Array, sigma_a: float, sigma_w: float, width: float, d: float
    ) -> list[_Array]: ...
    def satisfaction_band(
        self, gamma: _Array, sigma_a: float, sigma_w: float, width: float, xperp2: float, residual: bool
    ) -> list[_Array]: ...
    def memorisation(
        self, t: _Array, d: float, samples: float, sigmas: tuple[float, float, float]
    ) -> tuple[list[_Array], float]: ...
    @staticmethod
    def late_gamma(a: float, shift: float, scaled_times: _Array) -> _Array: ...

@final
class ProjectedHinge:
    def __new__(
        cls,
        nodes: tuple[_Array, _Array, _Array, _Array],
        data: tuple[_Array, _Array, _Array, _Array],
        k: int,
        loss: tuple[float, float, float, float],
        kappa: float,
    ) -> Self: ...
    def advance(self, steps: int, dt: float) -> None: ...
    def state(self) -> tuple[float, float, float]: ...
    def nodes(self) -> list[_Array]: ...
    def output(self) -> _Array: ...

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
def symmetric_eigenvalues(matrix: npt.NDArray[np.floating[Any]]) -> _Array: ...

_Floats = npt.NDArray[np.floating[Any]]
_Singles = npt.NDArray[np.float32]

def ntk(x: _Array, y: _Array | None, bias: str, threads: int | None) -> _Array: ...
def laplace(x: _Array, y: _Array | None, scale: float, threads: int | None) -> _Array: ...
def network_ntk_f32(
    weights: tuple[_Singles, _Singles, _Singles | None],
    slope: float,
    x: _Singles,
    y: _Singles | None,
    last_layer: bool,
    block: int,
    out: _Singles,
    threads: int | None,
) -> None: ...
def network_ntk_f64(
    weights: tuple[_Array, _Array, _Array | None],
    slope: float,
    x: _Array,
    y: _Array | None,
    last_layer: bool,
    block: int,
    out: _Array,
    threads: int | None,
) -> None: ...
def network_ntk_bytes(block: int, single: bool, threads: int | None) -> int: ...

_Labels = tuple[float, float, float] | tuple[float]

def learning_curve_exponents(d: int, d_par: int, xi: float) -> tuple[float, float]: ...
def attractors(
    d: int, labels: _Labels
) -> list[tuple[float, float, float, float, float, float, bool, bool, float]]: ...
def characteristic_time(h: float, alpha: float, growth: float) -> float: ...
def population_field(omega: _Array, b: float, labels: _Labels) -> tuple[_Array, float, float]: ...
def compression_all_active(labels: _Labels) -> float: ...
def neuron_flow_rates(
    labels: _Labels, width: float, noise: _Array, omega: _Array, b: _Array, beta: _Array
) -> tuple[_Array, _Array, _Array]: ...

@final
class GradientFlow:
    @staticmethod
    def network(
        settings: Any,
        *,
        theta: _Array,
        width: int,
        slope: float,
        x: _Array,
        y: _Array,
        x_test: _Array | None,
        single: bool,
        threads: int | None,
    ) -> GradientFlow: ...
    @staticmethod
    def kernel(
        settings: Any, *, gram: _Array, y: _Array, test: _Array | None, threads: int | None
    ) -> GradientFlow: ...
    @staticmethod
    def functions(
        settings: Any,
        *,
        outputs: Callable[[_Array], _Array],
        gradient: Callable[[_Array, _Array], _Array],
        theta: _Array,
        y: _Array,
    ) -> GradientFlow: ...
    def advance(self, trials: int, t: float, step: int, threads: int | None) -> bool: ...
    def set_rules(self, margin: float | None, fraction: float | None, steps: int | None) -> None: ...
    @property
    def stopped(self) -> str | None: ...
    @property
    def t(self) -> float: ...
    @property
    def step(self) -> int: ...
    @property
    def trials(self) -> int: ...
    def observe(self) -> dict[str, Any]: ...
    def margins(self) -> _Array: ...
    def test_predictions(self, threads: int | None) -> _Array | None: ...
    def theta(self) -> _Array: ...
    def gradient(self) -> _Array: ...
    def evaluate(self, threads: int | None) -> None: ...
    def events(self) -> dict[str, tuple[int, float, _Array]]: ...
    def clock(self) -> tuple[float, float, int, int, int, float]: ...
    def restore(
        self,
        theta: _Array,
        clock: tuple[float, float, int, int, int, float],
        events: dict[str, tuple[int, float, _Array]],
    ) -> None: ...

_AnyFloats = npt.NDArray[np.floating[Any]]
_Examples = tuple[_AnyFloats, _AnyFloats]

@final
class LabelledLaw:
    def __new__(cls, shape: str, d: int, scale: float, mu: float, flip: float) -> Self: ...
    def sample(
        self, count: int, start: int, seed: _Words, test: bool, clean: bool, threads: int | None
    ) -> tuple[_Array, _Array]: ...

@final
class Particles:
    def __new__(
        cls,
        a: _AnyFloats,
        w: _AnyFloats,
        *,
        train: _Examples | None,
        test: _Examples | None,
        fresh: tuple[LabelledLaw, int, _Words] | None,
        unit: str,
        loss: str,
        scales: tuple[float, float, float, float],
        subtract_init: bool,
        dtype: str,
        tile: tuple[int, int] | None,
        threads: int | None,
    ) -> Self: ...
    def advance(self, steps: int, dt: float, threads: int | None) -> None: ...
    def observe(self, threads: int | None) -> tuple[float, float, float, float, float, float]: ...
    @property
    def step(self) -> int: ...
    @property
    def finished(self) -> bool: ...
    def weights(self) -> tuple[_AnyFloats, _AnyFloats]: ...
    def nodes(self, count: int) -> tuple[_Array, _Array]: ...
    def first_satisfied(self) -> npt.NDArray[np.int64]: ...
    def restore(self, a: _AnyFloats, w: _AnyFloats, step: int, first: npt.NDArray[np.int64]) -> None: ...
    @staticmethod
    def memory_estimate(
        width: int,
        d: int,
        examples: int,
        tests: int,
        fresh: bool,
        subtract_init: bool,
        unit: str,
        dtype: str,
    ) -> int: ...

# deep generators
def deep_generator(
    layers: list[dict[str, Any]], latents: int, mean: list[float] | None, dtype: str
) -> tuple[Source, int]: ...

@final
class CovarianceStream:
    def __new__(cls, source: Source, seed: _Words) -> Self: ...
    def advance(self, samples: int, threads: int | None) -> None: ...
    def count(self) -> int: ...
    def estimate(self) -> tuple[_Array, _Array, _Array]: ...
