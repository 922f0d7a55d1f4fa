"""Reads and writes the constant weights of a flatbuffer's operators as NumPy arrays.

The arrays are views of the file. If the file was opened for writing, writing to an array changes
the file.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila.litert.flatbuffer import import_schema, operator_name
from pupila_quantize.edge_quantizer import read_model

schema = import_schema()

_TYPES: dict[int, Any] = {
    schema.TensorType.FLOAT32: np.float32,
    schema.TensorType.FLOAT16: np.float16,
    schema.TensorType.INT8: np.int8,
    schema.TensorType.INT32: np.int32,
    schema.TensorType.INT64: np.int64,
}
_CORRECTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


@dataclass(frozen=True)
class Constant:
    """A constant tensor of a flatbuffer."""

    tensor: Any
    stored: NDArray[np.uint8]
    """Bytes of the tensor. A byte holds two weights of four bits, the first in the low half."""
    is_shared: bool
    """Whether other tensors or operators use the same bytes."""

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.tensor.shape)

    @property
    def is_float(self) -> bool:
        return self.tensor.type in (schema.TensorType.FLOAT32, schema.TensorType.FLOAT16)

    @property
    def is_in_four_bits(self) -> bool:
        return self.tensor.type == schema.TensorType.INT4

    @property
    def scales(self) -> NDArray[np.float64] | None:
        """Scales of the channels: `(channels,)`, or `(1,)` for one scale of all channels.

        None if the tensor has no scales, or if it has a scale for each block of weights.
        """
        quantization = self.tensor.quantization
        if quantization is None or quantization.scale is None or quantization.details is not None:
            return None
        return np.asarray(quantization.scale, np.float64)

    def values(self) -> NDArray[Any]:
        """Return the numbers as stored: a view of the file; if numbers have four bits, a copy."""
        if not self.is_in_four_bits:
            return self.stored.view(_TYPES[self.tensor.type]).reshape(self.shape)
        halves = np.stack([self.stored << 4, self.stored], axis=-1).view(np.int8) >> 4
        return halves.reshape(-1)[: int(np.prod(self.shape))].reshape(self.shape)

    def write(self, values: NDArray[Any]) -> None:
        """Overwrite the stored numbers by `values`, which must fit the tensor's type."""
        if not self.is_in_four_bits:
            self.values()[...] = values.reshape(self.shape)
            return
        flat = np.zeros(2 * len(self.stored), np.uint8)
        flat[: values.size] = values.reshape(-1).astype(np.int8).view(np.uint8) & 0x0F
        self.stored[...] = flat[0::2] | (flat[1::2] << 4)


@dataclass(frozen=True)
class WeightedOperator:
    """An operator of the main graph with constant weights: its kernel and its bias."""

    kind: str
    """Name of the operator: `CONV_2D`, `DEPTHWISE_CONV_2D` or `FULLY_CONNECTED`."""
    options: Any
    input_index: int
    input_scale: float | None
    """Scale of the input; None if the input is not quantised."""
    kernel: Constant
    """The kernel in LiteRT's shape: `(outputs, height, width, inputs)` for convolutions,
    `(1, height, width, outputs)` for depthwise convolutions, `(outputs, inputs)` for dense
    layers."""
    bias: Constant | None


def read_weighted_operators(path: Path, *, write: bool = False) -> list[WeightedOperator]:
    """Return a file's convolutions and dense layers with constant kernels, in execution order.

    Depthwise convolutions are included. With `write`, changes to the arrays change the file.
    """
    content = np.memmap(path, np.uint8, mode="r+" if write else "r")
    model: Any = read_model(content.data)
    graph = model.subgraphs[0]
    uses = Counter(
        graph.tensors[index].buffer
        for operator in graph.operators
        for index in set(operator.inputs)
    )

    def constant(index: int) -> Constant | None:
        tensor = graph.tensors[index]
        data = model.buffers[tensor.buffer].data
        if data is None or not len(data):
            return None
        return Constant(tensor, np.frombuffer(data, np.uint8), uses[tensor.buffer] > 1)

    operators: list[WeightedOperator] = []
    for operator in graph.operators:
        kind = _operator_name(model, operator)
        kernel = constant(operator.inputs[1]) if kind in _CORRECTED else None
        if kernel is not None:
            bias = operator.inputs[2] if len(operator.inputs) > 2 else -1
            operators.append(
                WeightedOperator(
                    kind,
                    operator.builtinOptions,
                    operator.inputs[0],
                    _input_scale(graph.tensors[operator.inputs[0]]),
                    kernel,
                    constant(bias) if bias >= 0 else None,
                )
            )
    return operators


def _operator_name(model: Any, operator: Any) -> str:
    code = model.operatorCodes[operator.opcodeIndex]
    return operator_name(code.builtinCode, code.deprecatedBuiltinCode)


def _input_scale(tensor: Any) -> float | None:
    quantization = tensor.quantization
    if quantization is None or quantization.scale is None or not len(quantization.scale):
        return None
    return float(quantization.scale[0])
