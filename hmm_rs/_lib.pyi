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

# replica theory of full-batch learning
_Atoms = tuple[_Array, _Array, _Array, float]
_ReplicaOptions = tuple[str, float, float, float, float, int]

def replica_spectrum(atoms: _Atoms) -> dict[str, Any]: ...
def replica_spectrum_from_covariance(omega: _Array, b: _Array, rho: float) -> dict[str, Any]: ...
def replica_spectrum_random_features(
    y: float, kappa1: float, kappa_star: float, rho: float, nodes: int
) -> dict[str, Any]: ...
def replica_curve(
    atoms: _Atoms, alphas: _Array, options: _ReplicaOptions, threads: int | None
) -> dict[str, Any]: ...
def replica_ridgeless(atoms: _Atoms, alpha: float, noise: float) -> tuple[float, float]: ...
def replica_max_margin(
    atoms: _Atoms, alpha: float, flip: float, noise: float, tol: float, max_iterations: int
) -> dict[str, Any]: ...
def replica_threshold(atoms: _Atoms, flip: float, noise: float) -> float: ...
def replica_optimal_ridge(
    atoms: _Atoms, alpha: float, options: _ReplicaOptions, lower: float, upper: float
) -> tuple[float, bool, dict[str, Any]]: ...
def replica_prox(s: _Array, v: float, loss: str) -> list[_Array]: ...

# full-batch learning
def full_batch_fit(
    problems: list[tuple[_Array, _Array]],
    loss: str,
    lam: float,
    stop: tuple[float, int],
    threads: int | None,
) -> list[dict[str, Any]]: ...
def full_batch_gaussian(
    features: tuple[_Array, _Array, float],
    sizes: list[int],
    repeats: int,
    task: tuple[str, float, float, float, float, int],
    seed: _Words,
    threads: int | None,
) -> dict[str, _Array]: ...
