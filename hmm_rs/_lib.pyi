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

def i2(c: _Array, names: list[str]) -> _Array: ...
def i3(c: _Array, names: list[str]) -> _Array: ...
def i4(c: _Array, names: list[str]) -> _Array: ...
def marchenko_pastur(delta: float, n: int) -> tuple[_Array, _Array]: ...
def generalisation_error(q: _Array, r: _Array, t: _Array, v: _Array, setting: OnlineSetting) -> _Array: ...

@final
class OnlineSetting:
    def __new__(
        cls,
        v0: list[float],
        v_teacher: list[float],
        student: str,
        teacher: str,
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
