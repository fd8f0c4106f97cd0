"""Generators that are ONNX graphs."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...ground.arguments import count, told
from ...ground.errors import DtypeError, HmmError, InvalidParameterError, MissingExtraError, ShapeError
from ...ground.extras import extra
from ...ground.memory import require
from ..files import regular_file
from .callable import CallableGenerator

__all__ = ["from_onnx"]

#: Real types of a graph's input.
_REALS = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}


#: Older ones read weights from outside the graph's folder: by "..", by links, some by absolute paths.
_OLDEST = (1, 24)


def _need_onnxruntime() -> Any:
    onnxruntime = extra("onnxruntime", of="generators", needed_by="from_onnx")
    found = tuple(int(part) for part in re.findall(r"\d+", onnxruntime.__version__)[:2])
    if found < _OLDEST:
        raise MissingExtraError(
            f"from_onnx needs onnxruntime {'.'.join(map(str, _OLDEST))} or newer (there is "
            f"{onnxruntime.__version__}, which reads files outside a graph's folder); "
            f"pip install --upgrade 'hmm_rs[generators]'"
        )
    return onnxruntime


class _Onnx:
    """An ONNX graph as a function of numpy arrays; copied and pickled as the path it came from."""

    def __init__(self, path: str, D: int | None, output: str | None) -> None:
        onnxruntime = _need_onnxruntime()
        self.path, self.arguments = path, (path, D, output)
        options = onnxruntime.SessionOptions()
        # One thread inside a call: blocks already run side by side.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            # Without its second try, which is the same again and printed.
            self.session = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"], enable_fallback=0
            )
        except Exception as error:
            raise HmmError(
                f"path = {path!r}: onnxruntime cannot load it ({told(error, 400)}); check the file"
            ) from None
        inputs, outputs = self.session.get_inputs(), self.session.get_outputs()
        if len(inputs) != 1:
            raise InvalidParameterError(
                f"path = {path!r}: the graph has {len(inputs)} inputs; must have one, the latents"
            )
        self.output = self._choose_output([node.name for node in outputs], output)
        self.name, kind = inputs[0].name, inputs[0].type
        if kind not in _REALS:
            raise DtypeError(
                f"path = {path!r}: the graph takes {kind}: latents are real numbers; export it with a float input"
            )
        self.dtype = _REALS[kind]
        chosen = next(node for node in outputs if node.name == self.output)
        if chosen.type not in (*_REALS, "tensor(int32)", "tensor(int64)"):
            raise DtypeError(
                f"path = {path!r}: the graph gives {chosen.type}: inputs are real numbers; export a float output"
            )
        self._shape(inputs[0].shape, chosen.shape, D)

    def _choose_output(self, names: list[str], output: str | None) -> str:
        if not names:
            raise InvalidParameterError(
                f"path = {self.path!r}: the graph has no output: must have one, the inputs; export it anew"
            )
        if output is None and len(names) > 1:
            raise InvalidParameterError(
                f"path = {self.path!r}: the graph has the outputs {', '.join(map(repr, names))}; pass output= to say "
                f"which are the inputs"
            )
        if output is not None and output not in names:
            raise InvalidParameterError(
                f"output = {output!r}: the graph has no such output; pass one of {', '.join(map(repr, names))}"
            )
        return names[0] if output is None else output

    def _shape(self, given: list[Any], made: list[Any] | None, D: int | None) -> None:
        """Read the axes of latents and of the batch; `rows` is its fixed size, or None where any will do."""
        sizes = [n if isinstance(n, int) and n > 0 else None for n in given]
        outer = made[0] if made and isinstance(made[0], int) and made[0] > 0 else None
        self.rows: int | None
        if len(sizes) < 2:
            if not sizes or sizes[0] is None:
                raise ShapeError(
                    f"path = {self.path!r}: the graph takes shape {given}: must have axes for samples and latents; "
                    f"export it with inputs of shape (batch, D)"
                )
            # No axis of samples: one of them at a time.
            self.rows, inner = 1, sizes
        else:
            self.rows, inner = sizes[0], sizes[1:]
            if self.rows is not None and self.rows > 1 and outer != self.rows:
                raise ShapeError(
                    f"path = {self.path!r}: the graph maps shape {given} to {made}: the first axis must be that of "
                    f"samples in both; export it with inputs of shape (batch, D)"
                )
        known = math.prod(n for n in inner if n is not None)
        open_axes = sum(n is None for n in inner)
        if open_axes > 1:
            raise ShapeError(
                f"path = {self.path!r}: the graph takes shape {given}: at most one axis of the latents may be open; "
                f"export it with fixed sizes"
            )
        if open_axes and D is None:
            raise InvalidParameterError(
                "D is missing: the graph leaves the number of latents open; pass D=..."
            )
        if D is not None and (D % known if open_axes else known != D):
            wanted = f"a multiple of {known}" if open_axes else str(known)
            raise InvalidParameterError(
                f"D = {D}: the graph takes {wanted} latents; pass so many"
                + ("" if open_axes else " or leave it out")
            )
        self.D = known if D is None else D
        shape = tuple(self.D // known if n is None else n for n in inner)
        # Axes behind that of samples; none if the graph has no axis for them.
        self.shape: tuple[int, ...] = shape if len(sizes) > 1 else ()
        require(16 * self.D * (self.rows or 1), f"latents of D={self.D}", "export a smaller batch")

    def __call__(self, latents: Any) -> Any:
        values = np.ascontiguousarray(latents, dtype=self.dtype)
        step = self.rows or max(len(values), 1)
        made = []
        for start in range(0, len(values), step):
            block = values[start : start + step]
            # A graph of fixed batch size gets its last batch filled up.
            padded = np.concatenate([block, np.zeros((step - len(block), values.shape[1]), self.dtype)])
            shaped = padded.reshape(step, *self.shape) if self.shape else padded.reshape(-1)
            made.append(self._run(shaped).reshape(step, -1)[: len(block)])
        return np.concatenate(made)

    def _run(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        try:
            out = np.asarray(self.session.run([self.output], {self.name: values})[0], dtype=np.float64)
        except Exception as error:
            raise HmmError(
                f"path = {self.path!r}: onnxruntime cannot run it on latents of shape {values.shape} "
                f"({told(error, 400)}); check D and the graph"
            ) from None
        rows = len(values) if self.shape else 1
        if self.rows != 1 and (out.ndim == 0 or out.shape[0] != rows):
            raise ShapeError(
                f"path = {self.path!r}: the graph gave shape {out.shape} for {rows} samples: its first axis must be "
                f"that of samples; export it so"
            )
        return out

    def check(self) -> None:
        """Refuse a graph that gives other numbers the second time, or mixes its samples."""
        probe = np.sin(np.arange(1.0, 3 * self.D + 1.0)).reshape(3, self.D)
        first = self(probe)
        if not np.array_equal(first, self(probe), equal_nan=True):
            raise InvalidParameterError(
                f"path = {self.path!r}: the graph draws random numbers: must be a function of its latents, or samples "
                f"could not be repeated; export it without noise (dropout off, noise as part of the latents)"
            )
        # Products of other sizes round differently; neighbours that mattered would be far beyond that.
        other = self(np.concatenate([probe[:1], -probe[1:]]))
        scale = np.abs(first).max()
        if not np.allclose(first[0], other[0], rtol=1e-2, atol=1e-2 * scale, equal_nan=True):
            raise InvalidParameterError(
                f"path = {self.path!r}: the graph mixes its samples: each must be made by itself; export it in "
                f"evaluation mode (batch normalisation at rest)"
            )

    def __reduce__(self) -> tuple[Any, ...]:
        return _Onnx, self.arguments

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Onnx) and self.arguments == other.arguments

    def __hash__(self) -> int:
        return hash(self.arguments)

    def __repr__(self) -> str:
        return f"<graph of {self.path!r}>"


def from_onnx(
    path: str | Path, D: int | None = None, *, output: str | None = None, center: bool = True
) -> CallableGenerator:
    """Return a generator from an ONNX file, run by onnxruntime on the CPU.

    Parameters
    ----------
    path
        The file; its graph has one input, the latents, of shape (batch, ...) or, for one sample at a time, (D,).
        Outputs are flattened. Weights in files beside it are read from its folder only.
    D
        Number of latents; read from the graph unless it leaves them open.
    output
        Name of the output to take, for a graph of several.
    center
        Subtract the mean of the outputs.

    Raises
    ------
    DtypeError
        If the graph takes integers; single, double and half precision are fed as they are.
    ShapeError
        If it is unclear which axis counts samples.
    InvalidParameterError
        If the graph draws random numbers, mixes its samples, has several outputs and none is named, or D does not fit.
    MissingExtraError
        If there is no onnxruntime, or one so old that it reads files outside the graph's folder.
    HmmError
        If there is no such file, or onnxruntime cannot read or run the graph.
    """
    _need_onnxruntime()
    file = regular_file(path, "an .onnx file", error=HmmError)
    function = _Onnx(str(file), None if D is None else count("D", D), output)
    function.check()
    return CallableGenerator(function, function.D, center=center)
