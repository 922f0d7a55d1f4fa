"""Counts the weights of a flatbuffer, and the multiply-accumulates for one image.

Files can have any size, as they are mapped into memory. A file must be valid: open it in LiteRT
first, which verifies it.
"""

from __future__ import annotations

import math
from functools import cached_property
from pathlib import Path
from typing import Any

from pupila.litert.flatbuffer import (
    Operator,
    is_quantized,
    map_model,
    operators,
    tensor_type,
    tensors,
)

MODEL_NAME = "model.tflite"
"""Name of an artifact's only file."""

_FLOAT_TYPES = ("FLOAT32", "FLOAT16", "BFLOAT16", "FLOAT64")
_KERNEL_POSITION = 1
"""Index of the kernel among the inputs of an operator."""

Shape = tuple[int, ...]


class Graph:
    """The main subgraph of a flatbuffer."""

    def __init__(self, path: Path) -> None:
        self._model: Any = map_model(path)
        self._main: Any = self._model.Subgraphs(0)

    @cached_property
    def parameters(self) -> int:
        """Number of weights: the elements of all constants that represent real numbers.

        Shared constants count once. Integer parameters of operators (shapes, axes, paddings) have
        no scale, and do not count. The number differs a little from Keras' number: the converter
        folds batch normalisation into kernels, and constants of preprocessing count here.
        """
        elements: dict[int, int] = {}
        for tensor in tensors(self._main):
            if self._is_constant(tensor) and _is_real(tensor):
                elements[tensor.Buffer()] = math.prod(_shape(tensor))
        return sum(elements.values())

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates for one image, in convolutions and products of matrices."""
        return sum(map(self._operator_macs, operators(self._model, self._main)))

    def _operator_macs(self, operator: Operator) -> int:
        """Return an operator's multiply-accumulates: one per kernel element and kernel position.

        In a product of two tensors, as in attention, the second one is the kernel.
        """
        if operator.name == "BATCH_MATMUL":
            *_, rows, columns = self._shape(operator.inputs[0])  # one of them may be turned
            output = self._shape(operator.outputs[0])
            return math.prod(output) * rows * columns // output[-2]
        if operator.name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            positions = self._shape(operator.outputs[0])[:-1]
        elif operator.name == "TRANSPOSE_CONV":  # inputs: output shape, kernel, feature map
            positions = self._shape(operator.inputs[2])[:-1]
        else:
            return 0
        kernel = self._shape(operator.inputs[_KERNEL_POSITION])
        return math.prod(positions) * math.prod(kernel)

    def _shape(self, index: int) -> Shape:
        return _shape(self._main.Tensors(index))

    def _is_constant(self, tensor: Any) -> bool:
        """Return whether the file has the tensor's values: in the flatbuffer, or behind it.

        An offset above 1 means behind it.
        """
        buffer = self._model.Buffers(tensor.Buffer())
        return buffer.DataLength() > 0 or buffer.Offset() > 1


def _shape(tensor: Any) -> Shape:
    return tuple(tensor.Shape(axis) for axis in range(tensor.ShapeLength()))


def _is_real(tensor: Any) -> bool:
    return tensor_type(tensor) in _FLOAT_TYPES or is_quantized(tensor)
