from collections.abc import Callable
from typing import Any, Self, final

import numpy as np
import numpy.typing as npt

_Words = npt.NDArray[np.uint32]
_Array = npt.NDArray[np.float64]

__version__: str

def set_num_threads(threads: int) -> None: ...
def get_num_threads() -> int: ...
def instruction_set() -> str: ...
def weight_normals(seed: _Words, unit: int, count: int) -> _Array: ...

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

_Floats = npt.NDArray[np.floating[Any]]
_Singles = npt.NDArray[np.float32]

def random_nodes_f32(
    seed: _Words, width: int, d: int, std_a: float, std_w: float, std_b: float
) -> tuple[_Floats, _Floats, _Floats]: ...
def random_nodes_f64(
    seed: _Words, width: int, d: int, std_a: float, std_w: float, std_b: float
) -> tuple[_Floats, _Floats, _Floats]: ...
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
